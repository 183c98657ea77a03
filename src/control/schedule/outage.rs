//! Announced outages: the battery is brought to a level before they begin and kept there until they are over.
//!
//! When the grid goes, the site is an island and the rules of the island hold; while it is still there, also after the
//! announced beginning, the level is kept. Nobody is disconnected ahead of time.

use super::approach::Approach;
use super::{Act, Claim};
use crate::control::policy::Outage;
use crate::control::reason::{Reason, Tier};
use crate::control::units::{Soc, Wall};

/// Below the level by this much, charging begins again, in 0.01 %.
const HYSTERESIS: i32 = 100;
/// From this far above the level the battery is free, in 0.01 %.
const FREE_ABOVE: i32 = 400;

/// The first outage whose preparation has begun and whose end has not come.
#[must_use]
pub fn current(outages: &[Outage], wall: Wall) -> Option<&Outage> {
    outages.iter().find(|outage| {
        let from = outage.start.saturating_sub(outage.prepare.whole_secs());
        let to = outage.start.saturating_add(outage.duration.whole_secs());
        (from..to).contains(&wall.utc)
    })
}

/// What its preparation wants.
pub fn claim(outage: &Outage, memory: &mut Approach, soc: Soc) -> Claim {
    let level = outage.min_soc;
    let above = soc.centi().saturating_sub(level.centi());
    let act = if !memory.reached(outage.start, level, soc, HYSTERESIS) {
        Act::Charge
    } else if above >= FREE_ABOVE {
        Act::Free
    } else {
        // 80 % of the DC PV at the level, 5 % more for each percent above.
        Act::Hold(8_000_i64.saturating_add(i64::from(above.max(0)).saturating_mul(5)))
    };
    Claim { tier: Tier::Schedule, reason: Reason::OutagePrepare(level), act, caps: None }
}
