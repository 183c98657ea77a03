//! The operator's file: read in layers, checked as a whole, refused with every mistake at once.
//!
//! Nothing here talks to a device or decides anything. What comes out is a [`Checked`] site that the rest can
//! trust: every role has a signal, every threshold has a direction, every device has a definition.

mod draft;
mod keys;
mod layer;
mod layers;
mod nearest;
mod value;

pub use draft::{Framing, Mode, Role};
pub use keys::{KeyDoc, keys, reference};
pub use layer::Origin;
pub use layers::Overrides;

/// Ready-made profiles by name.
const SHIPPED: &[(&str, &str)] = &[];

/// The text of a ready-made profile.
#[must_use]
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
