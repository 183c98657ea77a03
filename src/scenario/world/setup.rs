//! The profile of a case, with the values that it sets laid over it.

use crate::device::definition::Persistence;
use crate::device::mistake::Mistake;
use crate::profile::{self, Checked, Laid, Overrides};

use super::super::format::tree::{Kind, Tree};
use super::super::format::{Case, Setting};

/// Loads the case's profile, or the minimal site. Mistakes in a set value stand at its line.
pub(crate) fn profile(case: &Case, set: &[Setting], laid: &[Laid]) -> Result<Checked, Vec<Mistake>> {
    let zone = case.clock.time_zone().iana_name().unwrap_or("UTC").to_owned();
    // The clock's zone is the site's; a zone that is set wins.
    let mut edits = vec![("site.timezone".to_owned(), toml::Value::String(zone))];
    for setting in set {
        edits.retain(|(key, _)| *key != setting.key); // what was set later replaces what was set before
        edits.push((setting.key.clone(), plain(&setting.value)));
    }
    let overrides = Overrides { edits, overlays: laid.to_vec(), ..Overrides::default() };
    let checked = match &case.profile {
        Some((path, _)) => profile::load(path, &overrides),
        None => profile::minimal(&overrides),
    };
    checked.map_err(|mistakes| mistakes.into_iter().map(|mistake| placed(mistake, case, set)).collect())
}

/// Whether a refused profile is what the case wants to see.
pub(crate) fn expects_mistakes(case: &Case) -> bool {
    let steps = case.steps.iter().flat_map(|step| step.expect.iter().chain(&step.until_next));
    case.always.iter().chain(steps).any(|expect| expect.subject.name == "mistakes")
}

/// The keys that were refused.
pub(crate) fn keys(mistakes: &[Mistake]) -> Vec<String> {
    mistakes.iter().map(|mistake| mistake.key.clone()).collect()
}

/// Places of the actuators whose definition writes orders to memory that wears.
pub(crate) fn wearing(checked: &Checked) -> Vec<usize> {
    let wears = |place: usize| {
        checked.devices.iter().any(|device| {
            let mut controls = device.orders.iter().filter(|(_, actuator)| usize::from(**actuator) == place);
            controls.any(|((kind, _), _)| {
                let control = device.definition.as_ref().and_then(|definition| definition.control(*kind));
                control.is_some_and(|control| {
                    control.command.iter().any(|write| write.persistence != Persistence::Cyclic)
                })
            })
        })
    };
    (0..checked.site.wiring.actuators.len()).filter(|place| wears(*place)).collect()
}

/// What the store would have held: nothing outlives the process yet.
pub(crate) fn no_memory(case: &Case, entry: &Setting) -> Mistake {
    Mistake {
        file: case.file.clone(),
        line: entry.line,
        key: format!("state.{}", entry.key),
        cause: "nothing of this name is remembered from one start of the controller to the next".to_owned(),
        way_out: "bring the site into this state by what it hears before the first expectation".to_owned(),
    }
}

/// A mistake about a value that the case sets, at the line where it is set.
fn placed(mistake: Mistake, case: &Case, set: &[Setting]) -> Mistake {
    if mistake.line > 0 {
        return mistake;
    }
    let mut latest_first = set.iter().rev();
    let related = |setting: &&Setting| {
        setting.key == mistake.key
            || mistake.key.strip_prefix(setting.key.as_str()).is_some_and(|rest| rest.starts_with('.'))
    };
    let line = match latest_first.find(related) {
        Some(setting) => setting.line,
        None => case.profile.as_ref().map_or(case.line, |(_, line)| *line),
    };
    Mistake { file: case.file.clone(), line, ..mistake }
}

/// As the profile's own file would hold it.
fn plain(tree: &Tree) -> toml::Value {
    match &tree.kind {
        Kind::Text(text) => toml::Value::String(text.clone()),
        Kind::Flag(flag) => toml::Value::Boolean(*flag),
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and far below 2^53")]
        Kind::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
            toml::Value::Integer(*number as i64)
        }
        Kind::Number(number) => toml::Value::Float(*number),
        Kind::List(list) => toml::Value::Array(list.iter().map(plain).collect()),
        Kind::Table(entries) => {
            toml::Value::Table(entries.iter().map(|entry| (entry.key.clone(), plain(&entry.value))).collect())
        }
    }
}
