//! How a device can be wrong, on request.

use std::time::Duration;

use crate::control::signal::{Phase, Quantity};
use crate::device::exchange::Request;

/// One way of being wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Answers right, this much later.
    Late(Duration),
    /// Does what was asked and never answers.
    Lost,
    /// Answers with another transaction id.
    WrongTransaction,
    /// Answers with another unit id.
    WrongUnit,
    /// Answers with fewer words than asked.
    Short,
    /// Answers with more words than asked.
    Long,
    /// Answers with this exception.
    Exception(u8),
    /// Refuses writes with this exception.
    RefusedWrites(u8),
    /// Confirms writes and does nothing.
    IgnoredWrites,
    /// Answers with bytes that are no frame.
    Garbage,
    /// Closes the connection instead of answering.
    Close,
    /// Sends the answer in two parts, this far apart.
    Split(Duration),
    /// Sends the answer twice.
    Duplicate,
    /// Answers, but its values stand still.
    Frozen,
    /// Says "not available" for one value.
    Sentinel(Quantity, Phase),
}

/// A way of being wrong, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spell {
    /// How.
    pub kind: Misbehaviour,
    /// How many requests it still meets; none until it is cleared.
    pub times: Option<u32>,
    /// Only requests to this unit.
    pub unit: Option<u8>,
}

/// Everything that is wrong with one device now.
#[derive(Clone, Debug, Default)]
pub struct Spells(Vec<Spell>);

/// Spells at one device are bounded; the oldest goes.
const MOST: usize = 64;

impl Spells {
    /// Adds one.
    pub fn add(&mut self, spell: Spell) {
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(spell);
    }

    /// Behaves again.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What this request meets; each is counted down. Of several only the first meets a request, frozen and
    /// sentinel apart, which belong to the values and not to the answer.
    pub fn meet(&mut self, request: &Request) -> Option<Misbehaviour> {
        let met = self.0.iter_mut().find(|spell| {
            let answers = match spell.kind {
                Misbehaviour::Frozen | Misbehaviour::Sentinel(..) => false,
                Misbehaviour::RefusedWrites(_) | Misbehaviour::IgnoredWrites => request.function.writes(),
                _ => true,
            };
            answers && spell.unit.is_none_or(|unit| unit == request.unit)
        })?;
        let kind = met.kind.clone();
        met.times = met.times.map(|times| times.saturating_sub(1));
        self.0.retain(|spell| spell.times != Some(0));
        Some(kind)
    }

    /// Whether the values of this unit stand still.
    pub fn frozen(&self, unit: u8) -> bool {
        self.0.iter().any(|spell| {
            spell.kind == Misbehaviour::Frozen && spell.unit.is_none_or(|narrowed| narrowed == unit)
        })
    }

    /// Whether this value is "not available".
    pub fn absent(&self, quantity: Quantity, phase: Phase) -> bool {
        self.0.iter().any(|spell| spell.kind == Misbehaviour::Sentinel(quantity, phase))
    }
}
