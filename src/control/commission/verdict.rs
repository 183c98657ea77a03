//! What the answers to the steps of a trial say.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use arrayvec::ArrayVec;

use super::{Answers, BATTERY, CHANNELS, METER, MOST, Shown, Step, TELEMETRY, Trial};
use crate::control::units::{Span, Watts};
use crate::control::wiring::Wiring;

/// An answer smaller than this, in thousandths of the step, is none.
const NONE: i32 = 200;
/// A power that is right lies within these, in thousandths.
const RIGHT: RangeInclusive<i32> = 850..=1_150;
/// What the battery shows of it has losses in it.
const RIGHT_AT_BATTERY: RangeInclusive<i32> = 700..=1_400;
/// A battery's voltage that moves less than this, in mV, says nothing.
const MOVED: i32 = 20;
/// A phase that is meant has at least this share of the whole answer, in hundredths.
const MINE: i32 = 60;

/// Something that is not as the profile says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Finding {
    /// It was not tried: the battery may neither give nor take that much now.
    NotAllowed,
    /// Nothing answered, neither the inverter nor the meter.
    Deaf,
    /// The house moves too much to tell.
    Restless,
    /// The inverter does what it is told, but says nothing of it.
    TelemetrySilent,
    /// Everything answers the wrong way round: it takes the sign otherwise.
    OrderReversed,
    /// Everything answers with this much of what was ordered, in thousandths.
    OrderScale(i32),
    /// The inverter says the opposite of what it does.
    TelemetryReversed,
    /// The inverter says this much of what was ordered, in thousandths.
    TelemetryScale(i32),
    /// The inverter answers on this phase, from 0.
    TelemetryPhase(u8),
    /// The meter does not see it.
    MeterBlind,
    /// The meter counts the wrong way: import as export.
    MeterReversed,
    /// The meter shows this much of it, in thousandths.
    MeterScale(i32),
    /// The meter sees it on this phase, from 0.
    MeterPhase(u8),
    /// The meter has no sign: export reads as import.
    MeterUnsigned,
    /// The battery monitor does not see it.
    BatteryBlind,
    /// The battery monitor counts the wrong way: discharge as charge.
    BatteryReversed,
    /// The battery monitor shows this much of it, in thousandths.
    BatteryScale(i32),
}

impl Finding {
    /// Its kebab-case name.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::Deaf => "deaf",
            Self::Restless => "restless",
            Self::TelemetrySilent => "telemetry-silent",
            Self::OrderReversed => "order-reversed",
            Self::OrderScale(_) => "order-scale",
            Self::TelemetryReversed => "telemetry-reversed",
            Self::TelemetryScale(_) => "telemetry-scale",
            Self::TelemetryPhase(_) => "telemetry-phase",
            Self::MeterBlind => "meter-blind",
            Self::MeterReversed => "meter-reversed",
            Self::MeterScale(_) => "meter-scale",
            Self::MeterPhase(_) => "meter-phase",
            Self::MeterUnsigned => "meter-unsigned",
            Self::BatteryBlind => "battery-blind",
            Self::BatteryReversed => "battery-reversed",
            Self::BatteryScale(_) => "battery-scale",
        }
    }

    /// What happened and what to do, for a person at the cabinet.
    #[must_use]
    pub fn words(self) -> String {
        let percent = |thousandths: i32| format!("{} %", thousandths.checked_div(10).unwrap_or(0));
        let phase = |at: u8| format!("L{}", at.saturating_add(1));
        match self {
            Self::NotAllowed => {
                "not tried: the battery may neither give nor take that much now. Look with `wattkeeper explain` at what holds it back, or try again at another state of charge".to_owned()
            }
            Self::Deaf => {
                "nothing answers: neither the inverter's own power nor the meter moved. Check that the unit id is this inverter's, that it is switched on and that its mode lets it be controlled".to_owned()
            }
            Self::Restless => {
                "the loads of the house move too much to tell. Switch off what starts by itself and try again".to_owned()
            }
            Self::TelemetrySilent => {
                "the meter sees the power, but the inverter's own reading does not move. Check the unit id: orders and readings may go to two devices".to_owned()
            }
            Self::OrderReversed => {
                "inverter, meter and battery all answer the wrong way round: the inverter takes the sign of an order otherwise. Choose the definition for its model, or report the definition".to_owned()
            }
            Self::OrderScale(of) => format!(
                "everything answers with {} of what was ordered: the scale of the order is wrong. Choose the definition for its model, or report the definition", percent(of)
            ),
            Self::TelemetryReversed => {
                "the inverter says the opposite of what meter and battery see: the sign of its own power is wrong. Choose the definition for its model, or report the definition".to_owned()
            }
            Self::TelemetryScale(of) => format!(
                "the inverter says {} of what was ordered: the scale of its own power is wrong. Choose the definition for its model, or report the definition", percent(of)
            ),
            Self::TelemetryPhase(at) => {
                format!("the inverter answers on {}: correct its `phases` in the profile", phase(at))
            }
            Self::MeterBlind => {
                "the grid meter does not see it. Check that it sits at the connection of this inverter's supply, and that its unit id is the grid meter's".to_owned()
            }
            Self::MeterReversed => {
                "the grid meter counts the wrong way: import as export. Turn its current transformers round, or choose another definition for it".to_owned()
            }
            Self::MeterScale(of) => format!(
                "the grid meter shows {} of it: check its current transformer ratio and its definition", percent(of)
            ),
            Self::MeterPhase(at) => format!(
                "the grid meter sees it on {}: a current transformer or the inverter hangs on another phase than the profile says", phase(at)
            ),
            Self::MeterUnsigned => {
                "the grid meter has no sign: export reads as import. Choose a definition that reads its signed power, or another meter".to_owned()
            }
            Self::BatteryBlind => {
                "the battery monitor does not see it. Check that its shunt carries this inverter's current".to_owned()
            }
            Self::BatteryReversed => {
                "the battery monitor counts the wrong way: discharge as charge. Turn its shunt round, or choose another definition for it".to_owned()
            }
            Self::BatteryScale(of) => format!("the battery monitor shows {} of it: check its shunt's rating", percent(of)),
        }
    }
}

/// Whether the battery's voltage rises where it is said to be discharged and falls where it is said to be charged.
fn volts_say_backward(steps: &[Step]) -> bool {
    let moved = |step: &&Step| step.volts.is_some_and(|volts| volts.saturating_abs() >= MOVED);
    let against = |step: &&Step| step.volts.is_some_and(|volts| (volts > 0) == (step.moved.0 > 0));
    let all = steps.iter().filter(moved).count();
    let wrong = steps.iter().filter(moved).filter(against).count();
    all >= 4 && wrong.saturating_mul(5) >= all.saturating_mul(4)
}

/// Answers of one channel in thousandths of the steps, sorted.
fn gains(steps: &[Step], channel: usize) -> ArrayVec<i32, MOST> {
    let mut gains: ArrayVec<i32, MOST> = ArrayVec::new();
    for step in steps {
        let answer = step.answers.get(channel).copied().flatten();
        let gain = answer.and_then(|answer| {
            i64::from(answer.0).saturating_mul(1_000).checked_div(i64::from(step.moved.0))
        });
        if let Some(gain) = gain {
            let gain = i32::try_from(gain).unwrap_or(if gain < 0 { i32::MIN } else { i32::MAX });
            let _full = gains.try_push(gain);
        }
    }
    gains.sort_unstable();
    gains
}

fn quantile(sorted: &[i32], quarters: usize) -> Option<i32> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last.saturating_mul(quarters).checked_div(4)?).copied()
}

/// Whether the middle half of the meter's answers lies close together.
pub(super) fn agree(steps: &[Step], close: i32) -> bool {
    let gains = gains(steps, METER.saturating_add(3));
    let (low, high) = (quantile(&gains, 1), quantile(&gains, 3));
    low.zip(high).is_some_and(|(low, high)| high.saturating_sub(low) <= close)
}

fn middle(steps: &[Step], moment: impl Fn(&Step) -> Option<Span>) -> Option<Span> {
    let mut all: ArrayVec<Span, MOST> = steps.iter().filter_map(moment).collect();
    all.sort_unstable();
    all.get(all.len().checked_div(2)?).copied()
}

/// What a trial showed. `crossed` is what the grid should have been on this phase at the level beyond the load, and what
/// was seen.
#[must_use]
pub(super) fn judge(
    trial: Trial,
    steps: &[Step],
    crossed: Option<(Watts, Answers)>,
    wiring: &Wiring,
) -> Shown {
    let mut shown = Shown { trial, ..Shown::default() };
    let mut found = |finding: Finding| {
        let _full = shown.findings.try_push(finding);
    };
    if steps.is_empty() {
        found(Finding::NotAllowed);
        return shown;
    }
    let mut all = [None; CHANNELS];
    for (channel, gain) in all.iter_mut().enumerate() {
        *gain = quantile(&gains(steps, channel), 2);
    }
    let of = |channel: usize| all.get(channel).copied().flatten();
    let feeds_several = wiring
        .inverters
        .get(usize::from(trial.inverter))
        .is_some_and(|wired| wired.spec.phases.iter().filter(|feeds| **feeds).count() > 1);
    let whole = |first: usize| of(first.saturating_add(3));
    let (inverter, meter, battery) = (whole(TELEMETRY), whole(METER), of(BATTERY));
    let answers = |gain: Option<i32>| gain.is_some_and(|gain| gain.saturating_abs() >= NONE);
    let metered = wiring.grid.power.is_wired();
    if metered && !agree(steps, 600) {
        found(Finding::Restless);
    } else if !answers(inverter) && !answers(meter) {
        found(Finding::Deaf);
    } else {
        // The meter sees less import where the inverter feeds in.
        let seen = [inverter, meter.map(i32::saturating_neg), battery.filter(|_| answers(battery))];
        let mut common = seen.into_iter().flatten();
        // Or it answers as it should, and the voltage says that all of them have it the other way round.
        let mirrored = common.clone().all(|gain| gain > 0) && volts_say_backward(steps);
        let told = metered && answers(inverter) && answers(meter) && common.clone().all(|gain| gain < 0);
        let backward = told || mirrored;
        let same = |first: i32, gain: i32| {
            let part = gain.checked_mul(100).and_then(|gain| gain.checked_div(first)).unwrap_or(0);
            (70..=140).contains(&part)
        };
        let first = common.next().unwrap_or(0);
        let scaled = metered
            && answers(inverter)
            && !RIGHT.contains(&first.saturating_abs())
            && common.all(|gain| same(first, gain));
        if backward {
            found(Finding::OrderReversed);
        }
        if scaled {
            found(Finding::OrderScale(first.saturating_abs()));
        }
        let mut weigh = |gain: Option<i32>, reading: &Reading| {
            reading.weigh(gain, backward, scaled).for_each(&mut found);
        };
        weigh(inverter, &OF_INVERTER);
        if metered {
            weigh(meter, &OF_METER);
        }
        if battery.is_some() {
            weigh(battery, &OF_BATTERY);
        }
        // An inverter on one phase that is told apart there: its whole answer is that phase's.
        if (feeds_several || of(TELEMETRY).is_some())
            && let Some(at) = elsewhere(&all, TELEMETRY, trial.phase)
        {
            found(Finding::TelemetryPhase(at));
        }
        let strange = elsewhere(&all, METER, trial.phase);
        if let Some(at) = strange {
            found(Finding::MeterPhase(at));
        }
        if let Some((expected, seen)) = crossed.filter(|_| strange.is_none()) {
            let here = METER.saturating_add(usize::from(trial.phase));
            let at = |channel: usize| seen.get(channel).copied().flatten();
            let grid = at(here).or(at(METER.saturating_add(3)));
            let signed = answers(meter) && meter.is_some_and(|gain| gain < 0);
            if signed && grid.is_some_and(|grid| grid > expected.abs().scaled(1, 2)) {
                found(Finding::MeterUnsigned);
            }
        }
    }
    shown.gains = all;
    shown.response = middle(steps, |step| step.inverter_at);
    shown.lag = middle(steps, |step| {
        let lag = step.meter_at.zip(step.inverter_at).map(|(meter, inverter)| meter - inverter);
        lag.map(|lag| lag.max(Span::ZERO))
    });
    shown
}

/// How one reading answers a step on a healthy site, and what it is found to be where it does not.
struct Reading {
    /// It falls where the inverter feeds in, as the meter's import does.
    falls: bool,
    right: RangeInclusive<i32>,
    silent: Finding,
    reversed: Finding,
    scale: fn(i32) -> Finding,
}

const OF_INVERTER: Reading = Reading {
    falls: false,
    right: RIGHT,
    silent: Finding::TelemetrySilent,
    reversed: Finding::TelemetryReversed,
    scale: Finding::TelemetryScale,
};

const OF_METER: Reading = Reading {
    falls: true,
    right: RIGHT,
    silent: Finding::MeterBlind,
    reversed: Finding::MeterReversed,
    scale: Finding::MeterScale,
};

const OF_BATTERY: Reading = Reading {
    falls: false,
    right: RIGHT_AT_BATTERY,
    silent: Finding::BatteryBlind,
    reversed: Finding::BatteryReversed,
    scale: Finding::BatteryScale,
};

impl Reading {
    /// What is wrong with it; its sign and its size are not its own fault where the order has them wrong.
    fn weigh(
        &self,
        gain: Option<i32>,
        order_backward: bool,
        order_scaled: bool,
    ) -> impl Iterator<Item = Finding> {
        let answer = gain.filter(|gain| gain.saturating_abs() >= NONE);
        let silent = answer.is_none().then_some(self.silent);
        let reversed =
            answer.filter(|gain| (*gain < 0) != self.falls && !order_backward).map(|_| self.reversed);
        let scaled = answer
            .map(i32::saturating_abs)
            .filter(|size| !order_scaled && !self.right.contains(size))
            .map(self.scale);
        [silent, reversed, scaled].into_iter().flatten()
    }
}

/// The phase on which most of an answer was seen, when it is not this one.
fn elsewhere(gains: &[Option<i32>; CHANNELS], first: usize, phase: u8) -> Option<u8> {
    let phases = gains.get(first..first.saturating_add(3))?;
    let known: ArrayVec<i32, 3> = phases.iter().map(|gain| gain.map_or(0, i32::saturating_abs)).collect();
    let whole = known.iter().fold(0i32, |sum, gain| sum.saturating_add(*gain));
    if phases.iter().all(Option::is_none) || whole < NONE {
        return None;
    }
    // One that only takes a sum spreads it over its phases.
    let spread = known
        .iter()
        .all(|gain| (20..=47).contains(&gain.saturating_mul(100).checked_div(whole).unwrap_or(0)));
    if spread {
        return None;
    }
    let mine = known.get(usize::from(phase)).copied().unwrap_or(0);
    if mine.saturating_mul(100) >= whole.saturating_mul(MINE) {
        return None;
    }
    let most = known.iter().max()?;
    let at = known.iter().position(|gain| gain == most)?;
    u8::try_from(at).ok().filter(|at| *at != phase)
}
