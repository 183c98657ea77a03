//! Tables with a wrong name: one mistake at the header, not one for each key below it.

use std::collections::BTreeMap;

use crate::device::mistake::Mistake;

use super::keys;
use super::layer::{Layer, Origin, Raw, canonical, is_name, is_table, last, matches, mistake};
use super::nearest;

/// Tables of named things, and a name for one of them.
const NAMED: [(&str, &str); 4] =
    [("device", "gx"), ("policy.schedule", "night"), ("policy.plan", "noon"), ("policy.outage", "works")];

/// Refuses tables that no key lies in, with what stands in them.
pub fn misnamed(raws: &mut Vec<Raw>, layer: &mut Layer, mistakes: &mut Vec<Mistake>) {
    let patterns: Vec<&str> = keys::paths().collect();
    let mut wrong: BTreeMap<String, String> = BTreeMap::new();
    for path in &layer.opened {
        let mut condition: Vec<String> = path.split('.').map(str::to_owned).collect();
        condition.push("soc".to_owned());
        let aliased = || patterns.contains(&canonical(&condition).as_str());
        let known =
            patterns.iter().any(|pattern| is_table(pattern, path) || matches(pattern, path)) || aliased();
        let inside_one = wrong.keys().any(|above| path.starts_with(&format!("{above}.")));
        if inside_one || path.split('.').count() > 8 {
            continue;
        }
        if !known && let Some(right) = right_name(path, &patterns) {
            wrong.insert(path.clone(), right);
        }
    }
    for (table, name) in NAMED {
        // `[device]` with the keys of one device in it: its name is missing.
        let nameless = raws.iter().any(|raw| {
            let path = raw.segments.join(".");
            let own = path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.'));
            own.is_some_and(|key| patterns.contains(&format!("{table}.NAME.{key}").as_str()))
        });
        if nameless && layer.opened.contains(table) {
            wrong.insert(table.to_owned(), format!("{table}.{name}"));
        }
    }
    // `[[device]]` is a list of devices without names.
    for raw in raws.iter().filter(|raw| is_list_of_tables(&raw.value)) {
        let path = raw.segments.join(".");
        if let Some((table, name)) = NAMED.iter().find(|(table, _)| *table == path) {
            let way_out =
                format!("write `[{table}.{name}]` instead of `[[{path}]]`, with a name of your choice");
            mistakes.push(mistake(raw, format!("`{path}` is no list: each has a name"), way_out));
            layer.tainted.insert(format!("{path}.*"));
        }
    }
    raws.retain(|raw| {
        let path = raw.segments.join(".");
        !(is_list_of_tables(&raw.value) && NAMED.iter().any(|(table, _)| *table == path))
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
        raws.retain(|raw| !raw.segments.join(".").starts_with(&below));
        layer.sections.retain(|path, _| !path.starts_with(&below));
        layer.tainted.extend([right.clone(), format!("{right}.*")]);
    }
}

fn is_list_of_tables(value: &toml::Value) -> bool {
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(toml::Value::is_table))
}

/// The known table that a wrong name is nearest to: by its words, or by its last word alone.
fn right_name(path: &str, patterns: &[&str]) -> Option<String> {
    let words: Vec<&str> = path.split('.').collect();
    let tables = patterns.iter().flat_map(|pattern| {
        let all: Vec<&str> = pattern.split('.').collect();
        (1..all.len()).filter_map(|len| all.get(..len).map(<[&str]>::to_vec)).collect::<Vec<_>>()
    });
    let named = |table: &[&str]| -> String {
        let words = table.iter().enumerate().map(|(at, word)| match (*word, words.get(at)) {
            ("NAME", Some(own)) => *own,
            (word, _) => word,
        });
        words.collect::<Vec<_>>().join(".")
    };
    let mut known: Vec<Vec<&str>> =
        tables.filter(|table| table.last() != Some(&"NAME") || table.len() == words.len()).collect();
    known.sort();
    known.dedup();
    let same_length = known.iter().filter(|table| table.len() == words.len()).map(|table| named(table));
    let candidates: Vec<String> = same_length.collect();
    if let Some(near) = nearest::nearest(path, candidates.iter().map(String::as_str)) {
        return Some(near.to_owned());
    }
    let alone = last(path);
    known.iter().map(|table| named(table)).find(|table| last(table) == alone && table != path)
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
