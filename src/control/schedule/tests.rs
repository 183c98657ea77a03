//! Windows, plan and outages against tables of moments and charges.

#![allow(clippy::arithmetic_side_effects, reason = "tables are small numbers")]

use super::*;
use crate::control::policy::{BatteryPolicy, Outage, PlanSlot, ScheduleWindow, Steer};
use crate::control::units::{Span, WattHours};

/// 2026-03-29 00:00 UTC, a Sunday: at 01:00 UTC Berlin goes from +1 to +2 hours.
const SPRING: i64 = 1_774_742_400;
/// 2026-10-25 00:00 UTC, a Sunday: at 01:00 UTC Berlin goes from +2 to +1 hours.
const AUTUMN: i64 = 1_792_886_400;
/// 2026-06-01 00:00 UTC, a Monday.
const JUNE: i64 = 1_780_272_000;

/// Seconds of `h:mm` or `h:mm:ss`.
fn clock(text: &str) -> i64 {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().unwrap());
    let mut next = || parts.next().unwrap_or(0);
    next() * 3_600 + next() * 60 + next()
}

fn centi(text: &str) -> Soc {
    let (whole, tenths) = text.split_once('.').unwrap_or((text, "0"));
    Soc::from_centi(format!("{whole}{tenths}0").parse().unwrap()).unwrap()
}

fn daily(start: &str, minutes: i64, target: u16) -> ScheduleWindow {
    ScheduleWindow {
        days: 0b111_1111,
        start: i32::try_from(clock(start)).unwrap(),
        duration: Span::minutes(minutes),
        target: Soc::percent(target),
        allow_discharge: false,
    }
}

/// Berlin's offset in 2026.
fn berlin(utc: i64) -> i32 {
    if (SPRING + 3_600..AUTUMN + 3_600).contains(&utc) { 7_200 } else { 3_600 }
}

/// One line per moment: UTC time of day, then the places of windows that are open.
#[track_caller]
fn check_windows(windows: &[ScheduleWindow], midnight: i64, table: &str) {
    let mut memory = Windows::default();
    let mut utc = midnight - 600;
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (time, expected) = line.split_once(' ').unwrap();
        let mut open = None;
        while utc <= midnight + clock(time) {
            let wall = Wall { utc, offset: berlin(utc), valid: true };
            open = memory.step(windows, false, wall);
            utc += 1;
        }
        let found = open.map_or("-".to_owned(), |open| open.place.to_string());
        assert_eq!(found, expected.trim(), "{line}");
    }
}

#[test]
fn a_window_is_open_from_its_local_start_for_its_length_also_across_midnight() {
    check_windows(
        &[daily("23:50", 20, 100)],
        JUNE,
        "06:00    -
         21:49:59 -
         21:50    0
         22:00    0
         22:09:59 0
         22:10    -",
    );
}

#[test]
fn a_window_opens_only_on_its_days_and_those_count_where_it_begins() {
    // Mondays, 23:30 local for two hours: 21:30 UTC.
    let window = ScheduleWindow { days: 1, ..daily("23:30", 120, 100) };
    check_windows(
        &[window],
        JUNE,
        "00:00    -
         21:29:59 -
         21:30    0
         23:29:59 0
         23:30    -
         45:30    -",
    );
}

#[test]
fn t3_a_start_in_the_skipped_hour_is_the_first_valid_moment_and_lasts_its_length() {
    check_windows(
        &[daily("02:10", 15, 100)],
        SPRING,
        "00:10    -
         00:59:59 -
         01:00    0
         01:14:59 0
         01:15    -",
    );
}

#[test]
fn a_window_over_the_skipped_hour_lasts_as_long_as_it_says() {
    // 01:00 local is 00:00 UTC; three hours later the clock on the wall says 05:00.
    check_windows(
        &[daily("01:00", 180, 100)],
        SPRING,
        "00:00    0
         01:30    0
         02:59:59 0
         03:00    -",
    );
}

#[test]
fn t3_in_the_repeated_hour_only_the_first_pass_opens_a_window() {
    check_windows(
        &[daily("02:15", 30, 100)],
        AUTUMN,
        "00:14:59 -
         00:15    0
         00:44:59 0
         00:45    -
         01:15    -
         01:30    -
         25:14:59 -
         25:15    0",
    );
}

/// How often a daily window opens over the three days around a change of the clocks, looked at every five minutes.
fn openings(zone: &jiff::tz::TimeZone, change: jiff::Timestamp, window: ScheduleWindow) -> usize {
    let offset = |utc: i64| zone.to_offset(jiff::Timestamp::from_second(utc).unwrap()).seconds();
    let day = change.to_zoned(zone.clone()).date();
    let first = day.yesterday().unwrap().to_zoned(zone.clone()).unwrap().timestamp().as_second();
    let last = day.tomorrow().unwrap().tomorrow().unwrap().to_zoned(zone.clone()).unwrap();
    let mut memory = Windows::default();
    let mut opened = 0;
    let mut was_open = false;
    let mut utc = first - 300;
    while utc < last.timestamp().as_second() {
        let open = memory.step(&[window], false, Wall { utc, offset: offset(utc), valid: true }).is_some();
        // What the days before began is still open at the first look.
        opened += usize::from(open && !was_open && utc >= first);
        was_open = open;
        utc += 300;
    }
    opened
}

#[test]
fn t3_a_daily_window_opens_once_a_day_at_every_change_of_the_clocks_of_twenty_years() {
    let zones = [
        "Europe/Berlin",
        "Europe/London",
        "Europe/Lisbon",
        "Atlantic/Azores",
        "America/New_York",
        "America/Los_Angeles",
        "America/St_Johns",
        "America/Santiago",
        "Africa/Cairo",
        "Australia/Sydney",
        "Australia/Lord_Howe",
        "Pacific/Auckland",
    ];
    let mut changes = 0;
    for name in zones {
        let zone = jiff::tz::TimeZone::get(name).unwrap();
        let from: jiff::Timestamp = "2020-01-05T00:00:00Z".parse().unwrap();
        let until: jiff::Timestamp = "2040-12-20T00:00:00Z".parse().unwrap();
        for transition in zone.following(from).take_while(|transition| transition.timestamp() < until) {
            changes += 1;
            for start in ["0:00", "2:00", "2:30", "23:50"] {
                let count = openings(&zone, transition.timestamp(), daily(start, 20, 80));
                assert_eq!(count, 3, "{name}, {}, window at {start}", transition.timestamp());
            }
        }
    }
    assert!(changes > 12 * 20, "{changes} changes");
}

#[test]
fn of_two_open_windows_the_higher_target_counts_unless_compatible() {
    let windows = [daily("02:00", 60, 50), daily("02:00", 60, 80), daily("02:00", 60, 80)];
    let wall = Wall { utc: JUNE + 600, offset: 7_200, valid: true };
    let place = |first_wins| Windows::default().step(&windows, first_wins, wall).map(|open| open.place);
    assert_eq!((place(false), place(true)), (Some(1), Some(0)));
}

#[test]
fn the_next_window_is_the_next_local_beginning_on_one_of_its_days() {
    let sundays = ScheduleWindow { days: 0b100_0000, ..daily("02:00", 60, 100) };
    let monday = JUNE + 10 * 3_600;
    let at = |local: i64| Wall { utc: local - 7_200, offset: 7_200, valid: true };
    for (windows, now, expected) in [
        (vec![daily("12:00", 60, 100)], monday, Some(JUNE + 12 * 3_600)),
        (vec![daily("10:00", 60, 100)], monday, Some(JUNE + 34 * 3_600)),
        (vec![sundays, daily("09:00", 60, 100)], monday, Some(JUNE + 33 * 3_600)),
        (vec![sundays], monday, Some(JUNE + 6 * 86_400 + 7_200)),
        (vec![sundays], JUNE + 6 * 86_400 + 7_200, Some(JUNE + 13 * 86_400 + 7_200)),
        (vec![], monday, None),
    ] {
        assert_eq!(window::next(&windows, at(now)), expected);
    }
}

/// What a claim wants with 1000 W of DC PV.
fn act(act: Act) -> String {
    match act {
        Act::Charge => "charge".to_owned(),
        Act::Hold(share) => Watts(1_000).scaled(share, 10_000).0.to_string(),
        Act::Free => "free".to_owned(),
        Act::Grid(setpoint) => format!("grid {setpoint}"),
        Act::Power(power) => power.to_string(),
    }
}

#[track_caller]
fn check_holding(claim: &mut dyn FnMut(Soc) -> Claim, table: &str) {
    for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (soc, expected) = line.split_once(' ').unwrap();
        assert_eq!(act(claim(centi(soc)).act), expected.trim(), "{line}");
    }
}

fn open(window: ScheduleWindow) -> window::Open {
    window::Open { place: 0, began: JUNE, window }
}

#[test]
fn a_window_charges_to_its_target_and_then_lets_through_what_pv_makes_less_its_losses() {
    let mut memory = Approach::default();
    check_holding(
        &mut |soc| window::claim(open(daily("00:00", 60, 70)), &mut memory, soc),
        "69.9 charge
         70 800
         70.3 845
         70.5 875
         71 950
         71.1 950
         75 950
         69 800
         65 800
         64.9 charge
         69.9 charge
         70 800",
    );
}

#[test]
fn a_window_that_allows_discharge_frees_the_battery_above_its_target() {
    let window = ScheduleWindow { allow_discharge: true, ..daily("00:00", 60, 70) };
    let mut memory = Approach::default();
    check_holding(
        &mut |soc| window::claim(open(window), &mut memory, soc),
        "69.9 charge
         70 800
         71 950
         71.1 free
         75 free
         69 800",
    );
}

#[test]
fn a_window_to_full_charges_to_its_end_and_a_changed_target_begins_anew() {
    let mut memory = Approach::default();
    let charges = |memory: &mut Approach, target, soc| {
        window::claim(open(daily("00:00", 60, target)), memory, Soc::percent(soc)).act == Act::Charge
    };
    assert!(charges(&mut memory, 100, 100));
    assert!(!charges(&mut memory, 70, 71));
    assert!(!charges(&mut memory, 70, 68));
    assert!(charges(&mut memory, 69, 68));
}

#[test]
fn preparation_for_an_outage_charges_to_its_level_and_holds_it() {
    let outage =
        Outage { start: JUNE, duration: Span::secs(20), prepare: Span::secs(30), min_soc: Soc::percent(50) };
    let mut memory = Approach::default();
    check_holding(
        &mut |soc| outage::claim(&outage, &mut memory, soc),
        "40 charge
         49 charge
         50 800
         49 800
         52 900
         54 free
         48 charge",
    );
}

#[test]
fn a_plan_moves_the_charge_at_the_rate_that_arrives_in_time() {
    let wall = |elapsed| Wall { utc: JUNE + elapsed, offset: 0, valid: true };
    let slot = |target| PlanSlot {
        start: JUNE,
        duration: Span::minutes(60),
        steer: Steer::to(Soc::percent(target)),
    };
    for (target, soc, elapsed, expected) in
        [(60, 50, 5, -1_001), (40, 50, 5, 1_001), (50, 50, 5, 0), (60, 50, 1_800, -2_000)]
    {
        let current = plan::current(&[slot(target)], wall(elapsed)).unwrap();
        let claim = PlanMemory::default().claim(current, Some(WattHours(10_000)), Soc::percent(soc)).unwrap();
        assert_eq!(claim.act, Act::Power(Watts(expected)), "{target} {soc} {elapsed}");
        assert_eq!(PlanMemory::default().claim(current, None, Soc::percent(soc)), None);
    }
    assert!(plan::current(&[slot(60)], wall(-1)).is_none());
    assert!(plan::current(&[slot(60)], wall(3_600)).is_none());
}

#[test]
fn a_plan_keeps_its_rate_until_the_charge_moves_and_rests_at_its_target() {
    let slot = PlanSlot { start: JUNE, duration: Span::minutes(60), steer: Steer::to(Soc::percent(60)) };
    let mut memory = PlanMemory::default();
    for (elapsed, soc, expected) in [
        (0, "50", -1_000),
        (60, "50", -1_000),
        (360, "50.1", -1_100),
        (3_000, "59.9", -60),
        (3_100, "60", 0),
        (3_110, "59.1", 0),
        (3_120, "61", 0),
        (3_240, "58.9", -1_100),
    ] {
        let wall = Wall { utc: JUNE + elapsed, offset: 0, valid: true };
        let current = plan::current(&[slot], wall).unwrap();
        let claim = memory.claim(current, Some(WattHours(10_000)), centi(soc)).unwrap();
        assert_eq!(claim.act, Act::Power(Watts(expected)), "{elapsed} {soc}");
    }
}

/// A window, a plan and an outage that are all due in the first hour of June.
fn all_three(guard: GuardKind) -> Policy {
    Policy {
        battery: BatteryPolicy { guard, capacity: Some(WattHours(10_000)), ..BatteryPolicy::default() },
        schedule: vec![daily("00:00", 60, 80)],
        plan: vec![PlanSlot { start: JUNE, duration: Span::minutes(60), steer: Steer::to(Soc::percent(60)) }],
        outage: vec![Outage {
            start: JUNE + 3_600,
            duration: Span::minutes(60),
            prepare: Span::minutes(60),
            min_soc: Soc::percent(90),
        }],
        ..Policy::default()
    }
}

/// States of schedule, plan and outage, and who has control, once.
fn standing(policy: &Policy, inputs: TimedInputs) -> (String, Option<&'static str>) {
    let mut view = TimedView::default();
    let claim = Timed::default().step(policy, inputs, Mono(1_000), &mut view);
    let states = [view.schedule, view.plan, view.outage].map(TimedState::name).join(" ");
    (states, claim.map(|claim| claim.reason.code()))
}

const GOOD: TimedInputs = TimedInputs {
    wall: Some(Wall { utc: JUNE + 10, offset: 0, valid: true }),
    soc: Some(Soc::percent(50)),
    free: true,
};

#[test]
fn one_has_control_and_the_others_say_that_they_are_blocked() {
    let compatible = all_three(GuardKind::VictronCompatible);
    let no_plan = Policy { plan: Vec::new(), ..compatible.clone() };
    let window_only = Policy { outage: Vec::new(), ..no_plan.clone() };
    let standard = all_three(GuardKind::Standard);
    let no_outage = Policy { outage: Vec::new(), ..standard.clone() };
    let plan_only = Policy { schedule: Vec::new(), ..no_outage.clone() };
    for (policy, states, code) in [
        (&compatible, "blocked active blocked", "plan"),
        (&no_plan, "blocked off preparing", "outage-prepare"),
        (&window_only, "active off off", "sched"),
        (&standard, "blocked blocked preparing", "outage-prepare"),
        (&no_outage, "active blocked off", "sched"),
        (&plan_only, "off active off", "plan"),
    ] {
        assert_eq!(standing(policy, GOOD), (states.to_owned(), Some(code)));
    }
}

#[test]
fn nothing_is_wanted_without_a_good_charge_a_valid_clock_and_a_grid_to_do_it_with() {
    let policy = all_three(GuardKind::Standard);
    let early = Wall { utc: JUNE - 7_200, offset: 0, valid: true };
    for (inputs, states) in [
        (TimedInputs { soc: None, ..GOOD }, "no-soc no-soc no-soc"),
        (TimedInputs { free: false, ..GOOD }, "mode mode mode"),
        (TimedInputs { wall: None, ..GOOD }, "no-clock no-clock no-clock"),
        (TimedInputs { wall: Some(early), ..GOOD }, "off off off"),
    ] {
        assert_eq!(standing(&policy, inputs), (states.to_owned(), None));
    }
    let unknown = Policy { battery: BatteryPolicy::default(), ..policy.clone() };
    let plan_only = Policy { schedule: Vec::new(), outage: Vec::new(), ..unknown };
    assert_eq!(standing(&plan_only, GOOD), ("off no-capacity off".to_owned(), None));
    assert_eq!(standing(&Policy::default(), GOOD), ("off off off".to_owned(), None));
}

#[test]
fn t2_a_doubted_clock_is_believed_again_when_it_was_valid_for_a_minute() {
    let mut trust = ClockTrust::default();
    // Monotonic second, the wall's second, what its source says of it, and whether we believe it.
    for (now, utc, valid, believed) in [
        (0, 0, true, true),
        (1, 1, true, true),
        (100, 219, true, true),
        (101, 500, true, false),
        (160, 559, true, false),
        (161, 560, true, true),
        (170, 569, false, false),
        (180, 579, true, false),
        (239, 638, true, false),
        (240, 639, true, true),
        (300, 639, true, true),
        (361, 639, true, false),
        (500, 639, true, false),
        (501, 900, true, false),
        (561, 960, true, true),
    ] {
        let wall = Wall { utc, offset: 0, valid };
        let found = trust.step(Some(wall), Mono::ZERO + Span::secs(now)).is_some();
        assert_eq!(found, believed, "at {now} s");
    }
}

/// The days on which a window of these days begins, by their local number since 1970, around a given day.
#[test]
fn ess_s30_day_codes_find_the_day_before_and_the_day_after() {
    let day = |text: &str| {
        let date: jiff::civil::Date = text.parse().unwrap();
        i64::from(date.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days())
    };
    let window = |days| ScheduleWindow {
        days,
        start: 43_200,
        duration: Span::minutes(30),
        target: Soc::FULL,
        allow_discharge: false,
    };
    let begins = |days, day: i64| {
        // Asked in the first second of the day: whether the next beginning is at noon of that same day.
        let wall = Wall { utc: day * 86_400, offset: 0, valid: true };
        window::next(&[window(days)], wall) == Some(day * 86_400 + 43_200)
    };
    let next =
        |days, from: &str| (0..40).map(|ahead| day(from) + ahead).find(|day| begins(days, *day)).unwrap();
    let previous =
        |days, from: &str| (1..40).map(|back| day(from) - back).find(|day| begins(days, *day)).unwrap();
    const SUNDAY: u8 = 1 << 6;
    const TUESDAY: u8 = 1 << 1;
    const SATURDAY: u8 = 1 << 5;
    const WORKDAY: u8 = 0b001_1111;
    const WEEKEND: u8 = 0b110_0000;
    const MONTHLY: u8 = 1 << 7;
    let wednesday = "2018-06-06";
    assert_eq!(next(SUNDAY, wednesday), day("2018-06-10"));
    assert_eq!(next(TUESDAY, wednesday), day("2018-06-12"));
    assert_eq!(next(SATURDAY, wednesday), day("2018-06-09"));
    assert_eq!(next(WORKDAY, wednesday), day(wednesday));
    assert_eq!(next(WEEKEND, wednesday), day("2018-06-09"));
    assert_eq!(previous(WORKDAY, wednesday), day("2018-06-05"));
    assert_eq!(previous(WEEKEND, wednesday), day("2018-06-03"));
    assert_eq!(next(WORKDAY, "2018-06-09"), day("2018-06-11"));
    assert_eq!(previous(WORKDAY, "2018-06-11"), day("2018-06-08"));
    assert_eq!(previous(MONTHLY, wednesday), day("2018-06-01"));
    assert_eq!(next(MONTHLY, wednesday), day("2018-07-01"));
}
