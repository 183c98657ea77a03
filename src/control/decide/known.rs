//! What a decision knows, once trust has been applied.

use crate::control::image::Image;
use crate::control::policy::{GuardKind, MeterLost, Policy};
use crate::control::reading::{Reading, Stage, Trust};
use crate::control::reason::Source;
use crate::control::regulator::Dynamics;
use crate::control::senses::{self, Sensed};
use crate::control::share;
use crate::control::units::{MilliVolts, Mono, Soc, Span, Watts};
use crate::control::wiring::Wiring;

use super::{Memory, charging, phases};

/// What inverters pass on to the loads on their outputs is no more than this many ratings; other words about it are
/// nonsense, and would move every limit of the battery with them.
const CARRIES: i64 = 10;

/// What the decision knows, once trust has been applied.
pub(super) struct Known {
    pub sensed: Sensed,
    pub soc: Option<Reading<Soc>>,
    /// The BMS asks to be charged.
    pub charge_request: bool,
    /// Battery voltage of the last minute.
    pub voltage: Option<Reading<MilliVolts>>,
    /// Load behind the inverters' output: the battery feeds it beside what is ordered.
    pub load_out: Watts,
    /// As much of it as is sure to be there, so that charging may count on it.
    pub load_out_sure: Watts,
    /// DC-coupled PV that discharging may count on.
    pub pv_dc: Watts,
    /// The most there may be of it, which charging must leave room for.
    pub pv_dc_most: Watts,
    pub pv_ac: Watts,
    /// Measured loads on the DC bus.
    pub load_dc: Watts,
    /// Voltage of each phase of the grid.
    pub grid_volts: [Option<MilliVolts>; 3],
    /// Most export in force.
    pub export_limit: Option<Watts>,
    /// What DC-coupled PV makes beyond loads and battery may leave the site.
    pub feed_in_dc: bool,
    pub generator_active: bool,
    /// Phases with an inverter that answers.
    pub controlled: [bool; 3],
    /// Whether the meter tells the phases apart; else all powers stand in the first place.
    pub split: bool,
    /// The meter is lost, and the inverters' own inputs take its place.
    pub internal: bool,
    /// An operator's order opens what the floor keeps in reserve.
    pub reserve: bool,
    /// The input that has not spoken often enough since the start, if any.
    pub starting: Option<Source>,
}

pub(super) fn sense(
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
    let replaced = policy.grid.connected && policy.grid.meter_lost == MeterLost::Internal;
    let internal = replaced && sensed.meter == Stage::Safe && !sensed.implausible && !sensed.island;
    let split = sensed.grid.is_none_or(|grid| grid.split);
    if !split {
        controlled = [controlled.contains(&true), false, false];
    }
    let senses = &memory.senses;
    let meter_needed = policy.grid.connected && wiring.grid.power.is_wired();
    let starting = if meter_needed && !senses.meter.ever() {
        Some(Source::Meter)
    } else if !wiring.inverters.is_empty() && !senses.inverters.iter().any(Trust::ever) {
        Some(Source::Inverter)
    } else if wiring.battery.soc.is_some() && !senses.soc.ever() {
        Some(Source::Soc)
    } else {
        None
    };
    let voltage = image.volts(wiring.battery.voltage).filter(|reading| reading.age(now) <= Span::secs(60));
    let (pv_dc, pv_dc_most) = charging::pv_dc(policy, wiring, image, voltage, now);
    let load_dc = recent(image.watts(wiring.load_dc)).max(Watts::ZERO);
    let pv_ac = wiring
        .pv
        .iter()
        .filter_map(|pv| senses::recent_power(image, &pv.power, policy.trust.pv.held, now))
        .map(|power| share::total(power.phases))
        .sum::<Watts>()
        .max(Watts::ZERO);
    let request = image.flag(wiring.battery.charge_request);
    let charge_request = request.is_some_and(|flag| flag.value && flag.age(now) <= policy.trust.bms.safe);
    let feed_in_dc = policy.grid.feed_in_dc && !sensed.island && !generator_active;
    Known {
        sensed,
        soc,
        charge_request,
        voltage,
        load_out,
        load_out_sure,
        pv_dc,
        pv_dc_most,
        pv_ac,
        load_dc,
        grid_volts: phases::voltages(wiring, image, now),
        export_limit: policy.grid.export_limit,
        feed_in_dc,
        generator_active,
        controlled,
        split,
        internal,
        reserve: false,
        starting,
    }
}

/// The sum in the first place, where a meter that only tells the sum has it.
pub(super) fn merged(phases: [Watts; 3]) -> [Watts; 3] {
    [share::total(phases), Watts::ZERO, Watts::ZERO]
}

pub(super) fn dynamics(policy: &Policy, wiring: &Wiring, known: &Known) -> Dynamics {
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

/// The best stage among the inverters: one that answers keeps the site controlled.
pub(super) fn best_inverter(known: &Known) -> Stage {
    known.sensed.inverter.iter().copied().min().unwrap_or(Stage::Safe)
}

pub(super) fn stages(known: &Known) -> [Stage; 6] {
    let bms = known.sensed.bms.unwrap_or(Stage::Good);
    [known.sensed.meter, best_inverter(known), known.sensed.soc, bms, Stage::Good, Stage::Good]
}
