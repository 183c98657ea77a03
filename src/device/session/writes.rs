//! Orders on their way into the device, one step at a time: what setup found and what must be put back, which order is
//! the latest of each control, and what reading back must show.

use std::collections::VecDeque;

use super::wire::{Surroundings, Wire, agrees, fetched, otherwise, wrote};

use crate::control::units::{Mono, Span};
use crate::device::definition::{Control, Definition, Persistence};
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

#[derive(Clone, Debug)]
struct Job {
    slot: usize,
    control: usize,
    order: DeviceOrder,
    steps: VecDeque<Step>,
    not_before: Mono,
    sent: Vec<(usize, Vec<u16>)>,
    factor: Option<i32>,
}

#[derive(Clone, Debug)]
struct Proof {
    slot: usize,
    order: DeviceOrder,
    control: usize,
    sent: Vec<(usize, Vec<u16>)>,
    due: Mono,
    contradicted: bool,
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
    Proof(usize),
}

/// All orders of a device.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    slots: Vec<Slot>,
    set_up: Vec<SetUp>,
    job: Option<Job>,
    proofs: Vec<Proof>,
    arrivals: u64,
}

impl Writes {
    pub fn new(definition: &Definition) -> Self {
        let mut writes = Self::default();
        for (index, control) in definition.controls.iter().enumerate() {
            writes.set_up.push(SetUp { found: vec![None; control.setup.len()], seen_at: None });
            for channel in 0..control.channels {
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

    /// Setup runs again with the next order; what it found the first time is kept for the release.
    pub fn reconnected(&mut self, out: &mut Vec<SessionEvent>) {
        for set_up in &mut self.set_up {
            set_up.seen_at = None;
        }
        for slot in &mut self.slots {
            slot.last = None;
        }
        if let Some(job) = self.job.take() {
            out.push(wrote(&job.order, Err(Failure::Unreachable), false));
        }
        for proof in std::mem::take(&mut self.proofs) {
            out.push(wrote(&proof.order, Ok(()), false));
        }
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
            match self.wire(step, around, now) {
                Ok(Some(wire)) => return Some((wire, Doing::Step)),
                Ok(None) => {
                    if let Some(job) = &mut self.job {
                        job.steps.pop_front();
                    }
                }
                Err(failure) => self.fail(failure, out),
            }
        }
        let proof = self.proofs.iter().position(|proof| proof.due <= now)?;
        let wire = self.proof_wire(proof, around);
        if wire.is_none() {
            let proof = self.proofs.remove(proof);
            out.push(wrote(&proof.order, Ok(()), proof.contradicted));
            return None;
        }
        wire.map(|wire| (wire, Doing::Proof(proof)))
    }

    pub fn next_due(&self) -> Mono {
        let job = self.job.as_ref().map(|job| job.not_before);
        let pending = self.slots.iter().any(|slot| slot.pending.is_some()).then_some(Mono::ZERO);
        let proofs = self.proofs.iter().map(|proof| proof.due).min();
        [job, pending.filter(|_| job.is_none()), proofs].into_iter().flatten().min().unwrap_or(Mono::NEVER)
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
        self.settle(next, out);
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
        });
    }

    /// A newer order makes the proof of the older one pointless: it was accepted, and that is all that is known.
    fn settle(&mut self, slot: usize, out: &mut Vec<SessionEvent>) {
        if let Some(at) = self.proofs.iter().position(|proof| proof.slot == slot) {
            let proof = self.proofs.remove(at);
            out.push(wrote(&proof.order, Ok(()), proof.contradicted));
        }
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

    /// The request of a step; `Ok(None)` when there is nothing to do for it.
    fn wire(&self, step: Step, around: &Surroundings, now: Mono) -> Result<Option<Wire>, Failure> {
        let job = self.job.as_ref().ok_or(Failure::NotReady)?;
        let control = around.definition.controls.get(job.control).ok_or(Failure::NotReady)?;
        let expired = job.order.expires <= now;
        let set_up = self.set_up.get(job.control);
        let write = match step {
            Step::Look(at) | Step::Seen(at) | Step::Set(at) | Step::Restore(at) => control.setup.get(at),
            Step::Send(at) => control.command.get(at),
            Step::Free(at) => control.release.get(at),
            Step::Fetch => control.command.first(),
        };
        let write = write.ok_or(Failure::NotReady)?;
        let words = match step {
            Step::Look(_) | Step::Seen(_) => return around.read(write, job.order.channel, control).map(Some),
            Step::Fetch => return around.fetch(write).map(Some),
            Step::Restore(at) => {
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
        if expired {
            return Err(Failure::Expired);
        }
        around.write(write, job.order.channel, control, words).map(Some)
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
        match doing {
            Doing::Proof(at) => self.proven(at, answer, around, out),
            Doing::Step => match answer {
                Err(failure) => self.fail(failure, out),
                Ok(words) => self.stepped(request, words, around, now, out),
            },
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
                job.sent.push((at, request.words.clone()));
            }
            Step::Free(_) => slot.last = None,
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
        let readback = |at: &usize| control.command.get(*at).and_then(|write| write.readback);
        let sent: Vec<(usize, Vec<u16>)> =
            job.sent.into_iter().filter(|(at, _)| readback(at).is_some()).collect();
        let after = sent.iter().filter_map(|(at, _)| readback(at)).map(|readback| readback.after).max();
        match after {
            None => out.push(wrote(&job.order, Ok(()), false)),
            Some(after) => {
                let due = now + after;
                self.proofs.push(Proof {
                    slot: job.slot,
                    order: job.order,
                    control: job.control,
                    sent,
                    due,
                    contradicted: false,
                });
            }
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut Vec<SessionEvent>) {
        if let Some(job) = self.job.take() {
            out.push(wrote(&job.order, Err(failure), false));
        }
    }

    fn proof_wire(&self, at: usize, around: &Surroundings) -> Option<Wire> {
        let proof = self.proofs.get(at)?;
        let (command, _) = proof.sent.first()?;
        let control = around.definition.controls.get(proof.control)?;
        around.read(control.command.get(*command)?, proof.order.channel, control).ok()
    }

    fn proven(
        &mut self,
        at: usize,
        answer: Result<&Answer, Failure>,
        around: &Surroundings,
        out: &mut Vec<SessionEvent>,
    ) {
        let Some(proof) = self.proofs.get_mut(at) else { return };
        if !proof.sent.is_empty() {
            let (command, sent) = proof.sent.remove(0);
            let control = around.definition.controls.get(proof.control);
            let write = control.and_then(|control| control.command.get(command));
            if let (Some(write), Ok(found)) = (write, answer) {
                proof.contradicted |= !agrees(write, &sent, found, around.phases);
            }
        }
        if proof.sent.is_empty() {
            let proof = self.proofs.remove(at);
            out.push(wrote(&proof.order, Ok(()), proof.contradicted));
        }
    }
}
