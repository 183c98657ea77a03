//! One layer of a profile as it was written: every leaf with its file and line, every mistake in it at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use crate::device::definition::syntax::{self, Lines, MOST_MISTAKES};
use crate::device::mistake::Mistake;

use super::keys::{self, KeyDoc};
use super::nearest;
use super::tables;
use super::value::{Kind, Refusal, Typed, show};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A file and its line, from 1.
    File(String, usize),
    /// This environment variable.
    Environment(String),
    /// `--set`, or the `set` of a scenario.
    CommandLine,
}

impl Origin {
    /// Its line; 0 when it is in no file.
    fn line(&self) -> usize {
        match self {
            Self::File(_, line) => *line,
            Self::Default | Self::Environment(_) | Self::CommandLine => 0,
        }
    }

    /// File and line as a [`Mistake`] names them.
    #[must_use]
    pub fn place(&self) -> (String, usize) {
        match self {
            Self::Default => ("defaults".to_owned(), 0),
            Self::File(file, line) => (file.clone(), *line),
            Self::Environment(_) => ("environment".to_owned(), 0),
            Self::CommandLine => ("command line".to_owned(), 0),
        }
    }
}

impl Origin {
    /// What to write there so that a key has this value: `short = value` in a file.
    #[must_use]
    pub fn setting(&self, path: &str, short: &str, value: &str) -> String {
        match self {
            Self::Default | Self::File(..) => format!("{short} = {value}"),
            Self::Environment(_) => format!("{}={}", variable(path), value.trim_matches('"')),
            Self::CommandLine => format!("--set {path}={}", value.trim_matches('"')),
        }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(file, line) => write!(f, "{file}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::CommandLine => f.write_str("command line"),
        }
    }
}

/// One accepted value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Dotted key, in its one spelling.
    pub path: String,
    /// Its last words as they stand in the file, to tell people what to write.
    pub short: String,
    /// How it is printed.
    pub kind: Kind,
    /// The value.
    pub typed: Typed,
    /// Where it was said.
    pub origin: Origin,
}

/// What one layer says.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Accepted values.
    pub leaves: Vec<Leaf>,
    /// Tables that were opened, also empty ones.
    pub sections: BTreeMap<String, Origin>,
    /// Those of them that have a header or braces of their own, so that a key can be added there.
    pub opened: BTreeSet<String>,
    /// Keys of what was refused, and of what was probably meant.
    pub tainted: BTreeSet<String>,
    /// Profiles it builds on.
    pub extends: Vec<(String, Origin)>,
}

/// Names that a device or window cannot have, because signals are spelled with them.
const RESERVED: &[&str] = &["l1", "l2", "l3", "dc", "in", "out"];
/// More words than any key has.
pub(super) const DEEPEST: usize = 8;

/// A leaf before it is looked at.
pub(super) struct Raw {
    pub segments: Vec<String>,
    /// The segments with dots between them.
    pub written: String,
    pub value: toml::Value,
    pub origin: Origin,
}

impl Raw {
    fn new(segments: Vec<String>, value: toml::Value, origin: Origin) -> Self {
        Self { written: segments.join("."), segments, value, origin }
    }
}

/// Reads a file's text.
pub fn file(name: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Layer {
    let lines = Lines::new(text);
    let document = match syntax::parse(name, &lines) {
        Ok(document) => document,
        Err(wrong) => {
            mistakes.extend(wrong);
            return Layer { tainted: BTreeSet::from([String::new()]), ..Layer::default() };
        }
    };
    let mut raws = Vec::new();
    let mut layer = Layer::default();
    let reader = Reader { file: name, text, lines: &lines };
    reader.walk(document.get_ref(), &[], &mut raws, &mut layer);
    raws.sort_by_key(|raw| raw.origin.line());
    take_extends(&mut raws, &mut layer, mistakes);
    if !raws.iter().any(|raw| raw.segments == ["schema"]) {
        layer.tainted.insert("schema".to_owned());
        mistakes.push(Mistake {
            file: name.to_owned(),
            line: 1,
            key: "schema".to_owned(),
            cause: "the file does not say which layout it has".to_owned(),
            way_out: "add `schema = 1` at the top of the file".to_owned(),
        });
    }
    tables::misnamed(&mut raws, &mut layer, mistakes);
    accept(raws, &mut layer, mistakes);
    layer
}

/// Reads environment variables; those of other programs are passed over.
pub fn environment(
    vars: &[(String, String)],
    known: &BTreeSet<String>,
    mistakes: &mut Vec<Mistake>,
) -> Layer {
    let mut layer = Layer::default();
    let mut raws = Vec::new();
    for (variable, text) in vars {
        let Some(rest) = variable.strip_prefix("WATTKEEPER__") else { continue };
        let mut segments: Vec<String> = rest.split("__").map(str::to_lowercase).collect();
        name_segment(&mut segments, known);
        let origin = Origin::Environment(variable.clone());
        push_text(segments, text, &origin, &mut raws);
    }
    accept(raws, &mut layer, mistakes);
    layer
}

/// Reads `key=value` words of the command line.
pub fn command_line(words: &[String], mistakes: &mut Vec<Mistake>) -> Layer {
    let mut layer = Layer::default();
    let mut raws = Vec::new();
    for word in words {
        match word.split_once('=') {
            Some((key, text)) => {
                let segments = key.trim().split('.').map(str::to_owned).collect();
                push_text(segments, text.trim(), &Origin::CommandLine, &mut raws);
            }
            None => mistakes.push(Mistake {
                file: "command line".to_owned(),
                line: 0,
                key: word.clone(),
                cause: "a setting has no value".to_owned(),
                way_out: format!("write `--set {}`, with the value you want", with_value(word)),
            }),
        }
    }
    accept(raws, &mut layer, mistakes);
    layer
}

/// Reads settings that are TOML values already.
pub fn edits(edits: &[(String, toml::Value)], mistakes: &mut Vec<Mistake>) -> Layer {
    let mut layer = Layer::default();
    let mut raws = Vec::new();
    for (key, value) in edits {
        let segments: Vec<String> = key.split('.').map(str::to_owned).collect();
        flatten(segments, value.clone(), &Origin::CommandLine, &mut raws);
    }
    accept(raws, &mut layer, mistakes);
    layer
}

fn push_text(segments: Vec<String>, text: &str, origin: &Origin, raws: &mut Vec<Raw>) {
    let value = match keys::lookup(&canonical(&segments)) {
        Some(key) => key.kind.toml_of_text(text),
        None => Kind::Flag.toml_of_text(text),
    };
    flatten(segments, value, origin, raws);
}

/// A variable cannot hold a hyphen: `SOUTH_ROOF` addresses a device `south-roof` that exists.
fn name_segment(segments: &mut [String], known: &BTreeSet<String>) {
    let at = match segments.first().map(String::as_str) {
        Some("device") => 1,
        Some("policy")
            if segments
                .get(1)
                .is_some_and(|it| ["schedule", "plan", "outage", "load"].contains(&it.as_str())) =>
        {
            2
        }
        _ => return,
    };
    let Some(name) = segments.get_mut(at) else { return };
    if known.contains(name.as_str()) {
        return;
    }
    if let Some(found) = known.iter().find(|known| known.replace('-', "_") == *name) {
        found.clone_into(name);
    }
}

/// A file while its tables are walked through.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    lines: &'a Lines<'a>,
}

impl Reader<'_> {
    fn walk(&self, table: &DeTable<'_>, above: &[String], raws: &mut Vec<Raw>, layer: &mut Layer) {
        for (key, value) in table {
            let mut segments = above.to_vec();
            segments.push(key.get_ref().to_string());
            let line = self.lines.number(key.span().start);
            let origin = Origin::File(self.file.to_owned(), line);
            let DeValue::Table(inner) = value.get_ref() else {
                raws.push(Raw::new(segments, plain(value.get_ref()), origin));
                continue;
            };
            let path = segments.join(".");
            let braces = self.text.get(value.span().start..).is_some_and(|rest| rest.starts_with('{'));
            let closed =
                self.text.get(key.span().end..).is_some_and(|rest| rest.trim_start().starts_with(']'));
            if braces || (closed && self.lines.line(line).trim_start().starts_with('[')) {
                layer.opened.insert(path.clone());
            }
            layer.sections.entry(path).or_insert(origin);
            self.walk(inner, &segments, raws, layer);
        }
    }
}

fn flatten(segments: Vec<String>, value: toml::Value, origin: &Origin, raws: &mut Vec<Raw>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let mut inner = segments.clone();
                inner.push(key);
                flatten(inner, value, origin, raws);
            }
        }
        value => raws.push(Raw::new(segments, value, origin.clone())),
    }
}

fn plain(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => toml::Value::Integer(whole),
            Err(_) => toml::Value::String(number.to_string()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(float) => toml::Value::Float(float),
            Err(_) => toml::Value::String(number.to_string()),
        },
        DeValue::Boolean(flag) => toml::Value::Boolean(*flag),
        // Times of day are also read without quotes.
        DeValue::Datetime(moment) => toml::Value::String(moment.to_string()),
        DeValue::Array(list) => toml::Value::Array(list.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Table(table) => toml::Value::Table(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect(),
        ),
    }
}

fn take_extends(raws: &mut Vec<Raw>, layer: &mut Layer, mistakes: &mut Vec<Mistake>) {
    let Some(at) = raws.iter().position(|raw| raw.segments == ["extends"]) else { return };
    let raw = raws.remove(at);
    match keys::EXTENDS.1.read(&raw.value, false) {
        Ok(Typed::Words(names)) => {
            layer.extends = names.into_iter().map(|name| (name, raw.origin.clone())).collect();
        }
        Ok(_) => {}
        Err(refusal) => mistakes.push(refused(&raw, refusal)),
    }
}

/// The one spelling of a key: `start = { soc = 40 }` and `[soc] start = 40` are the same.
pub(super) fn canonical(segments: &[String]) -> String {
    aliased(segments).unwrap_or_else(|| segments.join("."))
}

/// The one spelling of a key that is written in another.
fn aliased(segments: &[String]) -> Option<String> {
    if let [overlay, name, inner @ ..] = segments
        && overlay == "overlay"
    {
        return aliased(inner).map(|inner| format!("overlay.{name}.{inner}"));
    }
    let quantity = |word: &str| ["soc", "load", "current", "voltage"].contains(&word);
    let [policy, generator, rest @ ..] = segments else { return None };
    if policy != "policy" || generator != "generator" {
        return None;
    }
    match rest.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [edge @ ("start" | "stop"), what] if quantity(what) => {
            Some(format!("policy.generator.{what}.{edge}"))
        }
        ["quiet", edge @ ("start" | "stop"), what] if quantity(what) => {
            Some(format!("policy.generator.{what}.quiet.{edge}"))
        }
        _ => None,
    }
}

fn accept(raws: Vec<Raw>, layer: &mut Layer, mistakes: &mut Vec<Mistake>) {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for raw in raws {
        if mistakes.len() >= MOST_MISTAKES {
            return;
        }
        let path = canonical(&raw.segments);
        let overlay = keys::overlaid(&path);
        let inner = overlay.map_or(path.as_str(), |(_, inner)| inner);
        let Some(key) = keys::lookup(inner) else {
            mistakes.push(unknown(&raw, &path, layer));
            continue;
        };
        let outer = overlay.map(|(name, _)| name).filter(|name| !is_name(name));
        if overlay.is_some() && !keys::may_overlay(key.path) {
            mistakes.push(mistake(
                &raw,
                format!("an overlay cannot lie over `{inner}`: it changes the policy, not the plant"),
                format!("remove `{}`, or change the profile itself", short(&raw)),
            ));
            layer.tainted.insert(path);
            continue;
        }
        if let Some(name) = outer.or_else(|| bad_name(key.path, inner)) {
            layer.tainted.insert(path.clone());
            if names.insert(name.to_owned()) {
                mistakes.push(tables::rename(&raw, name, layer));
            }
            continue;
        }
        // On the command line, what is said later replaces what was said before.
        let before = seen.insert(path.clone(), raw.written.clone());
        if let Some(before) = before.filter(|_| raw.origin != Origin::CommandLine) {
            mistakes.push(mistake(
                &raw,
                format!("`{before}` and `{}` say the same thing twice", raw.written),
                format!("remove `{}`, or the other one", short(&raw)),
            ));
        }
        match key.kind.read(&raw.value, key.optional) {
            Ok(Typed::Text(word)) if overlay.is_some() && key.path == "control" && word == "on" => {
                let way_out =
                    "remove it here and write it into the profile itself; an overlay may only observe";
                mistakes.push(mistake(&raw, "an overlay cannot take control".to_owned(), way_out.to_owned()));
            }
            Ok(typed) => {
                let short = short(&raw);
                layer.leaves.push(Leaf { path, short, kind: key.kind, typed, origin: raw.origin });
            }
            Err(refusal) => {
                layer.tainted.insert(path);
                mistakes.push(refused(&raw, refusal));
            }
        }
    }
}

/// As much of a key as tells it from its neighbours on the same line.
fn short(raw: &Raw) -> String {
    let written = &raw.segments;
    let from = written.len().saturating_sub(if aliased(written).is_some() { 2 } else { 1 });
    written.get(from..).unwrap_or_default().join(".")
}

fn refused(raw: &Raw, refusal: Refusal) -> Mistake {
    let way_out = format!(
        "write `{}`; {}",
        raw.origin.setting(&raw.written, &short(raw), &refusal.instead),
        refusal.choice
    );
    mistake(raw, refusal.cause, way_out)
}

pub(super) fn mistake(raw: &Raw, cause: String, way_out: String) -> Mistake {
    let (file, line) = raw.origin.place();
    let key = match &raw.origin {
        Origin::Environment(variable) => variable.clone(),
        Origin::Default | Origin::File(..) | Origin::CommandLine => raw.written.clone(),
    };
    Mistake { file, line, key, cause, way_out }
}

fn bad_name<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    let names = pattern.split('.').zip(path.split('.')).filter(|(want, _)| *want == "NAME");
    names.map(|(_, name)| name).find(|name| !is_name(name))
}

/// Whether a device, window, slot or outage can be called this.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 32
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
        && !RESERVED.contains(&name)
}

/// A setting without a value, with the value that its key has anyway.
fn with_value(word: &str) -> String {
    let key = keys::lookup(word.trim());
    let value = key.map_or("25".to_owned(), |key| {
        key.default.clone().unwrap_or_else(|| key.kind.repair(&toml::Value::Boolean(false)))
    });
    format!("{}={}", word.trim(), value.trim_matches('"'))
}

fn unknown(raw: &Raw, path: &str, layer: &mut Layer) -> Mistake {
    layer.tainted.insert(path.to_owned());
    if let Some((name, inner)) = keys::overlaid(path) {
        let near = nearest_key(inner).filter(|near| keys::may_overlay(near));
        let hint = near.as_ref().map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
        let instead = near.map(|near| format!("write `{near}` instead of `{inner}`, or remove it"));
        let way_out = instead
            .unwrap_or_else(|| format!("remove `{}`; `wattkeeper check --keys` lists every key", last(path)));
        return mistake(raw, format!("unknown key in the overlay {name}{hint}"), way_out);
    }
    if let Some((leaf, key)) = key_above(path) {
        layer.tainted.insert(leaf.to_owned());
        let instead = key.kind.repair(&raw.value);
        return mistake(
            raw,
            format!("`{leaf}` takes a value, not a table"),
            format!("write `{}`; it takes {}", raw.origin.setting(leaf, last(leaf), &instead), key.accepts),
        );
    }
    if let Some(first) = keys::first_below(path) {
        return mistake(
            raw,
            format!("`{path}` is a table, not a value"),
            format!(
                "remove `{}`; its keys, such as `{}`, stand below `[{path}]`",
                last(path),
                last(first.path)
            ),
        );
    }
    let Some(near) = nearest_key(path) else {
        let way_out = format!("remove `{}`; `wattkeeper check --keys` lists every key", last(path));
        return mistake(raw, "unknown key".to_owned(), way_out);
    };
    layer.tainted.insert(near.clone());
    let written = raw.written.as_str();
    let way_out = match (&raw.origin, near.rsplit_once('.'), written.rsplit_once('.')) {
        (Origin::Environment(_) | Origin::CommandLine, ..) => {
            format!("write `{}`", raw.origin.setting(&near, &near, &show(&raw.value)))
        }
        (_, Some((table, word)), Some((here, wrong))) if table == here => {
            format!("write `{word}` instead of `{wrong}`, or remove it")
        }
        (_, None, None) => format!("write `{near}` instead of `{written}`, or remove it"),
        (_, None, Some((_, wrong))) if wrong == near => {
            format!("move `{wrong}` to the top of the file, above the first table")
        }
        (_, Some((table, word)), _) if word == last(written) => format!("move `{word}` below `[{table}]`"),
        _ => format!("remove `{}`, and write `{near}` instead if that was meant", last(written)),
    };
    let near = match &raw.origin {
        Origin::Environment(_) => variable(&near),
        Origin::Default | Origin::File(..) | Origin::CommandLine => near,
    };
    mistake(raw, format!("unknown key (did you mean `{near}`?)"), way_out)
}

fn variable(path: &str) -> String {
    format!("WATTKEEPER__{}", path.replace('.', "__").replace('-', "_").to_uppercase())
}

pub(super) fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The key that lies above `path`, which goes on below it.
fn key_above(path: &str) -> Option<(&str, &'static KeyDoc)> {
    let heads = path.match_indices('.').filter_map(|(end, _)| path.get(..end));
    heads.take(DEEPEST).find_map(|head| Some((head, keys::lookup(head)?)))
}

/// A known path with the operator's names in it, where it has names.
pub(super) fn named<'k>(known: &'k str, segments: &[&str]) -> Cow<'k, str> {
    if !known.contains("NAME") {
        return Cow::Borrowed(known);
    }
    let words = known.split('.').enumerate().map(|(at, word)| match word {
        "NAME" => segments.get(at).copied().unwrap_or("NAME"),
        word => word,
    });
    Cow::Owned(words.collect::<Vec<_>>().join("."))
}

/// The nearest known key, with the operator's names in it.
fn nearest_key(path: &str) -> Option<String> {
    if path.len() > nearest::LONGEST {
        return None;
    }
    // A slip in the last word is the likeliest; a key in the wrong table comes next.
    let (head, tail) = path.rsplit_once('.').unwrap_or(("", path));
    let table = keys::pattern(head);
    let siblings = keys::table().iter().filter_map(|known| {
        let (above, word) = known.path.rsplit_once('.').unwrap_or(("", known.path));
        (above == table).then_some(word)
    });
    if let Some(word) = nearest::nearest(tail, siblings) {
        return Some(if head.is_empty() { word.to_owned() } else { format!("{head}.{word}") });
    }
    let segments: Vec<&str> = path.split('.').collect();
    let candidates: Vec<Cow<'_, str>> = keys::table().iter().map(|key| named(key.path, &segments)).collect();
    if let Some(near) = nearest::nearest(path, candidates.iter().map(AsRef::as_ref)) {
        return Some(near.to_owned());
    }
    let elsewhere = candidates.iter().filter(|known| last(known) == tail);
    elsewhere.min_by_key(|known| nearest::distance(path, known)).map(|near| near.clone().into_owned())
}
