//! Tables with a wrong name: one mistake at the header, not one for each key below it.

use std::collections::BTreeMap;

use crate::device::definition::syntax::MOST_MISTAKES;
use crate::device::mistake::Mistake;

use super::keys;
use super::layer::{DEEPEST, Layer, Origin, Raw, canonical, is_name, last, mistake, named};
use super::nearest;

/// Tables of named things, and a name for one of them.
const NAMED: [(&str, &str); 5] = [
    ("device", "gx"),
    ("policy.schedule", "night"),
    ("policy.plan", "noon"),
    ("policy.outage", "works"),
    ("policy.load", "boiler"),
];

/// Refuses tables that no key lies in, with what stands in them.
pub fn misnamed(raws: &mut Vec<Raw>, layer: &mut Layer, mistakes: &mut Vec<Mistake>) {
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for path in &layer.opened {
        if mistakes.len().saturating_add(wrong.len()) >= MOST_MISTAKES {
            break;
        }
        if path.split('.').count() > DEEPEST || is_known(path) || inside_one(path, &wrong) {
            continue;
        }
        if let Some(right) = right_name(path) {
            wrong.insert(path.clone(), right);
        }
    }
    for (table, name) in NAMED {
        // `[device]` with the keys of one device in it: its name is missing.
        let nameless = |raw: &Raw| {
            let own = raw.written.strip_prefix(table).and_then(|rest| rest.strip_prefix('.'));
            let path = own.map(|key| format!("{table}.NAME.{key}"));
            path.is_some_and(|path| keys::lookup(&path).is_some_and(|key| key.path == path))
        };
        if layer.opened.contains(table) && raws.iter().any(nameless) {
            wrong.insert(table.to_owned(), format!("{table}.{name}"));
        }
    }
    // `[[device]]` is a list of devices without names.
    for raw in raws.iter().filter(|raw| is_list_of_tables(&raw.value)) {
        let path = &raw.written;
        if let Some((table, name)) = NAMED.iter().find(|(table, _)| table == path) {
            let way_out =
                format!("write `[{table}.{name}]` instead of `[[{path}]]`, with a name of your choice");
            mistakes.push(mistake(raw, format!("`{path}` is no list: each has a name"), way_out));
            layer.tainted.insert(format!("{path}.*"));
        }
    }
    raws.retain(|raw| {
        !(is_list_of_tables(&raw.value) && NAMED.iter().any(|(table, _)| *table == raw.written))
    });
    for (table, right) in wrong {
        let Some(Origin::File(file, line)) = layer.sections.remove(&table) else { continue };
        let cause = if right.starts_with(&format!("{table}.")) {
            format!("`[{table}]` needs a name: it can have several")
        } else {
            format!("there is no table `[{table}]`")
        };
        let way_out = if layer.opened.contains(&right) {
            format!("move what stands below `[{table}]` to `[{right}]`")
        } else {
            format!("write `[{right}]` instead of `[{table}]`")
        };
        mistakes.push(Mistake { file, line, key: table.clone(), cause, way_out });
        let below = format!("{table}.");
        raws.retain(|raw| !raw.written.starts_with(&below));
        layer.sections.retain(|path, _| !path.starts_with(&below));
        layer.tainted.extend([right.clone(), format!("{right}.*")]);
    }
}

/// Whether keys can stand in this table, be it by their other spelling.
fn is_known(path: &str) -> bool {
    // An overlay has a name, and in it stands what stands in a profile.
    if let Some(rest) = path.strip_prefix("overlay.") {
        return rest.split_once('.').is_none_or(|(_, inner)| is_known(inner));
    }
    if path == "overlay" {
        return true;
    }
    let aliased = || {
        let mut condition: Vec<String> = path.split('.').map(str::to_owned).collect();
        condition.push("soc".to_owned());
        keys::lookup(&canonical(&condition)).is_some()
    };
    keys::first_below(path).is_some() || keys::lookup(path).is_some() || aliased()
}

/// Whether a table above is wrong already.
fn inside_one(path: &str, wrong: &BTreeMap<String, String>) -> bool {
    path.match_indices('.').filter_map(|(end, _)| path.get(..end)).any(|above| wrong.contains_key(above))
}

fn is_list_of_tables(value: &toml::Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(toml::Value::is_table))
}

/// The known table that a wrong name is nearest to: by its words, or by its last word alone.
fn right_name(path: &str) -> Option<String> {
    let words: Vec<&str> = path.split('.').collect();
    let same_length = |table: &str| table.split('.').count() == words.len();
    let known: Vec<&str> =
        keys::tables().keys().copied().filter(|table| last(table) != "NAME" || same_length(table)).collect();
    let candidates: Vec<_> =
        known.iter().filter(|table| same_length(table)).map(|table| named(table, &words)).collect();
    if let Some(near) = nearest::nearest(path, candidates.iter().map(AsRef::as_ref)) {
        return Some(near.to_owned());
    }
    let alone = last(path);
    let elsewhere =
        known.iter().map(|table| named(table, &words)).find(|table| last(table) == alone && *table != path);
    elsewhere.map(std::borrow::Cow::into_owned)
}

/// What to call a thing that cannot be called this.
pub fn rename(raw: &Raw, name: &str, layer: &Layer) -> Mistake {
    let mut better: String = name
        .to_lowercase()
        .chars()
        .map(|letter| {
            if letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_' { letter } else { '-' }
        })
        .take(28)
        .collect();
    if !is_name(&better) {
        better = format!("x-{better}");
    }
    let table = raw.segments.iter().position(|word| word == name).and_then(|at| raw.segments.get(..=at));
    let table = table.unwrap_or_default().join(".");
    let header = layer.sections.get(&table).map(Origin::place);
    let found = mistake(
        raw,
        format!("\"{name}\" cannot be a name"),
        format!(
            "write `{better}` instead of `{name}`; names have small letters, digits, - and _, begin with a letter, and are none of l1, l2, l3, dc, in, out"
        ),
    );
    match header {
        Some((file, line)) => Mistake { file, line, key: table, ..found },
        None => found,
    }
}
