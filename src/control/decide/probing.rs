//! Decisions while a site is commissioned: what the trial wants, inside what device, battery and floor allow.
//!
//! The limits of the connection are left out, because they are read off a meter that nobody has proven yet; a trial is
//! a few hundred watts for some seconds.

use crate::control::battery::limits::Limits;
use crate::control::commission::{Commission, Surroundings};
use crate::control::decision::{Decision, ForcedCharge};
use crate::control::image::Image;
use crate::control::ladder::Ladder;
use crate::control::policy::Policy;
use crate::control::reading::Stage;
use crate::control::reason::{Cause, Reason, Tier};
use crate::control::share;
use crate::control::units::{Mono, Watts};
use crate::control::wiring::Wiring;

use super::Memory;
use super::known::{Known, best_inverter, stages};
use super::rungs::{battery_rung, discharge_allowed, floor_rung};

#[expect(clippy::too_many_arguments, reason = "each is one fact of the decision at hand")]
pub(super) fn decide(
    policy: &Policy,
    wiring: &Wiring,
    memory: &mut Memory,
    image: &Image,
    known: &Known,
    limits: &Limits,
    mut ladder: Ladder,
    commission: &mut Commission,
    now: Mono,
    decision: &mut Decision,
) {
    let battery = battery_rung(&mut ladder, policy, limits, known);
    floor_rung(&mut ladder, policy, memory, known);
    let sensed = &known.sensed;
    let lost =
        sensed.meter == Stage::Safe || sensed.soc == Stage::Safe || best_inverter(known) == Stage::Safe;
    let engine = [wiring.generator.running, wiring.generator.ac_present];
    let engine = engine.into_iter().any(|id| image.flag(id).is_some_and(|flag| flag.value));
    let around = Surroundings {
        range: (ladder.low(), ladder.high()),
        heard: known.starting.is_none() && !lost,
        grid: !sensed.island && !known.generator_active && !engine,
        refused: sensed.yielded.contains(&true),
    };
    commission.step(image, wiring, &around, now);
    decision.inverters.clear();
    decision.inverters.extend(wiring.inverters.iter().map(|_| [Watts::ZERO; 3]));
    let reason = Reason::Commissioning(commission.done());
    let mut cause = Cause { tier: Tier::Operator, reason };
    if let Some((inverter, phases)) = commission.ordered().filter(|_| around.heard && around.grid)
        && let Some(slot) = decision.inverters.get_mut(usize::from(inverter))
    {
        let (allowed, cut) = ladder.clamp(share::total(phases));
        // What protects has moved since the level began: less than the trial wants is worth nothing to it.
        *slot = if cut.is_some() { [Watts::ZERO; 3] } else { phases };
        if let Some(by) = cut {
            decision.reasons.push(Tier::Operator, reason);
            cause = by;
        }
        debug_assert!(cut.is_some() || allowed == share::total(phases), "what is not cut is what was wanted");
    }
    decision.reasons.bind(cause.tier, cause.reason);
    memory.regulator.neutral(now);
    memory.last = Some(now);
    memory.bound = true;
    decision.at = now;
    decision.battery_order = decision.inverters.iter().copied().map(share::total).sum();
    decision.max_charge = (-battery.0).max(Watts::ZERO);
    decision.max_discharge = battery.1.max(Watts::ZERO);
    decision.discharge_allowed = discharge_allowed(policy, memory, known);
    decision.forced_charge = ForcedCharge::None;
    decision.grid_setpoint = Some(policy.grid.setpoint);
    decision.pv_limit = None;
    decision.charge_current = None;
    decision.chargers.clear();
    decision.export_limit = known.export_limit;
    decision.guard = memory.guard.state();
    decision.floor = known.soc.map(|_| policy.battery.floor);
    decision.trim = Watts::ZERO;
    decision.ready = known.starting.is_none();
    decision.moving = false;
    decision.stages = stages(known);
    decision.loads.clear();
    decision.overruled.clear();
    decision.ladder = ladder.into_rungs();
}
