//! The engine's life: floor, warm-up, cool-down, attempts, losses, faults.

use super::*;

#[test]
fn g21_the_minimum_run_is_a_floor_and_the_set_runs_on_to_the_stop_charge() {
    let policy = GeneratorPolicy { soc: soc(30, 80, 0, 0), min_run: Span::secs(1_200), ..base() };
    let mut rig = Rig::new(policy);
    let mut charge = 30.0 * 3_600.0;
    for second in 0..=6_100 {
        rig.now = Mono::ZERO + Span::secs(second);
        rig.say("soc", &format!("{:.2}", charge / 3_600.0));
        let view = rig.step();
        assert_eq!(view.command, second < 6_000, "at {second} s with {:.2} %", charge / 3_600.0);
        if view.command {
            charge += 30.0;
        }
    }
    assert_eq!(rig.view.starts, 1);
}

#[test]
fn g23_a_condition_that_clears_early_waits_for_the_floor() {
    check(
        GeneratorPolicy { current: milli(60, 30, 0, 0), min_run: Span::secs(600), ..base() },
        "
        at  ibat | cmd why
        0   60   | 1   current
        5   0    | 1   floor
        600 0    | 0   none
        700 0    | 0   none
    ",
    );
}

#[test]
fn g24_a_reason_that_returns_within_the_floor_keeps_one_run() {
    check(
        floor(600),
        "
        at  soc | cmd why   starts
        0   29  | 1   soc   1
        100 71  | 1   floor 1
        500 29  | 1   soc   1
        900 71  | 0   none  1
    ",
    );
}

#[test]
fn g25_the_floor_contains_the_warm_up() {
    check(
        GeneratorPolicy { warm_up: Span::secs(300), ..floor(600) },
        "
        at  soc | cmd state    permit
        0   20  | 1   warm-up  0
        2   90  | 1   warm-up  0
        300 90  | 1   running  1
        600 90  | 0   stopped  1
        700 90  | 0   stopped  1
    ",
    );
}

#[test]
fn g26_an_operator_ends_a_run_before_its_floor() {
    check(
        floor(1_800),
        "
        at  manual | cmd why
        0   run    | 1   manual
        100 auto   | 0   none
        200 auto   | 0   none
    ",
    );
    check(
        floor(1_800),
        "
        at soc manual | cmd why
        0  29  auto   | 1   soc
        10 71  auto   | 1   floor
        12 71  run    | 1   manual
        14 71  auto   | 0   none
        30 71  auto   | 0   none
    ",
    );
}

#[test]
fn a_condition_that_still_holds_takes_over_from_the_operator_with_its_floor() {
    check(
        floor(600),
        "
        at  soc manual | cmd why
        0   29  run    | 1   manual
        10  29  auto   | 1   soc
        20  71  auto   | 1   floor
        600 71  auto   | 0   none
    ",
    );
}

#[test]
fn g27_switching_auto_off_obeys_the_floor_unless_told_otherwise() {
    check(
        floor(600),
        "
        at  soc auto | cmd why
        0   29  on   | 1   soc
        5   29  off  | 1   floor
        600 29  off  | 0   none
        700 29  off  | 0   none
    ",
    );
    check(
        GeneratorPolicy { auto_off_immediate: true, ..floor(600) },
        "
        at  soc auto | cmd why
        0   29  on   | 1   soc
        5   29  off  | 0   none
        700 29  off  | 0   none
    ",
    );
}

#[test]
fn g68_off_by_an_operator_vetoes_what_the_conditions_want() {
    check(
        GeneratorPolicy { cool_down: Span::secs(30), ..floor(600) },
        "
        at   soc manual | cmd state     why
        0    20  auto   | 1   running   soc
        10   20  off    | 1   cool-down manual
        40   20  off    | 0   stopped   manual
        4000 20  auto   | 1   running   soc
    ",
    );
}

#[test]
fn g53_warm_up_and_cool_down_withhold_the_load() {
    let policy = GeneratorPolicy {
        warm_up: Span::secs(60),
        cool_down: Span::secs(60),
        stop_time: Span::secs(60),
        ..base()
    };
    check(
        policy,
        "
        at  manual | cmd permit state
        0   run    | 1   0      warm-up
        60  run    | 1   1      running
        100 auto   | 1   0      cool-down
        160 auto   | 0   0      stopping
        220 auto   | 0   1      stopped
        300 auto   | 0   1      stopped
    ",
    );
}

#[test]
fn g55_an_engine_that_was_never_loaded_needs_no_cool_down() {
    check(
        GeneratorPolicy { warm_up: Span::secs(60), cool_down: Span::secs(60), ..base() },
        "
        at manual | cmd state
        0  run    | 1   warm-up
        5  off    | 0   stopped
        90 off    | 0   stopped
    ",
    );
}

#[test]
fn g56_demand_that_returns_in_cool_down_needs_no_new_start() {
    check(
        GeneratorPolicy { cool_down: Span::secs(60), ..base() },
        "
        at  manual | cmd permit state     starts
        0   run    | 1   1      running   1
        100 off    | 1   0      cool-down 1
        110 run    | 1   1      running   1
        200 run    | 1   1      running   1
    ",
    );
}

#[test]
fn g59_warm_up_counts_from_the_confirmed_engine() {
    check(
        hearing(GeneratorPolicy { warm_up: Span::secs(60), ..base() }),
        "
        at run manual | cmd permit state    starts hours
        0  0   run    | 1   0      starting 0      0
        25 1   run    | 1   0      warm-up  1      .
        85 1   run    | 1   1      running  1      .
        99 1   run    | 1   1      running  1      .
    ",
    );
}

#[test]
fn g61_the_load_waits_for_the_stop_time_without_a_cool_down_too() {
    check(
        GeneratorPolicy { stop_time: Span::secs(120), ..base() },
        "
        at  manual | cmd permit
        0   run    | 1   1
        3   off    | 0   0
        123 off    | 0   1
        200 off    | 0   1
    ",
    );
}

#[test]
fn the_load_waits_until_the_voltage_is_gone_and_rest_counts_from_the_still_engine() {
    check(
        hearing(GeneratorPolicy { rest: Span::secs(30), ..base() }),
        "
        at  run ac manual | cmd permit state
        0   1   1  run    | 1   1      running
        1   1   1  run    | 1   1      running
        20  1   1  auto   | 0   0      stopping
        40  0   1  run    | 0   0      stopping
        50  0   0  run    | 0   0      stopping
        53  0   0  run    | 0   1      resting
        70  0   0  run    | 1   0      starting
        72  1   1  run    | 1   1      running
    ",
    );
}

#[test]
fn the_next_start_keeps_the_minimum_off_time() {
    check(
        GeneratorPolicy { min_off: Span::secs(300), ..base() },
        "
        at  manual | cmd state
        0   run    | 1   running
        10  auto   | 0   resting
        11  run    | 0   resting
        310 run    | 1   running
    ",
    );
}

#[test]
fn g77_an_engine_that_never_starts_is_cranked_three_times_and_no_more() {
    let rig = check(
        hearing(GeneratorPolicy { soc: soc(30, 70, 0, 0), ..base() }),
        "
        at    soc run | cmd state      alarm          attempt permit
        0     20  0   | 1   starting   none           1       0
        60    20  0   | 0   crank-rest none           1       0
        120   20  0   | 1   starting   none           2       0
        180   20  0   | 0   crank-rest none           2       0
        240   20  0   | 1   starting   none           3       0
        300   20  0   | 0   lockout    fail-to-start  0       1
        10000 20  0   | 0   lockout    fail-to-start  0       1
    ",
    );
    assert_eq!((rig.view.starts, rig.view.run_time), (0, Span::ZERO));
    assert_eq!(rig.view.reason, Some(Reason::GeneratorLockout));
}

#[test]
fn an_acknowledgement_leaves_the_lock_out() {
    check(
        hearing(GeneratorPolicy { attempts: 1, soc: soc(30, 70, 0, 0), ..base() }),
        "
        at  soc run ack | cmd state    alarm
        0   20  0   .   | 1   starting none
        60  20  0   .   | 0   lockout  fail-to-start
        100 20  0   ack | 1   starting none
        160 20  0   .   | 0   lockout  fail-to-start
    ",
    );
}

#[test]
fn a_demand_that_ends_between_attempts_keeps_their_count_for_an_hour() {
    check(
        hearing(base()),
        "
        at   run manual | cmd state      attempt
        0    0   run    | 1   starting   1
        60   0   run    | 0   crank-rest 1
        70   0   auto   | 0   stopped    0
        80   0   run    | 1   starting   2
        90   0   auto   | 0   stopped    0
        3679 0   run    | 1   starting   3
        3680 0   auto   | 0   stopped    0
        7279 0   run    | 1   starting   1
    ",
    );
}

#[test]
fn one_lost_run_is_started_once_more_and_a_second_locks_out() {
    check(
        hearing(GeneratorPolicy { soc: soc(30, 70, 0, 0), rest: Span::secs(30), ..base() }),
        "
        at   soc run | cmd state    alarm           starts
        0    20  0   | 1   starting none            0
        5    20  1   | 1   running  none            1
        100  20  0   | 1   running  none            1
        103  20  1   | 1   running  none            1
        200  20  0   | 1   running  none            1
        205  20  0   | 0   resting  unexpected-stop 1
        235  20  0   | 1   starting unexpected-stop 1
        240  20  1   | 1   running  unexpected-stop 2
        300  20  0   | 1   running  unexpected-stop 2
        305  20  0   | 0   lockout  unexpected-stop 2
        9000 20  0   | 0   lockout  unexpected-stop 2
    ",
    );
}

#[test]
fn g74_a_shutdown_fault_aborts_at_once_and_needs_an_acknowledgement() {
    check(
        hearing(GeneratorPolicy { cool_down: Span::secs(60), ..floor(600) }),
        "
        at  soc run fault ack | cmd state    alarm why
        0   20  0   0     .   | 1   starting none  soc
        5   20  1   0     .   | 1   running  none  soc
        10  20  1   2     .   | 0   lockout  fault lockout
        20  20  0   2     ack | 0   lockout  fault lockout
        60  20  0   0     .   | 0   lockout  fault lockout
        90  20  0   0     ack | 1   starting none  soc
    ",
    );
}

#[test]
fn g76_a_warning_of_the_set_changes_nothing() {
    check(
        hearing(floor(0)),
        "
        at soc run fault | cmd state
        0  20  0   1     | 1   starting
        5  20  1   1     | 1   running
        60 20  1   1     | 1   running
    ",
    );
}

#[test]
fn an_engine_that_does_not_stop_is_told_and_not_loaded() {
    check(
        hearing(base()),
        "
        at  run manual | cmd state    permit alarm
        0   0   run    | 1   starting 0      none
        5   1   run    | 1   running  1      none
        10  1   auto   | 0   stopping 0      none
        130 1   run    | 0   stopping 0      fail-to-stop
        200 0   run    | 1   starting 0      none
    ",
    );
}

#[test]
fn g87_a_run_that_lasts_too_long_is_told() {
    check(
        GeneratorPolicy { max_run: Span::secs(7_200), ..base() },
        "
        at   manual | cmd alarm
        0    run    | 1   none
        7200 run    | 1   max-run
        7300 auto   | 0   none
    ",
    );
}

#[test]
fn after_a_lost_run_the_load_comes_back_when_the_voltage_is_gone() {
    check(
        hearing(base()),
        "
        at  run ac manual | cmd state    permit
        0   0   0  run    | 1   starting 0
        5   1   1  run    | 1   running  1
        50  0   1  run    | 1   running  1
        55  0   1  auto   | 0   resting  0
        70  0   0  auto   | 0   resting  0
        73  0   0  auto   | 0   stopped  1
    ",
    );
}
