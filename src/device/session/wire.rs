//! Where the writes of a session go, and whether what is read back is what was written.

use crate::control::units::{Mono, Watts};
use crate::device::decimal::Ratio;
use crate::device::definition::{Area, Control, Definition, Place, Variable, Write};
use crate::device::exchange::{Answer, Failure, Request};
use crate::device::order::{DeviceOrder, SessionEvent};
use crate::device::recipe::{self, Context};
use crate::device::spot::{exponent, first_in};
use crate::device::sunspec::{Chain, models};
use crate::device::words::{Raw, decode, encode};

/// What writing needs to know of the rest of the session.
pub struct Surroundings<'s> {
    pub definition: &'s Definition,
    pub phases: u8,
    pub chains: &'s [Option<Chain>],
    pub rating: Option<Watts>,
}

/// A request of a unit, by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    pub unit: usize,
    pub request: Request,
}

pub fn wrote(order: &DeviceOrder, result: Result<(), Failure>, contradicted: bool) -> SessionEvent {
    SessionEvent::Wrote {
        control: order.control,
        channel: order.channel,
        seq: order.seq,
        result,
        contradicted,
    }
}

/// Somebody else's value in registers that begin at `first`.
pub fn foreign(
    control: &Control,
    channel: u8,
    first: u16,
    difference: &Difference,
    at: Mono,
) -> SessionEvent {
    SessionEvent::Foreign {
        control: control.kind,
        channel,
        address: first.saturating_add(difference.offset),
        found: difference.found,
        ours: difference.sent,
        at,
    }
}

/// What to put back when our own value was found already: a run before this one must have set it.
pub fn otherwise(write: &Write) -> Option<Vec<u16>> {
    let field = write.fields.first()?;
    encode(field.kind, field.order, Raw::Int(i128::from(write.otherwise?)))
}

/// The first field that was read back as something else than what was written.
pub struct Difference {
    /// Registers before it in the write.
    pub offset: u16,
    /// What stands there and what was written, as raw numbers; a float is rounded.
    pub found: i64,
    pub sent: i64,
}

/// A field of a write as it was sent and as it was found.
struct Pair {
    offset: u16,
    sent: Option<Raw>,
    found: Option<Raw>,
}

/// The fields that say what was ordered. Constants that only time a command may run down meanwhile, so only the ordered
/// values and the last field, the switch, count.
fn pairs<'w>(
    write: &'w Write,
    sent: &'w [u16],
    found: &'w [u16],
    phases: u8,
) -> impl Iterator<Item = Pair> + 'w {
    let fields = recipe::used(write, phases).count();
    let mut next = 0_u16;
    recipe::used(write, phases).enumerate().filter_map(move |(index, field)| {
        let offset = next;
        next = offset.saturating_add(field.kind.width());
        let part = |words: &[u16]| {
            let own = words.get(usize::from(offset)..usize::from(next))?;
            decode(field.kind, field.order, own)
        };
        let last = index.saturating_add(1) == fields;
        let timing = matches!(field.value, Variable::Constant(_)) && !last;
        (!timing).then(|| Pair { offset, sent: part(sent), found: part(found) })
    })
}

/// Where what was read back is not what was written.
pub fn difference(write: &Write, sent: &[u16], found: &[u16], phases: u8) -> Option<Difference> {
    let tolerance = i128::from(write.readback.map_or(0, |readback| readback.tolerance));
    let equal = |pair: &Pair| match (pair.sent, pair.found) {
        (Some(Raw::Int(sent)), Some(Raw::Int(found))) => sent.abs_diff(found) <= tolerance.unsigned_abs(),
        (sent, found) => sent.is_some() && sent == found,
    };
    let pair = pairs(write, sent, found, phases).find(|pair| !equal(pair))?;
    Some(Difference { offset: pair.offset, found: whole(pair.found), sent: whole(pair.sent) })
}

fn whole(raw: Option<Raw>) -> i64 {
    match raw {
        Some(Raw::Int(raw)) => i64::try_from(raw).unwrap_or(i64::MAX),
        Some(Raw::Float(raw)) => Ratio::from_f32(raw).and_then(Ratio::rounded).unwrap_or(i64::MAX),
        None => 0,
    }
}

/// Whether what was read back is what was written.
pub fn agrees(write: &Write, sent: &[u16], found: &[u16], phases: u8) -> bool {
    difference(write, sent, found, phases).is_none()
}

/// Whether what was read back lies on the way to what was written, in every field: from nothing, as a device that clamps
/// shows it, or from what was written before, as one that ramps does.
pub fn is_on_the_way(write: &Write, before: &[u16], sent: &[u16], found: &[u16], phases: u8) -> bool {
    let nothing = vec![0; sent.len()];
    [before, &nothing].into_iter().any(|from| {
        pairs(write, from, found, phases).zip(pairs(write, sent, found, phases)).all(|(from, to)| {
            let (found, from, to) = (whole(to.found), whole(from.sent), whole(to.sent));
            (from.min(to)..=from.max(to)).contains(&found)
        })
    })
}

/// A SunSpec control model as it stands now.
pub struct Fetched {
    pub exponent: i32,
    pub percent: u16,
    pub enabled: bool,
}

/// Scale factor and present limit out of a control model that was read with its header.
pub fn fetched(words: &Answer, around: &Surroundings, control: &Control) -> Option<Fetched> {
    let write = control.command.first()?;
    let Place::SunSpec(entries) = &write.place else { return None };
    let (entry, model) = first_in(entries, around.chains.get(write.unit)?.as_ref()?)?;
    let word = |at: u16| words.get(usize::from(at)).copied();
    if word(0)? != model.id || word(1)? != model.length {
        return None;
    }
    let enable = models::entry(entry.model, "WMaxLim_Ena")?;
    Some(Fetched {
        exponent: exponent(words, entry.factor?)?,
        percent: word(entry.offset)?,
        enabled: word(enable.offset)? == 1,
    })
}

impl<'s> Surroundings<'s> {
    pub fn context(&self, exponent: Option<i32>) -> Context<'s> {
        Context { quirks: &self.definition.quirks, phases: self.phases, exponent, rating: self.rating }
    }

    fn place(&self, write: &Write, channel: u8, control: &Control) -> Result<(Area, u16), Failure> {
        match &write.place {
            Place::Fixed(area, first) => {
                Ok((*area, first.saturating_add(control.stride.saturating_mul(u16::from(channel)))))
            }
            Place::SunSpec(entries) => {
                let chain = self.chains.get(write.unit).and_then(Option::as_ref).ok_or(Failure::NotReady)?;
                let (entry, model) = first_in(entries, chain).ok_or(Failure::NotReady)?;
                Ok((Area::Holding, model.address.saturating_add(entry.offset)))
            }
            Place::SunSpecLimit => Err(Failure::NotReady),
        }
    }

    pub fn read(&self, write: &Write, channel: u8, control: &Control) -> Result<Wire, Failure> {
        let (area, address) = self.place(write, channel, control)?;
        let count = recipe::len(write, self.phases);
        Ok(Wire {
            unit: write.unit,
            request: Request { unit: 0, function: area.read(), address, count, words: vec![] },
        })
    }

    pub fn write(
        &self,
        write: &Write,
        channel: u8,
        control: &Control,
        words: Vec<u16>,
    ) -> Result<Wire, Failure> {
        let (_, address) = self.place(write, channel, control)?;
        let count = u16::try_from(words.len()).unwrap_or(u16::MAX);
        Ok(Wire {
            unit: write.unit,
            request: Request { unit: 0, function: write.function, address, count, words },
        })
    }

    pub fn fetch(&self, write: &Write) -> Result<Wire, Failure> {
        let Place::SunSpec(entries) = &write.place else { return Err(Failure::NotReady) };
        let chain = self.chains.get(write.unit).and_then(Option::as_ref).ok_or(Failure::NotReady)?;
        let (_, model) = first_in(entries, chain).ok_or(Failure::NotReady)?;
        let count = model.length.saturating_add(2).min(self.definition.limits.max_registers);
        let function = Area::Holding.read();
        Ok(Wire {
            unit: write.unit,
            request: Request { unit: 0, function, address: model.address, count, words: vec![] },
        })
    }
}
