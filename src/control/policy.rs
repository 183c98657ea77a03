//! The operator's wishes and limits, checked and in the units of `control`.
//!
//! A [`Policy`] is what a profile becomes once `profile::check` has found no mistake in it. Defaults are those
//! of the policy notes and are repeated nowhere else: the profile's documentation prints them from here.

use serde::{Deserialize, Serialize};

use super::units::{DeciCelsius, MilliVolts, Soc, Span, WattHours, Watts};

/// How many inverters one site may control.
pub const MAX_INVERTERS: usize = 6;
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
    /// Keep the battery full: no discharge, no floor.
    pub keep_charged: bool,
    /// Minimum SoC while the grid is there; zero means none.
    pub floor: Soc,
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
            keep_charged: false,
            floor: Soc::percent(10),
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

/// The grid connection and its setpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridPolicy {
    /// Whether the site has a grid connection at all.
    pub connected: bool,
    /// Wanted grid power; import is positive.
    pub setpoint: Watts,
    /// The most import, total.
    pub import_limit: Option<Watts>,
    /// The most export, total, as a positive number.
    pub export_limit: Option<Watts>,
    /// The grid must have been back this long before the site leaves island operation.
    pub stable_for: Span,
}

impl Default for GridPolicy {
    fn default() -> Self {
        Self {
            connected: true,
            setpoint: Watts(0),
            import_limit: None,
            export_limit: None,
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

/// One condition's thresholds. Direction is fixed per quantity: charge and voltage start low and stop
/// high, load and current start high and stop low. Thresholds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Starts at this value, in the quantity's carried unit.
    pub start: i64,
    /// Must hold this long.
    pub start_for: Span,
    /// Ends at this value.
    pub stop: i64,
    /// Must hold this long.
    pub stop_for: Span,
    /// Start and stop during quiet hours, when they differ.
    pub quiet: Option<(i64, i64)>,
}

/// Local seconds of the day, half-open; may cross midnight; never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First second inside.
    pub from: i32,
    /// First second outside.
    pub to: i32,
}

/// What the loss of a condition's source does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLoss {
    /// A running set goes on; a resting one stays.
    #[default]
    Keep,
    /// Start after the time-out.
    Start,
    /// A running set stops after the time-out.
    Stop,
}

/// The generator. All times are monotonic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorPolicy {
    /// Whether conditions may start it by themselves.
    pub auto: bool,
    /// State of charge, in 0.01 %.
    pub soc: Option<Condition>,
    /// Site load, in W.
    pub load: Option<Condition>,
    /// Battery discharge current, in mA.
    pub current: Option<Condition>,
    /// Battery voltage, in mV.
    pub voltage: Option<Condition>,
    /// Quiet hours.
    pub quiet: Option<QuietHours>,
    /// Whether quiet hours block normal starts instead of only changing thresholds.
    pub quiet_blocks: bool,
    /// Minimum run: a floor, never a timer.
    pub min_run: Span,
    /// Alarm after running this long; zero is off.
    pub max_run: Span,
    /// Minimum time between stop and next start.
    pub min_off: Span,
    /// Pause between engine still and the next crank.
    pub rest: Span,
    /// An attempt without confirmation ends after this.
    pub start_timeout: Span,
    /// Attempts before lock-out.
    pub attempts: u8,
    /// Pause between attempts.
    pub crank_rest: Span,
    /// Engine runs without load first.
    pub warm_up: Span,
    /// Engine runs without load last.
    pub cool_down: Span,
    /// Shortest time in stopping.
    pub stop_time: Span,
    /// Alarm when the engine still turns after this.
    pub stop_timeout: Span,
    /// Generator voltage must be gone this long before the site counts it as gone.
    pub ac_gone_hold: Span,
    /// A missing feedback shorter than this is no loss.
    pub running_lost_debounce: Span,
    /// Silence of a condition's source for this long is a loss.
    pub loss_timeout: Span,
    /// What a loss does.
    pub on_loss: OnLoss,
    /// Whether the site has any feedback of the running engine.
    pub feedback: bool,
    /// Whether an operator switching auto off ends a run before its minimum.
    pub auto_off_immediate: bool,
    /// Most power it may deliver.
    pub rating: Option<Watts>,
}

impl Default for GeneratorPolicy {
    fn default() -> Self {
        Self {
            auto: true,
            soc: None,
            load: None,
            current: None,
            voltage: None,
            quiet: None,
            quiet_blocks: false,
            min_run: Span::ZERO,
            max_run: Span::ZERO,
            min_off: Span::ZERO,
            rest: Span::secs(30),
            start_timeout: Span::secs(60),
            attempts: 3,
            crank_rest: Span::secs(60),
            warm_up: Span::ZERO,
            cool_down: Span::ZERO,
            stop_time: Span::ZERO,
            stop_timeout: Span::secs(120),
            ac_gone_hold: Span::secs(3),
            running_lost_debounce: Span::secs(5),
            loss_timeout: Span::secs(300),
            on_loss: OnLoss::Keep,
            feedback: true,
            auto_off_immediate: false,
            rating: None,
        }
    }
}

/// A daily charge window. Days are a bit set, Monday in bit 0; times are local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleWindow {
    /// Days on which it begins.
    pub days: u8,
    /// Local second of the day at which it begins.
    pub start: i32,
    /// How long it lasts.
    pub duration: Span,
    /// Charge to here.
    pub target: Soc,
    /// Whether the battery may discharge above the target inside the window.
    pub allow_discharge: bool,
}

/// A slot of the economic plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSlot {
    /// UTC second since 1970 at which it begins.
    pub start: i64,
    /// How long it lasts.
    pub duration: Span,
    /// The charge to be at when it ends.
    pub target: Soc,
}

/// An announced outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// UTC second since 1970 at which it begins.
    pub start: i64,
    /// How long it lasts.
    pub duration: Span,
    /// How long before it preparation begins.
    pub prepare: Span,
    /// The charge to have by then.
    pub min_soc: Soc,
}
