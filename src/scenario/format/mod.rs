//! Scenario files: what they say, as types. Reading is in [`read`]; every mistake has its line.

mod orders;
pub(crate) mod read;
mod steps;
pub(crate) mod tree;
pub(crate) mod value;
pub(crate) mod words;

use std::path::PathBuf;

use crate::control::overlays::OverlayOrder;
use crate::control::schedule::lease::Lease;
use crate::control::site::OperatorOrder;
use crate::control::units::Span;

use super::compare::Comparison;
use super::measure::{Measure, Subject};
use tree::Tree;
use value::Source;

/// One case: everything that one run needs.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The file as it was named.
    pub file: String,
    /// The file's name, and the case's when it has several.
    pub name: String,
    /// Public reference.
    pub source: Option<String>,
    /// For choosing.
    pub tags: Vec<String>,
    /// Line of the file's or the case's beginning.
    pub line: usize,
    /// The profile and its line; none means a minimal site.
    pub profile: Option<(PathBuf, usize)>,
    /// Wall clock at the start, with the site's zone.
    pub clock: jiff::Zoned,
    /// One decision each.
    pub tick: Span,
    /// Of every noise.
    pub seed: u64,
    /// What the store held before the start.
    pub state: Vec<Setting>,
    /// Profile values.
    pub set: Vec<Setting>,
    /// Heard from the start.
    pub given: Vec<Given>,
    /// True from the start; `Some` closes the loop, even when empty.
    pub plant: Option<Vec<Given>>,
    /// Over the whole case.
    pub always: Vec<Expect>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What somebody orders.
#[derive(Clone, Debug)]
pub(crate) enum Ordered {
    /// An operator, of battery or generator.
    Operator(OperatorOrder),
    /// A program, of the plan.
    Lease(Box<Lease>),
    /// An operator, of the profile for a while.
    Overlay(OverlayOrder),
}

/// One thing that happens, perhaps several times.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub line: usize,
    pub at: Span,
    pub every: Option<(Span, u32)>,
    pub given: Vec<Given>,
    pub plant: Vec<Given>,
    pub set: Vec<Setting>,
    pub orders: Vec<Ordered>,
    pub events: Vec<Event>,
    pub expect: Vec<Expect>,
    pub within: Within,
    pub until_next: Vec<Expect>,
}

/// When an expectation is looked at after its step, and how much earlier the stretch before it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Within {
    pub after: Span,
    pub early: Span,
}

/// A value for the signals (or plant values) that fit a pattern.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub pattern: String,
    pub line: usize,
    pub source: Source,
}

/// A profile value, or what the store held.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub key: String,
    pub line: usize,
    pub value: Tree,
}

/// What an output, or a measure of it, should show.
#[derive(Clone, Debug)]
pub(crate) struct Expect {
    pub line: usize,
    pub measure: Measure,
    pub subject: Subject,
    /// All of them.
    pub tests: Vec<Comparison>,
}

/// What happens to the controller or its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The process dies without a word.
    Kill,
    /// The process is asked to leave.
    Stop,
    /// It comes back.
    Start,
    /// Both within one tick.
    Restart,
    /// The wall clock jumps.
    ClockShift(Span),
    /// Whether the wall clock may be believed.
    ClockValid(bool),
}
