//! A site and a plant on one desk: the pure half closed over the simulator, without a wire between them.

use wattkeeper::control::policy::{Control, InverterSpec, Policy};
use wattkeeper::control::signal::{Phase, Quantity, Signal, SignalId};
use wattkeeper::control::site::{Command, Input, Order, Site, SiteConfig};
use wattkeeper::control::units::{Mono, Soc, Span, WattHours, Watts};
use wattkeeper::control::wiring::{ActuatorKind, ActuatorSpec, InverterWiring};
use wattkeeper::plant::Plant;
use wattkeeper::plant::physics::Params;

/// What the site hears, by the plant's names.
const HEARD: &[(&str, Quantity, f64)] = &[
    ("grid.power", Quantity::GridPower, 1.0),
    ("inverter.power", Quantity::InverterPower, 1.0),
    ("load.out.power", Quantity::LoadOutPower, 1.0),
    ("battery.soc", Quantity::BatterySoc, 100.0),
    ("battery.voltage", Quantity::BatteryVoltage, 1_000.0),
    ("battery.charge_limit_current", Quantity::BatteryChargeLimitCurrent, 1_000.0),
    ("battery.discharge_limit_current", Quantity::BatteryDischargeLimitCurrent, 1_000.0),
];

/// When devices are asked, in ticks of 50 ms: how often, and at which of them.
#[derive(Clone, Copy, Debug)]
pub struct Polls {
    pub meter: (i64, i64),
    pub inverter: (i64, i64),
    /// How many ticks old the inverter's gateway tells.
    pub view: usize,
}

impl Default for Polls {
    /// Everything at once, each second.
    fn default() -> Self {
        Self { meter: (20, 0), inverter: (20, 0), view: 0 }
    }
}

/// A single-phase site in control of one inverter.
pub struct Desk {
    pub plant: Plant,
    pub site: Site,
    ids: Vec<(SignalId, &'static str, f64)>,
    wake_at: Mono,
    ticks: i64,
    /// When meter and inverter are asked.
    pub polls: Polls,
    /// What the inverter's gateway will show, oldest first: one entry a tick.
    view: std::collections::VecDeque<Vec<Option<i64>>>,
    /// Commands so far, with their moments.
    pub commands: Vec<(f64, Command)>,
}

impl Desk {
    pub fn new(params: Params, change: impl FnOnce(&mut Policy)) -> Self {
        Self::seeded(params, 1, change)
    }

    /// The same with other weather, appliances and noise.
    pub fn seeded(params: Params, seed: u64, change: impl FnOnce(&mut Policy)) -> Self {
        let mut config = SiteConfig::default();
        let mut ids = Vec::new();
        for (name, quantity, steps) in HEARD {
            let id = config.signals.place(Signal::site(*quantity, Phase::Total)).unwrap();
            ids.push((id, *name, *steps));
        }
        let id = |name: &str| ids.iter().find(|(_, known, _)| *known == name).map(|(id, ..)| *id);
        let millis = |seconds: f64| Span::millis((seconds * 1_000.0) as i64);
        let wiring = &mut config.wiring;
        wiring.grid.power.total = id("grid.power");
        wiring.load_out.total = id("load.out.power");
        wiring.battery.soc = id("battery.soc");
        wiring.battery.voltage = id("battery.voltage");
        wiring.battery.charge_limit = id("battery.charge_limit_current");
        wiring.battery.discharge_limit = id("battery.discharge_limit_current");
        let mut inverter = InverterWiring {
            spec: InverterSpec {
                name: "inverter".to_owned(),
                max_charge: Watts(params.inverter_max_charge as i32),
                max_discharge: Watts(params.inverter_max_discharge as i32),
                phases: [true, false, false],
                dead_time: millis(params.inverter_dead_time),
                lag: millis(params.inverter_lag),
                resolution: Watts(10),
            },
            power: Default::default(),
            sustain: None,
            dc_current: None,
        };
        inverter.power.total = id("inverter.power");
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
        policy.regulator.meter_lag = Some(millis(params.meter_lag));
        change(policy);
        let mut plant = Plant::new(params, seed);
        plant.set("battery.soc", 60.0).unwrap();
        Self {
            plant,
            site: Site::new(config),
            ids,
            wake_at: Mono::ZERO,
            ticks: 0,
            polls: Polls::default(),
            view: std::collections::VecDeque::new(),
            commands: Vec::new(),
        }
    }

    /// Seconds since the start.
    pub fn time(&self) -> f64 {
        self.ticks as f64 * 0.05
    }

    /// One step of 50 ms: the plant moves, each second the devices are heard, the site decides when it wants to.
    pub fn step(&mut self) {
        self.plant.step(0.05);
        self.ticks += 1;
        let now = Mono(self.ticks * 50);
        self.look();
        for at in 0..self.ids.len() {
            let (signal, name, _) = self.ids[at];
            let (every, phase) = if name == "grid.power" { self.polls.meter } else { self.polls.inverter };
            if self.ticks % every == phase {
                let seen = if name == "grid.power" { self.view.back() } else { self.view.front() };
                let value = seen.and_then(|values| values[at]);
                let outputs = self.site.handle(now, &Input::Heard { signal, value, asked_at: now });
                self.wake_at = outputs.wake_at;
            }
        }
        if now >= self.wake_at {
            let seconds = self.time();
            let outputs = self.site.handle(now, &Input::Due);
            self.wake_at = outputs.wake_at;
            for command in outputs.commands.iter().copied() {
                if let Order::Power([power, ..]) = command.order {
                    self.plant.order_inverter([f64::from(power.0), 0.0, 0.0]);
                }
                self.commands.push((seconds, command));
            }
        }
    }

    /// What every device would show now joins what was seen before.
    fn look(&mut self) {
        let plant = &self.plant;
        let now = self.ids.iter().map(|(_, name, steps)| {
            plant.measured(name).map(|measured| (measured.value * steps).round() as i64)
        });
        self.view.push_back(now.collect());
        while self.view.len() > self.polls.view + 1 {
            self.view.pop_front();
        }
    }

    /// Runs on, and returns the grid power at each step.
    pub fn run(&mut self, seconds: f64) -> Vec<f64> {
        let steps = (seconds / 0.05).round() as usize;
        let mut grid = Vec::with_capacity(steps);
        for _ in 0..steps {
            self.step();
            grid.push(self.plant.get("grid.power").unwrap());
        }
        grid
    }

    pub fn set(&mut self, name: &str, value: f64) {
        self.plant.set(name, value).unwrap();
    }
}

impl Desk {
    /// Every signal with what its device says now, in carried units.
    pub fn heard(&self) -> Vec<(SignalId, i64)> {
        let value =
            |name: &str, steps: f64| (self.plant.measured(name).unwrap().value * steps).round() as i64;
        self.ids.iter().map(|(id, name, steps)| (*id, value(name, *steps))).collect()
    }
}
