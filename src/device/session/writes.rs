//! Orders on their way into the device, one step at a time: what setup found and what must be put back, which order is
//! the latest of each control, and what reading back must show.

use std::collections::VecDeque;

use super::proofs::Proofs;
use super::watch::Watch;
use super::wear::{Aim, Register, Wear, register, wears};
use super::wire::{Surroundings, Wire, difference, fetched, foreign, otherwise, wrote};
use crate::control::units::{Mono, Span};
use crate::device::definition::{Control, Definition, Persistence, Write};
use crate::device::exchange::{Answer, Failure, Request};
use crate::device::order::{ControlKind, DeviceOrder, OrderPhase, SessionEvent, Values};
use crate::device::quirk::Quirk;
use crate::device::recipe;

/// Setup is looked at again after this time: another master or a restart may have undone it.
const SETUP_HOLDS: Span = Span::secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Read a setup register and decide whether it must be written.
    Look(usize),
    /// Write a setup register.
    Set(usize),
    /// Read it again.
    Seen(usize),
    /// Read scale factor and state of a SunSpec control model.
    Fetch,
    /// Write a command.
    Send(usize),
    /// Write a release.
    Free(usize),
    /// Put back what setup found.
    Restore(usize),
}

impl Step {
    /// What it reads or writes.
    fn write(self, control: &Control) -> Option<&Write> {
        match self {
            Self::Look(at) | Self::Seen(at) | Self::Set(at) | Self::Restore(at) => control.setup.get(at),
            Self::Send(at) => control.command.get(at),
            Self::Free(at) => control.release.get(at),
            Self::Fetch => control.command.first(),
        }
    }
}

#[derive(Clone, Debug)]
struct Job {
    slot: usize,
    control: usize,
    order: DeviceOrder,
    steps: VecDeque<Step>,
    not_before: Mono,
    sent: Vec<(usize, Vec<u16>)>,
    factor: Option<i32>,
    /// What the next step writes to was read and holds something else.
    differs: bool,
}

/// One control, or one channel of it.
#[derive(Clone, Debug)]
struct Slot {
    control: usize,
    channel: u8,
    pending: Option<DeviceOrder>,
    arrived: u64,
    last: Option<(Vec<u16>, Mono)>,
}

#[derive(Clone, Debug, Default)]
struct SetUp {
    found: Vec<Option<Vec<u16>>>,
    seen_at: Option<Mono>,
}

/// What the answer in flight belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Step,
    /// Read a register that wears out before it is written.
    Check,
    Proof(usize),
    /// Look whether somebody else wrote.
    Look(usize),
}

/// All orders of a device.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    slots: Vec<Slot>,
    set_up: Vec<SetUp>,
    job: Option<Job>,
    proofs: Proofs,
    arrivals: u64,
    pub watch: Watch,
    pub wear: Wear,
    /// The write in flight that was counted.
    counted: Option<Register>,
}

impl Writes {
    pub fn new(definition: &Definition, fast: Span, wear: Wear) -> Self {
        let mut writes = Self { watch: Watch::new(fast), wear, ..Self::default() };
        for (index, control) in definition.controls.iter().enumerate() {
            writes.set_up.push(SetUp { found: vec![None; control.setup.len()], seen_at: None });
            for channel in 0..control.channels {
                writes.watch.add(writes.slots.len(), index, control, channel);
                writes.slots.push(Slot { control: index, channel, pending: None, arrived: 0, last: None });
            }
        }
        writes
    }

    /// Takes an order; an older one of the same control that was not yet written is forgotten. `false` when the device
    /// has no such control.
    pub fn order(&mut self, order: DeviceOrder, definition: &Definition) -> bool {
        let of_kind = |slot: &&mut Slot| {
            let kind = definition.controls.get(slot.control).map(|control| control.kind);
            kind == Some(order.control) && slot.channel == order.channel
        };
        let Some(slot) = self.slots.iter_mut().find(of_kind) else { return false };
        if slot.pending.is_none() {
            self.arrivals = self.arrivals.saturating_add(1);
            slot.arrived = self.arrivals;
        }
        slot.pending = Some(order);
        true
    }

    /// Whether an order waits or is being carried out.
    pub fn is_busy(&self) -> bool {
        self.job.is_some() || self.slots.iter().any(|slot| slot.pending.is_some())
    }

    /// Setup runs again with the next order; what it found the first time is kept for the release.
    pub fn reconnected(&mut self, out: &mut Vec<SessionEvent>) {
        for set_up in &mut self.set_up {
            set_up.seen_at = None;
        }
        for slot in &mut self.slots {
            slot.last = None;
        }
        self.watch.reconnected();
        self.counted = None;
        if let Some(job) = self.job.take() {
            out.push(wrote(&job.order, Err(Failure::Unreachable), false));
        }
        self.proofs.reconnected(out);
    }

    /// The next request of an order, when there is one now. Orders that are too late or cannot be said end here.
    pub fn next(
        &mut self,
        around: &Surroundings,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) -> Option<(Wire, Doing)> {
        // Each turn starts, ends or asks something; the bound only guards against our own mistakes.
        for _ in 0..self.slots.len().saturating_mul(4).saturating_add(32) {
            self.take_newer(around, now, out);
            let Some(job) = &self.job else { break };
            if job.not_before > now {
                break;
            }
            let Some(step) = job.steps.front().copied() else {
                self.finish(around, now, out);
                continue;
            };
            match self.wire(step, around, now).and_then(|wire| self.sparing(step, wire, around, now)) {
                Ok(next) => return Some(next),
                Err(failure) => self.fail(failure, out),
            }
        }
        self.proofs.next(around, now, out).map(|(wire, at)| (wire, Doing::Proof(at)))
    }

    pub fn next_due(&self) -> Mono {
        let job = self.job.as_ref().map(|job| job.not_before);
        let pending = self.slots.iter().any(|slot| slot.pending.is_some()).then_some(Mono::ZERO);
        let work = [job, pending.filter(|_| job.is_none())].into_iter().flatten().min();
        work.unwrap_or(Mono::NEVER).min(self.proofs.next_due())
    }

    /// When the order that is being written stops being true.
    pub fn expires(&self) -> Mono {
        self.job.as_ref().map_or(Mono::ZERO, |job| job.order.expires)
    }

    /// Brings in newer orders: into the running job while nothing of it was sent, else behind it.
    fn take_newer(&mut self, around: &Surroundings, now: Mono, out: &mut Vec<SessionEvent>) {
        if let Some(job) = &mut self.job {
            let Some(slot) = self.slots.get_mut(job.slot) else { return };
            let alike = |newer: DeviceOrder| {
                newer.phase == job.order.phase
                    && newer.values.limit.is_none() == job.order.values.limit.is_none()
            };
            let same = slot.pending.is_some_and(alike);
            if job.sent.is_empty() && same {
                job.order = slot.pending.take().unwrap_or(job.order);
                // What was read was compared with the order before.
                job.differs = false;
            } else if slot.pending.is_some() {
                // It changes its mind between commanding and releasing: what is half done is done again.
                self.job = None;
            } else {
                return;
            }
            if self.job.is_some() {
                return;
            }
        }
        let waiting = self.slots.iter().enumerate().filter(|(_, slot)| slot.pending.is_some());
        let Some(next) = waiting.min_by_key(|(_, slot)| slot.arrived).map(|(at, _)| at) else { return };
        let Some((slot, order)) = self.slots.get_mut(next).and_then(|slot| {
            let order = slot.pending.take()?;
            Some((slot.clone(), order))
        }) else {
            return;
        };
        self.proofs.settle(next, out);
        let Some(control) = around.definition.controls.get(slot.control) else { return };
        if self.unchanged(&slot, control, &order, around, now) {
            out.push(wrote(&order, Ok(()), false));
            return;
        }
        let steps = self.steps(slot.control, control, &order, now);
        self.job = Some(Job {
            slot: next,
            control: slot.control,
            order,
            steps,
            not_before: now,
            sent: Vec::new(),
            factor: None,
            differs: false,
        });
    }

    fn unchanged(
        &self,
        slot: &Slot,
        control: &Control,
        order: &DeviceOrder,
        around: &Surroundings,
        now: Mono,
    ) -> bool {
        let Some((last, at)) = &slot.last else { return false };
        let Some(write) = control.command.first().filter(|_| order.phase == OrderPhase::Command) else {
            return false;
        };
        let stored = write.persistence == Persistence::OnChange;
        let recent = now.since(*at) < control.min_interval;
        (stored || recent) && recipe::words(write, &order.values, around.context(None)).as_ref() == Some(last)
    }

    fn steps(&self, index: usize, control: &Control, order: &DeviceOrder, now: Mono) -> VecDeque<Step> {
        let set_up = self.set_up.get(index);
        let lifted = control.kind == ControlKind::PvLimit && order.values.limit.is_none();
        match order.phase {
            OrderPhase::Command if lifted => (0..control.release.len()).map(Step::Free).collect(),
            OrderPhase::Command => {
                let seen = set_up.and_then(|set_up| set_up.seen_at);
                let holds = seen.is_some_and(|seen| now.since(seen) < SETUP_HOLDS);
                let setup = (0..control.setup.len()).filter(|_| !holds).map(Step::Look);
                let scaled = control
                    .command
                    .iter()
                    .flat_map(|write| &write.fields)
                    .any(|field| field.factor.is_some());
                let fetch = scaled.then_some(Step::Fetch);
                setup.chain(fetch).chain((0..control.command.len()).map(Step::Send)).collect()
            }
            OrderPhase::Release => {
                let found = |at: &usize| set_up.and_then(|s| s.found.get(*at)).is_some_and(Option::is_some);
                let back = (0..control.setup.len()).rev().filter(found).map(Step::Restore);
                (0..control.release.len()).map(Step::Free).chain(back).collect()
            }
        }
    }

    /// The request of a step.
    fn wire(&self, step: Step, around: &Surroundings, now: Mono) -> Result<Wire, Failure> {
        let job = self.job.as_ref().ok_or(Failure::NotReady)?;
        let control = around.definition.controls.get(job.control).ok_or(Failure::NotReady)?;
        let write = step.write(control).ok_or(Failure::NotReady)?;
        let words = match step {
            Step::Look(_) | Step::Seen(_) => return around.read(write, job.order.channel, control),
            Step::Fetch => return around.fetch(write),
            Step::Restore(at) => {
                let set_up = self.set_up.get(job.control);
                set_up.and_then(|s| s.found.get(at)).cloned().flatten().ok_or(Failure::NotReady)?
            }
            // Released values are zero, whatever was ordered last.
            Step::Free(_) => {
                recipe::words(write, &Values::default(), around.context(None)).ok_or(Failure::NotReady)?
            }
            Step::Set(_) | Step::Send(_) => {
                recipe::words(write, &job.order.values, around.context(job.factor))
                    .ok_or(Failure::NotReady)?
            }
        };
        if job.order.expires <= now {
            return Err(Failure::Expired);
        }
        around.write(write, job.order.channel, control, words)
    }

    /// The same, but what wears out is read before it is written, and not written beyond its budget.
    fn sparing(
        &mut self,
        step: Step,
        wire: Wire,
        around: &Surroundings,
        now: Mono,
    ) -> Result<(Wire, Doing), Failure> {
        let job = self.job.as_ref().ok_or(Failure::NotReady)?;
        let control = around.definition.controls.get(job.control).ok_or(Failure::NotReady)?;
        let write = step.write(control).ok_or(Failure::NotReady)?;
        if !wire.request.function.writes() || !wears(write) {
            return Ok((wire, Doing::Step));
        }
        if !job.differs {
            return Ok((around.read(write, job.order.channel, control)?, Doing::Check));
        }
        let undone_later = match step {
            Step::Set(_) => write.restore,
            Step::Send(_) => job.order.values.run,
            _ => false,
        };
        let aim = if undone_later { Aim::Engage } else { Aim::Settle };
        self.wear.allow(register(wire.unit, &wire.request), write, aim, now)?;
        Ok((wire, Doing::Step))
    }

    /// Takes the answer to a step.
    pub fn answered(
        &mut self,
        doing: Doing,
        request: &Request,
        answer: Result<&Answer, Failure>,
        around: &Surroundings,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) {
        let counted = self.counted.take();
        match doing {
            Doing::Proof(at) => self.proofs.answered(at, answer, around, now, &mut self.watch, out),
            Doing::Look(at) => match answer {
                Ok(words) => out.extend(self.watch.looked(at, words, around, now)),
                Err(_) => self.watch.missed(at, now),
            },
            Doing::Check => self.checked(answer, around, now, out),
            Doing::Step => match answer {
                Err(failure) => {
                    self.unsure(request, failure, counted, now);
                    self.fail(failure, out);
                }
                Ok(words) => self.stepped(request, words, around, now, out),
            },
        }
    }

    /// A register that wears out was read: what it holds already is not written again.
    fn checked(
        &mut self,
        answer: Result<&Answer, Failure>,
        around: &Surroundings,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) {
        let Some(step) = self.job.as_ref().and_then(|job| job.steps.front().copied()) else { return };
        match (answer, self.wire(step, around, now)) {
            (Ok(found), Ok(wire)) if *found == wire.request.words => {
                self.stepped(&wire.request, &Answer::new(), around, now, out);
            }
            // What can only be written is written unseen; the budget counts all the same.
            (Ok(_) | Err(Failure::Exception(1..=3)), Ok(_)) => {
                if let Some(job) = &mut self.job {
                    job.differs = true;
                }
            }
            (Err(failure), _) | (_, Err(failure)) => self.fail(failure, out),
        }
    }

    /// A request goes out. A write that will not be answered may have been done all the same, so it counts.
    pub fn asked(&mut self, wire: &Wire, around: &Surroundings, now: Mono) {
        let control = self.job.as_ref().and_then(|job| around.definition.controls.get(job.control));
        let step = self.job.as_ref().and_then(|job| job.steps.front());
        let write = control.zip(step).and_then(|(control, step)| step.write(control));
        if wire.request.function.writes() && write.is_some_and(wears) {
            let register = register(wire.unit, &wire.request);
            self.wear.wrote(register, now);
            self.counted = Some(register);
        }
    }

    /// A write was refused, or not answered and may have been done.
    fn unsure(&mut self, request: &Request, failure: Failure, counted: Option<Register>, now: Mono) {
        if let (Some(register), Failure::Exception(_)) = (counted, failure) {
            self.wear.refused(register);
        }
        if let Some((job, Some(Step::Send(at)))) = self.job.as_ref().map(|job| (job, job.steps.front())) {
            self.watch.sent(job.slot, *at, &request.words, false, now);
        }
    }

    fn stepped(
        &mut self,
        request: &Request,
        words: &Answer,
        around: &Surroundings,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) {
        let Some(job) = &mut self.job else { return };
        let Some(control) = around.definition.controls.get(job.control) else { return };
        let Some(step) = job.steps.pop_front() else { return };
        job.differs = false;
        let Some(slot) = self.slots.get_mut(job.slot) else { return };
        let Some(set_up) = self.set_up.get_mut(job.control) else { return };
        let setup_done = |steps: &VecDeque<Step>| !steps.iter().any(|step| matches!(step, Step::Look(_)));
        match step {
            Step::Look(at) => {
                let Some(write) = control.setup.get(at) else { return };
                let wanted =
                    recipe::words(write, &job.order.values, around.context(None)).unwrap_or_default();
                let Some(saved) = set_up.found.get_mut(at) else { return };
                if *words == wanted {
                    if write.restore && saved.is_none() {
                        *saved = otherwise(write);
                    }
                    if setup_done(&job.steps) {
                        set_up.seen_at = Some(now);
                    }
                    return;
                }
                if write.restore && saved.is_none() {
                    *saved = Some(words.clone());
                }
                // A stored setting that was seen to be right on this connection does not change by itself.
                let was_right = set_up.seen_at.take().is_some() && write.readback.is_some();
                if let Some(difference) = difference(write, &wanted, words, around.phases)
                    && was_right
                    && wears(write)
                {
                    out.push(foreign(control, job.order.channel, request.address, &difference, now));
                }
                job.differs = true;
                job.steps.push_front(Step::Set(at));
            }
            Step::Set(at) => match control.setup.get(at).and_then(|write| write.readback) {
                Some(readback) => {
                    job.not_before = now + readback.after;
                    job.steps.push_front(Step::Seen(at));
                }
                None if setup_done(&job.steps) => set_up.seen_at = Some(now),
                None => {}
            },
            Step::Seen(at) => {
                let Some(write) = control.setup.get(at) else { return };
                let wanted =
                    recipe::words(write, &job.order.values, around.context(None)).unwrap_or_default();
                if *words != wanted {
                    out.push(wrote(&job.order, Ok(()), true));
                    self.job = None;
                } else if setup_done(&job.steps) {
                    set_up.seen_at = Some(now);
                }
            }
            Step::Fetch => {
                let Some(fetched) = fetched(words, around, control) else {
                    return self.fail(Failure::NotReady, out);
                };
                job.factor = Some(fetched.exponent);
                let wanted = control
                    .command
                    .first()
                    .and_then(|write| recipe::words(write, &job.order.values, around.context(job.factor)))
                    .and_then(|words| words.first().copied());
                let toggles = around.definition.quirks.contains(&Quirk::ToggleEnable);
                if toggles && fetched.enabled && wanted != Some(fetched.percent) {
                    for at in (0..control.release.len()).rev() {
                        job.steps.push_front(Step::Free(at));
                    }
                }
            }
            Step::Send(at) => {
                if at == 0 {
                    slot.last = Some((request.words.clone(), now));
                }
                self.watch.sent(job.slot, at, &request.words, true, now);
                job.sent.push((at, request.words.clone()));
            }
            Step::Free(_) => {
                self.watch.released(job.slot);
                slot.last = None;
            }
            Step::Restore(at) => {
                if let Some(found) = set_up.found.get_mut(at) {
                    *found = None;
                }
                set_up.seen_at = None;
            }
        }
        if self.job.as_ref().is_some_and(|job| job.steps.is_empty()) {
            self.finish(around, now, out);
        }
    }

    fn finish(&mut self, around: &Surroundings, now: Mono, out: &mut Vec<SessionEvent>) {
        let Some(job) = self.job.take() else { return };
        let Some(control) = around.definition.controls.get(job.control) else { return };
        self.proofs.begin(job.slot, job.order, job.control, control, job.sent, now, out);
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<SessionEvent>) {
        if let Some(job) = self.job.take() {
            out.push(wrote(&job.order, Err(failure), false));
        }
    }
}
