//! Wishes that the time of day brings: charge windows, the economic plan, preparation for an announced outage.
//!
//! Only one of them has control. The others, though their time has come, say `blocked`. All of them need a good
//! state of charge and a wall clock that may be believed; what they asked for ends in the decision that misses
//! either. They never act in island or while the battery is kept charged.

pub mod approach;
pub mod clock;
pub mod lease;
pub mod outage;
pub mod plan;
pub mod window;

use serde::{Deserialize, Serialize};

use super::decision::{TimedState, TimedView};
use super::policy::{Caps, GuardKind, Policy};
use super::reason::{Reason, Tier};
use super::units::{Mono, Soc, Wall, Watts};
use approach::Approach;
use clock::ClockTrust;
use lease::Leases;
use plan::PlanMemory;
use window::Windows;

/// Most charge windows of one site.
pub const MAX_WINDOWS: usize = 16;
/// Most slots of one plan.
pub const MAX_SLOTS: usize = 96;
/// Most announced outages.
pub const MAX_OUTAGES: usize = 8;

/// What the wishes of time remember.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed {
    clock: ClockTrust,
    windows: Windows,
    window: Approach,
    outage: Approach,
    plan: PlanMemory,
    /// Plans from elsewhere.
    pub leases: Leases,
}

/// What they look at.
#[derive(Clone, Copy, Debug)]
pub struct TimedInputs {
    /// The time of day as last heard.
    pub wall: Option<Wall>,
    /// The state of charge, only while it is good.
    pub soc: Option<Soc>,
    /// Neither island, nor kept charged, nor under an operator's order.
    pub free: bool,
}

/// Who has control, and what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its rung.
    pub tier: Tier,
    /// Why.
    pub reason: Reason,
    /// What.
    pub act: Act,
    /// What it forbids beside; a plan does.
    pub caps: Option<Caps>,
}

/// What a claim wants of the battery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Charge, as hard as the limits allow.
    Charge,
    /// Discharge at most this share of the DC-coupled PV, in hundredths of a percent.
    Hold(i64),
    /// This much battery power, discharge positive.
    Power(Watts),
    /// The grid toward this, import positive.
    Grid(Watts),
    /// Nothing for now: self-consumption.
    Free,
}

/// Those who compete for control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Schedule,
    Outage,
    Plan,
}

impl Timed {
    /// One evaluation. Tells in `view` how each of them stands, and returns what the one in control wants.
    pub fn step(
        &mut self,
        policy: &Policy,
        inputs: TimedInputs,
        now: Mono,
        view: &mut TimedView,
    ) -> Option<Claim> {
        *view = TimedView::default();
        let leased = !self.leases.is_empty();
        if policy.schedule.is_empty() && policy.plan.is_empty() && policy.outage.is_empty() && !leased {
            return None;
        }
        let wall = self.clock.step(inputs.wall, now);
        let compatible = policy.battery.guard == GuardKind::VictronCompatible;
        let window = wall.and_then(|wall| self.windows.step(&policy.schedule, compatible, wall));
        let outage = wall.and_then(|wall| outage::current(&policy.outage, wall));
        // Who leases the rung goes before the plan of the profile.
        let lease = self.leases.current(wall, now);
        let slot = match lease {
            Some((_, current)) => Some(current),
            None => wall.and_then(|wall| plan::current(&policy.plan, wall)),
        };
        view.plan_by = lease.map(|(by, _)| by);
        view.target = window.map(|open| open.window.target);
        // The incumbent's numbers are plan 0, outage 10, schedule 20. Here what people asked for outranks what a
        // plan computed, and an outage, which is announced, outranks what is usual.
        let order = if compatible {
            [Who::Plan, Who::Outage, Who::Schedule]
        } else {
            [Who::Outage, Who::Schedule, Who::Plan]
        };
        let mut claim = None;
        for who in order {
            let state = match who {
                Who::Schedule => &mut view.schedule,
                Who::Outage => &mut view.outage,
                Who::Plan => &mut view.plan,
            };
            let due = match who {
                Who::Schedule => window.is_some(),
                Who::Outage => outage.is_some(),
                Who::Plan => slot.is_some(),
            };
            let none = match who {
                Who::Schedule => policy.schedule.is_empty(),
                Who::Outage => policy.outage.is_empty(),
                Who::Plan => policy.plan.is_empty(),
            };
            *state = match inputs.soc {
                _ if !due && wall.is_none() && !none => TimedState::NoClock,
                _ if !due => TimedState::Off,
                _ if !inputs.free => TimedState::Mode,
                None => TimedState::NoSoc,
                Some(_) if claim.is_some() => TimedState::Blocked,
                Some(soc) => {
                    claim = match who {
                        Who::Schedule => window.map(|open| window::claim(open, &mut self.window, soc)),
                        Who::Outage => outage.map(|outage| outage::claim(outage, &mut self.outage, soc)),
                        Who::Plan => {
                            slot.and_then(|slot| self.plan.claim(slot, policy.battery.capacity, soc))
                        }
                    };
                    match (claim, who) {
                        (None, _) => TimedState::NoCapacity,
                        (Some(_), Who::Outage) => TimedState::Preparing,
                        (Some(_), Who::Schedule | Who::Plan) => TimedState::Active,
                    }
                }
            };
        }
        claim
    }
}

#[cfg(test)]
mod tests;
