//! What the site is made of: every parameter, its unit, its default and its range, in one table.

/// One parameter as a person may set it.
#[derive(Debug)]
pub struct Parameter {
    /// Dotted name.
    pub name: &'static str,
    /// Unit; empty for counts and flags.
    pub unit: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Smallest and largest sensible value.
    pub range: (f64, f64),
    /// Reads it.
    pub get: fn(&Params) -> f64,
    /// Writes it.
    pub put: fn(&mut Params, f64),
}

macro_rules! params {
    ($($field:ident: $name:literal, $unit:literal, $default:expr, $low:expr, $high:expr, $about:literal;)*) => {
        /// The parameters of a simulated site. The defaults are a single-phase house on the grid with one
        /// 5 kW inverter, no PV and a steady 500 W.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Params { $(#[doc = $about] pub $field: f64,)* }

        impl Default for Params {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        /// All parameters.
        pub const PARAMETERS: &[Parameter] = &[$(Parameter {
            name: $name,
            unit: $unit,
            about: $about,
            range: ($low, $high),
            get: |params| params.$field,
            put: |params, value| params.$field = value,
        },)*];
    };
}

params! {
    phases: "phases", "", 1.0, 1.0, 3.0, "How many phases the site has, 1 or 3.";
    start: "start", "h", 12.0, 0.0, 24.0, "Hour of the day at which the simulation begins.";
    meter_period: "meter.period", "s", 1.0, 0.0, 60.0, "Time between samples of the grid meter; 0: each step.";
    meter_lag: "meter.lag", "s", 0.0, 0.0, 10.0, "Age of what the grid meter shows when it shows it.";
    inverter_period: "inverter.period", "s", 1.0, 0.0, 60.0, "Time between samples of inverter, PV and battery telemetry; 0: each step.";
    inverter_count: "inverter.count", "", 1.0, 1.0, 6.0, "How many inverters share the battery.";
    inverter_phases: "inverter.phases", "", 7.0, 1.0, 7.0, "Which phases have an inverter: 1 for L1, plus 2 for L2, plus 4 for L3.";
    inverter_dead_time: "inverter.dead_time", "s", 0.5, 0.0, 30.0, "From an order to the first reaction.";
    inverter_lag: "inverter.lag", "s", 0.6, 0.0, 60.0, "Time constant of the reaction.";
    inverter_slew: "inverter.slew", "W/s", 0.0, 0.0, 1e6, "Steepest change; 0: any.";
    inverter_max_charge: "inverter.max_charge", "W", 5_000.0, 0.0, 1e6, "Most AC power into the battery, each phase of each inverter.";
    inverter_max_discharge: "inverter.max_discharge", "W", 5_000.0, 0.0, 1e6, "Most AC power out of the battery, each phase of each inverter.";
    inverter_watchdog: "inverter.watchdog", "s", 10.0, 0.0, 3_600.0, "Pass-through after this long without an order; 0: never.";
    inverter_bias: "inverter.bias", "W", 0.0, -1_000.0, 1_000.0, "How far each phase misses its order.";
    inverter_resolution: "inverter.resolution", "W", 1.0, 0.0, 1_000.0, "Smallest step of an order; 0 or 1: each watt.";
    inverter_efficiency: "inverter.efficiency", "", 0.95, 0.5, 1.0, "AC to DC and back, each way.";
    inverter_idle: "inverter.idle", "W", 15.0, 0.0, 1_000.0, "What each inverter takes from the battery for itself.";
    battery_capacity: "battery.capacity", "Wh", 10_000.0, 10.0, 1e9, "Usable energy from full to empty at the nominal voltage.";
    battery_cells: "battery.cells", "", 16.0, 1.0, 400.0, "LFP cells in series.";
    battery_resistance: "battery.resistance", "Ω", 0.012, 0.0, 10.0, "Internal resistance of the whole battery.";
    battery_coulombic: "battery.coulombic_efficiency", "", 0.99, 0.5, 1.0, "Share of a charged ampere-hour that comes out again.";
    battery_temperature: "battery.temperature", "°C", 20.0, -40.0, 80.0, "Battery temperature; it stays what it is.";
    battery_max_charge_current: "battery.max_charge_current", "A", 100.0, 0.0, 1e5, "What the BMS allows while nothing tapers.";
    battery_max_discharge_current: "battery.max_discharge_current", "A", 150.0, 0.0, 1e5, "What the BMS allows while nothing tapers.";
    pv_peak: "pv.peak", "W", 0.0, 0.0, 1e6, "Most power of the AC-coupled PV, all phases.";
    pv_lag: "pv.lag", "s", 1.0, 0.0, 60.0, "Time constant with which PV follows a new limit.";
    pv_dc_peak: "pv.dc.peak", "W", 0.0, 0.0, 1e6, "Most power of the DC-coupled PV.";
    pv_clouds: "pv.clouds", "", 0.5, 0.0, 1.0, "How much clouds take at most, as a share.";
    pv_sunrise: "pv.sunrise", "h", 6.0, 0.0, 24.0, "Hour of sunrise.";
    pv_sunset: "pv.sunset", "h", 20.0, 0.0, 24.0, "Hour of sunset.";
    load_base: "load.base", "W", 500.0, 0.0, 1e6, "Steady consumption, all phases.";
    load_noise: "load.noise", "W", 0.0, 0.0, 1e5, "Deviation of the bell-shaped noise on each phase, drawn each second.";
    load_appliances: "load.appliances", "", 0.0, 0.0, 1.0, "1: fridge, kettle, oven and washing machine come and go.";
    load_out_share: "load.out_share", "", 0.0, 0.0, 1.0, "Share of the consumption that hangs on the inverter's output.";
    generator_rating: "generator.rating", "W", 6_000.0, 0.0, 1e6, "Most power of the generator.";
    generator_crank_time: "generator.crank_time", "s", 5.0, 0.0, 300.0, "From contact to a turning engine, or to a failed attempt.";
    generator_crank_rest: "generator.crank_rest", "s", 10.0, 0.0, 300.0, "Between its own attempts.";
    generator_crank_attempts: "generator.crank_attempts", "", 1.0, 1.0, 20.0, "Attempts it makes by itself before it waits for the contact to open.";
    generator_fail_starts: "generator.fail_starts", "", 0.0, 0.0, 1e6, "How many of the next attempts will fail.";
    generator_warm_up: "generator.warm_up", "s", 5.0, 0.0, 3_600.0, "From turning to taking load.";
    generator_cool_down: "generator.cool_down", "s", 0.0, 0.0, 3_600.0, "How long it runs on without load when the contact opens.";
    generator_load_permit: "generator.load_permit", "", 1.0, 0.0, 1.0, "1: the site may take load from it.";
    generator_charge_limit: "generator.charge_limit", "W", 3_000.0, 0.0, 1e6, "Most AC power it may charge the battery with.";
    generator_tank: "generator.tank", "l", 60.0, 0.1, 1e6, "Size of its tank.";
    generator_burn_idle: "generator.burn_idle", "l/h", 0.6, 0.0, 1e3, "Fuel without load.";
    generator_burn_load: "generator.burn_load", "l/kWh", 0.27, 0.0, 10.0, "Fuel per energy on top.";
}

impl Params {
    /// One or three.
    pub fn phase_count(&self) -> usize {
        if self.phases >= 2.0 { 3 } else { 1 }
    }

    /// 1 for each phase the site has, 0 for the others.
    pub fn wired(&self) -> super::Three {
        if self.phase_count() == 3 { [1.0; 3] } else { [1.0, 0.0, 0.0] }
    }

    /// Whether there is an inverter on this phase.
    pub fn has_inverter(&self, phase: usize) -> bool {
        phase < self.phase_count() && (self.inverter_phases as u32 >> phase) & 1 == 1
    }

    /// Inverters at the battery, 1 to 6.
    pub fn inverters(&self) -> usize {
        (self.inverter_count as usize).clamp(1, 6)
    }
}
