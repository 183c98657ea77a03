//! The operator's wishes and limits, checked and in the units of `control`.
//!
//! A [`Policy`] is what a profile becomes once `profile::check` has found no mistake in it. Defaults are those
//! of the policy notes and are repeated nowhere else: the profile's documentation prints them from here.

mod generator;
mod load;
mod timed;

use serde::{Deserialize, Serialize};

pub use generator::{Condition, GeneratorPolicy, OnLoss, QuietHours};
pub use load::{LoadMode, LoadPolicy};
pub use timed::{Caps, Outage, PlanAct, PlanSlot, ScheduleWindow, Steer};

use super::units::{DeciCelsius, MilliAmps, MilliVolts, Soc, Span, WattHours, Watts};

/// How many inverters one site may control.
pub const MAX_INVERTERS: usize = 6;
/// How many loads on relays one site may switch.
pub const MAX_LOADS: usize = 8;
/// How many solar chargers one site may know.
pub const MAX_CHARGERS: usize = 8;
/// How many PV inverters one site may know.
pub const MAX_PV: usize = 16;

/// Whether decisions reach the plant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Control {
    /// Decide and show, write nothing.
    #[default]
    Observe,
    /// Decide and write.
    On,
}

/// What zero at the grid means on a site with several phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseMode {
    /// The sum over all phases; no inverter charges while another discharges.
    #[default]
    Total,
    /// Each phase by itself.
    Individual,
    /// First no phase feeds in, then the sum: a battery may charge on one phase and discharge on another.
    BalancedExport,
}

/// The whole policy of a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Whether decisions reach the plant.
    pub control: Control,
    /// The most power all inverter orders together may ask for, in either direction.
    pub authority: Watts,
    /// How phases are regulated.
    pub phases: PhaseMode,
    /// Battery limits and the guard of the minimum SoC.
    pub battery: BatteryPolicy,
    /// The grid connection and its setpoint.
    pub grid: GridPolicy,
    /// The regulator's manners.
    pub regulator: RegulatorPolicy,
    /// How long silence is tolerated.
    pub trust: TrustPolicy,
    /// The generator; none on sites without one.
    pub generator: Option<GeneratorPolicy>,
    /// Loads on relays, in the order of their names.
    pub loads: Vec<LoadPolicy>,
    /// Scheduled charge windows, in index order.
    pub schedule: Vec<ScheduleWindow>,
    /// Slots of the economic plan, by their start; none overlap.
    pub plan: Vec<PlanSlot>,
    /// Announced outages, by their start.
    pub outage: Vec<Outage>,
    /// Local second of the day at which the site's day begins its alarms and counters; zone of the site.
    pub timezone: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            control: Control::Observe,
            authority: Watts(0),
            phases: PhaseMode::Total,
            battery: BatteryPolicy::default(),
            grid: GridPolicy::default(),
            regulator: RegulatorPolicy::default(),
            trust: TrustPolicy::default(),
            generator: None,
            loads: Vec::new(),
            schedule: Vec::new(),
            plan: Vec::new(),
            outage: Vec::new(),
            timezone: "UTC".to_owned(),
        }
    }
}

/// Which rules guard the minimum SoC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuardKind {
    /// Ours: no micro-cycle at the floor, no grid charge because an operator raised it.
    #[default]
    Standard,
    /// The incumbent's transition table, exactly.
    VictronCompatible,
}

/// How hard a recharge below the floor pulls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// Whatever the limits allow.
    Full,
    /// At most this much.
    Power(Watts),
}

/// Battery limits and the guard of the minimum SoC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatteryPolicy {
    /// Usable capacity; none when the operator did not say.
    pub capacity: Option<WattHours>,
    /// Which guard rules apply.
    pub guard: GuardKind,
    /// Raise the floor day by day while the battery is never full; only with the compatible guard.
    pub adaptive_floor: bool,
    /// Keep the battery full: no discharge, no floor.
    pub keep_charged: bool,
    /// Minimum SoC while the grid is there; zero means none.
    pub floor: Soc,
    /// Down to here the battery may discharge for the import limit alone; none: to the floor.
    pub shave_floor: Option<Soc>,
    /// How much of the BMS's charge limit is used, in 0.01 %.
    pub bms_charge_centi: i32,
    /// How much of the BMS's discharge limit is used, in 0.01 %.
    pub bms_discharge_centi: i32,
    /// The highest charge voltage, whatever higher one the BMS gives.
    pub max_charge_voltage: Option<MilliVolts>,
    /// What a charge limit of 0 A means to this pack: none, and it means stop; else charge with so much up to so high
    /// a voltage.
    pub at_zero_charge: Option<(MilliVolts, MilliAmps)>,
    /// Never below, in no mode.
    pub absolute_floor: Soc,
    /// Never below without grid.
    pub island_reserve: Soc,
    /// Discharge resumes this much above the floor, in 0.01 %.
    pub resume_centi: i32,
    /// Whether falling far below the floor charges from the grid.
    pub recharge: bool,
    /// How far below the floor that begins, in 0.01 %.
    pub recharge_below_centi: i32,
    /// How hard it pulls; none means a tenth of the capacity per hour, or full when that is unknown.
    pub recharge_pace: Option<Pace>,
    /// The operator's limit on charging.
    pub max_charge: Option<Watts>,
    /// The operator's limit on discharging.
    pub max_discharge: Option<Watts>,
    /// No discharge at or below this voltage; again 2 % above it.
    pub voltage_floor: Option<MilliVolts>,
    /// Neither charge nor discharge outside this window.
    pub temperature: Option<(DeciCelsius, DeciCelsius)>,
    /// Whether a BMS must speak: `Some(true)` from the start, `Some(false)` never, `None` once one was heard.
    pub bms: Option<bool>,
    /// In island: go on discharging to the voltage floor without a BMS.
    pub island_without_bms: bool,
}

impl Default for BatteryPolicy {
    fn default() -> Self {
        Self {
            capacity: None,
            guard: GuardKind::Standard,
            adaptive_floor: false,
            keep_charged: false,
            floor: Soc::percent(10),
            shave_floor: None,
            bms_charge_centi: 10_000,
            bms_discharge_centi: 10_000,
            max_charge_voltage: None,
            at_zero_charge: None,
            absolute_floor: Soc::percent(5),
            island_reserve: Soc::percent(5),
            resume_centi: 300,
            recharge: true,
            recharge_below_centi: 500,
            recharge_pace: None,
            max_charge: None,
            max_discharge: None,
            voltage_floor: None,
            temperature: None,
            bms: None,
            island_without_bms: true,
        }
    }
}

impl BatteryPolicy {
    /// Whether the floor adapts: a rule of the compatible guard.
    #[must_use]
    pub fn is_adaptive(&self) -> bool {
        self.adaptive_floor && self.guard == GuardKind::VictronCompatible
    }
}

/// When the battery may discharge so that the import limit holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shave {
    /// Down to the shave floor, which is the floor unless it is set.
    #[default]
    AboveFloor,
    /// At any charge above the island reserve.
    Always,
}

/// What is ordered while the grid meter is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MeterLost {
    /// Nothing at the inverters' inputs.
    #[default]
    Passive,
    /// The setpoint, measured by the inverters themselves: what does not hang on their outputs is not compensated.
    Internal,
}

/// The grid connection and its setpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridPolicy {
    /// Whether the site has a grid connection at all.
    pub connected: bool,
    /// Wanted grid power; import is positive.
    pub setpoint: Watts,
    /// When the battery may discharge for the import limit.
    pub shave: Shave,
    /// What is ordered while the meter is lost.
    pub meter_lost: MeterLost,
    /// The most import, total.
    pub import_limit: Option<Watts>,
    /// The most export, total, as a positive number.
    pub export_limit: Option<Watts>,
    /// The most import of each phase.
    pub import_limit_phase: Option<MilliAmps>,
    /// The most export of each phase.
    pub export_limit_phase: Option<MilliAmps>,
    /// Export falls while the grid's voltage is at or above this.
    pub export_voltage: Option<MilliVolts>,
    /// Whether what DC-coupled PV makes beyond loads and battery may be fed into the grid.
    pub feed_in_dc: bool,
    /// Whether AC-coupled PV may be fed into the grid; else it is curtailed to what the site uses.
    pub feed_in_ac: bool,
    /// The grid must have been back this long before the site leaves island operation.
    pub stable_for: Span,
}

impl GridPolicy {
    /// Whether this grid power breaks the import limit: by more than a twentieth, which is the meter's noise.
    #[must_use]
    pub fn over_import(&self, grid: Watts) -> bool {
        over(self.import_limit, grid)
    }

    /// Whether it breaks the export limit, likewise.
    #[must_use]
    pub fn over_export(&self, grid: Watts) -> bool {
        over(self.export_limit, -grid)
    }
}

/// Whether a power breaks a limit by more than a twentieth, which is the meter's noise.
#[must_use]
pub fn over(limit: Option<Watts>, power: Watts) -> bool {
    limit.is_some_and(|limit| power > limit + limit.scaled(5, 100))
}

impl Default for GridPolicy {
    fn default() -> Self {
        Self {
            connected: true,
            setpoint: Watts(0),
            shave: Shave::AboveFloor,
            meter_lost: MeterLost::Passive,
            import_limit: None,
            export_limit: None,
            import_limit_phase: None,
            export_limit_phase: None,
            export_voltage: None,
            feed_in_dc: false,
            feed_in_ac: true,
            stable_for: Span::secs(60),
        }
    }
}

/// The regulator's manners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegulatorPolicy {
    /// Age of a meter value when it is asked for; none when nobody declared or measured it.
    pub meter_lag: Option<Span>,
    /// Changes smaller than this are not ordered.
    pub deadband: Watts,
    /// The steepest change of an order away from protection, in W per second; none means no ramp.
    pub ramp: Option<Watts>,
    /// How long a wish to reverse between charge and discharge must persist; none means the longest of
    /// two samples, twice the actuator's latency, and 3 s.
    pub direction_hold: Option<Span>,
    /// Whether the slow integral removes what measurement offsets leave.
    pub trim: bool,
    /// Decide at least this often, also without fresh data.
    pub longest_cycle: Span,
    /// Decide at most this often.
    pub shortest_cycle: Span,
}

impl Default for RegulatorPolicy {
    fn default() -> Self {
        Self {
            meter_lag: None,
            deadband: Watts(10),
            ramp: Some(Watts(1_000)),
            direction_hold: None,
            trim: true,
            longest_cycle: Span::secs(1),
            shortest_cycle: Span::millis(200),
        }
    }
}

/// How long one input may be silent before it is held, degraded and at last safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stages {
    /// Good until this age.
    pub held: Span,
    /// Held until this age.
    pub degraded: Span,
    /// Degraded until this age.
    pub safe: Span,
    /// Consecutive fresh samples that make it good again.
    pub samples: u8,
    /// And the time they must span.
    pub over: Span,
}

/// The fail-safe table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustPolicy {
    /// The grid meter.
    pub meter: Stages,
    /// Inverter telemetry.
    pub inverter: Stages,
    /// State of charge.
    pub soc: Stages,
    /// The limits of a BMS.
    pub bms: Stages,
    /// PV meters.
    pub pv: Stages,
    /// Generator feedback.
    pub generator: Stages,
    /// All that feeds the site is measured: a meter that breaks the balance is not believed.
    pub balance: bool,
}

impl Default for TrustPolicy {
    fn default() -> Self {
        let stages = |held, degraded, safe, samples, over| Stages {
            held: Span::secs(held),
            degraded: Span::secs(degraded),
            safe: Span::secs(safe),
            samples,
            over: Span::secs(over),
        };
        Self {
            meter: stages(2, 5, 15, 5, 5),
            inverter: stages(3, 5, 10, 3, 0),
            soc: stages(60, 120, 300, 2, 0),
            bms: stages(5, 10, 30, 3, 0),
            pv: stages(10, 120, 300, 1, 0),
            generator: stages(5, 30, 60, 1, 0),
            balance: false,
        }
    }
}

/// What one inverter can do and how it behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InverterSpec {
    /// The profile's name of the device.
    pub name: String,
    /// Most power into the battery, at the AC side.
    pub max_charge: Watts,
    /// Most power out of the battery, at the AC side.
    pub max_discharge: Watts,
    /// Which phases it feeds.
    pub phases: [bool; 3],
    /// From order to the first reaction.
    pub dead_time: Span,
    /// Time constant of the reaction.
    pub lag: Span,
    /// The smallest step it takes.
    pub resolution: Watts,
}
