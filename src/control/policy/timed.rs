//! What the time of day wants: charge windows, plan, announced outages.

use serde::{Deserialize, Serialize};

use crate::control::units::{Soc, Span};

/// A daily charge window. Days are a bit set, Monday in bit 0, the first of each month in bit 7; times are local.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleWindow {
    /// Days on which it begins.
    pub days: u8,
    /// Local second of the day at which it begins.
    pub start: i32,
    /// How long it lasts.
    pub duration: Span,
    /// Charge to here.
    pub target: Soc,
    /// Whether the battery may discharge above the target inside the window.
    pub allow_discharge: bool,
}

/// A slot of the economic plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSlot {
    /// UTC second since 1970 at which it begins.
    pub start: i64,
    /// How long it lasts.
    pub duration: Span,
    /// The charge to be at when it ends.
    pub target: Soc,
}

/// An announced outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// UTC second since 1970 at which it begins.
    pub start: i64,
    /// How long it lasts.
    pub duration: Span,
    /// How long before it preparation begins.
    pub prepare: Span,
    /// The charge to have by then.
    pub min_soc: Soc,
}
