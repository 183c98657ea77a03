//! Loads on relays.

use serde::{Deserialize, Serialize};

use crate::control::units::{Soc, Span, Watts};

/// What kind of load it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoadMode {
    /// On, unless the rest needs the power.
    #[default]
    Shed,
    /// Off, unless PV makes more than the house takes.
    Deferrable,
}

/// One load on a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPolicy {
    /// What kind of load it is.
    pub mode: LoadMode,
    /// What it takes while it is on.
    pub power: Watts,
    /// Off at or below this charge; none: the charge does not matter.
    pub soc: Option<Soc>,
    /// On again this far above it, in 0.01 %.
    pub soc_back_centi: i32,
    /// Shortest time on, except where something is protected.
    pub min_on: Span,
    /// Shortest time off.
    pub min_off: Span,
}

impl Default for LoadPolicy {
    fn default() -> Self {
        Self {
            mode: LoadMode::Shed,
            power: Watts(1_000),
            soc: None,
            soc_back_centi: 500,
            min_on: Span::minutes(10),
            min_off: Span::minutes(5),
        }
    }
}
