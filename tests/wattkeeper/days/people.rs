//! What people order of the battery and programs lease of the plan: it acts while it stands, and no longer.

use wattkeeper::control::decision::{Decision, ForcedCharge, TimedState};
use wattkeeper::control::orders::{BatteryOrder, Wish};
use wattkeeper::control::policy::{Caps, PlanAct, Steer};
use wattkeeper::control::reason::Tier;
use wattkeeper::control::schedule::lease::Lease;
use wattkeeper::control::units::{Mono, Span, Watts};

use super::faults::{Fault, What};
use super::known::Known;
use super::setup::{Dice, Stay};

/// Rounding of shares, in W.
const SLACK: i64 = 3;

/// A few orders and leases in each round, all over before the quiet that follows it.
pub fn drawn(dice: &mut Dice, stay: Stay) -> Vec<Fault> {
    let mut faults = Vec::new();
    for round in 0..stay.rounds {
        let begin = round * stay.round;
        let quiet = begin + stay.round - stay.quiet;
        for _ in 0..8 {
            let lasts = dice.pick(&[20, 60, 300, 600]);
            let from = dice.range(begin + 60, quiet - lasts - 60);
            let watts = dice.range(100, 5_000) as i32;
            let signed = watts * dice.pick(&[-1, 1]);
            let wish = match dice.range(0, 5) {
                0 => Wish::Hold,
                1 => Wish::Charge(dice.percent(50).then_some(Watts(watts))),
                2 => Wish::Discharge(Watts(watts)),
                _ => Wish::Setpoint(Watts(signed)),
            };
            let act = match dice.range(0, 4) {
                0 => PlanAct::Power(Watts(signed)),
                1 => PlanAct::Setpoint(Watts(signed)),
                _ => PlanAct::Free,
            };
            let caps = Caps {
                max_charge: dice.percent(40).then_some(Watts(watts / 4)),
                max_discharge: dice.percent(40).then_some(Watts(watts / 4)),
                export_limit: dice.percent(20).then_some(Watts(watts / 2)),
                no_grid_charge: dice.percent(30),
                no_battery_export: dice.percent(30),
            };
            let what = match dice.range(0, 3) {
                0 => What::Release,
                1 => What::Battery(BatteryOrder { wish, lasts: Some(Span::secs(lasts)), use_reserve: false }),
                _ => What::Lease(Steer { act, caps }, lasts),
            };
            faults.push(Fault { from, to: from, what });
        }
    }
    faults
}

/// The orders and leases that stand, followed a second time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standing {
    order: Option<(BatteryOrder, Mono)>,
}

impl Standing {
    pub fn ordered(&mut self, order: Option<BatteryOrder>, now: Mono) {
        self.order = order.map(|order| (order, now + order.span()));
    }
}

/// A lease outlives no process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Leased {
    lease: Option<(Steer, Mono)>,
}

impl Leased {
    pub fn leased(&mut self, lease: &Lease, now: Mono) {
        let until = now + lease.lasts.unwrap_or(Span::secs(60));
        self.lease = lease.now.map(|steer| (steer, until));
    }
}

pub fn check(now: Mono, known: &Known, decision: &Decision) -> Result<(), String> {
    let order = known.told.standing.order.filter(|(_, until)| now < *until);
    if decision.order.is_some() != order.is_some() {
        return Err(format!("the order is {:?}, and {order:?} stands", decision.order));
    }
    let lease = known.leased.lease.filter(|(_, until)| now < *until);
    if decision.timed.plan_by.is_some() != lease.is_some() {
        return Err(format!("the plan is leased by {:?}, and {lease:?} stands", decision.timed.plan_by));
    }
    // What hangs behind the inverters moves the battery beside what is ordered; only what is ordered counts here.
    let behind = known.load_out(now);
    let order_watts = i64::from(decision.battery_order.0);
    let flow = order_watts + behind;
    // A limit of the connection is above both, and may ask for more than they allow.
    let grid = &known.policy.grid;
    let protects = grid.import_limit.is_some() || grid.export_limit.is_some();
    let holds = matches!(order, Some((BatteryOrder { wish: Wish::Hold, .. }, _)));
    if holds && !protects && behind >= 0 && order_watts > 0 && flow > SLACK {
        return Err(format!("{flow} W of discharge against a hold"));
    }
    let forced = decision.forced_charge != ForcedCharge::None
        || decision.reasons.iter().any(|cause| cause.tier == Tier::ForcedCharge);
    let steers = decision.timed.plan == TimedState::Active && !forced && behind >= 0;
    if let Some((Steer { caps, .. }, _)) = lease.filter(|_| steers) {
        let over =
            |limit: Option<Watts>, flow: i64| limit.is_some_and(|limit| flow > i64::from(limit.0) + SLACK);
        if over(caps.max_discharge, flow) && order_watts > 0 && !protects {
            return Err(format!("{flow} W of discharge, the plan allows {:?}", caps.max_discharge));
        }
        if over(caps.max_charge, -flow) && order_watts < 0 && !protects {
            return Err(format!("{} W of charge, the plan allows {:?}", -flow, caps.max_charge));
        }
    }
    Ok(())
}
