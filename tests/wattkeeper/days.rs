//! Simulated houses: a site, a plant and a swarm of faults from one seed, the invariants after every decision, then a
//! time without faults in which everything must recover.
//!
//! A visit lasts two hours and is crowded; twelve of them make a day. A day runs with every test. A campaign lives
//! through as many visits or weeks as wanted, beginning where one likes:
//!
//! ```text
//! WATTKEEPER_VISITS=120 WATTKEEPER_FROM=1000 cargo test --test wattkeeper campaign_of_visits -- --nocapture
//! WATTKEEPER_WEEKS=100 cargo test --test wattkeeper campaign_of_weeks -- --nocapture
//! ```
//!
//! A failure prints its seed, the moment, the faults of that moment and the last inputs and decisions, and then the
//! smallest set of faults that still breaks something; the same seed alone plays it again. With `WATTKEEPER_FIRST`
//! set a campaign ends with its first failure and does not look for less.
//!
//! The checks keep their own books of what was heard and never ask the product what it knew. Time passes in steps of a
//! second, in which an inverter reaches its order: nothing here says anything about the regulator's dynamics.

mod counted;
mod disk;
mod faults;
mod floor;
mod generator;
mod known;
mod orders;
mod people;
mod run;
pub mod setup;
mod shown;
mod watch;
mod wire;
mod world;

use run::{live, replay, shrink};
use setup::{House, Stay};

/// How many runs a campaign has, and from which seed on.
fn campaign(count: &str) -> Option<std::ops::Range<u64>> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let from = number("WATTKEEPER_FROM").unwrap_or(1);
    Some(from..from + number(count)?)
}

/// How many smaller sets of faults are tried after a failure.
const TRIES: usize = 150;

/// A run that is repeated from its journal where that fits into memory; what failed, with less that fails too.
fn outcome(seed: u64, stay: Stay, first: bool) -> Result<String, String> {
    let house = House::new(seed, stay);
    let journal = stay == Stay::VISIT && !first;
    match live(house.clone(), journal) {
        Ok(run) if journal && replay(&house, &run.journal) != run.hash => {
            Err(format!("seed {seed}: its journal replays to other decisions\n"))
        }
        Ok(run) => Ok(format!(
            "seed {seed} holds: {}{}, {} decisions, {} commands, {} processes, {} generator starts",
            run.profile,
            if run.wired { " by registers" } else { "" },
            run.decisions,
            run.commands,
            run.processes,
            run.starts,
        )),
        Err(failed) if first => Err(failed.text),
        Err(failed) => {
            let mut text = failed.text.clone();
            let (house, failed) = shrink(&house, failed, TRIES);
            text += &format!("these faults are enough:\n{}{}", run::faults(&house), failed.text);
            Err(text)
        }
    }
}

fn all_hold(seeds: impl Iterator<Item = u64>, stay: Stay) {
    let first = std::env::var_os("WATTKEEPER_FIRST").is_some();
    let mut failed = Vec::new();
    for seed in seeds {
        match outcome(seed, stay, first) {
            Ok(line) => println!("{line}"),
            Err(text) => {
                println!("{text}");
                failed.push(text.lines().next().unwrap_or_default().to_owned());
                if first {
                    break;
                }
            }
        }
    }
    assert!(failed.is_empty(), "{} failed\n{}", failed.len(), failed.join("\n"));
}

/// Houses of the gate: by values and by registers, with one inverter and two, on the grid and without.
const GATE: std::ops::RangeInclusive<u64> = 1..=4;

#[test]
fn houses_full_of_faults_break_no_invariant_and_end_well() {
    all_hold(GATE, Stay::VISIT);
}

#[test]
fn a_visit_repeats_bit_for_bit_from_its_seed() {
    let hash = || live(House::new(3, Stay::VISIT), false).map_err(|failed| failed.text);
    let hashes = [hash(), hash()].map(|run| run.unwrap_or_else(|text| panic!("{text}")).hash);
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn a_campaign_of_visits_finds_no_house_that_breaks_an_invariant() {
    match campaign("WATTKEEPER_VISITS") {
        Some(seeds) => all_hold(seeds, Stay::VISIT),
        None => println!("no campaign: WATTKEEPER_VISITS is not set"),
    }
}

#[test]
fn a_campaign_of_weeks_finds_no_week_that_breaks_an_invariant() {
    match campaign("WATTKEEPER_WEEKS") {
        Some(seeds) => all_hold(seeds, Stay::WEEK),
        None => println!("no campaign: WATTKEEPER_WEEKS is not set"),
    }
}
