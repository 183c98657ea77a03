//! From a file's tree to its cases. Nothing stops at the first mistake.

use std::path::{Path, PathBuf};

use crate::control::units::Span;
use crate::device::mistake::Mistake;

use super::super::compare::Comparison;
use super::super::measure::{self, Measure};
use super::tree::{self, Entry, Kind, Tree};
use super::value::{Source, VALUE_KEYS};
use super::{Case, Expect, Given, Setting, Within, words};

const CASE_KEYS: [&str; 15] = [
    "name", "source", "tags", "profile", "clock", "tick", "seed", "within", "state", "given", "plant",
    "always", "set", "step", "case",
];
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

/// Reads one file and gathers its mistakes.
pub(super) struct Reader {
    file: String,
    folder: PathBuf,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn new(path: &Path) -> Self {
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self { file: path.display().to_string(), folder, mistakes: Vec::new() }
    }

    /// How many were found so far.
    pub(super) fn mistakes(&self) -> usize {
        self.mistakes.len()
    }

    pub(super) fn mistake(
        &mut self,
        line: usize,
        key: &str,
        cause: impl Into<String>,
        way_out: impl Into<String>,
    ) {
        self.mistakes.push(Mistake {
            file: self.file.clone(),
            line,
            key: key.to_owned(),
            cause: cause.into(),
            way_out: way_out.into(),
        });
    }

    pub(super) fn known_keys(&mut self, table: &Tree, known: &[&str]) {
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

    pub(super) fn span(&mut self, table: &Tree, key: &str) -> Option<Span> {
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

    pub(super) fn whole(&mut self, table: &Tree, key: &str) -> Option<u64> {
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

    pub(super) fn within(&mut self, table: &Tree) -> Option<Within> {
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
    pub(super) fn flat(&mut self, table: &Tree, whole: &dyn Fn(&Tree) -> bool) -> Vec<Entry> {
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

    pub(super) fn settings(&mut self, table: &Tree) -> Vec<Setting> {
        let flat = self.flat(table, &|_| false);
        flat.into_iter()
            .map(|entry| Setting { key: entry.key, line: entry.line, value: entry.value })
            .collect()
    }

    pub(super) fn given(&mut self, table: &Tree, heard: bool) -> Vec<Given> {
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

    pub(super) fn expects(&mut self, table: &Tree, stretch: bool) -> Vec<Expect> {
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
