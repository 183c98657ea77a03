//! What the time of day wants: charge windows, plan, announced outages.

use serde::{Deserialize, Serialize};

use crate::control::units::{Soc, Span, Watts};

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
    /// What it wants.
    pub steer: Steer,
}

/// What a plan does with the battery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanAct {
    /// Nothing of its own: self-consumption, inside the caps.
    #[default]
    Free,
    /// Be at this charge at the end.
    Target(Soc),
    /// Steer the grid to this, import positive.
    Setpoint(Watts),
    /// This much battery power, discharge positive.
    Power(Watts),
}

/// What a plan keeps the battery from, beside what it wants. It only narrows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Most charge, as a positive number.
    pub max_charge: Option<Watts>,
    /// Most discharge.
    pub max_discharge: Option<Watts>,
    /// Most export, as a positive number.
    pub export_limit: Option<Watts>,
    /// The battery is charged by what is left over alone.
    pub no_grid_charge: bool,
    /// The battery serves the loads alone.
    pub no_battery_export: bool,
}

/// What a plan wants, and what it forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steer {
    /// What it wants.
    pub act: PlanAct,
    /// What it forbids.
    pub caps: Caps,
}

impl Steer {
    /// Toward a charge, with nothing forbidden.
    #[must_use]
    pub fn to(target: Soc) -> Self {
        Self { act: PlanAct::Target(target), caps: Caps::default() }
    }
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
