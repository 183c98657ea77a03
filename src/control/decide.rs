//! The whole policy: what the site should do now, given what it knows.
//!
//! Pure and total. It reads no clock, takes no lock and cannot fail; what it does not know becomes a cautious
//! number and a [`Reason`]. It reads from top to bottom: what is true, what is allowed, what is wanted, what is
//! given.

mod wish;

use serde::{Deserialize, Serialize};

use super::battery::guard::{Guard, GuardInputs};
use super::battery::limits::{LimitInputs, LimitMemory, Limits};
use super::decision::{Decision, GuardState, Overruled};
use super::history::Sample;
use super::image::Image;
use super::ladder::Ladder;
use super::policy::{GuardKind, PhaseMode, Policy};
use super::reading::{Reading, Stage};
use super::reason::{Cause, End, Reason, Reasons, Source, Tier};
use super::regulator::{Dynamics, Regulator};
use super::schedule::{Act, Claim, Timed};
use super::senses::{self, Sensed, Senses};
use super::share::{self, Able};
use super::units::{Mono, Soc, Span, Wall, Watts};
use super::wiring::Wiring;
use wish::{forced_charge, supervised_setpoint, timed_inputs, wanted};

/// Share of the PV that may be spent while the battery itself may not be: the rest covers losses.
const PV_SHARE: i64 = 80;

/// What inverters pass on to the loads on their outputs is no more than this many ratings; other words about it are
/// nonsense, and would move every limit of the battery with them.
const CARRIES: i64 = 10;

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
    /// Schedule, plan and outages.
    pub timed: Timed,
    last: Option<Mono>,
    last_meter: Mono,
    /// The last order was not what the regulator wanted: its trim must not wind up.
    bound: bool,
}

/// What the decision knows, once trust has been applied.
struct Known {
    sensed: Sensed,
    soc: Option<Reading<Soc>>,
    /// Load behind the inverters' output: the battery feeds it beside what is ordered.
    load_out: Watts,
    /// As much of it as is sure to be there, so that charging may count on it.
    load_out_sure: Watts,
    /// DC-coupled PV that discharging may count on.
    pv_dc: Watts,
    /// The most there may be of it, which charging must leave room for.
    pv_dc_most: Watts,
    pv_ac: Watts,
    generator_active: bool,
    /// Phases with an inverter that answers.
    controlled: [bool; 3],
    /// Whether the meter tells the phases apart; else all powers stand in the first place.
    split: bool,
    /// The input that has not spoken often enough since the start, if any.
    starting: Option<Source>,
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
    let known = sense(policy, wiring, memory, image, generator_active, now);
    let dynamics = dynamics(policy, wiring, &known);
    let fresh_meter = measure(policy, wiring, memory, image, &known, &dynamics, now);
    memory.guard.step(&policy.battery, guard_inputs(wiring, image, memory, &known), now);

    // 2. What is allowed: most important first, each limit inside the one before.
    let mut ladder = device_rung(policy, wiring, &known);
    let limits = memory.limits.step(&policy.battery, &limit_inputs(wiring, image, &known, now), now);
    let battery = battery_rung(&mut ladder, policy, &limits, &known);
    connection_rung(&mut ladder, policy, memory, &known);
    floor_rung(&mut ladder, policy, memory, &known);

    // 3. What is wanted.
    let inputs = timed_inputs(policy, &known, wall);
    let claim = memory.timed.step(policy, inputs, now, &mut decision.timed);
    if let Some(Claim { tier, reason, act: Act::Hold(share) }) = claim {
        ladder.at_most(tier, known.pv_dc.scaled(share, 10_000) - known.load_out, reason);
        ladder.rung(tier);
    }
    let wish = wanted(policy, memory, &known, &ladder, claim);
    let wanted_total = share::total(wish.phases);
    let (clamped, cut) = ladder.clamp(wanted_total);
    let cut = cut.or(ladder.pinned());
    let usable = |at: usize| known.sensed.obeys(at);
    let able = Able::of(&wiring.inverters, usable, known.load_out_sure);
    let on_phases = |phases| {
        if known.split { able.fit(phases, policy.phases == PhaseMode::Total) } else { merged(phases) }
    };
    let phases = on_phases(share::scale(wish.phases, clamped, known.controlled));

    // 4. What is given.
    let resolution = wiring.inverters.iter().map(|wired| wired.spec.resolution).max().unwrap_or_default();
    let range = (ladder.low(), ladder.high());
    let nothing = range == (Watts::ZERO, Watts::ZERO);
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
    let given = able.feasible(given, !known.split || policy.phases == PhaseMode::Total, range);
    let inverters = share::over_inverters(given, &wiring.inverters, usable);

    // 5. Why.
    note(reasons, policy, memory, &known, &dynamics);
    let cause = cut.unwrap_or(Cause { tier: wish.tier, reason: wish.reason });
    if cut.is_some() {
        reasons.push(wish.tier, wish.reason);
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
    decision.pv_limit = None;
    decision.guard = memory.guard.state();
    decision.floor = known.soc.filter(|_| !policy.battery.keep_charged).map(|_| policy.battery.floor);
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

fn sense(
    policy: &Policy,
    wiring: &Wiring,
    memory: &mut Memory,
    image: &Image,
    generator_active: bool,
    now: Mono,
) -> Known {
    let mut sensed = memory.senses.step(policy, wiring, image, now);
    // Where nothing tells whether the grid is there, a running generator is taken for what feeds the site: its power
    // must not be mistaken for the grid's.
    sensed.island |= generator_active && wiring.grid.present.is_none();
    // The guard acts on the first sample of the charge; orders wait for the third by `starting`.
    let first = image.soc(wiring.battery.soc).filter(|reading| reading.age(now) <= policy.trust.soc.held);
    let soc = senses::usable_soc(policy, wiring, image, sensed.soc, now)
        .or_else(|| first.filter(|_| !memory.senses.soc.ever()));
    let recent = |reading: Option<Reading<Watts>>| {
        reading.filter(|reading| reading.age(now) <= policy.trust.pv.held).map_or(Watts::ZERO, |r| r.value)
    };
    let rated: Watts =
        wiring.inverters.iter().map(|wired| wired.spec.max_charge.max(wired.spec.max_discharge)).sum();
    let carried = |power: &senses::PhasePower| share::total(power.phases).abs() <= rated.scaled(CARRIES, 1);
    let behind = senses::power(image, &wiring.load_out).filter(carried);
    let heard = behind.map_or(Watts::ZERO, |power| share::total(power.phases));
    let fresh = behind.is_some_and(|power| now.since(power.asked_at) <= policy.trust.inverter.safe);
    // Once it is silent its last word still takes from what may be discharged, and gives nothing any more.
    let load_out = if fresh { heard } else { heard.max(Watts::ZERO) };
    let load_out_sure = if fresh { heard } else { heard.min(Watts::ZERO) };
    let mut controlled = [false; 3];
    let answers = wiring.inverters.iter().enumerate().filter(|(at, _)| sensed.obeys(*at));
    for (_, wired) in answers {
        for (phase, feeds) in controlled.iter_mut().zip(wired.spec.phases) {
            *phase |= feeds;
        }
    }
    let split = sensed.grid.is_none_or(|grid| grid.split);
    if !split {
        controlled = [controlled.contains(&true), false, false];
    }
    let senses = &memory.senses;
    let meter_needed = policy.grid.connected && wiring.grid.power.is_wired();
    let starting = if meter_needed && !senses.meter.ever() {
        Some(Source::Meter)
    } else if !wiring.inverters.is_empty() && !senses.inverters.iter().any(super::reading::Trust::ever) {
        Some(Source::Inverter)
    } else if wiring.battery.soc.is_some() && !senses.soc.ever() {
        Some(Source::Soc)
    } else {
        None
    };
    let pv_dc = recent(image.watts(wiring.pv_dc)).max(Watts::ZERO);
    let pv_dc_most = image
        .watts(wiring.pv_dc)
        .filter(|reading| reading.age(now) <= policy.trust.pv.safe)
        .map_or(Watts::ZERO, |reading| reading.value.max(Watts::ZERO));
    let pv_ac = wiring
        .pv
        .iter()
        .filter_map(|pv| senses::power(image, &pv.power))
        .filter(|power| now.since(power.asked_at) <= policy.trust.pv.held)
        .map(|power| share::total(power.phases))
        .sum::<Watts>()
        .max(Watts::ZERO);
    Known {
        sensed,
        soc,
        load_out,
        load_out_sure,
        pv_dc,
        pv_dc_most,
        pv_ac,
        generator_active,
        controlled,
        split,
        starting,
    }
}

/// The sum in the first place, where a meter that only tells the sum has it.
fn merged(phases: [Watts; 3]) -> [Watts; 3] {
    [share::total(phases), Watts::ZERO, Watts::ZERO]
}

fn dynamics(policy: &Policy, wiring: &Wiring, known: &Known) -> Dynamics {
    let mut latency = Span::ZERO;
    let mut model_delay = Span::ZERO;
    for wired in &wiring.inverters {
        let spec = &wired.spec;
        latency = latency.max(spec.dead_time + spec.lag.scaled(4, 1));
        model_delay = model_delay.max(spec.dead_time + spec.lag);
    }
    let measured = known.sensed.inverter.iter().any(|stage| *stage <= Stage::Held);
    let compatible = policy.battery.guard == GuardKind::VictronCompatible;
    Dynamics { latency, model_delay, meter_lag: policy.regulator.meter_lag, measured, compatible }
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
        return false;
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
    let over =
        |limit: Option<Watts>, power: Watts| limit.is_some_and(|limit| power > limit + limit.scaled(5, 100));
    let violated = over(policy.grid.import_limit, total) || over(policy.grid.export_limit, -total);
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

fn guard_inputs(wiring: &Wiring, image: &Image, memory: &Memory, known: &Known) -> GuardInputs {
    // The load in force already has AC PV subtracted: negative means surplus.
    let surplus = memory.regulator.load().map(|load| known.pv_dc - share::total(load) - known.load_out);
    GuardInputs {
        soc: known.soc,
        current: image.amps(wiring.battery.current).map(|reading| reading.value),
        surplus: surplus.filter(|_| known.pv_ac + known.pv_dc > Watts::ZERO),
    }
}

fn limit_inputs(wiring: &Wiring, image: &Image, known: &Known, now: Mono) -> LimitInputs {
    let battery = &wiring.battery;
    let recent = |age: Span| age <= Span::secs(60);
    LimitInputs {
        voltage: image.volts(battery.voltage).filter(|reading| recent(reading.age(now))),
        temperature: image.celsius(battery.temperature),
        charge_limit: image.amps(battery.charge_limit).map(|reading| reading.value.abs()),
        discharge_limit: image.amps(battery.discharge_limit).map(|reading| reading.value.abs()),
        charge_voltage: image.volts(battery.charge_voltage).map(|reading| reading.value),
        bms: known.sensed.bms,
        pv_dc: known.pv_dc,
        pv_dc_most: known.pv_dc_most,
        island: known.sensed.island,
    }
}

/// Tier 0: ratings of the inverters that answer, the profile's authority, the first samples after a start.
fn device_rung(policy: &Policy, wiring: &Wiring, known: &Known) -> Ladder {
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

fn nothing(ladder: &mut Ladder, tier: Tier, reason: Reason) {
    ladder.at_most(tier, Watts::ZERO, reason);
    ladder.at_least(tier, Watts::ZERO, reason);
}

/// The best stage among the inverters: one that answers keeps the site controlled.
fn best_inverter(known: &Known) -> Stage {
    known.sensed.inverter.iter().copied().min().unwrap_or(Stage::Safe)
}

/// Tier 1: what the battery can stand. Returns the range of battery power it leaves, discharge positive.
fn battery_rung(ladder: &mut Ladder, policy: &Policy, limits: &Limits, known: &Known) -> (Watts, Watts) {
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
fn pv_only(known: &Known) -> Watts {
    known.pv_dc.scaled(PV_SHARE, 100) - known.load_out
}

/// Tier 2: island, generator, a silent meter, import and export limits.
fn connection_rung(ladder: &mut Ladder, policy: &Policy, memory: &Memory, known: &Known) {
    let tier = Tier::Connection;
    if known.sensed.island {
        let reason = if known.generator_active { Reason::GenActive } else { Reason::Island };
        nothing(ladder, tier, reason);
    } else {
        let meter = known.sensed.meter;
        let doubt = meter_doubt(&known.sensed);
        if known.starting.is_none() && meter == Stage::Safe {
            nothing(ladder, tier, doubt);
        }
        if meter == Stage::Degraded && policy.grid.export_limit == Some(Watts::ZERO) {
            ladder.at_most(tier, Watts::ZERO, doubt);
        }
        if let Some(load) = memory.regulator.load().map(share::total) {
            if let Some(limit) = policy.grid.import_limit {
                // Shaving is a wish to discharge: it stops where the floor begins.
                let need = load - limit;
                let most = if may_discharge(policy, memory, known) { need } else { need.min(pv_only(known)) };
                ladder.at_least(tier, most, Reason::ImportLimit(limit));
            }
            if let Some(limit) = policy.grid.export_limit {
                ladder.at_most(tier, load + limit, Reason::ExportLimit(limit));
            }
        }
    }
    ladder.rung(tier);
}

/// What is wrong with the meter.
fn meter_doubt(sensed: &Sensed) -> Reason {
    if sensed.implausible {
        Reason::Implausible(Source::Meter)
    } else {
        Reason::Stale(Source::Meter, sensed.meter)
    }
}

fn may_discharge(policy: &Policy, memory: &Memory, known: &Known) -> bool {
    known.soc.is_some() && memory.guard.state() == GuardState::Ok && !policy.battery.keep_charged
}

/// Tier 3: reserve and floor, and what to do without a charge to compare.
fn floor_rung(ladder: &mut Ladder, policy: &Policy, memory: &Memory, known: &Known) {
    let tier = Tier::Floor;
    if known.sensed.island {
        ladder.rung(tier);
        return;
    }
    let floor = policy.battery.floor;
    match known.soc.map(|soc| soc.value) {
        None => {
            // Charging by PV only: whatever the site has too much of, and nothing from the grid.
            let reason = Reason::Stale(Source::Soc, known.sensed.soc);
            let surplus =
                memory.regulator.load().map_or(Watts::ZERO, |load| share::total(load).min(Watts::ZERO));
            ladder.at_most(tier, pv_only(known), reason);
            ladder.at_least(tier, surplus - known.load_out_sure, reason);
        }
        Some(soc) => {
            let held = match memory.guard.state() {
                GuardState::KeepCharged => Some(Reason::KeepCharged),
                GuardState::FloorHeld if memory.guard.raised() => Some(Reason::FloorRaisedHold(floor)),
                GuardState::FloorHeld => Some(Reason::FloorHold { soc, floor }),
                GuardState::FloorRecharge => Some(Reason::FloorRecharge { soc, floor }),
                GuardState::Ok => None,
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

fn discharge_allowed(policy: &Policy, memory: &Memory, known: &Known) -> bool {
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

fn stages(known: &Known) -> [Stage; 6] {
    let bms = known.sensed.bms.unwrap_or(Stage::Good);
    [known.sensed.meter, best_inverter(known), known.sensed.soc, bms, Stage::Good, Stage::Good]
}
