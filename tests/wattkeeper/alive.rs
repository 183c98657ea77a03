//! Staying alive: what happens to the process, its host, its clocks and its profile, each under its row of the fault
//! catalogue. On paused time where time is the matter, with the real process where the process is.

mod house;
pub mod process;
mod reload;
mod supervised;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wattkeeper::control::site::{Command, Order};
use wattkeeper::control::units::{Span, Watts};
use wattkeeper::daemon::fleet::{Dialler, Fleet};
use wattkeeper::daemon::proof::{self, Proof};
use wattkeeper::daemon::{Daemon, RunError};
use wattkeeper::device::exchange::Failure;
use wattkeeper::device::order::{ControlKind, SessionEvent};
use wattkeeper::plant::fake::{Misbehaviour, open};
use wattkeeper::services::published::{Commissioning, Control, Published};
use wattkeeper::store::{self, Stamp};

use crate::rig::parts::wait_for;

use house::House;
use process::SOON;

/// A fresh folder for what must outlive a process.
pub fn fresh_folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("alive").join(name);
    let _absent = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a daemon for as long as a script lasts; what it published last, and how it ended.
async fn play(daemon: Daemon, script: impl Future<Output = ()>) -> (Published, Result<(), RunError>) {
    let watch = daemon.watch();
    let (over, stop) = tokio::sync::oneshot::channel::<()>();
    let script = async {
        script.await;
        drop(over);
        std::future::pending().await
    };
    let stop = async move {
        let _closed = stop.await;
    };
    let ended = tokio::select! {
        ended = daemon.run(stop) => ended,
        () = script => unreachable!("a script never ends the daemon by itself"),
    };
    (watch.borrow().as_ref().clone(), ended)
}

fn alarms(published: &Published) -> Vec<&str> {
    published.alarms.iter().filter(|alarm| alarm.active).map(|alarm| alarm.code.as_ref()).collect()
}

/// What the inverters were told after so many writes: whether each asked for power at all.
fn asks(house: &House, from: usize) -> Vec<bool> {
    let writes = house.written("gx").into_iter().skip(from);
    let powers = writes.filter(|write| write.request.address == POWER);
    powers.map(|write| write.request.words.iter().any(|word| *word != 0)).collect()
}

/// The register from which on a GX takes the power of each phase.
const POWER: u16 = 96;

fn silence(house: &House, devices: &[&str]) {
    for device in devices {
        open(&house.world).misbehave(house.place(device), Misbehaviour::Lost, None, None);
    }
}

#[tokio::test(start_paused = true)]
async fn t6_what_was_heard_before_a_suspension_is_old_after_it() {
    let house = House::new(0.05, &[]);
    let daemon = house.daemon(&[], house.dialler(), None);
    let (published, ended) = play(daemon, async {
        house.in_control().await;
        // Ten minutes of sleep, and nobody answers afterwards: 0 W at once, not after the meter's 15 s.
        silence(&house, &["gx", "meter", "pv", "relay"]);
        house.sleep(600);
        house.pass(1.5).await;
    })
    .await;
    ended.unwrap();
    let decision = published.decision.as_ref().unwrap();
    assert_eq!((published.failsafe_level, decision.battery_order), (3, 0), "{decision:?}");
}

async fn commissioned(house: &House, daemon: Daemon) -> Commissioning {
    let watch = daemon.watch();
    let over = || watch.borrow().commissioning.as_ref().is_some_and(|seen| seen.over);
    let (published, ended) = play(daemon, house.until("commissioning is over", 1_800.0, |_| over())).await;
    ended.unwrap();
    published.commissioning.unwrap()
}

#[tokio::test(start_paused = true)]
async fn commissioning_proves_a_house_over_the_wire_and_control_on_asks_for_that_proof() {
    let house = House::new(0.05, &[("battery.soc", 60.0), ("start", 23.0)]);
    let (profile, daemon) = house.commissioner(&[]);
    let contact = house.written("relay").len();
    let seen = commissioned(&house, daemon).await;
    assert_eq!(seen.ended, None);
    assert_eq!(seen.tried.len(), 3);
    let wrong: Vec<_> = seen.tried.iter().flat_map(|tried| &tried.findings).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(house.written("relay").len(), contact, "the generator's contact is left alone");

    let state = fresh_folder("commissioned");
    let asks = |published: &Published| alarms(published).contains(&"uncommissioned");
    let daemon = house.daemon(&[], house.dialler(), Some(state.clone()));
    let (published, _) = play(daemon, house.pass(5.0)).await;
    assert!(asks(&published), "{:?}", alarms(&published));

    let proof = Proof::of(&profile, &seen, 0).unwrap();
    assert!(proof.meter_lag_ms.is_some_and(|lag| lag <= 1_500), "{:?}", proof.meter_lag_ms);
    proof::write(&state, &proof).unwrap();
    let daemon = house.daemon(&[], house.dialler(), Some(state.clone()));
    let (published, _) = play(daemon, house.pass(5.0)).await;
    assert!(!asks(&published), "{:?}", alarms(&published));

    // Another phase is another wiring: what was proven does not speak of it.
    let daemon = house.daemon(&["device.gx.phases=[\"l1\"]"], house.dialler(), Some(state));
    let (published, _) = play(daemon, house.pass(5.0)).await;
    assert!(asks(&published), "{:?}", alarms(&published));
}

#[tokio::test(start_paused = true)]
async fn commissioning_of_a_profile_that_names_other_phases_than_the_cabinet_proves_nothing() {
    let house = House::new(0.05, &[("battery.soc", 60.0), ("start", 23.0), ("phases", 1.0)]);
    let (profile, daemon) = house.commissioner(&["device.gx.phases=[\"l2\"]"]);
    let seen = commissioned(&house, daemon).await;
    assert!(Proof::of(&profile, &seen, 0).is_none(), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn m4_an_order_decided_before_a_pause_is_never_written_after_it() {
    for (seconds, at) in [(16, 0.0), (60, 0.35), (600, 0.75)] {
        let house = House::new(0.05, &[]);
        let daemon = house.daemon(&[], house.dialler(), None);
        let (_, ended) = play(daemon, async {
            house.in_control().await;
            // A slow gateway: there is always an order that waits for its turn.
            open(&house.world).plant.set("load.noise", 200.0).unwrap();
            open(&house.world).misbehave(house.place("gx"), LATE, None, None);
            house.pass(5.0 + at).await;
            let before = house.written("gx").len();
            assert!(asks(&house, 0).iter().any(|asks| *asks), "the battery carried the house before");
            // What is decided after the pause is 0 W, because the meter stays silent.
            silence(&house, &["meter"]);
            house.sleep(seconds);
            house.pass(10.0).await;
            let after = asks(&house, before);
            assert!(after.iter().all(|asks| !asks), "{seconds} s, {at} s: {after:?}");
            assert!(!after.is_empty(), "the order of 0 W was written");
        })
        .await;
        ended.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn m4_an_order_that_waits_for_the_line_while_the_machine_sleeps_is_dropped() {
    for seconds in [0, 3, 60, 600] {
        let house = House::new(0.05, &[]);
        let clock = house.clock();
        let profile = house.profile(&[]);
        let (mut fleet, mut reports) = Fleet::start(&profile, &clock.pacer(), &house.dialler(), &[]);
        at_work(&mut fleet, house.pass(3.0)).await;
        open(&house.world).misbehave(house.place("gx"), LATE, None, None);
        at_work(&mut fleet, house.pass(1.0)).await;
        assert_eq!(house.written("gx"), []);
        // Decided now, for two cycles; the line is busy with a question.
        let place = profile.device("gx").unwrap().orders[&(ControlKind::InverterPower, 0)];
        let order = Order::Power([Watts(500); 3]);
        let expires = clock.now() + Span::secs(2);
        assert!(fleet.send(&Command { actuator: place, order, seq: 1, expires }).is_none());
        at_work(&mut fleet, house.pass(0.05)).await;
        house.sleep(seconds);
        at_work(&mut fleet, house.pass(8.0)).await;
        let dropped = std::iter::from_fn(|| reports.try_recv().ok())
            .flat_map(|report| report.events)
            .any(|event| matches!(event, SessionEvent::Wrote { seq: 1, result: Err(Failure::Expired), .. }));
        let fresh = seconds < 2;
        assert_eq!((house.written("gx").is_empty(), dropped), (!fresh, !fresh), "{seconds} s");
    }
}

/// The endpoints of a fleet work for as long as a script lasts.
async fn at_work(fleet: &mut Fleet, script: impl Future<Output = ()>) {
    tokio::select! {
        () = fleet.work() => unreachable!("an endpoint ended by itself"),
        () = script => {}
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_is_on_the_wire_before_anything_else_has_a_turn() {
    let house = House::new(0.05, &[]);
    let clock = house.clock();
    let profile = house.profile(&[]);
    let codes = wire::codes();
    let (others, counted) = (house.dialler(), wire::counting(house.dialler(), &codes));
    let dialler: Dialler =
        Arc::new(move |host, port| if host == "gx" { counted(host, port) } else { others(host, port) });
    let (mut fleet, _reports) = Fleet::start(&profile, &clock.pacer(), &dialler, &[]);
    // Between two polls: the line is idle.
    at_work(&mut fleet, house.pass(3.5)).await;
    let sent = || codes.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
    let before = sent();
    let place = profile.device("gx").unwrap().orders[&(ControlKind::InverterPower, 0)];
    let (order, expires) = (Order::Power([Watts(500); 3]), clock.now() + Span::secs(2));
    assert!(fleet.send(&Command { actuator: place, order, seq: 1, expires }).is_none());
    // Nobody but the fleet is asked here, and it waits for nothing: what it does before its first write, or that.
    fleet.carry().await;
    assert_eq!(sent(), before + 1);
}

/// A slow gateway.
const LATE: Misbehaviour = Misbehaviour::Late(Duration::from_millis(250));

#[tokio::test(start_paused = true)]
async fn t7_what_a_pause_left_undone_is_not_made_up_for_in_a_burst() {
    let house = House::new(0.05, &[]);
    let codes = wire::codes();
    let daemon = house.daemon(&[], wire::counting(house.dialler(), &codes), None);
    let sent = || codes.iter().map(|count| count.load(Ordering::SeqCst)).sum::<u64>();
    let (_, ended) = play(daemon, async {
        house.in_control().await;
        house.pass(30.0).await;
        let before = sent();
        house.pass(10.0).await;
        let usual = sent() - before;
        house.sleep(120);
        let before = sent();
        house.pass(10.0).await;
        let after = sent() - before;
        assert!(after < usual + usual / 4, "{after} requests in the 10 s after the pause, {usual} before it");
    })
    .await;
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn t2_a_wall_clock_that_jumps_moves_no_order() {
    let orders = |step: Option<i64>| async move {
        let house = House::new(0.05, &[("load.noise", 0.0), ("load.appliances", 0.0)]);
        let daemon = house.daemon(&[], house.dialler(), None);
        let (published, ended) = play(daemon, async {
            house.in_control().await;
            house.pass(20.0).await;
            if let Some(step) = step {
                house.set_wall_clock(step);
            }
            house.pass(40.0).await;
        })
        .await;
        ended.unwrap();
        assert_eq!(published.clock_trusted, step.is_none());
        house.written("gx").into_iter().map(|write| (write.at, write.request)).collect::<Vec<_>>()
    };
    let undisturbed = orders(None).await;
    assert!(undisturbed.len() > 10);
    for years in [-10, 10] {
        assert_eq!(orders(Some(years * 365 * 86_400_000)).await, undisturbed, "{years} years");
    }
}

#[tokio::test(start_paused = true)]
async fn h2_a_task_that_panics_ends_the_process_and_hands_the_other_devices_back() {
    // One among the tasks, one inside the loop that decides.
    for victim in ["pv", "meter"] {
        let house = House::new(0.05, &[]);
        let daemon = house.daemon(&[], wire::panicking(house.dialler(), victim), None);
        let (_, ended) = play(daemon, async {
            house.in_control().await;
            assert!(asks(&house, 0).iter().any(|asks| *asks));
            // The connection breaks; the dialler of the next one breaks this program.
            open(&house.world).misbehave(house.place(victim), Misbehaviour::Close, Some(1), None);
            house.pass(600.0).await;
        })
        .await;
        let error = ended.unwrap_err();
        assert!(matches!(error, RunError::Lost(_)), "{error}");
        assert_eq!(asks(&house, 0).last(), Some(&false), "the release asks for nothing");
    }
}

/// Leaves behind what so many processes leave that died.
fn died(folder: &Path, times: usize) {
    let start = || wait_for("the folder is free", SOON, || store::open(folder, "Demo house", &stamp()).ok());
    for _ in 0..times {
        drop(start());
    }
    wait_for("the last one is gone", SOON, || std::fs::File::open(folder).unwrap().try_lock().ok());
}

/// Of the same boot as the house, a moment ago.
fn stamp() -> Stamp {
    Stamp { boot: "this boot".to_owned(), boottime_ms: 50_000, utc_ms: 0, trusted: false }
}

#[tokio::test(start_paused = true)]
async fn h9_after_six_bad_ends_it_observes_says_why_and_writes_nothing() {
    for (times, control, told) in [(5, Control::On, true), (6, Control::Observe, false)] {
        let folder = fresh_folder(&format!("bad-ends-{times}"));
        died(&folder, times);
        let house = House::new(0.05, &[]);
        let codes = wire::codes();
        let daemon = house.daemon(&[], wire::counting(house.dialler(), &codes), Some(folder.clone()));
        let (published, ended) = play(daemon, house.pass(120.0)).await;
        ended.unwrap();
        assert_eq!(published.control, control);
        assert_eq!(alarms(&published).contains(&"crash-loop"), !told);
        assert_eq!(house.all_written() > 0, told);
        assert_eq!(wire::foreign_to_observing(&codes).is_empty(), !told);
        // It ended well: the next start is armed again.
        let daemon = house.daemon(&[], house.dialler(), Some(folder));
        let (published, ended) = play(daemon, house.pass(5.0)).await;
        ended.unwrap();
        assert_eq!(published.control, Control::On);
    }
}

#[tokio::test(start_paused = true)]
async fn s4_s5_a_memory_that_cannot_be_used_is_an_alarm_and_the_battery_carries_the_house_all_the_same() {
    let folder = fresh_folder("spoiled");
    let file = folder.join("no-folder");
    std::fs::write(&file, "a file where a folder should be").unwrap();
    std::fs::write(folder.join("wattkeeper.db"), vec![0xA5; 40_000]).unwrap();
    for (state, alarm) in [(file, "store-failed"), (folder, "store-lost")] {
        let house = House::new(0.05, &[]);
        let daemon = house.daemon(&[], house.dialler(), Some(state));
        let (published, ended) = play(daemon, house.in_control()).await;
        ended.unwrap();
        assert!(alarms(&published).contains(&alarm), "{:?}", alarms(&published));
    }
}

#[tokio::test(start_paused = true)]
async fn inv14_while_observing_nothing_that_writes_leaves_over_the_wire() {
    // Slow polls and a plant in steps of a second, so that hours pass in moments; every five minutes there is trouble.
    // WATTKEEPER_OBSERVE_HOURS=168 is a week.
    let house = House::new(1.0, &[("load.appliances", 1.0)]);
    let codes = wire::codes();
    let polls = house.names().map(|name| format!("device.{name}.poll=5s"));
    let slow: Vec<String> = polls.chain(["control=observe".to_owned()]).collect();
    let slow: Vec<&str> = slow.iter().map(String::as_str).collect();
    let daemon = house.daemon(&slow, wire::counting(house.dialler(), &codes), None);
    let hours: u64 = std::env::var("WATTKEEPER_OBSERVE_HOURS").ok().map_or(1, |hours| hours.parse().unwrap());
    let (published, ended) = play(daemon, async {
        for spell in 0..usize::try_from(hours * 12).unwrap() {
            let device = spell % house.names().count();
            let kinds = [
                Misbehaviour::Lost,
                Misbehaviour::Close,
                Misbehaviour::Exception(4),
                Misbehaviour::Garbage,
                Misbehaviour::WrongTransaction,
                Misbehaviour::Late(Duration::from_secs(4)),
            ];
            let kind = kinds[spell % kinds.len()].clone();
            open(&house.world).misbehave(device, kind, Some(40), None);
            open(&house.world).plant.set("grid.present", f64::from(u8::from(spell % 9 != 7))).unwrap();
            house.pass(300.0).await;
        }
    })
    .await;
    ended.unwrap();
    assert_eq!(published.control, Control::Observe);
    let wrong = wire::foreign_to_observing(&codes);
    assert!(wrong.is_empty(), "function codes sent while observing: {wrong:?}");
    let sent: u64 = codes.iter().map(|count| count.load(Ordering::SeqCst)).sum();
    assert!(sent > hours * 2_000, "only {sent} requests");
    assert_eq!(house.all_written(), 0);
}
