//! What goes to a device and what comes back, without the wire: the border between the pure sessions of this
//! room and the endpoint that carries them.

use crate::control::signal::{Phase, Quantity};
use crate::control::units::Mono;

/// Modbus function codes that we use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Function {
    /// 1.
    ReadCoils,
    /// 2.
    ReadDiscreteInputs,
    /// 3.
    ReadHoldingRegisters,
    /// 4.
    ReadInputRegisters,
    /// 5.
    WriteSingleCoil,
    /// 6.
    WriteSingleRegister,
    /// 15.
    WriteMultipleCoils,
    /// 16.
    WriteMultipleRegisters,
}

impl Function {
    /// All of them, by number.
    pub const ALL: [Self; 8] = [
        Self::ReadCoils,
        Self::ReadDiscreteInputs,
        Self::ReadHoldingRegisters,
        Self::ReadInputRegisters,
        Self::WriteSingleCoil,
        Self::WriteSingleRegister,
        Self::WriteMultipleCoils,
        Self::WriteMultipleRegisters,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::ReadCoils => 1,
            Self::ReadDiscreteInputs => 2,
            Self::ReadHoldingRegisters => 3,
            Self::ReadInputRegisters => 4,
            Self::WriteSingleCoil => 5,
            Self::WriteSingleRegister => 6,
            Self::WriteMultipleCoils => 15,
            Self::WriteMultipleRegisters => 16,
        }
    }

    /// Whether it changes the device.
    #[must_use]
    pub fn writes(self) -> bool {
        self.code() >= 5
    }
}

/// One request to one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Unit id.
    pub unit: u8,
    /// What to do.
    pub function: Function,
    /// First address, as sent on the wire.
    pub address: u16,
    /// How many registers or bits.
    pub count: u16,
    /// What to write: registers, or for coils one word of 0 or 1 per bit. Empty for reads.
    pub words: Vec<u16>,
}

/// What came back: registers, or for bits one word of 0 or 1 each; empty for a write whose echo matched.
pub type Answer = Vec<u16>;

/// Why nothing usable came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The device answered with an exception: an answer, the connection stays.
    #[error("the device refused with exception {0}")]
    Exception(u8),
    /// Silence.
    #[error("no answer in time")]
    Timeout,
    /// Wrong transaction, unit, function, length, count or echo.
    #[error("the answer does not belong to the question")]
    OutOfStep,
    /// No connection could be made, or it broke.
    #[error("no connection")]
    Unreachable,
    /// The order's time was over before it could be written.
    #[error("too late to be written")]
    Expired,
    /// Writing is not allowed here: the site observes.
    #[error("observing: nothing is written")]
    Observing,
    /// What the write is computed from (a SunSpec chain, a rating, a scale) has not been read from the device.
    #[error("the device has not yet told what this write needs")]
    NotReady,
    /// A setting that the definition expects has another value: it may be another device than the one meant.
    #[error("the device is not set as its definition expects, or is another one: nothing is written to it")]
    Mismatch,
    /// The register is kept in flash and was written as often as it may be in a day.
    #[error("the register wears out by writing and has had its writes of this day")]
    WornOut,
}

impl Failure {
    /// Whether the stream may carry the answer of another question from now on.
    #[must_use]
    pub fn poisons_connection(self) -> bool {
        match self {
            Self::Timeout | Self::OutOfStep | Self::Unreachable => true,
            Self::Exception(_)
            | Self::Expired
            | Self::Observing
            | Self::NotReady
            | Self::Mismatch
            | Self::WornOut => false,
        }
    }
}

/// One decoded value: which quantity and phase of the device, and what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The kind of knowledge.
    pub quantity: Quantity,
    /// The conductor.
    pub phase: Phase,
    /// Channel for quantities that exist many times in one device (inputs, relays), else 0.
    pub channel: u8,
    /// The value in the quantity's carried unit; `None` for a sentinel or an impossible one.
    pub value: Option<i64>,
    /// When it was asked for.
    pub asked_at: Mono,
}
