//! What the engine is really doing, fused from what the site can hear of it.
//!
//! The set's own running flag counts most, then voltage at its output. Silence keeps the last state and says so:
//! nothing is started or stopped on a guess. The command is never taken as proof, except on a site that has
//! declared that it can hear nothing.

use serde::{Deserialize, Serialize};

use super::GensetInputs;
use crate::control::image::Slot;
use crate::control::units::{Mono, Span};

/// Feedback older than this decides no automatic start or stop.
const DOUBTFUL: Span = Span::secs(30);
/// Feedback older than this is unknown.
const UNKNOWN: Span = Span::secs(60);

/// How far the feedback may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Fresh enough, or the site declared that there is none.
    None,
    /// Silent for a while: no automatic start or stop.
    Some,
    /// Unknown: no start at all.
    Full,
}

/// A flag, since which sample it has this value, and its newest sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Flag {
    on: bool,
    since: Mono,
    heard: Mono,
}

impl Flag {
    fn hear(flag: &mut Option<Self>, on: bool, at: Mono) {
        match flag {
            Some(known) if at <= known.heard => {}
            Some(known) => {
                if known.on != on {
                    known.on = on;
                    known.since = at;
                }
                known.heard = at;
            }
            None => *flag = Some(Self { on, since: at, heard: at }),
        }
    }

    /// How long samples have agreed on the present value.
    fn agreed(&self) -> Span {
        self.heard.since(self.since)
    }
}

/// What is known of the engine and of its voltage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Feedback {
    engine: Option<Flag>,
    ac: Option<Flag>,
    /// Whether the voltage was heard lately; otherwise it follows the engine.
    ac_fresh: bool,
    /// The newest word is that nobody knows: worse than silence, because somebody looked.
    unknown: bool,
    /// On a site without feedback: whether the engine is taken to turn.
    assumed: Option<bool>,
}

fn fresh_flag(slot: Slot, now: Mono) -> Option<(bool, Mono)> {
    let reading = slot.reading()?;
    (reading.age(now) <= UNKNOWN).then_some((reading.value != 0, reading.asked_at))
}

impl Feedback {
    /// Takes in what was heard. `assumed` is what a site without feedback takes to be true.
    pub fn hear(&mut self, inputs: &GensetInputs, assumed: Option<bool>, now: Mono) {
        self.assumed = assumed;
        let running = fresh_flag(inputs.running, now);
        let ac = fresh_flag(inputs.ac_present, now);
        self.ac_fresh = ac.is_some();
        let absent =
            [inputs.running, inputs.ac_present].iter().any(|slot| matches!(slot, Slot::Absent { .. }));
        self.unknown = absent && running.is_none() && ac.is_none();
        if let Some((on, at)) = ac {
            Flag::hear(&mut self.ac, on, at);
        }
        if let Some((on, at)) = running.or(ac) {
            Flag::hear(&mut self.engine, on, at);
        }
    }

    /// On a site without feedback the engine does what it was told, at once.
    pub fn assume(&mut self, turning: bool) {
        if self.assumed.is_some() {
            self.assumed = Some(turning);
        }
    }

    /// Whether the engine turns, by the last that was known.
    pub fn turning(&self) -> bool {
        self.assumed.unwrap_or_else(|| self.engine.is_some_and(|flag| flag.on))
    }

    /// Whether the engine has been heard turning for this long.
    pub fn turns_for(&self, span: Span) -> bool {
        self.assumed.is_none() && self.engine.is_some_and(|flag| flag.on && flag.agreed() >= span)
    }

    /// Whether the engine has been heard still for this long.
    pub fn still_for(&self, span: Span) -> bool {
        self.assumed.is_none() && self.engine.is_some_and(|flag| !flag.on && flag.agreed() >= span)
    }

    /// Since when the engine is still; none while it turns or when nobody can tell.
    pub fn still_since(&self) -> Option<Mono> {
        self.engine.filter(|flag| self.assumed.is_none() && !flag.on).map(|flag| flag.since)
    }

    /// Whether the engine is still and its voltage has been gone for `hold`.
    pub fn quiet(&self, hold: Span) -> bool {
        let ac_gone = match self.ac {
            Some(ac) if self.ac_fresh => !ac.on && ac.agreed() >= hold,
            Some(_) | None => true,
        };
        !self.turning() && ac_gone
    }

    /// How far all of this may be trusted by now.
    pub fn doubt(&self, now: Mono) -> Doubt {
        if self.assumed.is_some() {
            return Doubt::None;
        }
        match self.engine.map(|flag| now.since(flag.heard)) {
            Some(age) if age <= DOUBTFUL && !self.unknown => Doubt::None,
            Some(age) if age <= UNKNOWN => Doubt::Some,
            Some(_) | None => Doubt::Full,
        }
    }

    /// Whether a sample was heard after this moment.
    pub fn heard_after(&self, moment: Mono) -> bool {
        self.assumed.is_some() || self.engine.is_some_and(|flag| flag.heard > moment)
    }

    /// When trust in it next changes, should it fall silent.
    pub fn doubts_at(&self) -> impl Iterator<Item = Mono> {
        let engine = self.engine.filter(|_| self.assumed.is_none()).map(|flag| flag.heard);
        let ac = self.ac.map(|flag| flag.heard);
        let just = Span::millis(1);
        let engine =
            engine.into_iter().flat_map(move |heard| [heard + DOUBTFUL + just, heard + UNKNOWN + just]);
        engine.chain(ac.map(|heard| heard + UNKNOWN + just))
    }

    /// Every moment it holds, so that an exploration can tell states from their age.
    #[cfg(test)]
    pub fn moments(&mut self) -> impl Iterator<Item = &mut Mono> {
        let flags = [self.engine.as_mut(), self.ac.as_mut()];
        flags.into_iter().flatten().flat_map(|flag| [&mut flag.since, &mut flag.heard])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_its_device_calls_unknown_is_in_doubt_at_once_and_known_again_with_the_next_word() {
        let at = |second| Mono::ZERO + Span::secs(second);
        let mut feedback = Feedback::default();
        let mut hear = |running: Slot, second| {
            let inputs = GensetInputs { running, ..GensetInputs::default() };
            feedback.hear(&inputs, None, at(second));
            feedback.doubt(at(second))
        };
        assert_eq!(hear(Slot::Value { value: 0, asked_at: at(1) }, 1), Doubt::None);
        assert_eq!(hear(Slot::Absent { asked_at: at(2) }, 2), Doubt::Some);
        assert_eq!(hear(Slot::Value { value: 0, asked_at: at(3) }, 3), Doubt::None);
        assert_eq!(hear(Slot::Value { value: 0, asked_at: at(3) }, 20), Doubt::None, "silence has its time");
    }
}
