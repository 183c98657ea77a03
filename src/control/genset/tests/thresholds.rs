//! Conditions, delays, quiet hours, loss of a source.

use super::*;

#[test]
fn g01_thresholds_are_inclusive() {
    check(
        GeneratorPolicy { soc: soc(60, 70, 0, 0), ..base() },
        "
        at  soc  | cmd why
        0   60.1 | 0   none
        10  60   | 1   soc
        20  69.9 | 1   soc
        30  70   | 0   none
        40  70   | 0   none
    ",
    );
}

#[test]
fn g02_start_and_stop_wait_for_their_delays() {
    check(
        GeneratorPolicy { soc: soc(60, 70, 60, 60), ..base() },
        "
        at  soc | cmd why
        0   60  | 0   none
        60  60  | 1   soc
        200 90  | 1   soc
        260 90  | 0   none
        300 90  | 0   none
    ",
    );
}

#[test]
fn g03_one_contrary_sample_starts_the_delay_anew() {
    check(
        GeneratorPolicy { soc: soc(30, 70, 60, 60), ..base() },
        "
        at  soc | cmd
        0   29  | 0
        30  31  | 0
        31  29  | 0
        61  31  | 0
        62  29  | 0
        92  31  | 0
        93  29  | 0
        123 31  | 0
        124 29  | 0
        154 31  | 0
        155 29  | 0
        215 29  | 1
        250 29  | 1
    ",
    );
}

#[test]
fn g04_a_gap_shorter_than_the_loss_time_out_does_not_reset_a_start_delay() {
    check(
        GeneratorPolicy { soc: soc(30, 70, 60, 0), ..base() },
        "
        at  soc | cmd
        0   29  | 0
        30  -   | 0
        50  29  | 0
        60  29  | 1
        70  29  | 1
    ",
    );
}

#[test]
fn g04_but_the_start_waits_for_a_fresh_sample() {
    for silence in ["-", "?"] {
        let table = format!(
            "
            at  soc | cmd
            0   29  | 0
            30  {silence}   | 0
            90  29  | 1
            99  29  | 1
        "
        );
        check(GeneratorPolicy { soc: soc(30, 70, 60, 0), ..base() }, &table);
    }
}

#[test]
fn g08_between_the_thresholds_nothing_changes() {
    check(
        GeneratorPolicy { load: condition(3_000, 1_500, 20, 20), ..base() },
        "
        at  load | cmd why
        0   3300 | 0   none
        20  3300 | 1   load
        30  2000 | 1   load
        130 1500 | 1   load
        150 1500 | 0   none
        200 1500 | 0   none
    ",
    );
}

#[test]
fn g10_charging_never_starts_the_set_and_stops_it() {
    check(
        GeneratorPolicy { current: milli(50, 20, 20, 20), ..base() },
        "
        at  ibat | cmd why
        0   60   | 0   none
        20  60   | 1   current
        60  -40  | 1   current
        80  -40  | 0   none
        100 -60  | 0   none
        300 -60  | 0   none
    ",
    );
}

#[test]
fn g11_low_voltage_starts_and_high_voltage_stops() {
    check(
        GeneratorPolicy { voltage: milli(48, 54, 30, 30), ..base() },
        "
        at  vbat | cmd why
        0   47.9 | 0   none
        30  47.9 | 1   voltage
        60  53.9 | 1   voltage
        260 54.0 | 1   voltage
        290 54.0 | 0   none
        320 54.0 | 0   none
    ",
    );
}

#[test]
fn g12_reasons_take_over_from_each_other_without_a_stop() {
    check(
        GeneratorPolicy {
            soc: soc(60, 70, 0, 0),
            load: condition(1_100, 600, 0, 0),
            current: milli(60, 30, 0, 0),
            voltage: condition(11_500, 13_700, 0, 0),
            ..base()
        },
        "
        at  soc load ibat vbat | cmd why
        0   60  2050 60   11.5 | 1   soc
        10  70  .    .    .    | 1   load
        20  .   600  .    .    | 1   current
        30  .   .    30   .    | 1   voltage
        40  .   .    .    15   | 0   none
    ",
    );
}

#[test]
fn g19_nothing_configured_never_starts() {
    check(
        base(),
        "
        at   soc load  | cmd
        0    1   10000 | 0
        3600 1   10000 | 0
    ",
    );
}

#[test]
fn g20_a_sentinel_neither_starts_nor_stops() {
    check(
        GeneratorPolicy { soc: soc(30, 70, 0, 0), ..base() },
        "
        at  soc | cmd why
        0   ?   | 0   none
        100 29  | 1   soc
        110 ?   | 1   soc
        400 50  | 1   soc
        410 70  | 0   none
    ",
    );
}

#[test]
fn g30_quiet_hours_change_the_thresholds_at_once_but_not_the_floor() {
    let mut condition = soc(30, 70, 0, 0).unwrap();
    condition.quiet = Some((1_000, 2_000));
    check(
        GeneratorPolicy { soc: Some(condition), quiet: Some(QUIET), min_run: Span::secs(1_800), ..base() },
        "
        at   time  soc | cmd why   quiet
        0    20:59 29  | 1   soc   0
        10   .     35  | 1   soc   0
        50   21:00 35  | 1   floor 1
        1800 .     35  | 0   none  1
        1900 .     35  | 0   none  1
    ",
    );
}

#[test]
fn g63_each_set_of_thresholds_rules_its_own_hours() {
    let mut condition = soc(30, 70, 0, 0).unwrap();
    condition.quiet = Some((1_000, 2_000));
    check(
        GeneratorPolicy { soc: Some(condition), quiet: Some(QUIET), ..base() },
        "
        at  time  soc | cmd
        0   20:00 29  | 1
        10  .     35  | 1
        50  21:00 35  | 0
        60  .     29  | 0
        100 .     10  | 1
        110 .     15  | 1
        500 06:00 15  | 1
        510 .     69  | 1
        520 .     70  | 0
    ",
    );
}

#[test]
fn g64_quiet_hours_are_half_open_and_cross_midnight() {
    let at = |second: i64| quiet(Some(QUIET), Some(Wall { utc: second, offset: 0, valid: true }));
    let evening = 21 * 3_600;
    let morning = 6 * 3_600;
    for second in [evening, 86_399, 0, morning - 1] {
        assert!(at(second), "{second}");
    }
    for second in [evening - 1, morning, 12 * 3_600] {
        assert!(!at(second), "{second}");
    }
    assert!(!quiet(Some(QUIET), Some(Wall { utc: 0, offset: 0, valid: false })), "an untrusted clock");
    assert!(!quiet(Some(QUIET), None));
    // Local time, not UTC.
    assert!(quiet(Some(QUIET), Some(Wall { utc: evening - 7_200, offset: 7_200, valid: true })));
}

#[test]
fn blocking_quiet_hours_forbid_a_start_and_forget_what_was_wanted_in_them() {
    let policy = GeneratorPolicy { soc: soc(30, 70, 0, 0), quiet: Some(QUIET), quiet_blocks: true, ..base() };
    check(
        policy,
        "
        at  time  soc | cmd why
        0   22:00 29  | 0   quiet
        50  .     35  | 0   none
        100 06:00 35  | 0   none
        200 .     30  | 1   soc
        300 21:00 35  | 1   soc
        400 .     70  | 0   none
        410 .     30  | 0   quiet
        420 06:00 30  | 1   soc
    ",
    );
}

#[test]
fn g31_losing_the_source_of_a_run_stops_it_when_loss_stops() {
    check(
        GeneratorPolicy { current: milli(60, 30, 0, 0), ..base() },
        "
        at  ibat | cmd why
        0   60   | 1   current
        10  -    | 1   current
        309 -    | 0   none
        400 45   | 0   none
    ",
    );
}

#[test]
fn g32_losing_the_source_of_a_run_keeps_it_when_loss_keeps() {
    check(
        GeneratorPolicy { current: milli(60, 30, 0, 0), on_loss: OnLoss::Keep, ..base() },
        "
        at   ibat | cmd why
        0    60   | 1   current
        10   -    | 1   current
        309  -    | 1   loss
        1300 45   | 1   current
        1310 30   | 0   none
    ",
    );
}

#[test]
fn a_resting_set_stays_at_rest_when_loss_keeps() {
    check(
        GeneratorPolicy { soc: soc(30, 70, 0, 0), on_loss: OnLoss::Keep, ..base() },
        "
        at   soc | cmd
        0    50  | 0
        10   -   | 0
        1300 -   | 0
    ",
    );
}

#[test]
fn g33_losing_a_source_starts_the_set_when_loss_starts() {
    check(
        GeneratorPolicy { current: milli(60, 30, 0, 0), on_loss: OnLoss::Start, ..base() },
        "
        at  ibat | cmd why
        0   -    | 0   none
        300 -    | 1   loss
        400 -    | 1   loss
    ",
    );
}

#[test]
fn g35_another_healthy_condition_does_not_hide_a_loss() {
    check(
        GeneratorPolicy {
            soc: soc(30, 70, 0, 0),
            load: condition(5_000, 100, 0, 0),
            on_loss: OnLoss::Start,
            ..base()
        },
        "
        at  soc load | cmd why
        0   -   1950 | 0   none
        300 -   1950 | 1   loss
        310 -   1950 | 1   loss
    ",
    );
}

#[test]
fn g40_a_start_for_loss_ends_with_the_loss_unless_a_condition_holds() {
    let policy = GeneratorPolicy { soc: soc(30, 70, 0, 0), on_loss: OnLoss::Start, ..base() };
    check(
        policy.clone(),
        "
        at  soc | cmd why
        0   -   | 0   none
        300 -   | 1   loss
        400 50  | 0   none
    ",
    );
    check(
        policy,
        "
        at  soc | cmd why
        0   -   | 0   none
        300 -   | 1   loss
        400 25  | 1   soc
        410 50  | 1   soc
    ",
    );
}

#[test]
fn a_loss_keeps_what_a_condition_wanted_and_not_what_only_the_floor_held() {
    check(
        GeneratorPolicy { on_loss: OnLoss::Keep, ..floor(600) },
        "
        at  soc | cmd why
        0   29  | 1   soc
        10  71  | 1   floor
        20  -   | 1   floor
        600 -   | 0   none
        700 -   | 0   none
    ",
    );
}
