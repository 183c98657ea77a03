//! Whose turn it is on one connection: pure, time is an argument.
//!
//! Devices with an order go first, then all take turns. A unit that stays silent is asked ever more rarely, so the
//! time spent waiting for it is not the others'.

use std::collections::BTreeMap;

use crate::control::units::{Mono, Span};

/// Turns.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    slots: Vec<Slot>,
    /// The device whose turn came last.
    last: usize,
    /// Urgent turns since a device without an order had one.
    urgent_turns: u8,
    units: BTreeMap<u8, Unit>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    urgent: bool,
    paused_until: Option<Mono>,
}

/// What is known of one unit id.
#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    /// Requests without an answer, in a row.
    silent: u32,
    /// When it was last asked in vain.
    asked: Mono,
}

/// Orders may not keep the devices without orders waiting for longer than this many turns.
const URGENT_TURNS: u8 = 4;
/// Longest pause before a silent unit is asked again: while others answer, while none does, and for a write.
const RARELY: Span = Span::secs(30);
const ALONE: Span = Span::secs(5);
const FOR_A_WRITE: Span = Span::secs(5);

impl Schedule {
    /// Turns for this many devices.
    #[must_use]
    pub fn new(devices: usize) -> Self {
        Self { slots: vec![Slot::default(); devices], ..Self::default() }
    }

    /// A device got an order: it goes first.
    pub fn ordered(&mut self, device: usize) {
        if let Some(slot) = self.slots.get_mut(device) {
            *slot = Slot { urgent: true, paused_until: None };
        }
    }

    /// What a device's turn was used for; one that no longer writes waits its turn again.
    pub fn used(&mut self, device: usize, writes: bool) {
        if let Some(slot) = self.slots.get_mut(device) {
            slot.urgent &= writes;
        }
    }

    /// Leaves a device out for a moment: all it asks for is of a silent unit.
    pub fn pause(&mut self, device: usize, until: Mono) {
        if let Some(slot) = self.slots.get_mut(device) {
            slot.paused_until = Some(until);
        }
    }

    /// When a device may have a turn that is due at `due`.
    #[must_use]
    pub fn opens(&self, device: usize, due: Mono) -> Mono {
        let paused = self.slots.get(device).and_then(|slot| slot.paused_until);
        paused.map_or(due, |until| due.max(until))
    }

    /// Whose turn it is among the devices with something due.
    pub fn turn(&mut self, now: Mono, due: impl Fn(usize) -> Mono) -> Option<usize> {
        let after = self.last.saturating_add(1);
        let order = (after..self.slots.len()).chain(0..after.min(self.slots.len()));
        let waits = |device: &usize| self.opens(*device, due(*device)) <= now;
        let urgent = |device: &usize| self.slots.get(*device).is_some_and(|slot| slot.urgent);
        let ordered = order.clone().filter(waits).find(urgent);
        let other = order.clone().filter(waits).find(|device| !urgent(device));
        let (device, turns) = match (ordered, other) {
            (Some(_), Some(other)) if self.urgent_turns >= URGENT_TURNS => (other, 0),
            (Some(ordered), _) => (ordered, self.urgent_turns.saturating_add(1)),
            (None, other) => (other?, 0),
        };
        (self.last, self.urgent_turns) = (device, turns);
        Some(device)
    }

    /// Whether a request to this unit is worth the wire's time now.
    #[must_use]
    pub fn allows(&self, unit: u8, writes: bool, now: Mono) -> bool {
        let Some(known) = self.units.get(&unit) else { return true };
        // One lost answer is no silence: the next poll comes at its own pace.
        if known.silent < 2 {
            return true;
        }
        let others = self.units.iter().any(|(id, other)| *id != unit && other.silent == 0);
        let doubled = 1_i64.checked_shl(known.silent.saturating_sub(2).min(16)).unwrap_or(1);
        let pause = Span::secs(doubled).min(if others { RARELY } else { ALONE }).min(if writes {
            FOR_A_WRITE
        } else {
            Span::MAX
        });
        now.since(known.asked) >= pause
    }

    /// A unit answered. `true` when it had been silent, so that it may have restarted.
    pub fn answered(&mut self, unit: u8) -> bool {
        let before = self.units.insert(unit, Unit::default()).unwrap_or_default();
        if before.silent < 2 {
            return false;
        }
        // What kept this unit from answering may have kept the others, too: each is worth one more try.
        for other in self.units.values_mut() {
            other.asked = Mono(i64::MIN);
        }
        true
    }

    /// A unit did not answer.
    pub fn silent(&mut self, unit: u8, now: Mono) {
        let known = self.units.entry(unit).or_default();
        *known = Unit { silent: known.silent.saturating_add(1), asked: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Mono = Mono(1_000_000);

    fn always(_: usize) -> Mono {
        Mono::ZERO
    }

    fn turns(schedule: &mut Schedule, count: usize) -> Vec<usize> {
        (0..count).filter_map(|_| schedule.turn(NOW, always)).collect()
    }

    #[test]
    fn devices_take_turns() {
        assert_eq!(turns(&mut Schedule::new(3), 6), [1, 2, 0, 1, 2, 0]);
        assert_eq!(turns(&mut Schedule::new(1), 2), [0, 0]);
        assert_eq!(turns(&mut Schedule::new(0), 2), [0; 0]);
    }

    #[test]
    fn device_with_an_order_goes_first_until_it_no_longer_writes() {
        let mut schedule = Schedule::new(3);
        schedule.ordered(0);
        assert_eq!(turns(&mut schedule, 2), [0, 0]);
        schedule.used(0, false);
        assert_eq!(turns(&mut schedule, 3), [1, 2, 0]);
    }

    #[test]
    fn endless_orders_do_not_starve_the_meters() {
        let mut schedule = Schedule::new(3);
        schedule.ordered(0);
        assert_eq!(turns(&mut schedule, 10), [0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn nothing_due_is_nobodys_turn() {
        let mut schedule = Schedule::new(2);
        assert_eq!(schedule.turn(NOW, |_| Mono::NEVER), None);
        assert_eq!(schedule.turn(NOW, |device| if device == 0 { NOW } else { Mono::NEVER }), Some(0));
    }

    #[test]
    fn paused_device_comes_back_and_an_order_ends_its_pause() {
        let mut schedule = Schedule::new(1);
        schedule.pause(0, NOW + Span::secs(1));
        assert_eq!(schedule.turn(NOW, always), None);
        assert_eq!(schedule.opens(0, NOW), NOW + Span::secs(1));
        assert_eq!(schedule.turn(NOW + Span::secs(1), always), Some(0));
        schedule.ordered(0);
        assert_eq!(schedule.turn(NOW, always), Some(0));
    }

    /// Seconds at which a silent unit is asked within a time, when tried each second.
    fn asked_at(schedule: &mut Schedule, writes: bool, seconds: i64) -> Vec<i64> {
        (0..seconds)
            .filter(|second| {
                let now = NOW + Span::secs(*second);
                let asked = schedule.allows(7, writes, now);
                if asked {
                    schedule.silent(7, now);
                }
                asked
            })
            .collect()
    }

    #[test]
    fn silent_unit_among_answering_ones_is_asked_ever_more_rarely() {
        let mut schedule = Schedule::new(1);
        schedule.answered(1);
        assert_eq!(asked_at(&mut schedule, false, 100), [0, 1, 2, 4, 8, 16, 32, 62, 92]);
    }

    #[test]
    fn silent_unit_alone_on_its_connection_is_asked_every_five_seconds() {
        assert_eq!(asked_at(&mut Schedule::new(1), false, 25), [0, 1, 2, 4, 8, 13, 18, 23]);
    }

    #[test]
    fn write_to_a_silent_unit_waits_five_seconds_at_most() {
        let mut schedule = Schedule::new(1);
        schedule.answered(1);
        assert_eq!(asked_at(&mut schedule, true, 25), [0, 1, 2, 4, 8, 13, 18, 23]);
    }

    #[test]
    fn unit_that_comes_back_gives_the_other_silent_ones_a_try() {
        let mut schedule = Schedule::new(1);
        for second in 0..10 {
            schedule.silent(7, NOW + Span::secs(second));
            schedule.silent(8, NOW + Span::secs(second));
        }
        let now = NOW + Span::secs(10);
        assert!(!schedule.allows(8, false, now));
        assert!(schedule.answered(7));
        assert!(!schedule.answered(7));
        assert!(schedule.allows(8, false, now));
    }
}
