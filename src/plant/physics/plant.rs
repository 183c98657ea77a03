//! The site as a whole: its memory, its steps, and what can be done to it.

use super::battery::Battery;
use super::chance::Chance;
use super::flows::{self, Flows};
use super::generator::Generator;
use super::house::House;
use super::inverter::Inverter;
use super::meter::{self, Meter};
use super::names::Pins;
use super::params::Params;
use super::sky::Sky;
use super::{Three, total};

/// What a device would show now, and the moment it began to show it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// In the unit of its name.
    pub value: f64,
    /// Seconds since the simulation began.
    pub sampled_at: f64,
}

/// A simulated site.
#[derive(Clone, Debug)]
pub struct Plant {
    pub(super) params: Params,
    pub(super) pins: Pins,
    /// Microseconds since the simulation began.
    pub(super) clock: u64,
    pub(super) chance: Chance,
    pub(super) sky: Sky,
    pub(super) house: House,
    pub(super) battery: Battery,
    pub(super) inverters: Vec<Inverter>,
    /// The limit that was ordered, all phases, W.
    pub(super) pv_limit: Option<f64>,
    /// What the limit's lag lets through, W.
    pub(super) pv_held: f64,
    pub(super) generator: Generator,
    /// An empty battery took the site down, until it is charged a little or another source comes.
    pub(super) empty: bool,
    meter: Meter,
    /// Telemetry of inverter, PV and battery.
    telemetry: (u64, Flows),
    pub(super) flows: Flows,
}

impl Plant {
    /// A site with these parameters; equal seeds give equal sites.
    #[must_use]
    pub fn new(params: Params, seed: u64) -> Self {
        let battery = Battery::new(&params, 0.5);
        let mut plant = Self {
            inverters: vec![Inverter::default(); params.inverters()],
            params,
            pins: Pins::default(),
            clock: 0,
            chance: Chance::new(seed),
            sky: Sky::default(),
            house: House::default(),
            battery,
            pv_limit: None,
            pv_held: f64::INFINITY,
            generator: Generator::default(),
            empty: false,
            meter: Meter::default(),
            telemetry: (0, Flows::default()),
            flows: Flows::default(),
        };
        plant.settle();
        plant
    }

    /// Works out what is true now without letting time pass, and lets every device look. Called after the
    /// parameters of a new site were set.
    pub fn settle(&mut self) {
        self.inverters.resize(self.params.inverters(), Inverter::default());
        self.battery = Battery::new(&self.params, self.battery.soc);
        self.dispatch(0.0, false);
        self.meter.shows = (self.clock, self.flows);
        self.telemetry = (self.clock, self.flows);
    }

    /// Lets a short time pass, 50 ms as a rule, with every dead time and lag.
    pub fn step(&mut self, seconds: f64) {
        self.pass(seconds, false);
    }

    /// Lets about a second pass; inverter and PV reach their orders within the step.
    pub fn step_steady(&mut self, seconds: f64) {
        self.pass(seconds, true);
    }

    fn pass(&mut self, seconds: f64, steady: bool) {
        let before = self.clock;
        self.clock = before.saturating_add((seconds.clamp(0.0, 3_600.0) * 1e6).round() as u64);
        // Chance belongs to whole seconds, so that both resolutions live through the same day.
        for second in before / 1_000_000..self.clock / 1_000_000 {
            let hour = self.hour_at(second as f64);
            self.sky.second(&mut self.chance);
            self.house.second(hour, &mut self.chance);
        }
        self.inverters.resize(self.params.inverters(), Inverter::default());
        self.generator.step(&mut self.params, total(self.flows.generator), seconds);
        self.dispatch(seconds, steady);
        self.flows.count(seconds);
        self.meter.step(before, self.clock, self.flows, self.params.meter_period, self.params.meter_lag);
        if meter::due(before, self.clock, self.params.inverter_period) {
            self.telemetry = (self.clock, self.flows);
        }
    }

    /// Seconds since the simulation began.
    #[must_use]
    pub fn time(&self) -> f64 {
        self.clock as f64 / 1e6
    }

    /// Hour of the day, 0 to 24.
    #[must_use]
    pub fn hour(&self) -> f64 {
        self.hour_at(self.time())
    }

    fn hour_at(&self, seconds: f64) -> f64 {
        (self.params.start + seconds / 3_600.0).rem_euclid(24.0)
    }

    /// What is true now.
    #[must_use]
    pub fn flows(&self) -> &Flows {
        &self.flows
    }

    /// What the site is made of.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What a meter, an inverter or a BMS would say now of a truth, with its lag and its period. `None` for a
    /// name that is no truth.
    #[must_use]
    pub fn measured(&self, name: &str) -> Option<Measured> {
        let (clock, flows) = match name.split('.').next() {
            // Whether there is a grid is seen by a relay, not by the sampling of power.
            Some("grid") if name != "grid.present" => &self.meter.shows,
            Some("battery" | "inverter" | "pv" | "load" | "site") => &self.telemetry,
            _ => &(self.clock, self.flows),
        };
        let value = flows::read(flows, name)?;
        Some(Measured { value, sampled_at: *clock as f64 / 1e6 })
    }

    /// Orders power at the inverters' AC input, per phase, feeding the bus positive, shared evenly by all
    /// inverters. It is forgotten unless repeated within the inverter's watchdog.
    pub fn order_inverter(&mut self, order: Three) {
        let share = self.inverters.len().max(1) as f64;
        for index in 0..self.inverters.len() {
            self.order_one_inverter(index, Some(order.map(|watts| watts / share)));
        }
    }

    /// The same for one inverter of several; `None` is pass-through.
    pub fn order_one_inverter(&mut self, index: usize, order: Option<Three>) {
        let order = order.map(|order| order.map(|watts| if watts.is_finite() { watts } else { 0.0 }));
        if let Some(inverter) = self.inverters.get_mut(index) {
            inverter.hear(self.clock, order);
        }
    }

    /// Sends all inverters into pass-through.
    pub fn release_inverter(&mut self) {
        for index in 0..self.inverters.len() {
            self.order_one_inverter(index, None);
        }
    }

    /// What one inverter carries at its AC input, per phase.
    #[must_use]
    pub fn inverter_power(&self, index: usize) -> Three {
        let share = self.inverters.len().max(1) as f64;
        let behind = self.flows.load_out.map(|watts| watts / share);
        self.inverters.get(index).map_or([0.0; 3], |one| super::zip(one.output, behind, |ac, out| ac - out))
    }

    /// The order that one inverter acts upon; `None` is pass-through.
    #[must_use]
    pub fn inverter_order(&self, index: usize) -> Option<Three> {
        self.inverters.get(index).and_then(|inverter| inverter.order)
    }

    /// Limits the AC-coupled PV, all phases together; `None` releases it.
    pub fn limit_pv(&mut self, limit: Option<f64>) {
        self.pv_limit = limit.filter(|watts| watts.is_finite()).map(|watts| watts.max(0.0));
    }

    /// The limit that the AC-coupled PV holds.
    #[must_use]
    pub fn pv_limit(&self) -> Option<f64> {
        self.pv_limit
    }

    /// Closes or opens the generator's start contact.
    pub fn set_contact(&mut self, closed: bool) {
        self.generator.contact = closed;
        self.flows.generator_contact = closed;
    }
}
