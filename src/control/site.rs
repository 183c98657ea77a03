//! The only door of the pure half: [`Site::handle`].
//!
//! An [`Input`] is everything that can happen to a site; [`Outputs`] is everything the site wants done about
//! it. Both are closed. Inputs have a stable encoding ([`Input::encode`]), because a journal of them replays
//! any night of the past.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::genset::GensetView;
use super::policy::{MAX_INVERTERS, Policy};
use super::reading::Stage;
use super::reason::{Reason, Reasons, Tier};
use super::signal::{SignalId, Signals};
use super::units::{Mono, Soc, Span, Wall, Watts};
use super::wiring::Wiring;

/// What a site is made of: its signals, who plays which part, and the operator's wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteConfig {
    /// Everything it can know.
    pub signals: Signals,
    /// Which signal plays which part.
    pub wiring: Wiring,
    /// Wishes and limits.
    pub policy: Policy,
}

/// Everything that can happen to a site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// A device said something: a value in the quantity's carried unit, or that it does not know.
    Heard {
        /// Of which signal.
        signal: SignalId,
        /// The value, `None` for a sentinel or an impossible one.
        value: Option<i64>,
        /// When it was asked for.
        asked_at: Mono,
    },
    /// Time to decide: the moment [`Outputs::wake_at`] named has come.
    Due,
    /// The time of day, as the daemon reads it about once a second.
    Wall(Wall),
    /// How the writing of an order ended.
    Wrote {
        /// Place in [`Wiring::actuators`].
        actuator: u8,
        /// The command's number.
        seq: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// An operator's order.
    Operator(OperatorOrder),
    /// A changed profile that passed its check. Signals and wiring are those of before.
    Reload(Box<Policy>),
    /// The process is about to leave: release what must be released.
    Leaving,
}

/// How the writing of an order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The device accepted every write, and what was read back at once agrees.
    Acknowledged,
    /// The device answered with an exception.
    Refused(u8),
    /// No answer, or the device was out of reach.
    Failed,
    /// The device accepted, but reads back something else.
    Contradicted,
}

/// What an operator wants of the generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manual {
    /// Conditions decide.
    #[default]
    Auto,
    /// Run, whatever the conditions say.
    Run,
    /// Stop, and veto every automatic start.
    Off,
}

/// An operator's order, with its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorOrder {
    /// For the generator.
    Generator {
        /// What is wanted.
        manual: Manual,
        /// For how long; none means until changed.
        lasts: Option<Span>,
    },
    /// Automatic starts on or off.
    GeneratorAuto(bool),
    /// Leave lock-out.
    GeneratorAcknowledge,
}

/// What one actuator is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// AC power per phase, feeding the bus positive.
    Power([Watts; 3]),
    /// Grid setpoint for a device that keeps the fast loop itself, import positive.
    Setpoint(Watts),
    /// Upper limit; `None` lifts it.
    Limit(Option<Watts>),
    /// Run or stop.
    Run(bool),
    /// Hand back: the recipe's release.
    Release,
}

/// One order on its way to a device. It lives until `expires`; only a decision extends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Place in [`Wiring::actuators`].
    pub actuator: u8,
    /// What.
    pub order: Order,
    /// Its number, to match the answer.
    pub seq: u32,
    /// Not to be written after this moment.
    pub expires: Mono,
}

/// Something a person would want to read next morning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The binding reason changed.
    Binding(Reason),
    /// The guard of the minimum SoC changed state.
    Guard(GuardState),
    /// The generator changed state.
    Generator(super::genset::GensetState),
    /// An alarm appeared (`true`) or went away.
    Alarm(Alarm, bool),
}

/// Alarms the pure half raises; the list is the code's one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Alarm {
    /// The grid meter has been unusable for a minute.
    MeterLost,
    /// The state of charge is unknown.
    SocLost,
    /// A BMS that spoke is silent.
    BmsLost,
    /// No inverter answers.
    InverterLost,
    /// An order was given up: the device refuses or contradicts it.
    OrderGivenUp(u8),
    /// The generator did not start within its attempts.
    GeneratorFailToStart,
    /// The engine stopped without being told.
    GeneratorUnexpectedStop,
    /// The engine did not stop.
    GeneratorFailToStop,
    /// The set is not in automatic mode.
    GeneratorRemoteOff,
    /// The set reports a shutdown fault.
    GeneratorFault,
    /// The generator was found running with no memory of why.
    GeneratorAdopted,
    /// It ran longer than allowed.
    GeneratorMaxRun,
    /// Nothing confirms that the engine turns: running is assumed.
    GeneratorNoFeedback,
}

impl Alarm {
    /// Its kebab-case code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MeterLost => "meter-lost",
            Self::SocLost => "soc-lost",
            Self::BmsLost => "bms-lost",
            Self::InverterLost => "inverter-lost",
            Self::OrderGivenUp(_) => "order-given-up",
            Self::GeneratorFailToStart => "generator-fail-to-start",
            Self::GeneratorUnexpectedStop => "generator-unexpected-stop",
            Self::GeneratorFailToStop => "generator-fail-to-stop",
            Self::GeneratorRemoteOff => "generator-remote-off",
            Self::GeneratorFault => "generator-fault",
            Self::GeneratorAdopted => "generator-adopted",
            Self::GeneratorMaxRun => "generator-max-run",
            Self::GeneratorNoFeedback => "generator-no-feedback",
        }
    }
}

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
        }
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
    /// Per inverter and phase, in the order of [`Wiring::inverters`].
    pub inverters: ArrayVec<[Watts; 3], MAX_INVERTERS>,
    /// Wanted grid power.
    pub grid_setpoint: Watts,
    /// Limit for PV, when one is needed.
    pub pv_limit: Option<Watts>,
    /// The guard.
    pub guard: GuardState,
    /// The floor in force; none when nothing guards.
    pub floor: Option<Soc>,
    /// The regulator's slow correction.
    pub trim: Watts,
    /// The range after each rung.
    pub ladder: ArrayVec<Rung, 10>,
    /// Wishes that were cut.
    pub overruled: ArrayVec<Overruled, 4>,
    /// Why.
    pub reasons: Reasons,
    /// Stage of meter, inverter, SoC, BMS, PV, generator.
    pub stages: [Stage; 6],
    /// The generator.
    pub generator: GensetView,
}

/// What the site wants done.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// Whether this input led to a decision; it is in [`Site::decision`].
    pub decided: bool,
    /// Orders to write, none while observing.
    pub commands: ArrayVec<Command, 16>,
    /// What changed.
    pub events: ArrayVec<Event, 16>,
    /// When the site wants [`Input::Due`], unless something else happens first.
    pub wake_at: Mono,
}

impl Default for GensetView {
    fn default() -> Self {
        Self {
            state: super::genset::GensetState::Boot,
            command: false,
            load_permit: true,
            reason: None,
            quiet: false,
            starts: 0,
            run_time: Span::ZERO,
            min_run_left: Span::ZERO,
            attempt: 0,
        }
    }
}
