//! A SunSpec model chain: marker, models, end; and values with their scale factors.

use crate::device::codec::Codec;
use crate::device::definition::Area;
use crate::device::sunspec::models::{self, Entry};

use super::device::put;
use super::memory::Memory;

/// Where the chain begins.
const BASE: u16 = 40_000;
/// "SunS".
const MARKER: [u16; 2] = [0x5375, 0x6E53];
/// Model 123 counts its percentage in hundredths here.
const PERCENT_EXPONENT: i16 = -2;
/// A register that a device does not implement.
const NOTHING: u16 = 0xFFFF;

/// The models and where each begins.
#[derive(Clone, Debug)]
pub struct Chain {
    models: Vec<(u16, u16, u16)>,
    end: u16,
}

impl Chain {
    /// Common, inverter, ratings, settings, status, immediate controls.
    pub fn lay_out(phases: usize) -> Self {
        let inverter = if phases == 3 { 103 } else { 101 };
        let mut at = BASE + 2;
        let mut chain = Self { models: Vec::new(), end: at };
        for model in [1, inverter, 120, 121, 122, 123] {
            let length = models::length(model).unwrap_or(0);
            chain.models.push((model, at, length));
            at += 2 + length;
        }
        chain.end = at;
        chain
    }

    /// The address of an offset, counted from the model's id word.
    pub fn address(&self, model: u16, offset: u16) -> Option<u16> {
        let (_, at, length) = self.models.iter().find(|(known, _, _)| *known == model)?;
        (offset < length.saturating_add(2)).then(|| at.saturating_add(offset))
    }

    /// Makes the chain exist, with what never changes.
    pub fn furnish(&self, memory: &mut Memory, rating: f64) {
        memory.lay(Area::Holding, BASE, &MARKER);
        memory.lay(Area::Holding, self.end, &[0xFFFF, 0]);
        for (model, at, length) in &self.models {
            memory.lay(Area::Holding, *at, &[*model, *length]);
            memory.lay(Area::Holding, at.saturating_add(2), &vec![NOTHING; usize::from(*length)]);
            for entry in models::of_model(*model) {
                if let Some(factor) = entry.factor {
                    self.word(memory, *model, factor, exponent(&entry, rating) as u16);
                }
            }
        }
        for (offset, words, text) in
            [(2, 16, "Wattkeeper"), (18, 16, "Simulated PV"), (34, 8, ""), (42, 8, "1"), (50, 16, "SIM-0001")]
        {
            for (index, word) in letters(text, words).into_iter().enumerate() {
                self.word(memory, 1, offset + index as u16, word);
            }
        }
        for (name, value) in [("Conn", 1), ("WMaxLim_Ena", 0), ("WMaxLimPct", percent(100.0))] {
            if let Some(entry) = models::entry(123, name) {
                self.word(memory, 123, entry.offset, value);
            }
        }
        for (model, name) in [(120, "WRtg"), (121, "WMax")] {
            if let Some(entry) = models::entry(model, name) {
                let raw = rating / 10_f64.powi(i32::from(exponent(&entry, rating)));
                self.word(memory, model, entry.offset, raw.round() as u16);
            }
        }
    }

    fn word(&self, memory: &mut Memory, model: u16, offset: u16, word: u16) {
        if let Some(at) = self.address(model, offset) {
            memory.lay(Area::Holding, at, &[word]);
        }
    }

    /// Writes one value, with the scale factor that stands in the chain.
    pub fn fill(&self, memory: &mut Memory, entry: Entry, codec: &Codec, value: Option<i64>) {
        let Some(at) = self.address(entry.model, entry.offset) else { return };
        let exponent = entry
            .factor
            .and_then(|offset| self.address(entry.model, offset))
            .and_then(|at| memory.words(Area::Holding, at, 1))
            .and_then(|words| words.first().map(|word| i32::from(*word as i16)));
        let codec = Codec { kind: entry.kind, absent: entry.absent().into_iter().collect(), ..codec.clone() };
        let mut words = vec![0; usize::from(codec.width())];
        put(&codec, &mut words, value, exponent.unwrap_or(0));
        memory.lay(Area::Holding, at, &words);
    }

    /// What a client wrote at a point of model 123.
    pub fn read(&self, memory: &Memory, name: &str) -> Option<u16> {
        let at = self.address(123, models::entry(123, name)?.offset)?;
        memory.words(Area::Holding, at, 1)?.first().copied()
    }

    /// Writes at a point of model 123, as the device itself.
    pub fn write(&self, memory: &mut Memory, name: &str, word: u16) {
        if let Some(entry) = models::entry(123, name) {
            self.word(memory, 123, entry.offset, word);
        }
    }
}

/// A percentage as model 123 holds it.
fn percent(percent: f64) -> u16 {
    (percent / 10_f64.powi(i32::from(PERCENT_EXPONENT))).round() as u16
}

/// The share that a word of model 123 means.
pub fn share(word: u16) -> f64 {
    f64::from(word) * 10_f64.powi(i32::from(PERCENT_EXPONENT)) / 100.0
}

/// The scale factor that this device uses for a point.
fn exponent(entry: &Entry, rating: f64) -> i16 {
    match entry.name {
        "W" | "WRtg" | "WMax" => i16::from(rating > 30_000.0),
        "WMaxLimPct" => PERCENT_EXPONENT,
        "Hz" => -2,
        "A" | "PhVphA" | "PhVphB" | "PhVphC" => -1,
        _ => 0,
    }
}

/// Text as SunSpec lays it down, two letters in a word.
fn letters(text: &str, words: u16) -> Vec<u16> {
    let letter = |at: usize| u16::from(text.as_bytes().get(at).copied().unwrap_or(0));
    (0..usize::from(words)).map(|word| letter(2 * word) << 8 | letter(2 * word + 1)).collect()
}
