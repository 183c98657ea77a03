//! What was decided, and why.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::genset::GensetView;
use super::loads::LoadView;
use super::orders::{Actor, OrderView};
use super::policy::{MAX_CHARGERS, MAX_INVERTERS, MAX_LOADS};
use super::reading::Stage;
use super::reason::{Reasons, Tier};
use super::units::{MilliAmps, Mono, Soc, Watts};

/// States of the SoC guard: the incumbent's 2 to 12, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GuardState {
    /// 9: kept full.
    KeepCharged,
    /// 10: above the floor.
    #[default]
    Ok,
    /// 11: at the floor, no discharge.
    FloorHeld,
    /// 12: far below, charging.
    FloorRecharge,
    /// 2, adaptive floor: free.
    SelfConsumption,
    /// 3, adaptive floor: at 85 % or above.
    Absorbing,
    /// 4, adaptive floor: at 95 % or above.
    FloatBand,
    /// 5, adaptive floor: fell to the limit, no discharge.
    Discharged,
    /// 6, adaptive floor: a day at the limit, charged slowly.
    SlowCharge,
    /// 7, adaptive floor: the inverter holds a nearly empty battery up.
    Sustain,
    /// 8, adaptive floor: far below the limit, charging.
    Recharge,
}

impl GuardState {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KeepCharged => "keep-charged",
            Self::Ok => "ok",
            Self::FloorHeld => "floor-held",
            Self::FloorRecharge => "floor-recharge",
            Self::SelfConsumption => "self",
            Self::Absorbing => "absorbing",
            Self::FloatBand => "float-band",
            Self::Discharged => "discharged",
            Self::SlowCharge => "slow-charge",
            Self::Sustain => "sustain",
            Self::Recharge => "recharge",
        }
    }

    /// Whether the battery may be discharged.
    #[must_use]
    pub fn allows_discharge(self) -> bool {
        match self {
            Self::Ok | Self::SelfConsumption | Self::Absorbing | Self::FloatBand => true,
            Self::KeepCharged
            | Self::FloorHeld
            | Self::FloorRecharge
            | Self::Discharged
            | Self::SlowCharge
            | Self::Sustain
            | Self::Recharge => false,
        }
    }

    /// Whether the battery is charged from the grid, as hard as the pace allows.
    #[must_use]
    pub fn recharges(self) -> bool {
        matches!(self, Self::FloorRecharge | Self::Recharge)
    }
}

/// Charging that does not wait for a surplus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForcedCharge {
    /// None.
    #[default]
    None,
    /// As much as the limits allow.
    Full,
    /// 5 A of battery current: the adaptive floor's care for a battery that stays at its limit.
    Slow,
}

/// How a wish of time stands: a charge window, the plan, the preparation for an outage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimedState {
    /// It is not its time.
    #[default]
    Off,
    /// A window or a plan has control.
    Active,
    /// The preparation for an outage has control.
    Preparing,
    /// Another one has control.
    Blocked,
    /// The state of charge is not good.
    NoSoc,
    /// The wall clock may not be believed.
    NoClock,
    /// The plan needs the battery's capacity.
    NoCapacity,
    /// Island, kept charged, or under an operator's order: nothing of this kind applies.
    Mode,
}

impl TimedState {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Active => "active",
            Self::Preparing => "preparing",
            Self::Blocked => "blocked",
            Self::NoSoc => "no-soc",
            Self::NoClock => "no-clock",
            Self::NoCapacity => "no-capacity",
            Self::Mode => "mode",
        }
    }
}

/// How the wishes of time stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedView {
    /// The charge windows.
    pub schedule: TimedState,
    /// Target of the open window.
    pub target: Option<Soc>,
    /// The economic plan.
    pub plan: TimedState,
    /// Who leases its rung, while somebody does.
    pub plan_by: Option<Actor>,
    /// The preparation for an outage.
    pub outage: TimedState,
}

/// What one rung left of the range of battery power, at the AC side, discharge positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Which.
    pub tier: Tier,
    /// Lowest power still allowed after it (most charge).
    pub low: Watts,
    /// Highest power still allowed after it (most discharge).
    pub high: Watts,
}

/// A wish that a higher rung cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    /// Whose wish.
    pub tier: Tier,
    /// What it wanted.
    pub wanted: Watts,
    /// What it got.
    pub got: Watts,
    /// Who cut it.
    pub by: Tier,
}

/// What was decided, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Mono,
    /// AC power of all controlled inverters together, discharge positive.
    pub battery_order: Watts,
    /// Most charge allowed now, as a positive number.
    pub max_charge: Watts,
    /// Most discharge allowed now.
    pub max_discharge: Watts,
    /// Whether the guard allows discharge.
    pub discharge_allowed: bool,
    /// Charging that does not wait for a surplus.
    pub forced_charge: ForcedCharge,
    /// Per inverter and phase, in the order of [`Wiring::inverters`](super::wiring::Wiring::inverters).
    pub inverters: ArrayVec<[Watts; 3], MAX_INVERTERS>,
    /// Wanted grid power; `None` when a device that keeps the fast loop itself must be left alone, because what binds
    /// cannot be put into a setpoint without knowing the load.
    pub grid_setpoint: Option<Watts>,
    /// Limit for PV, when one is needed.
    pub pv_limit: Option<Watts>,
    /// What the inverters may charge the battery with, where a BMS limits it.
    pub charge_current: Option<MilliAmps>,
    /// What each solar charger may make, in the order of [`Wiring::chargers`](super::wiring::Wiring::chargers);
    /// empty where nothing limits them.
    pub chargers: ArrayVec<MilliAmps, MAX_CHARGERS>,
    /// Most export in force, as a positive number; none where nothing limits it.
    pub export_limit: Option<Watts>,
    /// The guard.
    pub guard: GuardState,
    /// The floor in force; none when nothing guards.
    pub floor: Option<Soc>,
    /// The adaptive floor in force; none without that rule.
    pub limit: Option<Soc>,
    /// What it has counted today: 1 fell to the limit, 2 rose to 85 %, 4 to 95 %.
    pub flags: u8,
    /// The operator's order for the battery, while one stands.
    pub order: Option<OrderView>,
    /// The wishes of time.
    pub timed: TimedView,
    /// The regulator's slow correction.
    pub trim: Watts,
    /// The range after each rung.
    pub ladder: ArrayVec<Rung, 10>,
    /// Wishes that were cut.
    pub overruled: ArrayVec<Overruled, 4>,
    /// Why.
    pub reasons: Reasons,
    /// Every required input has spoken often enough since the start; before that nothing is ordered.
    pub ready: bool,
    /// A ramp or a wait is running: the order moves without anything new being heard.
    pub moving: bool,
    /// Stage of meter, inverter, SoC, BMS, PV, generator.
    pub stages: [Stage; 6],
    /// Loads on relays, in the order of [`Policy::loads`](super::policy::Policy::loads).
    pub loads: ArrayVec<LoadView, MAX_LOADS>,
    /// The generator.
    pub generator: GensetView,
}
