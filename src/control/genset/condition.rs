//! One latch per condition: does this quantity want the generator?
//!
//! A latch believes samples, not clocks: a delay is over when a fresh sample says so, one contrary sample starts
//! it anew, and a gap changes nothing until it is long enough to be a loss. It never guesses a value.

use serde::{Deserialize, Serialize};

use crate::control::policy::Condition;
use crate::control::units::{Mono, Span};

/// Which way a quantity starts the set. Fixed per quantity, never derived from the thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Charge and voltage: low starts, high stops.
    Falling,
    /// Load and discharge current: high starts, low stops.
    Rising,
}

/// Where a latch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Nothing is wanted.
    Idle,
    /// At the start threshold since this sample.
    StartPending(Mono),
    /// The set is wanted.
    Reached,
    /// Still wanted, but at the stop threshold since this sample.
    StopPending(Mono),
    /// The source never spoke or is lost; whether the set was wanted then.
    Unknown { reached: bool },
}

/// What one condition remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latch {
    phase: Phase,
    /// The newest sample.
    heard: Option<Mono>,
    /// Silence counts from here at the earliest; none while the condition is not configured.
    watched: Option<Mono>,
    /// The value that made it reach.
    fired: i64,
    /// The newest value.
    value: i64,
    lost: bool,
}

impl Default for Latch {
    fn default() -> Self {
        Self {
            phase: Phase::Unknown { reached: false },
            heard: None,
            watched: None,
            fired: 0,
            value: 0,
            lost: false,
        }
    }
}

/// What a latch needs to know of the rest of the site.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    /// Whether quiet hours hold, with their own thresholds.
    pub quiet: bool,
    /// Whether the run command is given.
    pub on: bool,
    /// Whether automatic starts are forbidden for now. A latch between its thresholds is then dropped: a start
    /// days later, at a charge that never asked for one, is not what anybody wants.
    pub vetoed: bool,
    /// Silence for this long is a loss.
    pub loss_timeout: Span,
}

impl Latch {
    /// Takes a sample in, or notices that none came. `sample` is the newest value and when it was asked for.
    pub fn step(
        &mut self,
        condition: &Condition,
        direction: Direction,
        sample: Option<(i64, Mono)>,
        around: Surroundings,
        now: Mono,
    ) {
        let watched = *self.watched.get_or_insert(now);
        let fresh = sample.filter(|(_, asked_at)| self.heard.is_none_or(|heard| *asked_at > heard));
        if let Some((value, asked_at)) = fresh {
            self.heard = Some(asked_at);
            self.value = value;
            self.phase = self.after(condition, direction, value, asked_at, around);
        }
        let silent_since = self.heard.map_or(watched, |heard| heard.max(watched));
        self.lost = now.since(silent_since) >= around.loss_timeout;
        if self.lost {
            self.phase = Phase::Unknown { reached: self.wanted() && around.on };
        }
    }

    fn after(
        &mut self,
        condition: &Condition,
        direction: Direction,
        value: i64,
        at: Mono,
        around: Surroundings,
    ) -> Phase {
        let (start, stop) =
            condition.quiet.filter(|_| around.quiet).unwrap_or((condition.start, condition.stop));
        let (starts, stops) = match direction {
            Direction::Falling => (value <= start, value >= stop),
            Direction::Rising => (value >= start, value <= stop),
        };
        let (reached, since) = match self.phase {
            Phase::Idle | Phase::Unknown { reached: false } => (false, at),
            Phase::StartPending(since) => (false, since),
            Phase::Reached | Phase::Unknown { reached: true } => (true, at),
            Phase::StopPending(since) => (true, since),
        };
        if reached {
            let dropped = around.vetoed && !around.on && !starts;
            match (stops, at.since(since) >= condition.stop_for) {
                _ if dropped => Phase::Idle,
                (true, true) => Phase::Idle,
                (true, false) => Phase::StopPending(since),
                (false, _) => Phase::Reached,
            }
        } else if !starts {
            Phase::Idle
        } else if at.since(since) >= condition.start_for {
            self.fired = value;
            Phase::Reached
        } else {
            Phase::StartPending(since)
        }
    }

    /// Whether the condition wants the set, by what is known of it.
    pub fn reached(&self) -> bool {
        match self.phase {
            Phase::Reached | Phase::StopPending(_) => true,
            Phase::Idle | Phase::StartPending(_) | Phase::Unknown { .. } => false,
        }
    }

    fn wanted(&self) -> bool {
        match self.phase {
            Phase::Reached | Phase::StopPending(_) | Phase::Unknown { reached: true } => true,
            Phase::Idle | Phase::StartPending(_) | Phase::Unknown { reached: false } => false,
        }
    }

    /// Whether its source has been silent for the loss time-out.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// Whether a value is known at all.
    pub fn known(&self) -> bool {
        match self.phase {
            Phase::Unknown { .. } => false,
            Phase::Idle | Phase::StartPending(_) | Phase::Reached | Phase::StopPending(_) => true,
        }
    }

    /// The value that made it reach.
    pub fn fired(&self) -> i64 {
        self.fired
    }

    /// A set found running is taken as started by this condition, unless its value is already at the stop
    /// threshold: the engine then runs on to there.
    pub fn adopt(&mut self, condition: &Condition, direction: Direction, quiet: bool) {
        let (_, stop) = condition.quiet.filter(|_| quiet).unwrap_or((condition.start, condition.stop));
        let stops = match direction {
            Direction::Falling => self.value >= stop,
            Direction::Rising => self.value <= stop,
        };
        if !stops && !self.wanted() {
            self.fired = self.value;
            self.phase = Phase::Reached;
        }
    }

    /// The process was away: silence counts from now.
    pub fn resume(&mut self, now: Mono) {
        if self.watched.is_some() {
            self.watched = Some(now);
        }
    }

    /// When silence turns into loss.
    pub fn loses_at(&self, loss_timeout: Span) -> Option<Mono> {
        let watched = self.watched?;
        Some(self.heard.map_or(watched, |heard| heard.max(watched)) + loss_timeout)
    }

    /// Every moment it holds, so that an exploration can tell states from their age.
    #[cfg(test)]
    pub fn moments(&mut self) -> impl Iterator<Item = &mut Mono> {
        let pending = match &mut self.phase {
            Phase::StartPending(since) | Phase::StopPending(since) => Some(since),
            Phase::Idle | Phase::Reached | Phase::Unknown { .. } => None,
        };
        self.heard.iter_mut().chain(self.watched.iter_mut()).chain(pending)
    }
}
