//! The rungs of hard limits: device, battery, connection, reserve and floor.

use crate::control::battery::limits::Limits;
use crate::control::decision::GuardState;
use crate::control::ladder::Ladder;
use crate::control::policy::{Caps, GuardKind, Policy, Shave};
use crate::control::reading::Stage;
use crate::control::reason::{End, Reason, Source, Tier};
use crate::control::senses::Sensed;
use crate::control::share;
use crate::control::units::{MilliAmps, MilliVolts, Soc, Watts};
use crate::control::wiring::Wiring;

use super::Memory;
use super::known::{Known, best_inverter};
use super::phases;

/// Share of the PV that may be spent while the battery itself may not be: the rest covers losses.
const PV_SHARE: i64 = 80;

/// Tier 0: ratings of the inverters that answer, the profile's authority, the first samples after a start.
pub(super) fn device_rung(policy: &Policy, wiring: &Wiring, known: &Known) -> Ladder {
    let usable = |at: usize| known.sensed.obeys(at);
    let mut charge = Watts::ZERO;
    let mut discharge = Watts::ZERO;
    for (at, wired) in wiring.inverters.iter().enumerate() {
        if usable(at) {
            charge += wired.spec.max_charge;
            discharge += wired.spec.max_discharge;
        }
    }
    let mut ladder = Ladder::open(Watts::MIN, Watts::MAX, Reason::Saturated(End::High, Watts::MAX));
    // What is not known comes first: it is the reason, and the ratings of what is silent are only its consequence.
    let silent = !wiring.inverters.is_empty() && best_inverter(known) == Stage::Safe;
    let closed = known.starting.map(Reason::Starting);
    let foreign = !wiring.inverters.is_empty() && !(0..wiring.inverters.len()).any(usable);
    let reason = closed
        .or(silent.then_some(Reason::Stale(Source::Inverter, Stage::Safe)))
        .or(foreign.then_some(Reason::SecondWriter));
    if let Some(reason) = reason {
        nothing(&mut ladder, Tier::Device, reason);
        ladder.rung(Tier::Device);
        return ladder;
    }
    // The authority first: what hangs on the outputs moves the ratings' limits, and never that one.
    ladder.at_most(Tier::Device, policy.authority, Reason::Authority(policy.authority));
    ladder.at_least(Tier::Device, -policy.authority, Reason::Authority(policy.authority));
    let (low, high) = (-charge - known.load_out_sure, discharge - known.load_out);
    ladder.at_least(Tier::Device, low, Reason::Saturated(End::Low, -charge));
    ladder.at_most(Tier::Device, high, Reason::Saturated(End::High, discharge));
    ladder.rung(Tier::Device);
    ladder
}

pub(super) fn nothing(ladder: &mut Ladder, tier: Tier, reason: Reason) {
    ladder.at_most(tier, Watts::ZERO, reason);
    ladder.at_least(tier, Watts::ZERO, reason);
}

/// Tier 1: what the battery can stand. Returns the range of battery power it leaves, discharge positive.
pub(super) fn battery_rung(
    ladder: &mut Ladder,
    policy: &Policy,
    limits: &Limits,
    known: &Known,
) -> (Watts, Watts) {
    let (out, sure) = (known.load_out, known.load_out_sure);
    let own = &policy.battery;
    if let Some((charge, reason)) = limits.charge {
        ladder.at_least(Tier::Battery, -charge - sure, reason);
    }
    if let Some((discharge, reason)) = limits.discharge {
        ladder.at_most(Tier::Battery, discharge - out, reason);
    }
    if let Some(charge) = own.max_charge {
        ladder.at_least(Tier::Battery, -charge - sure, Reason::Saturated(End::Low, -charge));
    }
    if let Some(discharge) = own.max_discharge {
        ladder.at_most(Tier::Battery, discharge - out, Reason::Saturated(End::High, discharge));
    }
    if own.guard == GuardKind::Standard {
        // Without grid the reserve for the island takes the place of the absolute floor.
        let floor = if known.sensed.island { own.island_reserve } else { own.absolute_floor };
        if let Some(soc) = known.soc.map(|soc| soc.value).filter(|soc| *soc <= floor && floor > Soc::EMPTY) {
            ladder.at_most(Tier::Battery, pv_only(known), Reason::FloorHold { soc, floor });
        }
    }
    ladder.rung(Tier::Battery);
    (ladder.low() + sure, ladder.high() + out)
}

/// Most that may be ordered while the battery itself may not be discharged.
pub(super) fn pv_only(known: &Known) -> Watts {
    known.pv_dc.scaled(PV_SHARE, 100) - known.load_out
}

/// Tier 2: island, generator, a silent meter, import and export limits.
pub(super) fn connection_rung(
    ladder: &mut Ladder,
    policy: &Policy,
    memory: &Memory,
    known: &Known,
    room: Option<(Watts, MilliVolts)>,
    ranges: Option<&phases::Ranges>,
) {
    let tier = Tier::Connection;
    if known.sensed.island {
        let reason = if known.generator_active { Reason::GenActive } else { Reason::Island };
        nothing(ladder, tier, reason);
    } else {
        let meter = known.sensed.meter;
        let doubt = meter_doubt(&known.sensed);
        if known.starting.is_none() && meter == Stage::Safe {
            // The setpoint is wanted in any case; what else anybody wishes may not be ordered blindly.
            let blind = if known.internal { -policy.grid.setpoint } else { Watts::ZERO };
            ladder.at_most(tier, blind.max(Watts::ZERO), doubt);
            ladder.at_least(tier, blind.min(Watts::ZERO), doubt);
        }
        let no_export = policy.grid.export_limit == Some(Watts::ZERO)
            || policy.grid.export_limit_phase == Some(MilliAmps::ZERO);
        if meter == Stage::Degraded && no_export {
            ladder.at_most(tier, Watts::ZERO, doubt);
        }
        if let Some(load) = memory.regulator.load().map(share::total) {
            if let Some(limit) = policy.grid.import_limit {
                // Shaving is a wish to discharge: it stops where the floor begins.
                let need = load - limit;
                let most = if may_shave(policy, memory, known) { need } else { need.min(pv_only(known)) };
                ladder.at_least(tier, most, Reason::ImportLimit(limit));
            }
            if let Some(limit) = policy.grid.export_limit {
                ladder.at_most(tier, load + limit, Reason::ExportLimit(limit));
            }
            if let Some((room, volts)) = room {
                ladder.at_most(tier, load + room, Reason::ExportVolt(volts, room));
            }
        }
        if let Some(ranges) = ranges {
            phases::rung(ladder, policy, ranges, known.controlled);
        }
    }
    ladder.rung(tier);
}

/// Tier 6, and only while a plan has control: what it keeps the battery from. Where the load is not known, what hangs on
/// it is not allowed at all.
pub(super) fn caps_rung(
    ladder: &mut Ladder,
    tier: Tier,
    reason: Reason,
    caps: Caps,
    memory: &Memory,
    known: &mut Known,
) {
    if caps == Caps::default() {
        return;
    }
    if let Some(most) = caps.max_charge {
        ladder.at_least(tier, -most - known.load_out_sure, reason);
    }
    if let Some(most) = caps.max_discharge {
        ladder.at_most(tier, most - known.load_out, reason);
    }
    let load = memory.regulator.load().map(share::total);
    if caps.no_grid_charge {
        let surplus = load.map_or(Watts::ZERO, |load| load.min(Watts::ZERO));
        ladder.at_least(tier, surplus - known.load_out_sure, reason);
    }
    if caps.no_battery_export {
        let most = load.map_or(Watts::ZERO, |load| load.max(Watts::ZERO));
        ladder.at_most(tier, most, reason);
    }
    if let Some(limit) = caps.export_limit {
        ladder.at_most(tier, load.map_or(Watts::ZERO, |load| load + limit), reason);
        known.export_limit = Some(known.export_limit.map_or(limit, |other| other.min(limit)));
    }
    ladder.rung(tier);
}

/// What is wrong with the meter.
pub(super) fn meter_doubt(sensed: &Sensed) -> Reason {
    if sensed.implausible {
        Reason::Implausible(Source::Meter)
    } else {
        Reason::Stale(Source::Meter, sensed.meter)
    }
}

pub(super) fn may_discharge(policy: &Policy, memory: &Memory, known: &Known) -> bool {
    let guard = memory.guard.state().allows_discharge() || known.reserve;
    known.soc.is_some() && guard && !policy.battery.keep_charged
}

/// Whether the battery may discharge for the import limit: where it may anyway, in the band between shave floor and
/// floor, or always above what is kept for an outage.
pub(super) fn may_shave(policy: &Policy, memory: &Memory, known: &Known) -> bool {
    let own = &policy.battery;
    // In sustain the voltage has called the battery empty: whatever its charge says is not to be trusted then.
    let held_up = memory.guard.state() == GuardState::Sustain;
    let usable = known.soc.filter(|_| !own.keep_charged && !held_up);
    let Some(soc) = usable.map(|soc| soc.value) else { return false };
    let least = match policy.grid.shave {
        Shave::Always => Soc::EMPTY,
        Shave::AboveFloor => own.shave_floor.unwrap_or(Soc::FULL),
    };
    let least = least.max(own.island_reserve).max(own.absolute_floor);
    may_discharge(policy, memory, known) || soc > least
}

/// Tier 3: reserve and floor, and what to do without a charge to compare.
pub(super) fn floor_rung(ladder: &mut Ladder, policy: &Policy, memory: &Memory, known: &Known) {
    let tier = Tier::Floor;
    if known.sensed.island {
        ladder.rung(tier);
        return;
    }
    let floor = policy.battery.floor;
    let limit = memory.guard.adaptive().in_force(floor);
    match known.soc.map(|soc| soc.value) {
        None => {
            // Charging by PV only: whatever the site has too much of, and nothing from the grid.
            let reason = Reason::Stale(Source::Soc, known.sensed.soc);
            let surplus =
                memory.regulator.load().map_or(Watts::ZERO, |load| share::total(load).min(Watts::ZERO));
            ladder.at_most(tier, pv_only(known), reason);
            ladder.at_least(tier, surplus - known.load_out_sure, reason);
        }
        Some(_) if known.reserve && !policy.battery.keep_charged => {}
        Some(soc) => {
            let held = match memory.guard.state() {
                GuardState::KeepCharged => Some(Reason::KeepCharged),
                GuardState::FloorHeld if memory.guard.raised() => Some(Reason::FloorRaisedHold(floor)),
                GuardState::FloorHeld => Some(Reason::FloorHold { soc, floor }),
                GuardState::FloorRecharge | GuardState::Recharge => {
                    Some(Reason::FloorRecharge { soc, floor: memory.guard.recharge_to(floor) })
                }
                GuardState::Discharged if limit > floor => Some(Reason::AdaptiveFloor { soc, limit, floor }),
                GuardState::Discharged => Some(Reason::FloorHold { soc, floor }),
                GuardState::SlowCharge => Some(Reason::SlowCharge(limit)),
                GuardState::Sustain => Some(Reason::Sustain),
                GuardState::Ok
                | GuardState::SelfConsumption
                | GuardState::Absorbing
                | GuardState::FloatBand => None,
            };
            if let Some(reason) = held {
                ladder.at_most(tier, pv_only(known), reason);
            } else if memory.guard.eased() {
                let most = (known.pv_dc + known.pv_ac).scaled(PV_SHARE, 100);
                ladder.at_most(tier, most - known.load_out, Reason::FloorEase(most));
            }
        }
    }
    ladder.rung(tier);
}

pub(super) fn discharge_allowed(policy: &Policy, memory: &Memory, known: &Known) -> bool {
    let standard = policy.battery.guard == GuardKind::Standard;
    if !known.sensed.island {
        let lowest = policy.battery.absolute_floor;
        let empty = known.soc.is_some_and(|soc| soc.value <= lowest && lowest > Soc::EMPTY);
        return may_discharge(policy, memory, known) && !(standard && empty);
    }
    // Without grid the minimum SoC does not apply; the island reserve does, unless the charge is unknown:
    // then voltage and BMS are what is left to stop it.
    let reserve = policy.battery.island_reserve;
    !standard || known.soc.is_none_or(|soc| soc.value > reserve)
}
