//! The economic plan: slots of time, each with what it wants of the battery and what it forbids.

use serde::{Deserialize, Serialize};

use super::{Act, Claim};
use crate::control::policy::{PlanAct, PlanSlot, Steer};
use crate::control::reason::{Reason, Tier};
use crate::control::units::{Soc, Wall, WattHours, Watts};

/// The rate is computed anew when the charge has moved this much, in 0.01 %.
const STEP: i32 = 10;

/// What the plan says now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Place in the plan; none for what somebody leases now.
    pub place: Option<u8>,
    /// What tells this occasion from others.
    pub began: i64,
    /// Seconds until it ends.
    pub left: i64,
    /// What it wants.
    pub steer: Steer,
}

/// Where the battery is going.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Going {
    Up,
    Down,
    /// At the target.
    #[default]
    Nowhere,
}

/// What is remembered of the slot in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanMemory {
    /// Its start and target: a new slot, or a changed target, begins without memory.
    of: Option<(i64, Soc)>,
    going: Going,
    /// The charge at which the rate was computed.
    at: Soc,
    rate: Watts,
}

/// The slot of this moment.
#[must_use]
pub fn current(slots: &[PlanSlot], wall: Wall) -> Option<Current> {
    let within = |slot: &PlanSlot| (slot.start..end(slot)).contains(&wall.utc);
    let (place, slot) = (0u8..).zip(slots).find(|(_, slot)| within(slot))?;
    let left = end(slot).saturating_sub(wall.utc);
    Some(Current { place: Some(place), began: slot.start, left, steer: slot.steer })
}

fn end(slot: &PlanSlot) -> i64 {
    slot.start.saturating_add(slot.duration.whole_secs())
}

impl PlanMemory {
    /// What it wants; nothing when it goes to a charge and the capacity, and with it the rate, is unknown.
    pub fn claim(&mut self, current: Current, capacity: Option<WattHours>, soc: Soc) -> Option<Claim> {
        let Current { place, began, left, steer } = current;
        let act = match steer.act {
            PlanAct::Free => Act::Free,
            PlanAct::Setpoint(setpoint) => Act::Grid(setpoint),
            PlanAct::Power(power) => Act::Power(power),
            PlanAct::Target(target) => Act::Power(self.toward(target, began, left, capacity?, soc)),
        };
        let reason = Reason::Plan { slot: place, act: steer.act };
        Some(Claim { tier: Tier::Plan, reason, act, caps: Some(steer.caps) })
    }

    /// The battery power that goes to a charge.
    fn toward(&mut self, target: Soc, began: i64, left: i64, capacity: WattHours, soc: Soc) -> Watts {
        let missing = target.centi().saturating_sub(soc.centi());
        let before = *self;
        let new = self.of != Some((began, target));
        self.of = Some((began, target));
        self.going = match self.going {
            _ if new => toward(missing),
            Going::Up if missing > 0 => Going::Up,
            Going::Down if missing < 0 => Going::Down,
            Going::Up | Going::Down => Going::Nowhere,
            Going::Nowhere if missing.abs() > hysteresis(capacity) => toward(missing),
            Going::Nowhere => Going::Nowhere,
        };
        let moved = soc.centi().saturating_sub(self.at.centi()).abs() >= STEP;
        if new || moved || self.going != before.going {
            self.at = soc;
            self.rate = rate(missing, capacity, left);
        }
        match self.going {
            Going::Up => -self.rate,
            Going::Down => self.rate,
            Going::Nowhere => Watts::ZERO,
        }
    }
}

fn toward(missing: i32) -> Going {
    match missing.signum() {
        1 => Going::Up,
        -1 => Going::Down,
        _ => Going::Nowhere,
    }
}

/// 250 Wh, at most 1 %, in 0.01 %.
fn hysteresis(capacity: WattHours) -> i32 {
    let centi = 2_500_000_i64.checked_div(capacity.0).unwrap_or(100).clamp(0, 100);
    i32::try_from(centi).unwrap_or(100)
}

/// The power that moves the charge by so much in the seconds left, rounded toward zero.
fn rate(missing_centi: i32, capacity: WattHours, seconds: i64) -> Watts {
    // 1 % of 1 kWh is 36 000 Ws; here it is 0.01 % of 1 Wh.
    let hundredths = i64::from(missing_centi.abs()).saturating_mul(capacity.0).saturating_mul(36);
    Watts::saturated(hundredths.checked_div(seconds.max(1).saturating_mul(100)).unwrap_or(0))
}
