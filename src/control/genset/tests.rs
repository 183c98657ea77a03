//! The generator against tables of what is heard and what must follow.
//!
//! `check` steps once a second. What is heard stays until a later row changes it; what is expected in a row holds
//! at every second until the next row. `-` is silence (the last value grows old), `?` a sentinel, `.` nothing new
//! to hear or nothing to assert.

#![allow(clippy::arithmetic_side_effects, clippy::float_arithmetic, reason = "tables are small numbers")]

mod explore;
mod properties;
mod sequences;
mod takeovers;
mod thresholds;

use super::*;
use crate::control::policy::{Condition, OnLoss};
use crate::control::site::Alarm;

/// The base settings of the generator notes: every delay zero, no feedback, loss stops.
fn base() -> GeneratorPolicy {
    GeneratorPolicy { feedback: false, rest: Span::ZERO, on_loss: OnLoss::Stop, ..GeneratorPolicy::default() }
}

fn condition(start: i64, stop: i64, start_for: i64, stop_for: i64) -> Option<Condition> {
    Some(Condition {
        start,
        stop,
        start_for: Span::secs(start_for),
        stop_for: Span::secs(stop_for),
        quiet: None,
    })
}

/// Thresholds of charge in percent and delays in seconds.
fn soc(start: i64, stop: i64, start_for: i64, stop_for: i64) -> Option<Condition> {
    condition(start * 100, stop * 100, start_for, stop_for)
}

/// Thresholds in thousandths of what is written, as for volts and amperes.
fn milli(start: i64, stop: i64, start_for: i64, stop_for: i64) -> Option<Condition> {
    condition(start * 1_000, stop * 1_000, start_for, stop_for)
}

/// The same, with feedback of the engine.
fn hearing(policy: GeneratorPolicy) -> GeneratorPolicy {
    GeneratorPolicy { feedback: true, ..policy }
}

/// A charge between 30 and 70 % and a minimum run.
fn floor(seconds: i64) -> GeneratorPolicy {
    GeneratorPolicy { soc: soc(30, 70, 0, 0), min_run: Span::secs(seconds), ..base() }
}

/// One source of samples: a value heard every second, silence, or a sentinel.
#[derive(Clone, Copy)]
enum Said {
    Value(i64),
    Silence,
    Sentinel,
}

/// A generator, what it hears and what it did so far.
struct Rig {
    policy: GeneratorPolicy,
    genset: Genset,
    inputs: GensetInputs,
    said: [(&'static str, Said); 9],
    now: Mono,
    alarms: Vec<Alarm>,
    view: GensetView,
}

const QUIET: QuietHours = QuietHours { from: 21 * 3_600, to: 6 * 3_600 };

impl Rig {
    fn new(policy: GeneratorPolicy) -> Self {
        let said = [
            ("soc", Said::Value(8_700)),
            ("load", Said::Value(1_950)),
            ("ibat", Said::Value(-10_000)),
            ("vbat", Said::Value(54_000)),
            ("run", Said::Silence),
            ("ac", Said::Silence),
            ("contact", Said::Silence),
            ("mode", Said::Silence),
            ("fault", Said::Silence),
        ];
        Self {
            policy,
            genset: Genset::default(),
            inputs: GensetInputs::default(),
            said,
            now: Mono::ZERO,
            alarms: Vec::new(),
            view: GensetView::default(),
        }
    }

    fn hear(&mut self) {
        let asked_at = self.now;
        for (name, said) in self.said {
            let reading = |value: i64| Reading { value, asked_at };
            let soc = |r: Reading<i64>| Reading { value: Soc::from_centi(r.value).unwrap(), asked_at };
            let inputs = &mut self.inputs;
            let new = match said {
                Said::Silence => continue,
                Said::Sentinel => None,
                Said::Value(value) => Some(reading(value)),
            };
            let slot = new.map_or(Slot::Absent { asked_at }, |r| Slot::Value { value: r.value, asked_at });
            match name {
                "soc" => inputs.soc = new.map(soc),
                "load" => inputs.load = new.map(|r| Reading { value: Watts::saturated(r.value), asked_at }),
                "ibat" => {
                    inputs.current = new.map(|r| Reading { value: MilliAmps::saturated(r.value), asked_at });
                }
                "vbat" => {
                    inputs.voltage = new.map(|r| Reading { value: MilliVolts::saturated(r.value), asked_at });
                }
                "run" => inputs.running = slot,
                "ac" => inputs.ac_present = slot,
                "contact" => inputs.contact = slot,
                "mode" => inputs.mode = slot,
                "fault" => inputs.fault = slot,
                other => panic!("no input {other}"),
            }
        }
    }

    /// One decision at the present second.
    fn step(&mut self) -> GensetView {
        self.hear();
        let alarms = &mut self.alarms;
        self.view = self.genset.step(&self.policy, &self.inputs, self.now, &mut |event| {
            if let Event::Alarm(alarm, on) = event {
                alarms.retain(|known| *known != alarm);
                if on {
                    alarms.push(alarm);
                }
            }
        });
        self.view
    }

    /// A cell on the left of the bar.
    fn say(&mut self, column: &str, cell: &str) {
        match (column, cell) {
            (_, ".") => {}
            ("manual", _) => {
                self.inputs.manual = match cell {
                    "auto" => Manual::Auto,
                    "run" => Manual::Run,
                    "off" => Manual::Off,
                    other => panic!("no manual mode {other}"),
                }
            }
            ("auto", _) => self.policy.auto = cell == "on",
            ("ack", _) => self.genset.acknowledge(),
            ("process", _) => self.genset.resume(self.now),
            ("time", _) => {
                let (hours, minutes) = cell.split_once(':').unwrap();
                let second = hours.parse::<i64>().unwrap() * 3_600 + minutes.parse::<i64>().unwrap() * 60;
                self.inputs.wall = Some(Wall { utc: second, offset: 0, valid: true });
            }
            _ => {
                let steps = match column {
                    "soc" => 100.0,
                    "ibat" | "vbat" => 1_000.0,
                    _ => 1.0,
                };
                let said = match cell {
                    "-" => Said::Silence,
                    "?" => Said::Sentinel,
                    number => Said::Value((number.parse::<f64>().unwrap() * steps).round() as i64),
                };
                self.set(column, said);
            }
        }
    }

    fn set(&mut self, column: &str, said: Said) {
        let place = self.said.iter_mut().find(|(name, _)| *name == column);
        place.unwrap_or_else(|| panic!("no input {column}")).1 = said;
    }

    /// A cell on the right of the bar: what is, in the words of the table.
    fn shows(&self, column: &str) -> String {
        let yes = |yes: bool| String::from(if yes { "1" } else { "0" });
        match column {
            "cmd" => yes(self.view.command),
            "permit" => yes(self.view.load_permit),
            "state" => self.view.state.name().to_owned(),
            "why" => {
                let code = self.view.reason.map_or("none", Reason::code);
                code.trim_start_matches("generator-").to_owned()
            }
            "starts" => self.view.starts.to_string(),
            "attempt" => self.view.attempt.to_string(),
            "hours" => self.view.run_time.whole_secs().to_string(),
            "quiet" => yes(self.view.quiet),
            "alarm" => {
                let code = |alarm: &Alarm| alarm.code().trim_start_matches("generator-").to_owned();
                let codes: Vec<_> =
                    self.alarms.iter().filter(|a| **a != Alarm::GeneratorNoFeedback).map(code).collect();
                if codes.is_empty() { "none".to_owned() } else { codes.join("+") }
            }
            other => panic!("no output {other}"),
        }
    }
}

/// Runs a table; every expectation holds until the next row.
#[track_caller]
fn check(policy: GeneratorPolicy, table: &str) -> Rig {
    let mut lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let split = |line: &str| {
        let (left, right) = line.split_once('|').expect("a bar between what is heard and what is expected");
        let words = |part: &str| part.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        (words(left), words(right))
    };
    let (inputs, outputs) = split(lines.next().unwrap());
    let rows: Vec<_> = lines.map(split).collect();
    let mut rig = Rig::new(policy);
    for (place, (given, expected)) in rows.iter().enumerate() {
        assert_eq!((given.len(), expected.len()), (inputs.len(), outputs.len()), "cells of row {given:?}");
        let at = |row: &Vec<String>| Mono::ZERO + Span::secs(row[0].parse().unwrap());
        let until = rows.get(place + 1).map_or(at(given) + Span::secs(1), |(next, _)| at(next));
        rig.now = at(given);
        for (column, cell) in inputs.iter().zip(given).skip(1) {
            rig.say(column, cell);
        }
        while rig.now < until {
            rig.step();
            for (column, cell) in outputs.iter().zip(expected).filter(|(_, cell)| *cell != ".") {
                let shown = rig.shows(column);
                let second = rig.now.0 / 1_000;
                assert_eq!(
                    &shown,
                    cell,
                    "{column} at {second} s, in row {}: {:?}",
                    given.join(" "),
                    rig.view
                );
            }
            rig.now = rig.now + Span::secs(1);
        }
    }
    rig
}
