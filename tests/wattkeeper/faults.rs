//! The faults that must be survived: those of the wire are played here, and one table says which test shows which.

mod endpoint;
mod fake;
mod fakes;
pub mod frame;
mod isolation;
mod kinds;
mod link;
mod network;
mod protocol;
mod running;
mod serial;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// All rows, as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    title: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    fault: String,
    does: String,
    /// Why no test shows it.
    missing: Option<String>,
}

/// How many rows each letter has.
const ROWS: [(char, u32); 9] =
    [('N', 13), ('P', 15), ('B', 18), ('D', 24), ('T', 8), ('S', 11), ('H', 9), ('C', 11), ('M', 4)];

fn table() -> Table {
    toml::from_str(include_str!("faults/rows.toml")).unwrap_or_else(|error| panic!("rows.toml: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// Names of the tests that begin with a row's letter and number, by row, each with its file.
fn tests() -> BTreeMap<String, BTreeSet<(String, String)>> {
    let mut found: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    for (name, path) in all_tests() {
        if let Some(id) = row_of(&name) {
            found.entry(id).or_default().insert((name, path));
        }
    }
    found
}

/// The name of every test, with its file.
pub fn all_tests() -> Vec<(String, String)> {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    sources(&root().join("tests"), &mut files);
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        let mut marked = false;
        for line in fs::read_to_string(&file).unwrap().lines().map(str::trim_start) {
            marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            let declared = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            let Some(name) = declared.and_then(|rest| rest.split(['(', '<']).next()) else { continue };
            if marked {
                found.push((name.to_owned(), path.clone()));
            }
            marked = false;
        }
    }
    found
}

/// The row that a test's name begins with.
fn row_of(name: &str) -> Option<String> {
    let (id, _) = name.split_once('_')?;
    let number =
        id.strip_prefix(|letter: char| ROWS.iter().any(|(known, _)| known.to_ascii_lowercase() == letter))?;
    (!number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit())).then(|| id.to_uppercase())
}

/// The page of all faults.
fn page(table: &Table, tests: &BTreeMap<String, BTreeSet<(String, String)>>) -> String {
    let rows = table.group.iter().flat_map(|group| &group.rows);
    let (shown, all) = (rows.clone().filter(|row| tests.contains_key(&row.id)).count(), rows.count());
    let mut page = format!(
        "# Faults\n\nWhat goes wrong in the field, what Wattkeeper does about it, and the tests that show it. \
         {shown} of {all} rows have a test; for the others the last column says why, and the middle one what is meant \
         to happen.\n"
    );
    for group in &table.group {
        page += &format!(
            "\n## {}\n\n| row | fault | what Wattkeeper does | shown by |\n|---|---|---|---|\n",
            group.title
        );
        for row in &group.rows {
            let named = |(name, path): &(String, String)| format!("[`{name}`](../{path})");
            let shown = match (tests.get(&row.id), &row.missing) {
                (Some(tests), _) => tests.iter().map(named).collect::<Vec<_>>().join("<br>"),
                (None, Some(missing)) => format!("not there yet: {missing}"),
                (None, None) => String::new(),
            };
            page += &format!("| {} | {} | {} | {shown} |\n", row.id, row.fault, row.does);
        }
    }
    page
}

#[test]
fn every_row_of_the_fault_table_is_shown_by_a_test_or_says_why_not() {
    let (table, tests) = (table(), tests());
    let rows: Vec<&Row> = table.group.iter().flat_map(|group| &group.rows).collect();
    let mut wrong = Vec::new();
    for row in &rows {
        match (tests.contains_key(&row.id), &row.missing) {
            (false, None) => wrong.push(format!("{}: neither a test nor a reason in `missing`", row.id)),
            (true, Some(_)) => wrong.push(format!("{}: has a test now; take its `missing` out", row.id)),
            _ => {}
        }
    }
    let known: BTreeSet<&String> = rows.iter().map(|row| &row.id).collect();
    wrong.extend(
        tests.keys().filter(|id| !known.contains(id)).map(|id| format!("{id}: a test without a row")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (letter, count) in ROWS {
        let numbered = |at: &u32| if letter == 'B' { format!("B{at:02}") } else { format!("{letter}{at}") };
        let wanted: Vec<String> = (1..=count).map(|at| numbered(&at)).collect();
        let there: Vec<&String> =
            rows.iter().map(|row| &row.id).filter(|id| id.starts_with(letter)).collect();
        assert_eq!(there, wanted.iter().collect::<Vec<_>>());
    }
}

#[test]
fn the_page_of_faults_is_that_of_the_table_and_the_tests() {
    let path = root().join("docs/faults.md");
    let fresh = page(&table(), &tests());
    if std::env::var_os("WATTKEEPER_WRITE_DOCS").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == fresh, "docs/faults.md is out of date: run WATTKEEPER_WRITE_DOCS=1 cargo test page_of");
}
