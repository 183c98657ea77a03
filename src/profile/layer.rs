//! One layer of a profile as it was written: every leaf with its file and line, every mistake in it at once.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::{DeTable, DeValue};

use crate::device::mistake::Mistake;

use super::keys::{self, KeyDoc};
use super::nearest;
use super::value::{Kind, Typed};

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
    /// Keys of what was refused, and of what was probably meant.
    pub tainted: BTreeSet<String>,
    /// Profiles it builds on.
    pub extends: Vec<(String, Origin)>,
}

/// Names that a device or window cannot have, because signals are spelled with them.
const RESERVED: &[&str] = &["l1", "l2", "l3", "dc", "in", "out"];

/// A leaf before it is looked at.
struct Raw {
    segments: Vec<String>,
    value: toml::Value,
    origin: Origin,
}

/// Reads a file's text.
pub fn file(name: &str, text: &str, mistakes: &mut Vec<Mistake>) -> Layer {
    let (document, errors) = DeTable::parse_recoverable(text);
    let line = |offset: usize| text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1;
    if !errors.is_empty() {
        let mut lines = BTreeSet::new();
        for error in &errors {
            let line = error.span().map_or(1, |span| line(span.start));
            // What else is wrong with a line is mostly the same slip again.
            if !lines.insert(line) {
                continue;
            }
            mistakes.push(Mistake {
                file: name.to_owned(),
                line,
                key: String::new(),
                cause: format!("this is not TOML: {}", error.message().replace('\n', ", ")),
                way_out: "correct this line; the rest of the file is looked at after that".to_owned(),
            });
        }
        let mut layer = Layer::default();
        layer.tainted.insert(String::new());
        return layer;
    }
    let mut raws = Vec::new();
    let mut layer = Layer::default();
    walk(
        document.get_ref(),
        &[],
        &|offset| Origin::File(name.to_owned(), line(offset)),
        &mut raws,
        &mut layer,
    );
    raws.sort_by_key(|raw| raw.origin.place().1);
    take_extends(&mut raws, &mut layer, mistakes);
    if !raws.iter().any(|raw| raw.segments == ["schema"]) {
        layer.tainted.insert("schema".to_owned());
        mistakes.push(Mistake {
            file: name.to_owned(),
            line: 1,
            key: "schema".to_owned(),
            cause: "the file does not say which layout it has".to_owned(),
            way_out: "write `schema = 1` as its first line".to_owned(),
        });
    }
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
                way_out: "write --set key=value, such as --set policy.battery.floor=25".to_owned(),
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
    let path = canonical(&segments);
    let value = match lookup(&path) {
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
            if segments.get(1).is_some_and(|it| ["schedule", "plan", "outage"].contains(&it.as_str())) =>
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

fn walk(
    table: &DeTable<'_>,
    above: &[String],
    origin: &dyn Fn(usize) -> Origin,
    raws: &mut Vec<Raw>,
    layer: &mut Layer,
) {
    for (key, value) in table {
        let mut segments = above.to_vec();
        segments.push(key.get_ref().to_string());
        let here = origin(key.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => {
                layer.sections.entry(segments.join(".")).or_insert(here);
                walk(inner, &segments, origin, raws, layer);
            }
            other => raws.push(Raw { segments, value: plain(other), origin: here }),
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
        value => raws.push(Raw { segments, value, origin: origin.clone() }),
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
        Err(refusal) => mistakes.push(mistake(&raw, refusal.cause, refusal.way_out)),
    }
}

/// The one spelling of a key: `start = { soc = 40 }` and `[soc] start = 40` are the same.
fn canonical(segments: &[String]) -> String {
    let words: Vec<&str> = segments.iter().map(String::as_str).collect();
    let quantity = |word: &str| ["soc", "load", "current", "voltage"].contains(&word);
    match words.as_slice() {
        ["policy", "generator", edge @ ("start" | "stop"), what] if quantity(what) => {
            format!("policy.generator.{what}.{edge}")
        }
        ["policy", "generator", "quiet", edge @ ("start" | "stop"), what] if quantity(what) => {
            format!("policy.generator.{what}.quiet.{edge}")
        }
        _ => words.join("."),
    }
}

/// The key that a dotted path means, with the operator's names in place of `NAME`.
pub fn lookup(path: &str) -> Option<KeyDoc> {
    keys::keys().into_iter().find(|key| matches(key.path, path))
}

fn matches(pattern: &str, path: &str) -> bool {
    pattern.split('.').count() == path.split('.').count()
        && pattern.split('.').zip(path.split('.')).all(|(want, have)| want == "NAME" || want == have)
}

fn accept(raws: Vec<Raw>, layer: &mut Layer, mistakes: &mut Vec<Mistake>) {
    let table = keys::keys();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for raw in raws {
        let written = raw.segments.join(".");
        let path = canonical(&raw.segments);
        let Some(key) = table.iter().find(|key| matches(key.path, &path)) else {
            mistakes.push(unknown(&raw, &path, &table, layer));
            continue;
        };
        if let Some(name) = bad_name(key.path, &path) {
            layer.tainted.insert(path.clone());
            if names.insert(name.clone()) {
                mistakes.push(mistake(
                    &raw,
                    format!("\"{name}\" cannot be a name"),
                    format!(
                        "begin with a small letter, go on with small letters, digits, - and _, and use none of {}",
                        RESERVED.join(", ")
                    ),
                ));
            }
            continue;
        }
        // On the command line, what is said later replaces what was said before.
        let before = seen.insert(path.clone(), written.clone());
        if let Some(before) = before.filter(|_| raw.origin != Origin::CommandLine) {
            mistakes.push(mistake(
                &raw,
                format!("`{before}` and `{written}` say the same thing twice"),
                "remove one of the two".to_owned(),
            ));
        }
        match key.kind.read(&raw.value, key.optional) {
            Ok(typed) => layer.leaves.push(Leaf { path, kind: key.kind, typed, origin: raw.origin }),
            Err(refusal) => {
                layer.tainted.insert(path);
                mistakes.push(mistake(&raw, refusal.cause, refusal.way_out));
            }
        }
    }
}

fn mistake(raw: &Raw, cause: String, way_out: String) -> Mistake {
    let (file, line) = raw.origin.place();
    let key = match &raw.origin {
        Origin::Environment(variable) => variable.clone(),
        Origin::Default | Origin::File(..) | Origin::CommandLine => raw.segments.join("."),
    };
    Mistake { file, line, key, cause, way_out }
}

fn bad_name(pattern: &str, path: &str) -> Option<String> {
    let names = pattern.split('.').zip(path.split('.')).filter(|(want, _)| *want == "NAME");
    let good = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= 32
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
            && !RESERVED.contains(&name)
    };
    names.map(|(_, name)| name).find(|name| !good(name)).map(str::to_owned)
}

fn unknown(raw: &Raw, path: &str, table: &[KeyDoc], layer: &mut Layer) -> Mistake {
    layer.tainted.insert(path.to_owned());
    for key in table {
        if let Some(leaf) = prefix_of(path, key.path) {
            layer.tainted.insert(leaf.clone());
            return mistake(
                raw,
                format!("`{leaf}` takes a value, not a table"),
                format!("write {} = ... ({})", last(&leaf), key.accepts),
            );
        }
    }
    let below: Vec<&str> =
        table.iter().filter(|key| prefix_of(key.path, path).is_some()).map(|key| key.path).collect();
    let below: Vec<&str> = if below.is_empty() {
        table.iter().filter(|key| is_table(key.path, path)).map(|key| key.path).collect()
    } else {
        below
    };
    if let Some(first) = below.first() {
        return mistake(
            raw,
            format!("`{path}` is a table, not a value"),
            format!("write [{path}] and below it keys such as `{}`", last(first)),
        );
    }
    match nearest_key(path, table) {
        Some(near) => {
            layer.tainted.insert(near.clone());
            let write = match &raw.origin {
                Origin::Environment(_) => {
                    format!("WATTKEEPER__{}", near.replace('.', "__").replace('-', "_").to_uppercase())
                }
                Origin::Default | Origin::File(..) | Origin::CommandLine => near.clone(),
            };
            mistake(
                raw,
                format!("unknown key (did you mean `{write}`?)"),
                format!("write `{write}`, or remove it"),
            )
        }
        None => mistake(
            raw,
            "unknown key".to_owned(),
            "remove it; `wattkeeper check --keys` lists every key".to_owned(),
        ),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// The leading part of `path` that `pattern` matches, when `path` goes on below it.
fn prefix_of(path: &str, pattern: &str) -> Option<String> {
    let want = pattern.split('.').count();
    let segments: Vec<&str> = path.split('.').collect();
    let head = segments.get(..want).filter(|_| segments.len() > want)?.join(".");
    matches(pattern, &head).then_some(head)
}

/// Whether a key of this pattern lies below `path`.
fn is_table(pattern: &str, path: &str) -> bool {
    let want = path.split('.').count();
    let segments: Vec<&str> = pattern.split('.').collect();
    segments.get(..want).is_some_and(|head| segments.len() > want && matches(&head.join("."), path))
}

/// The nearest known key, with the operator's names in it.
fn nearest_key(path: &str, table: &[KeyDoc]) -> Option<String> {
    let segments: Vec<&str> = path.split('.').collect();
    let named = |key: &KeyDoc| {
        let words = key.path.split('.').enumerate().map(|(at, word)| match word {
            "NAME" => segments.get(at).copied().unwrap_or("NAME"),
            word => word,
        });
        words.collect::<Vec<_>>().join(".")
    };
    let candidates: Vec<String> = table.iter().map(named).collect();
    // A slip in the last word is the likeliest; a key in the wrong table comes next.
    let (head, tail) = path.rsplit_once('.').unwrap_or(("", path));
    let siblings = candidates.iter().filter_map(|known| {
        let (table, word) = known.rsplit_once('.').unwrap_or(("", known));
        (table == head).then_some(word)
    });
    if let Some(word) = nearest::nearest(tail, siblings) {
        return Some(if head.is_empty() { word.to_owned() } else { format!("{head}.{word}") });
    }
    if let Some(near) = nearest::nearest(path, candidates.iter().map(String::as_str)) {
        return Some(near.to_owned());
    }
    let elsewhere: Vec<&String> = candidates.iter().filter(|known| last(known) == tail).collect();
    elsewhere.into_iter().min_by_key(|known| nearest::distance(path, known)).cloned()
}
