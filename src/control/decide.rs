//! The whole policy: what the site should do now, given what it knows.
//!
//! Pure and total. It reads no clock, takes no lock and cannot fail; what it does not know becomes a cautious
//! number and a [`Reason`]. It reads from top to bottom: what is true, what is allowed, what is wanted, what is
//! given.

mod charging;
mod feed_in;
mod known;
mod phases;
mod probing;
mod rungs;
mod wish;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::battery::adaptive::Adaptive;
use super::battery::guard::{Guard, GuardInputs};
use super::battery::limits::{LimitInputs, LimitMemory};
use super::commission::Commission;
use super::curtail::Curtail;
use super::decision::{Decision, GuardState, Overruled};
use super::history::Sample;
use super::image::Image;
use super::loads::{Load, LoadInputs};
use super::orders::{OrderInputs, Standing};
use super::policy::{self, GuardKind, MAX_LOADS, PhaseMode, Policy};
use super::reading::Stage;
use super::reason::{Cause, Reason, Reasons, Source, Tier};
use super::regulator::{Dynamics, Regulator};
use super::schedule::{Act, Claim, Timed};
use super::senses::{self, Senses};
use super::share::{self, Able};
use super::units::{MilliAmps, MilliVolts, Mono, Span, Wall, Watts};
use super::wiring::Wiring;
use known::{Known, best_inverter, dynamics, merged, sense, stages};
use phases::ExportRoom;
use rungs::{
    battery_rung, caps_rung, connection_rung, device_rung, discharge_allowed, floor_rung, may_shave,
    meter_doubt,
};
use wish::{forced_charge, supervised_setpoint, timed_inputs, wanted};

/// What decisions remember from one to the next, the generator apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Trust in the inputs.
    pub senses: Senses,
    /// Guard of the minimum SoC.
    pub guard: Guard,
    /// Voltage and temperature limits with their hysteresis.
    pub limits: LimitMemory,
    /// The regulator.
    pub regulator: Regulator,
    /// Operator's order for the battery.
    pub standing: Option<Standing>,
    /// Schedule, plan and outages.
    pub timed: Timed,
    /// What the grid's voltage leaves of export.
    pub export_room: ExportRoom,
    /// Loads on relays.
    pub loads: ArrayVec<Load, MAX_LOADS>,
    /// Curtailment of PV.
    pub curtail: Curtail,
    /// A commissioning under way or over; while there is one nothing else is ordered.
    pub commission: Option<Box<Commission>>,
    last: Option<Mono>,
    last_meter: Mono,
    /// The last order was not what the regulator wanted: its trim must not wind up.
    bound: bool,
}

/// Decides, into `decision`, whose generator is left as it is. `generator_active` says that the generator carries
/// the site now, `wall` is the time of day as last heard.
#[expect(clippy::too_many_arguments, reason = "each is one fact of the decision at hand")]
pub fn decide(
    policy: &Policy,
    wiring: &Wiring,
    memory: &mut Memory,
    image: &Image,
    generator_active: bool,
    wall: Option<Wall>,
    now: Mono,
    decision: &mut Decision,
) {
    let reasons = &mut decision.reasons;
    reasons.clear();

    // 1. What is true, at worst.
    let mut known = sense(policy, wiring, memory, image, generator_active, now);
    decision.order =
        memory.standing.map(|standing| standing.view(policy, &order_inputs(policy, &known), now));
    known.reserve = decision.order.is_some_and(|order| order.reserve);
    let dynamics = dynamics(policy, wiring, &known);
    let fresh_meter = measure(policy, wiring, memory, image, &known, &dynamics, now);
    memory.guard.step(&policy.battery, guard_inputs(wiring, image, memory, &known, wall), now);

    // 2. What is allowed: most important first, each limit inside the one before.
    let mut ladder = device_rung(policy, wiring, &known);
    let limits = memory.limits.step(&policy.battery, &limit_inputs(wiring, image, &known), now);
    if let Some(mut commission) = memory.commission.take() {
        probing::decide(
            policy,
            wiring,
            memory,
            image,
            &known,
            &limits,
            ladder,
            &mut commission,
            now,
            decision,
        );
        memory.commission = Some(commission);
        return;
    }
    let battery = battery_rung(&mut ladder, policy, &limits, &known);
    let export = known.sensed.grid.map_or(Watts::ZERO, |grid| -share::total(grid.phases));
    let most = policy.authority + wiring.limited_rating();
    let room = memory.export_room.step(policy.grid.export_voltage, known.grid_volts, export, most, now);
    if let Some((room, _)) = room {
        known.export_limit = Some(known.export_limit.map_or(room, |other| other.min(room)));
    }
    let phase_ranges = phases::ranges(policy, memory, &known, may_shave(policy, memory, &known));
    connection_rung(&mut ladder, policy, memory, &known, room, phase_ranges.as_ref());
    floor_rung(&mut ladder, policy, memory, &known);

    // 3. What is wanted.
    let ordered = decision.order.and_then(|order| order.claim());
    let inputs = timed_inputs(policy, &known, wall, ordered.is_some());
    let timed = memory.timed.step(policy, inputs, now, &mut decision.timed);
    let claim = ordered.or(timed);
    if let Some(Claim { tier, reason, act: Act::Hold(share), .. }) = claim {
        ladder.at_most(tier, known.pv_dc.scaled(share, 10_000) - known.load_out, reason);
        ladder.rung(tier);
    }
    let surplus = charging::dc_surplus(policy, &known, &limits);
    let wish = wanted(policy, memory, &known, &ladder, claim, surplus);
    // What forces a charge is above a plan: its caps are not for that.
    if let Some(Claim { tier, reason, caps: Some(caps), .. }) = claim
        && wish.tier >= tier
    {
        caps_rung(&mut ladder, tier, reason, caps, memory, &mut known);
    }
    let wanted_total = share::total(wish.phases);
    let (clamped, cut) = ladder.clamp(wanted_total);
    let cut = cut.or(ladder.pinned());
    let usable = |at: usize| known.sensed.obeys(at);
    let range = (ladder.low(), ladder.high());
    let nothing = range == (Watts::ZERO, Watts::ZERO);
    let whole = Able::of(&wiring.inverters, usable, known.load_out_sure, policy.authority);
    let able = match phase_ranges.filter(|_| !nothing) {
        Some(ranges) => whole.within(&ranges),
        None => whole,
    };
    let on_phases = |phases| {
        if known.split { able.fit(phases, policy.phases == PhaseMode::Total) } else { merged(phases) }
    };
    let phases = on_phases(share::scale(wish.phases, clamped, known.controlled));

    // 4. What is given.
    let resolution = wiring.inverters.iter().map(|wired| wired.spec.resolution).max().unwrap_or_default();
    if nothing {
        memory.regulator.neutral(now);
    }
    let phases = if nothing { [Watts::ZERO; 3] } else { phases };
    memory.regulator.confine(on_phases, &dynamics, now);
    let shaped = memory.regulator.shape(
        &policy.regulator,
        phases,
        range,
        known.controlled,
        resolution,
        fresh_meter,
        &dynamics,
        now,
    );
    let given = if known.split { shaped.phases } else { able.spread(share::total(shaped.phases)) };
    let as_one = !known.split || policy.phases == PhaseMode::Total;
    let given = able.feasible(given, as_one, range);
    // Where the phases' limits cannot all hold inside what is allowed together, that goes before them.
    let kept = (range.0..=range.1).contains(&share::total(given));
    let given = if kept { given } else { whole.feasible(given, as_one, range) };
    let inverters = share::over_inverters(given, &wiring.inverters, usable);

    // 5. Why.
    note(reasons, policy, memory, &known, &dynamics);
    if decision.order.is_some_and(|order| !order.acts) {
        reasons.push(Tier::Operator, Reason::OpWaits);
    }
    let cause = cut.unwrap_or(Cause { tier: wish.tier, reason: wish.reason });
    if cut.is_some() {
        reasons.push(wish.tier, wish.reason);
    } else if wish.tier < Tier::Default && wanted_total == ladder.low() {
        // It takes what it may: who says how much that is.
        let most = ladder.low_by();
        reasons.push(most.tier, most.reason);
    }
    for unmet in ladder.unmet() {
        reasons.push(unmet.tier, unmet.reason);
    }
    match (shaped.reversing, shaped.ramped, shaped.too_small) {
        (Some(left), ..) => {
            reasons.push(cause.tier, cause.reason);
            reasons.bind(Tier::Regulator, Reason::DirectionHold(left));
        }
        (None, true, _) => {
            reasons.push(cause.tier, cause.reason);
            let ramp = policy.regulator.ramp.unwrap_or(Watts::MAX);
            reasons.bind(Tier::Regulator, Reason::Ramp(ramp));
        }
        (None, false, true) => {
            reasons.push(Tier::Regulator, Reason::Deadband(policy.regulator.deadband));
            reasons.bind(cause.tier, cause.reason);
        }
        (None, false, false) => reasons.bind(cause.tier, cause.reason),
    }

    memory.last = Some(now);
    memory.bound = cut.is_some() || wish.tier != Tier::Default || shaped.reversing.is_some() || shaped.ramped;
    let order = inverters.iter().copied().map(share::total).sum();
    decision.at = now;
    decision.battery_order = order;
    decision.max_charge = (-battery.0).max(Watts::ZERO);
    decision.max_discharge = battery.1.max(Watts::ZERO);
    decision.discharge_allowed = discharge_allowed(policy, memory, &known);
    decision.forced_charge = forced_charge(memory, &known, claim);
    decision.inverters = inverters;
    let bound = cut.is_some() || wish.tier < Tier::Default;
    decision.grid_setpoint = supervised_setpoint(policy, memory, &known, bound, order);
    decision.export_limit = export_limit(policy, &known);
    let cap = claim.and_then(|claim| claim.caps).and_then(|caps| caps.max_charge);
    charging::shared(wiring, image, &known, &limits, cap, decision, now);
    shed(policy, memory, &known, decision, now);
    decision.pv_limit = feed_in::pv_limit(policy, wiring, memory, image, &known, &ladder, &able, now);
    // What the BMS asks for is shown before what the guard would do.
    decision.guard = match (known.charge_request, policy.battery.is_adaptive()) {
        (true, true) => GuardState::Recharge,
        (true, false) => GuardState::FloorRecharge,
        (false, _) => memory.guard.state(),
    };
    decision.floor = known.soc.filter(|_| !policy.battery.keep_charged).map(|_| policy.battery.floor);
    let adaptive = policy.battery.is_adaptive().then(|| memory.guard.adaptive());
    decision.limit = adaptive.filter(|_| known.soc.is_some()).map(|rule| rule.in_force(policy.battery.floor));
    decision.flags = adaptive.map_or(0, Adaptive::flags);
    decision.trim = memory.regulator.trim();
    decision.ready = known.starting.is_none();
    decision.moving = shaped.ramped || shaped.reversing.is_some();
    decision.stages = stages(&known);
    decision.overruled.clear();
    if let Some(by) = cut.filter(|_| wanted_total != clamped) {
        let overruled = Overruled { tier: wish.tier, wanted: wanted_total, got: clamped, by: by.tier };
        let _full = decision.overruled.try_push(overruled);
    }
    decision.ladder = ladder.into_rungs();
}

/// Feeds the regulator what was measured; says whether a meter sample was new.
fn measure(
    policy: &Policy,
    wiring: &Wiring,
    memory: &mut Memory,
    image: &Image,
    known: &Known,
    dynamics: &Dynamics,
    now: Mono,
) -> bool {
    let regulator = &mut memory.regulator;
    let elapsed = memory.last.map_or(Span::ZERO, |before| now.since(before));
    let Some(grid) = known.sensed.grid.filter(|_| known.sensed.meter < Stage::Safe) else {
        regulator.forget_load();
        regulator.decay_trim(elapsed);
        if known.internal {
            // The inverters' inputs are all that counts as grid: nothing is in parallel to them.
            regulator.assume_load([Watts::ZERO; 3]);
        }
        return known.internal;
    };
    if known.sensed.implausible {
        regulator.decay_trim(elapsed);
        return false;
    }
    let sample: Option<Sample> = senses::inverters(image, wiring, &known.sensed.inverter, grid.split);
    if let Some(sample) = sample {
        regulator.inverters_heard(sample);
        regulator.catch_up(dynamics, now);
    }
    if grid.asked_at <= memory.last_meter {
        if known.sensed.meter > Stage::Good || memory.limits.tapering() {
            regulator.decay_trim(elapsed);
        }
        return false;
    }
    let total = share::total(grid.phases);
    let violated = policy.grid.over_import(total)
        || policy.grid.over_export(total)
        || over_phase(policy, known, grid.phases);
    regulator.meter_heard(grid.phases, grid.asked_at, violated, dynamics);
    let settled = policy.regulator.trim
        && !dynamics.compatible
        && known.sensed.meter == Stage::Good
        && !memory.limits.tapering()
        && !regulator.in_window(grid.asked_at, dynamics)
        && regulator.given() != [Watts::ZERO; 3]
        && !memory.bound;
    let since = grid.asked_at.since(memory.last_meter);
    regulator.error_seen(total - policy.grid.setpoint, since, settled, now);
    memory.last_meter = grid.asked_at;
    true
}

/// Loads on relays.
fn shed(policy: &Policy, memory: &mut Memory, known: &Known, decision: &mut Decision, now: Mono) {
    decision.loads.clear();
    let metered = known.sensed.meter == Stage::Good && !known.sensed.implausible && !known.sensed.island;
    let load = memory.regulator.load().filter(|_| metered);
    let grid = known.sensed.grid.filter(|_| metered);
    let inputs = LoadInputs {
        soc: known.soc.filter(|_| known.sensed.soc == Stage::Good).map(|soc| soc.value),
        surplus: load.map(|load| known.pv_dc - share::total(load) - known.load_out),
        grid: grid.map(|grid| share::total(grid.phases)),
        import_limit: policy.grid.import_limit,
    };
    while memory.loads.len() < policy.loads.len() && memory.loads.try_push(Load::default()).is_ok() {}
    if known.starting.is_some() {
        return;
    }
    for (load, policy) in memory.loads.iter_mut().zip(&policy.loads) {
        let _full = decision.loads.try_push(load.step(policy, &inputs, now));
    }
}

/// The export limit in force; the incumbent's never lies higher than 96 kW.
fn export_limit(policy: &Policy, known: &Known) -> Option<Watts> {
    let compatible = policy.battery.guard == GuardKind::VictronCompatible;
    known.export_limit.or(compatible.then_some(Watts(96_000)))
}

/// Whether a phase breaks a limit of its own.
fn over_phase(policy: &Policy, known: &Known, grid: [Watts; 3]) -> bool {
    let over = |limit: Option<MilliAmps>, power: Watts, volts: Option<MilliVolts>| {
        policy::over(limit.map(|limit| phases::power(limit, volts)), power)
    };
    let own = &policy.grid;
    grid.into_iter().zip(known.grid_volts).zip(known.controlled).any(|((grid, volts), controlled)| {
        controlled
            && (over(own.import_limit_phase, grid, volts) || over(own.export_limit_phase, -grid, volts))
    })
}

/// What an operator's order looks at. Without grid nothing is ordered, so nothing is good enough.
fn order_inputs(policy: &Policy, known: &Known) -> OrderInputs {
    let metered = policy.grid.connected && !known.sensed.island;
    OrderInputs {
        soc: known.soc.map(|soc| soc.value),
        soc_stage: known.sensed.soc,
        meter: if metered { known.sensed.meter } else { Stage::Safe },
    }
}

fn guard_inputs(
    wiring: &Wiring,
    image: &Image,
    memory: &Memory,
    known: &Known,
    wall: Option<Wall>,
) -> GuardInputs {
    // The load in force already has AC PV subtracted: negative means surplus.
    let surplus = memory.regulator.load().map(|load| known.pv_dc - share::total(load) - known.load_out);
    GuardInputs {
        soc: known.soc,
        current: image.amps(wiring.battery.current).map(|reading| reading.value),
        surplus: surplus.filter(|_| known.pv_ac + known.pv_dc > Watts::ZERO),
        sustain: wiring
            .inverters
            .iter()
            .any(|wired| image.flag(wired.sustain).is_some_and(|flag| flag.value)),
        wall,
    }
}

fn limit_inputs(wiring: &Wiring, image: &Image, known: &Known) -> LimitInputs {
    let battery = &wiring.battery;
    LimitInputs {
        voltage: known.voltage,
        temperature: image.celsius(battery.temperature),
        charge_limit: image.amps(battery.charge_limit).map(|reading| reading.value.abs()),
        discharge_limit: image.amps(battery.discharge_limit).map(|reading| reading.value.abs()),
        charge_voltage: image.volts(battery.charge_voltage).map(|reading| reading.value),
        bms: known.sensed.bms,
        pv_dc: known.pv_dc,
        pv_dc_most: known.pv_dc_most,
        load_dc: known.load_dc,
        island: known.sensed.island,
    }
}

/// Everything that is true and would be asked about, beside what binds.
fn note(reasons: &mut Reasons, policy: &Policy, memory: &Memory, known: &Known, dynamics: &Dynamics) {
    let sensed = &known.sensed;
    let mut doubt = |stage: Stage, reason: Reason| {
        if stage > Stage::Good {
            reasons.push(Tier::Device, reason);
        }
    };
    if known.starting.is_none() {
        let inverter = best_inverter(known);
        doubt(inverter, Reason::Stale(Source::Inverter, inverter));
        if sensed.yielded.contains(&true) {
            doubt(Stage::Safe, Reason::SecondWriter);
        }
        if policy.grid.connected && !sensed.island {
            doubt(sensed.meter, meter_doubt(sensed));
        }
        doubt(sensed.soc, Reason::Stale(Source::Soc, sensed.soc));
        if let Some(stage) = sensed.bms {
            doubt(stage, Reason::Stale(Source::Bms, stage));
        }
    }
    if memory.guard.jumping()
        && let Some(soc) = known.soc
    {
        reasons.push(Tier::Floor, Reason::SocJump(soc.value));
    }
    if memory.regulator.swing_score() > 4 {
        reasons.push(Tier::Regulator, Reason::OscDamp(memory.regulator.swing_score()));
    }
    if dynamics.meter_lag.is_none() && !dynamics.compatible && policy.grid.connected {
        reasons.push(Tier::Regulator, Reason::LagUnknown);
    }
}
