//! One fake device: the registers of its units, filled from what the plant measures through the device's own
//! definition, and its controls, understood through the same definition.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::control::signal::{Phase, Quantity};
use crate::device::codec::Codec;
use crate::device::definition::{Definition, Place, Point, Write};
use crate::device::exchange::{Function, Request};
use crate::plant::Plant;

use super::chain::Chain;
use super::controls::{self, Controls};
use super::memory::{Memory, area_of};
use super::misbehave::Spells;
use super::signals;

/// A write that a client sent, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// When, in simulated milliseconds.
    pub at: u64,
    /// What.
    pub request: Request,
    /// The exception that answered it.
    pub refused: Option<u8>,
}

/// The latest writes are kept, for whoever wants to judge them.
const KEPT: usize = 4_096;

/// A fake device.
#[derive(Debug)]
pub struct FakeDevice {
    /// The name in the profile.
    pub name: String,
    pub(super) definition: Arc<Definition>,
    /// Unit ids by their place in the definition; a unit without id does not answer.
    pub(super) ids: Vec<Option<u8>>,
    pub(super) memories: Vec<Memory>,
    pub(super) chain: Option<Chain>,
    pub(super) controls: Controls,
    pub(super) spells: Spells,
    /// The relay channel that is wired to the generator's start contact.
    pub(super) contact: Option<u8>,
    /// Phases of the site, 1 or 3.
    pub(super) phases: u8,
    written: Vec<Written>,
}

impl FakeDevice {
    /// A device of this definition, at its usual unit ids.
    #[must_use]
    pub fn new(name: &str, definition: Arc<Definition>, plant: &Plant) -> Self {
        let ids = definition.units.iter().map(|unit| unit.default).collect();
        let mut device = Self {
            name: name.to_owned(),
            memories: vec![Memory::default(); definition.units.len()],
            chain: definition.is_sunspec().then(|| Chain::lay_out(plant.params().phase_count())),
            controls: Controls::default(),
            ids,
            spells: Spells::default(),
            contact: None,
            phases: if plant.params().phase_count() == 3 { 3 } else { 1 },
            written: Vec::new(),
            definition,
        };
        device.furnish(plant);
        device.refresh(plant);
        device
    }

    /// The same with the generator's start contact wired to a relay channel.
    #[must_use]
    pub fn wired_to_generator(mut self, channel: u8) -> Self {
        self.contact = Some(channel);
        self
    }

    /// The same with other unit ids, by the definition's unit names.
    #[must_use]
    pub fn with_units(mut self, units: &BTreeMap<String, u8>) -> Self {
        for (unit, id) in self.definition.units.iter().zip(&mut self.ids) {
            *id = units.get(&unit.name).copied().or(*id);
        }
        self
    }

    /// What it is.
    #[must_use]
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// Unit ids by the definition's unit names.
    #[must_use]
    pub fn units(&self) -> BTreeMap<String, u8> {
        let names = self.definition.units.iter().map(|unit| unit.name.clone());
        names.zip(&self.ids).filter_map(|(name, id)| Some((name, (*id)?))).collect()
    }

    /// The latest writes of all clients.
    #[must_use]
    pub fn written(&self) -> &[Written] {
        &self.written
    }

    /// Answers one request as a well-behaved device: its words, or an exception.
    pub(super) fn answer(
        &mut self,
        request: &Request,
        plant: &mut Plant,
        ignored: bool,
    ) -> Result<Vec<u16>, u8> {
        let unit = self.ids.iter().position(|id| *id == Some(request.unit));
        let away = self.definition.limits.away.first().copied().unwrap_or(11);
        let unit = unit.ok_or(away)?;
        if !self.spells.frozen(request.unit) {
            self.refresh(plant);
        }
        let memory = self.memories.get_mut(unit).ok_or(away)?;
        if !request.function.writes() {
            return memory.read(request);
        }
        let allowed = memory.may_write(request);
        if allowed.is_ok() && !ignored {
            memory.write(request);
            controls::understand(self, unit, request, plant);
        }
        self.note(request, allowed.err(), plant);
        allowed.map(|()| Vec::new())
    }

    /// Keeps a write for whoever wants to judge it.
    pub(super) fn note(&mut self, request: &Request, refused: Option<u8>, plant: &Plant) {
        if self.written.len() >= KEPT {
            self.written.remove(0);
        }
        let at = (plant.time() * 1_000.0) as u64;
        self.written.push(Written { at, request: request.clone(), refused });
    }

    /// Makes every register that the definition knows exist.
    fn furnish(&mut self, plant: &Plant) {
        let definition = Arc::clone(&self.definition);
        for hole in &definition.readable {
            let count = hole.last.saturating_sub(hole.first).saturating_add(1);
            if let Some(memory) = self.memories.get_mut(hole.unit) {
                memory.serve(hole.area.read());
                memory.lay(hole.area, hole.first, &vec![0xFFFF; usize::from(count)]);
            }
        }
        for point in &definition.points {
            let Some(memory) = self.memories.get_mut(point.unit) else { continue };
            if let Place::Fixed(area, address) = point.place {
                memory.serve(area.read());
                if let Some(witness) = point.witness {
                    memory.lay(area, witness, &[1]);
                }
                for channel in 0..u16::from(point.channels) {
                    let at = address.saturating_add(channel.saturating_mul(point.stride));
                    memory.lay(area, at, &vec![0; usize::from(point.codec.width())]);
                }
            }
        }
        if let (Some(chain), Some(memory)) = (&self.chain, self.memories.first_mut()) {
            memory.serve(Function::ReadHoldingRegisters);
            chain.furnish(memory, plant.params().pv_peak);
        }
        for control in &definition.controls {
            let writes = control.setup.iter().chain(&control.command).chain(&control.release);
            for write in writes {
                for channel in 0..u16::from(control.channels) {
                    self.open(write, channel.saturating_mul(control.stride));
                }
            }
        }
    }

    fn open(&mut self, write: &Write, offset: u16) {
        let Some(address) = self.address_of(write, offset) else { return };
        let Some(memory) = self.memories.get_mut(write.unit) else { return };
        let area = area_of(write.function);
        memory.serve(write.function);
        memory.serve(area.read());
        memory.open(area, address, length_of(write));
        if let Some(before) = write.otherwise.and_then(|raw| u16::try_from(raw).ok()) {
            memory.lay(area, address, &[before]);
        }
    }

    /// Where a write begins on this device.
    pub(super) fn address_of(&self, write: &Write, offset: u16) -> Option<u16> {
        match &write.place {
            Place::Fixed(_, address) => address.checked_add(offset),
            Place::SunSpec(entries) => {
                let chain = self.chain.as_ref()?;
                entries.iter().find_map(|entry| chain.address(entry.model, entry.offset))
            }
            Place::SunSpecLimit => None,
        }
    }

    /// Fills the registers with what the plant measures now.
    fn refresh(&mut self, plant: &Plant) {
        let definition = Arc::clone(&self.definition);
        // A sum stands on the registers of its parts: first the sum, then the parts, where there are any.
        let (joined, single): (Vec<_>, Vec<_>) =
            definition.points.iter().partition(|point| point.codec.count > 1);
        for point in joined.into_iter().chain(single) {
            if self.ids.get(point.unit).copied().flatten().is_some_and(|id| self.spells.frozen(id)) {
                continue;
            }
            for channel in 0..point.channels {
                self.fill(point, channel, plant);
            }
        }
    }

    fn fill(&mut self, point: &Point, channel: u8, plant: &Plant) {
        let absent = self.spells.absent(point.quantity, point.phase);
        let value = if absent { None } else { self.value(point, channel, plant) };
        let Some(memory) = self.memories.get_mut(point.unit) else { return };
        match &point.place {
            Place::Fixed(area, address) => {
                let at = address.saturating_add(u16::from(channel).saturating_mul(point.stride));
                if memory.is_open(*area, at) {
                    return;
                }
                let len = point.codec.width();
                if let Some(mut words) = memory.words(*area, at, len) {
                    put(&point.codec, &mut words, value, 0);
                    memory.lay(*area, at, &words);
                }
            }
            Place::SunSpec(entries) => {
                let Some(chain) = &self.chain else { return };
                let there = entries.iter().find(|entry| chain.address(entry.model, 0).is_some());
                if let Some(entry) = there {
                    chain.fill(memory, *entry, &point.codec, value);
                }
            }
            Place::SunSpecLimit => {} // that is what the client wrote
        }
    }

    /// A point's value in its carried unit; `None` where the simulated site knows none.
    fn value(&self, point: &Point, channel: u8, plant: &Plant) -> Option<i64> {
        let value = match (point.quantity, self.contact) {
            // The engine-running output is wired beside the contact.
            (Quantity::Input, Some(wired)) if wired == channel => plant.get("generator.running")?,
            (Quantity::InverterState, _) => f64::from(controls::inverter_state(self, plant)),
            (quantity, _) => signals::measured(plant, quantity, point.phase)?,
        };
        Some((value * point.quantity.unit().steps() as f64).round() as i64)
    }

    /// What the device itself does as time passes.
    pub(super) fn pass(&mut self, plant: &mut Plant) {
        controls::pass(self, plant);
    }

    /// What a point of this device would decode to now; for tests and for the table of the demo.
    #[must_use]
    pub fn shown(&self, quantity: Quantity, phase: Phase) -> Option<i64> {
        let mut points = self.definition.points_of(quantity);
        let point = points.find(|point| point.phase == phase)?;
        let memory = self.memories.get(point.unit)?;
        match point.place {
            Place::Fixed(area, address) => {
                let words = memory.words(area, address, point.codec.width())?;
                point.codec.decode(&words, 0).ok().flatten()
            }
            Place::SunSpec(_) | Place::SunSpecLimit => None,
        }
    }
}

/// Registers that a write covers.
fn length_of(write: &Write) -> u16 {
    write.fields.iter().map(|field| field.kind.width()).sum()
}

/// Words of a value; what the words cannot say becomes zero, as in a device whose number has run over.
pub(super) fn put(codec: &Codec, words: &mut [u16], value: Option<i64>, exponent: i32) {
    if !codec.encode(words, value, exponent) {
        words.fill(0);
        let _zero_or_nothing = codec.encode(words, Some(0), exponent);
    }
}
