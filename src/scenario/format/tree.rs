//! A TOML file with the line of every key and value, owned, in the order in which it was written.

use toml::de::{DeTable, DeValue};

use crate::device::mistake::Mistake;

/// A value and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tree {
    /// Line from 1.
    pub line: usize,
    /// What stands there.
    pub kind: Kind,
}

/// The kinds of value that a scenario can hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Text(String),
    Number(f64),
    Flag(bool),
    List(Vec<Tree>),
    Table(Vec<Entry>),
}

/// One key of a table and what it holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    pub line: usize,
    pub value: Tree,
}

impl Tree {
    /// How a person would call what stands here.
    pub(crate) fn what(&self) -> &'static str {
        match self.kind {
            Kind::Text(_) => "a text",
            Kind::Number(_) => "a number",
            Kind::Flag(_) => "true or false",
            Kind::List(_) => "an array",
            Kind::Table(_) => "a table",
        }
    }

    /// The entries, when this is a table.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// What a key of this table holds.
    pub(crate) fn get(&self, key: &str) -> Option<&Tree> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// This value as it would be written on one line.
    pub(crate) fn written(&self) -> String {
        match &self.kind {
            Kind::Text(text) => format!("{text:?}"),
            Kind::Number(number) => number.to_string(),
            Kind::Flag(flag) => flag.to_string(),
            Kind::List(list) => {
                format!("[{}]", list.iter().map(Self::written).collect::<Vec<_>>().join(", "))
            }
            Kind::Table(entries) => {
                let inner: Vec<_> = entries
                    .iter()
                    .map(|entry| format!("{:?} = {}", entry.key, entry.value.written()))
                    .collect();
                format!("{{ {} }}", inner.join(", "))
            }
        }
    }
}

/// Reads a file's text. What is no TOML is a mistake at its line; what can still be read is returned.
pub(crate) fn parse(text: &str, file: &str, mistakes: &mut Vec<Mistake>) -> Tree {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    // What follows the first is mostly its consequence.
    if let Some(error) = errors.into_iter().next() {
        mistakes.push(Mistake {
            file: file.to_owned(),
            line: error.span().map_or(0, |span| lines.at(span.start)),
            key: String::new(),
            cause: format!("not TOML: {}", error.message()),
            way_out: "correct the line; texts need quotes, tables on one line need commas".to_owned(),
        });
    }
    Tree { line: 1, kind: table_kind(table.get_ref(), &lines, file, mistakes) }
}

fn table_kind(table: &DeTable<'_>, lines: &Lines, file: &str, mistakes: &mut Vec<Mistake>) -> Kind {
    let mut entries: Vec<(usize, Entry)> = table
        .iter()
        .map(|(key, value)| {
            let start = key.span().start;
            let entry = Entry {
                key: key.get_ref().to_string(),
                line: lines.at(start),
                value: tree(value.get_ref(), value.span().start.max(start), lines, file, mistakes),
            };
            (start, entry)
        })
        .collect();
    entries.sort_by_key(|(start, _)| *start);
    Kind::Table(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn tree(value: &DeValue<'_>, start: usize, lines: &Lines, file: &str, mistakes: &mut Vec<Mistake>) -> Tree {
    let line = lines.at(start);
    let kind = match value {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(integer) => {
            let parsed = i64::from_str_radix(integer.as_str(), integer.radix());
            #[expect(clippy::cast_precision_loss, reason = "scenario numbers are far below 2^53")]
            Kind::Number(parsed.map_or(f64::NAN, |number| number as f64))
        }
        DeValue::Float(float) => Kind::Number(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Kind::Flag(*flag),
        DeValue::Datetime(stamp) => Kind::Text(stamp.to_string()),
        DeValue::Array(list) => Kind::List(
            list.iter().map(|item| tree(item.get_ref(), item.span().start, lines, file, mistakes)).collect(),
        ),
        DeValue::Table(table) => table_kind(table, lines, file, mistakes),
    };
    if matches!(kind, Kind::Number(number) if !number.is_finite()) {
        mistakes.push(Mistake {
            file: file.to_owned(),
            line,
            key: String::new(),
            cause: "a number that no measurement can have".to_owned(),
            way_out: "write a finite number, or \"unavailable\" for a device that does not know".to_owned(),
        });
    }
    Tree { line, kind }
}

/// Where each line of a text begins.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(breaks).collect())
    }

    /// The line from 1 in which a byte stands.
    fn at(&self, byte: usize) -> usize {
        self.0.partition_point(|start| *start <= byte).max(1)
    }
}
