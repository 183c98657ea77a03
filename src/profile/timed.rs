//! Plan slots and announced outages while they are being read.

use crate::control::policy::{Caps, Outage, PlanAct, PlanSlot, Steer};
use crate::control::units::{Soc, Span, Watts};

use super::draft::Field;
use super::value::Typed;

/// A moment, in UTC seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Field for Moment {
    fn typed(&self) -> Option<Typed> {
        Some(Typed::Whole(self.0))
    }
    fn take(typed: &Typed) -> Option<Self> {
        i64::take(typed).map(Self)
    }
}

/// One slot of the plan as written.
#[derive(Clone, Debug, Default)]
pub struct SlotDraft {
    /// When it begins.
    pub start: Option<Moment>,
    /// How long it lasts.
    pub duration: Option<Span>,
    /// The charge to be at when it ends.
    pub target: Option<Soc>,
    /// The grid power to steer to.
    pub setpoint: Option<Watts>,
    /// Battery power, discharge positive.
    pub power: Option<Watts>,
    /// What it forbids.
    pub caps: Caps,
}

impl SlotDraft {
    /// The slot, when nothing is missing.
    #[must_use]
    pub fn slot(&self) -> Option<PlanSlot> {
        let act = match (self.target, self.setpoint, self.power) {
            (Some(target), ..) => PlanAct::Target(target),
            (None, Some(setpoint), _) => PlanAct::Setpoint(setpoint),
            (None, None, Some(power)) => PlanAct::Power(power),
            (None, None, None) => PlanAct::Free,
        };
        let steer = Steer { act, caps: self.caps };
        Some(PlanSlot { start: self.start?.0, duration: self.duration?, steer })
    }

    /// The wishes that it names, of which there may be one.
    #[must_use]
    pub fn wishes(&self) -> usize {
        [self.target.is_some(), self.setpoint.is_some(), self.power.is_some()]
            .into_iter()
            .filter(|is| *is)
            .count()
    }
}

/// One announced outage as written.
#[derive(Clone, Debug)]
pub struct OutageDraft {
    /// When it begins.
    pub start: Option<Moment>,
    /// How long it lasts.
    pub duration: Option<Span>,
    /// How long before it preparation begins.
    pub prepare: Span,
    /// The charge to have by then.
    pub min_soc: Option<Soc>,
}

impl Default for OutageDraft {
    fn default() -> Self {
        Self { start: None, duration: None, prepare: Span::minutes(60), min_soc: None }
    }
}

impl OutageDraft {
    /// The outage, when nothing is missing.
    #[must_use]
    pub fn outage(&self) -> Option<Outage> {
        Some(Outage {
            start: self.start?.0,
            duration: self.duration?,
            prepare: self.prepare,
            min_soc: self.min_soc?,
        })
    }
}
