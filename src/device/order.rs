//! What the site tells a device session, and what the session tells back: the border types of a control.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::control::units::{Mono, Span, Watts};
use crate::device::exchange::{Failure, Heard, Request};

/// What a device can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlKind {
    /// Power of an inverter per phase.
    InverterPower,
    /// The grid power that a supervised device holds by itself.
    GridSetpoint,
    /// The most a PV inverter may make.
    PvLimit,
    /// The generator's start command.
    GeneratorRun,
    /// A relay of an I/O module.
    Relay,
}

impl ControlKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::InverterPower, Self::GridSetpoint, Self::PvLimit, Self::GeneratorRun, Self::Relay];

    /// The name of its table in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InverterPower => "inverter-power",
            Self::GridSetpoint => "grid-setpoint",
            Self::PvLimit => "pv-limit",
            Self::GeneratorRun => "generator-run",
            Self::Relay => "relay",
        }
    }

    /// The control with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for ControlKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The numbers of an order. A control uses those that it has a field for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Inverter power per phase; feeding the bus is positive. On one phase only the first counts.
    pub power: [Watts; 3],
    /// Grid setpoint; import is positive.
    pub setpoint: Watts,
    /// PV limit; `None` lifts it.
    pub limit: Option<Watts>,
    /// Whether the generator shall run or the relay be closed.
    pub run: bool,
}

/// Whether an order commands or gives the device back to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderPhase {
    /// Hold these values until the order expires.
    Command,
    /// Undo what commanding needed: the device's own way of working returns.
    Release,
}

/// One order to one control of one device. It is not written after it has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceOrder {
    /// Which control.
    pub control: ControlKind,
    /// Which relay of many, else 0.
    pub channel: u8,
    /// With what numbers.
    pub values: Values,
    /// To command or to release.
    pub phase: OrderPhase,
    /// Number that comes back with the result.
    pub seq: u32,
    /// When it stops being true.
    pub expires: Mono,
}

/// How a site uses a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionOptions {
    /// Unit ids by the definition's unit names; they replace its defaults.
    pub units: BTreeMap<String, u8>,
    /// `false` observes: no write function code is ever asked for.
    pub writes: bool,
    /// Period of the fast points, instead of the definition's.
    pub pace: Option<Span>,
    /// Phases in use, 1 to 3: power of the others is not written.
    pub phases: u8,
    /// What earlier runs wrote to registers that wear out.
    pub wear: Vec<WearRecord>,
    /// How long after the ticks that all devices share it is read: zero for what decisions hear, which must be of one
    /// moment.
    pub late: Span,
}

/// The writes of the last 24 hours to a register that wears out. The next run must know them, or each restart would
/// begin a new day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WearRecord {
    /// The definition's name of the unit.
    pub unit: String,
    /// The register, as sent on the wire.
    pub address: u16,
    /// When it was written, the latest last. Moments before the start of this process are before its origin.
    pub writes: Vec<Mono>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            units: BTreeMap::new(),
            writes: false,
            pace: None,
            phases: 3,
            wear: Vec::new(),
            late: Span::ZERO,
        }
    }
}

/// One request that is due, for the endpoint to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Comes back with the answer.
    pub token: u32,
    /// What to ask.
    pub request: Request,
    /// How long to wait for the answer, on the wire's clock.
    pub timeout: Span,
    /// When it stops being true, on the site's clock: a write must not leave from then on. Never, for a read.
    pub expires: Mono,
}

/// What a session learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// A value.
    Heard(Heard),
    /// What became of an order.
    Wrote {
        /// The control that was ordered.
        control: ControlKind,
        /// Which relay of many, else 0.
        channel: u8,
        /// The order's number.
        seq: u32,
        /// Whether every write was accepted.
        result: Result<(), Failure>,
        /// Reading back showed another value than the one written.
        contradicted: bool,
    },
    /// A register that we command holds what we never wrote: somebody else writes to it too. One for each look that
    /// finds it so.
    Foreign {
        /// The control that commands the register.
        control: ControlKind,
        /// Which relay of many, else 0.
        channel: u8,
        /// First register of the value, as sent on the wire.
        address: u16,
        /// The raw number that stands there.
        found: i64,
        /// The raw number that we wrote last.
        ours: i64,
        /// When it was seen.
        at: Mono,
    },
}
