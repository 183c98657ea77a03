//! What the site hears, tick by tick: given values, silence, sentinels, frozen samples, and the plant's devices.

use crate::control::signal::{Quantity, Signal, SignalId, Signals, Unit};
use crate::control::units::{Mono, Span};
use crate::device::mistake::Mistake;

use super::super::format::Given;
use super::super::format::value::{Chance, Source};
use super::super::format::words;

/// One sample on its way to the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub signal: SignalId,
    /// In the carried unit; `None` is the sentinel.
    pub value: Option<i64>,
    pub asked_at: Mono,
}

/// Where one signal's samples come from.
#[derive(Clone, Debug)]
struct Tap {
    signal: Signal,
    /// Its own name first, then those by which the profile also knows it.
    names: Vec<String>,
    source: Source,
    started: Mono,
    /// The number before the source took over: where ramps begin.
    from: f64,
    /// The last number, in the unit people write.
    number: f64,
    last: Option<(Option<i64>, Mono)>,
    /// No sample before this moment.
    due: Mono,
}

/// All signals of a site and where their samples come from.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    taps: Vec<Tap>,
    chance: Chance,
}

impl Feed {
    /// Every signal silent, or heard from the plant when there is one. A contact answers also without a plant:
    /// it belongs to the device that takes the order, not to the world.
    /// `names` are further names that the profile gives to its signals.
    pub(crate) fn new(signals: &Signals, names: &[(String, SignalId)], closed_loop: bool, seed: u64) -> Self {
        let answers = |signal: &Signal| closed_loop || signal.quantity == Quantity::GeneratorContact;
        let all_names = |id: SignalId, signal: &Signal| {
            let also = names.iter().filter(|(_, of)| *of == id).map(|(name, _)| name.clone());
            std::iter::once(signal.name()).chain(also).collect()
        };
        let tap = |(id, signal): (SignalId, &Signal)| Tap {
            signal: signal.clone(),
            names: all_names(id, signal),
            source: if answers(signal) { Source::Plant } else { Source::Missing },
            started: Mono::ZERO,
            from: 0.0,
            number: 0.0,
            last: None,
            due: Mono::ZERO,
        };
        Self { taps: signals.iter().map(tap).collect(), chance: Chance::new(seed) }
    }

    /// Changes the source of every signal that fits. A value that fits none is a mistake, not a wish.
    pub(crate) fn give(&mut self, given: &Given, file: &str, now: Mono) -> Result<(), Mistake> {
        let mistake = |cause: String, way_out: String| Mistake {
            file: file.to_owned(),
            line: given.line,
            key: given.pattern.clone(),
            cause,
            way_out,
        };
        let mut fitted = false;
        for tap in self.taps.iter_mut().filter(|tap| fits(&given.pattern, tap)) {
            fitted = true;
            let source =
                named(&given.source, &tap.signal).map_err(|(cause, way_out)| mistake(cause, way_out))?;
            tap.from = tap.number;
            tap.source = source;
            tap.started = now;
            tap.due = now;
        }
        if fitted {
            return Ok(());
        }
        let names = self.taps.iter().flat_map(|tap| &tap.names).map(String::as_str);
        let way_out = match words::nearest(&given.pattern, names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "give a signal that a device of this profile measures".to_owned(),
        };
        Err(mistake("this site has no such signal".to_owned(), way_out))
    }

    /// The samples of this tick. `plant` tells what a device would say now of a signal, in the unit people write.
    pub(crate) fn sample(
        &mut self,
        now: Mono,
        plant: &dyn Fn(&Signal) -> Option<f64>,
        out: &mut Vec<Sample>,
    ) {
        out.clear();
        for (id, tap) in (0u16..).map(SignalId).zip(&mut self.taps) {
            if now < tap.due {
                continue;
            }
            let (every, age) = match &tap.source {
                Source::Timed { every, age, .. } => (*every, *age),
                _ => (None, Span::ZERO),
            };
            let said = match &tap.source {
                Source::Plant => plant(&tap.signal).map(Some),
                Source::Frozen => {
                    let again = tap.last.map(|(value, asked_at)| Sample { signal: id, value, asked_at });
                    out.extend(again);
                    continue;
                }
                source => source.value(now, tap.started, tap.from, &mut self.chance),
            };
            let Some(said) = said else { continue };
            if let Some(every) = every {
                tap.due = now + every;
            }
            if let Some(number) = said {
                tap.number = number;
            }
            let value = said.map(|number| carried(number, tap.signal.quantity.unit()));
            let asked_at = now - age;
            tap.last = Some((value, asked_at));
            out.push(Sample { signal: id, value, asked_at });
        }
    }

    /// What the last sample of a signal said, for drawings.
    pub(crate) fn heard(&self, name: &str) -> Option<f64> {
        let tap = self.taps.iter().find(|tap| tap.names.iter().any(|known| known == name))?;
        let (value, _) = tap.last?;
        value.map(|value| spoken(value, tap.signal.quantity.unit()))
    }
}

/// A plain name means the site's signal and, when only devices have it, theirs.
fn fits(pattern: &str, tap: &Tap) -> bool {
    let plain = Signal::site(tap.signal.quantity, tap.signal.phase);
    tap.names.iter().any(|name| words::fits(pattern, name))
        || (tap.signal.device.is_some() && words::fits(pattern, &plain.name()))
}

/// Gives words their codes; refuses words that the signal does not know.
fn named(source: &Source, signal: &Signal) -> Result<Source, (String, String)> {
    let Source::Word(word) = source else {
        if let Source::Timed { is, every, age } = source {
            let is = Box::new(named(is, signal)?);
            return Ok(Source::Timed { is, every: *every, age: *age });
        }
        return Ok(source.clone());
    };
    let codes: &[&str] = match signal.quantity {
        Quantity::GeneratorMode => &["off", "auto", "manual", "test"],
        Quantity::GeneratorFault => &["none", "warning", "shutdown"],
        _ => &[],
    };
    match codes.iter().zip(0i32..).find(|(code, _)| *code == word) {
        Some((_, code)) => Ok(Source::Number(f64::from(code))),
        None => {
            let way_out = if codes.is_empty() {
                "write a number, true, \"missing\", \"unavailable\", \"frozen\" or \"plant\"".to_owned()
            } else {
                format!("write one of {}", codes.join(", "))
            };
            Err((format!("{word:?} is no value of {}", signal.name()), way_out))
        }
    }
}

/// From the unit people write to the carried one.
fn carried(number: f64, unit: Unit) -> i64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "`as` saturates, as registers do"
    )]
    let carried = (number * unit.steps() as f64).round() as i64;
    carried
}

/// From the carried unit to the one people write.
pub(crate) fn spoken(carried: i64, unit: Unit) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "measurements are far below 2^53")]
    let spoken = carried as f64 / unit.steps() as f64;
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Signals {
        let mut signals = Signals::default();
        for name in ["battery.soc", "inverter.south.power", "generator.mode"] {
            signals.place(Signal::parse(name).unwrap());
        }
        signals
    }

    fn given(pattern: &str, source: Source) -> Given {
        Given { pattern: pattern.to_owned(), line: 3, source }
    }

    fn heard(feed: &mut Feed, second: i64) -> Vec<(u16, Option<i64>, i64)> {
        let mut out = Vec::new();
        feed.sample(Mono(second * 1_000), &|_| Some(7.0), &mut out);
        out.iter().map(|sample| (sample.signal.0, sample.value, sample.asked_at.0 / 1_000)).collect()
    }

    #[test]
    fn nothing_is_heard_until_it_is_given() {
        let mut feed = Feed::new(&site(), &[], false, 1);
        assert_eq!(heard(&mut feed, 0), []);
        feed.give(&given("battery.soc", Source::Number(50.0)), "x", Mono(1_000)).unwrap();
        assert_eq!(heard(&mut feed, 1), [(0, Some(5_000), 1)]);
        feed.give(&given("battery.soc", Source::Missing), "x", Mono(2_000)).unwrap();
        assert_eq!(heard(&mut feed, 2), []);
        feed.give(&given("battery.soc", Source::Unavailable), "x", Mono(3_000)).unwrap();
        assert_eq!(heard(&mut feed, 3), [(0, None, 3)]);
    }

    #[test]
    fn a_frozen_device_repeats_its_last_stamp() {
        let mut feed = Feed::new(&site(), &[], false, 1);
        feed.give(&given("inverter.*", Source::Number(-70.0)), "x", Mono::ZERO).unwrap();
        assert_eq!(heard(&mut feed, 0), [(1, Some(-70), 0)]);
        feed.give(&given("inverter.power", Source::Frozen), "x", Mono(1_000)).unwrap();
        assert_eq!(heard(&mut feed, 5), [(1, Some(-70), 0)]);
    }

    #[test]
    fn a_slow_device_is_heard_now_and_then_and_late() {
        let mut feed = Feed::new(&site(), &[], false, 1);
        let slow = Source::Timed {
            is: Box::new(Source::Number(50.0)),
            every: Some(Span::secs(60)),
            age: Span::secs(3),
        };
        feed.give(&given("battery.soc", slow), "x", Mono::ZERO).unwrap();
        let count = (0..120).filter(|second| !heard(&mut feed, *second).is_empty()).count();
        assert_eq!(count, 2);
        assert_eq!(heard(&mut feed, 120), [(0, Some(5_000), 117)]);
    }

    #[test]
    fn words_become_codes_and_unknown_names_and_words_are_mistakes() {
        let mut feed = Feed::new(&site(), &[], true, 1);
        feed.give(&given("generator.mode", Source::Word("auto".to_owned())), "x", Mono::ZERO).unwrap();
        assert_eq!(heard(&mut feed, 0), [(0, Some(700), 0), (1, Some(7), 0), (2, Some(1), 0)]);
        let wrong = feed.give(&given("generator.mode", Source::Word("aut".to_owned())), "x", Mono::ZERO);
        assert!(wrong.unwrap_err().way_out.contains("auto"));
        let wrong = feed.give(&given("battery.sox", Source::Number(1.0)), "x", Mono::ZERO).unwrap_err();
        assert_eq!((wrong.line, wrong.way_out.as_str()), (3, "did you mean \"battery.soc\"?"));
    }

    #[test]
    fn a_signal_answers_to_every_name_that_the_profile_gives_it() {
        let names = [("battery.house.soc".to_owned(), SignalId(0))];
        let mut feed = Feed::new(&site(), &names, false, 1);
        feed.give(&given("battery.house.*", Source::Number(50.0)), "x", Mono::ZERO).unwrap();
        assert_eq!(heard(&mut feed, 0), [(0, Some(5_000), 0)]);
        assert_eq!(feed.heard("battery.house.soc"), Some(50.0));
    }
}
