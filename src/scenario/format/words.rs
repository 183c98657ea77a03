//! Small words of the format: durations and dotted names.

use crate::control::units::Span;

/// A duration as people write it: `"500ms"`, `"10s"`, `"1m30s"`, `"2h"`, `"1d"`, `"1.5h"`. `None` when it is none.
pub(crate) fn span(text: &str) -> Option<Span> {
    let text = text.trim();
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut millis = 0.0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?.trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = match rest.get(..letters)? {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" | "min" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        millis += number * unit;
        rest = rest.get(letters..)?.trim_start();
    }
    // A century of milliseconds is far inside what both f64 and i64 hold exactly.
    if millis > 3.2e12 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked just above")]
    let whole = millis.round() as i64;
    Some(Span(if negative { -whole } else { whole }))
}

/// A duration as people read it: `90s` is `1m30s`.
pub(crate) fn spoken(span: Span) -> String {
    let sign = if span.0 < 0 { "-" } else { "" };
    let millis = span.0.unsigned_abs();
    let parts = [
        (millis / 3_600_000, "h"),
        (millis / 60_000 % 60, "m"),
        (millis / 1_000 % 60, "s"),
        (millis % 1_000, "ms"),
    ];
    let text: String =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { format!("{sign}{text}") }
}

/// Whether a dotted name fits a pattern in which `*` stands for any run of characters.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            let Some(rest) = name.strip_prefix(head) else { return false };
            if tail.is_empty() {
                return true;
            }
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|rest| fits(tail, rest)))
        }
    }
}

/// The known word nearest to a mistyped one, when it is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let keep = row.get(j).copied().unwrap_or(0) + usize::from(x != *y);
            let drop = row.get(j + 1).copied().unwrap_or(0) + 1;
            let add = next.get(j).copied().unwrap_or(0) + 1;
            next.push(keep.min(drop).min(add));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(span("1m30s"), Some(Span::secs(90)));
        assert_eq!(span("500ms"), Some(Span::millis(500)));
        assert_eq!(span("1.5h"), Some(Span::minutes(90)));
        assert_eq!(span("-1h"), Some(Span::minutes(-60)));
        assert_eq!(span("20 m"), Some(Span::minutes(20)));
        for wrong in ["", "5", "5x", "s", "h1"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
        assert_eq!(spoken(Span::secs(5_430)), "1h30m30s");
        assert_eq!(spoken(Span::ZERO), "0s");
    }

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        assert!(fits("inverter.*", "inverter.south.power.l1"));
        assert!(fits("*.soc", "battery.soc"));
        assert!(fits("battery.*.soc", "battery.house.soc"));
        assert!(!fits("inverter.*", "generator.running"));
    }

    #[test]
    fn a_mistyped_word_is_recognised_only_when_it_is_near() {
        assert_eq!(nearest("exepct", ["expect", "every"]), Some("expect"));
        assert_eq!(nearest("weather", ["expect", "every"]), None);
    }
}
