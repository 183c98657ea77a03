//! A spot is one channel of one point at its real address: what one answer must hold for the value to be decoded.

use crate::device::codec::Codec;
use crate::device::definition::{Area, Definition, Pace, Place, Point};
use crate::device::sunspec::models::Entry;
use crate::device::sunspec::{Chain, Model};

/// Why words are not this spot's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Another count of words.
    #[error("the answer has another length than asked for")]
    WrongLength,
    /// The SunSpec model is no longer where it was.
    #[error("the chain of models has moved")]
    Moved,
}

/// One value at its address.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// Index into the definition's points.
    pub point: usize,
    /// Which channel of it.
    pub channel: u8,
    /// Index into the definition's units.
    pub unit: usize,
    /// Address space.
    pub area: Area,
    /// First register (or bit) that must come in one answer.
    pub start: u16,
    /// How many.
    pub len: u16,
    /// Spots of different groups never share a read: SunSpec models fail one by one.
    pub group: u16,
    /// How often it is read.
    pub pace: Pace,
    at: u16,
    codec: Codec,
    beside: Beside,
}

/// What stands in the same answer and says how to take the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    Witness(u16),
    Model { id: u16, length: u16, factor: Option<u16> },
    Limit { id: u16, length: u16, factor: u16, enabled: u16 },
}

impl Spot {
    /// The spots of all points whose addresses never change.
    #[must_use]
    pub fn fixed(definition: &Definition) -> Vec<Self> {
        let mut spots = Vec::new();
        for (index, point) in definition.points.iter().enumerate() {
            let Place::Fixed(area, first) = point.place else { continue };
            for channel in 0..point.channels {
                let first = first.saturating_add(point.stride.saturating_mul(u16::from(channel)));
                spots.push(Self::fixed_one(index, point, channel, area, first));
            }
        }
        spots
    }

    fn fixed_one(index: usize, point: &Point, channel: u8, area: Area, first: u16) -> Self {
        let start = point.witness.map_or(first, |witness| witness.min(first));
        let last = first.saturating_add(point.codec.width()).saturating_sub(1);
        let last = point.witness.map_or(last, |witness| witness.max(last));
        Self {
            point: index,
            channel,
            unit: point.unit,
            area,
            start,
            len: last.saturating_sub(start).saturating_add(1),
            group: 0,
            pace: point.pace,
            at: first.saturating_sub(start),
            codec: point.codec.clone(),
            beside: point.witness.map_or(Beside::Nothing, |at| Beside::Witness(at.saturating_sub(start))),
        }
    }

    /// The spots of a unit's SunSpec points in the chain that it has. Points that the chain does not have are left out.
    #[must_use]
    pub fn in_chain(definition: &Definition, unit: usize, chain: &Chain) -> Vec<Self> {
        let points = definition.points.iter().enumerate().filter(|(_, point)| point.unit == unit);
        points
            .filter_map(|(index, point)| match &point.place {
                Place::Fixed(..) => None,
                Place::SunSpec(entries) => {
                    let (entry, model) = first_in(entries, chain)?;
                    Some(Self::sunspec(index, point, entry, model))
                }
                Place::SunSpecLimit => Self::limit(index, point, chain),
            })
            .collect()
    }

    fn sunspec(index: usize, point: &Point, entry: Entry, model: Model) -> Self {
        let end = entry.offset.saturating_add(entry.kind.width());
        let len = entry.factor.map_or(end, |factor| end.max(factor.saturating_add(1)));
        let codec =
            Codec { kind: entry.kind, absent: entry.absent().into_iter().collect(), ..point.codec.clone() };
        let beside = Beside::Model { id: model.id, length: model.length, factor: entry.factor };
        Self::model_spot(index, point, model, len, entry.offset, codec, beside)
    }

    fn limit(index: usize, point: &Point, chain: &Chain) -> Option<Self> {
        use crate::device::sunspec::models::entry;
        let model = chain.find(123)?;
        let (percent, enable) = (entry(123, "WMaxLimPct")?, entry(123, "WMaxLim_Ena")?);
        let factor = percent.factor.filter(|factor| *factor < model.length.saturating_add(2))?;
        let codec = Codec {
            kind: percent.kind,
            absent: percent.absent().into_iter().collect(),
            ..point.codec.clone()
        };
        let beside = Beside::Limit { id: model.id, length: model.length, factor, enabled: enable.offset };
        let len = factor.max(enable.offset).saturating_add(1);
        Some(Self::model_spot(index, point, model, len, percent.offset, codec, beside))
    }

    // The header comes along in each read: a shifted chain is noticed before its words are believed.
    fn model_spot(
        index: usize,
        point: &Point,
        model: Model,
        len: u16,
        at: u16,
        codec: Codec,
        beside: Beside,
    ) -> Self {
        Self {
            point: index,
            channel: 0,
            unit: point.unit,
            area: Area::Holding,
            start: model.address,
            len,
            group: model.address,
            pace: point.pace,
            at,
            codec,
            beside,
        }
    }

    /// The address right behind it.
    #[must_use]
    pub fn end(&self) -> u32 {
        u32::from(self.start).saturating_add(u32::from(self.len))
    }

    /// The value in exactly this spot's words. A SunSpec limit needs the device's rating in W.
    ///
    /// # Errors
    /// When the words cannot be this spot's.
    pub fn decode(&self, words: &[u16], rating: Option<i64>) -> Result<Option<i64>, Mismatch> {
        if words.len() != usize::from(self.len) {
            return Err(Mismatch::WrongLength);
        }
        let own = self.own(words).ok_or(Mismatch::WrongLength)?;
        match self.beside {
            Beside::Nothing => self.plain(own, 0),
            Beside::Witness(at) => {
                let nothing = own.iter().all(|word| *word == 0);
                if nothing && word(words, at) == Some(0) { Ok(None) } else { self.plain(own, 0) }
            }
            Beside::Model { id, length, factor } => {
                header(words, id, length)?;
                match factor.map(|at| exponent(words, at)) {
                    None => self.plain(own, 0),
                    Some(None) => Ok(None),
                    Some(Some(exponent)) => self.plain(own, exponent),
                }
            }
            Beside::Limit { id, length, factor, enabled } => {
                header(words, id, length)?;
                let share = || {
                    let percent =
                        Codec { scale: crate::device::decimal::Ratio::whole(1_000), ..self.codec.clone() };
                    let share = percent.decode(own, exponent(words, factor)?).ok()??; // thousandths of a percent
                    rating?.checked_mul(share)?.checked_div(100_000)
                };
                Ok(match word(words, enabled) {
                    Some(1) => share(),
                    Some(0) => rating, // nothing limits it but itself
                    _ => None,
                })
            }
        }
    }

    fn plain(&self, own: &[u16], exponent: i32) -> Result<Option<i64>, Mismatch> {
        self.codec.decode(own, exponent).map_err(|_| Mismatch::WrongLength)
    }

    fn own<'w>(&self, words: &'w [u16]) -> Option<&'w [u16]> {
        let at = usize::from(self.at);
        words.get(at..at.checked_add(usize::from(self.codec.width()))?)
    }

    /// Writes a value into this spot's words, as a simulated device does: `None` as the maker's sentinel. `false` when
    /// these registers cannot say it; the words are then unchanged.
    #[must_use]
    pub fn encode(&self, words: &mut [u16], value: Option<i64>) -> bool {
        let exponent = match self.beside {
            Beside::Model { factor: Some(at), .. } => match exponent(words, at) {
                Some(exponent) => exponent,
                None => return false,
            },
            Beside::Limit { .. } => return false,
            _ => 0,
        };
        let at = usize::from(self.at);
        let end = at.saturating_add(usize::from(self.codec.width()));
        words.get_mut(at..end).is_some_and(|own| self.codec.encode(own, value, exponent))
    }
}

/// The first alternative that the chain has in full.
#[must_use]
pub fn first_in(entries: &[Entry], chain: &Chain) -> Option<(Entry, Model)> {
    entries.iter().find_map(|entry| {
        let model = chain.find(entry.model)?;
        let end = entry
            .offset
            .saturating_add(entry.kind.width())
            .max(entry.factor.map_or(0, |at| at.saturating_add(1)));
        (end <= model.length.saturating_add(2)).then_some((*entry, model))
    })
}

fn word(words: &[u16], at: u16) -> Option<u16> {
    words.get(usize::from(at)).copied()
}

fn header(words: &[u16], id: u16, length: u16) -> Result<(), Mismatch> {
    match words {
        [found, words, ..] if *found == id && *words == length => Ok(()),
        _ => Err(Mismatch::Moved),
    }
}

/// A SunSpec scale factor; anything outside -10..=10, "not implemented" too, makes its values unusable.
#[must_use]
pub fn exponent(words: &[u16], at: u16) -> Option<i32> {
    let factor = i16::from_be_bytes(word(words, at)?.to_be_bytes());
    (-10..=10).contains(&factor).then_some(i32::from(factor))
}
