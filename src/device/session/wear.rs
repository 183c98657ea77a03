//! What writing wears out: registers that a device keeps in flash. Such a register is read first and written only when
//! it holds something else, and at most so many times within any 24 hours, also across restarts of this process.
//!
//! The last write of the budget is kept for giving back: what may be switched on can always be switched off again.

use std::collections::{BTreeMap, VecDeque};

use crate::control::units::{Mono, Span};
use crate::device::definition::{Definition, Persistence, Write};
use crate::device::exchange::{Failure, Request};
use crate::device::order::WearRecord;

const DAY: Span = Span::minutes(24 * 60);

/// Unit, by its index, and address.
pub type Register = (usize, u16);

#[derive(Clone, Debug, Default)]
struct Worn {
    /// The latest last.
    writes: VecDeque<Mono>,
    budget: u16,
    /// A write was refused since the last one that was allowed.
    refused: bool,
}

/// The writes of the last day to each register that wears out.
#[derive(Clone, Debug, Default)]
pub struct Wear {
    registers: BTreeMap<Register, Worn>,
}

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Something that another write must be able to undo.
    Engage,
    /// It undoes, or nothing needs to.
    Settle,
}

/// Whether a register is worn by this write.
pub fn wears(write: &Write) -> bool {
    write.persistence != Persistence::Cyclic
}

impl Wear {
    /// What an earlier run has written. Units that the definition does not have are left out.
    pub fn recall(records: &[WearRecord], definition: &Definition) -> Self {
        let mut wear = Self::default();
        for record in records {
            let Some(unit) = definition.units.iter().position(|unit| unit.name == record.unit) else {
                continue;
            };
            let mut writes = record.writes.clone();
            writes.sort_unstable();
            let more = writes.len().saturating_sub(usize::from(u16::MAX));
            let writes = writes.into_iter().skip(more).collect();
            wear.registers.insert((unit, record.address), Worn { writes, ..Worn::default() });
        }
        wear
    }

    /// What the next run must know.
    pub fn records(&self, definition: &Definition) -> Vec<WearRecord> {
        let record = |((unit, address), worn): (&Register, &Worn)| {
            let unit = definition.units.get(*unit)?.name.clone();
            Some(WearRecord { unit, address: *address, writes: worn.writes.iter().copied().collect() })
        };
        self.registers.iter().filter_map(record).collect()
    }

    /// Whether a register may be written now.
    pub fn allow(&mut self, register: Register, write: &Write, aim: Aim, now: Mono) -> Result<(), Failure> {
        let worn = self.registers.entry(register).or_default();
        worn.budget = write.daily;
        worn.prune(now);
        let kept = usize::from(aim == Aim::Engage);
        worn.refused = worn.writes.len().saturating_add(kept) >= usize::from(worn.budget);
        if worn.refused { Err(Failure::WornOut) } else { Ok(()) }
    }

    /// A write goes out.
    pub fn wrote(&mut self, register: Register, now: Mono) {
        if let Some(worn) = self.registers.get_mut(&register) {
            worn.writes.push_back(now);
        }
    }

    /// The device refused the latest write, so nothing was worn.
    pub fn refused(&mut self, register: Register) {
        if let Some(worn) = self.registers.get_mut(&register) {
            worn.writes.pop_back();
        }
    }

    /// What must not be written any more for now, for people.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let refused = self.registers.iter().filter(|(_, worn)| worn.refused);
        refused.map(|((_, address), worn)| {
            format!(
                "register {address} wears out by writing and was written {} times within a day, and {} is the most: \
                 it is left as it is until the oldest of them is a day ago. Find out who else changes it, or why the \
                 site takes and releases this device so often",
                worn.writes.len(),
                worn.budget,
            )
        })
    }
}

impl Worn {
    fn prune(&mut self, now: Mono) {
        // A store may tell of moments that have not come yet; they must not lock the register for ever.
        for at in &mut self.writes {
            *at = (*at).min(now);
        }
        while self.writes.front().is_some_and(|at| now.since(*at) >= DAY) {
            self.writes.pop_front();
        }
    }
}

/// The register that a request writes.
pub fn register(unit: usize, request: &Request) -> Register {
    (unit, request.address)
}
