//! All layers of a profile, last wins: defaults, what it extends, the file, the environment, the command line.
//!
//! The `config` crate merges what was said. It knows no lines, so every value that goes in carries the number of its
//! leaf, and what comes out is looked up by that number. The defaults stand in the drafts that it is put into.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::device::mistake::Mistake;

use super::draft::{DeviceDraft, Draft, WindowDraft};
use super::file;
use super::keys::{self, Key};
use super::layer::{self, Layer, Leaf, Origin};
use super::load::LoadDraft;
use super::nearest;
use super::timed::{OutageDraft, SlotDraft};
use super::value::Typed;

/// Tables of things that the operator names.
const NAMED: [&str; 5] = ["device", "policy.schedule", "policy.plan", "policy.outage", "policy.load"];

/// More files than any profile is made of.
const MOST_FILES: usize = 32;

/// Something that lies over a profile for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Laid {
    /// An overlay of the profile, by its name.
    Named(String),
    /// One `key=value`.
    Set(String),
}

/// An overlay by its name, or a value by its key and itself.
#[must_use]
pub fn laid(what: &str) -> Laid {
    if what.contains('=') { Laid::Set(what.to_owned()) } else { Laid::Named(what.to_owned()) }
}

/// What is laid over a profile's file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Environment variables; those without our prefix are passed over.
    pub environment: Vec<(String, String)>,
    /// `key=value` words, as `--set` takes them.
    pub set: Vec<String>,
    /// Overlays that are on, in their order; they win over all else.
    pub overlays: Vec<Laid>,
    /// Keys with TOML values, as a scenario's `set` holds them; they win over `set`.
    pub edits: Vec<(String, toml::Value)>,
}

impl Overrides {
    /// Those of this process's environment.
    #[must_use]
    pub fn from_environment() -> Self {
        let text = |word: std::ffi::OsString| word.to_string_lossy().into_owned();
        let all = std::env::vars_os().map(|(key, value)| (text(key), text(value)));
        Self {
            environment: all.filter(|(key, _)| key.starts_with("WATTKEEPER__")).collect(),
            ..Self::default()
        }
    }
}

/// A profile's text and where it stands.
#[derive(Clone, Debug)]
pub struct Text {
    /// The file as the person named it.
    pub file: String,
    /// What it says.
    pub text: String,
    /// Folder that relative paths start from; none for shipped texts.
    pub folder: Option<PathBuf>,
}

/// What holds after all layers.
#[derive(Clone, Debug, Default)]
pub struct Effective {
    /// The winning leaf of every key that anybody said.
    pub leaves: BTreeMap<String, Leaf>,
    /// Tables that were opened, also empty ones.
    pub sections: BTreeMap<String, Origin>,
    /// Those of them where a key can be added.
    pub opened: BTreeSet<String>,
    /// Keys about which a mistake was already reported.
    pub tainted: BTreeSet<String>,
    /// The operator's own file.
    pub file: String,
    /// Folder of the file that said a key first, for relative paths of definitions.
    pub folders: BTreeMap<String, PathBuf>,
}

impl Effective {
    /// Names below a table of named things, such as `device`.
    #[must_use]
    pub fn names(&self, table: &str) -> BTreeSet<String> {
        below(&self.leaves, table).chain(below(&self.sections, table)).map(str::to_owned).collect()
    }

    /// Whether anybody said anything below this table.
    #[must_use]
    pub fn says(&self, table: &str) -> bool {
        below(&self.leaves, table).next().is_some() || self.sections.contains_key(table)
    }
}

/// The names right below a table, each as often as a path has it.
fn below<'m, T>(paths: &'m BTreeMap<String, T>, table: &str) -> impl Iterator<Item = &'m str> + use<'m, T> {
    let table = format!("{table}.");
    let from = paths.range(table.clone()..);
    from.map_while(move |(path, _)| path.strip_prefix(&table)?.split('.').next())
}

/// The names of everything that has one.
fn named(layers: &[Layer]) -> BTreeSet<String> {
    let leaves = layers.iter().flat_map(|layer| layer.leaves.iter().map(|leaf| leaf.path.as_str()));
    let sections = layers.iter().flat_map(|layer| layer.sections.keys().map(String::as_str));
    let name = |path: &str| {
        let rest = NAMED.iter().find_map(|table| path.strip_prefix(table)?.strip_prefix('.'))?;
        rest.split('.').next().map(str::to_owned)
    };
    leaves.chain(sections).filter_map(name).collect()
}

/// Reads and merges all layers.
pub fn read(text: &Text, overrides: &Overrides, mistakes: &mut Vec<Mistake>) -> Effective {
    let mut layers = Vec::new();
    let mut open = Vec::new();
    let mut folders = BTreeMap::new();
    files(text, &mut open, &mut layers, &mut folders, mistakes);
    let known = if overrides.environment.is_empty() { BTreeSet::new() } else { named(&layers) };
    layers.push(layer::environment(&overrides.environment, &known, mistakes));
    layers.push(layer::command_line(&overrides.set, mistakes));
    layers.push(layer::edits(&overrides.edits, mistakes));
    let mut effective = merged(layers);
    for laid in &overrides.overlays {
        lay(laid, &mut effective, mistakes);
    }
    effective.file.clone_from(&text.file);
    effective.folders = folders;
    effective
}

/// Lets the values of an overlay win.
fn lay(laid: &Laid, effective: &mut Effective, mistakes: &mut Vec<Mistake>) {
    let leaves: Vec<Leaf> = match laid {
        Laid::Named(name) => {
            let table = format!("overlay.{name}.");
            let own = effective.leaves.range(table.clone()..);
            own.map_while(|(path, leaf)| {
                Some(Leaf { path: path.strip_prefix(&table)?.to_owned(), ..leaf.clone() })
            })
            .collect()
        }
        Laid::Set(word) => {
            let layer = layer::command_line(std::slice::from_ref(word), mistakes);
            effective.tainted.extend(layer.tainted);
            layer.leaves
        }
    };
    let name = match laid {
        Laid::Named(name) => format!("overlay {name}"),
        Laid::Set(word) => word.clone(),
    };
    let refuse = |cause: String, way_out: String| Mistake {
        file: "overlay".to_owned(),
        line: 0,
        key: name.clone(),
        cause,
        way_out,
    };
    if let Laid::Named(name) = laid
        && leaves.is_empty()
    {
        let known = effective.names("overlay");
        let known = known.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let known = if known.is_empty() { "it has none".to_owned() } else { format!("it has {known}") };
        mistakes.push(refuse(
            format!("the profile has no overlay {name}"),
            format!("add [overlay.{name}] to the profile; {known}"),
        ));
    }
    for leaf in leaves {
        let takes_control = leaf.path == "control" && leaf.typed == Typed::Text("on".to_owned());
        if !keys::may_overlay(&leaf.path) || takes_control {
            mistakes.push(refuse(
                format!("`{}` cannot be changed for a while", leaf.path),
                "set a key of `policy`, or control=observe; change anything else in the profile itself"
                    .to_owned(),
            ));
            continue;
        }
        effective.leaves.insert(leaf.path.clone(), leaf);
    }
}

/// A file and everything it builds on, most basic first.
fn files(
    text: &Text,
    open: &mut Vec<String>,
    layers: &mut Vec<Layer>,
    folders: &mut BTreeMap<String, PathBuf>,
    mistakes: &mut Vec<Mistake>,
) {
    let mut layer = layer::file(&text.file, &text.text, mistakes);
    open.push(text.file.clone());
    for (name, origin) in layer.extends.clone() {
        let name = name.as_str();
        let refuse = |cause: String, way_out: String| {
            let (file, line) = origin.place();
            Mistake { file, line, key: "extends".to_owned(), cause, way_out }
        };
        // Files that name their bases twice would be read twice as often with each of them.
        if layers.len().saturating_add(open.len()) > MOST_FILES {
            let cause =
                format!("it builds on more than {MOST_FILES} profiles, or on some of them many times");
            let way_out = format!("remove `\"{name}\"` here, and name each profile in one place only");
            layer.tainted.insert(String::new());
            if !mistakes.iter().any(|known| known.cause == cause) {
                mistakes.push(refuse(cause, way_out));
            }
            break;
        }
        match base(name, text.folder.as_deref()) {
            Ok(base) if open.contains(&base.file) => mistakes.push(refuse(
                format!("`{name}` builds on this file again: {} -> {}", open.join(" -> "), base.file),
                format!("remove `\"{name}\"` here, or break the circle at another of these"),
            )),
            Ok(base) => files(&base, open, layers, folders, mistakes),
            Err((cause, near)) => {
                layer.tainted.insert(String::new());
                let way_out = match near {
                    Some(near) => format!("write `\"{near}\"` instead of `\"{name}\"`, or remove it"),
                    None => format!(
                        "remove `\"{name}\"`, or name a shipped profile or a file that exists, as ./other.toml"
                    ),
                };
                mistakes.push(refuse(cause, way_out));
            }
        }
    }
    open.pop();
    if let Some(folder) = &text.folder {
        folders.insert(text.file.clone(), folder.clone());
    }
    layers.push(layer);
}

/// The text of a profile to build on.
///
/// # Errors
/// Why there is none, and the name that was probably meant.
fn base(name: &str, folder: Option<&Path>) -> Result<Text, (String, Option<&'static str>)> {
    let is_path = name.starts_with('.') || name.contains('/') || name.ends_with(".toml");
    if !is_path {
        return super::shipped(name)
            .map(|text| Text { file: format!("profiles/{name}.toml"), text: text.to_owned(), folder: None })
            .ok_or_else(|| {
                let near = nearest::nearest(name, super::SHIPPED.iter().map(|(name, _)| *name));
                let hint = near.map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
                (format!("no profile named \"{name}\" is shipped{hint}"), near)
            });
    }
    let folder =
        folder.ok_or_else(|| (format!("a shipped profile cannot build on the file {name}"), None))?;
    let path = folder.join(name);
    let text =
        file::read_named(&path).map_err(|wrong| (format!("{}: {}", path.display(), wrong.cause), None))?;
    // Two ways to write one path are one file, or a circle would not be seen.
    let file = path.canonicalize().unwrap_or(path);
    Ok(Text { folder: file.parent().map(Path::to_path_buf), file: file.display().to_string(), text })
}

/// What holds where nobody says anything: the site's defaults, and those of every device and window named.
fn defaults(said: &Effective) -> BTreeMap<String, (String, Origin)> {
    let mut all = BTreeMap::new();
    add_defaults::<Draft>(keys::SITE, "", &mut all);
    for name in said.names("device") {
        add_defaults::<DeviceDraft>(keys::DEVICE, &name, &mut all);
    }
    for name in said.names("policy.schedule") {
        add_defaults::<WindowDraft>(keys::WINDOW, &name, &mut all);
    }
    for name in said.names("policy.plan") {
        add_defaults::<SlotDraft>(keys::SLOT, &name, &mut all);
    }
    for name in said.names("policy.load") {
        add_defaults::<LoadDraft>(keys::LOAD_KEYS, &name, &mut all);
    }
    for name in said.names("policy.outage") {
        add_defaults::<OutageDraft>(keys::OUTAGE, &name, &mut all);
    }
    all
}

fn add_defaults<D: Default>(keys: &[Key<D>], name: &str, all: &mut BTreeMap<String, (String, Origin)>) {
    let untouched = D::default();
    for key in keys.iter().filter(|key| key.path != "schema") {
        if let Some(typed) = key.default_value(&untouched) {
            all.insert(key.path.replace("NAME", name), (key.kind.print(&typed), Origin::Default));
        }
    }
}

/// One layer, for `config`: each value's origin is the number of its leaf.
#[derive(Clone, Debug)]
struct Numbered {
    leaves: Vec<(usize, String)>,
}

impl config::Source for Numbered {
    fn clone_into_box(&self) -> Box<dyn config::Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<config::Map<String, config::Value>, config::ConfigError> {
        let mut root = config::Map::new();
        for (number, path) in &self.leaves {
            let segments: Vec<&str> = path.split('.').collect();
            nest(&mut root, &segments, config::Value::new(Some(&number.to_string()), true));
        }
        Ok(root)
    }
}

fn nest(table: &mut config::Map<String, config::Value>, segments: &[&str], value: config::Value) {
    match segments {
        [] => {}
        [last] => {
            table.insert((*last).to_owned(), value);
        }
        [first, rest @ ..] => {
            let inner = table
                .entry((*first).to_owned())
                .or_insert_with(|| config::Value::new(None, config::Map::<String, config::Value>::new()));
            if let config::ValueKind::Table(inner) = &mut inner.kind {
                nest(inner, rest, value);
            }
        }
    }
}

fn merged(layers: Vec<Layer>) -> Effective {
    let mut effective = Effective::default();
    let mut all: Vec<Option<Leaf>> = Vec::new();
    let mut builder = config::Config::builder();
    for layer in layers {
        let leaves =
            (all.len()..).zip(&layer.leaves).map(|(number, leaf)| (number, leaf.path.clone())).collect();
        builder = builder.add_source(Numbered { leaves });
        all.extend(layer.leaves.into_iter().map(Some));
        effective.sections.extend(layer.sections);
        effective.opened.extend(layer.opened);
        effective.tainted.extend(layer.tainted);
    }
    // Our sources cannot fail and nothing is converted, so there is nothing to report here.
    if let Ok(merged) = builder.build() {
        winners(&merged.cache, &mut all, &mut effective.leaves);
    }
    effective
}

fn winners(value: &config::Value, all: &mut [Option<Leaf>], leaves: &mut BTreeMap<String, Leaf>) {
    if let config::ValueKind::Table(inner) = &value.kind {
        inner.values().for_each(|value| winners(value, all, leaves));
    } else if let Some(number) = value.origin().and_then(|number| number.parse::<usize>().ok())
        && let Some(leaf) = all.get_mut(number).and_then(Option::take)
    {
        leaves.insert(leaf.path.clone(), leaf);
    }
}

/// Puts every effective value in its place.
#[must_use]
pub fn draft(effective: &Effective) -> Draft {
    let mut draft = Draft::default();
    for name in effective.names("device") {
        draft.devices.insert(name, DeviceDraft::default());
    }
    for name in effective.names("policy.schedule") {
        draft.schedule.insert(name, WindowDraft::default());
    }
    for name in effective.names("policy.plan") {
        draft.plan.insert(name, SlotDraft::default());
    }
    for name in effective.names("policy.load") {
        draft.load.insert(name, LoadDraft::default());
    }
    for name in effective.names("policy.outage") {
        draft.outage.insert(name, OutageDraft::default());
    }
    for leaf in effective.leaves.values() {
        place(&mut draft, leaf);
    }
    draft
}

fn place(draft: &mut Draft, leaf: &Leaf) {
    let segments: Vec<&str> = leaf.path.split('.').collect();
    match segments.as_slice() {
        ["overlay", ..] => {}
        ["device", name, "units", unit] => {
            if let (Some(device), Typed::Whole(id)) = (draft.devices.get_mut(*name), &leaf.typed) {
                device.units.insert((*unit).to_owned(), *id);
            }
        }
        ["device", name, key] => {
            if let Some(device) = draft.devices.get_mut(*name) {
                put(keys::DEVICE, &format!("device.NAME.{key}"), device, leaf);
            }
        }
        ["policy", "schedule", name, key] => {
            if let Some(window) = draft.schedule.get_mut(*name) {
                put(keys::WINDOW, &format!("policy.schedule.NAME.{key}"), window, leaf);
            }
        }
        ["policy", "plan", name, key] => {
            if let Some(slot) = draft.plan.get_mut(*name) {
                put(keys::SLOT, &format!("policy.plan.NAME.{key}"), slot, leaf);
            }
        }
        ["policy", "load", name, key] => {
            if let Some(load) = draft.load.get_mut(*name) {
                put(keys::LOAD_KEYS, &format!("policy.load.NAME.{key}"), load, leaf);
            }
        }
        ["policy", "outage", name, key] => {
            if let Some(outage) = draft.outage.get_mut(*name) {
                put(keys::OUTAGE, &format!("policy.outage.NAME.{key}"), outage, leaf);
            }
        }
        _ => put(keys::SITE, &leaf.path, draft, leaf),
    }
}

fn put<D: Default>(keys: &'static [Key<D>], path: &str, part: &mut D, leaf: &Leaf) {
    if let Some(key) = keys.iter().find(|key| key.path == path) {
        let fits = key.set(part, &leaf.typed);
        debug_assert!(fits, "{path} does not take {:?}", leaf.typed);
    }
}

/// The effective values as lines `key = value  # origin`, those that nobody said too.
#[must_use]
pub fn origins(effective: &Effective) -> Vec<(String, String, Origin)> {
    let mut all = defaults(effective);
    for (path, leaf) in &effective.leaves {
        all.insert(path.clone(), (leaf.kind.print(&leaf.typed), leaf.origin.clone()));
    }
    all.into_iter().map(|(path, (value, origin))| (path, value, origin)).collect()
}
