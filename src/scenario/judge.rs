//! Looks at the outputs of each tick and remembers what was not as expected.

use std::collections::{BTreeMap, VecDeque};

use crate::control::units::Span;

use super::compare::Found;
use super::format::words::spoken;
use super::format::{Case, Expect};
use super::measure::{Measure, Tally};
use super::timeline::{Look, Timeline};

/// How many ticks before and after a failure are drawn.
const DRAWN_BEFORE: usize = 40;
const DRAWN_AFTER: usize = 12;
/// How many signals one drawing shows.
const DRAWN_SIGNALS: usize = 6;
/// A case that fails more often than this is broken as a whole; the rest adds nothing.
const MOST_FAILURES: usize = 8;

/// An expectation that was not met.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Line of the expectation.
    pub line: usize,
    /// Line of its step; none for `always`.
    pub step: Option<usize>,
    /// When it was found, since the start.
    pub at: Span,
    /// What was looked at, as it was written.
    pub subject: String,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub found: String,
    /// The signals around that moment.
    pub drawing: Vec<Trace>,
}

/// One signal around a failure.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its name.
    pub name: String,
    /// What it showed, tick by tick.
    pub values: Vec<(Span, Found)>,
}

/// Judges one run, tick by tick.
pub(crate) struct Judge<'a> {
    waiting: VecDeque<Look<'a>>,
    active: Vec<(Look<'a>, Tally)>,
    tick: Span,
    recent: BTreeMap<String, VecDeque<(Span, Found)>>,
    /// Failures whose drawing still waits for what comes after, and how many ticks are missing.
    open: Vec<(Failure, String, usize)>,
    done: Vec<Failure>,
    /// Looks that ended.
    pub looked: u64,
}

impl<'a> Judge<'a> {
    /// For a case laid out in time. `context` names signals that are drawn beside the failing one.
    pub(crate) fn new(case: &'a Case, timeline: &Timeline<'a>, context: &[String]) -> Self {
        let names =
            timeline.looks.iter().map(|look| look.expect.subject.name.clone()).chain(context.iter().cloned());
        Self {
            waiting: timeline.looks.iter().copied().collect(),
            active: Vec::new(),
            tick: case.tick,
            recent: names.map(|name| (name, VecDeque::new())).collect(),
            open: Vec::new(),
            done: Vec::new(),
            looked: 0,
        }
    }

    /// Looks at the tick at `at`; `read` gives what an output shows now.
    pub(crate) fn look(&mut self, at: Span, read: &dyn Fn(&str) -> Found) {
        for (name, values) in &mut self.recent {
            if values.len() > DRAWN_BEFORE + DRAWN_AFTER {
                values.pop_front();
            }
            values.push_back((at, read(name)));
        }
        while self.waiting.front().is_some_and(|look| look.from <= at) {
            self.active.extend(self.waiting.pop_front().map(|look| (look, Tally::default())));
        }
        let next = at + self.tick;
        let active = std::mem::take(&mut self.active);
        for (look, mut tally) in active {
            let Some(found) = self.recent.get(&look.expect.subject.name).and_then(|values| values.back())
            else {
                continue;
            };
            let found = look.expect.subject.of(found.1.clone());
            tally.feed(&look.expect.measure, &found, at.0, self.tick.0);
            // A moment between two ticks is looked at when the first of them at or after it has been decided.
            let last = next > look.to;
            let due = last || look.expect.measure == Measure::Each;
            let result = tally.result(&look.expect.measure);
            if due && !look.expect.tests.iter().all(|test| test.holds(&result)) {
                self.fail(&look, at, &tally, &result);
                self.looked += 1;
            } else if last {
                self.looked += 1;
            } else {
                self.active.push((look, tally));
            }
        }
        self.settle(at, false);
    }

    /// The failures, when the run is over.
    pub(crate) fn finish(mut self, end: Span) -> (Vec<Failure>, u64) {
        for look in std::mem::take(&mut self.waiting) {
            self.fail(&look, end, &Tally::default(), &Found::Unknown);
        }
        self.settle(end, true);
        self.done.sort_by_key(|failure| (failure.at, failure.line));
        (self.done, self.looked)
    }

    fn fail(&mut self, look: &Look<'_>, at: Span, tally: &Tally, found: &Found) {
        if self.done.len() + self.open.len() >= MOST_FAILURES {
            return;
        }
        let failure = Failure {
            line: look.expect.line,
            step: look.step.map(|step| step.line),
            at,
            subject: look.expect.measure.written(&look.expect.subject),
            expected: expected(look.expect),
            found: if look.expect.measure == Measure::Each {
                found.to_string()
            } else {
                let from = spoken(look.from);
                format!("{found} over {} ticks from {from} to {}", tally.ticks(), spoken(at))
            },
            drawing: Vec::new(),
        };
        self.open.push((failure, look.expect.subject.name.clone(), DRAWN_AFTER));
    }

    /// Draws the failures that have waited long enough.
    fn settle(&mut self, at: Span, all: bool) {
        let open = std::mem::take(&mut self.open);
        for (mut failure, subject, missing) in open {
            if !all && missing > 0 {
                let missing = if failure.at < at { missing - 1 } else { missing };
                self.open.push((failure, subject, missing));
                continue;
            }
            failure.drawing = self.drawing(&subject);
            self.done.push(failure);
        }
    }

    /// The failing signal first, then those that moved.
    fn drawing(&self, subject: &str) -> Vec<Trace> {
        let moved = |values: &VecDeque<(Span, Found)>| {
            values.iter().zip(values.iter().skip(1)).any(|(before, after)| before.1 != after.1)
        };
        let first = self.recent.iter().filter(|(name, _)| *name == subject);
        let others = self.recent.iter().filter(|(name, values)| *name != subject && moved(values));
        first
            .chain(others)
            .take(DRAWN_SIGNALS)
            .map(|(name, values)| Trace { name: name.clone(), values: values.iter().cloned().collect() })
            .collect()
    }
}

fn expected(expect: &Expect) -> String {
    expect.tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::format::read;
    use super::*;

    /// Plays a file against outputs that are a function of time.
    fn judged(file: &str, output: &dyn Fn(i64, &str) -> Found) -> Vec<(usize, i64, String)> {
        let cases = read::cases(file, Path::new("x.toml")).unwrap();
        let timeline = Timeline::of(&cases[0]).unwrap();
        let mut judge = Judge::new(&cases[0], &timeline, &[]);
        let mut at = Span::ZERO;
        while at <= timeline.end {
            judge.look(at, &|name| output(at.whole_secs(), name));
            at += cases[0].tick;
        }
        judge.finish(timeline.end).0.into_iter().map(|f| (f.line, f.at.whole_secs(), f.found)).collect()
    }

    fn seconds(second: i64, _: &str) -> Found {
        Found::Number(f64::from(i32::try_from(second).unwrap()))
    }

    #[test]
    fn an_expectation_is_looked_at_when_its_time_is_over() {
        let file = "name = \"x\"\n[[step]]\nat = \"10s\"\nwithin = \"2s\"\nexpect = { y = 12 }\n";
        assert_eq!(judged(file, &seconds), []);
        let file = "name = \"x\"\n[[step]]\nat = \"10s\"\nexpect = { y = 12 }\n";
        assert_eq!(judged(file, &seconds), [(4, 10, "10".to_owned())]);
    }

    #[test]
    fn until_next_looks_at_every_tick_up_to_the_next_step_and_stops_early_where_that_is_only_about_in_time() {
        let file = |within: &str| {
            format!(
                "name = \"x\"\nwithin = \"{within}\"\n[[step]]\nat = \"5s\"\nuntil_next = {{ y = \"< 18\" }}\n\
                 [[step]]\nat = \"20s\"\nexpect = {{ y = \"20..22\" }}\n"
            )
        };
        assert_eq!(judged(&file("0s"), &seconds), [(5, 18, "18".to_owned())]);
        assert_eq!(judged(&file("±2s"), &seconds), []);
    }

    #[test]
    fn a_measure_is_judged_over_its_whole_stretch() {
        let file = "name = \"x\"\nalways = { \"rise y\" = 9 }\n[[step]]\nat = \"10s\"\n";
        assert_eq!(judged(file, &seconds), [(2, 10, "10 over 11 ticks from 0s to 10s".to_owned())]);
    }

    #[test]
    fn a_repeated_step_expects_each_time() {
        let file =
            "name = \"x\"\n[[step]]\nat = \"2s\"\nevery = \"3s\"\ntimes = 3\nexpect = { y = \"2..5\" }\n";
        assert_eq!(judged(file, &seconds), [(6, 8, "8".to_owned())]);
    }

    #[test]
    fn an_until_next_without_a_tick_is_a_mistake() {
        let file = "name = \"x\"\n[[step]]\nat = \"2s\"\nexpect = { y = 1 }\nwithin = \"3s\"\nuntil_next = { y = 1 }\n\
                    [[step]]\nat = \"4s\"\n";
        let cases = read::cases(file, Path::new("x.toml")).unwrap();
        let mistakes = Timeline::of(&cases[0]).unwrap_err();
        assert_eq!(mistakes[0].line, 2);
    }
}
