//! The definitions that come with the product.

use std::sync::{Arc, OnceLock};

use super::definition::Definition;

/// Name and text of each.
const SHIPPED: [(&str, &str); 7] = [
    ("gensets/dse-gencomm", include_str!("../../profiles/devices/gensets/dse-gencomm.toml")),
    ("inverters/victron-gx", include_str!("../../profiles/devices/inverters/victron-gx.toml")),
    ("io/moxa-iologik-e1200", include_str!("../../profiles/devices/io/moxa-iologik-e1200.toml")),
    ("io/waveshare-relay", include_str!("../../profiles/devices/io/waveshare-relay.toml")),
    (
        "meters/carlo-gavazzi-em24-e1",
        include_str!("../../profiles/devices/meters/carlo-gavazzi-em24-e1.toml"),
    ),
    ("meters/eastron-sdm630", include_str!("../../profiles/devices/meters/eastron-sdm630.toml")),
    ("pv/sunspec", include_str!("../../profiles/devices/pv/sunspec.toml")),
];

/// The text of a shipped definition.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// A shipped definition, read once in the life of the process.
#[must_use]
pub fn definition(name: &str) -> Option<Arc<Definition>> {
    static READ: [OnceLock<Option<Arc<Definition>>>; SHIPPED.len()] =
        [const { OnceLock::new() }; SHIPPED.len()];
    let (read, (name, text)) = READ.iter().zip(SHIPPED).find(|(_, (known, _))| *known == name)?;
    read.get_or_init(|| Definition::parse(text, name).ok().map(Arc::new)).clone()
}

/// The names of all shipped definitions.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::definition::{Definition, Origin};

    #[test]
    fn every_shipped_definition_loads_and_proves_its_words() {
        for name in names() {
            let text = shipped(name).unwrap();
            let definition = Definition::parse(text, name).unwrap_or_else(|mistakes| {
                panic!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            });
            assert!(definition.points.iter().all(|point| !point.source.is_empty()), "{name}");
            let origins =
                definition.points.iter().flat_map(|point| &point.examples).map(|example| example.origin);
            assert!(
                origins.into_iter().all(|origin| origin != Origin::Recorded),
                "{name}: no device was ever here"
            );
            assert!(definition.is_unproven());
        }
    }
}
