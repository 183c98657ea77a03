//! Commissioning closed over the plant at 50 ms steps: every way in which a simulated site can be wired or declared wrong
//! is found, and a right one is called right.

use wattkeeper::control::commission::{Ended, Finding, Report, USUAL};
use wattkeeper::control::policy::{Control, InverterSpec};
use wattkeeper::control::signal::{Phase, Quantity, Signal, SignalId};
use wattkeeper::control::site::{Input, Order, Outcome, Site, SiteConfig};
use wattkeeper::control::units::{Mono, Soc, Span, WattHours, Watts};
use wattkeeper::control::wiring::{ActuatorKind, ActuatorSpec, InverterWiring};
use wattkeeper::plant::Plant;
use wattkeeper::plant::physics::Params;

/// What is wrong with a site.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Wrong {
    order_reversed: bool,
    order_scaled: bool,
    telemetry_reversed: bool,
    telemetry_scaled: bool,
    /// Telemetry is that of a device which rests.
    other_unit: bool,
    meter_reversed: bool,
    meter_scaled: bool,
    meter_unsigned: bool,
    battery_reversed: bool,
    /// The inverter hangs one phase further than the profile says.
    inverter_rotated: bool,
    /// The meter's current transformers sit two phases further.
    meter_rotated: bool,
    /// One of them is the wrong way round.
    first_ct_reversed: bool,
}

struct Trial {
    plant: Plant,
    site: Site,
    ids: Vec<(SignalId, Quantity, Phase)>,
    wrong: Wrong,
    phases: usize,
    ticks: i64,
    wake_at: Mono,
    /// Orders that did not stay inside the step's power, or went to two phases.
    largest: i32,
}

const PHASES: [Phase; 3] = [Phase::L1, Phase::L2, Phase::L3];

impl Trial {
    fn new(params: Params, seed: u64, wrong: Wrong) -> Self {
        let phases = params.phase_count();
        let mut config = SiteConfig::default();
        let mut ids = Vec::new();
        let mut place = |quantity, phase, device: Option<&str>| {
            let signal = Signal { quantity, phase, device: device.map(str::to_owned) };
            let id = config.signals.place(signal).unwrap();
            ids.push((id, quantity, phase));
            Some(id)
        };
        let wiring = &mut config.wiring;
        let soc = place(Quantity::BatterySoc, Phase::Total, None);
        let voltage = place(Quantity::BatteryVoltage, Phase::Total, None);
        let power = place(Quantity::BatteryPower, Phase::Total, None);
        (wiring.battery.soc, wiring.battery.voltage, wiring.battery.power) = (soc, voltage, power);
        let mut inverter = InverterWiring {
            spec: InverterSpec {
                name: "inverter".to_owned(),
                max_charge: Watts(5_000),
                max_discharge: Watts(5_000),
                phases: [true, phases > 1, phases > 1],
                dead_time: Span::millis(500),
                lag: Span::millis(600),
                resolution: Watts(1),
            },
            power: Default::default(),
            sustain: None,
            dc_current: None,
        };
        if phases == 1 {
            wiring.grid.power.total = place(Quantity::GridPower, Phase::Total, None);
            inverter.power.total = place(Quantity::InverterPower, Phase::Total, Some("inverter"));
        } else {
            wiring.grid.power.phase = PHASES.map(|phase| place(Quantity::GridPower, phase, None));
            inverter.power.phase =
                PHASES.map(|phase| place(Quantity::InverterPower, phase, Some("inverter")));
        }
        wiring.inverters.push(inverter);
        wiring.actuators.push(ActuatorSpec {
            device: "inverter".to_owned(),
            kind: ActuatorKind::InverterPower(0),
            refresh: Some(Span::secs(3)),
            watchdog: Some(Span::secs(10)),
            readback: None,
        });
        let policy = &mut config.policy;
        policy.control = Control::On;
        policy.authority = Watts(10_000);
        policy.battery.capacity = Some(WattHours(params.battery_capacity as i64));
        policy.battery.floor = Soc::percent(10);
        let mut plant = Plant::new(params, seed);
        plant.set("battery.soc", 60.0).unwrap();
        let mut site = Site::new(config);
        site.handle(Mono::ZERO, &Input::Commission(Some(USUAL)));
        Self { plant, site, ids, wrong, phases, ticks: 0, wake_at: Mono::ZERO, largest: 0 }
    }

    /// What a device says, with all that is wrong about it.
    fn says(&self, quantity: Quantity, phase: Phase) -> i64 {
        let wrong = self.wrong;
        let place = PHASES.iter().position(|known| *known == phase);
        let turned = |by: usize| place.map(|at| PHASES[(at + by) % self.phases]);
        let read = |name: &str, phase: Option<Phase>| {
            let suffix = phase.map_or("", |phase| {
                [".l1", ".l2", ".l3"][PHASES.iter().position(|it| *it == phase).unwrap()]
            });
            self.plant.measured(&format!("{name}{suffix}")).unwrap().value
        };
        let sign = |reversed: bool| if reversed { -1.0 } else { 1.0 };
        let value = match quantity {
            Quantity::GridPower => {
                let from = turned(if wrong.meter_rotated { 2 } else { 0 });
                let first = wrong.first_ct_reversed && place == Some(0);
                let value = read("grid.power", from) * sign(wrong.meter_reversed) * sign(first);
                let value = if wrong.meter_unsigned { value.abs() } else { value };
                value * if wrong.meter_scaled { 0.1 } else { 1.0 }
            }
            Quantity::InverterPower if wrong.other_unit => 3.0,
            Quantity::InverterPower => {
                let value = read("inverter.power", turned(usize::from(wrong.inverter_rotated)));
                value * sign(wrong.telemetry_reversed) * if wrong.telemetry_scaled { 10.0 } else { 1.0 }
            }
            Quantity::BatteryPower => read("battery.power", None) * sign(wrong.battery_reversed),
            Quantity::BatterySoc => read("battery.soc", None) * 100.0,
            _ => read("battery.voltage", None) * 1_000.0,
        };
        value.round() as i64
    }

    fn step(&mut self) {
        self.plant.step(0.05);
        self.ticks += 1;
        let now = Mono(self.ticks * 50);
        if self.ticks % 10 == 0 {
            for at in 0..self.ids.len() {
                let (signal, quantity, phase) = self.ids[at];
                let value = Some(self.says(quantity, phase));
                self.wake_at = self.site.handle(now, &Input::Heard { signal, value, asked_at: now }).wake_at;
            }
        }
        if now >= self.wake_at {
            let outputs = self.site.handle(now, &Input::Due);
            self.wake_at = outputs.wake_at;
            for command in outputs.commands.clone() {
                if let Order::Power(power) = command.order {
                    self.order(power.map(|part| part.0));
                }
                let wrote = Input::Wrote { actuator: 0, seq: command.seq, outcome: Outcome::Acknowledged };
                self.site.handle(now, &wrote);
            }
        }
    }

    fn order(&mut self, power: [i32; 3]) {
        let at_once = power.iter().filter(|part| **part != 0).count();
        assert!(at_once <= 1, "one phase at a time: {power:?}");
        self.largest = self.largest.max(power.iter().map(|part| part.abs()).max().unwrap_or(0));
        let wrong = self.wrong;
        let factor =
            if wrong.order_reversed { -1.0 } else { 1.0 } * if wrong.order_scaled { 0.1 } else { 1.0 };
        let mut done = [0.0; 3];
        for (at, part) in power.into_iter().enumerate() {
            done[(at + usize::from(wrong.inverter_rotated)) % self.phases] += f64::from(part) * factor;
        }
        self.plant.order_inverter(done);
    }

    /// Runs to the end; half an hour is too long for any of them.
    fn report(mut self) -> Report {
        for _ in 0..36_000 {
            self.step();
            if let Some(report) = self.site.commissioning().unwrap().report() {
                let report = report.clone();
                assert_eq!(
                    self.site.decision().battery_order,
                    Watts(0),
                    "nothing is ordered once it is over"
                );
                assert!(self.largest <= 9 * USUAL.0, "{}", self.largest);
                return report;
            }
        }
        panic!("it has no end: {:?}", self.site.commissioning());
    }
}

fn findings(report: &Report) -> Vec<Finding> {
    report.shown.iter().flat_map(|shown| shown.findings.iter().copied()).collect()
}

fn house(phases: f64) -> Params {
    Params {
        phases,
        meter_lag: 1.0,
        load_out_share: 0.0,
        pv_peak: 0.0,
        pv_dc_peak: 0.0,
        battery_capacity: 10_000.0,
        ..Params::default()
    }
}

fn tried(phases: f64, wrong: Wrong) -> Report {
    let mut trial = Trial::new(house(phases), 7, wrong);
    trial.plant.set("load.power", 400.0 * phases).unwrap();
    trial.report()
}

#[test]
fn a_site_that_is_wired_as_its_profile_says_is_proven_with_its_response_and_lag() {
    for phases in [1.0, 3.0] {
        let report = tried(phases, Wrong::default());
        assert_eq!((report.ended, findings(&report)), (None, Vec::new()), "{report:?}");
        assert_eq!(report.shown.len(), phases as usize);
        for shown in &report.shown {
            let (response, lag) = (shown.response.unwrap().0, shown.lag.unwrap().0);
            assert!((500..=2_000).contains(&response), "{response} ms for 0.5 s and 0.6 s");
            assert!((500..=1_500).contains(&lag), "{lag} ms for a second");
        }
    }
}

#[test]
fn every_combination_of_wrong_signs_scales_and_units_on_one_phase_is_found() {
    let mut missed = Vec::new();
    for bits in 1u32..512 {
        let is = |bit: u32| bits >> bit & 1 == 1;
        let wrong = Wrong {
            order_reversed: is(0),
            order_scaled: is(1),
            telemetry_reversed: is(2),
            telemetry_scaled: is(3),
            other_unit: is(4),
            meter_reversed: is(5),
            meter_scaled: is(6),
            meter_unsigned: is(7),
            battery_reversed: is(8),
            ..Wrong::default()
        };
        let report = tried(1.0, wrong);
        if report.ended.is_none() && findings(&report).is_empty() {
            missed.push(format!("{wrong:?}: {report:?}"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn every_combination_of_wrong_phases_and_signs_on_three_phases_is_found() {
    let mut missed = Vec::new();
    for bits in 1u32..64 {
        let is = |bit: u32| bits >> bit & 1 == 1;
        let wrong = Wrong {
            inverter_rotated: is(0),
            meter_rotated: is(1),
            first_ct_reversed: is(2),
            order_reversed: is(3),
            telemetry_reversed: is(4),
            meter_reversed: is(5),
            ..Wrong::default()
        };
        let report = tried(3.0, wrong);
        if report.ended.is_none() && findings(&report).is_empty() {
            missed.push(format!("{wrong:?}: {report:?}"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn one_thing_that_is_wrong_is_called_by_its_name() {
    let one = |change: fn(&mut Wrong)| {
        let mut wrong = Wrong::default();
        change(&mut wrong);
        findings(&tried(1.0, wrong)).into_iter().map(Finding::code).collect::<Vec<_>>()
    };
    assert_eq!(one(|it| it.order_reversed = true), ["order-reversed"]);
    assert_eq!(one(|it| it.order_scaled = true), ["deaf"]);
    assert_eq!(one(|it| it.telemetry_reversed = true), ["telemetry-reversed"]);
    assert_eq!(one(|it| it.telemetry_scaled = true), ["telemetry-scale"]);
    assert_eq!(one(|it| it.other_unit = true), ["telemetry-silent"]);
    assert_eq!(one(|it| it.meter_reversed = true), ["meter-reversed"]);
    assert_eq!(one(|it| it.battery_reversed = true), ["battery-reversed"]);
    let rotated = findings(&tried(3.0, Wrong { meter_rotated: true, ..Wrong::default() }));
    assert_eq!(rotated, [Finding::MeterPhase(1), Finding::MeterPhase(2), Finding::MeterPhase(0)]);
}

#[test]
fn a_house_that_goes_on_living_is_not_called_wrong() {
    let mut restless = 0;
    for seed in 1..=30 {
        let params = Params { start: 17.0, ..house(if seed % 2 == 0 { 3.0 } else { 1.0 }) };
        let report = Trial::new(params, seed, Wrong::default()).report();
        let found = findings(&report);
        restless += usize::from(found.contains(&Finding::Restless));
        let wrong: Vec<_> = found.into_iter().filter(|it| *it != Finding::Restless).collect();
        assert!(report.ended.is_none() && wrong.is_empty(), "seed {seed}: {report:?}");
    }
    assert!(restless <= 2, "{restless} of 30 houses were too restless");
}

#[test]
fn a_trial_is_given_up_with_nothing_ordered_when_the_grid_goes_or_the_meter_falls_silent() {
    let mut trial = Trial::new(house(1.0), 1, Wrong::default());
    for _ in 0..600 {
        trial.step();
    }
    trial.ids.retain(|(_, quantity, _)| *quantity != Quantity::GridPower);
    assert_eq!(trial.report().ended, Some(Ended::Silence));
    let mut trial = Trial::new(house(1.0), 1, Wrong::default());
    trial.plant.set("battery.soc", 5.0).unwrap();
    for _ in 0..600 {
        trial.step();
    }
    let report = trial.report();
    assert_eq!(
        report.ended, None,
        "below its floor the battery is only charged, and that proves as much: {report:?}"
    );
}
