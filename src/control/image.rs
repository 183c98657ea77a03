//! The image: the last thing heard of every signal.

use serde::{Deserialize, Serialize};

use super::reading::Reading;
use super::signal::SignalId;
use super::units::{DeciCelsius, MilliAmps, MilliVolts, Mono, Soc, Watts};

/// What is known of one signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// Nothing was heard yet.
    #[default]
    Never,
    /// A value, in the quantity's carried unit.
    Value {
        /// What was said.
        value: i64,
        /// When we asked.
        asked_at: Mono,
    },
    /// The device answered that it does not know, or said something that cannot be.
    Absent {
        /// When we asked.
        asked_at: Mono,
    },
}

impl Slot {
    /// When the newest word was asked for.
    #[must_use]
    pub fn asked_at(self) -> Option<Mono> {
        match self {
            Self::Never => None,
            Self::Value { asked_at, .. } | Self::Absent { asked_at } => Some(asked_at),
        }
    }

    /// The value and its moment, when the newest word was a value.
    #[must_use]
    pub fn reading(self) -> Option<Reading<i64>> {
        match self {
            Self::Value { value, asked_at } => Some(Reading { value, asked_at }),
            Self::Never | Self::Absent { .. } => None,
        }
    }
}

/// The last thing heard of every signal, by place.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    slots: Vec<Slot>,
}

impl Clone for Image {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone() }
    }

    /// Into the room that the other one has.
    fn clone_from(&mut self, source: &Self) {
        self.slots.clone_from(&source.slots);
    }
}

impl Image {
    /// An image of this many signals, nothing heard.
    #[must_use]
    pub fn new(signals: usize) -> Self {
        Self { slots: vec![Slot::Never; signals] }
    }

    /// How many signals it has room for.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Takes a word in. What was asked earlier than the newest word, or at the same moment, says nothing
    /// new and is ignored: a frozen device ages like a silent one.
    pub fn hear(&mut self, id: SignalId, value: Option<i64>, asked_at: Mono) -> bool {
        let Some(slot) = self.slots.get_mut(usize::from(id.0)) else { return false };
        if slot.asked_at().is_some_and(|before| asked_at <= before) {
            return false;
        }
        *slot = match value {
            Some(value) => Slot::Value { value, asked_at },
            None => Slot::Absent { asked_at },
        };
        true
    }

    /// What is known of a signal.
    #[must_use]
    pub fn slot(&self, id: SignalId) -> Slot {
        self.slots.get(usize::from(id.0)).copied().unwrap_or_default()
    }

    /// The last value of a signal that the site may not have.
    #[must_use]
    pub fn reading(&self, id: Option<SignalId>) -> Option<Reading<i64>> {
        self.slot(id?).reading()
    }

    /// As a quantity; a value that it cannot hold is no value, and never the largest one.
    fn fitting<T>(&self, id: Option<SignalId>, fit: fn(i64) -> Option<T>) -> Option<Reading<T>> {
        let Reading { value, asked_at } = self.reading(id)?;
        fit(value).map(|value| Reading { value, asked_at })
    }

    /// As power.
    #[must_use]
    pub fn watts(&self, id: Option<SignalId>) -> Option<Reading<Watts>> {
        self.fitting(id, Watts::fitting)
    }

    /// As voltage.
    #[must_use]
    pub fn volts(&self, id: Option<SignalId>) -> Option<Reading<MilliVolts>> {
        self.fitting(id, MilliVolts::fitting)
    }

    /// As current.
    #[must_use]
    pub fn amps(&self, id: Option<SignalId>) -> Option<Reading<MilliAmps>> {
        self.fitting(id, MilliAmps::fitting)
    }

    /// As temperature.
    #[must_use]
    pub fn celsius(&self, id: Option<SignalId>) -> Option<Reading<DeciCelsius>> {
        self.fitting(id, DeciCelsius::fitting)
    }

    /// As state of charge; a value no battery can have is no value.
    #[must_use]
    pub fn soc(&self, id: Option<SignalId>) -> Option<Reading<Soc>> {
        self.fitting(id, Soc::from_centi)
    }

    /// As yes or no.
    #[must_use]
    pub fn flag(&self, id: Option<SignalId>) -> Option<Reading<bool>> {
        self.reading(id).map(|r| Reading { value: r.value != 0, asked_at: r.asked_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_beyond_what_a_power_can_be_is_unknown_and_no_number() {
        let id = SignalId(0);
        let mut image = Image::new(1);
        for (second, (word, known)) in
            (1..).zip([(-2_000, Some(Watts(-2_000))), (i64::MIN, None), (i64::MAX, None), (1 << 31, None)])
        {
            image.hear(id, Some(word), Mono(second));
            assert_eq!(image.watts(Some(id)).map(|reading| reading.value), known, "{word}");
        }
    }
}
