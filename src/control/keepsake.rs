//! What must outlive the process, and when it must be written down.
//!
//! Site time goes on across restarts: whoever starts a site from a keepsake gives it a clock that continues at
//! [`Keepsake::at`], later by as much as is known to have passed. So every moment in here stays true as it is.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::battery::guard::Guard;
use super::genset::Genset;
use super::input::{Alarm, MAX_ALARMS, Manual};
use super::ledger::Ledger;
use super::orders::Standing;
use super::overlays::Overlays;
use super::units::{Mono, Span};

/// Counters are written down this often.
const EVERY: Span = Span::secs(60);
/// What flaps is written down this often at most, once a short burst is used up: flash wears.
const CHANGES: Span = Span::secs(30);
/// The burst, as the time in which it comes back.
const BURST: Span = Span::minutes(10);
/// A permissive act waits this long for its memory, then happens all the same: a broken disk must not keep the
/// lights off.
pub(super) const WAIT: Span = Span::secs(1);

/// What must outlive the process. What a version does not know yet keeps its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keepsake {
    /// The moment at which all this was true.
    pub at: Mono,
    /// Guard of the minimum SoC.
    pub guard: Guard,
    /// A BMS has spoken: from then on a missing limit counts as 0.
    pub bms_seen: bool,
    /// The generator: state, attempts, minimum run, rest, hours and starts.
    pub genset: Genset,
    /// Energy so far.
    pub ledger: Ledger,
    /// What the operator wants of the generator, and until when.
    pub manual: Manual,
    /// When that ends; none means not by itself.
    pub manual_until: Option<Mono>,
    /// Automatic starts as ordered; none means as in the profile.
    pub auto: Option<bool>,
    /// The operator's order for the battery.
    pub standing: Option<Standing>,
    /// Overlays of the profile that are on.
    pub overlays: Overlays,
    /// Alarms that stood.
    pub alarms: ArrayVec<Alarm, MAX_ALARMS>,
    /// When the battery was last seen full.
    pub full_at: Option<Mono>,
}

/// Where a site comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Past {
    /// A new site: it has no past.
    #[default]
    None,
    /// What was written down.
    Kept(Box<Keepsake>),
    /// There was one, but it cannot be read: the cautious case is assumed.
    Lost,
}

/// What has been written down and what has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keeping {
    /// Something changed that should not wait for the next minute.
    changed: bool,
    /// Something changed that must not wait at all.
    urgent: bool,
    /// Changes are free again up to here.
    spent_until: Mono,
    /// The last request to write down, and when it was made.
    asked: u32,
    asked_at: Mono,
    /// The last request that is known to be safe.
    safe: u32,
    /// A permissive act waits for it.
    held: bool,
}

impl Keeping {
    /// Something should be written down at once, unless it changes all the time.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// Something must be written down at once: an order, or where the generator stands.
    pub fn urgent(&mut self) {
        self.urgent = true;
    }

    /// The number of a request to write down, when one is due.
    pub fn due(&mut self, now: Mono) -> Option<u32> {
        let affordable = self.spent_until.since(now) <= BURST - CHANGES;
        let at_once = self.urgent || (self.changed && affordable);
        if !at_once && now.since(self.asked_at) < EVERY {
            return None;
        }
        if at_once && !self.urgent {
            self.spent_until = self.spent_until.max(now) + CHANGES;
        }
        (self.changed, self.urgent) = (false, false);
        self.asked = self.asked.wrapping_add(1);
        self.asked_at = now;
        Some(self.asked)
    }

    /// A request is safe, and with it all before. True when an act has waited for it.
    pub fn stored(&mut self, seq: u32) -> bool {
        self.safe = seq;
        self.safe == self.asked && std::mem::take(&mut self.held)
    }

    /// Whether all that was asked for is safe.
    pub fn all_safe(&self) -> bool {
        self.safe == self.asked && !self.urgent
    }

    /// A decision begins: what waited before may not be wanted any more.
    pub fn nothing_waits(&mut self) {
        self.held = false;
    }

    /// Whether a permissive act must wait for its memory now.
    pub fn holds(&mut self, now: Mono) -> bool {
        self.held = self.safe != self.asked && now < self.asked_at + WAIT;
        self.held
    }

    /// When what waits need wait no longer.
    pub fn held_until(&self) -> Option<Mono> {
        self.held.then_some(self.asked_at + WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Mono {
        Mono::ZERO + Span::secs(second)
    }

    #[test]
    fn counters_are_written_down_once_a_minute_and_changes_at_once() {
        let mut keeping = Keeping::default();
        let asked: Vec<i64> = (1..=200)
            .filter(|second| {
                if *second == 70 {
                    keeping.changed();
                }
                keeping.due(at(*second)).is_some()
            })
            .collect();
        assert_eq!(asked, [60, 70, 130, 190]);
    }

    #[test]
    fn what_flaps_does_not_wear_the_flash_and_never_delays_what_is_urgent() {
        let mut keeping = Keeping::default();
        let asked = (1..=3_600).filter(|second| {
            keeping.changed();
            keeping.due(at(*second)).is_some()
        });
        let asked = asked.count();
        assert!((20 + 110..=20 + 130).contains(&asked), "{asked} times in an hour");
        keeping.urgent();
        assert!(keeping.due(at(3_601)).is_some());
    }

    #[test]
    fn a_permissive_act_waits_for_its_memory_or_a_second() {
        let mut keeping = Keeping::default();
        keeping.changed();
        let asked = keeping.due(at(10)).unwrap();
        assert!(keeping.holds(at(10)));
        assert_eq!(keeping.held_until(), Some(at(11)));
        assert!(
            !keeping.stored(asked.wrapping_sub(1)) && keeping.holds(at(10)),
            "an older answer is not this one"
        );
        assert!(!keeping.holds(at(11)), "a broken disk does not keep it waiting");
        assert!(keeping.holds(at(10)) && keeping.stored(asked));
        assert!(!keeping.holds(at(10)));
    }

    #[test]
    fn a_start_that_is_withdrawn_while_it_waits_wakes_nobody() {
        let mut keeping = Keeping::default();
        keeping.urgent();
        let _never_stored = keeping.due(at(10));
        assert!(keeping.holds(at(10)));
        keeping.nothing_waits();
        assert_eq!(keeping.held_until(), None, "the disk is full and never answers");
    }
}
