//! What an endpoint knows about its connection: up or down, the last trouble, and counters for the metrics.

use std::io;

use crate::control::units::Mono;
use crate::device::exchange::{Failure, Function};

/// What went wrong on the wire; the text says what to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Silence after a request.
    #[error("no answer in time; check the unit id and whether the device's Modbus server is switched on")]
    Timeout,
    /// The connection could not be made.
    #[error(
        "cannot connect ({0}); check address, port and cabling, and whether another client holds the only socket"
    )]
    Connect(io::ErrorKind),
    /// The connection broke or the device closed it.
    #[error("the connection broke; the device restarted or does not allow another client")]
    Reset,
    /// Not a Modbus frame: protocol, length or check sum.
    #[error("the answer is no Modbus frame; check the port and the framing (TCP or RTU over TCP)")]
    Frame,
    /// The answer to another request.
    #[error("the answer carries another transaction id; the device answers late or twice")]
    Transaction,
    /// Another unit answered.
    #[error("another unit answered; check the unit ids behind this gateway")]
    Unit,
    /// Another function was answered.
    #[error("the answer is for another function")]
    Function,
    /// More or less data than asked for.
    #[error("the answer has another length than was asked for")]
    Length,
    /// A write was confirmed with another address or value.
    #[error("the device confirmed another write than was ordered")]
    Echo,
    /// Bytes that nobody asked for.
    #[error("bytes arrived that nobody asked for; the device answers twice, or late")]
    Unasked,
}

impl Trouble {
    /// Label of each kind in metrics, in the order of [`LinkState::troubles`].
    pub const LABELS: [&str; 10] = [
        "timeout",
        "connect",
        "reset",
        "frame",
        "transaction",
        "unit",
        "function",
        "length",
        "echo",
        "unasked",
    ];

    fn index(self) -> usize {
        match self {
            Self::Timeout => 0,
            Self::Connect(_) => 1,
            Self::Reset => 2,
            Self::Frame => 3,
            Self::Transaction => 4,
            Self::Unit => 5,
            Self::Function => 6,
            Self::Length => 7,
            Self::Echo => 8,
            Self::Unasked => 9,
        }
    }

    /// What the device's session is told.
    #[must_use]
    pub fn failure(self) -> Failure {
        match self {
            Self::Timeout => Failure::Timeout,
            Self::Connect(_) | Self::Reset => Failure::Unreachable,
            Self::Frame
            | Self::Transaction
            | Self::Unit
            | Self::Function
            | Self::Length
            | Self::Echo
            | Self::Unasked => Failure::OutOfStep,
        }
    }
}

/// One connection as it is now, and what it has seen since start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkState {
    /// Whether a connection stands.
    pub up: bool,
    /// The last trouble, also after it is over.
    pub last_trouble: Option<Trouble>,
    /// Connections made.
    pub connects: u64,
    /// When the last good answer came; an exception is an answer.
    pub last_answer: Option<Mono>,
    /// Answers, and the sum of their round trips in microseconds.
    pub answers: u64,
    /// Sum of all round trips in microseconds.
    pub round_trips_us: u64,
    /// The last round trip in microseconds.
    pub last_round_trip_us: u64,
    requests: [u64; 8],
    troubles: [u64; 10],
    exceptions: [u64; 12],
}

impl LinkState {
    /// Requests sent, by function.
    pub fn requests(&self) -> impl Iterator<Item = (Function, u64)> + '_ {
        Function::ALL.into_iter().zip(self.requests)
    }

    /// Troubles, by label.
    pub fn troubles(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        Trouble::LABELS.into_iter().zip(self.troubles)
    }

    /// Exception answers by code; codes above 11 are counted as 0, which is no code.
    pub fn exceptions(&self) -> impl Iterator<Item = (u8, u64)> + '_ {
        (0u8..).zip(self.exceptions)
    }

    pub(super) fn count_request(&mut self, function: Function) {
        let at = Function::ALL.iter().position(|known| *known == function).unwrap_or(0);
        count(self.requests.get_mut(at));
    }

    pub(super) fn count_trouble(&mut self, trouble: Trouble) {
        self.last_trouble = Some(trouble);
        count(self.troubles.get_mut(trouble.index()));
    }

    pub(super) fn count_exception(&mut self, code: u8) {
        let at = if code < 12 { usize::from(code) } else { 0 };
        count(self.exceptions.get_mut(at));
    }
}

fn count(counter: Option<&mut u64>) {
    if let Some(counter) = counter {
        *counter = counter.saturating_add(1);
    }
}
