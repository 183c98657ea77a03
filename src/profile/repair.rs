//! What a value was probably meant as: the text that a way out tells people to write.
//!
//! A guess is offered only when its key accepts it, so a way out never leads to the same mistake again.

use super::measure::{Measure, amount};
use super::nearest::nearest;
use super::value::{Kind, Typed, show};

impl Kind {
    /// A value that this kind accepts, as TOML, as near to the written one as it can be told.
    pub(super) fn repair(self, written: &toml::Value) -> String {
        let accepted = |value: &toml::Value| self.take(value).ok();
        let near = self.guesses(written).iter().find_map(accepted);
        self.print(&near.unwrap_or_else(|| self.usual()))
    }

    /// What was probably meant, likeliest first.
    fn guesses(self, written: &toml::Value) -> Vec<toml::Value> {
        let said = written.as_str().map_or_else(|| show(written), str::to_owned);
        let text = |text: String| toml::Value::String(text);
        match self {
            Self::Flag => {
                let yes = ["true", "yes", "on", "1", "ja"].contains(&said.to_lowercase().as_str());
                vec![toml::Value::Boolean(yes)]
            }
            Self::Amount(measure, low, high) => amounts(measure, low, high, &said),
            Self::Pace => amounts(Measure::Power, 1, 10_000_000, &said),
            Self::Clock => clocks(&said).into_iter().map(text).collect(),
            Self::Moment => {
                let day = said.split('.').next().unwrap_or_default();
                ["Z", ":00Z", "T00:00:00Z"].map(|rest| text(format!("{day}{rest}"))).to_vec()
            }
            Self::Word(words) => word(words, &said).map(|word| text(word.to_owned())).into_iter().collect(),
            Self::Words(words) => {
                let known: Vec<toml::Value> = listed(written)
                    .iter()
                    .filter_map(|said| word(words, said))
                    .map(|word| text(word.to_owned()))
                    .collect();
                if known.is_empty() { Vec::new() } else { vec![toml::Value::Array(known)] }
            }
            Self::Text => vec![text(said)],
            Self::Texts => vec![toml::Value::Array(listed(written).into_iter().map(text).collect())],
            Self::Phases => {
                let names = listed(written).into_iter().map(|said| match said.trim() {
                    "1" | "2" | "3" if written.is_array() => format!("l{}", said.trim()),
                    said => said.to_lowercase(),
                });
                let first_two = [text("l1".to_owned()), text("l2".to_owned())].to_vec();
                let two = (said.trim() == "2").then_some(toml::Value::Array(first_two));
                two.into_iter().chain([toml::Value::Array(names.map(text).collect())]).collect()
            }
        }
    }

    /// A value that is never wrong to show as an example.
    fn usual(self) -> Typed {
        match self {
            Self::Flag => Typed::Flag(false),
            Self::Amount(measure, low, high) => Typed::Whole(measure.usual().clamp(low, high)),
            Self::Clock => Typed::Whole(79_200),
            Self::Moment => Typed::Whole(1_780_315_200),
            Self::Word(words) => Typed::Text(words.first().copied().unwrap_or_default().to_owned()),
            Self::Words(words) => {
                Typed::Words(words.first().map(|word| (*word).to_owned()).into_iter().collect())
            }
            Self::Text => Typed::Text("My site".to_owned()),
            Self::Texts => Typed::Words(vec!["off-grid".to_owned()]),
            Self::Phases => Typed::Words(vec!["l1".to_owned()]),
            Self::Pace => Typed::Text("full".to_owned()),
        }
    }
}

/// The words of a list, or of a text with commas in place of one.
fn listed(written: &toml::Value) -> Vec<String> {
    match written {
        toml::Value::Array(list) => {
            list.iter().map(|item| item.as_str().map_or_else(|| show(item), str::to_owned)).collect()
        }
        toml::Value::String(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        other => vec![show(other)],
    }
}

fn word(words: &'static [&'static str], said: &str) -> Option<&'static str> {
    let said = said.trim().to_lowercase().replace(['_', ' '], "-");
    words
        .iter()
        .find(|word| **word == said)
        .or_else(|| {
            let near = nearest(&said, words.iter().copied())?;
            words.iter().find(|word| **word == near)
        })
        .copied()
}

/// Amounts with the decimal point, the spelling of the unit, the unit itself or the size put right.
fn amounts(measure: Measure, low: i64, high: i64, said: &str) -> Vec<toml::Value> {
    let pointed = if said.contains(',') { said.replace('.', "").replace(',', ".") } else { said.to_owned() };
    let end = pointed.find(|letter: char| !(letter.is_ascii_digit() || "+-. ".contains(letter)));
    let (number, unit) = pointed.split_at(end.unwrap_or(pointed.len()));
    let (number, unit) = (number.trim(), unit.trim());
    let mut texts = vec![pointed.clone()];
    if measure == Measure::Percent && number.parse::<f64>().is_ok_and(|share| share > 0.0 && share < 1.0) {
        let hundredfold = number.parse::<f64>().unwrap_or(0.0) * 100.0;
        texts.insert(0, format!("{hundredfold:.2}"));
    }
    let alike = |known: &&str| unit.to_lowercase().starts_with(&known.to_lowercase()) && !known.is_empty();
    let mut spelt: Vec<&str> = measure.usual_units().iter().copied().filter(alike).collect();
    spelt.sort_by_key(|known| std::cmp::Reverse(known.len()));
    // Without a unit, a small power is in kW: nobody's inverter has 5 W.
    let small = number.trim_start_matches('-').split('.').next().is_some_and(|digits| digits.len() <= 2);
    let mut usual = measure.usual_units().to_vec();
    if measure == Measure::Power && !small {
        usual.swap(0, 1);
    }
    texts.extend(spelt.into_iter().chain(usual).map(|unit| format!("{number} {unit}")));
    if let Some((hours, minutes)) = pointed.split_once(':').filter(|_| measure == Measure::Duration) {
        texts.insert(0, format!("{hours}h{}m", minutes.split(':').next().unwrap_or("0")));
    }
    let mut values: Vec<toml::Value> = texts.into_iter().map(toml::Value::String).collect();
    if let Ok(raw) = amount(measure, &toml::Value::String(pointed.clone())) {
        values.push(toml::Value::String(measure.print(raw.clamp(low, high))));
    } else if let Ok(number) = number.parse::<f64>() {
        values.push(toml::Value::String(format!("{number:.0} {unit}")));
    }
    values
}

/// Times of day as other programs and people write them.
fn clocks(said: &str) -> Vec<String> {
    let low = said.trim().to_lowercase();
    let digits: String = low.chars().filter(char::is_ascii_digit).collect();
    let hour: Option<u32> = digits.parse().ok().filter(|_| digits.len() <= 2);
    let afternoon =
        hour.filter(|hour| low.contains("pm") && *hour < 12).map(|hour| format!("{:02}:00", hour + 12));
    let midnight = low.starts_with("24").then(|| "00:00".to_owned());
    let parts = digits.len().checked_sub(2).and_then(|at| digits.split_at_checked(at));
    let colon =
        parts.filter(|(hours, _)| !hours.is_empty()).map(|(hours, minutes)| format!("{hours}:{minutes}"));
    afternoon
        .into_iter()
        .chain(midnight)
        .chain(hour.map(|hour| format!("{hour:02}:00")))
        .chain(colon)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_repaired_as_it_was_meant() {
        let power = Kind::Amount(Measure::Power, -1_000_000, 1_000_000);
        let share = Kind::Amount(Measure::Percent, 0, 10_000);
        let minutes = Kind::Amount(Measure::Duration, 0, 86_400_000);
        for (kind, written, meant) in [
            (power, "5kw", "\"5 kW\""),
            (power, "5", "\"5 kW\""),
            (power, "4600", "\"4.6 kW\""),
            (power, "5,5 kW", "\"5.5 kW\""),
            (power, "1.500,5 W", "\"1.5 kW\""),
            (power, "5 MW", "\"5 kW\""),
            (power, "5 kWh", "\"5 kW\""),
            (share, "120", "100"),
            (share, "0.2", "20"),
            (share, "20,5", "20.5"),
            (minutes, "20", "\"20m\""),
            (minutes, "20 minutes", "\"20m\""),
            (minutes, "01:20", "\"1h20m\""),
            (Kind::Clock, "22.30", "\"22:30\""),
            (Kind::Clock, "10 pm", "\"22:00\""),
            (Kind::Clock, "24:00", "\"00:00\""),
            (Kind::Moment, "2026-06-01T12:00", "\"2026-06-01T12:00:00Z\""),
            (Kind::Phases, "L1, L2", "[\"l1\", \"l2\"]"),
            (Kind::Words(&["battery", "grid-meter"]), "Grid_Meter", "[\"grid-meter\"]"),
        ] {
            assert_eq!(kind.repair(&toml::Value::String(written.to_owned())), meant, "{written}");
        }
    }

    proptest! {
        #[test]
        fn what_is_offered_is_always_accepted(written in "\\PC{0,12}", number in -2_000_000_i64..2_000_000) {
            for key in super::super::keys() {
                for value in [toml::Value::String(written.clone()), toml::Value::Integer(number)] {
                    let offered = format!("it = {}", key.kind.repair(&value));
                    let read = toml::from_str::<toml::Table>(&offered).unwrap().remove("it").unwrap();
                    prop_assert!(key.kind.take(&read).is_ok(), "{}: {offered}", key.path);
                }
            }
        }
    }
}
