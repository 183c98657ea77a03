//! Signals around a failure, drawn with characters.

use crate::control::units::Span;

use super::super::compare::{Found, plain};
use super::super::format::words::spoken;
use super::super::judge::Trace;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Nothing is known there.
const GAP: char = '·';

/// The lines of a drawing: one per signal, and a mark under the failing moment.
#[must_use]
pub fn lines(traces: &[Trace], at: Span) -> Vec<String> {
    let width = traces.iter().map(|trace| trace.name.chars().count()).max().unwrap_or(0);
    let mut lines: Vec<String> = traces
        .iter()
        .map(|trace| {
            let (curve, legend) = curve(trace);
            format!("{:width$}  {curve}  {legend}", trace.name)
        })
        .collect();
    if let Some((first, column)) = traces.first().and_then(|trace| {
        let column = trace.values.iter().position(|(when, _)| *when >= at)?;
        trace.values.first().map(|(first, _)| (*first, column))
    }) {
        lines.push(format!("{:width$}  {:column$}^ {} (drawn from {})", "", "", spoken(at), spoken(first)));
    }
    lines
}

/// One character per tick, and what they mean.
fn curve(trace: &Trace) -> (String, String) {
    let numbers: Vec<Option<f64>> = trace
        .values
        .iter()
        .map(|(_, found)| match found {
            Found::Number(number) => Some(*number),
            Found::Flag(_) | Found::Word(_) | Found::List(_) | Found::Unknown => None,
        })
        .collect();
    if numbers.iter().any(Option::is_some) {
        return heights(&numbers);
    }
    // States have no height: each gets a letter in the order of its appearance.
    let mut seen: Vec<String> = Vec::new();
    let mut curve = String::new();
    for (_, found) in &trace.values {
        if *found == Found::Unknown {
            curve.push(GAP);
            continue;
        }
        let text = found.to_string();
        let place = seen.iter().position(|known| *known == text).unwrap_or_else(|| {
            seen.push(text);
            seen.len() - 1
        });
        curve.push(letter(place));
    }
    let legend = seen.iter().enumerate().map(|(place, text)| format!("{} {text}", letter(place)));
    (curve, legend.collect::<Vec<_>>().join("  "))
}

fn letter(place: usize) -> char {
    u8::try_from(place).ok().filter(|place| *place < 26).map_or('?', |place| char::from(b'a' + place))
}

fn heights(numbers: &[Option<f64>]) -> (String, String) {
    let known = || numbers.iter().flatten().copied();
    let low = known().fold(f64::INFINITY, f64::min);
    let high = known().fold(f64::NEG_INFINITY, f64::max);
    let level = |number: f64| {
        let share = if high > low { (number - low) / (high - low) } else { 0.5 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "share lies within 0 and 1"
        )]
        let place = (share * 7.0).round() as usize;
        LEVELS.get(place).copied().unwrap_or(GAP)
    };
    let curve = numbers.iter().map(|number| number.map_or(GAP, level)).collect();
    let legend = if high > low { format!("{} .. {}", plain(low), plain(high)) } else { plain(low) };
    (curve, legend)
}
