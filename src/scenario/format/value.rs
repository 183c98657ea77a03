//! What a signal is given or a plant is told: numbers, words, silence, ramps, noise, series.

use std::path::Path;
use std::sync::Arc;

use super::tree::{Kind, Tree};
use super::words;
use crate::control::units::{Mono, Span};

/// Where the values of one signal come from, until a later step changes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// Always this, in the unit people write.
    Number(f64),
    Flag(bool),
    /// A state's name.
    Word(String),
    /// No more samples.
    Missing,
    /// Samples that say "I do not know".
    Unavailable,
    /// The last sample and its stamp, again and again.
    Frozen,
    /// Heard from the simulated plant.
    Plant,
    /// From the value before to another, evenly, in steps when the sensor has some.
    Ramp {
        to: f64,
        over: Span,
        step: Option<f64>,
    },
    /// Normally distributed.
    Noise {
        around: f64,
        sigma: f64,
    },
    /// A recorded series; its first row is the moment of the step.
    Csv(Arc<Series>),
    /// Another source, sampled only now and then, or late.
    Timed {
        is: Box<Source>,
        every: Option<Span>,
        age: Span,
    },
}

/// The keys that make a table a value rather than a group of signals.
pub(crate) const VALUE_KEYS: [&str; 4] = ["to", "around", "csv", "is"];

impl Source {
    /// Reads a value. `folder` is where the scenario file lies: series are named from there.
    pub(crate) fn parse(tree: &Tree, folder: &Path) -> Result<Self, String> {
        match &tree.kind {
            Kind::Number(number) => Ok(Self::Number(*number)),
            Kind::Flag(flag) => Ok(Self::Flag(*flag)),
            Kind::Text(text) => Ok(match text.as_str() {
                "missing" => Self::Missing,
                "unavailable" => Self::Unavailable,
                "frozen" => Self::Frozen,
                "plant" => Self::Plant,
                text => match words::span(text) {
                    #[expect(clippy::cast_precision_loss, reason = "far below 2^53 ms")]
                    Some(span) => Self::Number(span.0 as f64 / 1_000.0),
                    None => Self::Word(text.to_owned()),
                },
            }),
            Kind::List(_) => {
                Err("an array is no value; a series comes from { csv = \"..\", column = \"..\" }".to_owned())
            }
            Kind::Table(_) => Self::parse_table(tree, folder),
        }
    }

    fn parse_table(tree: &Tree, folder: &Path) -> Result<Self, String> {
        let known: &[&str] = match VALUE_KEYS.iter().find(|key| tree.get(key).is_some()) {
            Some(&"to") => &["to", "over", "step"],
            Some(&"around") => &["around", "sigma"],
            Some(&"csv") => &["csv", "column"],
            Some(_) => &["is", "every", "age"],
            None => return Err("a value written as a table begins with to, around, csv or is".to_owned()),
        };
        if let Some(entry) =
            tree.entries().unwrap_or(&[]).iter().find(|entry| !known.contains(&entry.key.as_str()))
        {
            return Err(format!(
                "{:?} does not belong here; this kind of value has {}",
                entry.key,
                known.join(", ")
            ));
        }
        if tree.get("to").is_some() {
            let step = if tree.get("step").is_some() { Some(number(tree, "step")?) } else { None };
            if step.is_some_and(|step| step <= 0.0) {
                return Err("a ramp's step is above 0".to_owned());
            }
            return Ok(Self::Ramp { to: number(tree, "to")?, over: positive_span(tree, "over")?, step });
        }
        if tree.get("around").is_some() {
            return Ok(Self::Noise { around: number(tree, "around")?, sigma: number(tree, "sigma")? });
        }
        if let Some(file) = tree.get("csv") {
            let (Kind::Text(file), Some(Kind::Text(column))) =
                (&file.kind, tree.get("column").map(|column| &column.kind))
            else {
                return Err("a series is written { csv = \"day.csv\", column = \"load\" }".to_owned());
            };
            return Series::load(&folder.join(file), column).map(|series| Self::Csv(Arc::new(series)));
        }
        let is = tree.get("is").ok_or("the value itself is missing: is = 50")?;
        let is = Self::parse(is, folder)?;
        if matches!(is, Self::Timed { .. } | Self::Missing | Self::Frozen) {
            return Err("is = takes a value, a ramp, noise, a series or \"unavailable\"".to_owned());
        }
        let every = if tree.get("every").is_some() { Some(positive_span(tree, "every")?) } else { None };
        let age = if tree.get("age").is_some() { span(tree, "age")? } else { Span::ZERO };
        Ok(Self::Timed { is: Box::new(is), every, age })
    }

    /// The value at a moment, as a number; `started` is when this source took over and `from` what stood before.
    /// `None` when nobody says anything at that moment, `Some(None)` when the word is "I do not know".
    pub(crate) fn value(
        &self,
        now: Mono,
        started: Mono,
        from: f64,
        chance: &mut Chance,
    ) -> Option<Option<f64>> {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 ms")]
        let elapsed = now.since(started).0 as f64;
        match self {
            Self::Number(number) => Some(Some(*number)),
            Self::Flag(flag) => Some(Some(f64::from(u8::from(*flag)))),
            Self::Unavailable => Some(None),
            Self::Word(_) | Self::Missing | Self::Frozen | Self::Plant => None,
            Self::Ramp { to, over, step } => {
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53 ms")]
                let share = (elapsed / over.0 as f64).clamp(0.0, 1.0);
                let travelled = (to - from) * share;
                // A sensor's step is reached when the value has fully travelled it; at the end it stands at `to`.
                Some(Some(match step {
                    Some(step) if share < 1.0 => {
                        from + (travelled / step + travelled.signum() * 1e-9).trunc() * step
                    }
                    _ => from + travelled,
                }))
            }
            Self::Noise { around, sigma } => Some(Some(around + sigma * chance.normal())),
            Self::Csv(series) => series.at(elapsed).map(Some),
            Self::Timed { is, .. } => is.value(now, started, from, chance),
        }
    }
}

fn number(tree: &Tree, key: &str) -> Result<f64, String> {
    match tree.get(key).map(|value| &value.kind) {
        Some(Kind::Number(number)) => Ok(*number),
        _ => Err(format!("{key} = is missing or no number")),
    }
}

fn span(tree: &Tree, key: &str) -> Result<Span, String> {
    match tree.get(key).map(|value| &value.kind) {
        Some(Kind::Text(text)) => {
            words::span(text).ok_or_else(|| format!("{key} = {text:?} is no duration such as \"20m\""))
        }
        _ => Err(format!("{key} = is missing or no duration such as \"20m\"")),
    }
}

fn positive_span(tree: &Tree, key: &str) -> Result<Span, String> {
    span(tree, key)
        .and_then(|span| if span > Span::ZERO { Ok(span) } else { Err(format!("{key} = is longer than 0")) })
}

/// A recorded series: milliseconds from its first row and values; an empty cell is silence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series(Vec<(f64, Option<f64>)>);

impl Series {
    /// Loads one column. The first column is the time: seconds, a duration, or a stamp with its offset.
    pub(crate) fn load(path: &Path, column: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&text, column).map_err(|cause| format!("{}: {cause}", path.display()))
    }

    fn parse(text: &str, column: &str) -> Result<Self, String> {
        let mut lines =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let header: Vec<&str> =
            lines.next().map(|(_, line)| line.split(',').map(str::trim).collect()).unwrap_or_default();
        let at = header
            .iter()
            .position(|name| *name == column)
            .ok_or_else(|| format!("no column {column:?}; it has {}", header.join(", ")))?;
        let mut rows = Vec::new();
        for (line, row) in lines {
            let cells: Vec<&str> = row.split(',').map(str::trim).collect();
            let time = cells.first().and_then(|cell| moment(cell));
            let time = time.ok_or_else(|| format!("line {}: the first column is no time", line + 1))?;
            let value = match cells.get(at).copied().unwrap_or("") {
                "" => None,
                cell => {
                    let number = cell.parse::<f64>().ok().filter(|number| number.is_finite());
                    Some(number.ok_or_else(|| format!("line {}: {cell:?} is no number", line + 1))?)
                }
            };
            if rows.last().is_some_and(|(before, _)| *before >= time) {
                return Err(format!("line {}: time does not go forward", line + 1));
            }
            rows.push((time, value));
        }
        let Some((first, _)) = rows.first().copied() else { return Err("it has no rows".to_owned()) };
        for row in &mut rows {
            row.0 -= first;
        }
        Ok(Self(rows))
    }

    /// The value of the row in force so many milliseconds after the first; the last row stays.
    fn at(&self, millis: f64) -> Option<f64> {
        let next = self.0.partition_point(|(time, _)| *time <= millis);
        self.0.get(next.checked_sub(1)?)?.1
    }
}

/// Milliseconds of a time cell.
fn moment(cell: &str) -> Option<f64> {
    if let Ok(seconds) = cell.parse::<f64>() {
        return seconds.is_finite().then_some(seconds * 1_000.0);
    }
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this millennium are far below 2^53")]
    match words::span(cell) {
        Some(span) => Some(span.0 as f64),
        None => cell.parse::<jiff::Timestamp>().ok().map(|stamp| stamp.as_millisecond() as f64),
    }
}

/// Chance that repeats: the same seed gives the same series on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// From a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits (splitmix64).
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Mean 0, deviation 1. Twelve even numbers summed: no logarithm, so no difference between machines.
    fn normal(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits are kept on purpose")]
        let even = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        (0..12).map(|_| even(self.bits())).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(source: &Source, second: i64, from: f64) -> Option<Option<f64>> {
        source.value(Mono(second * 1_000), Mono::ZERO, from, &mut Chance::new(1))
    }

    #[test]
    fn a_ramp_goes_evenly_and_in_the_sensors_steps() {
        let smooth = Source::Ramp { to: 20.0, over: Span::secs(10), step: None };
        assert_eq!(at(&smooth, 5, 40.0), Some(Some(30.0)));
        assert_eq!(at(&smooth, 99, 40.0), Some(Some(20.0)));
        let stepped = Source::Ramp { to: 0.0, over: Span::secs(100), step: Some(1.0) };
        let Some(Some(value)) = at(&stepped, 55, 10.0) else { panic!() };
        assert!((value - 5.0).abs() < 1e-6, "{value}");
    }

    #[test]
    fn a_series_holds_each_row_until_the_next_and_an_empty_cell_is_silence() {
        let series = Series::parse(
            "t,load\n2014-01-01T00:00:00Z,5\n2014-01-01T00:01:00Z,\n2014-01-01T00:02:00Z,7\n",
            "load",
        );
        let source = Source::Csv(Arc::new(series.unwrap()));
        assert_eq!(at(&source, 59, 0.0), Some(Some(5.0)));
        assert_eq!(at(&source, 60, 0.0), None);
        assert_eq!(at(&source, 999, 0.0), Some(Some(7.0)));
        assert!(Series::parse("t,load\n0,5\n", "pv").unwrap_err().contains("load"));
    }

    #[test]
    fn noise_repeats_from_its_seed_and_has_its_spread() {
        let mut chance = Chance::new(7);
        let source = Source::Noise { around: 500.0, sigma: 5.0 };
        let values: Vec<f64> = (0..2_000)
            .filter_map(|_| source.value(Mono::ZERO, Mono::ZERO, 0.0, &mut chance).flatten())
            .collect();
        let mean = values.iter().sum::<f64>() / 2_000.0;
        let spread = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 2_000.0).sqrt();
        assert!((mean - 500.0).abs() < 0.5 && (spread - 5.0).abs() < 0.3, "{mean} {spread}");
    }
}
