//! The real process, killed at random instants: what it has written down can always be read, counts nothing twice and
//! loses no order. `WATTKEEPER_KILLS=n` says how often, `WATTKEEPER_SEED=n` when.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use wattkeeper::control::site::{Keepsake, Manual};
use wattkeeper::control::units::{Mono, Span};
use wattkeeper::store::{self, Found, Record, Stamp};

use crate::alive::fresh_folder;
use crate::alive::process::{Devices, Product, SOON, alarmed};
use crate::days::setup::Dice;
use crate::rig::parts::wait_for;

const SITE: &str = "Test hut";
/// What the hut takes all the time, in W.
const LOAD: f64 = 1_000.0;
/// Counters may be so much behind.
const LOST: Duration = Duration::from_secs(60);
/// From the start of the process to its first decision.
const START_WITHIN: Duration = Duration::from_secs(2);

fn set(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// An operator wants the generator off until a month from now, and never by itself.
fn order() -> Keepsake {
    let at = Mono(1_000_000_000);
    let until = at + Span::secs(30 * 86_400);
    Keepsake { at, manual: Manual::Off, manual_until: Some(until), auto: Some(false), ..Keepsake::default() }
}

/// Opens what a process left behind, and closes it again.
fn left_behind(state: &Path) -> Keepsake {
    let opened = wait_for("the folder is free", SOON, || store::open(state, SITE, &Stamp::default()).ok());
    let Found::Record(record) = opened.found else { panic!("not readable: {:?}", opened.found) };
    assert!(opened.keeper.close(None, SOON));
    record.keepsake
}

/// The campaign's bookkeeping.
struct Campaign {
    /// All lives of the process together: nothing can have been counted outside them.
    lived: Duration,
    /// What the counter showed at the last look into a folder.
    counted: f64,
    /// All lives at that look.
    lived_then: Duration,
    slowest: Duration,
    looks: usize,
}

impl Campaign {
    /// What was found against what can be true.
    fn compare(&mut self, kept: &Keepsake) {
        let wanted = order();
        assert_eq!(
            (kept.manual, kept.manual_until, kept.auto),
            (Manual::Off, wanted.manual_until, Some(false))
        );
        let counted = kept.ledger.load.0 as f64 / 1_000.0;
        let most = LOAD * 1.02 * (self.lived.as_secs_f64() + 1.0);
        assert!(counted <= most, "{counted} J counted, {most} J can be true");
        let least = self.counted.max(
            self.counted + LOAD * 0.9 * (self.lived - self.lived_then).as_secs_f64()
                - LOAD * LOST.as_secs_f64(),
        );
        assert!(counted >= least, "{counted} J counted, at least {least} J must be");
        (self.counted, self.lived_then) = (counted, self.lived);
        self.looks += 1;
    }
}

#[test]
fn s2_however_often_it_is_killed_nothing_becomes_unreadable_counts_twice_or_forgets_an_order() {
    let kills = set("WATTKEEPER_KILLS").unwrap_or(5);
    let seed = set("WATTKEEPER_SEED").unwrap_or(1);
    let folder = fresh_folder("kills");
    let state = folder.join("state");
    let devices = Devices::hut(&[
        ("load.base", LOAD),
        ("load.appliances", 0.0),
        ("load.noise", 0.0),
        ("pv.dc.peak", 0.0),
        ("battery.capacity", 1_000_000.0),
    ]);
    let profile = devices.profile(&folder, |text| text);
    let opened = store::open(&state, SITE, &Stamp::default()).unwrap();
    let record = Record { keepsake: order(), ..Record::default() };
    assert!(opened.keeper.close(Some(record), SOON));

    let mut dice = Dice::new(seed);
    let none = Duration::ZERO;
    let mut so_far = Campaign { lived: none, counted: 0.0, lived_then: none, slowest: none, looks: 0 };
    let (mut killed, mut lives) = (0, 0);
    while killed < kills {
        lives += 1;
        let born = Instant::now();
        let product = Product::start(&profile);
        let clean = lives % 4 == 0;
        // Most lives are short; some see their counters written down by the minute.
        let longest = if lives % 50 == 49 { 150_000 } else { 3_000 };
        let lives_for = Duration::from_millis(dice.range(0, longest).unsigned_abs());
        if clean || lives_for > START_WITHIN {
            let took = product.ready();
            assert!(took <= START_WITHIN, "{took:?} to the first decision, life {lives}, seed {seed}");
            so_far.slowest = so_far.slowest.max(took);
        }
        if clean {
            let state = product.until("it publishes", |state| state["decision"].is_object());
            assert_eq!(state["control"], "on", "life {lives}, seed {seed}");
            assert!(!alarmed(&state, "store-lost") && !alarmed(&state, "store-failed"), "{}", product.said());
            product.stop();
            so_far.lived += born.elapsed();
        } else {
            // Whatever it does at this instant; it need not even be ready.
            let _said = product.told("nothing that anybody says", lives_for.saturating_sub(born.elapsed()));
            product.kill();
            so_far.lived += born.elapsed();
            killed += 1;
        }
        // Half of the times the next process is the first to look.
        if dice.range(0, 2) == 0 {
            so_far.compare(&left_behind(&state));
        }
    }
    so_far.compare(&left_behind(&state));
    let Campaign { slowest, looks, counted, lived, .. } = so_far;
    writeln!(
        std::io::stderr(),
        "{kills} kills, seed {seed}: {lives} lives of {:.0} s in all, {looks} looks, {counted:.0} J counted, slowest \
         start {} ms",
        lived.as_secs_f64(),
        slowest.as_millis()
    )
    .unwrap();
}
