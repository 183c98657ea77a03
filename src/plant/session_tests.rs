//! Our own sessions against our own fakes: both read the same definitions, so this proves that the two halves
//! agree about them, not that a definition is right.

use std::sync::Arc;

use crate::control::signal::{Phase, Quantity};
use crate::control::units::{Mono, Span, Watts};
use crate::device::definition::Definition;
use crate::device::exchange::{Failure, Function, Request};
use crate::device::library;
use crate::device::order::{ControlKind, DeviceOrder, OrderPhase, SessionEvent, SessionOptions, Values};
use crate::device::session::Session;

use super::fake::{FakeDevice, World};
use super::physics::{Params, Plant};

struct Desk {
    world: World,
    session: Session,
    now: Mono,
    seq: u32,
    events: Vec<SessionEvent>,
}

fn desk(definition: &str, set: &[(&str, f64)]) -> Desk {
    let mut plant = Plant::new(Params::default(), 1);
    for (name, value) in set {
        plant.set(name, *value).unwrap();
    }
    plant.settle();
    let text = library::shipped(definition).unwrap();
    let definition = Arc::new(Definition::parse(text, definition).unwrap());
    let device = FakeDevice::new("one", Arc::clone(&definition), &plant).wired_to_generator(0);
    let phases = if plant.params().phase_count() == 3 { 3 } else { 1 };
    let options = SessionOptions { writes: true, phases, ..SessionOptions::default() };
    let mut world = World::new(plant);
    world.add(device);
    Desk { world, session: Session::new(definition, options), now: Mono::ZERO, seq: 0, events: Vec::new() }
}

impl Desk {
    /// Lets time pass in steps of 50 ms, and the session ask whatever is due; each answer takes 5 ms.
    fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 20.0).round() as u32 {
            self.world.step(0.05);
            self.now = self.now + Span::millis(50);
            let mut clock = self.now;
            for _ in 0..20 {
                let Some(ask) = self.session.next(clock) else { break };
                let result = self.world.ask(0, &ask.request).map_err(Failure::Exception);
                let asked_at = clock;
                clock = clock + Span::millis(5);
                self.session.answered(ask.token, result, asked_at, clock, &mut self.events);
            }
        }
    }

    fn order(&mut self, control: ControlKind, values: Values, phase: OrderPhase) {
        self.seq += 1;
        let expires = self.now + Span::secs(5);
        let order = DeviceOrder { control, channel: 0, values, phase, seq: self.seq, expires };
        self.session.order(order, self.now);
    }

    /// What was heard last.
    fn heard(&self, quantity: Quantity, phase: Phase) -> Option<i64> {
        self.events.iter().rev().find_map(|event| match event {
            SessionEvent::Heard(heard) if heard.quantity == quantity && heard.phase == phase => {
                Some(heard.value)
            }
            _ => None,
        })?
    }

    /// Whether the last order was written and not contradicted.
    fn done(&self) -> bool {
        self.events.iter().any(|event| {
            matches!(event, SessionEvent::Wrote { seq, result: Ok(()), contradicted: false, .. } if *seq == self.seq)
        })
    }

    #[track_caller]
    fn truth(&self, name: &str) -> f64 {
        self.world.plant.get(name).unwrap()
    }
}

#[test]
fn a_direct_order_on_three_phases_reaches_the_plant_and_its_release_puts_the_mode_back() {
    let mut desk = desk("inverters/victron-gx", &[("phases", 3.0), ("load.power", 3_000.0)]);
    desk.run(5.0);
    let power = [Watts(900), Watts(-400), Watts(0)];
    for _ in 0..3 {
        desk.order(ControlKind::InverterPower, Values { power, ..Values::default() }, OrderPhase::Command);
        desk.run(3.0);
        assert!(desk.done());
    }
    assert!((desk.truth("inverter.power.l1") - 900.0).abs() < 1.0, "{}", desk.truth("inverter.power.l1"));
    assert!((desk.truth("inverter.power.l2") + 400.0).abs() < 1.0);
    assert_eq!(desk.heard(Quantity::InverterPower, Phase::L1), Some(900));
    assert_eq!(desk.heard(Quantity::InverterSetpoint, Phase::L2), Some(-400));
    assert!((desk.heard(Quantity::GridPower, Phase::Total).unwrap() - 2_500).abs() < 3);
    assert_eq!(desk.heard(Quantity::BatterySoc, Phase::Total), Some(5_000));
    // Unrefreshed, the inverter lets go by itself; released, it regulates by itself again.
    desk.run(12.0);
    assert_eq!(desk.truth("inverter.power.l1"), 0.0);
    desk.order(ControlKind::InverterPower, Values::default(), OrderPhase::Release);
    desk.run(20.0);
    assert!(desk.done());
    assert!(desk.truth("grid.power").abs() < 30.0, "{}", desk.truth("grid.power"));
}

#[test]
fn a_supervised_setpoint_is_held_by_the_device_and_zero_is_expressible() {
    let mut desk = desk("inverters/victron-gx", &[("load.power", 1_200.0)]);
    for setpoint in [500, 0, -300] {
        let values = Values { setpoint: Watts(setpoint), ..Values::default() };
        desk.order(ControlKind::GridSetpoint, values, OrderPhase::Command);
        desk.run(15.0);
        assert!(desk.done());
        assert!(
            (desk.truth("grid.power") - f64::from(setpoint)).abs() < 20.0,
            "{}",
            desk.truth("grid.power")
        );
    }
}

#[test]
fn m1_a_cloud_that_commands_the_same_inverter_is_seen_and_a_site_that_is_alone_sees_nobody() {
    for cloud in [false, true] {
        let mut desk = desk("inverters/victron-gx", &[("load.power", 1_200.0)]);
        for second in 0..60 {
            let watts = [Watts(400 + second * 10), Watts::ZERO, Watts::ZERO];
            let values = Values { power: watts, ..Values::default() };
            desk.order(ControlKind::InverterPower, values, OrderPhase::Command);
            desk.run(0.5);
            if cloud && second % 7 == 3 {
                let function = Function::WriteMultipleRegisters;
                let request = Request { unit: 228, function, address: 96, count: 2, words: vec![0, 2_500] };
                desk.world.ask(0, &request).unwrap();
            }
            desk.run(0.5);
        }
        let seen: Vec<(u16, i64)> = desk
            .events
            .iter()
            .filter_map(|event| match event {
                SessionEvent::Foreign { address, found, .. } => Some((*address, *found)),
                SessionEvent::Heard(_) | SessionEvent::Wrote { .. } => None,
            })
            .collect();
        assert_eq!(seen, vec![(96, 2_500); if cloud { 9 } else { 0 }], "each of the cloud's writes, once");
    }
}

#[test]
fn a_pv_limit_holds_while_refreshed_changes_and_is_lifted() {
    let mut desk = desk("pv/sunspec", &[("pv.peak", 6_000.0), ("pv.power", 5_000.0), ("pv.clouds", 0.0)]);
    desk.run(3.0);
    assert_eq!(desk.heard(Quantity::PvPower, Phase::Total), Some(5_000));
    for limit in [3_000, 3_000, 1_200] {
        let values = Values { limit: Some(Watts(limit)), ..Values::default() };
        for _ in 0..30 {
            desk.order(ControlKind::PvLimit, values, OrderPhase::Command);
            desk.run(3.0);
        }
        assert!(desk.done());
        assert!((desk.truth("pv.power") - f64::from(limit)).abs() < 10.0, "{}", desk.truth("pv.power"));
    }
    desk.order(ControlKind::PvLimit, Values::default(), OrderPhase::Release);
    desk.run(10.0);
    assert_eq!(desk.truth("pv.power"), 5_000.0);
}

#[test]
fn a_generator_runs_by_relay_and_by_key_and_says_so() {
    for (definition, control, feedback) in [
        ("io/moxa-iologik-e1200", ControlKind::Relay, Quantity::Input),
        ("gensets/dse-gencomm", ControlKind::GeneratorRun, Quantity::GeneratorRunning),
    ] {
        let mut desk = desk(definition, &[("grid.present", 0.0)]);
        for run in [true, false] {
            desk.run(15.0);
            desk.order(control, Values { run, ..Values::default() }, OrderPhase::Command);
            desk.run(20.0);
            assert!(desk.done(), "{definition}");
            assert_eq!(desk.truth("generator.running"), f64::from(u8::from(run)), "{definition}");
            let heard = desk.events.iter().rev().find_map(|event| match event {
                SessionEvent::Heard(heard) if heard.quantity == feedback && heard.channel == 0 => {
                    Some(heard.value)
                }
                _ => None,
            });
            assert_eq!(heard, Some(Some(i64::from(run))), "{definition}");
        }
    }
}
