//! Where the inverters were a moment ago.
//!
//! A meter value is older than it looks: the device measured, averaged and answered, all before we read it. The
//! load is the sum of grid and inverter *at the same moment*, so the regulator asks this ring where the inverters
//! were when the meter looked.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::units::{Mono, Watts};

/// Samples kept: more than ten seconds at the fastest pace.
const LENGTH: usize = 64;

/// Inverter power per phase at one moment, feeding the bus positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was asked for.
    pub at: Mono,
    /// Per phase.
    pub power: [Watts; 3],
}

/// The last samples, oldest first in time, a ring in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    samples: ArrayVec<Sample, LENGTH>,
    next: usize,
}

impl History {
    /// Takes a sample in; one that is not newer than the newest is ignored.
    pub fn push(&mut self, sample: Sample) {
        if self.newest().is_some_and(|newest| sample.at <= newest.at) {
            return;
        }
        if let Some(slot) = self.samples.get_mut(self.next) {
            *slot = sample;
        } else if self.samples.try_push(sample).is_err() {
            return;
        }
        self.next = self.next.saturating_add(1).checked_rem(LENGTH).unwrap_or(0);
    }

    /// The newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<Sample> {
        self.back(0)
    }

    /// The sample `steps` before the newest.
    fn back(&self, steps: usize) -> Option<Sample> {
        if steps >= self.samples.len() {
            return None;
        }
        let at = self.next.saturating_add(LENGTH).saturating_sub(1).saturating_sub(steps);
        self.samples.get(at.checked_rem(LENGTH)?).copied()
    }

    /// Where the inverters were at a moment: interpolated between samples, the nearest end beyond them.
    #[must_use]
    pub fn at(&self, moment: Mono) -> Option<[Watts; 3]> {
        let mut after = self.newest()?;
        if moment >= after.at {
            return Some(after.power);
        }
        for steps in 1..LENGTH {
            let Some(before) = self.back(steps) else { break };
            if moment >= before.at {
                let (into, gap) = (moment.since(before.at).0, after.at.since(before.at).0);
                let mut power = before.power;
                for (power, after) in power.iter_mut().zip(after.power) {
                    *power += (after - *power).scaled(into, gap);
                }
                return Some(power);
            }
            after = before;
        }
        Some(after.power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::units::Span;

    fn sample(millis: i64, watts: i32) -> Sample {
        Sample { at: Mono::ZERO + Span::millis(millis), power: [Watts(watts), -Watts(watts), Watts::ZERO] }
    }

    #[test]
    fn the_past_is_interpolated_between_samples_and_held_beyond_them() {
        let mut history = History::default();
        assert_eq!(history.at(Mono::ZERO), None);
        for second in 0..200 {
            history.push(sample(second * 1_000, i32::try_from(second).unwrap() * 100));
        }
        let at = |millis| history.at(Mono(millis)).map(|power| (power[0].0, power[1].0));
        assert_eq!(at(198_500), Some((19_850, -19_850)));
        assert_eq!(at(199_000), Some((19_900, -19_900)));
        assert_eq!(at(250_000), Some((19_900, -19_900)));
        assert_eq!(at(0), Some((13_600, -13_600)), "older than the ring: its oldest sample");
    }
}
