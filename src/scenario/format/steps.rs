//! The steps of a case: what happens when, what people order, what befalls the controller.

use crate::control::units::Span;

use super::read::Reader;
use super::tree::{Kind, Tree};
use super::{Event, Step, Within, words};

const STEP_KEYS: [&str; 11] =
    ["at", "given", "plant", "set", "order", "event", "expect", "within", "until_next", "every", "times"];

impl Reader {
    /// Reads the steps. What has no time of its own comes a tick after what stands above it.
    pub(super) fn steps(&mut self, list: Option<&Tree>, tick: Span, within: Within) -> Vec<Step> {
        let Some(tree) = list else { return Vec::new() };
        let Kind::List(list) = &tree.kind else {
            self.mistake(
                tree.line,
                "step",
                "steps are an array",
                "write each as [[step]], or step = [{ .. }, { .. }]",
            );
            return Vec::new();
        };
        let mut steps: Vec<Step> = Vec::new();
        for tree in list {
            // The file's own tables are what happens at the start: a first step without a time comes a tick later.
            let before = steps.last().map_or(Span::ZERO, |before| match before.every {
                Some((every, times)) => before.at + Span(every.0.saturating_mul(i64::from(times.max(1) - 1))),
                None => before.at,
            });
            let at = self.span(tree, "at").unwrap_or(before + tick);
            if steps.last().is_some_and(|before| at < before.at) {
                self.mistake(
                    tree.line,
                    "at",
                    "this step is earlier than the one above it",
                    "write steps in the order of time",
                );
            }
            if at.0.checked_rem(tick.0) != Some(0) {
                let cause = format!(
                    "{} is not a whole number of ticks of {}",
                    words::spoken(at),
                    words::spoken(tick)
                );
                self.mistake(tree.line, "at", cause, "move the step, or choose a shorter tick");
            }
            let step = self.step(tree, at, within);
            steps.push(step);
        }
        steps
    }

    fn step(&mut self, tree: &Tree, at: Span, within: Within) -> Step {
        self.known_keys(tree, &STEP_KEYS);
        let every = match (self.span(tree, "every"), self.whole(tree, "times")) {
            (Some(every), Some(times)) if every > Span::ZERO && times > 0 => {
                Some((every, u32::try_from(times).unwrap_or(u32::MAX)))
            }
            (None, None) => None,
            _ => {
                let way_out = "write both every = \"24h\" and times = 20, or none";
                self.mistake(tree.line, "every", "how often, or how far apart, is missing", way_out);
                None
            }
        };
        let given = tree.get("given").map(|table| self.given(table, true)).unwrap_or_default();
        let plant = tree.get("plant").map(|table| self.given(table, false)).unwrap_or_default();
        let set = tree.get("set").map(|table| self.settings(table)).unwrap_or_default();
        let expect = tree.get("expect").map(|table| self.expects(table, false)).unwrap_or_default();
        let until_next = tree.get("until_next").map(|table| self.expects(table, true)).unwrap_or_default();
        let orders = several(tree.get("order")).into_iter().filter_map(|order| self.order(order)).collect();
        let events = several(tree.get("event")).into_iter().filter_map(|event| self.event(event)).collect();
        let within = self.within(tree).unwrap_or(within);
        Step { line: tree.line, at, every, given, plant, set, orders, events, expect, within, until_next }
    }

    fn event(&mut self, tree: &Tree) -> Option<Event> {
        let read = match &tree.kind {
            Kind::Text(word) => match word.as_str() {
                "kill" => Some(Event::Kill),
                "stop" => Some(Event::Stop),
                "start" => Some(Event::Start),
                "restart" => Some(Event::Restart),
                _ => None,
            },
            Kind::Table(entries) if entries.len() == 1 => match tree.get("clock").map(|clock| &clock.kind) {
                Some(Kind::Text(word)) => match word.as_str() {
                    "valid" => Some(Event::ClockValid(true)),
                    "invalid" => Some(Event::ClockValid(false)),
                    shift => words::span(shift).map(Event::ClockShift),
                },
                _ => None,
            },
            _ => None,
        };
        if read.is_none() {
            let way_out = "write \"kill\", \"stop\", \"start\", \"restart\" or { clock = \"+1h\" | \"invalid\" | \"valid\" }";
            self.mistake(tree.line, "event", format!("{} is no event", tree.written()), way_out);
        }
        read
    }
}

/// One, or an array of them.
fn several(tree: Option<&Tree>) -> Vec<&Tree> {
    match tree.map(|tree| (&tree.kind, tree)) {
        Some((Kind::List(list), _)) => list.iter().collect(),
        Some((_, one)) => vec![one],
        None => Vec::new(),
    }
}
