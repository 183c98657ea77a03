//! How each unit of a device is doing: a silent or missing one is left alone for a while, so that it costs the others
//! nothing.

use crate::control::units::{Mono, Span};
use crate::device::exchange::Failure;

/// The shortest and longest time that a missing unit is left alone.
const FIRST_BACK_OFF: Span = Span::secs(1);
const LONGEST_AWAY: Span = Span::secs(30);
/// Silence costs a whole deadline each time, but the way back must not take half a minute.
const LONGEST_SILENT: Span = Span::secs(10);
/// A unit that was silent gets less time to answer the question whether it is back.
pub const PROBE: Span = Span::millis(500);

/// One unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitState {
    /// Its id; `None` when the site does not use it.
    pub id: Option<u8>,
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trouble {
    why: Failure,
    retry_at: Mono,
    wait: Span,
}

impl UnitState {
    /// A unit of which nothing is known yet.
    pub fn new(id: Option<u8>) -> Self {
        Self { id, trouble: None }
    }

    /// It answered.
    pub fn well(&mut self) {
        self.trouble = None;
    }

    /// It was silent or said that it is not there.
    pub fn failed(&mut self, why: Failure, now: Mono) {
        let longest = if why == Failure::Timeout { LONGEST_SILENT } else { LONGEST_AWAY };
        let doubled = |trouble: Trouble| Span(trouble.wait.0.saturating_mul(2)).min(longest);
        let wait = self.trouble.map_or(FIRST_BACK_OFF, doubled);
        self.trouble = Some(Trouble { why, retry_at: now + wait, wait });
    }

    /// Why nothing may be asked of it at this time.
    pub fn refusal(&self, now: Mono) -> Option<Failure> {
        if self.id.is_none() {
            return Some(Failure::NotReady);
        }
        self.trouble.filter(|trouble| trouble.retry_at > now).map(|trouble| trouble.why)
    }

    /// When it may be asked again; `Mono::ZERO` when it may be now, `Mono::NEVER` when the site does not use it.
    pub fn free_at(&self) -> Mono {
        match (self.id, self.trouble) {
            (None, _) => Mono::NEVER,
            (_, None) => Mono::ZERO,
            (_, Some(trouble)) => trouble.retry_at,
        }
    }

    /// Whether the next question only finds out if it is back after silence.
    pub fn is_probed(&self) -> bool {
        self.trouble.is_some_and(|trouble| trouble.why == Failure::Timeout)
    }
}
