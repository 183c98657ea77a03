//! Who turns the engine: found running, started by somebody else, out of our hands, or silent about it.

use super::*;

#[test]
fn g75_a_set_taken_out_of_automatic_mode_is_let_go() {
    check(
        hearing(floor(600)),
        "
        at  soc run mode | cmd state    alarm      why
        0   20  0   1    | 1   starting none       soc
        5   20  1   1    | 1   running  none       soc
        10  20  1   2    | 0   local    none       remote-off
        610 20  1   2    | 0   local    remote-off remote-off
        700 20  0   1    | 0   local    remote-off remote-off
        710 20  0   1    | 1   starting none       soc
    ",
    );
}

#[test]
fn g80_an_engine_started_by_somebody_else_is_counted_and_left_alone() {
    check(
        hearing(base()),
        "
        at  run | cmd state    permit starts hours
        0   0   | 0   stopped  1      0      0
        10  1   | 0   stopped  1      0      .
        15  1   | 0   external 1      1      .
        610 0   | 0   external 1      1      600
        615 0   | 0   stopped  1      1      600
        700 0   | 0   stopped  1      1      600
    ",
    );
}

#[test]
fn an_engine_started_by_somebody_else_is_taken_over_when_it_is_wanted() {
    check(
        hearing(floor(100)),
        "
        at  soc run | cmd state    starts why
        0   60  0   | 0   stopped  0      none
        10  60  1   | 0   stopped  0      none
        15  60  1   | 0   external 1      none
        50  30  1   | 1   running  1      soc
        60  70  1   | 1   running  1      floor
        150 70  1   | 0   stopping 1      none
    ",
    );
}

#[test]
fn a_running_set_found_at_the_start_is_kept_until_its_stop_charge() {
    let policy = hearing(GeneratorPolicy { soc: soc(30, 80, 60, 0), min_run: Span::secs(300), ..base() });
    let mut rig = check(
        policy,
        "
        at  soc run contact | cmd state    alarm   why
        0   -   -   1       | 1   boot     none    stale
        3   -   1   1       | 1   boot     none    none
        5   55  1   1       | 1   running  adopted soc
        900 79  1   1       | 1   running  adopted soc
        999 80  1   1       | 0   stopping none    none
    ",
    );
    assert_eq!(rig.view.starts, 0, "it was started before our time");
    rig.say("run", "0");
    rig.step();
    assert_eq!(rig.view.state, GensetState::Stopped);
}

#[test]
fn a_running_set_found_with_a_full_battery_still_gets_its_minimum_run() {
    check(
        hearing(floor(300)),
        "
        at  soc run contact | cmd state    why
        0   90  1   1       | 1   running  floor
        300 90  1   1       | 0   stopping none
    ",
    );
}

#[test]
fn a_running_set_found_without_any_condition_is_the_operators() {
    check(
        hearing(base()),
        "
        at   run contact manual | cmd state    why    alarm
        0    1   1       auto   | 1   running  manual adopted
        9000 1   1       off    | 0   stopping manual none
    ",
    );
}

#[test]
fn a_running_set_is_not_stopped_while_its_charge_is_unknown() {
    check(
        hearing(floor(0)),
        "
        at   soc run contact | cmd state    why
        0    -   1   1       | 1   boot     none
        30   -   1   1       | 1   running  manual
        5000 65  1   1       | 1   running  soc
        5010 70  1   1       | 0   stopping none
    ",
    );
}

#[test]
fn a_closed_contact_beside_a_still_engine_is_opened() {
    check(
        hearing(base()),
        "
        at run contact | cmd state
        0  0   1       | 1   boot
        15 0   1       | 0   stopped
        20 0   0       | 0   stopped
    ",
    );
}

#[test]
fn a_running_engine_whose_contact_is_open_is_somebody_elses() {
    check(
        hearing(base()),
        "
        at run contact | cmd state    starts
        0  1   0       | 0   external 0
        90 1   0       | 0   external 0
    ",
    );
}

#[test]
fn a_start_waits_at_most_thirty_seconds_for_its_inputs() {
    check(
        GeneratorPolicy { load: condition(3_000, 1_000, 0, 0), ..floor(0) },
        "
        at soc load | cmd state
        0  -   4000 | 0   boot
        30 -   4000 | 1   running
        40 -   4000 | 1   running
    ",
    );
}

#[test]
fn silent_feedback_keeps_the_last_state_and_starts_nothing() {
    check(
        hearing(GeneratorPolicy { soc: soc(30, 70, 0, 0), ..base() }),
        "
        at  soc run | cmd state    why
        0   60  0   | 0   stopped  none
        10  20  -   | 1   starting soc
        11  20  1   | 1   running  soc
        20  20  -   | 1   running  soc
        45  20  -   | 1   running  soc
        51  71  -   | 1   running  stale
        80  71  -   | 0   stopping stale
        90  71  0   | 0   stopped  none
        200 71  -   | 0   stopped  none
        230 20  -   | 0   stopped  stale
        300 20  0   | 1   starting soc
    ",
    );
}

#[test]
fn silent_feedback_never_keeps_an_operator_from_stopping() {
    check(
        hearing(base()),
        "
        at run manual | cmd state
        0  0   run    | 1   starting
        5  1   run    | 1   running
        10 -   run    | 1   running
        45 -   off    | 0   stopping
    ",
    );
}

#[test]
fn missing_feedback_is_told_after_a_minute_and_declared_missing_feedback_always() {
    let mut rig = Rig::new(base());
    rig.step();
    assert_eq!(rig.alarms, [Alarm::GeneratorNoFeedback]);
    let rig = check(
        hearing(base()),
        "
        at run | cmd
        0  0   | 0
        10 -   | 0
        68 -   | 0
    ",
    );
    assert_eq!(rig.alarms, []);
    let rig = check(
        hearing(base()),
        "
        at run | cmd
        0  0   | 0
        10 -   | 0
        70 -   | 0
    ",
    );
    assert_eq!(rig.alarms, [Alarm::GeneratorNoFeedback]);
}

#[test]
fn voltage_alone_confirms_a_start() {
    check(
        hearing(base()),
        "
        at  ac manual | cmd state
        0   0  run    | 1   starting
        8   1  run    | 1   running
        100 0  run    | 1   running
        105 0  run    | 0   stopped
        106 0  run    | 1   starting
    ",
    );
}

#[test]
fn a_restart_of_the_controller_leaves_a_run_and_its_floor_alone() {
    let mut rig = check(
        hearing(floor(600)),
        "
        at  soc run contact | cmd state    why
        0   29  0   0       | 1   starting soc
        10  29  1   1       | 1   running  soc
        200 75  1   1       | 1   running  floor
    ",
    );
    rig.genset = postcard::from_bytes(&postcard::to_stdvec(&rig.genset).unwrap()).unwrap();
    rig.now = Mono::ZERO + Span::secs(500);
    rig.inputs = GensetInputs::default();
    rig.genset.resume(rig.now);
    for column in ["soc", "run", "contact"] {
        rig.say(column, "-");
    }
    for second in 500..=650 {
        rig.now = Mono::ZERO + Span::secs(second);
        if second == 510 {
            for (column, cell) in [("soc", "75"), ("run", "1"), ("contact", "1")] {
                rig.say(column, cell);
            }
        }
        let view = rig.step();
        assert_eq!(view.command, second < 610, "at {second} s: {view:?}");
    }
    assert_eq!(rig.view.starts, 1);
}

#[test]
fn an_engine_that_stopped_while_the_controller_was_away_is_started_on_its_closed_contact() {
    check(
        hearing(floor(600)),
        "
        at  soc run contact process | cmd state
        0   29  0   1       .       | 1   boot
        15  29  0   0       .       | 1   starting
        20  29  1   1       .       | 1   running
        300 29  -   1       resume  | 1   running
        305 29  0   1       .       | 1   starting
        310 29  1   1       .       | 1   running
        400 29  -   1       resume  | 1   running
        405 29  0   0       .       | 0   stopped
        406 29  0   0       .       | 1   starting
    ",
    );
}

#[test]
fn the_next_timer_is_announced() {
    let policy = GeneratorPolicy { warm_up: Span::secs(60), loss_timeout: Span::secs(300), ..floor(600) };
    let mut rig = Rig::new(policy);
    rig.say("soc", "29");
    rig.step();
    let due = |rig: &Rig| rig.genset.next_wake(&rig.policy, rig.now).0 / 1_000;
    assert_eq!(due(&rig), 60, "end of the warm-up");
    rig.now = Mono::ZERO + Span::secs(60);
    rig.step();
    assert_eq!(due(&rig), 360, "the charge's silence");
    rig.policy.min_run = Span::secs(100);
    assert_eq!(due(&rig), 100, "the floor");
}

#[test]
fn a_running_engine_is_not_taken_over_on_old_feedback() {
    check(
        hearing(floor(0)),
        "
        at  soc run contact | cmd state    why
        0   60  1   0       | 0   external none
        10  60  -   .       | 0   external .
        50  20  -   .       | 0   external stale
        90  20  1   .       | 1   running  soc
    ",
    );
}

#[test]
fn an_operator_who_ends_a_run_during_a_restart_has_ended_it() {
    check(
        hearing(floor(600)),
        "
        at  run manual process | cmd state
        0   0   run    .       | 1   starting
        5   1   run    .       | 1   running
        100 -   run    resume  | 1   running
        102 -   auto   .       | 1   running
        110 1   auto   .       | 0   stopping
    ",
    );
}

#[test]
fn voltage_that_nobody_hears_any_more_is_a_timer_too() {
    let mut rig = Rig::new(base());
    rig.say("ac", "1");
    rig.say("manual", "run");
    rig.step();
    rig.say("ac", "-");
    rig.say("manual", "off");
    rig.now = Mono::ZERO + Span::secs(10);
    assert_eq!(rig.step().state, GensetState::Stopping);
    let due = rig.genset.next_wake(&rig.policy, rig.now);
    assert_eq!(due, Mono(60_001));
    rig.now = due;
    assert_eq!(rig.step().state, GensetState::Stopped);
}
