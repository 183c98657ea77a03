//! Where the inverters were a moment ago.
//!
//! A meter value is older than it looks: the device measured, averaged and answered, all before we read it. The
//! load is the sum of grid and inverter *at the same moment*, so the regulator asks this ring where the inverters
//! were when the meter looked.

use std::ops::{Add, Sub};

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::share;
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
    /// What the loads behind the inverters' outputs took in the same moment.
    pub behind: [Watts; 3],
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
    pub fn newest(&self) -> Option<&Sample> {
        self.back(0)
    }

    /// The sample `steps` before the newest.
    fn back(&self, steps: usize) -> Option<&Sample> {
        if steps >= self.samples.len() {
            return None;
        }
        let at = self.next.saturating_add(LENGTH).saturating_sub(1).saturating_sub(steps);
        self.samples.get(at.checked_rem(LENGTH)?)
    }

    /// The lowest and the highest power that each phase may have had at some moment between two, both within what
    /// was told just before and just after them. What the inverters convert changes steadily and lies between two
    /// samples; what hangs behind their outputs jumps, and takes the difference from the input until they follow.
    #[must_use]
    pub fn between(&self, from: Mono, to: Mono) -> Option<([Watts; 3], [Watts; 3])> {
        let (mut low, mut high) = ([Watts::MAX; 3], [Watts::MIN; 3]);
        let (mut least, mut most) = ([Watts::MAX; 3], [Watts::MIN; 3]);
        let mut next = Some(self.newest()?);
        for steps in 1..=LENGTH {
            let Some(sample) = next else { break };
            next = self.back(steps);
            // One sample after `to` still bounds what was before it.
            if next.is_some_and(|older| older.at >= to) {
                continue;
            }
            let converted = share::both(sample.power, sample.behind, Add::add);
            low = share::both(low, converted, Watts::min);
            high = share::both(high, converted, Watts::max);
            least = share::both(least, sample.behind, Watts::min);
            most = share::both(most, sample.behind, Watts::max);
            if sample.at <= from {
                break;
            }
        }
        Some((share::both(low, most, Sub::sub), share::both(high, least, Sub::sub)))
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
                let moved = |before: Watts, after: Watts| before + (after - before).scaled(into, gap);
                return Some(share::both(before.power, after.power, moved));
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
        Sample {
            at: Mono::ZERO + Span::millis(millis),
            power: [Watts(watts), -Watts(watts), Watts::ZERO],
            ..Sample::default()
        }
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

    #[test]
    fn what_lies_between_two_moments_is_bounded_by_the_samples_around_them() {
        let mut history = History::default();
        assert_eq!(history.between(Mono(0), Mono(1)), None);
        for (second, watts) in [(1, 0), (2, 500), (3, -300), (4, 100)] {
            history.push(sample(second * 1_000, watts));
        }
        let first = |from, to| history.between(Mono(from), Mono(to)).map(|(low, high)| (low[0].0, high[0].0));
        assert_eq!(first(1_500, 1_800), Some((0, 500)));
        assert_eq!(first(2_500, 9_000), Some((-300, 500)));
        assert_eq!(first(5_000, 9_000), Some((100, 100)));
    }

    #[test]
    fn a_load_that_jumps_behind_the_output_may_have_pulled_the_input_all_the_way() {
        let mut history = History::default();
        let told = [(1, 0, 0), (2, -770, 1_500), (3, 0, 1_500)];
        for (second, power, behind) in told {
            let on_one = |watts| [Watts(watts), Watts::ZERO, Watts::ZERO];
            let at = Mono::ZERO + Span::secs(second);
            history.push(Sample { at, power: on_one(power), behind: on_one(behind) });
        }
        let (low, high) = history.between(Mono(1_100), Mono(1_900)).unwrap();
        assert_eq!((low[0].0, high[0].0), (-1_500, 730));
        let (low, high) = history.between(Mono(3_000), Mono(3_100)).unwrap();
        assert_eq!((low[0].0, high[0].0), (0, 0));
    }
}
