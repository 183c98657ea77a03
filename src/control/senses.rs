//! What is true, at worst: trust in each input, and what a decision may use of it.

use std::ops::Add;

use serde::{Deserialize, Serialize};

use super::balance::Balance;
use super::history::Sample;
use super::image::{Image, Slot};
use super::policy::{MAX_INVERTERS, Policy};
use super::reading::{Reading, Stage, Trust};
use super::units::{Mono, Soc, Span, Watts};
use super::wiring::{PowerWiring, Wiring};

/// A power per phase and when it was asked for. Without phases the total stands in the first place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhasePower {
    /// Per phase.
    pub phases: [Watts; 3],
    /// The oldest moment among them.
    pub asked_at: Mono,
    /// Whether the device tells the phases apart.
    pub split: bool,
}

/// Reads a power: its phases where all that are wired are known, else its total.
#[must_use]
pub fn power(image: &Image, wiring: &PowerWiring) -> Option<PhasePower> {
    let wired = wiring.phase.iter().any(Option::is_some);
    if wired {
        let mut phases = [Watts::ZERO; 3];
        let mut asked_at = Mono::NEVER;
        let mut known = true;
        for (slot, id) in phases.iter_mut().zip(wiring.phase) {
            let Some(id) = id else { continue };
            match image.watts(Some(id)) {
                Some(reading) => {
                    *slot = reading.value;
                    asked_at = asked_at.min(reading.asked_at);
                }
                None => known = false,
            }
        }
        if known {
            return Some(PhasePower { phases, asked_at, split: true });
        }
    }
    let total = image.watts(wiring.total)?;
    Some(PhasePower {
        phases: [total.value, Watts::ZERO, Watts::ZERO],
        asked_at: total.asked_at,
        split: false,
    })
}

/// The same, if it was asked for no longer ago than `age`.
#[must_use]
pub fn recent_power(image: &Image, wiring: &PowerWiring, age: Span, now: Mono) -> Option<PhasePower> {
    power(image, wiring).filter(|power| now.since(power.asked_at) <= age)
}

/// What is remembered of the inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Senses {
    /// The grid meter.
    pub meter: Trust,
    /// Each inverter.
    pub inverters: [Trust; MAX_INVERTERS],
    /// State of charge.
    pub soc: Trust,
    /// The BMS.
    pub bms: Trust,
    bms_seen: bool,
    /// Inverters that somebody else steers: their power counts, orders to them do not.
    yielded: [bool; MAX_INVERTERS],
    grid: GridSense,
    frozen: Frozen,
    balance: Balance,
}

/// A meter that repeats itself to the watt while the inverters move is frozen, whatever its stamps say.
/// Believing it is worse than silence: each order would be answered by the same error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Frozen {
    phases: Option<[Watts; 3]>,
    last: Mono,
    /// Where the inverters were then.
    inverters: Watts,
    /// Since when they have been elsewhere, and how many of those samples came later: a meter that is late has not
    /// seen it at first.
    strayed_at: Option<Mono>,
    since_strayed: u8,
    /// Since when it counts as frozen, and how often it moved again.
    since: Option<Mono>,
    moved: u8,
    moved_at: Mono,
}

/// This many samples must be the same, over this time and the meter's own lag, with the inverters this far from where
/// they were.
const SAME: u8 = 20;
const SAME_FOR: Span = Span::secs(10);
const STRAYED: Watts = Watts(200);
/// A meter that was frozen and moved is believed after this many samples over this time, in which it moves on or the
/// inverters rest.
const MOVED: u8 = 10;
const MOVED_FOR: Span = Span::secs(5);

impl Frozen {
    /// How far a meter with this reading, as late as that, may be trusted, as far as its movement tells.
    fn step(&mut self, grid: PhasePower, inverters: Watts, late: Span, safe: Span, now: Mono) -> Stage {
        if grid.asked_at > self.last {
            self.last = grid.asked_at;
            if self.phases == Some(grid.phases) {
                if (inverters - self.inverters).abs() > STRAYED {
                    let at = *self.strayed_at.get_or_insert(grid.asked_at);
                    self.since_strayed = self.since_strayed.saturating_add(1);
                    let long = self.since_strayed >= SAME && grid.asked_at.since(at) >= late + SAME_FOR;
                    if long && self.since.is_none() {
                        self.since = Some(now);
                    }
                    self.moved = 0;
                } else {
                    (self.strayed_at, self.since_strayed) = (None, 0);
                    self.moved = self.moved.saturating_add(u8::from(self.moved > 0));
                }
            } else {
                if self.moved == 0 {
                    self.moved_at = grid.asked_at;
                }
                self.moved = self.moved.saturating_add(1);
                self.phases = Some(grid.phases);
                self.inverters = inverters;
                (self.strayed_at, self.since_strayed) = (None, 0);
            }
            let alive = self.moved >= MOVED && grid.asked_at.since(self.moved_at) >= MOVED_FOR;
            self.since = self.since.filter(|_| !alive);
        }
        match self.since {
            None => Stage::Good,
            Some(since) if now.since(since) < safe => Stage::Degraded,
            Some(_) => Stage::Safe,
        }
    }
}

/// Whether the utility is there, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct GridSense {
    present: Option<bool>,
    /// Since when it has been back; `None` while away, or when it was there from the start.
    back_since: Option<Mono>,
}

/// What a decision may use.
#[derive(Clone, Copy, Debug)]
pub struct Sensed {
    /// Stage of the meter.
    pub meter: Stage,
    /// Stage of each inverter.
    pub inverter: [Stage; MAX_INVERTERS],
    /// Inverters that somebody else steers.
    pub yielded: [bool; MAX_INVERTERS],
    /// Stage of the charge.
    pub soc: Stage,
    /// Stage of the BMS, when one counts.
    pub bms: Option<Stage>,
    /// Meter power.
    pub grid: Option<PhasePower>,
    /// The meter speaks, but what it says cannot be.
    pub implausible: bool,
    /// No utility, or not back for long enough.
    pub island: bool,
}

impl Sensed {
    /// Whether an inverter takes our orders now, as far as is known.
    #[must_use]
    pub fn obeys(&self, at: usize) -> bool {
        let speaks = self.inverter.get(at).is_some_and(|stage| *stage < Stage::Safe);
        speaks && !self.yielded.get(at).is_some_and(|yields| *yields)
    }
}

impl Senses {
    /// Whether a BMS has ever spoken.
    #[must_use]
    pub fn bms_seen(&self) -> bool {
        self.bms_seen
    }

    /// A BMS has spoken before the process began.
    pub fn remember_bms(&mut self, seen: bool) {
        self.bms_seen |= seen;
    }

    /// An inverter is left to somebody else, or ours again.
    pub fn yield_to(&mut self, inverter: u8, yields: bool) {
        if let Some(yielded) = self.yielded.get_mut(usize::from(inverter)) {
            *yielded = yields;
        }
    }

    /// Brings trust up to date and reads what a decision may use.
    pub fn step(&mut self, policy: &Policy, wiring: &Wiring, image: &Image, now: Mono) -> Sensed {
        let trust = &policy.trust;
        let grid = power(image, &wiring.grid.power);
        let meter = self.meter.update(&trust.meter, grid.map(|grid| grid.asked_at), now);
        let mut inverter = [Stage::Safe; MAX_INVERTERS];
        let mut moving = Watts::ZERO;
        for ((stage, memory), wired) in inverter.iter_mut().zip(&mut self.inverters).zip(&wiring.inverters) {
            let power = power(image, &wired.power);
            moving = power.map_or([Watts::ZERO; 3], |power| power.phases).into_iter().fold(moving, Add::add);
            *stage = memory.update(&trust.inverter, power.map(|power| power.asked_at), now);
        }
        let late = policy.regulator.meter_lag.unwrap_or_default();
        let frozen =
            grid.map_or(Stage::Good, |grid| self.frozen.step(grid, moving, late, trust.meter.safe, now));
        // What cannot be true is nobody's to steer by, like silence that has lasted.
        let unbalanced = policy.trust.balance && self.balance.step(wiring, image, now);
        let doubt = if unbalanced { frozen.max(Stage::Safe) } else { frozen };
        let implausible = doubt > meter;
        let meter = meter.max(doubt);
        let soc_heard = image.soc(wiring.battery.soc).map(|reading| reading.asked_at);
        let soc = self.soc.update(&trust.soc, soc_heard, now);
        let bms = self.bms_stage(policy, wiring, image, now);
        let island = self.island(policy, wiring, image, now);
        let yielded = self.yielded;
        Sensed { meter, inverter, yielded, soc, bms, grid, implausible, island }
    }

    fn bms_stage(&mut self, policy: &Policy, wiring: &Wiring, image: &Image, now: Mono) -> Option<Stage> {
        let limits = [wiring.battery.charge_limit, wiring.battery.discharge_limit];
        let mut oldest: Option<Mono> = None;
        let mut missing = false;
        for id in limits.into_iter().flatten() {
            match image.slot(id) {
                Slot::Value { asked_at, .. } => {
                    self.bms_seen = true;
                    oldest = Some(oldest.map_or(asked_at, |before| before.min(asked_at)));
                }
                Slot::Absent { .. } | Slot::Never => missing = true,
            }
        }
        let heard = if missing { None } else { oldest };
        let stage = self.bms.update(&policy.trust.bms, heard, now);
        match policy.battery.bms {
            Some(false) => None,
            Some(true) => Some(stage),
            None => self.bms_seen.then_some(stage),
        }
    }

    /// Losing the grid acts at once; its return waits until it has been stable.
    fn island(&mut self, policy: &Policy, wiring: &Wiring, image: &Image, now: Mono) -> bool {
        if !policy.grid.connected {
            return true;
        }
        // An unknown presence stays as it was: the meter's own stages watch the connection meanwhile.
        let present = image.flag(wiring.grid.present).map(|reading| reading.value);
        match (self.grid.present, present) {
            (_, Some(false)) => {
                self.grid = GridSense { present: Some(false), back_since: None };
            }
            (Some(false), Some(true)) => {
                self.grid = GridSense { present: Some(true), back_since: Some(now) };
            }
            (None, Some(true)) => self.grid.present = Some(true),
            (Some(true), Some(true)) | (_, None) => {}
        }
        match self.grid.present {
            Some(false) => true,
            Some(true) | None => {
                self.grid.back_since.is_some_and(|since| now.since(since) < policy.grid.stable_for)
            }
        }
    }
}

/// Inverter power of the whole site: the sum over inverters that are trusted, at the newest moment among them.
#[must_use]
pub fn inverters(
    image: &Image,
    wiring: &Wiring,
    stages: &[Stage; MAX_INVERTERS],
    split: bool,
) -> Option<Sample> {
    let mut sum = [Watts::ZERO; 3];
    let mut behind = power(image, &wiring.load_out).map_or([Watts::ZERO; 3], |power| power.phases);
    let mut at: Option<Mono> = None;
    for (wired, stage) in wiring.inverters.iter().zip(stages) {
        if *stage == Stage::Safe && wiring.inverters.len() > 1 {
            continue; // a lost inverter falls back to nothing by itself; the meter shows the rest
        }
        let Some(power) = power(image, &wired.power) else { continue };
        let mut phases = power.phases;
        if split && !power.split {
            phases = onto_phases(power.phases, wired.spec.phases);
        }
        for (sum, part) in sum.iter_mut().zip(phases) {
            *sum += part;
        }
        at = Some(at.map_or(power.asked_at, |before| before.max(power.asked_at)));
    }
    if !split {
        sum = [sum.into_iter().sum(), Watts::ZERO, Watts::ZERO];
        behind = [behind.into_iter().sum(), Watts::ZERO, Watts::ZERO];
    }
    at.map(|at| Sample { at, power: sum, behind })
}

/// A total put evenly on the phases an inverter feeds.
fn onto_phases(total: [Watts; 3], phases: [bool; 3]) -> [Watts; 3] {
    super::share::scale([Watts::ZERO; 3], total.into_iter().sum(), phases)
}

/// The charge that a decision may use: as heard while good, its worst case while held or degraded, nothing
/// once it is safe.
#[must_use]
pub fn usable_soc(
    policy: &Policy,
    wiring: &Wiring,
    image: &Image,
    stage: Stage,
    now: Mono,
) -> Option<Reading<Soc>> {
    let heard = image.soc(wiring.battery.soc)?;
    match stage {
        Stage::Safe => None,
        Stage::Good => Some(heard),
        Stage::Held if policy.battery.capacity.is_none() => Some(heard),
        Stage::Held | Stage::Degraded => {
            let capacity = policy.battery.capacity?;
            let power = image.watts(wiring.battery.power).map_or(policy.authority, |reading| reading.value);
            let value = heard.worst_case(capacity, power.max(Watts::ZERO), now);
            Some(Reading { value, asked_at: heard.asked_at })
        }
    }
}
