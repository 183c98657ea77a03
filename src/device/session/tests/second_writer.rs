//! Two controllers on one device: another's writes are found, and what a device does by itself is nobody's.

use super::*;

/// A small inverter: one value to read, one setpoint that lapses after 45 s.
const SMALL: &str = r#"
schema = 1
maker = "m"
model = "m"
source = "s"
[[point]]
signal = "grid.power"
at = "holding:0"
as = "i16"
unit = "W"
pace = "fast"
source = "s"
words = { raw = [5], value = 5, origin = "constructed" }
[control.grid-setpoint]
refresh = "20s"
watchdog = "45s"
if-lost = "it stops"
source = "s"
[[control.grid-setpoint.command]]
at = "holding:10"
function = 16
fields = [{ value = "setpoint", as = "i32" }]
persistence = "cyclic"
readback = { after = "300ms" }
[[control.grid-setpoint.release]]
at = "holding:10"
function = 16
fields = [{ value = 0, as = "i32" }]
persistence = "cyclic"
"#;

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

fn small() -> Bench {
    let mut device = Device::default();
    device.set(1, 0, &[5]);
    device.set(1, 10, &[0, 0]);
    let options = SessionOptions { pace: Some(Span::secs(20)), ..controlling(1) };
    Bench::of(SMALL, options, device)
}

fn setpoint(watts: i32, now: Mono) -> DeviceOrder {
    let values = Values { setpoint: Watts(watts), ..Values::default() };
    command(ControlKind::GridSetpoint, values, 0, now + Span::secs(8))
}

fn i32_words(value: i32) -> [u16; 2] {
    let [a, b, c, d] = value.to_be_bytes();
    [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
}

fn of(words: &[u16]) -> i32 {
    let [[a, b], [c, d]] = [words[0].to_be_bytes(), words[1].to_be_bytes()];
    i32::from_be_bytes([a, b, c, d])
}

/// When something foreign was seen, where, and what.
fn foreign(bench: &Bench) -> Vec<(i64, u16, i64)> {
    let seen = |event: &SessionEvent| match event {
        SessionEvent::Foreign { address, found, at, .. } => Some((at.0, *address, *found)),
        SessionEvent::Heard(_) | SessionEvent::Wrote { .. } => None,
    };
    bench.events.iter().filter_map(seen).collect()
}

/// Repeatable chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % u64::try_from(bound).unwrap()).unwrap()
    }
}

/// What happens to device or line.
type Act<'a> = &'a mut dyn FnMut(&mut Bench);

/// Orders at a pace and something else at another, side by side. Orders come 20 ms after their tick, as decisions do.
fn both(
    bench: &mut Bench,
    until: Mono,
    (pace, order): (i64, &mut dyn FnMut(Mono) -> DeviceOrder),
    (first, every, other): (i64, i64, Act<'_>),
) {
    let (mut ordered, mut acts) = (bench.now.0 / pace * pace + 20, first);
    while bench.now < until {
        bench.leap(Mono(ordered.min(acts)).min(until));
        if bench.now.0 == acts {
            other(bench);
            acts += every;
        }
        if bench.now.0 == ordered {
            let order = order(bench.now);
            bench.order(order);
            ordered += pace;
        }
    }
}

#[test]
fn m1_a_cloud_that_writes_every_seven_seconds_is_found_within_two_looks() {
    for (pace, steady) in [(1_000, false), (1_000, true), (3_000, false), (3_000, true), (30_000, true)] {
        for offset in 0..7 {
            let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
            let first = 60_000 + 50 + offset * 1_111;
            both(
                &mut bench,
                Mono(3 * MINUTE),
                (pace, &mut |now| {
                    let watts = if steady { 700 } else { 700 + i32::try_from(now.0 / 1_000).unwrap() };
                    let expires = now + Span::secs(40);
                    DeviceOrder { expires, ..setpoint(watts, now) }
                }),
                (first, 7_300, &mut |bench| bench.device.set(100, 2716, &i32_words(-2_000))),
            );
            let seen = foreign(&bench);
            let found_in = seen.first().unwrap().0 - first;
            assert!(found_in <= 10_000, "{found_in} ms, {pace} {offset}");
            assert!(seen[1].0 - seen[0].0 <= 60_000, "twice in a minute: {seen:?}");
            assert!(
                seen.iter()
                    .all(|(at, address, found)| { *at >= first && *address == 2716 && *found == -2_000 }),
                "{seen:?}"
            );
        }
    }
}

#[test]
fn m1_one_who_writes_zero_is_told_from_a_restart_by_doing_it_again() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(3), gx());
    let order = |now: Mono| DeviceOrder { expires: now + Span::secs(8), ..power(900, 0, now) };
    both(
        &mut bench,
        Mono(2 * MINUTE),
        (3_000, &mut { order }),
        (30_500, 7_300, &mut |bench| bench.device.set(228, 96, &[0; 6])),
    );
    let seen = foreign(&bench);
    assert!(seen.len() >= 5, "{seen:?}");
    assert!((37_800..45_000).contains(&seen[0].0), "the first zero is forgiven: {seen:?}");
    assert_eq!((seen[0].1, seen[0].2), (96, 0));
}

#[test]
fn m1_somebody_who_writes_once_a_day_is_seen_once_each_time() {
    let mut bench = small();
    both(
        &mut bench,
        Mono(3 * DAY),
        (10_000, &mut |now| setpoint(400 + i32::try_from(now.0 % 7_000).unwrap() / 1_000, now)),
        (DAY / 2 + 4_321, DAY, &mut |bench| bench.device.set(1, 10, &i32_words(-9_999))),
    );
    let seen: Vec<i64> = foreign(&bench).iter().map(|(at, ..)| *at).collect();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for (day, at) in (0..).zip(seen) {
        let late = at - (DAY / 2 + 4_321 + day * DAY);
        assert!((0..=5_000).contains(&late), "{late}");
    }
}

#[test]
fn m1_a_device_that_clamps_or_rounds_is_contradicted_and_never_foreign() {
    let mut bench = small();
    let mut dice = Dice(7);
    bench.device.reshapes = Some(|words| {
        words.copy_from_slice(&i32_words(of(words).clamp(-3_000, 3_000) / 10 * 10));
    });
    both(
        &mut bench,
        Mono(DAY),
        (10_000, &mut |now| setpoint(i32::try_from(dice.below(12_000)).unwrap() - 6_000, now)),
        (DAY, DAY, &mut |_| {}),
    );
    assert_eq!(foreign(&bench), []);
    let told = bench.results().iter().filter(|(_, _, contradicted)| *contradicted).count();
    assert!(told > 5_000, "{told}");
}

#[test]
fn m1_a_limit_inside_the_device_that_comes_and_goes_is_not_foreign() {
    let mut bench = small();
    bench.order(setpoint(2_000, bench.now));
    bench.leap(Mono(9_000));
    bench.device.reshapes = Some(|words| words.copy_from_slice(&[0, 1_500]));
    for minute in 1..10 {
        bench.order(setpoint(2_000, bench.now));
        bench.leap(Mono(9_000 + minute * 9_000));
    }
    assert_eq!(foreign(&bench), []);
    assert_eq!(bench.results().iter().filter(|(_, _, contradicted)| *contradicted).count(), 9);
}

#[test]
fn m1_a_device_that_ramps_what_it_shows_is_not_foreign_to_itself() {
    let mut bench = small();
    for turn in 0..20 {
        let (before, wanted) = if turn % 2 == 0 { (1_000, 5_000) } else { (5_000, 1_000) };
        bench.device.reshapes = Some(|words| words.copy_from_slice(&[0, 3_000]));
        bench.order(setpoint(wanted, bench.now));
        let next = bench.now + Span::secs(2);
        bench.leap(next);
        bench.device.set(1, 10, &i32_words(wanted));
        let next = bench.now + Span::secs(15);
        bench.leap(next);
        assert_eq!(foreign(&bench), [], "from {before} to {wanted}");
    }
}

#[test]
fn m1_one_who_is_quicker_than_our_reading_back_is_found_once_the_words_were_seen_to_be_taken() {
    let mut bench = small();
    bench.order(setpoint(500, bench.now));
    bench.leap(Mono(5_000));
    bench.device.reshapes = Some(|words| words.copy_from_slice(&i32_words(-800)));
    for turn in 1..4 {
        bench.order(setpoint(500, bench.now));
        bench.leap(Mono(5_000 + turn * 5_000));
    }
    let seen = foreign(&bench);
    assert!(seen.len() == 3 && seen[0].0 <= 10_000, "one for each of our writes: {seen:?}");
    assert!(bench.results().iter().all(|(_, _, contradicted)| !contradicted), "it is the other's doing");
}

/// A month of everything that a device and a line do by themselves.
#[test]
fn m1_a_month_of_restarts_outages_lost_answers_and_limits_gives_no_false_alarm() {
    let mut bench = small();
    let mut dice = Dice(41);
    let mut watts = Dice(11);
    let mut trouble = |bench: &mut Bench| match dice.below(48) {
        // It starts anew in silence, or so fast that nobody notices.
        0 => {
            bench.device.silent.insert(1);
            bench.device.set(1, 10, &[0, 0]);
        }
        1 => bench.device.set(1, 10, &[0, 0]),
        // The line is away for longer than the watchdog, and the device falls back to a setpoint of its own.
        2 => {
            bench.device.silent.insert(1);
            bench.device.set(1, 10, &[0, 777]);
        }
        3 => bench.session.reconnected(bench.now),
        4 => bench.device.unanswered = 2,
        5 => {
            bench.device.reshapes =
                Some(|words| words.copy_from_slice(&i32_words(of(words).clamp(-300, 800))))
        }
        _ => {}
    };
    both(
        &mut bench,
        Mono(30 * DAY),
        (20_000, &mut |now| setpoint(i32::try_from(watts.below(4)).unwrap() * 1_000 - 1_500, now)),
        (MINUTE, 2 * MINUTE + 17_137, &mut |bench| {
            if bench.device.silent.remove(&1) {
                bench.session.reconnected(bench.now);
            }
            bench.device.reshapes = None;
            trouble(bench);
            bench.events.retain(|event| matches!(event, SessionEvent::Foreign { .. }));
            bench.device.asked.clear();
        }),
    );
    assert_eq!(foreign(&bench), []);
}

#[test]
fn m1_nothing_is_foreign_that_is_not_commanded() {
    let mut bench = small();
    bench.leap(Mono(20_000));
    bench.device.set(1, 10, &[0, 4_000]);
    bench.leap(Mono(40_000));
    bench.order(setpoint(500, bench.now));
    bench.leap(Mono(41_000));
    let release = DeviceOrder { phase: OrderPhase::Release, ..setpoint(0, bench.now) };
    bench.order(release);
    bench.leap(Mono(50_000));
    bench.device.set(1, 10, &[0, 4_000]);
    bench.leap(Mono(90_000));
    assert_eq!(foreign(&bench), [], "before the first order and after release");
    bench.order(setpoint(500, bench.now));
    bench.leap(bench.now + Span::secs(46));
    bench.device.set(1, 10, &[0, 4_000]);
    let asked = bench.device.asked.len();
    bench.leap(bench.now + Span::secs(60));
    assert_eq!(foreign(&bench), [], "the watchdog has lapsed");
    let looks = |request: &&(i64, Request)| request.1.address == 10;
    assert_eq!(bench.device.asked[asked..].iter().filter(looks).count(), 0, "nor is it looked at");
}

#[test]
fn m1_a_commanded_model_that_leaves_the_chain_is_not_looked_for() {
    let mut bench = Bench::new("pv/sunspec", controlling(3), pv());
    bench.leap(Mono(2_000));
    bench.order(limit(Some(3_000), 1));
    bench.leap(Mono(4_000));
    bench.device.words.clear();
    bench.device.set(1, 40_000, &Chain::blank(&[1, 120, 103, 121]).1);
    bench.leap(Mono(MINUTE));
    assert_eq!(foreign(&bench), []);
}

#[test]
fn m1_a_mode_that_somebody_changes_is_named_when_setup_finds_it() {
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    let order = |now: Mono| DeviceOrder { expires: now + Span::secs(8), ..power(900, 0, now) };
    both(
        &mut bench,
        Mono(3 * MINUTE),
        (3_000, &mut { order }),
        (30_500, DAY, &mut |bench| bench.device.set(100, 2902, &[1])),
    );
    assert_eq!(foreign(&bench).iter().map(|seen| (seen.1, seen.2)).collect::<Vec<_>>(), [(2902, 1)]);
    assert_eq!(bench.device.words[&(100, 2902)], 3, "and the order that found it is carried out");
}

#[test]
fn m1_looking_costs_nothing_where_a_poll_brings_the_register_and_one_read_each_tick_where_none_does() {
    let reads = |bench: &Bench, address: u16| {
        let of = |request: &&(i64, Request)| request.1.address == address && !request.1.function.writes();
        i64::try_from(bench.device.asked.iter().filter(of).count()).unwrap()
    };
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    let hold = |now: Mono| DeviceOrder { expires: now + Span::secs(40), ..setpoint(300, now) };
    both(&mut bench, Mono(5 * MINUTE), (30_000, &mut { hold }), (DAY, DAY, &mut |_| {}));
    assert_eq!(reads(&bench, 2716), 60 + 10, "the polls every 5 s and ten reads after a write");
    let mut bench = Bench::new("inverters/victron-gx", controlling(1), gx());
    let order = |now: Mono| DeviceOrder { expires: now + Span::secs(8), ..power(900, 0, now) };
    both(&mut bench, Mono(5 * MINUTE), (1_000, &mut { order }), (DAY, DAY, &mut |_| {}));
    let (looks, definition) = (reads(&bench, 96) - 300, bench.session.definition());
    assert!(looks <= 300, "{looks} reads beside those after the 300 writes");
    assert_eq!(crate::device::session::looks(definition), 1, "what the poll plan counts for them");
}
