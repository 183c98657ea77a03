//! From a file's tree to its cases. Nothing stops at the first mistake.

use std::path::{Path, PathBuf};

use crate::control::site::{Manual, OperatorOrder};
use crate::control::units::Span;
use crate::device::mistake::Mistake;

use super::super::compare::Comparison;
use super::super::measure::{self, Measure};
use super::tree::{self, Entry, Kind, Tree};
use super::value::{Source, VALUE_KEYS};
use super::{Case, Event, Expect, Given, Setting, Step, Within, words};

const CASE_KEYS: [&str; 15] = [
    "name", "source", "tags", "profile", "clock", "tick", "seed", "within", "state", "given", "plant",
    "always", "set", "step", "case",
];
const STEP_KEYS: [&str; 11] =
    ["at", "given", "plant", "set", "order", "event", "expect", "within", "until_next", "every", "times"];
/// Noon of a summer day without a zone: outside every quiet hour, far from every change of time.
const DEFAULT_CLOCK: &str = "2026-06-01T12:00:00+00:00[UTC]";

/// Reads a scenario file's text. `path` names it in mistakes and anchors what it refers to.
pub(crate) fn cases(text: &str, path: &Path) -> Result<Vec<Case>, Vec<Mistake>> {
    let mut reader = Reader::new(path);
    let top = tree::parse(text, &reader.file, &mut reader.mistakes);
    reader.known_keys(&top, &CASE_KEYS);
    let cases = match top.get("case") {
        None => vec![reader.case(&top, None)],
        Some(list) => {
            if let Some(step) = top.get("step") {
                reader.mistake(
                    step.line,
                    "step",
                    "the file has cases and steps of its own",
                    "move these steps into a [[case]]; what all cases share are tables such as [given] and [set]",
                );
            }
            match &list.kind {
                Kind::List(list) if !list.is_empty() => {
                    list.iter().map(|case| reader.case(&top, Some(case))).collect()
                }
                _ => {
                    reader.mistake(
                        list.line,
                        "case",
                        "no case",
                        "write each case as [[case]] with its [[case.step]]",
                    );
                    Vec::new()
                }
            }
        }
    };
    if reader.mistakes.is_empty() {
        Ok(cases)
    } else {
        reader.mistakes.sort_by_key(|mistake| mistake.line);
        Err(reader.mistakes)
    }
}

struct Reader {
    file: String,
    folder: PathBuf,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn new(path: &Path) -> Self {
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self { file: path.display().to_string(), folder, mistakes: Vec::new() }
    }

    fn mistake(&mut self, line: usize, key: &str, cause: impl Into<String>, way_out: impl Into<String>) {
        self.mistakes.push(Mistake {
            file: self.file.clone(),
            line,
            key: key.to_owned(),
            cause: cause.into(),
            way_out: way_out.into(),
        });
    }

    fn known_keys(&mut self, table: &Tree, known: &[&str]) {
        let Some(entries) = table.entries() else {
            self.mistake(
                table.line,
                "",
                format!("{} where a table belongs", table.what()),
                "write { key = value }",
            );
            return;
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let way_out = match words::nearest(&entry.key, known.iter().copied()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("known here are {}", known.join(", ")),
                };
                self.mistake(entry.line, &entry.key, "unknown key", way_out);
            }
        }
    }

    fn text(&mut self, table: &Tree, key: &str) -> Option<String> {
        let value = table.get(key)?;
        if let Kind::Text(text) = &value.kind {
            return Some(text.clone());
        }
        self.mistake(value.line, key, format!("{} where a text belongs", value.what()), "put it in quotes");
        None
    }

    fn span(&mut self, table: &Tree, key: &str) -> Option<Span> {
        let value = table.get(key)?;
        let span = match &value.kind {
            Kind::Text(text) => words::span(text),
            _ => None,
        };
        if span.is_none_or(|span| span < Span::ZERO) {
            let cause = format!("{} is no duration", value.written());
            self.mistake(
                value.line,
                key,
                cause,
                "write a number with its unit, as \"10s\", \"500ms\", \"1h30m\"",
            );
            return None;
        }
        span
    }

    fn whole(&mut self, table: &Tree, key: &str) -> Option<u64> {
        let value = table.get(key)?;
        match value.kind {
            Kind::Number(number) if number >= 0.0 && number.fract() == 0.0 && number < 1e15 =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked just above"
                )]
                Some(number as u64)
            }
            _ => {
                self.mistake(
                    value.line,
                    key,
                    format!("{} is no whole number", value.written()),
                    "write 1, 2, 3 ..",
                );
                None
            }
        }
    }

    fn within(&mut self, table: &Tree) -> Option<Within> {
        let value = table.get("within")?;
        let read = match &value.kind {
            Kind::Text(text) => match text.trim().strip_prefix('±') {
                Some(rest) => words::span(rest).map(|span| Within { after: span, early: span }),
                None => words::span(text).map(|span| Within { after: span, early: Span::ZERO }),
            },
            _ => None,
        };
        if read.is_none_or(|within| within.after < Span::ZERO) {
            let cause = format!("{} is no time to wait", value.written());
            self.mistake(value.line, "within", cause, "write \"2s\", or \"±2s\" for both sides");
            return None;
        }
        read
    }

    fn case(&mut self, top: &Tree, own: Option<&Tree>) -> Case {
        if let Some(own) = own {
            let known: Vec<&str> = CASE_KEYS.iter().copied().filter(|key| *key != "case").collect();
            self.known_keys(own, &known);
        }
        let empty = Tree { line: top.line, kind: Kind::Table(Vec::new()) };
        let own_tree = own.unwrap_or(&empty);
        // A scalar of the case replaces the file's; tables are joined, the case's keys last.
        let place = |key: &str| if own_tree.get(key).is_some() { own_tree } else { top };
        let both = |key: &str| [top.get(key), own_tree.get(key)];
        let name = self.case_name(top, own);
        let clock = self.clock(place("clock"));
        let tick = self.span(place("tick"), "tick").unwrap_or(Span::secs(1));
        if tick <= Span::ZERO {
            let line = place("tick").get("tick").map_or(0, |tick| tick.line);
            self.mistake(line, "tick", "no time passes in a tick of 0", "write \"1s\"");
        }
        let within = self.within(place("within")).unwrap_or_default();
        let plant = both("plant");
        let mut case = Case {
            file: self.file.clone(),
            name,
            source: self.text(place("source"), "source"),
            tags: self.tags(place("tags")),
            line: own_tree.line,
            profile: self.profile(place("profile")),
            clock,
            tick: tick.max(Span(1)),
            seed: self.whole(place("seed"), "seed").unwrap_or(1),
            state: both("state").into_iter().flatten().flat_map(|table| self.settings(table)).collect(),
            set: both("set").into_iter().flatten().flat_map(|table| self.settings(table)).collect(),
            given: both("given").into_iter().flatten().flat_map(|table| self.given(table, true)).collect(),
            plant: None,
            always: both("always")
                .into_iter()
                .flatten()
                .flat_map(|table| self.expects(table, true))
                .collect(),
            steps: Vec::new(),
        };
        if plant.iter().any(Option::is_some) {
            case.plant =
                Some(plant.into_iter().flatten().flat_map(|table| self.given(table, false)).collect());
        }
        let steps = own.map_or_else(|| top.get("step"), |own| own.get("step"));
        case.steps = self.steps(steps, case.tick, within);
        if case.steps.is_empty() {
            self.mistake(
                case.line,
                "step",
                "nothing happens: no step",
                "add a [[step]] with what should come out",
            );
        }
        let closes = case.plant.is_some();
        let tells = case.steps.iter().find(|step| !step.plant.is_empty()).map(|step| step.line);
        if let (false, Some(line)) = (closes, tells) {
            let way_out = "add a [plant] table at the top: it closes the loop from the start";
            self.mistake(line, "plant", "a plant is told something, but the case has none", way_out);
        }
        if case.always.is_empty()
            && case.steps.iter().all(|step| step.expect.is_empty() && step.until_next.is_empty())
        {
            self.mistake(case.line, "expect", "nothing is expected", "add expect, until_next or always");
        }
        case
    }

    fn case_name(&mut self, top: &Tree, own: Option<&Tree>) -> String {
        let file = self.text(top, "name");
        if file.as_deref().is_none_or(str::is_empty) {
            self.mistake(
                top.line,
                "name",
                "the file has no name",
                "add name = \"a sentence in plant language\"",
            );
        }
        let file = file.unwrap_or_default();
        let Some(own) = own else { return file };
        match self.text(own, "name") {
            Some(case) => format!("{file}: {case}"),
            None => {
                self.mistake(own.line, "name", "the case has no name", "add name = \"what differs here\"");
                file
            }
        }
    }

    fn tags(&mut self, table: &Tree) -> Vec<String> {
        let Some(value) = table.get("tags") else { return Vec::new() };
        let tags: Option<Vec<String>> = match &value.kind {
            Kind::List(list) => list
                .iter()
                .map(|tag| match &tag.kind {
                    Kind::Text(text) => Some(text.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        if tags.is_none() {
            self.mistake(value.line, "tags", "tags are texts", "write tags = [\"anchor\"]");
        }
        tags.unwrap_or_default()
    }

    fn profile(&mut self, table: &Tree) -> Option<(PathBuf, usize)> {
        let line = table.get("profile")?.line;
        let name = self.text(table, "profile")?;
        Some((self.folder.join(name), line))
    }

    fn clock(&mut self, table: &Tree) -> jiff::Zoned {
        let written = self.text(table, "clock");
        match written.as_deref().unwrap_or(DEFAULT_CLOCK).parse::<jiff::Zoned>() {
            Ok(clock) => clock,
            Err(error) => {
                let line = table.get("clock").map_or(0, |clock| clock.line);
                let way_out =
                    "write the stamp with its zone, as \"2026-06-01T12:00:00+02:00[Europe/Berlin]\"";
                self.mistake(line, "clock", error.to_string(), way_out);
                jiff::Zoned::default()
            }
        }
    }

    /// A table whose keys may be dotted texts or nested tables, as a flat list. `whole` tells which tables are values.
    fn flat(&mut self, table: &Tree, whole: &dyn Fn(&Tree) -> bool) -> Vec<Entry> {
        let Some(entries) = table.entries() else {
            self.mistake(
                table.line,
                "",
                format!("{} where a table belongs", table.what()),
                "write { key = value }",
            );
            return Vec::new();
        };
        let mut flat = Vec::new();
        for entry in entries {
            if entry.value.entries().is_none() || whole(&entry.value) {
                flat.push(entry.clone());
                continue;
            }
            let inner = self.flat(&entry.value, whole);
            flat.extend(
                inner.into_iter().map(|inner| Entry { key: format!("{}.{}", entry.key, inner.key), ..inner }),
            );
        }
        flat
    }

    fn settings(&mut self, table: &Tree) -> Vec<Setting> {
        let flat = self.flat(table, &|_| false);
        flat.into_iter()
            .map(|entry| Setting { key: entry.key, line: entry.line, value: entry.value })
            .collect()
    }

    fn given(&mut self, table: &Tree, heard: bool) -> Vec<Given> {
        let is_value = |tree: &Tree| VALUE_KEYS.iter().any(|key| tree.get(key).is_some());
        let mut list = Vec::new();
        for entry in self.flat(table, &is_value) {
            match Source::parse(&entry.value, &self.folder) {
                Ok(source) if !heard && !tells_plant(&source) => {
                    let way_out = "write a number, true, a duration, a ramp, noise or a series; silence belongs in given";
                    self.mistake(entry.line, &entry.key, "a plant has no such value", way_out);
                }
                Ok(source) => list.push(Given { pattern: entry.key, line: entry.line, source }),
                Err(cause) => {
                    let way_out =
                        "write 5, true, \"missing\", { to = 20, over = \"1h\" } or another form of value";
                    self.mistake(entry.line, &entry.key, cause, way_out);
                }
            }
        }
        list
    }

    fn expects(&mut self, table: &Tree, stretch: bool) -> Vec<Expect> {
        let mut list = Vec::new();
        for entry in self.flat(table, &|_| false) {
            let way_out =
                "write an output, or a measure and an output, and what it should be: \"<= 0\", \"10..20\"";
            let (measure, subject) = match measure::parse_key(&entry.key) {
                Ok(parsed) => parsed,
                Err(cause) => {
                    self.mistake(entry.line, &entry.key, cause, way_out);
                    continue;
                }
            };
            if !stretch && measure != Measure::Each {
                let way_out = "put it into until_next or always";
                self.mistake(
                    entry.line,
                    &entry.key,
                    "a measure needs a stretch of time, expect is one moment",
                    way_out,
                );
            }
            let one = std::slice::from_ref(&entry.value);
            let trees = match &entry.value.kind {
                Kind::List(list) => list.as_slice(),
                _ => one,
            };
            let tests: Result<Vec<_>, _> = trees.iter().map(Comparison::parse).collect();
            match tests {
                Ok(tests) if !tests.is_empty() => {
                    list.push(Expect { line: entry.line, measure, subject, tests })
                }
                Ok(_) => self.mistake(entry.line, &entry.key, "an empty array expects nothing", way_out),
                Err(cause) => self.mistake(entry.line, &entry.key, cause, way_out),
            }
        }
        list
    }

    fn steps(&mut self, list: Option<&Tree>, tick: Span, within: Within) -> Vec<Step> {
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
        let way_out = "write { generator = \"run\" | \"off\" | \"auto\" | \"acknowledge\", for = \"1h\" } or { \"generator.auto\" = false }";
        let Some(entries) = tree.entries() else {
            self.mistake(tree.line, "order", format!("{} is no order", tree.what()), way_out);
            return None;
        };
        let lasts = self.span(tree, "for");
        let mut order = None;
        let flat: Vec<Entry> = entries.iter().filter(|entry| entry.key != "for").cloned().collect();
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

/// Whether a plant can be told this.
fn tells_plant(source: &Source) -> bool {
    match source {
        Source::Number(_) | Source::Flag(_) | Source::Ramp { .. } | Source::Noise { .. } | Source::Csv(_) => {
            true
        }
        Source::Word(_)
        | Source::Missing
        | Source::Unavailable
        | Source::Frozen
        | Source::Plant
        | Source::Timed { .. } => false,
    }
}
