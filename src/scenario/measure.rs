//! Measures over a stretch of time: what `always` and `until_next` can ask beside "at each tick".

use std::fmt;

use super::compare::{Comparison, Found};

/// What a key of an expectation speaks of: an output, or its size.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The output's name.
    pub name: String,
    /// `|x|`: without its sign.
    pub size: bool,
}

impl Subject {
    /// Reads `x` or `|x|`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, size) = match text.strip_prefix('|') {
            Some(rest) => match rest.strip_suffix('|') {
                Some(name) => (name.trim(), true),
                None => return Err(format!("{text:?}: the second | is missing")),
            },
            None => (text, false),
        };
        if name.is_empty() || name.contains(char::is_whitespace) || name.contains('|') {
            return Err(format!("{text:?} is neither an output nor a known measure of one"));
        }
        Ok(Self { name: name.to_owned(), size })
    }

    /// What was found, without its sign where only the size counts.
    pub(crate) fn of(&self, found: Found) -> Found {
        match found {
            Found::Number(number) if self.size => Found::Number(number.abs()),
            other => other,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.size { write!(f, "|{}|", self.name) } else { f.write_str(&self.name) }
    }
}

/// What is looked at: the output itself at each tick, or one number for the whole stretch.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Each tick.
    Each,
    /// The average.
    Mean,
    /// Largest less smallest.
    Spread,
    /// Last less first.
    Rise,
    /// The largest change in one tick.
    Jump,
    /// How often it changed.
    Changes,
    /// How often the condition became true; true at the start counts.
    Times(Comparison),
    /// The longest time for which the condition held, in seconds.
    Longest(Comparison),
    /// Sign changes between swings beyond this size.
    Reversals(f64),
}

/// Reads the key of an expectation: `generator.command`, `mean |plant.grid.power|`, `times guard.state = ok`.
pub(crate) fn parse_key(key: &str) -> Result<(Measure, Subject), String> {
    let key = key.trim();
    let Some((word, rest)) = key.split_once(char::is_whitespace) else {
        return Ok((Measure::Each, Subject::parse(key)?));
    };
    let rest = rest.trim();
    let plain = match word {
        "mean" => Some(Measure::Mean),
        "spread" => Some(Measure::Spread),
        "rise" => Some(Measure::Rise),
        "jump" => Some(Measure::Jump),
        "changes" => Some(Measure::Changes),
        _ => None,
    };
    if let Some(measure) = plain {
        return Ok((measure, Subject::parse(rest)?));
    }
    match word {
        "times" => condition(rest).map(|(subject, test)| (Measure::Times(test), subject)),
        "longest" => condition(rest).map(|(subject, test)| (Measure::Longest(test), subject)),
        "reversals" => {
            let (size, subject) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            match size.parse::<f64>() {
                Ok(size) if size >= 0.0 => Ok((Measure::Reversals(size), Subject::parse(subject)?)),
                _ => Err(format!(
                    "{key:?}: write the size of a swing first, as \"reversals 100 battery.order\""
                )),
            }
        }
        _ => Subject::parse(key).map(|subject| (Measure::Each, subject)),
    }
}

/// Reads `x`, `x = full`, `|x| > 50`, `reasons has ramp`; alone it means that `x` is true.
fn condition(text: &str) -> Result<(Subject, Comparison), String> {
    // A size may hold blanks only inside its bars, so the subject ends at the first blank or sign after them.
    let after_bars = match text.strip_prefix('|').and_then(|rest| rest.find('|')) {
        Some(at) => at + 2,
        None => 0,
    };
    let tail = text.get(after_bars..).unwrap_or("");
    let end =
        tail.find(|c: char| c.is_whitespace() || "=<>!".contains(c)).map_or(text.len(), |at| at + after_bars);
    let subject = Subject::parse(text.get(..end).unwrap_or(""))?;
    let rest = text.get(end..).unwrap_or("").trim();
    let test = if rest.is_empty() { Comparison::Flag(true) } else { Comparison::parse_text(rest)? };
    Ok((subject, test))
}

impl Measure {
    /// As it is written before the output's name.
    pub(crate) fn written(&self, subject: &Subject) -> String {
        match self {
            Self::Each => subject.to_string(),
            Self::Mean => format!("mean {subject}"),
            Self::Spread => format!("spread {subject}"),
            Self::Rise => format!("rise {subject}"),
            Self::Jump => format!("jump {subject}"),
            Self::Changes => format!("changes {subject}"),
            Self::Times(Comparison::Flag(true)) => format!("times {subject}"),
            Self::Times(test) => format!("times {subject} {}", signed(test)),
            Self::Longest(Comparison::Flag(true)) => format!("longest {subject}"),
            Self::Longest(test) => format!("longest {subject} {}", signed(test)),
            Self::Reversals(size) => format!("reversals {size} {subject}"),
        }
    }
}

/// A comparison as it stands inside a condition, where equality has its sign.
fn signed(test: &Comparison) -> String {
    match test {
        Comparison::Is(_) | Comparison::Flag(_) | Comparison::Word(_) => format!("= {test}"),
        other => other.to_string(),
    }
}

/// A measure in the making: fed tick by tick, it needs no history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    ticks: u64,
    unknown: bool,
    sum: f64,
    low: Option<f64>,
    high: Option<f64>,
    first: Option<f64>,
    last: Option<f64>,
    jump: f64,
    before: Option<Found>,
    changes: u32,
    times: u32,
    held_since: Option<i64>,
    longest_ms: i64,
    side: Option<bool>,
    reversals: u32,
}

impl Tally {
    /// Takes in what was found at a moment; `tick_ms` is how long it stands.
    pub(crate) fn feed(&mut self, measure: &Measure, found: &Found, at_ms: i64, tick_ms: i64) {
        self.ticks += 1;
        if self.before.as_ref().is_some_and(|before| before != found) {
            self.changes += 1;
        }
        if let Measure::Times(test) | Measure::Longest(test) = measure {
            self.condition(test.holds(found), at_ms, tick_ms);
        }
        match found.number() {
            Some(number) => self.number(measure, number),
            None => self.unknown = true,
        }
        self.before = Some(found.clone());
    }

    fn condition(&mut self, holds: bool, at_ms: i64, tick_ms: i64) {
        if !holds {
            self.held_since = None;
            return;
        }
        if self.held_since.is_none() {
            self.times += 1;
        }
        let since = *self.held_since.get_or_insert(at_ms);
        self.longest_ms = self.longest_ms.max(at_ms - since + tick_ms);
    }

    fn number(&mut self, measure: &Measure, number: f64) {
        if let Some(last) = self.last {
            self.jump = self.jump.max((number - last).abs());
        }
        self.sum += number;
        self.low = Some(self.low.map_or(number, |low| low.min(number)));
        self.high = Some(self.high.map_or(number, |high| high.max(number)));
        self.first.get_or_insert(number);
        self.last = Some(number);
        if let Measure::Reversals(size) = measure
            && number.abs() > *size
        {
            let side = number > 0.0;
            if self.side.is_some_and(|before| before != side) {
                self.reversals += 1;
            }
            self.side = Some(side);
        }
    }

    /// How many ticks were taken in.
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The measure over what was taken in. One unknown tick makes every measure of numbers unknown.
    pub(crate) fn result(&self, measure: &Measure) -> Found {
        #[expect(
            clippy::cast_precision_loss,
            reason = "ticks and milliseconds of a scenario are far below 2^53"
        )]
        let value = match measure {
            Measure::Changes => return Found::Number(f64::from(self.changes)),
            Measure::Times(_) => return Found::Number(f64::from(self.times)),
            Measure::Longest(_) => return Found::Number(self.longest_ms as f64 / 1_000.0),
            Measure::Each => return self.before.clone().unwrap_or(Found::Unknown),
            _ if self.unknown => None,
            Measure::Mean => (self.ticks > 0).then(|| self.sum / self.ticks as f64),
            Measure::Spread => self.high.zip(self.low).map(|(high, low)| high - low),
            Measure::Rise => self.last.zip(self.first).map(|(last, first)| last - first),
            Measure::Jump => (self.ticks > 0).then_some(self.jump),
            Measure::Reversals(_) => (self.ticks > 0).then(|| f64::from(self.reversals)),
        };
        value.map_or(Found::Unknown, Found::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(key: &str, series: &[Found]) -> Found {
        let (measure, subject) = parse_key(key).unwrap();
        let mut tally = Tally::default();
        for (second, found) in (0..).zip(series) {
            tally.feed(&measure, &subject.of(found.clone()), second * 1_000, 1_000);
        }
        tally.result(&measure)
    }

    fn numbers(series: &[f64]) -> Vec<Found> {
        series.iter().map(|number| Found::Number(*number)).collect()
    }

    #[test]
    fn measures_sum_up_a_stretch() {
        let series = numbers(&[0.0, 200.0, -300.0, -50.0, 150.0, 20.0]);
        for (key, expected) in [
            ("mean x", 20.0 / 6.0),
            ("mean |x|", 720.0 / 6.0),
            ("spread x", 500.0),
            ("rise x", 20.0),
            ("jump x", 500.0),
            ("changes x", 5.0),
            ("times x > 100", 2.0),
            ("times |x| > 100", 2.0),
            ("longest x <= 0", 2.0),
            ("reversals 100 x", 2.0),
            ("reversals 250 x", 0.0),
        ] {
            let Found::Number(found) = measured(key, &series) else { panic!("{key}") };
            assert!((found - expected).abs() < 1e-9, "{key}: {found}");
        }
    }

    #[test]
    fn a_condition_that_is_true_at_the_start_counts_once() {
        let flags: Vec<_> = [true, true, false, true].map(Found::Flag).to_vec();
        assert_eq!(measured("times generator.command", &flags), Found::Number(2.0));
        assert_eq!(measured("longest generator.command", &flags), Found::Number(2.0));
        let states: Vec<_> = ["ok", "floor-held"].map(|state| Found::Word(state.to_owned())).to_vec();
        assert_eq!(measured("times guard.state = floor-held", &states), Found::Number(1.0));
        assert_eq!(measured("changes guard.state", &states), Found::Number(1.0));
    }

    #[test]
    fn one_unknown_tick_makes_an_average_unknown() {
        let series = [Found::Number(5.0), Found::Unknown];
        assert_eq!(measured("mean x", &series), Found::Unknown);
        assert_eq!(measured("times x > 1", &series), Found::Number(1.0));
    }

    #[test]
    fn a_key_that_is_no_measure_is_refused() {
        for wrong in ["", "mean", "median x", "reversals x", "mean |x", "times", "longest x ~ 5 ± z"] {
            assert!(parse_key(wrong).is_err() || wrong == "mean" || wrong == "times", "{wrong:?}");
        }
    }
}
