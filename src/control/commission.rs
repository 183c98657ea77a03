//! Commissioning: a few hundred watts, ordered on purpose, show whether everything is wired and declared as the profile
//! says: who obeys, which meter sees it, on which phase, with which sign and scale, and how late.
//!
//! Each inverter has a trial on each of its phases. A trial holds levels of power for some seconds each; what every
//! device shows at the end of one level less what it showed at the end of the level before is its answer to that step.
//! Steps are many because a house goes on living meanwhile: the median of them does not care for a kettle. At the end
//! the order may pass beyond the load for one level, because a meter without a sign shows itself only there.
//!
//! Whatever protects goes on protecting: only the ranges of device, battery and floor are used, and a trial that they
//! do not allow is not made. Anything that is lost, refused or taken over by somebody else ends it, with nothing
//! ordered.

mod verdict;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::image::Image;
use super::policy::MAX_INVERTERS;
use super::senses;
use super::share;
use super::units::{Mono, Span, Watts};
use super::wiring::Wiring;

pub use verdict::Finding;
use verdict::judge;

/// What is ordered where nobody says otherwise.
pub const USUAL: Watts = Watts(500);
/// A level is held this long: longer than the slowest meter and inverter together.
const HOLD: Span = Span::secs(10);
/// What is measured of it is its end.
const SETTLES: Span = Span::secs(7);
/// Steps after which a trial may be over, and after which it is.
const ENOUGH: usize = 6;
const MOST: usize = 16;
/// A step's answers that lie this close together, in thousandths of the step, are enough.
const CLOSE: i32 = 150;
/// Without a fresh word of everything that is needed for this long, it ends.
const SILENCE: Span = Span::secs(30);
/// Most trials: each inverter on each of its phases.
const MOST_TRIALS: usize = MAX_INVERTERS * 3;

/// What may answer a step: the inverter itself, the meter, the battery.
pub(super) const CHANNELS: usize = 9;
/// Telemetry of the inverter: phases, then total.
pub(super) const TELEMETRY: usize = 0;
/// The meter: phases, then total.
pub(super) const METER: usize = 4;
/// The battery.
pub(super) const BATTERY: usize = 8;
/// Places of the sums among [`Shown::gains`].
pub const INVERTER_TOTAL: usize = TELEMETRY + 3;
/// Of the grid meter.
pub const METER_TOTAL: usize = METER + 3;
/// Of the battery.
pub const BATTERY_TOTAL: usize = BATTERY;

/// One value per channel; none where nothing is wired or heard.
pub(super) type Answers = [Option<Watts>; CHANNELS];

/// One trial: an inverter on one of its phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Place of the inverter in [`Wiring::inverters`].
    pub inverter: u8,
    /// Which phase, from 0.
    pub phase: u8,
}

/// What a trial showed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which trial.
    pub trial: Trial,
    /// Median answer of each channel, in thousandths of what was ordered; none where nothing answered.
    pub gains: [Option<i32>; CHANNELS],
    /// From an order to half of the inverter's answer.
    pub response: Option<Span>,
    /// From there to half of the meter's.
    pub lag: Option<Span>,
    /// What is wrong.
    pub findings: ArrayVec<Finding, 8>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Every trial that was made.
    pub shown: ArrayVec<Shown, MOST_TRIALS>,
    /// Why it ended early; none when it came to its end.
    pub ended: Option<Ended>,
}

/// Why it ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// There is no inverter that takes orders of power.
    NothingToOrder,
    /// Grid, meter, inverter or state of charge is silent, or not to be believed.
    Silence,
    /// There is no grid, or a generator feeds the site.
    NoGrid,
    /// An inverter refuses orders, or somebody else steers it.
    Refused,
    /// Somebody stopped it.
    Stopped,
}

impl Ended {
    /// What happened and what to do, for a person.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NothingToOrder => {
                "no inverter of this profile takes orders of power: a device that keeps the fast loop itself cannot be tried like this"
            }
            Self::Silence => {
                "grid meter, inverter or state of charge fell silent or cannot be believed: look with `wattkeeper devices` at their links"
            }
            Self::NoGrid => {
                "there is no grid, or a generator feeds the site: try again when the grid carries it"
            }
            Self::Refused => {
                "the inverter refuses orders, or somebody else writes its registers: check its mode, and stop the other controller"
            }
            Self::Stopped => "it was stopped",
        }
    }
}

/// What a commissioning looks at, besides the image.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// What may be ordered: most charge as a negative number, most discharge.
    pub range: (Watts, Watts),
    /// Everything that is needed has spoken lately.
    pub heard: bool,
    /// The grid is there and feeds the site.
    pub grid: bool,
    /// An inverter refuses, or is left to somebody else.
    pub refused: bool,
}

/// A commissioning under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commission {
    power: Watts,
    trials: ArrayVec<Trial, MOST_TRIALS>,
    at: usize,
    /// Place in the trial's steps; the last one passes beyond the load.
    level: Watts,
    level_at: Mono,
    steps: ArrayVec<Step, MOST>,
    /// Answers at the end of the level before.
    before: Option<Answers>,
    volts_before: Option<i64>,
    /// How far the order moved at the beginning of this level.
    moved: Watts,
    sums: Sums,
    crossing: Option<Crossing>,
    inverter_at: Option<Mono>,
    meter_at: Option<Mono>,
    silent_since: Option<Mono>,
    report: Report,
    over: bool,
}

/// The answer to one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// How far the order moved.
    pub moved: Watts,
    /// How far each channel moved.
    pub answers: Answers,
    /// How far the battery's voltage moved, in mV: it knows out from in whatever anybody says.
    pub volts: Option<i32>,
    /// When the inverter's and the meter's answers were half there.
    pub inverter_at: Option<Span>,
    pub meter_at: Option<Span>,
}

/// The level that passes beyond the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Crossing {
    /// It is held now; the grid should then be at this.
    Held(Watts),
    /// It is over, or was not to be had.
    Over,
}

/// The end of a level, as it is measured: a mean per channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    channels: [Mean; CHANNELS],
    /// Voltage of the battery, in mV.
    volts: Mean,
    voltage: Mono,
    inverter: Mono,
    meter: Mono,
    battery: Mono,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mean {
    sum: i64,
    count: i64,
}

impl Mean {
    fn add(&mut self, value: i32) {
        self.sum = self.sum.saturating_add(i64::from(value));
        self.count = self.count.saturating_add(1);
    }

    fn value(self) -> Option<i64> {
        self.sum.checked_div(self.count)
    }
}

/// Three phases, where they are told apart, and their sum.
type Four = [Option<Watts>; 4];

fn four(power: senses::PhasePower) -> Four {
    let [l1, l2, l3] = power.phases;
    let total = Some(share::total(power.phases));
    if power.split { [Some(l1), Some(l2), Some(l3), total] } else { [None, None, None, total] }
}

impl Sums {
    /// Takes in what is new in the image and was asked for after `from`.
    fn hear(&mut self, image: &Image, wiring: &Wiring, inverter: usize, from: Mono) {
        let telemetry = wiring.inverters.get(inverter).and_then(|wired| senses::power(image, &wired.power));
        if let Some(power) = telemetry.filter(|power| power.asked_at > self.inverter.max(from)) {
            self.inverter = power.asked_at;
            self.add(TELEMETRY, &four(power));
        }
        let grid = senses::power(image, &wiring.grid.power);
        if let Some(power) = grid.filter(|power| power.asked_at > self.meter.max(from)) {
            self.meter = power.asked_at;
            self.add(METER, &four(power));
        }
        let battery = image.watts(wiring.battery.power);
        if let Some(power) = battery.filter(|power| power.asked_at > self.battery.max(from)) {
            self.battery = power.asked_at;
            self.add(BATTERY, &[Some(power.value)]);
        }
        let voltage = image.volts(wiring.battery.voltage);
        if let Some(voltage) = voltage.filter(|voltage| voltage.asked_at > self.voltage.max(from)) {
            self.voltage = voltage.asked_at;
            self.volts.add(voltage.value.0);
        }
    }

    fn add(&mut self, first: usize, values: &[Option<Watts>]) {
        for (mean, value) in self.channels.iter_mut().skip(first).zip(values) {
            if let Some(value) = value {
                mean.add(value.0);
            }
        }
    }

    fn means(&self) -> Answers {
        self.channels.map(|mean| mean.value().map(Watts::saturated))
    }
}

fn fitting(raw: i64) -> i32 {
    i32::try_from(raw).unwrap_or(if raw < 0 { i32::MIN } else { i32::MAX })
}

/// How far each channel moved.
fn moves(before: &Answers, after: &Answers) -> Answers {
    let mut moves = [None; CHANNELS];
    for ((moved, before), after) in moves.iter_mut().zip(before).zip(after) {
        *moved = before.zip(*after).map(|(before, after)| after - before);
    }
    moves
}

impl Commission {
    /// A new one, with steps of this power.
    #[must_use]
    pub fn new(power: Watts, wiring: &Wiring, steered: impl Fn(u8) -> bool, now: Mono) -> Self {
        let mut trials = ArrayVec::new();
        for (inverter, wired) in (0u8..).zip(&wiring.inverters).filter(|(at, _)| steered(*at)) {
            for (phase, feeds) in (0u8..).zip(wired.spec.phases) {
                if feeds {
                    let _full = trials.try_push(Trial { inverter, phase });
                }
            }
        }
        let mut new = Self {
            power: power.max(Watts(50)),
            trials,
            at: 0,
            level: Watts::ZERO,
            level_at: now,
            steps: ArrayVec::new(),
            before: None,
            volts_before: None,
            moved: Watts::ZERO,
            sums: Sums::default(),
            crossing: None,
            inverter_at: None,
            meter_at: None,
            silent_since: None,
            report: Report::default(),
            over: false,
        };
        if new.trials.is_empty() {
            new.end(Ended::NothingToOrder);
        }
        new
    }

    /// What came of it, once it is over.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.over.then_some(&self.report)
    }

    /// What was seen so far.
    #[must_use]
    pub fn shown(&self) -> &[Shown] {
        &self.report.shown
    }

    /// Ends it early.
    pub fn end(&mut self, why: Ended) {
        if !self.over {
            self.over = true;
            self.level = Watts::ZERO;
            self.report.ended = Some(why);
        }
    }

    /// How much of it is done, in hundredths.
    #[must_use]
    pub fn done(&self) -> u8 {
        if self.over {
            return 100;
        }
        let steps = u64::try_from(self.steps.len().min(ENOUGH)).unwrap_or(0);
        let of = u64::try_from(ENOUGH).unwrap_or(1).saturating_add(2);
        let (at, all) = (u64::try_from(self.at).unwrap_or(0), u64::try_from(self.trials.len()).unwrap_or(1));
        let done = at.saturating_mul(of).saturating_add(steps).saturating_mul(100);
        let share = done.checked_div(all.saturating_mul(of)).unwrap_or(0);
        u8::try_from(share.min(99)).unwrap_or(99)
    }

    /// The trial under way.
    #[must_use]
    pub fn trial(&self) -> Option<Trial> {
        self.trials.get(self.at).copied().filter(|_| !self.over)
    }

    /// What to order now: an inverter, and its power per phase. None orders nothing.
    #[must_use]
    pub fn ordered(&self) -> Option<(u8, [Watts; 3])> {
        let trial = self.trial()?;
        let mut phases = [Watts::ZERO; 3];
        if let Some(slot) = phases.get_mut(usize::from(trial.phase)) {
            *slot = self.level;
        }
        Some((trial.inverter, phases))
    }

    /// Looks at what was heard, and moves on when it is time.
    pub fn step(&mut self, image: &Image, wiring: &Wiring, around: &Surroundings, now: Mono) {
        let Some(trial) = self.trial() else { return };
        if let Some(why) = self.must_end(around, now) {
            return self.end(why);
        }
        if !around.heard {
            return self.pause(now);
        }
        let inverter = usize::from(trial.inverter);
        self.watch(image, wiring, inverter);
        self.sums.hear(image, wiring, inverter, self.level_at + SETTLES);
        if now.since(self.level_at) < HOLD {
            return;
        }
        let (after, volts) = (self.sums.means(), self.sums.volts.value());
        if let Some(Crossing::Held(expected)) = self.crossing {
            return self.finish(trial, Some((expected, after)), wiring, now);
        }
        if let Some(before) = self.before.filter(|_| self.moved != Watts::ZERO) {
            let since = |moment: Option<Mono>| moment.map(|moment| moment.since(self.level_at));
            let step = Step {
                moved: self.moved,
                answers: moves(&before, &after),
                volts: self
                    .volts_before
                    .zip(volts)
                    .map(|(before, after)| fitting(after.saturating_sub(before))),
                inverter_at: since(self.inverter_at),
                meter_at: since(self.meter_at),
            };
            let _full = self.steps.try_push(step);
        }
        (self.before, self.volts_before) = (Some(after), volts);
        let enough = self.steps.len() >= ENOUGH && verdict::agree(&self.steps, CLOSE);
        if enough || self.steps.is_full() {
            // At rest the grid shows the load; only from there can it be passed by as much as a step.
            if self.level == Watts::ZERO {
                return self.cross(trial, &after, around, wiring, now);
            }
            return self.hold(Watts::ZERO, now);
        }
        match self.next_level(around) {
            Some(level) => self.hold(level, now),
            None => self.finish(trial, None, wiring, now),
        }
    }

    fn must_end(&mut self, around: &Surroundings, now: Mono) -> Option<Ended> {
        if around.refused {
            return Some(Ended::Refused);
        }
        if !around.heard {
            let since = *self.silent_since.get_or_insert(now);
            return (now.since(since) >= SILENCE).then_some(Ended::Silence);
        }
        self.silent_since = None;
        (!around.grid).then_some(Ended::NoGrid)
    }

    /// Rest and power by turns, out and in; only one of them where only one is allowed.
    fn next_level(&self, around: &Surroundings) -> Option<Watts> {
        if self.level != Watts::ZERO {
            return Some(Watts::ZERO);
        }
        let (low, high) = around.range;
        let (out, into) = (high >= self.power, low <= -self.power);
        let turn = self.steps.len().checked_rem(4).unwrap_or(0) < 2;
        match (out, into) {
            (true, true) => Some(if turn { self.power } else { -self.power }),
            (true, false) => Some(self.power),
            (false, true) => Some(-self.power),
            (false, false) => None,
        }
    }

    /// Rests, and begins the level anew afterwards: what was measured across a gap says nothing.
    fn pause(&mut self, now: Mono) {
        self.hold(Watts::ZERO, now);
        self.moved = Watts::ZERO;
        (self.before, self.volts_before) = (None, None);
        self.crossing = None;
    }

    fn hold(&mut self, level: Watts, now: Mono) {
        self.moved = level - self.level;
        self.level = level;
        self.level_at = now;
        self.sums = Sums::default();
        (self.inverter_at, self.meter_at) = (None, None);
    }

    /// Passes beyond the load by one step, where that is allowed and does not take more than four.
    fn cross(&mut self, trial: Trial, rest: &Answers, around: &Surroundings, wiring: &Wiring, now: Mono) {
        let here = METER.saturating_add(usize::from(trial.phase));
        let total = METER.saturating_add(3);
        let at = |channel: usize| rest.get(channel).copied().flatten();
        let grid = at(here).or(at(total));
        let most = around.range.1.min(self.power.scaled(8, 1));
        match grid.map(|grid| grid + self.power).filter(|level| *level > self.power && *level <= most) {
            Some(level) => {
                self.hold(level, now);
                self.crossing = Some(Crossing::Held(-self.power));
            }
            None => self.finish(trial, None, wiring, now),
        }
    }

    fn finish(&mut self, trial: Trial, crossed: Option<(Watts, Answers)>, wiring: &Wiring, now: Mono) {
        let shown = judge(trial, &self.steps, crossed, wiring);
        let _full = self.report.shown.try_push(shown);
        self.at = self.at.saturating_add(1);
        self.steps.clear();
        self.pause(now);
        self.over = self.at >= self.trials.len();
    }

    /// Notes when the answers to this level are half there.
    fn watch(&mut self, image: &Image, wiring: &Wiring, inverter: usize) {
        let Some(before) = self.before else { return };
        let half = |channel: usize, power: Option<senses::PhasePower>| {
            let before = before.get(channel).copied().flatten()?;
            let power = power.filter(|power| power.asked_at > self.level_at)?;
            let moved = (share::total(power.phases) - before).abs();
            (moved >= self.moved.abs().scaled(1, 2)).then_some(power.asked_at)
        };
        let telemetry = wiring.inverters.get(inverter).and_then(|wired| senses::power(image, &wired.power));
        let inverter_at = half(TELEMETRY.saturating_add(3), telemetry);
        let meter_at = half(METER.saturating_add(3), senses::power(image, &wiring.grid.power));
        self.inverter_at = self.inverter_at.or(inverter_at);
        self.meter_at = self.meter_at.or(meter_at);
    }
}
