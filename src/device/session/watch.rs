//! Whether somebody else writes to the registers that we command.
//!
//! A register is *ours* once a read has shown what our latest write said. What a later read shows is judged so:
//!
//! - One of the last four values that we sent, answered or not, is nobody else's: devices lag, and answers get lost.
//! - What release writes, or zeros, is where a register falls to when its device starts anew. The first time is
//!   forgiven; the second within a minute, ours having been seen in between and the unit never silent, is a hand.
//! - Any other value is foreign. It is told once until we write again or another one is found: a stranger's single
//!   write must not look like two, however often it is looked at.
//!
//! Nothing is judged that is not ours: not after a new connection, not after the unit was silent, not once the device's
//! watchdog has lapsed since the last write, not after release. A device that rounds or clamps shows so at the first
//! read after the write, which is therefore contradicted and not foreign; unless the device has shown these very words
//! before and what stands there now is not on the way to them, neither from nothing (a clamp) nor from the words before
//! (a ramp): then somebody was quicker than our reading back.
//!
//! Looking costs at most one read each fast tick: from the tick on which the next write is expected until it comes (but
//! no longer than it was expected to take), as then another's value has stood longest; and at least every 5 s. A poll
//! that brings the registers counts as a look.

use std::collections::VecDeque;

use super::wire::{Surroundings, Wire, agrees, difference, foreign, is_on_the_way};
use crate::control::units::{Mono, Span};
use crate::device::definition::{Control, Definition, Write};
use crate::device::exchange::{Function, Request};
use crate::device::order::{SessionEvent, Values};
use crate::device::recipe;

/// The longest time between two looks at a register that is ours.
pub const LOOK: Span = Span::secs(5);
/// Two falls within this time are no restarts.
const FALLS: Span = Span::secs(60);
/// Values that are remembered as our own.
const KEPT: usize = 4;

#[derive(Clone, Debug)]
struct Sent {
    words: Vec<u16>,
    /// A read has shown them.
    taken: bool,
}

/// The registers of one command write of one channel.
#[derive(Clone, Debug)]
struct Held {
    slot: usize,
    control: usize,
    command: usize,
    channel: u8,
    /// Different values, the latest written last.
    sent: VecDeque<Sent>,
    /// The last accepted write, and the time between the last two.
    written_at: Option<Mono>,
    gap: Option<Span>,
    seen_at: Mono,
    ours: bool,
    fell_at: Option<Mono>,
    /// What was told to be foreign since our last write.
    told: Option<Vec<u16>>,
}

/// All registers that are commanded and can be read back.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Looks share the ticks of the fast reads.
    period: Span,
    held: Vec<Held>,
}

/// The most reads that looking adds to a fast round while one control is commanded in a loop.
#[must_use]
pub fn looks(definition: &Definition) -> usize {
    let of = |control: &Control| control.command.iter().filter(|write| write.readback.is_some()).count();
    definition.controls.iter().filter(|control| control.refresh.is_some()).map(of).max().unwrap_or(0)
}

impl Watch {
    pub fn new(fast: Span) -> Self {
        Self { period: fast.min(LOOK).max(Span(1)), held: Vec::new() }
    }

    /// Takes in the commands of a slot: a control or one channel of it.
    pub fn add(&mut self, slot: usize, index: usize, control: &Control, channel: u8) {
        for (command, write) in control.command.iter().enumerate() {
            if write.readback.is_some() {
                self.held.push(Held::new(slot, index, command, channel));
            }
        }
    }

    fn of(&mut self, slot: usize, command: usize) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.slot == slot && held.command == command)
    }

    /// A write went out; `accepted` unless it was refused or not answered.
    pub fn sent(&mut self, slot: usize, command: usize, words: &[u16], accepted: bool, now: Mono) {
        let Some(held) = self.of(slot, command) else { return };
        held.remember(words);
        held.ours = false;
        held.told = None;
        if accepted {
            held.gap = held.written_at.map(|before| now.since(before));
            held.written_at = Some(now);
        }
    }

    /// The device was given back.
    pub fn released(&mut self, slot: usize) {
        self.held.iter_mut().filter(|held| held.slot == slot).for_each(Held::forget);
    }

    /// Whatever happened while there was no connection is not judged.
    pub fn reconnected(&mut self) {
        self.held.iter_mut().for_each(Held::forget);
    }

    /// A unit that does not answer may be starting anew.
    pub fn silent(&mut self, unit: usize, definition: &Definition) {
        for held in &mut self.held {
            if held.parts(definition).is_some_and(|(_, write)| write.unit == unit) {
                held.ours = false;
                held.fell_at = None;
            }
        }
    }

    /// The next look that is due at a unit that may be asked.
    pub fn next(
        &self,
        around: &Surroundings,
        now: Mono,
        free: impl Fn(usize) -> bool,
    ) -> Option<(Wire, usize)> {
        let due = self.held.iter().enumerate().filter(|(_, held)| self.due(held, around.definition) <= now);
        due.filter_map(|(at, held)| Some((held.wire(around)?, at))).find(|(wire, _)| free(wire.unit))
    }

    /// When the next look is due; a unit that may not be asked before a moment is looked at then.
    pub fn next_due(&self, around: &Surroundings, free_at: impl Fn(usize) -> Mono) -> Mono {
        let written = self.held.iter().filter(|held| held.written_at.is_some());
        let when = |held: &Held| {
            // Registers whose place is not known now cannot be looked at.
            let free = held.wire(around).map_or(Mono::NEVER, |wire| free_at(wire.unit));
            self.due(held, around.definition).max(free)
        };
        written.map(when).min().unwrap_or(Mono::NEVER)
    }

    fn due(&self, held: &Held, definition: &Definition) -> Mono {
        let (Some(written), Some((control, write))) = (held.written_at, held.parts(definition)) else {
            return Mono::NEVER;
        };
        let tick = |at: Mono| Mono(at.0.saturating_sub(at.0.checked_rem_euclid(self.period.0).unwrap_or(0)));
        let seen = held.seen_at.max(written);
        let expected =
            held.gap.map(|gap| (written + gap, written + gap + gap)).filter(|(_, end)| seen < *end);
        let before_write = expected.map_or(Mono::NEVER, |(at, _)| tick(at).max(tick(seen + self.period)));
        let due = before_write.min(tick(seen + LOOK));
        let due = due.max(written + write.readback.map_or(Span::ZERO, |readback| readback.after));
        // The device has let go by itself: there is nothing of ours to look at.
        if control.watchdog.is_some_and(|lapse| due.since(written) >= lapse) { Mono::NEVER } else { due }
    }

    /// A look was not answered.
    pub fn missed(&mut self, at: usize, now: Mono) {
        if let Some(held) = self.held.get_mut(at) {
            held.seen_at = now;
        }
    }

    /// A look was answered.
    pub fn looked(
        &mut self,
        at: usize,
        found: &[u16],
        around: &Surroundings,
        now: Mono,
    ) -> Option<SessionEvent> {
        self.held.get_mut(at)?.judge(found, around, now)
    }

    /// The read after a write was answered.
    pub fn proven(
        &mut self,
        slot: usize,
        command: usize,
        found: &[u16],
        around: &Surroundings,
        now: Mono,
    ) -> Option<SessionEvent> {
        self.of(slot, command)?.judge(found, around, now)
    }

    /// A poll may have brought registers that we command.
    pub fn glimpsed(
        &mut self,
        (unit, function, start): (usize, Function, u16),
        words: &[u16],
        around: &Surroundings,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) {
        for held in self.held.iter_mut().filter(|held| held.written_at.is_some()) {
            let Some(Wire { unit: own, request }) = held.wire(around) else { continue };
            let Request { address, count, .. } = request;
            let Some(offset) = address.checked_sub(start).map(usize::from) else { continue };
            let found = words.get(offset..offset.saturating_add(usize::from(count)));
            if let Some(found) = found.filter(|_| own == unit && request.function == function) {
                out.extend(held.judge(found, around, now));
            }
        }
    }
}

impl Held {
    fn new(slot: usize, control: usize, command: usize, channel: u8) -> Self {
        Self {
            slot,
            control,
            command,
            channel,
            sent: VecDeque::new(),
            written_at: None,
            gap: None,
            seen_at: Mono::ZERO,
            ours: false,
            fell_at: None,
            told: None,
        }
    }

    fn parts<'d>(&self, definition: &'d Definition) -> Option<(&'d Control, &'d Write)> {
        let control = definition.controls.get(self.control)?;
        Some((control, control.command.get(self.command)?))
    }

    fn wire(&self, around: &Surroundings) -> Option<Wire> {
        let (control, write) = self.parts(around.definition)?;
        around.read(write, self.channel, control).ok()
    }

    fn forget(&mut self) {
        self.sent.clear();
        self.written_at = None;
        self.ours = false;
        self.fell_at = None;
        self.told = None;
    }

    fn remember(&mut self, words: &[u16]) {
        let known = self.sent.iter().position(|sent| sent.words == words);
        let sent = known.and_then(|at| self.sent.remove(at));
        if self.sent.len() >= KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back(sent.unwrap_or_else(|| Sent { words: words.to_vec(), taken: false }));
    }

    fn judge(&mut self, found: &[u16], around: &Surroundings, now: Mono) -> Option<SessionEvent> {
        let (control, write) = self.parts(around.definition)?;
        let written_at = self.written_at?;
        self.seen_at = now;
        if control.watchdog.is_some_and(|lapse| now.since(written_at) >= lapse) {
            self.ours = false;
            return None;
        }
        let same = |sent: &Sent| agrees(write, &sent.words, found, around.phases);
        let older = self.sent.iter().any(same);
        let latest = self.sent.back_mut()?;
        if same(latest) {
            latest.taken = true;
            self.ours = true;
            return None;
        }
        let latest = self.sent.back()?;
        let before = self.sent.iter().nth_back(1).map_or(&[][..], |sent| &sent.words);
        let outrun = latest.taken && !is_on_the_way(write, before, &latest.words, found, around.phases);
        if older || !(self.ours || outrun) || self.told.as_deref() == Some(found) {
            return None;
        }
        if has_fallen(control, write, self.channel, found, around) {
            let before = self.fell_at.replace(now);
            let again = self.ours && before.is_some_and(|before| now.since(before) < FALLS);
            self.ours = false;
            if !again {
                return None;
            }
        }
        let difference = difference(write, &latest.words, found, around.phases)?;
        let first = self.wire(around)?.request.address;
        self.told = Some(found.to_vec());
        Some(foreign(control, self.channel, first, &difference, now))
    }
}

/// Whether the registers stand as after a restart: all at zero, or as release leaves them.
fn has_fallen(control: &Control, write: &Write, channel: u8, found: &[u16], around: &Surroundings) -> bool {
    let released = |release: &Write| {
        let at = around.read(write, channel, control).ok()?;
        let back = around.read(release, channel, control).ok()?;
        let words = recipe::words(release, &Values::default(), around.context(None))?;
        let offset = usize::from(back.request.address.checked_sub(at.request.address)?);
        let stands = found.get(offset..offset.saturating_add(words.len()))?;
        Some(at.unit == back.unit && at.request.function == back.request.function && stands == words)
    };
    found.iter().all(|word| *word == 0)
        || control.release.iter().any(|release| released(release).unwrap_or(false))
}
