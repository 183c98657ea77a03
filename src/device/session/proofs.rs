//! Reading back what was written: the answer to a write says that it was accepted, not that it was taken.

use super::watch::Watch;
use super::wire::{Surroundings, Wire, agrees, wrote};
use crate::control::units::Mono;
use crate::device::definition::Control;
use crate::device::exchange::{Answer, Failure};
use crate::device::order::{DeviceOrder, SessionEvent};

#[derive(Clone, Debug)]
struct Proof {
    slot: usize,
    order: DeviceOrder,
    control: usize,
    /// Writes that are still to be read back.
    sent: Vec<(usize, Vec<u16>)>,
    due: Mono,
    contradicted: bool,
}

/// Orders that were accepted and are not yet read back; at most one for each control and channel.
#[derive(Clone, Debug, Default)]
pub struct Proofs(Vec<Proof>);

impl Proofs {
    /// All writes of an order were accepted. Those that cannot be read back are believed at once.
    #[expect(clippy::too_many_arguments, reason = "the order and all that was made of it")]
    pub fn begin(
        &mut self,
        slot: usize,
        order: DeviceOrder,
        index: usize,
        control: &Control,
        sent: Vec<(usize, Vec<u16>)>,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) {
        let readback = |at: &usize| control.command.get(*at).and_then(|write| write.readback);
        let sent: Vec<(usize, Vec<u16>)> =
            sent.into_iter().filter(|(at, _)| readback(at).is_some()).collect();
        match sent.iter().filter_map(|(at, _)| readback(at)).map(|readback| readback.after).max() {
            None => out.push(wrote(&order, Ok(()), false)),
            Some(after) => {
                let due = now + after;
                self.0.push(Proof { slot, order, control: index, sent, due, contradicted: false });
            }
        }
    }

    /// The next read that is due. What has become impossible to read is believed.
    pub fn next(
        &mut self,
        around: &Surroundings,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) -> Option<(Wire, usize)> {
        let at = self.0.iter().position(|proof| proof.due <= now)?;
        let wire = self.0.get(at).and_then(|proof| proof.wire(around));
        if wire.is_none() {
            self.tell(at, out);
        }
        wire.map(|wire| (wire, at))
    }

    pub fn next_due(&self) -> Mono {
        self.0.iter().map(|proof| proof.due).min().unwrap_or(Mono::NEVER)
    }

    /// A newer order makes the proof of the older one pointless: it was accepted, and that is all that is known.
    pub fn settle(&mut self, slot: usize, out: &mut Vec<SessionEvent>) {
        if let Some(at) = self.0.iter().position(|proof| proof.slot == slot) {
            self.tell(at, out);
        }
    }

    /// What was accepted on the old connection is not read on the new one.
    pub fn reconnected(&mut self, out: &mut Vec<SessionEvent>) {
        for proof in std::mem::take(&mut self.0) {
            out.push(wrote(&proof.order, Ok(()), false));
        }
    }

    /// Takes the answer to a read.
    pub fn answered(
        &mut self,
        at: usize,
        answer: Result<&Answer, Failure>,
        around: &Surroundings,
        now: Mono,
        watch: &mut Watch,
        out: &mut Vec<SessionEvent>,
    ) {
        let Some(proof) = self.0.get_mut(at) else { return };
        if !proof.sent.is_empty() {
            let (command, sent) = proof.sent.remove(0);
            let control = around.definition.controls.get(proof.control);
            let write = control.and_then(|control| control.command.get(command));
            if let (Some(write), Ok(found)) = (write, answer) {
                let foreign = watch.proven(proof.slot, command, found, around, now);
                proof.contradicted |= foreign.is_none() && !agrees(write, &sent, found, around.phases);
                out.extend(foreign);
            }
        }
        if proof.sent.is_empty() {
            self.tell(at, out);
        }
    }

    fn tell(&mut self, at: usize, out: &mut Vec<SessionEvent>) {
        let proof = self.0.remove(at);
        out.push(wrote(&proof.order, Ok(()), proof.contradicted));
    }
}

impl Proof {
    fn wire(&self, around: &Surroundings) -> Option<Wire> {
        let (command, _) = self.sent.first()?;
        let control = around.definition.controls.get(self.control)?;
        around.read(control.command.get(*command)?, self.order.channel, control).ok()
    }
}
