//! Plans from elsewhere: an optimiser leases the plan's rung for a while and renews it.
//!
//! A lease ends by itself: a program that hangs steers nothing any more. Several may stand; the one with the highest
//! priority that says something for this moment is the plan, and of equal ones the one that came first. Nothing of it
//! outlives the process: who steers asks again.

use serde::{Deserialize, Serialize};

use super::MAX_SLOTS;
use super::plan::{self, Current};
use crate::control::orders::Actor;
use crate::control::policy::{PlanSlot, Steer};
use crate::control::units::{Mono, Span, Wall};

/// Most leases that stand at a time.
pub const MAX_LEASES: usize = 4;
/// A lease that says no time lasts this long.
pub const USUAL: Span = Span::secs(60);
/// None lasts longer.
pub const LONGEST: Span = Span::minutes(48 * 60);

/// What somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who; asking again replaces what the same one had.
    pub by: Actor,
    /// The highest goes first.
    pub priority: u8,
    /// For how long; none means [`USUAL`], zero gives it back.
    pub lasts: Option<Span>,
    /// What is wanted until then, whatever the time of day.
    pub now: Option<Steer>,
    /// What is wanted at its times; at most [`MAX_SLOTS`], the rest is not taken.
    pub slots: Vec<PlanSlot>,
}

/// One that stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    lease: Lease,
    until: Mono,
}

/// Those that stand, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    standing: Vec<Standing>,
}

/// What became of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Somebody new steers, or steers otherwise.
    New,
    /// It goes on.
    Renewed,
    /// It was given back.
    GivenBack,
    /// Too many others stand.
    Full,
}

impl Leases {
    /// Takes one, renews it or gives it back.
    pub fn take(&mut self, lease: &Lease, now: Mono) -> Taken {
        let until = now + lease.lasts.unwrap_or(USUAL).max(Span::ZERO).min(LONGEST);
        let place = self.standing.iter().position(|standing| standing.lease.by == lease.by);
        if until <= now {
            if let Some(place) = place {
                self.standing.remove(place);
            }
            return Taken::GivenBack;
        }
        let mut lease = lease.clone();
        lease.slots.truncate(MAX_SLOTS);
        lease.slots.sort_by_key(|slot| slot.start);
        let full = self.standing.len() >= MAX_LEASES;
        if let Some(standing) = place.and_then(|place| self.standing.get_mut(place)) {
            *standing = Standing { lease, until };
            return Taken::Renewed;
        }
        if full {
            return Taken::Full;
        }
        self.standing.push(Standing { lease, until });
        Taken::New
    }

    /// Ends what is over; tells of whom.
    pub fn expire(&mut self, now: Mono) -> Option<Actor> {
        let place = self.standing.iter().position(|standing| now >= standing.until)?;
        Some(self.standing.remove(place).lease.by)
    }

    /// When the next one ends.
    #[must_use]
    pub fn ends_at(&self) -> Option<Mono> {
        self.standing.iter().map(|standing| standing.until).min()
    }

    /// Whether none stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.standing.is_empty()
    }

    /// Who steers now, and how; slots need a time of day.
    #[must_use]
    pub fn current(&self, wall: Option<Wall>, now: Mono) -> Option<(Actor, Current)> {
        let mut found: Option<(u8, Actor, Current)> = None;
        for standing in self.standing.iter().filter(|standing| now < standing.until) {
            let Standing { lease, until } = standing;
            let at_once = lease.now.map(|steer| Current {
                place: None,
                began: i64::MIN,
                left: until.since(now).whole_secs(),
                steer,
            });
            let current = at_once.or_else(|| plan::current(&lease.slots, wall?));
            if let Some(current) = current
                && found.is_none_or(|(priority, ..)| lease.priority > priority)
            {
                found = Some((lease.priority, lease.by, current));
            }
        }
        found.map(|(_, by, current)| (by, current))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::policy::{Caps, PlanAct};
    use crate::control::units::{Soc, Watts};

    fn at(second: i64) -> Mono {
        Mono::ZERO + Span::secs(second)
    }

    fn lease(by: &str, priority: u8, setpoint: i32, seconds: i64) -> Lease {
        Lease {
            by: Actor::from(by).unwrap(),
            priority,
            lasts: Some(Span::secs(seconds)),
            now: Some(Steer { act: PlanAct::Setpoint(Watts(setpoint)), caps: Caps::default() }),
            slots: Vec::new(),
        }
    }

    fn steering(leases: &Leases, now: Mono) -> Option<(String, PlanAct)> {
        leases.current(None, now).map(|(by, current)| (by.to_string(), current.steer.act))
    }

    #[test]
    fn a_lease_steers_until_it_ends_and_renewing_it_goes_on() {
        let mut leases = Leases::default();
        assert_eq!(leases.take(&lease("evcc", 0, 500, 60), at(0)), Taken::New);
        assert_eq!(leases.take(&lease("evcc", 0, 700, 60), at(50)), Taken::Renewed);
        assert_eq!(steering(&leases, at(109)), Some(("evcc".into(), PlanAct::Setpoint(Watts(700)))));
        assert_eq!(leases.expire(at(109)), None);
        assert_eq!(steering(&leases, at(110)), None);
        assert_eq!(leases.expire(at(110)).as_deref(), Some("evcc"));
        assert!(leases.is_empty());
    }

    #[test]
    fn the_highest_priority_steers_and_of_equal_ones_the_first() {
        let mut leases = Leases::default();
        leases.take(&lease("first", 3, 1, 60), at(0));
        leases.take(&lease("second", 3, 2, 60), at(1));
        assert_eq!(steering(&leases, at(2)).unwrap().0, "first");
        leases.take(&lease("third", 4, 3, 10), at(2));
        assert_eq!(steering(&leases, at(3)).unwrap().0, "third");
        assert_eq!(steering(&leases, at(12)).unwrap().0, "first", "it has ended, the others go on");
        assert_eq!(leases.take(&lease("first", 3, 1, 0), at(13)), Taken::GivenBack);
        assert_eq!(steering(&leases, at(13)).unwrap().0, "second");
    }

    #[test]
    fn slots_wait_for_a_time_of_day_and_a_lease_without_one_for_this_moment_leaves_it_to_others() {
        let mut leases = Leases::default();
        let slot = PlanSlot { start: 1_000, duration: Span::minutes(60), steer: Steer::to(Soc::percent(80)) };
        leases.take(&Lease { now: None, slots: vec![slot], ..lease("plan", 9, 0, 600) }, at(0));
        leases.take(&lease("other", 1, 5, 600), at(0));
        let wall = |utc| Some(Wall { utc, offset: 0, valid: true });
        let who = |wall| leases.current(wall, at(1)).map(|(by, _)| by.to_string()).unwrap();
        assert_eq!(
            (who(None), who(wall(999)), who(wall(1_000))),
            ("other".into(), "other".into(), "plan".into())
        );
    }

    #[test]
    fn too_many_are_refused_and_none_lasts_longer_than_two_days() {
        let mut leases = Leases::default();
        for by in ["a", "b", "c", "d"] {
            assert_eq!(leases.take(&lease(by, 0, 0, 10_000_000), at(0)), Taken::New);
        }
        assert_eq!(leases.take(&lease("e", 0, 0, 60), at(0)), Taken::Full);
        assert_eq!(leases.ends_at(), Some(at(48 * 3_600)));
    }
}
