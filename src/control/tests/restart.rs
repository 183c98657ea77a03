//! What a site still knows after its process was gone, and whom it leaves its registers to.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "small numbers, one kind of order"
)]

use super::*;
use crate::control::decision::GuardState;
use crate::control::genset::GensetState;
use crate::control::orders::{BatteryOrder, Wish};
use crate::control::policy::GuardKind;
use crate::control::site::{Alarm, Command, Keepsake, Outcome, Past};

/// A generator that starts at 30 % on a contact, and an inverter with registers.
fn manned(change: impl FnOnce(&mut Policy)) -> House {
    single(|policy, wiring| {
        policy.battery.floor = Soc::percent(20);
        policy.generator = Some(GeneratorPolicy {
            feedback: false,
            soc: Some(Condition {
                start: 3_000,
                stop: 8_000,
                start_for: Span::ZERO,
                stop_for: Span::ZERO,
                quiet: None,
            }),
            min_run: Span::minutes(20),
            min_off: Span::minutes(5),
            ..GeneratorPolicy::default()
        });
        for kind in [ActuatorKind::InverterPower(0), ActuatorKind::GeneratorRun] {
            wiring.actuators.push(ActuatorSpec {
                device: "gx".to_owned(),
                kind,
                refresh: Some(Span::secs(3)),
                watchdog: Some(Span::secs(10)),
                readback: None,
            });
        }
        change(policy);
    })
}

impl House {
    /// One second later: what is written to the contact. The store answers only when asked to.
    fn contact(&mut self, stores: bool) -> Vec<bool> {
        self.second += 1;
        let now = Mono::ZERO + Span::secs(self.second);
        let mut orders = Vec::new();
        for (signal, value) in self.told.clone() {
            self.site.handle(now, &Input::Heard { signal, value, asked_at: now });
        }
        let mut input = Some(Input::Due);
        while let Some(due) = input.take() {
            let outputs = self.site.handle(now, &due);
            let (commands, keep) = (outputs.commands.clone(), outputs.keep);
            for command in commands {
                if let Order::Run(run) = command.order {
                    orders.push(run);
                }
                let Command { actuator, seq, .. } = command;
                self.site.handle(now, &Input::Wrote { actuator, seq, outcome: Outcome::Acknowledged });
            }
            if let Some(seq) = keep.filter(|_| stores) {
                let wake_at = self.site.handle(now, &Input::Stored(seq)).wake_at;
                input = (wake_at <= now).then_some(Input::Due);
            }
        }
        orders
    }

    fn soc(&mut self, centi: i64) -> &mut Self {
        let soc = self.wiring().battery.soc;
        self.tell(soc, Some(centi))
    }

    /// The process dies and another begins this much later, from these words.
    fn killed(&mut self, for_secs: i64, past: Past) {
        self.second += for_secs;
        let now = Mono::ZERO + Span::secs(self.second);
        self.site = Site::begin(self.site.config().clone(), past, now);
    }

    fn kept(&self) -> Keepsake {
        self.site.keepsake(Mono::ZERO + Span::secs(self.second))
    }
}

/// Through the words that a store keeps: JSON.
fn written_down(kept: &Keepsake) -> Past {
    let text = serde_json::to_string(kept).unwrap();
    Past::Kept(serde_json::from_str(&text).unwrap())
}

#[test]
fn a_battery_held_at_its_floor_stays_held_across_a_restart_until_it_has_recovered() {
    let mut house = manned(|policy| policy.generator = None);
    house.grid([1_000, 0, 0]);
    house.soc(2_000);
    assert_eq!(house.order(5), 0);
    house.soc(2_100);
    assert_eq!(house.order(5), 0, "between floor and resume value it stays held");
    let kept = written_down(&house.kept());
    house.killed(5, kept);
    assert_eq!(house.order(10), 0, "{}", house.why());
    house.killed(5, Past::None);
    assert_eq!(house.order(10), 1_000, "a site without a past takes the charge as it is");
    house.killed(5, Past::Lost);
    assert_eq!(house.order(10), 0, "a lost past is the cautious one: {}", house.why());
    house.soc(2_300);
    assert_eq!(house.order(5), 1_000);
}

#[test]
fn the_contact_closes_when_the_start_is_written_down_or_after_a_second() {
    let mut house = manned(|_| {});
    house.contact(true);
    house.contact(true);
    house.soc(2_500);
    assert_eq!(house.contact(true), [true], "a store that answers at once costs no time");

    let mut house = manned(|_| {});
    house.contact(true);
    house.contact(true);
    house.soc(2_500);
    assert!(house.contact(false).is_empty(), "not before it is remembered");
    assert_eq!(house.site.decision().generator.state, GensetState::Running);
    assert_eq!(house.contact(false), [true], "a broken disk does not keep the lights off");
    house.soc(9_000);
    for _ in 0..1_300 {
        house.contact(false);
    }
    assert_eq!(house.site.actuators()[1].order(), Some(Order::Run(false)));
}

#[test]
fn a_stop_never_waits_for_the_store() {
    let mut house = manned(|policy| {
        if let Some(generator) = &mut policy.generator {
            generator.min_run = Span::ZERO;
        }
    });
    house.contact(true);
    house.soc(2_500);
    house.contact(true);
    house.soc(9_000);
    assert_eq!(house.contact(false), [false]);
}

#[test]
fn minimum_run_and_minimum_off_time_go_on_across_restarts() {
    let mut house = manned(|_| {});
    house.contact(true);
    house.soc(2_500);
    house.contact(true);
    house.soc(9_000);
    for _ in 0..600 {
        house.contact(true);
    }
    let kept = written_down(&house.kept());
    house.killed(60, kept);
    assert_eq!(house.contact(true), [true], "the run goes on");
    let left = house.site.decision().generator.min_run_left;
    assert!((Span::secs(530)..=Span::secs(545)).contains(&left), "{} s left", left.whole_secs());
    for _ in 0..600 {
        house.contact(true);
    }
    assert!(!house.site.decision().generator.command);
    let kept = written_down(&house.kept());
    house.killed(10, kept);
    house.soc(2_500);
    let started = (0..400).position(|_| house.contact(true) == [true]).unwrap();
    assert!(started > 180, "started {started} s after the restart, within its minimum off time");
}

#[test]
fn an_engine_whose_past_is_lost_rests_before_it_is_started() {
    let mut house = manned(|_| {});
    house.soc(2_500);
    house.killed(1, Past::Lost);
    let started = (0..600).position(|_| house.contact(true) == [true]).unwrap();
    assert!(started >= 299, "started after {started} s");
}

/// The same with an engine and a contact that can be heard.
fn heard(change: impl FnOnce(&mut Policy)) -> House {
    let mut config = manned(|policy| {
        if let Some(generator) = &mut policy.generator {
            generator.feedback = true;
            generator.min_run = Span::ZERO;
            generator.cool_down = Span::ZERO;
        }
        change(policy);
    })
    .site
    .config()
    .clone();
    let mut place = |quantity| config.signals.place(Signal::site(quantity, Phase::Total));
    config.wiring.generator.contact = place(Quantity::GeneratorContact);
    config.wiring.generator.running = place(Quantity::GeneratorRunning);
    let house = House { site: Site::new(config), told: Vec::new(), second: 0 };
    house.at_rest()
}

impl House {
    /// From now on contact and engine are heard so.
    fn engine(&mut self, contact: bool, running: bool) -> &mut Self {
        let wired = self.wiring().generator;
        self.tell(wired.contact, Some(i64::from(contact)));
        self.tell(wired.running, Some(i64::from(running)))
    }
}

#[test]
fn a_memory_older_than_the_start_of_the_engine_does_not_stop_it() {
    let mut house = heard(|_| {});
    house.engine(false, false);
    for _ in 0..5 {
        house.contact(true);
    }
    assert_eq!(house.site.decision().generator.state, GensetState::Stopped);
    let stale = written_down(&house.kept());
    // The start that followed was never written down: the disk was full.
    house.soc(2_500);
    house.contact(false);
    house.engine(true, true);
    house.killed(5, stale);
    let written: Vec<bool> = (0..30).flat_map(|_| house.contact(true)).collect();
    assert!(!written.contains(&false), "{written:?}");
    assert_eq!(house.site.decision().generator.state, GensetState::Running);
}

#[test]
fn d15_a_contact_that_stays_closed_after_a_stop_is_told_again_and_then_said() {
    let mut house = heard(|_| {});
    house.engine(false, false);
    house.contact(true);
    house.contact(true);
    house.soc(2_500);
    assert_eq!(house.contact(true), [true]);
    house.engine(true, true);
    for _ in 0..20 {
        house.contact(true);
    }
    house.soc(9_000);
    let stops: Vec<bool> = (0..30).flat_map(|_| house.contact(true)).collect();
    assert!(stops.len() >= 3 && !stops.contains(&true), "{stops:?}");
    assert!(house.site.alarms().contains(&Alarm::OrderGivenUp(1)), "{:?}", house.site.alarms());
    house.engine(false, false);
    house.contact(true);
    house.contact(true);
    assert!(!house.site.alarms().contains(&Alarm::OrderGivenUp(1)));
}

#[test]
fn energy_is_not_counted_for_the_time_of_an_absence_and_never_twice() {
    let mut house = manned(|policy| policy.generator = None);
    house.grid([1_000, 0, 0]);
    house.order(100);
    let before = house.kept();
    let kept = written_down(&before);
    house.killed(3_600, kept);
    house.order(1);
    let after = house.kept().ledger.grid_import.0 - before.ledger.grid_import.0;
    assert_eq!(after, 0, "an hour nobody watched is nobody's energy");
    house.order(10);
    assert_eq!(house.kept().ledger.grid_import.0 - before.ledger.grid_import.0, 10_000_000);
}

#[test]
fn an_operators_order_ends_at_its_time_although_the_process_was_gone() {
    let mut house = manned(|_| {});
    house.contact(true);
    let now = Mono::ZERO + Span::secs(house.second);
    let run = OperatorOrder::Generator { manual: Manual::Run, lasts: Some(Span::minutes(30)) };
    house.site.handle(now, &Input::Operator(run, Actor::default()));
    assert_eq!(house.contact(true), [true]);
    let kept = written_down(&house.kept());
    house.killed(60, kept);
    house.contact(true);
    assert!(house.site.decision().generator.command, "it was asked to run for half an hour");
    for _ in 0..1_800 {
        house.contact(true);
    }
    assert!(!house.site.decision().generator.command);
}

#[test]
fn words_of_an_older_version_are_read_and_what_is_missing_has_its_default() {
    let kept: Keepsake = serde_json::from_str(r#"{"at": 5000, "auto": false, "later": 1}"#).unwrap();
    assert_eq!((kept.at, kept.auto, kept.full_at), (Mono(5_000), Some(false), None));
}

#[test]
fn m1_an_inverter_that_somebody_else_steers_is_left_alone_and_said_so() {
    let mut house = manned(|policy| policy.generator = None);
    house.grid([1_000, 0, 0]);
    assert_eq!(house.order(10), 1_000);
    for _ in 0..2 {
        let now = Mono::ZERO + Span::secs(house.second);
        house.site.handle(now, &Input::Foreign { actuator: 0 });
        house.order(7);
    }
    assert_eq!((house.order(1), house.why().as_str()), (0, "second-writer"));
    assert_eq!(house.site.alarms(), [Alarm::SecondWriter(0)]);
    let writes = house.site.actuators()[0].writes();
    house.order(280);
    assert_eq!(house.site.actuators()[0].writes(), writes, "not one write for five minutes");
    assert_eq!(house.order(20), 1_000);
    assert!(house.site.alarms().is_empty());
}

#[test]
fn an_order_lives_for_two_cycles_and_no_longer() {
    let mut house = manned(|policy| policy.generator = None);
    house.grid([1_000, 0, 0]);
    house.order(5);
    let longest = house.site.config().policy.regulator.longest_cycle;
    house.grid([1_500, 0, 0]);
    let now = Mono::ZERO + Span::secs(house.second + 1);
    for (signal, value) in house.told.clone() {
        house.site.handle(now, &Input::Heard { signal, value, asked_at: now });
    }
    let outputs = house.site.handle(now, &Input::Due);
    assert_eq!(outputs.commands[0].expires, now + longest.scaled(2, 1));
}

#[test]
fn the_guard_says_when_it_changes_and_a_full_battery_is_remembered() {
    let mut house = manned(|policy| policy.generator = None);
    house.soc(10_000);
    house.order(2);
    let full = house.site.full_at();
    assert!(full.is_some());
    house.soc(1_900);
    house.order(2);
    assert_eq!(house.site.decision().guard, GuardState::FloorHeld);
    let kept = house.kept();
    assert_eq!(kept.full_at, full);
}

#[test]
fn ess_s23_a_restart_keeps_the_adaptive_floor_and_orders_nothing_before_three_samples() {
    let mut house = manned(|policy| {
        policy.generator = None;
        policy.battery.guard = GuardKind::VictronCompatible;
        policy.battery.adaptive_floor = true;
    });
    house.grid([1_000, 0, 0]);
    house.soc(5_000);
    house.order(10);
    house.soc(2_000);
    house.order(10);
    assert_eq!(house.site.decision().limit, Some(Soc::percent(25)));
    let past = written_down(&house.kept());
    house.killed(60, past);
    house.soc(6_000);
    let orders: Vec<i32> = (0..2).map(|_| house.order(1)).collect();
    let decision = house.site.decision();
    assert_eq!((decision.guard, decision.limit), (GuardState::SelfConsumption, Some(Soc::percent(25))));
    assert_eq!(decision.flags, 1, "what was counted today is remembered");
    assert_eq!(orders, [0, 0]);
    assert!(house.order(20) > 0, "then it serves the load");
}

#[test]
fn an_order_that_a_damaged_file_prolongs_for_years_does_not_stand() {
    let mut house = single(|_, _| {});
    house.grid([1_000, 0, 0]);
    assert_eq!(house.order(10), 1_000);
    let hold = BatteryOrder { wish: Wish::Hold, lasts: Some(Span::minutes(60)), use_reserve: false };
    let now = Mono::ZERO + Span::secs(house.second);
    house.site.handle(now, &Input::Operator(OperatorOrder::Battery(Some(hold)), Actor::default()));
    assert_eq!(house.order(5), 0);
    let mut kept = house.site.keepsake(now);
    let again = |kept: &Keepsake, house: &mut House| {
        let config = house.site.config().clone();
        house.site = Site::begin(config, Past::Kept(Box::new(kept.clone())), now);
        house.order(10)
    };
    assert_eq!(again(&kept, &mut house), 0, "it outlives a restart");
    kept.standing.as_mut().unwrap().until = now + Span::minutes(60 * 24 * 365);
    assert_eq!(again(&kept, &mut house), 1_000);
}
