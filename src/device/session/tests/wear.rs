//! Registers in flash: written on change only, and no more often in a day than the definition allows, whatever is
//! ordered and however often this process starts anew.

use super::*;
use crate::device::order::WearRecord;

/// An inverter whose mode is kept in flash, and a relay whose state is.
const STORED: &str = r#"
schema = 1
maker = "m"
model = "m"
source = "s"
[[point]]
signal = "grid.power"
at = "holding:0"
as = "i16"
unit = "W"
source = "s"
words = { raw = [5], value = 5, origin = "constructed" }
[control.inverter-power]
refresh = "3s"
watchdog = "10s"
if-lost = "it stops"
source = "s"
setup = [{ at = "holding:20", function = 6, persistence = "rare", restore = true, otherwise = 1, fields = [{ value = 3, as = "u16" }] }]
command = [{ at = "holding:10", function = 16, persistence = "cyclic", fields = [{ value = "power.total", as = "i32" }] }]
release = [{ at = "holding:10", function = 16, persistence = "cyclic", fields = [{ value = 0, as = "i32" }] }]
[control.relay]
refresh = "none"
watchdog = "none"
if-lost = "it stays"
source = "s"
command = [{ at = "holding:30", function = 6, persistence = "on-change", daily = 4, fields = [{ value = "run", as = "u16" }] }]
"#;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn device() -> Device {
    let mut device = Device::default();
    for (at, words) in [(0, &[5_u16][..]), (10, &[0, 0]), (20, &[1]), (30, &[0])] {
        device.set(1, at, words);
    }
    device
}

fn stored(wear: Vec<WearRecord>, device: Device, now: Mono) -> Bench {
    let options = SessionOptions { pace: Some(Span::secs(60)), wear, ..controlling(1) };
    Bench { now, ..Bench::of(STORED, options, device) }
}

fn relay(run: bool, now: Mono) -> DeviceOrder {
    command(ControlKind::Relay, Values { run, ..Values::default() }, 0, now + Span::secs(30))
}

/// When a register was written.
fn times(device: &Device, address: u16) -> Vec<i64> {
    let of = |request: &&(i64, Request)| request.1.address == address && request.1.function.writes();
    device.asked.iter().filter(of).map(|(at, _)| *at).collect()
}

/// The most writes within any 24 hours.
fn most_in_a_day(times: &[i64]) -> usize {
    let within = |first: &i64| times.iter().filter(|at| (*first..*first + DAY).contains(at)).count();
    times.iter().map(within).max().unwrap_or(0)
}

#[test]
fn d18_a_week_of_taking_and_giving_back_with_restarts_stays_within_ten_writes_a_day() {
    let mut bench = stored(Vec::new(), device(), Mono(0));
    let mut refused = 0;
    for turn in 0..7 * 24 * 4 {
        let now = bench.now;
        let order = DeviceOrder { expires: now + Span::secs(30), ..power(900, turn, now) };
        bench.order(order);
        bench.leap(Mono(now.0 + HOUR / 8));
        bench.order(DeviceOrder { phase: OrderPhase::Release, expires: bench.now + Span::secs(30), ..order });
        bench.leap(Mono(now.0 + HOUR / 4));
        refused += bench.results().iter().filter(|(_, result, _)| *result == Err(Failure::WornOut)).count();
        assert_eq!(
            bench.device.words[&(1, 20)],
            1,
            "what was taken was given back, also at the end of the budget"
        );
        bench.events.clear();
        if turn % 5 == 0 {
            // The next run is told by a store, as text, and its clock begins elsewhere.
            let told = serde_json::to_string(&bench.session.wear()).unwrap();
            let wear = serde_json::from_str(&told).unwrap();
            bench = stored(wear, bench.device, bench.now);
        }
    }
    let times = times(&bench.device, 20);
    assert_eq!(most_in_a_day(&times), 10);
    assert!(times.len() >= 7 * 10 - 2, "and the budget comes back: {}", times.len());
    assert!(refused > 500, "{refused}");
}

#[test]
fn d18_a_register_that_wears_is_never_refreshed() {
    let mut bench = stored(Vec::new(), device(), Mono(0));
    for turn in 0..2_000 {
        bench.order(relay(turn >= 1_000, bench.now));
        if turn % 100 == 0 {
            bench.session.reconnected(bench.now);
        }
        let next = bench.now + Span::secs(20);
        bench.leap(next);
    }
    assert_eq!(times(&bench.device, 30).len(), 1, "one change in eleven hours, with twenty new connections");
    assert!(bench.results().iter().all(|(_, result, _)| result.is_ok()));
}

#[test]
fn d18_beyond_its_budget_a_register_is_left_alone_and_a_person_is_told() {
    let mut bench = stored(Vec::new(), device(), Mono(0));
    for turn in 0..8 {
        bench.order(relay(turn % 2 == 0, bench.now));
        let next = bench.now + Span::secs(60);
        bench.leap(next);
    }
    assert_eq!(times(&bench.device, 30).len(), 4, "the definition allows four");
    assert_eq!(bench.device.words[&(1, 30)], 0, "the last one opened it");
    let worn = bench.results().iter().filter(|(_, result, _)| *result == Err(Failure::WornOut)).count();
    assert_eq!(worn, 2, "two orders to close it again");
    let warnings: Vec<String> = bench.session.warnings().collect();
    assert!(warnings.len() == 1 && warnings[0].starts_with("register 30 "), "{warnings:?}");
    bench.leap(Mono(DAY + HOUR));
    bench.order(relay(true, bench.now));
    let next = bench.now + Span::secs(60);
    bench.leap(next);
    assert_eq!(bench.device.words[&(1, 30)], 1, "once they are a day ago it may be written again");
    assert_eq!(bench.session.warnings().count(), 0);
}

#[test]
fn d18_another_who_keeps_undoing_the_mode_does_not_make_us_wear_it_out() {
    let mut bench = stored(Vec::new(), device(), Mono(0));
    for turn in 0..3 * 24 * 60 {
        let now = bench.now;
        bench.order(DeviceOrder { expires: now + Span::secs(30), ..power(900, turn, now) });
        bench.leap(now + Span::secs(61));
        bench.device.set(1, 20, &[1]);
    }
    let times = times(&bench.device, 20);
    assert_eq!(most_in_a_day(&times), 9, "one is kept to give back");
}

#[test]
fn d18_a_write_that_was_refused_wears_nothing_and_one_without_answer_counts() {
    let mut bench = stored(Vec::new(), device(), Mono(0));
    bench.device.unanswered = 1;
    bench.order(relay(true, bench.now));
    bench.leap(Mono(1_000));
    assert_eq!(bench.session.wear()[0].writes.len(), 1);
    let mut bench = stored(Vec::new(), Device::default(), Mono(0));
    bench.order(relay(true, bench.now));
    bench.leap(Mono(1_000));
    assert_eq!(bench.results(), [(0, Err(Failure::Exception(2)), false)]);
    assert_eq!(bench.session.wear()[0].writes, []);
}

#[test]
fn d18_orders_to_a_unit_that_is_away_neither_cost_writes_nor_give_any_back() {
    let mut bench = stored(Vec::new(), device(), Mono(0));
    bench.order(relay(true, bench.now));
    bench.leap(Mono(1_000));
    bench.device.refuses = Some((1, 30, 11));
    for turn in 2..100 {
        bench.order(relay(turn % 2 == 1, bench.now));
        bench.leap(Mono(turn * 1_000));
    }
    assert_eq!(bench.session.wear()[0].writes.len(), 1, "the first one still counts");
    assert_eq!(times(&bench.device, 30).len(), 1, "what says that it is not there is not written to unseen");
}

#[test]
fn d18_a_memory_that_cannot_be_does_not_lock_a_register_for_ever() {
    let record = |unit: &str, at: i64| WearRecord {
        unit: unit.to_owned(),
        address: 30,
        writes: vec![Mono(at); 70_000],
    };
    let wear =
        vec![record("nobody", 0), record("main", i64::MAX), record("main", i64::MIN), record("main", DAY)];
    for record in wear {
        let mut bench = stored(vec![record], device(), Mono(0));
        bench.order(relay(true, bench.now));
        bench.leap(Mono(DAY + HOUR));
        bench.order(relay(true, bench.now));
        let next = bench.now + Span::secs(10);
        bench.leap(next);
        assert_eq!(bench.device.words[&(1, 30)], 1);
    }
}
