//! The generator: conditions, arbiter, sequencer.

use serde::{Deserialize, Serialize};

use super::image::Slot;
use super::reading::Reading;
use super::reason::Reason;
use super::site::Manual;
use super::units::{MilliAmps, MilliVolts, Mono, Soc, Span, Wall, Watts};

/// States of the generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GensetState {
    /// Until the first full set of inputs: the contact is left as found.
    #[default]
    Boot,
    /// Ready.
    Stopped,
    /// Pause before the next start.
    Resting,
    /// Cranking, not confirmed.
    Starting,
    /// Pause between attempts.
    CrankRest,
    /// Turning, without load.
    WarmUp,
    /// Turning, loaded.
    Running,
    /// Turning, without load, before the stop.
    CoolDown,
    /// Told to stop, not still yet.
    Stopping,
    /// Turning without our command.
    External,
    /// The set is not in automatic mode.
    Local,
    /// Out of attempts or in fault: needs an acknowledgement.
    Lockout,
    /// Out of fuel.
    FuelStop,
}

impl GensetState {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Stopped => "stopped",
            Self::Resting => "resting",
            Self::Starting => "starting",
            Self::CrankRest => "crank-rest",
            Self::WarmUp => "warm-up",
            Self::Running => "running",
            Self::CoolDown => "cool-down",
            Self::Stopping => "stopping",
            Self::External => "external",
            Self::Local => "local",
            Self::Lockout => "lockout",
            Self::FuelStop => "fuel-stop",
        }
    }
}

/// What the generator's decision looks at. A slot tells a missing device from a missing word.
#[derive(Clone, Copy, Debug, Default)]
pub struct GensetInputs {
    /// State of charge.
    pub soc: Option<Reading<Soc>>,
    /// Site load.
    pub load: Option<Reading<Watts>>,
    /// Battery current, discharge positive.
    pub current: Option<Reading<MilliAmps>>,
    /// Battery voltage.
    pub voltage: Option<Reading<MilliVolts>>,
    /// Whether the engine turns.
    pub running: Slot,
    /// Whether its voltage is there.
    pub ac_present: Slot,
    /// The contact as read back.
    pub contact: Slot,
    /// Mode: 0 off, 1 auto, 2 manual, 3 test.
    pub mode: Slot,
    /// Fault: 0 none, 1 warning, 2 shutdown.
    pub fault: Slot,
    /// Time of day, for quiet hours.
    pub wall: Option<Wall>,
    /// What an operator wants now.
    pub manual: Manual,
}

/// What the generator looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GensetView {
    /// Its state.
    pub state: GensetState,
    /// The run command.
    pub command: bool,
    /// Whether the load may connect to it.
    pub load_permit: bool,
    /// Why it runs, or why it may not.
    pub reason: Option<Reason>,
    /// Whether quiet hours hold.
    pub quiet: bool,
    /// Confirmed starts since the counter began.
    pub starts: u32,
    /// Time the engine turned.
    pub run_time: Span,
    /// What is left of the minimum run.
    pub min_run_left: Span,
    /// Crank attempt, from 1.
    pub attempt: u8,
}

/// When the last step was; the helper of this module fills the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genset {
    /// The last step.
    pub at: Mono,
}
