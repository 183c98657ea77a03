//! The adaptive floor: the incumbent's rule that raises the minimum charge day by day while the battery is never full.
//!
//! The limit rises by 5 % on the first day's fall to it, at most to 80 %, and falls by 5 % on the first day's rise to
//! 85 % and once more at 95 %. Numbers and transitions are those of victronenergy/dbus-systemcalc-py,
//! `delegates/batterylife.py` and its tests, as of mid-2026. It looks at nothing but the charge as reported, so a
//! monitor that never shows 85 % lets the limit climb; `explain` says what would lower it.

use serde::{Deserialize, Serialize};

use crate::control::decision::GuardState;
use crate::control::units::{Mono, Soc, Span, Wall};

/// One day's rise of the limit, and its fall for each level reached, in 0.01 %.
const STEP: i32 = 500;
/// The limit rises no higher than this.
const CEILING: Soc = Soc::percent(80);
/// Discharge is back this far above the limit, in 0.01 %.
pub const RESUME: i32 = 300;
/// Charging from the grid begins this far below yesterday's limit, in 0.01 %.
const RECHARGE_BELOW: i32 = 500;
/// And never ends below this.
const RECHARGE_LEAST: Soc = Soc::percent(3);
/// From here on the battery absorbs; left again 3 % below.
const ABSORBING: Soc = Soc::percent(85);
/// From here on it floats; left again 3 % below.
const FLOATING: Soc = Soc::percent(95);
/// Left this far below the level, in 0.01 %.
const BAND: i32 = 300;
/// Time at the limit after which it is charged slowly.
const STUCK: Span = Span::minutes(24 * 60);
/// Time between two looks at the calendar and at [`STUCK`].
const TICK: Span = Span::minutes(15);
/// Steps taken in one evaluation, so that a jump ends in its final state at once.
const STEPS: usize = 5;

const DISCHARGED: u8 = 1;
const ABSORBED: u8 = 2;
const FLOATED: u8 = 4;

/// What it remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adaptive {
    /// The limit that was learned; the floor may lie above it. None before the first evaluation.
    limit: Option<Soc>,
    /// What was counted today: 1 fell to the limit, 2 rose to 85 %, 4 to 95 %.
    flags: u8,
    /// When it last fell to the limit.
    fell_at: Option<Mono>,
    /// The last look at the calendar, and the local day then.
    looked_at: Option<Mono>,
    day: Option<i64>,
}

/// What it looks at.
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveInputs {
    /// The charge as reported.
    pub soc: Soc,
    /// The operator's floor.
    pub floor: Soc,
    /// The inverter holds a nearly empty battery up.
    pub sustain: bool,
    /// The time of day, while it may be believed.
    pub wall: Option<Wall>,
}

impl Adaptive {
    /// The floor in force: the learned limit, and never less than the operator's.
    #[must_use]
    pub fn in_force(&self, floor: Soc) -> Soc {
        self.limit.unwrap_or(floor).max(floor)
    }

    /// What was counted today: 1 fell to the limit, 2 rose to 85 %, 4 to 95 %.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Where charging from the grid ends: yesterday's limit.
    #[must_use]
    pub fn recharge_to(&self, floor: Soc) -> Soc {
        self.yesterday(floor).max(RECHARGE_LEAST)
    }

    /// The limit without today's rise.
    fn yesterday(&self, floor: Soc) -> Soc {
        self.in_force(floor).minus_centi(STEP).max(floor)
    }

    /// One evaluation. `state` is any state of the guard; one that is not of this table begins anew.
    pub fn step(&mut self, state: GuardState, inputs: &AdaptiveInputs, now: Mono) -> GuardState {
        let _learned = self.limit.get_or_insert(inputs.floor.min(CEILING));
        let mut state = self.look(state, inputs, now);
        for _ in 0..STEPS {
            let Some(next) = self.next(state, inputs, now) else { break };
            self.enter(state, next, inputs.floor, now);
            state = next;
        }
        state
    }

    /// Four times an hour: a new day counts anew, and a battery stuck at its limit is charged slowly.
    fn look(&mut self, state: GuardState, inputs: &AdaptiveInputs, now: Mono) -> GuardState {
        if self.looked_at.is_some_and(|at| now.since(at) < TICK) {
            return state;
        }
        self.looked_at = Some(now);
        if let Some(today) = inputs.wall.map(Wall::local_day) {
            if self.day.is_some_and(|day| day != today) {
                self.flags = 0;
            }
            self.day = Some(today);
        }
        let at_limit = matches!(state, GuardState::Discharged | GuardState::Sustain);
        if at_limit && self.fell_at.is_some_and(|at| now.since(at) > STUCK) {
            self.raise(inputs.floor);
            return GuardState::SlowCharge;
        }
        state
    }

    /// The state that is due, if another one is.
    fn next(&self, state: GuardState, inputs: &AdaptiveInputs, now: Mono) -> Option<GuardState> {
        use GuardState as S;
        let AdaptiveInputs { soc, floor, sustain, .. } = *inputs;
        let limit = self.in_force(floor);
        let empty = soc <= limit && limit > Soc::EMPTY && soc < Soc::FULL;
        let blocked = if sustain { Some(S::Sustain) } else { empty.then_some(S::Discharged) };
        let clear = soc > limit.plus_centi(RESUME) || soc >= Soc::FULL;
        let recharge = soc.centi() <= self.yesterday(floor).centi().saturating_sub(RECHARGE_BELOW);
        match state {
            S::SelfConsumption | S::Absorbing | S::FloatBand if blocked.is_some() => blocked,
            S::SelfConsumption if soc >= FLOATING => Some(S::FloatBand),
            S::SelfConsumption if soc >= ABSORBING => Some(S::Absorbing),
            S::Absorbing if soc > FLOATING => Some(S::FloatBand),
            S::Absorbing if soc < ABSORBING.minus_centi(BAND) => Some(S::SelfConsumption),
            S::FloatBand if soc < FLOATING.minus_centi(BAND) => Some(S::Absorbing),
            S::Discharged | S::Sustain | S::SlowCharge if recharge => Some(S::Recharge),
            S::Discharged | S::Sustain if !sustain && clear => Some(S::SelfConsumption),
            S::SlowCharge if soc > limit => Some(S::Discharged),
            S::Recharge if soc >= self.recharge_to(floor) => {
                let stuck = self.fell_at.is_some_and(|at| now.since(at) > STUCK);
                Some(if stuck { S::SlowCharge } else { S::Discharged })
            }
            S::SelfConsumption
            | S::Absorbing
            | S::FloatBand
            | S::Discharged
            | S::Sustain
            | S::SlowCharge
            | S::Recharge => None,
            // What other rules blocked, or what nobody remembers, stays blocked until the charge is clear of the limit.
            S::FloorHeld | S::FloorRecharge if blocked.is_none() && !clear => Some(S::Discharged),
            // A first start, or the rules have changed: where it belongs, without counting anything.
            S::Ok | S::FloorHeld | S::FloorRecharge | S::KeepCharged => Some(match blocked {
                Some(blocked) => blocked,
                None if soc >= FLOATING => S::FloatBand,
                None if soc >= ABSORBING => S::Absorbing,
                None => S::SelfConsumption,
            }),
        }
    }

    /// Counts what a change of state means.
    fn enter(&mut self, from: GuardState, next: GuardState, floor: Soc, now: Mono) {
        use GuardState as S;
        let counted = matches!(from, S::SelfConsumption | S::Absorbing | S::FloatBand);
        let blocks = matches!(next, S::Discharged | S::Sustain);
        if blocks && counted && self.flags & DISCHARGED == 0 {
            self.flags |= DISCHARGED;
            self.raise(floor);
        }
        // A return to the limit begins its day anew; the end of a recharge does not.
        if blocks && from != S::Recharge {
            self.fell_at = Some(now);
        }
        // On the way down from floating nothing is credited.
        let rises = counted && from < next;
        if rises && matches!(next, S::Absorbing | S::FloatBand) {
            self.credit(ABSORBED);
        }
        if rises && next == S::FloatBand {
            self.credit(FLOATED);
        }
    }

    /// The limit rises by one step from where it is in force.
    fn raise(&mut self, floor: Soc) {
        self.limit = Some(self.in_force(floor).plus_centi(STEP).min(CEILING));
    }

    /// The limit falls by one step, once a day for each level.
    fn credit(&mut self, flag: u8) {
        if self.flags & flag == 0 {
            self.flags |= flag;
            self.limit = self.limit.map(|limit| limit.minus_centi(STEP));
        }
    }
}

#[cfg(test)]
mod tests;
