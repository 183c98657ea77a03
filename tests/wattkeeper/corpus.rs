//! Files as tired people write them: each wrong one is refused with line, key, cause and a way out that makes it load
//! when it is done to the letter; each good one is accepted.
//!
//! The files are in `tests/corpus`: good texts in `base`, and lists of cases that change one of them.

mod apply;
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wattkeeper::device::definition::Definition;
use wattkeeper::device::mistake::Mistake;
use wattkeeper::profile::{self, Overrides};

/// A list of cases about one theme.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Theme {
    /// `profile` or `definition`.
    about: About,
    /// The good text that a case changes unless it names another.
    base: String,
    case: Vec<Case>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum About {
    Profile,
    Definition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    base: Option<String>,
    /// What is changed, and into what.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// More changes.
    #[serde(default)]
    and: Vec<(String, String)>,
    /// A whole text in place of a changed one.
    text: Option<String>,
    /// Laid over the file.
    #[serde(default)]
    set: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// The key at fault; empty when it has none.
    #[serde(default)]
    key: String,
    /// A part of the cause; a case without one is a good file.
    #[serde(default)]
    cause: String,
    /// A part of the line at fault; else it is the first line of what was changed.
    at: Option<String>,
    /// Further mistakes in the same file.
    #[serde(default)]
    also: Vec<Fault>,
    /// What a good file means, by its effective values.
    #[serde(default)]
    means: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    at: String,
    key: String,
    cause: String,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

pub fn base(name: &str) -> String {
    let path = folder().join("base").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn themes() -> Vec<(String, Theme)> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let theme = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().unwrap().to_string_lossy().into_owned(), theme)
    };
    paths.iter().map(read).collect()
}

/// A case's text, and what is laid over it.
struct Given {
    about: About,
    text: String,
    overrides: Overrides,
}

impl Given {
    fn of(theme: &Theme, case: &Case) -> Result<Self, String> {
        let mut text = match &case.text {
            Some(text) => text.clone(),
            None => base(case.base.as_ref().unwrap_or(&theme.base)),
        };
        let first = Some((case.from.clone(), case.to.clone())).filter(|(from, _)| !from.is_empty());
        for (from, to) in first.iter().chain(&case.and) {
            if !text.contains(from.as_str()) {
                return Err(format!("the text has no {from}"));
            }
            text = text.replacen(from, to, 1);
        }
        let environment = case.environment.clone().into_iter().collect();
        let overrides = Overrides { set: case.set.clone(), environment, ..Overrides::default() };
        Ok(Self { about: theme.about, text, overrides })
    }

    /// What the reader finds: mistakes, or the effective values.
    fn read(&self) -> Result<BTreeMap<String, String>, Vec<Mistake>> {
        match self.about {
            About::Profile => profile::load_text("it.toml", &self.text, Some(&folder()), &self.overrides)
                .map(|site| {
                    site.origins().iter().map(|(key, value, _)| (key.clone(), value.clone())).collect()
                }),
            About::Definition => Definition::parse(&self.text, "it.toml").map(|_| BTreeMap::new()),
        }
    }

    /// Does what the mistakes say, from the last line to the first.
    fn follow(&mut self, mut mistakes: Vec<Mistake>) -> Result<(), String> {
        mistakes.sort_by_key(|mistake| std::cmp::Reverse(mistake.line));
        for mistake in mistakes {
            match mistake.file.as_str() {
                "command line" => replace_word(&mut self.overrides.set, &mistake)?,
                "environment" => replace_variable(&mut self.overrides.environment, &mistake)?,
                _ => self.text = apply::apply(&self.text, &mistake)?,
            }
        }
        Ok(())
    }
}

/// The first text in backticks.
fn ticked(mistake: &Mistake) -> Result<&str, String> {
    mistake.way_out.split('`').nth(1).ok_or(format!("nothing to write: {}", mistake.way_out))
}

fn replace_word(words: &mut [String], mistake: &Mistake) -> Result<(), String> {
    let right = ticked(mistake)?.strip_prefix("--set ").ok_or("no --set to write")?;
    let wrong = words.iter_mut().find(|word| word.starts_with(&mistake.key)).ok_or("which --set?")?;
    right.clone_into(wrong);
    Ok(())
}

fn replace_variable(variables: &mut [(String, String)], mistake: &Mistake) -> Result<(), String> {
    let (name, value) = ticked(mistake)?.split_once('=').ok_or("no variable to write")?;
    let wrong = variables.iter_mut().find(|(name, _)| *name == mistake.key).ok_or("which variable?")?;
    *wrong = (name.to_owned(), value.to_owned());
    Ok(())
}

fn shown(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("    {mistake}\n")).collect()
}

/// What is wrong with the answer to a wrong file, if anything.
fn trouble(theme: &Theme, case: &Case) -> Result<(), String> {
    let mut given = Given::of(theme, case)?;
    let Err(mistakes) = given.read() else { return Err("it was accepted".to_owned()) };
    let own = match (&case.at, case.to.lines().next().filter(|line| !line.trim().is_empty())) {
        (Some(at), _) => at.clone(),
        (None, Some(first)) => first.to_owned(),
        (None, None) => String::new(),
    };
    let own = Fault { at: own, key: case.key.clone(), cause: case.cause.clone() };
    let lines: Vec<&str> = given.text.lines().collect();
    let fits = |fault: &Fault, mistake: &Mistake| {
        let line = lines.get(mistake.line.wrapping_sub(1)).copied().unwrap_or_default();
        let placed = mistake.line > 0 || !matches!(mistake.file.as_str(), "it.toml");
        placed
            && line.contains(fault.at.trim())
            && mistake.key == fault.key
            && mistake.cause.contains(&fault.cause)
    };
    let faults: Vec<&Fault> = std::iter::once(&own).chain(&case.also).collect();
    let missing = faults.iter().find(|fault| !mistakes.iter().any(|mistake| fits(fault, mistake)));
    if let Some(fault) = missing {
        return Err(format!(
            "nothing says `{}` of {} at \"{}\"\n{}",
            fault.cause,
            fault.key,
            fault.at,
            shown(&mistakes)
        ));
    }
    if mistakes.len() != faults.len() {
        return Err(format!("{} mistakes, not {}\n{}", mistakes.len(), faults.len(), shown(&mistakes)));
    }
    let told = shown(&mistakes);
    given.follow(mistakes).map_err(|error| format!("{error}\n{told}"))?;
    match given.read() {
        Ok(_) => Ok(()),
        Err(left) => Err(format!(
            "the way out leads to another mistake\n{told}  then\n{}\n{}",
            shown(&left),
            given.text
        )),
    }
}

/// Every case of a kind that is wrong, or good, with what is the trouble with it.
fn judge(wanted: About, wrong: bool) -> (usize, Vec<String>) {
    let mut count = 0;
    let mut troubles = Vec::new();
    for (file, theme) in themes().iter().filter(|(_, theme)| theme.about == wanted) {
        for case in theme.case.iter().filter(|case| case.cause.is_empty() != wrong) {
            count += 1;
            let judged = if wrong { trouble(theme, case) } else { doubt(theme, case) };
            if let Err(why) = judged {
                troubles.push(format!("{file}: {}: {why}", case.name));
            }
        }
    }
    (count, troubles)
}

/// What is wrong with the answer to a good file, if anything.
fn doubt(theme: &Theme, case: &Case) -> Result<(), String> {
    let values = Given::of(theme, case)?.read().map_err(|mistakes| shown(&mistakes))?;
    match case.means.iter().find(|(key, value)| values.get(*key) != Some(value)) {
        Some((key, value)) => Err(format!("{key} is {:?}, not {value}", values.get(key))),
        None => Ok(()),
    }
}

#[track_caller]
fn all_fit((count, troubles): (usize, Vec<String>), least: usize) {
    assert!(troubles.is_empty(), "{} of {count}:\n{}", troubles.len(), troubles.join("\n"));
    assert!(count >= least, "only {count} of {least}");
}

#[test]
fn c1_every_wrong_profile_is_refused_with_a_way_out_that_works() {
    all_fit(judge(About::Profile, true), 120);
}

#[test]
fn c1_every_wrong_definition_is_refused_with_a_way_out_that_works() {
    all_fit(judge(About::Definition, true), 80);
}

#[test]
fn good_files_are_accepted_and_mean_what_they_say() {
    let ((profiles, wrong), (definitions, bad)) =
        (judge(About::Profile, false), judge(About::Definition, false));
    all_fit((profiles + definitions, [wrong, bad].concat()), 50);
}

/// The cause and the first thing to write, of the mistake with this key that one change of a base brings.
#[track_caller]
fn told(base_name: &str, from: &str, to: &str, key: &str) -> (String, String) {
    let text = base(base_name);
    assert!(text.contains(from), "the text has no {from}");
    let given =
        Given { about: About::Profile, text: text.replacen(from, to, 1), overrides: Overrides::default() };
    let mistakes = given.read().err().unwrap_or_default();
    let found = mistakes.iter().find(|mistake| mistake.key == key);
    let found = found.unwrap_or_else(|| panic!("nothing about {key}\n{}", shown(&mistakes)));
    (found.cause.clone(), ticked(found).unwrap().to_owned())
}

#[test]
fn c2_a_ratio_or_another_unit_is_refused_with_what_was_meant() {
    for (from, to, key, right) in [
        ("floor = 20", "floor = 0.2", "policy.battery.floor", "floor = 20"),
        ("\"5 kW\"", "5", "authority", "authority = \"5 kW\""),
        ("\"5 kW\"", "5000", "authority", "authority = \"5 kW\""),
        ("\"5 kW\"", "\"5 kWh\"", "authority", "authority = \"5 kW\""),
        ("\"6 kW\"", "\"6,5 kW\"", "policy.grid.import_limit", "import_limit = \"6.5 kW\""),
        ("\"20m\"", "\"20 Minuten\"", "policy.generator.min_run", "min_run = \"20m\""),
    ] {
        assert_eq!(told("hut.toml", from, to, key).1, right, "{to}");
    }
}

#[test]
fn c3_a_start_below_what_ends_discharge_is_refused() {
    let (cause, right) = told("hut.toml", "soc = 40", "soc = 4", "policy.generator.soc.start");
    assert!(cause.contains("discharge has ended by then"), "{cause}");
    assert_eq!(right, "start.soc = 5");
}

#[test]
fn c4_two_devices_at_the_same_endpoint_and_unit_are_refused() {
    let (cause, right) = told("house.toml", "192.0.2.13:502", "192.0.2.11:502", "device.relays.unit");
    assert!(cause.contains("is unit 1 of 192.0.2.11:502 too, as meter is"), "{cause}");
    assert_eq!(right, "unit = 2");
}

#[test]
fn c6_a_voltage_that_the_cells_never_have_is_refused() {
    let cells = "floor = 20\nchemistry = \"lfp\"\ncells = 8\nvoltage_floor = \"46 V\"";
    let (cause, _) = told("hut.toml", "floor = 20", cells, "policy.battery.voltage_floor");
    assert!(cause.contains("46 V is no voltage of 8 lfp cells, which have 20 V to 29.2 V"), "{cause}");
}

#[test]
fn c7_a_limit_above_contract_or_breaker_is_refused() {
    let limit = "import_limit = \"6 kW\"\nimport_contract = \"4 kW\"";
    let (_, right) = told("hut.toml", "import_limit = \"6 kW\"", limit, "policy.grid.import_limit");
    assert_eq!(right, "import_limit = \"4 kW\"");
    let rating = "rating = \"12 kW\"\nbreaker = \"9 kW\"";
    let (_, right) = told("hut.toml", "min_run = \"20m\"", rating, "policy.generator.rating");
    assert_eq!(right, "rating = \"9 kW\"");
}

#[test]
fn c9_no_key_of_a_profile_takes_a_secret() {
    for key in profile::keys() {
        assert!(
            !["token", "password", "secret", "pin"].iter().any(|word| key.path.ends_with(word)),
            "{}",
            key.path
        );
    }
}

#[test]
fn no_two_cases_are_the_same() {
    let mut names = BTreeMap::new();
    let mut changes = BTreeMap::new();
    for (file, theme) in &themes() {
        for case in &theme.case {
            let twin = names.insert(case.name.clone(), file.clone());
            assert!(twin.is_none(), "{}: {} stands twice", file, case.name);
            let given = Given::of(theme, case).unwrap_or_else(|why| panic!("{file}: {}: {why}", case.name));
            let what = (given.text, given.overrides.set, given.overrides.environment);
            if let Some(twin) = changes.insert(what, case.name.clone()) {
                panic!("{file}: {} is {twin}", case.name);
            }
        }
    }
}
