//! Invariant 2: no discharge at or below the floor that applies.

use wattkeeper::control::decision::{Decision, GuardState};
use wattkeeper::control::policy::GuardKind;
use wattkeeper::control::units::{Mono, Span};

use super::known::Known;

/// Rounding of shares, in W.
const SLACK: i64 = 3;

/// A charge is believed again after a few samples.
const SETTLED: Span = Span::secs(30);

/// The floor, followed a second time.
#[derive(Clone, Default)]
pub struct Floor {
    /// At the floor, and not yet back above the resume value.
    held: bool,
    floor: Option<i64>,
    /// The charge at which somebody raised the floor above it.
    raised_at: Option<i64>,
    guard: GuardState,
    /// Since when the charge has been heard without a gap.
    heard_since: Option<Mono>,
}

impl Floor {
    /// Where nobody knows, the charge may have been at the floor.
    pub fn assume_held(&mut self) {
        self.held = true;
    }

    pub fn held(&self) -> bool {
        self.held
    }

    pub fn check(&mut self, now: Mono, known: &Known, decision: &Decision) -> Result<(), String> {
        let battery = &known.policy.battery;
        let floor = i64::from(battery.floor.centi());
        let soc = known.worst_soc(now);
        let standard = battery.guard == GuardKind::Standard;
        if let Some(soc) = soc {
            if soc <= floor && soc < 10_000 && floor > 0 {
                self.held = true;
            } else if soc >= (floor + i64::from(battery.resume_centi)).min(10_000) {
                self.held = false;
            }
            if self.floor.is_some_and(|before| floor > before) && soc < floor {
                self.raised_at = Some(soc);
            }
            if soc >= floor {
                self.raised_at = None;
            }
            self.floor = Some(floor);
        }
        let flow = i64::from(decision.battery_order.0) + known.load_out(now);
        let sun = known.pv_dc(now);
        let island = known.island(now);
        let low = |limit: i64| soc.is_some_and(|soc| limit > 0 && soc <= limit && soc < 10_000);
        let metered = known.wiring.battery.soc.is_some();
        // In island nothing is ordered; what the loads draw is for the inverter's own limits.
        let blocked = !island
            && metered
            && (soc.is_none()
                || low(floor)
                || battery.keep_charged
                || (standard && low(i64::from(battery.absolute_floor.centi()))));
        let discharges = i64::from(decision.battery_order.0) > 0 || known.load_out(now) == 0;
        if blocked && discharges && flow > sun + SLACK {
            return Err(format!(
                "discharge of {flow} W (sun on the battery {sun} W) at {soc:?}, floor {floor}, in 0.01 %"
            ));
        }
        let all_sun = sun + known.pv_ac(now);
        if self.held && !island && soc.is_some() && discharges && flow > all_sun + SLACK {
            return Err(format!("discharge of {flow} W before the charge has left the floor ({soc:?})"));
        }
        if blocked && decision.discharge_allowed && !battery.keep_charged && soc.is_some() {
            return Err(format!("the guard allows discharge at {soc:?}, floor {floor}, in 0.01 %"));
        }
        let fresh = known.fresh(known.wiring.battery.soc, now, known.policy.trust.soc.held);
        let fresh = fresh.filter(|soc| (0..=10_000).contains(soc));
        self.heard_since = fresh.and(self.heard_since.or(Some(now)));
        let settled = self.heard_since.is_some_and(|since| now.since(since) > SETTLED);
        let reserve = i64::from(battery.island_reserve.centi());
        if island
            && standard
            && settled
            && soc.is_some_and(|soc| soc <= reserve)
            && decision.discharge_allowed
        {
            return Err(format!("discharge of the island's reserve is allowed at {soc:?}, in 0.01 %"));
        }
        if island && decision.battery_order.0 > 0 {
            return Err("an order to feed the grid that is not there".to_owned());
        }
        Self::check_adaptive(now, floor, known, decision)?;
        self.check_recharge(soc, floor, standard, known, decision)
    }

    /// An adaptive floor lies between the operator's and its ceiling, and nothing is discharged at or below it.
    fn check_adaptive(now: Mono, floor: i64, known: &Known, decision: &Decision) -> Result<(), String> {
        let Some(limit) = decision.limit.map(|limit| i64::from(limit.centi())) else { return Ok(()) };
        if !(floor..=floor.max(8_000)).contains(&limit) || decision.flags > 7 {
            return Err(format!("adaptive floor {limit} over {floor}, flags {}", decision.flags));
        }
        let heard = known.reading(known.wiring.battery.soc).map(|(soc, _)| soc);
        let low = heard.is_some_and(|soc| soc <= limit && soc < 10_000 && limit > 0);
        let guarded = !known.island(now) && decision.floor.is_some();
        if low && guarded && decision.discharge_allowed {
            return Err(format!("discharge is allowed at {heard:?} under an adaptive floor of {limit}"));
        }
        Ok(())
    }

    /// A raised floor is no reason to charge from the grid; a charge far below it is.
    fn check_recharge(
        &mut self,
        soc: Option<i64>,
        floor: i64,
        standard: bool,
        known: &Known,
        decision: &Decision,
    ) -> Result<(), String> {
        let battery = &known.policy.battery;
        let entered = decision.guard == GuardState::FloorRecharge && self.guard != GuardState::FloorRecharge;
        self.guard = decision.guard;
        let reference = self.raised_at.filter(|_| standard).map_or(floor, |raised| raised.min(floor));
        let far = soc.is_some_and(|soc| soc <= reference - i64::from(battery.recharge_below_centi));
        if entered && (!far || !battery.recharge) {
            return Err(format!("recharge begins at {soc:?} against {reference}, in 0.01 %"));
        }
        Ok(())
    }
}
