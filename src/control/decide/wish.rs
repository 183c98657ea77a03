//! What is wanted: the wish of the highest rung that has one.

use crate::control::decision::{ForcedCharge, GuardState};
use crate::control::ladder::Ladder;
use crate::control::policy::{GuardKind, Pace, Policy};
use crate::control::reading::Stage;
use crate::control::reason::{Reason, Tier};
use crate::control::schedule::{Act, Claim, TimedInputs};
use crate::control::share;
use crate::control::units::{MilliAmps, Wall, Watts};

use super::Memory;
use super::known::Known;

/// The incumbent's slow charge, at the battery.
const SLOW_CHARGE: MilliAmps = MilliAmps(5_000);

/// What is wanted, by whom and why.
pub(super) struct Wish {
    pub tier: Tier,
    pub reason: Reason,
    pub phases: [Watts; 3],
}

/// The wish of the highest rung that has one.
pub(super) fn wanted(
    policy: &Policy,
    memory: &Memory,
    known: &Known,
    ladder: &Ladder,
    claim: Option<Claim>,
    surplus: Option<Watts>,
) -> Wish {
    let regulator = &memory.regulator;
    let all = |power: Watts| share::scale([Watts::ZERO; 3], power, known.controlled);
    if !known.sensed.island {
        if known.charge_request {
            return Wish {
                tier: Tier::ForcedCharge,
                reason: Reason::ChargeRequest,
                phases: all(ladder.low()),
            };
        }
        // Who may use the reserve is not charged up again against it.
        if memory.guard.state().recharges()
            && !known.reserve
            && let Some(soc) = known.soc
        {
            let floor = memory.guard.recharge_to(policy.battery.floor);
            let reason = Reason::FloorRecharge { soc: soc.value, floor };
            // The pace is the battery's: what the inverters' output takes comes on top.
            let paced = |pace: Watts| ladder.low().max(-pace - known.load_out);
            let most = recharge_power(policy).map_or(ladder.low(), paced);
            return Wish { tier: Tier::ForcedCharge, reason, phases: all(most) };
        }
        if let Some(power) = slow_charge(memory, known).filter(|_| !known.reserve) {
            let reason = Reason::SlowCharge(memory.guard.adaptive().in_force(policy.battery.floor));
            let power = ladder.low().max(power);
            return Wish { tier: Tier::ForcedCharge, reason, phases: all(power) };
        }
        if policy.battery.keep_charged {
            return Wish { tier: Tier::ForcedCharge, reason: Reason::KeepCharged, phases: all(ladder.low()) };
        }
    }
    let toward = |setpoint: Watts| match regulator.load() {
        Some(load) if !known.sensed.island => {
            share::allocate(policy.phases, load, setpoint - regulator.trim(), known.controlled)
        }
        Some(_) | None => [Watts::ZERO; 3],
    };
    if let Some(Claim { tier, reason, act, .. }) = claim {
        match act {
            Act::Grid(setpoint) => return Wish { tier, reason, phases: toward(setpoint) },
            Act::Charge => return Wish { tier, reason, phases: all(ladder.low()) },
            // What the battery is to do, and what the inverter must do beside it.
            Act::Power(power) => {
                return Wish { tier, reason, phases: all(power + known.pv_dc - known.load_out) };
            }
            Act::Hold(_) | Act::Free => {}
        }
    }
    let setpoint = policy.grid.setpoint;
    let phases = toward(setpoint);
    match surplus.filter(|surplus| *surplus > share::total(phases) && regulator.load().is_some()) {
        Some(surplus) => Wish {
            tier: Tier::Default,
            reason: Reason::FeedInDc(surplus),
            phases: share::scale(phases, surplus, known.controlled),
        },
        None => Wish { tier: Tier::Default, reason: Reason::SelfConsumption(setpoint), phases },
    }
}

/// What a slow charge asks of the inverters; what their output takes comes on top.
fn slow_charge(memory: &Memory, known: &Known) -> Option<Watts> {
    let slow = memory.guard.state() == GuardState::SlowCharge && known.soc.is_some();
    let voltage = known.voltage.filter(|_| slow)?.value;
    Some(-voltage.times(SLOW_CHARGE) - known.load_out)
}

/// How hard a recharge pulls: as the operator said; else, in the standard guard, a tenth of the capacity per
/// hour when it is known; else as hard as the limits allow.
fn recharge_power(policy: &Policy) -> Option<Watts> {
    match policy.battery.recharge_pace {
        Some(Pace::Full) => None,
        Some(Pace::Power(power)) => Some(power),
        None if policy.battery.guard == GuardKind::VictronCompatible => None,
        None => {
            policy.battery.capacity.map(|capacity| Watts::saturated(capacity.0.checked_div(10).unwrap_or(0)))
        }
    }
}

/// Charging that does not wait for a surplus.
pub(super) fn forced_charge(memory: &Memory, known: &Known, claim: Option<Claim>) -> ForcedCharge {
    let guard = memory.guard.state();
    let recharging = known.charge_request || guard.recharges() && known.soc.is_some() && !known.reserve;
    let claimed = claim.is_some_and(|claim| claim.act == Act::Charge);
    if (recharging || claimed) && !known.sensed.island {
        ForcedCharge::Full
    } else if guard == GuardState::SlowCharge && !known.sensed.island && !known.reserve {
        ForcedCharge::Slow
    } else {
        ForcedCharge::None
    }
}

/// Schedule, plan and outages go on nothing but a good charge.
pub(super) fn timed_inputs(policy: &Policy, known: &Known, wall: Option<Wall>, ordered: bool) -> TimedInputs {
    let soc = known.soc.filter(|_| known.sensed.soc == Stage::Good).map(|soc| soc.value);
    TimedInputs { wall, soc, free: !known.sensed.island && !policy.battery.keep_charged && !ordered }
}

/// What a device that keeps the fast loop itself is told: the operator's setpoint, or what the grid must carry when
/// something else binds or wishes. With the load unknown that cannot be said: the device is left to its own rules.
/// Without grid, or while the generator feeds the site, the inverter's power is not the grid's counterpart: what it
/// charges from the engine would read as a wish to export.
pub(super) fn supervised_setpoint(
    policy: &Policy,
    memory: &Memory,
    known: &Known,
    bound: bool,
    order: Watts,
) -> Option<Watts> {
    let steered = !known.sensed.island && !known.generator_active;
    let forced = !memory.guard.state().allows_discharge() && !known.reserve;
    if !steered || !(bound || forced) {
        return Some(policy.grid.setpoint);
    }
    memory.regulator.load().map(|load| share::total(load) - order)
}
