//! The ladder: each rung narrows the range of power that may be ordered, and never widens it.
//!
//! The range is never empty. Where a rung wants something outside what is left, the nearest end stays, and the
//! rung that last moved that end is the one that binds. A lower rung chooses inside; it can never reopen what a
//! higher one closed.

use arrayvec::ArrayVec;

use super::decision::Rung;
use super::reason::{Cause, Reason, Tier};
use super::units::Watts;

/// The range still allowed, and who closed each end.
#[derive(Clone, Debug)]
pub struct Ladder {
    low: Watts,
    high: Watts,
    low_by: Cause,
    high_by: Cause,
    /// Rungs that wanted more than was left to them.
    unmet: ArrayVec<Cause, 4>,
    rungs: ArrayVec<Rung, 10>,
}

impl Ladder {
    /// Opens the ladder with the widest range there is: what the devices and the profile allow.
    #[must_use]
    pub fn open(low: Watts, high: Watts, by: Reason) -> Self {
        let by = Cause { tier: Tier::Device, reason: by };
        Self {
            low: low.min(high),
            high,
            low_by: by,
            high_by: by,
            unmet: ArrayVec::new(),
            rungs: ArrayVec::new(),
        }
    }

    /// Nothing above `high` from here on.
    pub fn at_most(&mut self, tier: Tier, high: Watts, reason: Reason) {
        let cause = Cause { tier, reason };
        if high < self.low {
            // It gets the nearest end that is left: whoever closed that end is the one who binds.
            let _full = self.unmet.try_push(cause);
            (self.high, self.high_by) = (self.low, self.low_by);
        } else if high < self.high {
            (self.high, self.high_by) = (high, cause);
        }
    }

    /// Nothing below `low` from here on.
    pub fn at_least(&mut self, tier: Tier, low: Watts, reason: Reason) {
        let cause = Cause { tier, reason };
        if low > self.high {
            let _full = self.unmet.try_push(cause);
            (self.low, self.low_by) = (self.high, self.high_by);
        } else if low > self.low {
            (self.low, self.low_by) = (low, cause);
        }
    }

    /// Ends a rung: keeps what is left for `explain`.
    pub fn rung(&mut self, tier: Tier) {
        let _full = self.rungs.try_push(Rung { tier, low: self.low, high: self.high });
    }

    /// The nearest allowed power to a wish, and who cut it, if anyone.
    #[must_use]
    pub fn clamp(&self, wish: Watts) -> (Watts, Option<Cause>) {
        if wish > self.high {
            (self.high, Some(self.high_by))
        } else if wish < self.low {
            (self.low, Some(self.low_by))
        } else {
            (wish, None)
        }
    }

    /// Who left no choice at all, when nobody has one.
    #[must_use]
    pub fn pinned(&self) -> Option<Cause> {
        (self.low == self.high).then_some(self.high_by)
    }

    /// Lowest power still allowed.
    #[must_use]
    pub fn low(&self) -> Watts {
        self.low
    }

    /// Who wanted more than was left to them.
    #[must_use]
    pub fn unmet(&self) -> &[Cause] {
        &self.unmet
    }

    /// Who closed the end of charging.
    #[must_use]
    pub fn low_by(&self) -> Cause {
        self.low_by
    }

    /// Highest power still allowed.
    #[must_use]
    pub fn high(&self) -> Watts {
        self.high
    }

    /// What each rung left.
    #[must_use]
    pub fn into_rungs(self) -> ArrayVec<Rung, 10> {
        self.rungs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_rung_reopens_what_a_higher_one_closed(
            start in (any::<i32>(), any::<i32>()),
            cuts in proptest::collection::vec((any::<bool>(), any::<i32>()), 0..12),
            wish in any::<i32>(),
        ) {
            let (a, b) = start;
            let mut ladder = Ladder::open(Watts(a.min(b)), Watts(a.max(b)), Reason::Island);
            for (upper, at) in cuts {
                let (low, high) = (ladder.low(), ladder.high());
                if upper {
                    ladder.at_most(Tier::Battery, Watts(at), Reason::BmsLost);
                } else {
                    ladder.at_least(Tier::Floor, Watts(at), Reason::BmsLost);
                }
                prop_assert!(ladder.low() <= ladder.high());
                prop_assert!(ladder.low() >= low && ladder.high() <= high);
            }
            let (given, cut) = ladder.clamp(Watts(wish));
            prop_assert!(given >= ladder.low() && given <= ladder.high());
            prop_assert_eq!(cut.is_none(), given == Watts(wish));
        }
    }
}
