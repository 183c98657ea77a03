//! Quantities as people write them: `"1h30m"`, `"5 kW"`, `20.5`.
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
    pub(super) fn plain(self) -> Option<i64> {
        match self {
            Self::Count => Some(1),
            Self::Percent => Some(100),
            Self::Temperature => Some(10),
            Self::Duration | Self::Power | Self::Ramp | Self::Energy | Self::Current | Self::Voltage => None,
        }
    }

    /// What it is, for a sentence.
    pub(super) fn noun(self) -> &'static str {
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

    /// One that is often right, in carried units.
    pub(super) fn usual(self) -> i64 {
        match self {
            Self::Count => 1,
            Self::Percent => 2_000,
            Self::Duration => 60_000,
            Self::Power => 5_000,
            Self::Ramp => 1_000,
            Self::Energy => 10_000,
            Self::Current => 16_000,
            Self::Voltage => 48_500,
            Self::Temperature => 50,
        }
    }

    /// Its units, the one first that people leave out most often.
    pub(super) fn usual_units(self) -> &'static [&'static str] {
        match self {
            Self::Count => &[""],
            Self::Percent => &["%"],
            Self::Duration => &["m", "s", "h", "ms"],
            Self::Power => &["kW", "W", "MW"],
            Self::Ramp => &["W/s", "kW/s"],
            Self::Energy => &["kWh", "Wh", "MWh"],
            Self::Current => &["A", "mA", "kA"],
            Self::Voltage => &["V", "mV", "kV"],
            Self::Temperature => &["°C"],
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

/// The carried value of what a person wrote, or why there is none.
pub(super) fn amount(measure: Measure, value: &toml::Value) -> Result<i64, String> {
    let text = match value {
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) if number.is_finite() => number.to_string(),
        toml::Value::String(text) => text.trim().to_owned(),
        other => return Err(format!("{} is not {}", super::value::show(other), measure.noun())),
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
        }
    }
}
