//! The operator's file: read in layers, checked as a whole, refused with every mistake at once.
//!
//! Nothing here talks to a device or decides anything. What comes out is a [`Checked`] site that the rest can
//! trust: every role has a signal, every threshold has a direction, every device has a definition.

mod check;
mod draft;
mod file;
mod keys;
mod layer;
mod layers;
mod load;
mod measure;
mod nearest;
mod offer;
mod repair;
pub mod report;
mod site;
mod tables;
mod timed;
mod value;
mod wire;

use std::path::Path;

use crate::device::mistake::Mistake;

pub use draft::{Framing, Mode, Role};
pub use keys::{KeyDoc, keys, reference};
pub use layer::Origin;
pub use layers::{Laid, Overrides, laid};
pub use site::{Checked, DeviceConfig};

/// Ready-made profiles by name.
const SHIPPED: &[(&str, &str)] = &[
    ("demo", include_str!("../../profiles/demo.toml")),
    ("off-grid", include_str!("../../profiles/off-grid.toml")),
    ("self-consumption", include_str!("../../profiles/self-consumption.toml")),
    ("backup", include_str!("../../profiles/backup.toml")),
    ("peak-shaving", include_str!("../../profiles/peak-shaving.toml")),
];

/// The text of a ready-made profile.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Names of all ready-made profiles.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// Reads and checks a profile file with everything laid over it.
///
/// # Errors
/// Every mistake in every layer: cause, nearest known key, way out.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Checked, Vec<Mistake>> {
    let file = path.display().to_string();
    let text = file::read(path).map_err(|wrong| vec![wrong])?;
    let folder = path.parent().map(Path::to_path_buf);
    check::check(&layers::Text { file, text, folder }, overrides)
}

/// Checks a profile's text; `folder` is where its relative paths start.
///
/// # Errors
/// Every mistake in every layer.
pub fn load_text(
    file: &str,
    text: &str,
    folder: Option<&Path>,
    overrides: &Overrides,
) -> Result<Checked, Vec<Mistake>> {
    let text =
        layers::Text { file: file.to_owned(), text: text.to_owned(), folder: folder.map(Path::to_path_buf) };
    check::check(&text, overrides)
}

/// Checks a ready-made profile with everything laid over it.
///
/// # Errors
/// Every mistake in every layer, or that none of this name is shipped.
pub fn load_shipped(name: &str, overrides: &Overrides) -> Result<Checked, Vec<Mistake>> {
    let Some(text) = shipped(name) else {
        return Err(vec![Mistake {
            file: name.to_owned(),
            line: 0,
            key: String::new(),
            cause: "no profile of this name is shipped".to_owned(),
            way_out: format!("name one of {}", names(", ")),
        }]);
    };
    load_text(&format!("profiles/{name}.toml"), text, None, overrides)
}

/// The site of a scenario that names no profile: every signal, each unknown until given; in control.
///
/// # Errors
/// Every mistake in what is laid over it.
pub fn minimal(overrides: &Overrides) -> Result<Checked, Vec<Mistake>> {
    load_text("minimal site", include_str!("minimal.toml"), None, overrides)
}

fn names(between: &str) -> String {
    shipped_names().collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests;
