//! What a device model is, as data: its units, points and controls. A definition is a TOML file with a source for
//! every fact; loading it checks everything that can be checked without the device, and reports all mistakes at once.
//!
//! Addresses are those on the wire (from 0), values are normalised at this edge: one sign, one unit per quantity.

mod check;
mod controls;
mod load;
mod points;
mod section;
pub mod syntax;
#[cfg(test)]
mod tests;

use crate::control::signal::{Phase, Quantity};
use crate::control::units::{Span, Watts};
use crate::device::codec::Codec;
use crate::device::decimal::Ratio;
use crate::device::exchange::Function;
use crate::device::mistake::Mistake;
use crate::device::order::{ControlKind, Values};
use crate::device::quirk::Quirk;
use crate::device::sunspec::models::Entry;
use crate::device::words::{Kind, WordOrder};

/// One of the four address spaces of Modbus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Bits that can be written.
    Coil,
    /// Bits that can only be read.
    Discrete,
    /// Registers that can be written.
    Holding,
    /// Registers that can only be read.
    Input,
}

impl Area {
    /// The name in `at = "holding:12"`, and all names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("coil", Self::Coil),
        ("discrete", Self::Discrete),
        ("holding", Self::Holding),
        ("input", Self::Input),
    ];

    /// The function code that reads it.
    #[must_use]
    pub fn read(self) -> Function {
        match self {
            Self::Coil => Function::ReadCoils,
            Self::Discrete => Function::ReadDiscreteInputs,
            Self::Holding => Function::ReadHoldingRegisters,
            Self::Input => Function::ReadInputRegisters,
        }
    }

    /// Whether it holds bits instead of registers.
    #[must_use]
    pub fn is_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }
}

/// How frames look on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Modbus TCP.
    Tcp,
    /// RTU frames with their check sum through a TCP socket.
    RtuOverTcp,
}

/// What the device can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most registers in one read, 1 to 125.
    pub max_registers: u16,
    /// Most bits in one read, 1 to 2000.
    pub max_bits: u16,
    /// How long an answer may take.
    pub timeout: Span,
    /// Least time between an answer and the next request.
    pub gap: Span,
    /// Time the device needs after connecting.
    pub connect_delay: Span,
    /// Period of fast points; normal ones have 5 s, slow ones 60 s.
    pub fast: Span,
    /// Exceptions that mean "not now": asked again after 100 ms, 200 ms and so on, after five times at the usual pace.
    pub busy: Vec<u8>,
    /// Exceptions that mean "this unit is not there": the unit is left alone for 1 s, doubling to 30 s.
    pub away: Vec<u8>,
    /// Framings that the device speaks, the usual one first.
    pub framings: Vec<Framing>,
}

/// A Modbus unit of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Name in definition and profile.
    pub name: String,
    /// Unit id unless the profile gives another; without one the unit is asked only when the profile names it.
    pub default: Option<u8>,
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At an address that never changes.
    Fixed(Area, u16),
    /// In a SunSpec model, wherever the chain has it; the first alternative that exists counts.
    SunSpec(Vec<Entry>),
    /// The limit in force in SunSpec model 123, in watts by the device's own rating.
    SunSpecLimit,
}

/// How often a point is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// About once a second: what the control loop needs.
    Fast,
    /// Every 5 s.
    Normal,
    /// Every minute.
    Slow,
    /// Once per connection.
    Once,
}

/// Where example words come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a named real device.
    Recorded,
    /// From the maker's or another project's documentation.
    Documented,
    /// Made by us from the fact: proves the codec, never the map.
    Constructed,
}

/// Words and the value that they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// The words on the wire.
    pub raw: Vec<u16>,
    /// The carried value; `None` is unknown.
    pub value: Option<i64>,
    /// The SunSpec scale factor beside it; 0 where there is none.
    pub exponent: i32,
    /// Where they come from.
    pub origin: Origin,
}

/// One value of the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// The kind of knowledge.
    pub quantity: Quantity,
    /// The conductor.
    pub phase: Phase,
    /// How many channels of it exist side by side; 1 for most.
    pub channels: u8,
    /// Addresses from one channel to the next.
    pub stride: u16,
    /// Index into the definition's units.
    pub unit: usize,
    /// Where it stands.
    pub place: Place,
    /// What its words mean.
    pub codec: Codec,
    /// How often it is read.
    pub pace: Pace,
    /// Whether a device may lack it.
    pub optional: bool,
    /// A register that is never 0 while this value is real: a 0 beside a 0 there is unknown.
    pub witness: Option<u16>,
    /// Who says so.
    pub source: String,
    /// Words that the loader has checked.
    pub examples: Vec<Example>,
    /// Line in the file.
    pub line: usize,
}

impl Point {
    /// Its dotted name without device: `grid.power.l1`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}{}", self.quantity.name(), self.phase.suffix())
    }
}

/// Registers that a read may cross although no point is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readable {
    /// Index into the definition's units.
    pub unit: usize,
    /// Address space.
    pub area: Area,
    /// First address.
    pub first: u16,
    /// Last address.
    pub last: u16,
}

/// What writing does to the device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Volatile: may be written in a loop.
    Cyclic,
    /// Stored: written only when the value differs.
    OnChange,
    /// Flash: written in setup and release only.
    Rare,
}

/// What a field of a write says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// Always the same raw number.
    Constant(i64),
    /// Inverter power of a phase (0 to 2), W.
    Power(usize),
    /// Inverter power of all phases, W.
    PowerTotal,
    /// Grid setpoint, W.
    Setpoint,
    /// PV limit, W.
    Limit,
    /// PV limit in percent of the device's rating.
    LimitPercent,
    /// Run, or closed.
    Run,
}

/// One value inside a write.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// What it says.
    pub value: Variable,
    /// Layout.
    pub kind: Kind,
    /// Which register comes first.
    pub order: WordOrder,
    /// Value per raw step, as for points.
    pub scale: Ratio,
    /// Value to raw code, for codes.
    pub map: Vec<(i64, i64)>,
    /// Offset of the scale factor in the SunSpec model, when it has one.
    pub factor: Option<u16>,
}

/// How a write is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readback {
    /// Largest difference of a raw number that still counts as equal.
    pub tolerance: i64,
    /// How long the device needs before it shows what it took.
    pub after: Span,
}

/// One write: one request, all of whose fields arrive together.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// Index into the definition's units.
    pub unit: usize,
    /// Where.
    pub place: Place,
    /// By which function code.
    pub function: Function,
    /// What, in the order of the registers.
    pub fields: Vec<Field>,
    /// What it does to the device's memory.
    pub persistence: Persistence,
    /// How often at most it is written within 24 hours, at least 2, unless it is cyclic.
    pub daily: u16,
    /// Setup only: whether what was found is put back on release.
    pub restore: bool,
    /// Setup only: the raw number to put back when our own value was already there.
    pub otherwise: Option<i64>,
    /// How it is checked; not at all when `None`.
    pub readback: Option<Readback>,
    /// Line in the file.
    pub line: usize,
}

/// Words that a command must become for given values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandExample {
    /// Words of the first write of the command.
    pub raw: Vec<u16>,
    /// For these values.
    pub values: Values,
    /// Where they come from.
    pub origin: Origin,
}

/// How a device is told something.
#[derive(Clone, Debug, PartialEq)]
pub struct Control {
    /// What it is told.
    pub kind: ControlKind,
    /// How often the command must be repeated at the latest; `None` when it holds by itself.
    pub refresh: Option<Span>,
    /// How long the device obeys without hearing again; `None`: for ever.
    pub watchdog: Option<Span>,
    /// Smallest step of power that it can express.
    pub resolution: Watts,
    /// How long an unchanged command is not written again.
    pub min_interval: Span,
    /// The signal that shows what the device holds or does.
    pub confirm: Option<Quantity>,
    /// Channels, for relays; else 1.
    pub channels: u8,
    /// Addresses from one channel to the next.
    pub stride: u16,
    /// What the device does when this controller is lost, for people.
    pub if_lost: String,
    /// Who says so.
    pub source: String,
    /// Written once, when different.
    pub setup: Vec<Write>,
    /// Written for each order.
    pub command: Vec<Write>,
    /// Written to give the device back.
    pub release: Vec<Write>,
    /// Words that the loader has checked.
    pub examples: Vec<CommandExample>,
    /// Line in the file.
    pub line: usize,
}

/// A setting without which the device's values do not mean what the definition says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Index into the definition's units; the values of this unit are unknown while the setting is another.
    pub unit: usize,
    /// Address space.
    pub area: Area,
    /// Register.
    pub address: u16,
    /// What it may hold.
    pub values: Vec<u16>,
    /// What it means when it holds anything else, and what to do, for people.
    pub warning: String,
}

/// A device model.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Who makes it.
    pub maker: String,
    /// Which model or family.
    pub model: String,
    /// Where the facts come from.
    pub source: String,
    /// What it can take.
    pub limits: Limits,
    /// Its units.
    pub units: Vec<Unit>,
    /// Its values.
    pub points: Vec<Point>,
    /// Holes that may be read across.
    pub readable: Vec<Readable>,
    /// Settings that its values depend on.
    pub expects: Vec<Expect>,
    /// What it can be told.
    pub controls: Vec<Control>,
    /// Where it needs code.
    pub quirks: Vec<Quirk>,
}

impl Definition {
    /// Reads and checks a definition.
    ///
    /// # Errors
    /// Every mistake in the text, each with line and way out.
    pub fn parse(text: &str, file: &str) -> Result<Self, Vec<Mistake>> {
        load::load(text, file)
    }

    /// The control of this kind, when the device has it.
    #[must_use]
    pub fn control(&self, kind: ControlKind) -> Option<&Control> {
        self.controls.iter().find(|control| control.kind == kind)
    }

    /// The points of a quantity, whatever the phase.
    pub fn points_of(&self, quantity: Quantity) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(move |point| point.quantity == quantity)
    }

    /// Whether its addresses are found by walking a SunSpec chain.
    #[must_use]
    pub fn is_sunspec(&self) -> bool {
        self.points.iter().any(|point| !matches!(point.place, Place::Fixed(..)))
    }

    /// Whether no words of it were ever recorded from a real device.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        let recorded = |example: &Example| example.origin == Origin::Recorded;
        !self.points.iter().flat_map(|point| &point.examples).any(recorded)
    }
}
