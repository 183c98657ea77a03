//! The incumbent's own cases, by the ids of the conformance notes.

#![allow(clippy::arithmetic_side_effects, clippy::float_arithmetic, reason = "small numbers of a table")]

use super::*;

/// A guard under the adaptive floor, one evaluation a second.
struct Played {
    rule: Adaptive,
    state: GuardState,
    floor: Soc,
    sustain: bool,
    second: i64,
    utc: i64,
}

/// As the incumbent's tables write a charge, in percent.
fn soc(percent: f64) -> Soc {
    Soc::from_centi((percent * 100.0).round() as i64).unwrap()
}

impl Played {
    /// At 14:00, in the state of a first start.
    fn new(floor: u16, limit: u16) -> Self {
        let rule = Adaptive { limit: Some(Soc::percent(limit)), ..Adaptive::default() };
        Self {
            rule,
            state: GuardState::Ok,
            floor: Soc::percent(floor),
            sustain: false,
            second: 0,
            utc: 14 * 3_600,
        }
    }

    fn at(&self) -> Mono {
        Mono::ZERO + Span::secs(self.second)
    }

    fn hears(&mut self, percent: f64) -> &'static str {
        self.second += 1;
        let wall = Some(Wall { utc: self.utc + self.second, offset: 0, valid: true });
        let inputs = AdaptiveInputs { soc: soc(percent), floor: self.floor, sustain: self.sustain, wall };
        self.state = self.rule.step(self.state, &inputs, self.at());
        self.state.name()
    }

    fn waits(&mut self, seconds: i64, percent: f64) -> &'static str {
        for _ in 0..seconds / 60 {
            self.second += 59;
            self.hears(percent);
        }
        self.state.name()
    }

    /// The floor in force in percent.
    fn limit(&self) -> i32 {
        self.rule.in_force(self.floor).centi() / 100
    }

    /// What was learned in percent; the floor may lie above it.
    fn learned(&self) -> i32 {
        self.rule.limit.unwrap().centi() / 100
    }

    /// Each charge, the state that follows, and the floor in force then.
    #[track_caller]
    fn plays(&mut self, table: &[(f64, &str, i32)]) {
        for (line, (percent, state, limit)) in table.iter().enumerate() {
            assert_eq!((self.hears(*percent), self.limit()), (*state, *limit), "line {line}: {percent} %");
        }
    }

    /// The charges at which the state changed on a way in tenths of a percent, and the new states.
    fn sweep(&mut self, from: i32, to: i32) -> Vec<(f64, &'static str)> {
        let step = (to - from).signum();
        let mut found = Vec::new();
        let mut tenths = from;
        loop {
            let percent = f64::from(tenths) / 10.0;
            let before = self.state.name();
            for _ in 0..10 {
                self.hears(percent);
            }
            if self.state.name() != before {
                found.push((percent, self.state.name()));
            }
            if tenths == to {
                return found;
            }
            tenths += step;
        }
    }
}

#[test]
fn ess_s11_a_full_sweep_changes_state_where_the_incumbent_does() {
    let mut guard = Played::new(10, 10);
    guard.hears(100.0);
    let down = [(91.9, "absorbing"), (81.9, "self"), (10.0, "discharged"), (5.0, "recharge")];
    assert_eq!(guard.sweep(1_000, 0), down);
    let up = [(10.0, "discharged"), (18.1, "self"), (85.0, "absorbing"), (95.1, "float-band")];
    assert_eq!(guard.sweep(0, 1_000), up);
}

#[test]
fn ess_s12_a_fall_to_the_floor_raises_it_once() {
    Played::new(20, 20).plays(&[
        (21.0, "self", 20),
        (20.0, "discharged", 25),
        (15.1, "discharged", 25),
        (15.0, "recharge", 25),
        (19.9, "recharge", 25),
        (20.0, "discharged", 25),
    ]);
}

#[test]
fn ess_s13_two_falls_on_one_day_count_once() {
    Played::new(20, 20).plays(&[
        (30.0, "self", 20),
        (20.0, "discharged", 25),
        (28.1, "self", 25),
        (25.0, "discharged", 25),
        (33.0, "self", 25),
        (28.1, "self", 25),
        (25.0, "discharged", 25),
    ]);
}

#[test]
fn ess_s14_a_winter_raises_the_floor_by_five_percent_a_day_to_eighty() {
    let mut guard = Played::new(20, 20);
    guard.hears(50.0);
    let mut days = Vec::new();
    for _ in 0..16 {
        let limit = f64::from(guard.limit());
        guard.waits(43_200, limit + 4.0);
        guard.waits(43_200, limit - 0.5);
        days.push(guard.limit());
    }
    assert_eq!(days, [25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 80, 80, 80, 80]);
}

#[test]
fn ess_s15_eighty_five_and_ninety_five_percent_lower_the_floor_once_a_day() {
    let mut guard = Played::new(10, 20);
    let mut seen = Vec::new();
    for percent in [50.0, 90.0, 98.0, 70.0, 9.0, 50.0, 98.0] {
        let state = guard.hears(percent);
        seen.push((state, guard.learned(), guard.rule.flags));
    }
    let expected = [
        ("self", 20, 0),
        ("absorbing", 15, ABSORBED),
        ("float-band", 10, ABSORBED | FLOATED),
        ("self", 10, ABSORBED | FLOATED),
        ("discharged", 15, 7),
        ("self", 15, 7),
        ("float-band", 15, 7),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn ess_s16_a_jump_to_full_credits_both_levels() {
    let mut guard = Played::new(10, 20);
    guard.hears(50.0);
    assert_eq!(
        (guard.hears(100.0), guard.learned(), guard.rule.flags),
        ("float-band", 10, ABSORBED | FLOATED)
    );
    assert_eq!(guard.hears(80.0), "self");
}

#[test]
fn ess_s17_what_was_counted_is_forgotten_after_midnight_and_the_limit_is_not() {
    let mut guard = Played::new(10, 30);
    guard.hears(50.0);
    guard.rule.flags = 7;
    guard.waits(10 * 3_600 - 120, 50.0);
    assert_eq!(guard.rule.flags, 7, "just before midnight");
    guard.waits(15 * 60 + 180, 50.0);
    assert_eq!((guard.rule.flags, guard.limit()), (0, 30), "a quarter past midnight at the latest");
}

#[test]
fn ess_s18_a_recharge_goes_by_the_floor_of_yesterday() {
    let mut guard = Played::new(20, 30);
    guard.plays(&[(31.0, "self", 30), (30.0, "discharged", 35)]);
    guard.waits(11 * 3_600, 30.0);
    assert_eq!(guard.rule.flags, 0, "midnight has passed");
    guard.plays(&[
        (25.1, "discharged", 35),
        (25.0, "recharge", 35),
        (29.9, "recharge", 35),
        (30.0, "discharged", 35),
    ]);
}

#[test]
fn ess_s19_sustain_blocks_discharge_at_any_charge_and_lets_go_with_the_inverter() {
    let mut guard = Played::new(20, 20);
    assert_eq!(guard.hears(40.0), "self");
    guard.sustain = true;
    guard.plays(&[(40.0, "sustain", 25), (60.0, "sustain", 25)]);
    assert!(!guard.state.allows_discharge());
    guard.sustain = false;
    assert_eq!(guard.hears(60.0), "self");
}

#[test]
fn ess_s20_a_first_start_finds_its_state_and_counts_nothing() {
    let expected = [
        (9.0, "discharged"),
        (10.0, "discharged"),
        (11.0, "self"),
        (50.0, "self"),
        (84.9, "self"),
        (85.0, "absorbing"),
        (94.9, "absorbing"),
        (95.0, "float-band"),
        (100.0, "float-band"),
    ];
    for (percent, state) in expected {
        let mut guard = Played::new(10, 10);
        assert_eq!((guard.hears(percent), guard.rule.flags, guard.learned()), (state, 0, 10), "{percent} %");
    }
}

#[test]
fn ess_s21_a_floor_above_the_ceiling_stays_where_the_operator_put_it() {
    Played::new(90, 90).plays(&[
        (95.0, "float-band", 90),
        (92.0, "float-band", 90),
        (90.0, "discharged", 90),
        (85.1, "discharged", 90),
        (85.0, "recharge", 90),
        (89.9, "recharge", 90),
        (90.0, "discharged", 90),
        (93.0, "discharged", 90),
        (93.1, "absorbing", 90),
    ]);
}

#[test]
fn a_day_at_the_limit_raises_it_once_more_and_charges_slowly_up_to_it() {
    let mut guard = Played::new(20, 20);
    guard.plays(&[(50.0, "self", 20), (20.0, "discharged", 25)]);
    assert_eq!(guard.waits(24 * 3_600 - 60, 24.0), "discharged");
    assert_eq!((guard.waits(20 * 60, 24.0), guard.limit()), ("slow-charge", 30));
    assert_eq!(guard.hears(30.1), "discharged");
    assert_eq!(guard.waits(3_600, 30.1), "discharged", "the day counts anew");
}

#[test]
fn an_operator_who_lowers_a_floor_above_the_ceiling_is_obeyed() {
    let mut guard = Played::new(98, 20);
    guard.rule.limit = None;
    assert_eq!((guard.hears(95.0), guard.limit()), ("discharged", 98));
    guard.floor = Soc::percent(92);
    assert_eq!((guard.hears(95.7), guard.limit()), ("float-band", 92));
}

#[test]
fn rules_that_are_switched_on_find_their_state_and_count_nothing() {
    for state in [GuardState::FloorHeld, GuardState::FloorRecharge, GuardState::KeepCharged] {
        let mut guard = Played::new(20, 20);
        guard.state = state;
        assert_eq!((guard.hears(19.0), guard.rule.flags), ("discharged", 0));
    }
}

#[test]
fn what_was_blocked_before_stays_blocked_until_the_charge_is_clear_of_the_limit() {
    for state in [GuardState::FloorHeld, GuardState::FloorRecharge] {
        let mut guard = Played::new(20, 20);
        guard.state = state;
        let cases = [(21.0, "discharged"), (23.0, "discharged"), (23.1, "self")];
        for (percent, name) in cases {
            assert_eq!((guard.hears(percent), guard.rule.flags), (name, 0), "{percent} %");
        }
    }
    let mut high = Played::new(98, 20);
    high.state = GuardState::FloorHeld;
    assert_eq!((high.hears(99.9), high.hears(100.0)), ("discharged", "float-band"));
}
