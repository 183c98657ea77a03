//! Which reads are due. Reads of one pace share their ticks, and a read that the device refuses is taken apart until
//! the point that it does not have is alone; that one is then left out until the next connection.

use std::collections::BTreeSet;

use super::units::UnitState;
use crate::control::units::{Mono, Span};
use crate::device::definition::{Definition, Pace};
use crate::device::exchange::{Failure, Request};
use crate::device::plan::{Block, plan};
use crate::device::spot::Spot;

const NORMAL: Span = Span::secs(5);
const SLOW: Span = Span::secs(60);
/// How often a busy device is asked again out of turn.
const BUSY: u32 = 5;

#[derive(Clone, Debug)]
struct Poll {
    block: Block,
    due: Mono,
    failures: u32,
    /// Part of a refused read whose bad point is still being looked for.
    searching: bool,
}

/// All reads of a device.
#[derive(Clone, Debug)]
pub struct Polls {
    fast: Span,
    /// How long after the shared ticks.
    late: Span,
    spots: Vec<Spot>,
    polls: Vec<Poll>,
    absent: BTreeSet<usize>,
    planned_again: bool,
}

impl Polls {
    pub fn new(definition: &Definition, fast: Span, late: Span) -> Self {
        let mut polls = Self {
            fast,
            late,
            spots: Spot::fixed(definition),
            polls: Vec::new(),
            absent: BTreeSet::new(),
            planned_again: false,
        };
        polls.plan(definition);
        polls
    }

    /// Everything is read anew, also what was missing before.
    pub fn restart(&mut self, definition: &Definition) {
        self.spots = Spot::fixed(definition);
        self.absent.clear();
        self.planned_again = false;
        self.plan(definition);
    }

    /// Takes in spots that a SunSpec chain told.
    pub fn add(&mut self, definition: &Definition, spots: Vec<Spot>) {
        let first = self.spots.len();
        self.spots.extend(spots);
        let fresh: Vec<usize> = (first..self.spots.len()).collect();
        self.push(plan(definition, &self.spots, &fresh), Mono::ZERO, false);
    }

    fn plan(&mut self, definition: &Definition) {
        self.polls.clear();
        let present: Vec<usize> = (0..self.spots.len()).filter(|at| !self.absent.contains(at)).collect();
        self.push(plan(definition, &self.spots, &present), Mono::ZERO, false);
    }

    fn push(&mut self, blocks: Vec<Block>, due: Mono, searching: bool) {
        self.polls.extend(blocks.into_iter().map(|block| Poll { block, due, failures: 0, searching }));
    }

    pub fn block(&self, at: usize) -> Option<&Block> {
        self.polls.get(at).map(|poll| &poll.block)
    }

    pub fn spot(&self, at: usize) -> Option<&Spot> {
        self.spots.get(at)
    }

    /// Points that the device refused, by index.
    pub fn absent(&self) -> impl Iterator<Item = usize> + '_ {
        self.absent.iter().filter_map(|at| self.spots.get(*at)).map(|spot| spot.point)
    }

    /// The most urgent read that is due: the longest due first, the faster of two of the same tick; a unit that was
    /// silent comes last.
    pub fn most_urgent(&self, units: &[UnitState], now: Mono) -> Option<usize> {
        let free = |poll: &Poll| units.get(poll.block.unit).is_some_and(|unit| unit.refusal(now).is_none());
        let due = self.polls.iter().enumerate().filter(|(_, poll)| poll.due <= now && free(poll));
        let silent = |poll: &Poll| units.get(poll.block.unit).is_some_and(UnitState::is_probed);
        due.min_by_key(|(at, poll)| (silent(poll), poll.due, poll.block.pace, *at)).map(|(at, _)| at)
    }

    /// A read that is due and brings what this request asks for.
    pub fn bringing(&self, unit: usize, request: &Request, now: Mono) -> Option<usize> {
        let end = |start: u16, count: u16| u32::from(start).saturating_add(u32::from(count));
        self.polls.iter().position(|Poll { block, due, .. }| {
            *due <= now
                && (block.unit, block.area.read()) == (unit, request.function)
                && block.start <= request.address
                && end(request.address, request.count) <= end(block.start, block.len)
        })
    }

    /// When the next read is due.
    pub fn next_due(&self, units: &[UnitState]) -> Mono {
        let when =
            |poll: &Poll| units.get(poll.block.unit).map_or(Mono::NEVER, |unit| unit.free_at().max(poll.due));
        self.polls.iter().map(when).min().unwrap_or(Mono::NEVER)
    }

    /// It was answered: due again on the next shared tick.
    pub fn answered(&mut self, at: usize, asked_at: Mono, definition: &Definition) {
        let (fast, late) = (self.fast, self.late);
        let Some(poll) = self.polls.get_mut(at) else { return };
        poll.failures = 0;
        poll.due = tick_after(poll.block.pace, fast, asked_at - late) + late;
        if std::mem::take(&mut poll.searching) {
            self.found_all(definition);
        }
    }

    /// It failed in a way that concerns this read only.
    pub fn failed(&mut self, at: usize, failure: Failure, now: Mono, definition: &Definition) {
        let Some(poll) = self.polls.get_mut(at) else { return };
        match failure {
            // No such function, address or count: some point of it is not there.
            Failure::Exception(1..=3) => self.refused(at, now, definition),
            Failure::Exception(code) if definition.limits.busy.contains(&code) => {
                poll.failures = poll.failures.saturating_add(1);
                poll.due = match poll.failures {
                    tries @ 1..=BUSY => now + Span::millis(i64::from(tries).saturating_mul(100)),
                    _ => tick_after(poll.block.pace, self.fast, now).min(now + SLOW),
                };
            }
            Failure::Exception(_) => {
                poll.failures = poll.failures.saturating_add(1);
                let wait = 1_i64.checked_shl(poll.failures.min(5)).unwrap_or(32);
                poll.due = now + Span::secs(wait);
            }
            // The others of the same tick were not answered either; asking again is the connection's matter.
            _ => poll.due = now + Span::millis(self.fast.0.min(1_000)),
        }
    }

    fn refused(&mut self, at: usize, now: Mono, definition: &Definition) {
        let poll = self.polls.remove(at);
        let parts = poll.block.split(&self.spots, &definition.limits);
        if parts.is_empty() {
            self.absent.extend(poll.block.spots);
            self.found_all(definition);
        } else {
            self.push(parts, now, true);
        }
    }

    /// Once the search is over, what is left is packed again without the missing points. Only once: a device that refuses
    /// that too is read in the parts that it answers.
    fn found_all(&mut self, definition: &Definition) {
        if self.planned_again || self.absent.is_empty() || self.polls.iter().any(|poll| poll.searching) {
            return;
        }
        self.planned_again = true;
        let dues: Vec<(Block, Mono)> = self.polls.iter().map(|poll| (poll.block.clone(), poll.due)).collect();
        self.plan(definition);
        for poll in &mut self.polls {
            let same =
                |known: &&(Block, Mono)| known.0.spots.iter().any(|spot| poll.block.spots.contains(spot));
            poll.due = dues.iter().filter(same).map(|(_, due)| *due).min().unwrap_or(poll.due);
        }
    }
}

fn tick_after(pace: Pace, fast: Span, asked_at: Mono) -> Mono {
    let period = match pace {
        Pace::Fast => fast,
        Pace::Normal => fast.max(NORMAL),
        Pace::Slow => fast.max(SLOW),
        Pace::Once => return Mono::NEVER,
    };
    let ticks = asked_at.0.checked_div_euclid(period.0.max(1)).unwrap_or(0).saturating_add(1);
    Mono(ticks.saturating_mul(period.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::library::shipped;

    #[test]
    fn a_device_that_is_read_late_keeps_its_distance_to_the_shared_ticks() {
        let name = "meters/carlo-gavazzi-em24-e1";
        let definition = Definition::parse(shipped(name).unwrap(), name).unwrap();
        let mut polls = Polls::new(&definition, Span::secs(1), Span::millis(75));
        let dues = [10_000, 10_074, 10_075, 10_900].map(|asked_at| {
            polls.answered(0, Mono(asked_at), &definition);
            polls.polls[0].due.0
        });
        assert_eq!(dues, [10_075, 10_075, 11_075, 11_075]);
    }
}
