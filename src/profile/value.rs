//! Values as people write them: `"1h30m"`, `"5 kW"`, `20.5`, `"22:00"`.
//!
//! Every number becomes an integer in the unit that `control` carries, exactly: what is finer than that unit
//! is refused, not rounded. Printing and reading again gives the same value.

use crate::control::units::decimal;

/// What a quantity measures, and with it the units people may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// A plain whole number.
    Count,
    /// 0.01 %, written as a plain number.
    Percent,
    /// Milliseconds.
    Duration,
    /// W.
    Power,
    /// W per second.
    Ramp,
    /// Wh.
    Energy,
    /// mA.
    Current,
    /// mV.
    Voltage,
    /// 0.1 °C; a plain number is °C.
    Temperature,
}

impl Measure {
    /// Accepted units and how many carried steps each one is; the first is preferred in advice.
    fn units(self) -> &'static [(&'static str, i64)] {
        match self {
            Self::Count => &[("", 1)],
            Self::Percent => &[("%", 100)],
            Self::Duration => &[
                ("ms", 1),
                ("s", 1_000),
                ("min", 60_000),
                ("m", 60_000),
                ("h", 3_600_000),
                ("d", 86_400_000),
            ],
            Self::Power => &[("W", 1), ("kW", 1_000), ("MW", 1_000_000)],
            Self::Ramp => &[("W/s", 1), ("kW/s", 1_000)],
            Self::Energy => &[("Wh", 1), ("kWh", 1_000), ("MWh", 1_000_000)],
            Self::Current => &[("A", 1_000), ("mA", 1), ("kA", 1_000_000)],
            Self::Voltage => &[("V", 1_000), ("mV", 1), ("kV", 1_000_000)],
            Self::Temperature => &[("°C", 10), ("C", 10)],
        }
    }

    /// What a number without a unit means; `None` when it needs one.
    fn plain(self) -> Option<i64> {
        match self {
            Self::Count => Some(1),
            Self::Percent => Some(100),
            Self::Temperature => Some(10),
            Self::Duration | Self::Power | Self::Ramp | Self::Energy | Self::Current | Self::Voltage => None,
        }
    }

    /// What it is, for a sentence.
    fn noun(self) -> &'static str {
        match self {
            Self::Count => "a whole number",
            Self::Percent => "a percentage",
            Self::Duration => "a duration",
            Self::Power => "a power",
            Self::Ramp => "a power per second",
            Self::Energy => "an energy",
            Self::Current => "a current",
            Self::Voltage => "a voltage",
            Self::Temperature => "a temperature",
        }
    }

    /// One that would be read.
    fn example(self) -> &'static str {
        match self {
            Self::Count => "3",
            Self::Percent => "20 or 20.5",
            Self::Duration => "\"20m\", \"1h30m\" or \"500ms\"",
            Self::Power => "\"5 kW\" or \"-200 W\"",
            Self::Ramp => "\"1000 W/s\"",
            Self::Energy => "\"10 kWh\"",
            Self::Current => "\"16 A\"",
            Self::Voltage => "\"48.5 V\"",
            Self::Temperature => "\"5 °C\"",
        }
    }

    /// As people write it, so that reading it again gives the same value.
    #[must_use]
    pub fn print(self, raw: i64) -> String {
        match self {
            Self::Count => raw.to_string(),
            Self::Percent => decimal(raw, 100),
            Self::Duration => print_duration(raw),
            Self::Power => print_kilo(raw, "W", "kW"),
            Self::Ramp => format!("{raw} W/s"),
            Self::Energy => print_kilo(raw, "Wh", "kWh"),
            Self::Current => format!("{} A", decimal(raw, 1_000)),
            Self::Voltage => format!("{} V", decimal(raw, 1_000)),
            Self::Temperature => format!("{} °C", decimal(raw, 10)),
        }
    }
}

fn print_kilo(raw: i64, small: &str, large: &str) -> String {
    if raw.unsigned_abs() >= 1_000 && raw % 100 == 0 {
        format!("{} {large}", decimal(raw, 1_000))
    } else {
        format!("{raw} {small}")
    }
}

fn print_duration(raw: i64) -> String {
    if raw == 0 {
        return "0s".to_owned();
    }
    let mut text = if raw < 0 { "-".to_owned() } else { String::new() };
    let mut left = raw.unsigned_abs();
    for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        let whole = left / size;
        left %= size;
        if whole > 0 {
            text.push_str(&format!("{whole}{unit}"));
        }
    }
    text
}

/// What one key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A quantity between two bounds, both allowed, in carried units.
    Amount(Measure, i64, i64),
    /// Local time of day, carried in seconds.
    Clock,
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
    /// What to write instead.
    pub way_out: String,
}

impl Kind {
    /// The value that a TOML value means for this kind; `optional` keys also accept `"none"`.
    pub fn read(self, value: &toml::Value, optional: bool) -> Result<Typed, Refusal> {
        if optional && value.as_str() == Some("none") {
            return Ok(Typed::Off);
        }
        match self {
            Self::Flag => value.as_bool().map(Typed::Flag).ok_or_else(|| self.refuse(value)),
            Self::Amount(measure, low, high) => {
                let raw = amount(measure, value).map_err(|cause| self.because(cause))?;
                if (low..=high).contains(&raw) {
                    return Ok(Typed::Whole(raw));
                }
                let (what, least, most) = (measure.print(raw), measure.print(low), measure.print(high));
                Err(Refusal {
                    cause: format!("{what} is outside {least} to {most}"),
                    way_out: format!("write a value from {least} to {most}"),
                })
            }
            Self::Clock => clock(value).map(Typed::Whole).ok_or_else(|| self.refuse(value)),
            Self::Word(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Ok(Typed::Text(word.to_owned())),
                Some(word) => Err(self.unknown_word(words, word)),
                None => Err(self.refuse(value)),
            },
            Self::Words(words) => {
                let list = texts(value).ok_or_else(|| self.refuse(value))?;
                match list.iter().find(|word| !words.contains(&word.as_str())) {
                    Some(word) => Err(self.unknown_word(words, word)),
                    None => Ok(Typed::Words(list)),
                }
            }
            Self::Text => match value.as_str() {
                Some(text) if !text.trim().is_empty() => Ok(Typed::Text(text.to_owned())),
                _ => Err(self.refuse(value)),
            },
            Self::Texts => texts(value).map(Typed::Words).ok_or_else(|| self.refuse(value)),
            Self::Phases => phases(value).map(Typed::Words).ok_or_else(|| self.refuse(value)),
            Self::Pace if value.as_str() == Some("full") => Ok(Typed::Text("full".to_owned())),
            Self::Pace => Self::Amount(Measure::Power, 1, 10_000_000).read(value, false),
        }
    }

    /// What a text from the environment or the command line means, as the TOML value this kind reads.
    #[must_use]
    pub fn from_text(self, text: &str) -> toml::Value {
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
            (_, Typed::Whole(raw)) => raw.to_string(),
        }
    }

    fn example(self) -> String {
        match self {
            Self::Flag => "true or false, without quotes".to_owned(),
            Self::Amount(measure, ..) => measure.example().to_owned(),
            Self::Clock => "\"22:00\"".to_owned(),
            Self::Word(words) => format!("one of {}", listed(words)),
            Self::Words(words) => format!("a list such as [\"{}\"]", words.first().unwrap_or(&"")),
            Self::Text => "text in quotes".to_owned(),
            Self::Texts => "a list such as [\"off-grid\"]".to_owned(),
            Self::Phases => "1, 3 or a list such as [\"l1\"]".to_owned(),
            Self::Pace => "\"full\" or \"2 kW\"".to_owned(),
        }
    }

    fn refuse(self, value: &toml::Value) -> Refusal {
        self.because(format!("{} is not {}", show(value), self.accepts()))
    }

    fn because(self, cause: String) -> Refusal {
        Refusal { cause, way_out: format!("write {}", self.example()) }
    }

    fn unknown_word(self, words: &[&str], word: &str) -> Refusal {
        let near = super::nearest::nearest(word, words.iter().copied());
        let hint = near.map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
        Refusal {
            cause: format!("\"{word}\" is not known here{hint}"),
            way_out: format!("write {}", self.example()),
        }
    }
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
fn show(value: &toml::Value) -> String {
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

fn print_clock(raw: i64) -> String {
    let (hour, minute, second) = (raw / 3_600, raw / 60 % 60, raw % 60);
    if second == 0 { format!("{hour:02}:{minute:02}") } else { format!("{hour:02}:{minute:02}:{second:02}") }
}

fn amount(measure: Measure, value: &toml::Value) -> Result<i64, String> {
    let text = match value {
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) if number.is_finite() => number.to_string(),
        toml::Value::String(text) => text.trim().to_owned(),
        other => return Err(format!("{} is not {}", show(other), measure.noun())),
    };
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest.trim_start()),
        None => (1, text.strip_prefix('+').unwrap_or(&text).trim_start()),
    };
    let mut sum = 0i64;
    let mut parts = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let tail = tail.trim_start();
        let end = tail.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let steps = steps(measure, unit, number).ok_or_else(|| unreadable(measure, &text, number, unit))?;
        let part = scaled(number, steps).map_err(|trouble| match trouble {
            Unscaled::NoNumber => format!("\"{text}\" is not {}", measure.noun()),
            Unscaled::TooFine => format!("\"{text}\" is finer than {}", measure.print(1)),
            Unscaled::TooLarge => format!("\"{text}\" is far too large"),
        })?;
        sum = sum.saturating_add(part);
        parts += 1;
        rest = tail.trim_start();
    }
    let many = parts > 1 && measure != Measure::Duration;
    if parts == 0 || many {
        return Err(format!("\"{text}\" is not {}", measure.noun()));
    }
    Ok(sum.saturating_mul(sign))
}

/// Steps of the unit a person wrote. A zero needs no unit: it is zero in all of them.
fn steps(measure: Measure, unit: &str, number: &str) -> Option<i64> {
    if unit.is_empty() {
        let zero = !number.is_empty() && number.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        return measure.plain().or(zero.then_some(1));
    }
    measure.units().iter().find(|(name, _)| *name == unit).map(|(_, steps)| *steps)
}

fn unreadable(measure: Measure, text: &str, number: &str, unit: &str) -> String {
    if number.is_empty() {
        return format!("\"{text}\" is not {}", measure.noun());
    }
    if unit.is_empty() {
        return format!("{text} has no unit");
    }
    let known = measure.units().iter().map(|(name, _)| *name).collect::<Vec<_>>();
    format!("\"{unit}\" is not a unit of {} (known: {})", measure.noun(), known.join(", "))
}

enum Unscaled {
    NoNumber,
    TooFine,
    TooLarge,
}

fn scaled(number: &str, steps: i64) -> Result<i64, Unscaled> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || fraction.contains('.') {
        return Err(Unscaled::NoNumber);
    }
    if whole.len() > 15 || fraction.len() > 9 {
        return Err(if whole.len() > 15 { Unscaled::TooLarge } else { Unscaled::TooFine });
    }
    let digits: i128 = format!("{whole}{fraction}").parse().map_err(|_| Unscaled::NoNumber)?;
    let power = 10i128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    let product = digits.saturating_mul(i128::from(steps));
    if product % power != 0 {
        return Err(Unscaled::TooFine);
    }
    i64::try_from(product / power).map_err(|_| Unscaled::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> toml::Value {
        toml::Value::String(text.to_owned())
    }

    #[test]
    fn quantities_are_read_as_people_write_them() {
        for (measure, written, raw) in [
            (Measure::Duration, "20m", 1_200_000),
            (Measure::Duration, "1h30m", 5_400_000),
            (Measure::Duration, "1 h 30 min", 5_400_000),
            (Measure::Duration, "500ms", 500),
            (Measure::Duration, "1.5s", 1_500),
            (Measure::Duration, "2d", 172_800_000),
            (Measure::Power, "5 kW", 5_000),
            (Measure::Power, "-200 W", -200),
            (Measure::Power, "3600W", 3_600),
            (Measure::Power, "0", 0),
            (Measure::Energy, "10 kWh", 10_000),
            (Measure::Current, "16 A", 16_000),
            (Measure::Voltage, "48.5 V", 48_500),
            (Measure::Temperature, "5 °C", 50),
            (Measure::Temperature, "-10.5", -105),
            (Measure::Percent, "20.5", 2_050),
            (Measure::Ramp, "1000 W/s", 1_000),
        ] {
            assert_eq!(amount(measure, &text(written)), Ok(raw), "{written}");
        }
        assert_eq!(amount(Measure::Percent, &toml::Value::Float(20.5)), Ok(2_050));
        assert_eq!(amount(Measure::Percent, &toml::Value::Integer(20)), Ok(2_000));
    }

    #[test]
    fn a_number_that_could_mean_two_things_is_refused() {
        for (measure, value) in [
            (Measure::Duration, toml::Value::Integer(20)),
            (Measure::Power, toml::Value::Integer(5)),
            (Measure::Power, text("5")),
            (Measure::Power, text("5 kWh")),
            (Measure::Power, text("5 kW 3 W")),
            (Measure::Percent, text("20.001")),
            (Measure::Power, text("1.2.3 kW")),
            (Measure::Power, text("kW")),
            (Measure::Power, text("")),
            (Measure::Power, text("99999999999999999999 W")),
            (Measure::Percent, toml::Value::Float(f64::NAN)),
        ] {
            assert!(amount(measure, &value).is_err(), "{measure:?} {value:?}");
        }
    }

    #[test]
    fn times_of_day_are_hours_and_minutes() {
        assert_eq!(clock(&text("22:00")), Some(79_200));
        assert_eq!(clock(&text("7:05:09")), Some(25_509));
        for wrong in ["24:00", "7", "7:60", "7:00:00:00", "+7:00", "", ":"] {
            assert_eq!(clock(&text(wrong)), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_quantity_reads_back_what_it_prints(raw in -2_000_000_000i64..2_000_000_000) {
            for measure in [
                Measure::Count, Measure::Percent, Measure::Duration, Measure::Power, Measure::Ramp,
                Measure::Energy, Measure::Current, Measure::Voltage, Measure::Temperature,
            ] {
                prop_assert_eq!(amount(measure, &text(&measure.print(raw))), Ok(raw), "{:?}", measure);
            }
        }

        #[test]
        fn no_text_makes_the_reader_fall_over(written in "\\PC*") {
            for measure in [Measure::Count, Measure::Duration, Measure::Power, Measure::Temperature] {
                let _ = amount(measure, &text(&written));
            }
            let _ = clock(&text(&written));
            let _ = Kind::Phases.from_text(&written);
        }
    }
}
