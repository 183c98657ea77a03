//! Decisions in situations that would cost a battery, a fuse or a night's sleep.

use super::genset::GensetState;
use super::orders::Actor;
use super::policy::{Condition, Control, GeneratorPolicy, InverterSpec, Policy};
use super::signal::{Phase, Quantity, Signal, SignalId};
use super::site::{Input, Manual, OperatorOrder, Order, Site, SiteConfig};
use super::units::{DeciCelsius, MilliVolts, Mono, Soc, Span, WattHours, Watts};
use super::wiring::{ActuatorKind, ActuatorSpec, InverterWiring, PowerWiring, Wiring};

mod properties;
mod restart;

const PHASES: [Phase; 3] = [Phase::L1, Phase::L2, Phase::L3];

/// A site that hears what it is told once a second and decides once a second.
struct House {
    site: Site,
    told: Vec<(SignalId, Option<i64>)>,
    second: i64,
}

impl House {
    /// With inverters that feed these phases, 3 kW each way.
    fn new(inverters: &[[bool; 3]], change: impl FnOnce(&mut Policy, &mut Wiring)) -> Self {
        let mut config = SiteConfig::default();
        let mut place = |quantity, phase| config.signals.place(Signal::site(quantity, phase));
        let mut power = |quantity| PowerWiring {
            total: place(quantity, Phase::Total),
            phase: PHASES.map(|phase| place(quantity, phase)),
        };
        config.wiring.grid.power = power(Quantity::GridPower);
        config.wiring.load_out = power(Quantity::LoadOutPower);
        config.wiring.battery.soc = place(Quantity::BatterySoc, Phase::Total);
        config.wiring.battery.voltage = place(Quantity::BatteryVoltage, Phase::Total);
        config.wiring.battery.temperature = place(Quantity::BatteryTemperature, Phase::Total);
        config.wiring.battery.charge_limit = place(Quantity::BatteryChargeLimitCurrent, Phase::Total);
        config.wiring.battery.discharge_limit = place(Quantity::BatteryDischargeLimitCurrent, Phase::Total);
        config.wiring.battery.charge_voltage = place(Quantity::BatteryChargeLimitVoltage, Phase::Total);
        config.wiring.pv_dc = place(Quantity::PvDcPower, Phase::Total);
        for (at, phases) in inverters.iter().enumerate() {
            let device = Some(format!("inverter{at}"));
            let signal = |phase| Signal { quantity: Quantity::InverterPower, phase, device: device.clone() };
            config.wiring.inverters.push(InverterWiring {
                spec: InverterSpec {
                    name: format!("inverter{at}"),
                    max_charge: Watts(3_000),
                    max_discharge: Watts(3_000),
                    phases: *phases,
                    dead_time: Span::millis(500),
                    lag: Span::millis(600),
                    resolution: Watts(1),
                },
                power: PowerWiring {
                    total: config.signals.place(signal(Phase::Total)),
                    phase: PHASES.map(|phase| config.signals.place(signal(phase))),
                },
                sustain: None,
                dc_current: None,
            });
        }
        config.policy.control = Control::On;
        config.policy.authority = Watts(20_000);
        config.policy.battery.capacity = Some(WattHours(10_000));
        config.policy.regulator.meter_lag = Some(Span::ZERO);
        config.policy.regulator.ramp = None;
        change(&mut config.policy, &mut config.wiring);
        let told = Vec::new();
        Self { site: Site::new(config), told, second: 0 }
    }

    /// From now on this is what is heard; `None`: the device says that it does not know.
    fn tell(&mut self, id: Option<SignalId>, value: Option<i64>) -> &mut Self {
        let Some(id) = id else { return self };
        self.told.retain(|(known, _)| *known != id);
        self.told.push((id, value));
        self
    }

    /// From now on nothing is heard of it.
    fn hush(&mut self, id: Option<SignalId>) -> &mut Self {
        self.told.retain(|(known, _)| Some(*known) != id);
        self
    }

    fn wiring(&self) -> Wiring {
        self.site.config().wiring.clone()
    }

    fn grid(&mut self, phases: [i64; 3]) -> &mut Self {
        let wiring = self.wiring().grid.power;
        self.tell_power(wiring, phases)
    }

    fn tell_power(&mut self, wiring: PowerWiring, phases: [i64; 3]) -> &mut Self {
        self.tell(wiring.total, Some(phases.iter().sum()));
        for (id, watts) in wiring.phase.into_iter().zip(phases) {
            self.tell(id, Some(watts));
        }
        self
    }

    fn inverter(&mut self, at: usize, phases: [i64; 3]) -> &mut Self {
        let wiring = self.wiring().inverters[at].power;
        self.tell_power(wiring, phases)
    }

    /// A battery half full at 51.2 V and 20 °C, BMS allowing 200 A, inverters idle.
    fn at_rest(mut self) -> Self {
        let wiring = self.wiring();
        self.tell(wiring.battery.soc, Some(5_000));
        self.tell(wiring.battery.voltage, Some(51_200));
        self.tell(wiring.battery.temperature, Some(200));
        self.tell(wiring.battery.charge_limit, Some(200_000));
        self.tell(wiring.battery.discharge_limit, Some(200_000));
        for at in 0..wiring.inverters.len() {
            self.inverter(at, [0, 0, 0]);
        }
        self.grid([0, 0, 0]);
        self
    }

    /// What the inverters are told after so many seconds.
    fn after(&mut self, seconds: i64) -> Vec<[i32; 3]> {
        for _ in 0..seconds {
            self.second = self.second.saturating_add(1);
            let now = Mono::ZERO + Span::secs(self.second);
            for (signal, value) in self.told.clone() {
                self.site.handle(now, &Input::Heard { signal, value, asked_at: now });
            }
            self.site.handle(now, &Input::Due);
        }
        let decision = self.site.decision();
        decision.inverters.iter().map(|phases| phases.map(|watts| watts.0)).collect()
    }

    fn order(&mut self, seconds: i64) -> i32 {
        self.after(seconds).iter().flatten().sum()
    }

    fn why(&self) -> String {
        self.site.decision().reasons.binding().map(|cause| cause.reason.to_string()).unwrap_or_default()
    }
}

const ONE: &[[bool; 3]] = &[[true, false, false]];

fn single(change: impl FnOnce(&mut Policy, &mut Wiring)) -> House {
    House::new(ONE, change).at_rest()
}

#[test]
fn a_battery_under_its_voltage_floor_is_not_discharged_when_the_voltage_falls_silent() {
    let mut house = single(|policy, _| {
        policy.battery.voltage_floor = Some(MilliVolts(48_000));
        policy.battery.bms = Some(false);
    });
    let voltage = house.wiring().battery.voltage;
    house.grid([1_000, 0, 0]);
    assert_eq!(house.order(5), 1_000);
    house.tell(voltage, Some(47_900));
    assert_eq!(house.order(1), 0);
    house.tell(voltage, None);
    assert_eq!(house.order(1), 0, "{}", house.why());
    house.tell(voltage, Some(50_000));
    assert_eq!(house.order(1), 1_000);
    house.hush(voltage);
    assert_eq!(house.order(90), 0, "a floor that nobody can see is not crossed: {}", house.why());
}

#[test]
fn d22_a_cold_battery_is_not_charged_on_the_word_of_a_sensor_that_died_in_summer() {
    let mut house = single(|policy, _| {
        policy.battery.temperature = Some((DeciCelsius(50), DeciCelsius(450)));
    });
    let temperature = house.wiring().battery.temperature;
    house.grid([-1_000, 0, 0]);
    assert_eq!(house.order(10), -1_000);
    house.tell(temperature, None);
    assert_eq!(house.order(30), -1_000, "one unknown word changes nothing yet");
    assert_eq!(house.order(300), 0, "{}", house.why());
    house.tell(temperature, Some(200));
    assert_eq!(house.order(2), -1_000);
    house.hush(temperature);
    assert_eq!(house.order(330), 0, "{}", house.why());
}

#[test]
fn a_sensor_that_never_spoke_allows_nothing_inside_a_temperature_window() {
    let mut house = single(|policy, _| {
        policy.battery.temperature = Some((DeciCelsius(50), DeciCelsius(450)));
    });
    let temperature = house.wiring().battery.temperature;
    house.hush(temperature).grid([-1_000, 0, 0]);
    assert_eq!(house.order(10), 0, "{}", house.why());
}

#[test]
fn what_hangs_on_the_output_counts_against_the_battery_after_it_fell_silent() {
    let mut house = single(|policy, _| policy.battery.max_discharge = Some(Watts(2_000)));
    let out = house.wiring().load_out.total;
    house.tell(out, Some(1_500)).grid([5_000, 0, 0]);
    assert_eq!(house.order(10), 500);
    house.hush(out);
    assert_eq!(house.order(30), 500, "the load is still there: {}", house.why());
}

#[test]
fn a_load_on_the_output_that_no_inverter_can_carry_moves_no_limit() {
    for nonsense in [-134_025_103, 134_025_103] {
        let mut house = single(|policy, _| policy.authority = Watts(2_000));
        let out = house.wiring().load_out.total;
        house.tell(out, Some(nonsense)).grid([1_000, 0, 0]);
        assert_eq!(house.order(10), 1_000, "{nonsense}");
    }
    let mut house = single(|policy, _| policy.authority = Watts(2_000));
    let out = house.wiring().load_out.total;
    house.tell(out, Some(-29_000)).grid([1_000, 0, 0]);
    assert_eq!(house.order(10), 2_000, "the authority holds whatever hangs on the output");
}

#[test]
fn a_silent_load_on_the_output_makes_no_room_for_charging() {
    let mut house = single(|policy, _| policy.battery.max_charge = Some(Watts(1_000)));
    let out = house.wiring().load_out.total;
    house.tell(out, Some(500)).grid([-5_000, 0, 0]);
    assert_eq!(house.order(10), -1_500, "what passes through does not charge");
    house.hush(out);
    assert_eq!(house.order(30), -1_000);
}

#[test]
fn sunshine_on_the_battery_side_keeps_its_part_of_the_charge_limit_through_a_gap() {
    let mut house = single(|_, _| {});
    let wiring = house.wiring();
    house.tell(wiring.battery.charge_limit, Some(50_000)).tell(wiring.pv_dc, Some(2_000));
    house.grid([-5_000, 0, 0]);
    assert_eq!(house.order(10), -560, "50 A x 51.2 V less 2 kW");
    house.hush(wiring.pv_dc);
    assert_eq!(house.order(60), -560, "{}", house.why());
}

#[test]
fn no_phase_is_ordered_more_than_its_inverter_can_do() {
    let two = &[[true, false, false], [false, true, false]];
    let mut house = House::new(two, |_, _| {}).at_rest();
    house.grid([5_000, 0, 0]);
    assert_eq!(house.after(10), [[3_000, 0, 0], [0, 2_000, 0]], "what one phase cannot do the other does");
    let mut three = House::new(&[[true; 3]], |_, _| {}).at_rest();
    three.grid([2_500, 0, 0]);
    assert_eq!(three.after(10), [[1_000, 750, 750]]);
}

#[test]
fn a_meter_that_only_tells_the_sum_moves_inverters_on_any_phase() {
    let on_l2 = |inverters: &[[bool; 3]]| {
        House::new(inverters, |_, wiring| wiring.grid.power.phase = [None; 3]).at_rest()
    };
    let mut house = on_l2(&[[false, true, false]]);
    let total = house.wiring().grid.power.total;
    house.tell(total, Some(2_000));
    assert_eq!(house.after(10), [[0, 2_000, 0]]);
    let mut three = on_l2(&[[true; 3]]);
    three.tell(total, Some(2_000));
    assert_eq!(three.after(10), [[666, 667, 667]]);
}

#[test]
fn the_phase_of_a_lost_inverter_is_carried_by_the_others() {
    let two = &[[true, false, false], [false, true, false]];
    let mut house = House::new(two, |_, _| {}).at_rest();
    house.grid([1_000, 1_000, 0]);
    assert_eq!(house.after(10), [[1_000, 0, 0], [0, 1_000, 0]]);
    let lost = house.wiring().inverters[0].power;
    house.hush(lost.total);
    for phase in lost.phase {
        house.hush(phase);
    }
    assert_eq!(house.after(20), [[0, 0, 0], [0, 2_000, 0]]);
}

#[test]
fn a_battery_that_may_do_nothing_is_not_turned_in_a_circle_between_phases() {
    let two = &[[true, false, false], [false, true, false]];
    let mut house =
        House::new(two, |policy, _| policy.phases = super::policy::PhaseMode::Individual).at_rest();
    house.grid([1_000, -1_000, 0]);
    assert_eq!(house.after(10), [[1_000, 0, 0], [0, -1_000, 0]]);
    let wiring = house.wiring();
    house.tell(wiring.battery.charge_limit, Some(0)).tell(wiring.battery.discharge_limit, Some(0));
    assert_eq!(house.after(2), [[0; 3]; 2], "{}", house.why());
}

#[test]
fn d3_a_frozen_meter_does_not_lead_the_battery_to_its_limit() {
    let mut house = single(|policy, _| policy.regulator.ramp = Some(Watts(100)));
    house.grid([400, 0, 0]);
    let mut farthest = 0;
    for _ in 0..90 {
        // The inverter follows; the meter repeats its last word with a fresh stamp.
        let order = house.order(1);
        farthest = farthest.max(order);
        house.inverter(0, [i64::from(order), 0, 0]);
    }
    assert_eq!(house.order(1), 0, "after {farthest} W: {}", house.why());
    assert_eq!(house.why(), "implausible(meter)");
    for second in 0..20 {
        house.grid([400 + second % 2, 0, 0]);
        house.inverter(0, [0, 0, 0]);
        house.after(1);
    }
    assert!(house.order(5) > 0, "it moves again, so it is believed again: {}", house.why());
}

#[test]
fn d3_a_meter_that_was_frozen_and_is_quiet_after_it_moved_is_believed_again() {
    let mut house = single(|policy, _| policy.regulator.ramp = Some(Watts(100)));
    house.grid([400, 0, 0]);
    for _ in 0..90 {
        let order = house.order(1);
        house.inverter(0, [i64::from(order), 0, 0]);
    }
    assert_eq!((house.order(1), house.why().as_str()), (0, "implausible(meter)"));
    // The inverter rests, the load stands still: a meter without noise has nothing else to say.
    house.inverter(0, [0, 0, 0]);
    house.grid([1_700, 0, 0]);
    house.after(5);
    assert_eq!(house.why(), "implausible(meter)", "one word is no proof yet");
    house.after(10);
    assert!(house.order(5) > 0, "{}", house.why());
}

#[test]
fn d3_a_quiet_meter_that_is_late_is_not_taken_for_frozen_when_the_inverters_answer_a_step_first() {
    let mut house = single(|policy, _| policy.regulator.meter_lag = Some(Span::secs(3)));
    // At rest to the watt for longer than any freeze, then a step behind the inverter: it tells at once, the meter
    // four seconds later.
    for second in 0..60 {
        let stepped = second >= 40;
        house.inverter(0, [if stepped { -900 } else { 600 }, 0, 0]);
        house.grid([if second >= 44 { 1_500 } else { 5 }, 0, 0]);
        house.after(1);
        assert_ne!(house.why(), "implausible(meter)", "in second {second}");
    }
}

#[test]
fn a_load_that_nothing_measures_starts_the_generator_by_the_balance_of_what_is_measured() {
    let mut house = single(|policy, _| {
        policy.generator = Some(GeneratorPolicy {
            feedback: false,
            load: Some(Condition {
                start: 3_000,
                start_for: Span::secs(2),
                stop: 1_000,
                stop_for: Span::ZERO,
                quiet: None,
            }),
            ..GeneratorPolicy::default()
        });
    });
    let output = house.wiring().load_out;
    house.tell_power(output, [1_500, 0, 0]);
    house.grid([800, 0, 0]).inverter(0, [500, 0, 0]);
    house.after(10);
    assert!(!house.site.decision().generator.command, "2800 W are not 3000 W");
    house.grid([1_200, 0, 0]);
    house.after(10);
    assert!(house.site.decision().generator.command);
}

#[test]
fn a_charge_voltage_limit_that_falls_silent_allows_no_charge() {
    let mut house = single(|policy, _| policy.battery.bms = Some(true));
    let ceiling = house.wiring().battery.charge_voltage;
    house.tell(ceiling, Some(56_000));
    house.grid([-1_000, 0, 0]);
    assert_eq!(house.order(20), -1_000);
    house.tell(ceiling, None);
    assert_eq!(house.order(1), 0, "{}", house.why());
}

#[test]
fn d19_limits_of_the_bms_that_fall_to_nothing_are_obeyed_in_the_same_decision_without_a_ramp() {
    let mut house = single(|policy, _| policy.regulator.ramp = Some(Watts(100)));
    let (charge, discharge) = (house.wiring().battery.charge_limit, house.wiring().battery.discharge_limit);
    house.grid([1_000, 0, 0]);
    assert_eq!(house.order(30), 1_000);
    house.tell(discharge, Some(0));
    assert_eq!((house.order(1), house.why().as_str()), (0, "bms-dcl"));
    house.tell(discharge, Some(200_000));
    house.grid([-1_000, 0, 0]);
    assert_eq!(house.order(30), -1_000);
    house.tell(charge, Some(0));
    assert_eq!((house.order(1), house.why().as_str()), (0, "bms-ccl"));
}

#[test]
fn a_running_generator_is_not_taken_for_the_grid_where_nothing_tells_them_apart() {
    let mut house = single(|policy, _| {
        policy.generator = Some(GeneratorPolicy { feedback: false, ..GeneratorPolicy::default() });
    });
    house.grid([1_000, 0, 0]);
    assert_eq!(house.order(10), 1_000);
    let run = OperatorOrder::Generator { manual: Manual::Run, lasts: None };
    house.site.handle(Mono::ZERO + Span::secs(11), &Input::Operator(run, Actor::default()));
    assert_eq!(house.order(5), 0, "{}", house.why());
    assert_eq!(house.why(), "gen-active");
}

#[test]
fn a_site_set_to_observe_hands_back_what_it_ordered() {
    let mut house = single(|_, wiring| {
        wiring.actuators.push(ActuatorSpec {
            device: "inverter0".to_owned(),
            kind: ActuatorKind::InverterPower(0),
            refresh: Some(Span::secs(3)),
            watchdog: Some(Span::secs(10)),
            readback: None,
        });
    });
    house.grid([1_000, 0, 0]);
    assert_eq!(house.order(10), 1_000);
    let policy = Policy { control: Control::Observe, ..house.site.config().policy.clone() };
    let outputs = house.site.handle(Mono::ZERO + Span::secs(11), &Input::Reload(Box::new(policy)));
    let orders: Vec<Order> = outputs.commands.iter().map(|command| command.order).collect();
    assert_eq!(orders, [Order::Release]);
}

#[test]
fn a_run_that_was_only_imagined_while_observing_is_forgotten_when_control_is_taken() {
    let mut house = single(|policy, _| {
        policy.control = Control::Observe;
        policy.generator = Some(GeneratorPolicy {
            soc: Some(Condition {
                start: 3_000,
                start_for: Span::ZERO,
                stop: 5_000,
                stop_for: Span::ZERO,
                quiet: None,
            }),
            ..GeneratorPolicy::default()
        });
    });
    let soc = house.wiring().battery.soc;
    house.tell(soc, Some(2_000)).after(10);
    assert_eq!(house.site.decision().generator.state, GensetState::Running);
    let policy = Policy { control: Control::On, ..house.site.config().policy.clone() };
    house.site.handle(Mono::ZERO + Span::secs(11), &Input::Reload(Box::new(policy)));
    house.after(2);
    let state = house.site.decision().generator.state;
    assert_eq!(state, GensetState::Boot, "its minimum run must not count from a start that never was");
}

#[test]
fn a_supervised_device_is_left_to_its_own_rules_when_the_floor_binds_and_the_load_is_unknown() {
    let mut house = single(|policy, _| policy.battery.floor = Soc::percent(20));
    let soc = house.wiring().battery.soc;
    house.grid([1_000, 0, 0]);
    house.after(10);
    assert_eq!(house.site.decision().grid_setpoint, Some(Watts(0)));
    house.tell(soc, Some(1_900));
    house.after(2);
    assert_eq!(house.site.decision().grid_setpoint, Some(Watts(1_000)), "the grid carries the load");
    let meter = house.wiring().grid.power;
    for id in meter.phase.into_iter().chain([meter.total]) {
        house.tell(id, None);
    }
    house.after(2);
    assert_eq!(house.site.decision().grid_setpoint, None);
}
