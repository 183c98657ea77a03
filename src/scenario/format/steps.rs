//! The steps of a case: what happens when, what people order, what befalls the controller.

use crate::control::orders::{BatteryOrder, Wish};
use crate::control::site::{Manual, OperatorOrder};
use crate::control::units::{Span, Watts};

use super::read::Reader;
use super::tree::{Entry, Kind, Tree};
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

    fn order(&mut self, tree: &Tree) -> Option<OperatorOrder> {
        let way_out = "write { generator = \"run\" | \"off\" | \"auto\" | \"acknowledge\", for = \"1h\" }, { \"generator.auto\" = false } or { battery = \"hold\" | \"charge\" | \"discharge\" | \"setpoint\" | \"release\", power = 1000, for = \"1h\", use_reserve = true }";
        let Some(entries) = tree.entries() else {
            self.mistake(tree.line, "order", format!("{} is no order", tree.what()), way_out);
            return None;
        };
        let lasts = self.span(tree, "for");
        let power = match tree.get("power").map(|power| &power.kind) {
            Some(Kind::Number(power)) => Some(Watts::saturated(power.round() as i64)),
            _ => None,
        };
        let use_reserve = matches!(tree.get("use_reserve").map(|flag| &flag.kind), Some(Kind::Flag(true)));
        let battery = |wish| BatteryOrder { wish, lasts, use_reserve };
        let mut order = None;
        let beside = ["for", "power", "use_reserve"];
        let flat: Vec<Entry> =
            entries.iter().filter(|entry| !beside.contains(&entry.key.as_str())).cloned().collect();
        let flat = Tree { line: tree.line, kind: Kind::Table(flat) };
        for entry in self.flat(&flat, &|_| false) {
            let read = match (entry.key.as_str(), &entry.value.kind) {
                ("generator", Kind::Text(word)) => match word.as_str() {
                    "run" => Some(OperatorOrder::Generator { manual: Manual::Run, lasts }),
                    "off" => Some(OperatorOrder::Generator { manual: Manual::Off, lasts }),
                    "auto" => Some(OperatorOrder::Generator { manual: Manual::Auto, lasts }),
                    "acknowledge" => Some(OperatorOrder::GeneratorAcknowledge),
                    _ => None,
                },
                ("battery", Kind::Text(word)) => match (word.as_str(), power) {
                    ("release", None) => Some(OperatorOrder::Battery(None)),
                    ("hold", None) => Some(OperatorOrder::Battery(Some(battery(Wish::Hold)))),
                    ("charge", power) => Some(OperatorOrder::Battery(Some(battery(Wish::Charge(power))))),
                    ("discharge", Some(power)) => {
                        Some(OperatorOrder::Battery(Some(battery(Wish::Discharge(power)))))
                    }
                    ("setpoint", Some(power)) => {
                        Some(OperatorOrder::Battery(Some(battery(Wish::Setpoint(power)))))
                    }
                    _ => None,
                },
                ("generator.auto", Kind::Flag(auto)) => Some(OperatorOrder::GeneratorAuto(*auto)),
                _ => None,
            };
            if read.is_none() || order.is_some() {
                let cause = format!("{} = {} is no order this site takes", entry.key, entry.value.written());
                self.mistake(entry.line, "order", cause, way_out);
            }
            order = read.or(order);
        }
        if order.is_none() && flat.entries().is_some_and(<[Entry]>::is_empty) {
            self.mistake(tree.line, "order", "an empty order", way_out);
        }
        order
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
