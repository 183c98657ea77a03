//! What a key accepts, and what a written value means to it.

use super::measure::{Measure, amount};

/// What one key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A quantity between two bounds, both allowed, in carried units.
    Amount(Measure, i64, i64),
    /// Local time of day, carried in seconds.
    Clock,
    /// Date and time with its distance from UTC, carried in UTC seconds since 1970.
    Moment,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Any of these words, as a list.
    Words(&'static [&'static str]),
    /// Free text.
    Text,
    /// Free texts, as a list.
    Texts,
    /// `1`, `3` or a list of `l1`, `l2`, `l3`.
    Phases,
    /// A power, or the word `full`.
    Pace,
}

/// A value that its key accepts, in carried units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Yes or no.
    Flag(bool),
    /// A quantity in its carried unit, or local seconds of the day.
    Whole(i64),
    /// A word or free text.
    Text(String),
    /// Several words.
    Words(Vec<String>),
    /// Written as `"none"`: the key's absence, said aloud.
    Off,
}

/// Why a value is not accepted, and what would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub cause: String,
    /// What to write instead, as TOML.
    pub instead: String,
    /// What else could be written.
    pub choice: String,
}

/// A charge or a part of it. Nobody means less than one percent: that is a ratio.
pub const SHARE: Kind = Kind::Amount(Measure::Percent, 0, 10_000);

impl Kind {
    /// The value that a TOML value means for this kind; `optional` keys also accept `"none"`.
    pub fn read(self, value: &toml::Value, optional: bool) -> Result<Typed, Refusal> {
        if optional && value.as_str() == Some("none") {
            return Ok(Typed::Off);
        }
        self.take(value).map_err(|cause| {
            let choice = format!("it takes {}", self.accepts());
            Refusal { cause, instead: self.repair(value), choice }
        })
    }

    /// The value, or why it is none.
    pub(super) fn take(self, value: &toml::Value) -> Result<Typed, String> {
        let refuse = || format!("{} is not {}", show(value), self.accepts());
        match self {
            Self::Flag => value.as_bool().map(Typed::Flag).ok_or_else(refuse),
            Self::Amount(measure, low, high) => {
                let raw = amount(measure, value)?;
                let what = measure.print(raw);
                if self == SHARE && (1..100).contains(&raw) {
                    return Err(format!("{what} % is less than one percent: a ratio?"));
                }
                let (least, most) = (measure.print(low), measure.print(high));
                let fits = (low..=high).contains(&raw);
                fits.then_some(Typed::Whole(raw)).ok_or(format!("{what} is outside {least} to {most}"))
            }
            Self::Clock => clock(value).map(Typed::Whole).ok_or_else(refuse),
            Self::Moment => moment(value).map(Typed::Whole).ok_or_else(refuse),
            Self::Word(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(Typed::Text(word.to_owned())),
                Some(word) => Err(unknown_word(words, word)),
                None => Err(refuse()),
            },
            Self::Words(words) => {
                let list = texts(value).ok_or_else(refuse)?;
                match list.iter().find(|word| !words.contains(&word.as_str())) {
                    Some(word) => Err(unknown_word(words, word)),
                    None => Ok(Typed::Words(list)),
                }
            }
            Self::Text => match value.as_str() {
                Some(text) if !text.trim().is_empty() => Ok(Typed::Text(text.to_owned())),
                _ => Err(refuse()),
            },
            Self::Texts => texts(value).map(Typed::Words).ok_or_else(refuse),
            Self::Phases => phases(value).map(Typed::Words).ok_or_else(refuse),
            Self::Pace if value.as_str() == Some("full") => Ok(Typed::Text("full".to_owned())),
            Self::Pace => Self::Amount(Measure::Power, 1, 10_000_000).take(value),
        }
    }

    /// What a text from the environment or the command line means, as the TOML value this kind reads.
    #[must_use]
    pub fn toml_of_text(self, text: &str) -> toml::Value {
        let parsed = toml_value(text);
        match (self, &parsed) {
            (Self::Words(_) | Self::Texts | Self::Phases, toml::Value::String(list)) => toml::Value::Array(
                list.split(',').map(|word| toml::Value::String(word.trim().to_owned())).collect(),
            ),
            (Self::Text | Self::Word(_), toml::Value::Array(_) | toml::Value::Table(_)) => {
                toml::Value::String(text.to_owned())
            }
            (Self::Text | Self::Word(_), _) if !parsed.is_str() => toml::Value::String(text.to_owned()),
            _ => parsed,
        }
    }

    /// What it accepts, for a table of keys.
    #[must_use]
    pub fn accepts(self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Amount(measure, low, high) => {
                format!("{}, {} to {}", measure.noun(), measure.print(low), measure.print(high))
            }
            Self::Clock => "a time of day, \"00:00\" to \"23:59:59\"".to_owned(),
            Self::Moment => "a date and time of whole seconds with Z or the distance from UTC".to_owned(),
            Self::Word(words) => format!("one of {}", listed(words)),
            Self::Words(words) => format!("a list of {}", listed(words)),
            Self::Text => "text".to_owned(),
            Self::Texts => "a list of texts".to_owned(),
            Self::Phases => "1, 3, or a list of \"l1\", \"l2\", \"l3\"".to_owned(),
            Self::Pace => "a power, or \"full\"".to_owned(),
        }
    }

    /// A value as TOML that reads back as the same value.
    #[must_use]
    pub fn print(self, typed: &Typed) -> String {
        match (self, typed) {
            (_, Typed::Off) => "\"none\"".to_owned(),
            (_, Typed::Flag(flag)) => flag.to_string(),
            (_, Typed::Text(text)) => quoted(text),
            (_, Typed::Words(words)) => {
                format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", "))
            }
            (Self::Amount(measure, ..), Typed::Whole(raw)) => match measure.plain() {
                Some(_) if measure != Measure::Temperature => measure.print(*raw),
                _ => quoted(&measure.print(*raw)),
            },
            (Self::Pace, Typed::Whole(raw)) => quoted(&Measure::Power.print(*raw)),
            (Self::Clock, Typed::Whole(raw)) => quoted(&print_clock(*raw)),
            (Self::Moment, Typed::Whole(raw)) => quoted(&print_moment(*raw)),
            (_, Typed::Whole(raw)) => raw.to_string(),
        }
    }
}

fn unknown_word(words: &[&str], word: &str) -> String {
    let near = super::nearest::nearest(word, words.iter().copied());
    let hint = near.map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
    format!("\"{word}\" is not known here{hint}")
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(control))),
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// A value as it was written, near enough for a sentence.
pub(super) fn show(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => quoted(text),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        toml::Value::Boolean(flag) => flag.to_string(),
        toml::Value::Datetime(moment) => moment.to_string(),
        toml::Value::Array(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", ")),
        toml::Value::Table(_) => "a table".to_owned(),
    }
}

fn listed(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

fn toml_value(text: &str) -> toml::Value {
    let document = format!("value = {text}");
    let parsed = toml::from_str::<toml::Table>(&document).ok().filter(|table| table.len() == 1);
    match parsed.and_then(|mut table| table.remove("value")) {
        Some(toml::Value::Datetime(_)) | None => toml::Value::String(text.to_owned()),
        Some(value) => value,
    }
}

fn texts(value: &toml::Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn phases(value: &toml::Value) -> Option<Vec<String>> {
    let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    match value {
        toml::Value::Integer(1) => named(&["l1"]),
        toml::Value::Integer(3) => named(&["l1", "l2", "l3"]),
        toml::Value::Array(list) if list.len() == 1 && list.iter().all(toml::Value::is_integer) => {
            phases(list.first()?)
        }
        _ => texts(value).filter(|list| {
            let mut sorted = list.clone();
            sorted.sort();
            sorted.dedup();
            !list.is_empty()
                && sorted.len() == list.len()
                && list.iter().all(|name| ["l1", "l2", "l3"].contains(&name.as_str()))
        }),
    }
}

fn clock(value: &toml::Value) -> Option<i64> {
    let text = value.as_str()?;
    let mut parts = text.split(':');
    let mut part = |most: i64| {
        let digits = parts.next()?;
        let ok = (1..=2).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<i64>().ok().filter(|number| ok && *number <= most)
    };
    let (hour, minute) = (part(23)?, part(59)?);
    let second = if text.matches(':').count() == 2 { part(59)? } else { 0 };
    parts.next().is_none().then_some(hour * 3_600 + minute * 60 + second)
}

fn moment(value: &toml::Value) -> Option<i64> {
    let stamp: jiff::Timestamp = value.as_str()?.parse().ok()?;
    (stamp.subsec_nanosecond() == 0).then(|| stamp.as_second())
}

/// UTC seconds since 1970 as people write them.
pub(super) fn print_moment(raw: i64) -> String {
    jiff::Timestamp::from_second(raw).map_or_else(|_| raw.to_string(), |stamp| stamp.to_string())
}

fn print_clock(raw: i64) -> String {
    let (hour, minute, second) = (raw / 3_600, raw / 60 % 60, raw % 60);
    if second == 0 { format!("{hour:02}:{minute:02}") } else { format!("{hour:02}:{minute:02}:{second:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> toml::Value {
        toml::Value::String(text.to_owned())
    }

    #[test]
    fn times_of_day_are_hours_and_minutes() {
        assert_eq!(clock(&text("22:00")), Some(79_200));
        assert_eq!(clock(&text("7:05:09")), Some(25_509));
        for wrong in ["24:00", "7", "7:60", "7:00:00:00", "+7:00", "", ":"] {
            assert_eq!(clock(&text(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn moments_say_how_far_they_are_from_utc() {
        let noon = 1_780_315_200;
        for written in ["2026-06-01T12:00:00Z", "2026-06-01T14:00:00+02:00", "2026-06-01 14:00+02:00"] {
            assert_eq!(moment(&text(written)), Some(noon), "{written}");
        }
        assert_eq!(print_moment(noon), "2026-06-01T12:00:00Z");
        for wrong in ["2026-06-01T12:00:00", "2026-06-01", "12:00", "2026-06-01T12:00:00.5Z", ""] {
            assert_eq!(moment(&text(wrong)), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_from_the_environment_makes_a_key_fall_over(written in "\\PC*") {
            let words = Kind::Words(&["battery", "inverter"]);
            for kind in [Kind::Flag, Kind::Clock, Kind::Moment, words, Kind::Text, Kind::Texts, Kind::Phases, Kind::Pace] {
                let _ = kind.read(&kind.toml_of_text(&written), true);
            }
        }
    }
}
