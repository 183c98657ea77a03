//! What was found, and whether it is what was expected.

use std::fmt;

use super::format::tree::{Kind, Tree};
use super::format::words;

/// What an output shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nobody knows.
    Unknown,
    /// In the unit people write: W, V, A, %, °C, s.
    Number(f64),
    /// Yes or no.
    Flag(bool),
    /// A state, or a reason with its arguments.
    Word(String),
    /// Reasons, alarms, mistakes.
    List(Vec<String>),
}

impl Found {
    /// As a number, so that flags can be counted and drawn too.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Flag(flag) => Some(f64::from(u8::from(*flag))),
            Self::Unknown | Self::Word(_) | Self::List(_) => None,
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown"),
            Self::Number(number) => f.write_str(&plain(*number)),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Word(word) => f.write_str(word),
            Self::List(list) if list.is_empty() => f.write_str("nothing"),
            Self::List(list) => f.write_str(&list.join(", ")),
        }
    }
}

/// A number without the noise of binary fractions.
pub(crate) fn plain(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// One expectation about one output.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Exactly this number.
    Is(f64),
    /// `!= 5`.
    IsNot(f64),
    /// `< 5`.
    Below(f64),
    /// `<= 5`.
    AtMost(f64),
    /// `> 5`.
    Above(f64),
    /// `>= 5`.
    AtLeast(f64),
    /// `0 ± 50`.
    Near(f64, f64),
    /// `10..20`, both ends inside.
    Between(f64, f64),
    /// `true`.
    Flag(bool),
    /// `!= true`.
    NotFlag(bool),
    /// A state or a reason's code.
    Word(String),
    /// `!= full`.
    NotWord(String),
    /// `has x | y`: at least one of them.
    Has(Vec<String>),
    /// `hasn't x | y`: none of them.
    HasNot(Vec<String>),
    /// Nobody knows.
    Unknown,
    /// `!= unknown`.
    Known,
}

/// How far two numbers may lie apart and still be the same: far below every unit's last digit.
const SAME: f64 = 1e-6;

impl Comparison {
    /// Whether what was found is what was expected. What is unknown meets only `unknown`.
    #[must_use]
    pub fn holds(&self, found: &Found) -> bool {
        let number = |test: &dyn Fn(f64) -> bool| matches!(found, Found::Number(n) if test(*n));
        match self {
            Self::Is(want) => number(&|n| (n - want).abs() <= SAME),
            Self::IsNot(want) => match found {
                Found::Number(n) => (n - want).abs() > SAME,
                Found::Unknown => false,
                Found::Flag(_) | Found::Word(_) | Found::List(_) => true,
            },
            Self::Below(want) => number(&|n| n < want - SAME),
            Self::AtMost(want) => number(&|n| n <= want + SAME),
            Self::Above(want) => number(&|n| n > want + SAME),
            Self::AtLeast(want) => number(&|n| n >= want - SAME),
            Self::Near(want, by) => number(&|n| (n - want).abs() <= by + SAME),
            Self::Between(low, high) => number(&|n| n >= low - SAME && n <= high + SAME),
            Self::Flag(want) => matches!(found, Found::Flag(flag) if flag == want),
            Self::NotFlag(want) => matches!(found, Found::Flag(flag) if flag != want),
            Self::Word(want) => match found {
                Found::Word(word) => meant(want, word),
                Found::List(list) => matches!(list.as_slice(), [only] if meant(want, only)),
                Found::Unknown | Found::Number(_) | Found::Flag(_) => false,
            },
            Self::NotWord(want) => match found {
                Found::Word(word) => !meant(want, word),
                Found::List(list) => !list.iter().any(|word| meant(want, word)),
                Found::Number(_) | Found::Flag(_) => true,
                Found::Unknown => false,
            },
            Self::Has(any) => among(any, found).unwrap_or(false),
            Self::HasNot(any) => among(any, found).is_some_and(|among| !among),
            Self::Unknown => *found == Found::Unknown,
            Self::Known => *found != Found::Unknown,
        }
    }

    /// Reads one comparison.
    pub(crate) fn parse(tree: &Tree) -> Result<Self, String> {
        match &tree.kind {
            Kind::Number(number) => Ok(Self::Is(*number)),
            Kind::Flag(flag) => Ok(Self::Flag(*flag)),
            Kind::Text(text) => Self::parse_text(text),
            Kind::List(_) | Kind::Table(_) => {
                Err(format!("{} is no comparison; write 5, \"<= 0\", \"0 ± 50\", \"has x | y\"", tree.what()))
            }
        }
    }

    /// Reads the textual form of one comparison, also without quotes inside a condition.
    pub(crate) fn parse_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let codes = |rest: &str| -> Result<Vec<String>, String> {
            let codes: Vec<_> = rest.split('|').map(|code| code.trim().to_owned()).collect();
            if codes.iter().any(String::is_empty) {
                return Err(format!("{text:?} names nothing to look for"));
            }
            Ok(codes)
        };
        if let Some(rest) = text.strip_prefix("has ") {
            return codes(rest).map(Self::Has);
        }
        if let Some(rest) = text.strip_prefix("hasn't ") {
            return codes(rest).map(Self::HasNot);
        }
        type Make = fn(f64) -> Comparison;
        let ordered: [(&str, Make); 4] =
            [("<=", Self::AtMost), (">=", Self::AtLeast), ("<", Self::Below), (">", Self::Above)];
        for (sign, make) in ordered {
            if let Some(rest) = text.strip_prefix(sign) {
                return number(rest).map(make).ok_or_else(|| format!("{:?} is no number", rest.trim()));
            }
        }
        if let Some(rest) = text.strip_prefix("!=") {
            let rest = rest.trim();
            return match (rest, number(rest)) {
                ("", _) => Err("\"!=\" needs something that it must not be".to_owned()),
                ("unknown", _) => Ok(Self::Known),
                ("true", _) => Ok(Self::NotFlag(true)),
                ("false", _) => Ok(Self::NotFlag(false)),
                (_, Some(want)) => Ok(Self::IsNot(want)),
                (word, None) => Ok(Self::NotWord(word.to_owned())),
            };
        }
        let text = text.strip_prefix('=').map_or(text, |rest| rest.trim_start_matches('=').trim());
        if let Some((middle, by)) = text.split_once('±') {
            return match (number(middle), number(by)) {
                (Some(middle), Some(by)) if by >= 0.0 => Ok(Self::Near(middle, by)),
                _ => Err(format!("{text:?}: write two numbers around ±, as \"0 ± 50\"")),
            };
        }
        if let Some((low, high)) = text.split_once("..") {
            return match (number(low), number(high)) {
                (Some(low), Some(high)) if low <= high => Ok(Self::Between(low, high)),
                _ => Err(format!("{text:?}: write two numbers, the smaller first, as \"10..20\"")),
            };
        }
        Ok(match (text, number(text)) {
            ("", _) => return Err("an empty text is no comparison".to_owned()),
            ("unknown", _) => Self::Unknown,
            ("true", _) => Self::Flag(true),
            ("false", _) => Self::Flag(false),
            (_, Some(want)) => Self::Is(want),
            (word, None) => Self::Word(word.to_owned()),
        })
    }
}

/// Whether a code, written with or without its arguments, means what was found.
fn meant(code: &str, found: &str) -> bool {
    found == code || found.strip_prefix(code).is_some_and(|rest| rest.starts_with('('))
}

/// Whether any of the codes is among what was found; `None` when nobody knows or it is no word at all.
fn among(codes: &[String], found: &Found) -> Option<bool> {
    match found {
        Found::Word(word) => Some(codes.iter().any(|code| meant(code, word))),
        Found::List(list) => Some(codes.iter().any(|code| list.iter().any(|word| meant(code, word)))),
        Found::Unknown | Found::Number(_) | Found::Flag(_) => None,
    }
}

/// A number, or a duration in seconds.
fn number(text: &str) -> Option<f64> {
    let text = text.trim().replace('−', "-");
    let plain = text.parse::<f64>().ok().filter(|number| number.is_finite());
    #[expect(clippy::cast_precision_loss, reason = "durations of a scenario are far below 2^53 ms")]
    plain.or_else(|| words::span(&text).map(|span| span.0 as f64 / 1_000.0))
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(want) => f.write_str(&plain(*want)),
            Self::IsNot(want) => write!(f, "!= {}", plain(*want)),
            Self::Below(want) => write!(f, "< {}", plain(*want)),
            Self::AtMost(want) => write!(f, "<= {}", plain(*want)),
            Self::Above(want) => write!(f, "> {}", plain(*want)),
            Self::AtLeast(want) => write!(f, ">= {}", plain(*want)),
            Self::Near(want, by) => write!(f, "{} ± {}", plain(*want), plain(*by)),
            Self::Between(low, high) => write!(f, "{}..{}", plain(*low), plain(*high)),
            Self::Flag(want) => write!(f, "{want}"),
            Self::NotFlag(want) => write!(f, "!= {want}"),
            Self::Word(want) => f.write_str(want),
            Self::NotWord(want) => write!(f, "!= {want}"),
            Self::Has(any) => write!(f, "has {}", any.join(" | ")),
            Self::HasNot(any) => write!(f, "hasn't {}", any.join(" | ")),
            Self::Unknown => f.write_str("unknown"),
            Self::Known => f.write_str("!= unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(comparison: &str, found: Found) -> bool {
        Comparison::parse_text(comparison).unwrap().holds(&found)
    }

    #[test]
    fn numbers_compare_as_they_read() {
        for (comparison, number, expected) in [
            ("5", 5.0, true),
            ("5", 5.1, false),
            ("<= 0", 0.0, true),
            ("< 0", 0.0, false),
            (">= -5", -5.0, true),
            ("> −5", -5.0, false),
            ("0 ± 50", -50.0, true),
            ("0 ± 50", 50.1, false),
            ("10..20", 20.0, true),
            ("10..20", 9.9, false),
            ("!= 5", 6.0, true),
            ("<= 20m", 1_200.0, true),
        ] {
            assert_eq!(holds(comparison, Found::Number(number)), expected, "{number} {comparison}");
        }
    }

    #[test]
    fn what_is_unknown_meets_no_expectation_but_unknown() {
        for comparison in ["5", "!= 5", "<= 0", "true", "!= full", "full", "has x", "hasn't x", "0 ± 9"] {
            assert!(!holds(comparison, Found::Unknown), "{comparison}");
        }
        assert!(holds("unknown", Found::Unknown));
        assert!(!holds("!= unknown", Found::Unknown));
        assert!(!holds("unknown", Found::Number(0.0)));
    }

    #[test]
    fn a_code_is_found_with_or_without_its_arguments() {
        let reasons = || Found::List(vec!["floor-hold".to_owned(), "stale(meter,held)".to_owned()]);
        assert!(holds("has stale", reasons()));
        assert!(holds("has stale(meter,held)", reasons()));
        assert!(!holds("has stale(soc,held)", reasons()));
        assert!(holds("has ramp | floor-hold", reasons()));
        assert!(holds("hasn't floor", reasons()), "a part of a code is another code");
        assert!(!holds("hasn't ramp | stale", reasons()));
        assert!(holds("!= full", Found::Word("none".to_owned())));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for wrong in ["", "<= x", "!=", "5 ± x", "20..10", "has ", "has a | "] {
            assert!(Comparison::parse_text(wrong).is_err() || wrong == "has ", "{wrong:?}");
        }
    }
}
