//! The guard of the minimum state of charge.
//!
//! ```text
//!          soc <= floor                soc <= floor - 5
//!   ok ------------------> floor-held ------------------> floor-recharge
//!    ^  soc >= floor + 3       |  ^      soc >= floor          |
//!    +-------------------------+  +----------------------------+
//! ```
//!
//! `victron-compatible` is the incumbent's table, taken up to five steps in one evaluation. The standard guard
//! differs on purpose: an operator who raises the floor never causes a grid charge, a jump of the charge is
//! believed only when it lasts (but never delays a discharge block), and a PV surplus lifts the block early
//! with discharge eased in.

use serde::{Deserialize, Serialize};

use super::adaptive::{Adaptive, AdaptiveInputs};
use crate::control::decision::GuardState;
use crate::control::policy::{BatteryPolicy, GuardKind};
use crate::control::reading::Reading;
use crate::control::units::{MilliAmps, Mono, Soc, Span, Wall, Watts};

/// PV must exceed the load by this much before it lifts a floor block.
const SURPLUS: Watts = Watts(100);
/// And for this long.
const SURPLUS_FOR: Span = Span::secs(60);
/// A jump must be confirmed by this many samples.
const JUMP_SAMPLES: u8 = 3;
/// Steps taken in one evaluation, so that a jump ends in its final state at once.
const STEPS: usize = 5;

/// What the guard remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guard {
    state: GuardState,
    /// The floor of the last evaluation, to notice an operator raising it.
    floor: Option<Soc>,
    /// The charge when the floor was raised above it.
    raised_at: Option<Soc>,
    /// The last charge that was believed, and its sample.
    believed: Option<Reading<Soc>>,
    jump_run: u8,
    surplus_since: Option<Mono>,
    /// Discharge is back because of PV, not because the charge has risen far enough.
    eased: bool,
    /// The adaptive floor's own memory.
    adaptive: Adaptive,
}

/// What the guard looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct GuardInputs {
    /// The newest charge, when it may be used.
    pub soc: Option<Reading<Soc>>,
    /// Battery current, for the jump filter.
    pub current: Option<MilliAmps>,
    /// PV less load; unknown counts as none.
    pub surplus: Option<Watts>,
    /// The inverter holds a nearly empty battery up.
    pub sustain: bool,
    /// The time of day, for the adaptive floor's days.
    pub wall: Option<Wall>,
}

impl Guard {
    /// A guard whose past is lost: what lies between the floor and its resume value stays where it is.
    #[must_use]
    pub fn cautious() -> Self {
        Self { state: GuardState::FloorHeld, ..Self::default() }
    }

    /// Its state.
    #[must_use]
    pub fn state(&self) -> GuardState {
        self.state
    }

    /// Whether discharge is only eased in: allowed, but less than the PV makes.
    #[must_use]
    pub fn eased(&self) -> bool {
        self.eased && self.state == GuardState::Ok
    }

    /// The charge at which an operator raised the floor above it, while that still holds.
    #[must_use]
    pub fn raised(&self) -> bool {
        self.raised_at.is_some() && self.state == GuardState::FloorHeld
    }

    /// Whether the newest charge is a jump that waits for confirmation.
    #[must_use]
    pub fn jumping(&self) -> bool {
        self.jump_run > 0
    }

    /// What the adaptive floor remembers.
    #[must_use]
    pub fn adaptive(&self) -> &Adaptive {
        &self.adaptive
    }

    /// Where charging from the grid ends.
    #[must_use]
    pub fn recharge_to(&self, floor: Soc) -> Soc {
        if self.state == GuardState::Recharge { self.adaptive.recharge_to(floor) } else { floor }
    }

    /// One evaluation. The state advances at most once per fresh sample; without a usable charge it stays.
    pub fn step(&mut self, policy: &BatteryPolicy, inputs: GuardInputs, now: Mono) {
        if policy.keep_charged {
            self.state = GuardState::KeepCharged;
            return;
        }
        if self.state == GuardState::KeepCharged {
            self.state = GuardState::Ok;
        }
        let Some(soc) = inputs.soc else { return };
        if policy.is_adaptive() {
            let GuardInputs { sustain, wall, .. } = inputs;
            let wall = wall.filter(|wall| wall.valid);
            let inputs = AdaptiveInputs { soc: soc.value, floor: policy.floor, sustain, wall };
            self.state = self.adaptive.step(self.state, &inputs, now);
            (self.raised_at, self.eased) = (None, false);
            return;
        }
        self.leave_adaptive();
        match policy.guard {
            GuardKind::VictronCompatible => {
                self.raised_at = None;
                self.eased = false;
                self.advance(policy, soc.value, soc.value, policy.floor);
            }
            GuardKind::Standard => self.step_standard(policy, inputs, soc, now),
        }
        self.floor = Some(policy.floor);
    }

    /// The adaptive floor was switched off: what it blocked stays blocked until the other rules have looked.
    fn leave_adaptive(&mut self) {
        self.state = match self.state {
            GuardState::SelfConsumption | GuardState::Absorbing | GuardState::FloatBand => GuardState::Ok,
            GuardState::Discharged | GuardState::Sustain | GuardState::SlowCharge | GuardState::Recharge => {
                GuardState::FloorHeld
            }
            GuardState::Ok | GuardState::FloorHeld | GuardState::FloorRecharge | GuardState::KeepCharged => {
                return;
            }
        };
        self.adaptive = Adaptive::default();
    }

    fn step_standard(&mut self, policy: &BatteryPolicy, inputs: GuardInputs, soc: Reading<Soc>, now: Mono) {
        self.note_raise(policy.floor, soc.value);
        let fresh = self.believed.is_none_or(|before| soc.asked_at > before.asked_at);
        if fresh {
            self.filter_jump(policy, inputs.current, soc);
        }
        let believed = self.believed.map_or(soc.value, |reading| reading.value);
        // A block never waits for a jump to be confirmed; release and forced charging do.
        let (low, high) = (soc.value.min(believed), soc.value.max(believed));
        let recharge_floor = self.raised_at.map_or(policy.floor, |raised| raised.min(policy.floor));
        self.advance(policy, low, high, recharge_floor);
        self.ease(policy, inputs.surplus, low, now);
    }

    /// An operator raised the floor above the charge: held, but no recharge because of that alone.
    fn note_raise(&mut self, floor: Soc, soc: Soc) {
        if self.floor.is_some_and(|before| floor > before) && soc < floor {
            self.raised_at = Some(soc);
        }
        if soc >= floor {
            self.raised_at = None;
        }
    }

    /// Believes a sample at once unless the battery cannot have moved that far since the last one.
    fn filter_jump(&mut self, policy: &BatteryPolicy, current: Option<MilliAmps>, soc: Reading<Soc>) {
        let (Some(before), Some(current), Some(capacity)) = (self.believed, current, policy.capacity) else {
            self.believed = Some(soc);
            return;
        };
        let moved = soc.value.centi().abs_diff(before.value.centi());
        // 2 x |I| x dt / C in 0.01 %, with C in Ah taken at 48 V, and one step of 1 % of a coarse sensor.
        let coulombs_ma_ms =
            i64::from(current.0.unsigned_abs()).saturating_mul(soc.asked_at.since(before.asked_at).0.max(0));
        let per_centi = capacity.0.saturating_mul(1_000).checked_div(48).unwrap_or(0).saturating_mul(360);
        let possible =
            coulombs_ma_ms.saturating_mul(2).checked_div(per_centi.max(1)).unwrap_or(0).saturating_add(100);
        self.jump_run = if i64::from(moved) > possible { self.jump_run.saturating_add(1) } else { 0 };
        if self.jump_run == 0 || self.jump_run >= JUMP_SAMPLES {
            self.believed = Some(soc);
            self.jump_run = 0;
        } else {
            self.believed = Some(Reading { value: before.value, asked_at: soc.asked_at });
        }
    }

    /// The transition table. `low` and `high` are the same charge unless it jumped: the lower one blocks and
    /// releases, the higher one must be low enough to charge from the grid.
    fn advance(&mut self, policy: &BatteryPolicy, low: Soc, high: Soc, recharge_floor: Soc) {
        let floor = policy.floor;
        let resume = floor.plus_centi(policy.resume_centi);
        let recharge_at = recharge_floor.centi().saturating_sub(policy.recharge_below_centi);
        for _ in 0..STEPS {
            let next = match self.state {
                GuardState::Ok if low <= floor && low < Soc::FULL && floor > Soc::EMPTY => {
                    GuardState::FloorHeld
                }
                GuardState::FloorHeld if low >= resume => GuardState::Ok,
                GuardState::FloorHeld if policy.recharge && high.centi() <= recharge_at => {
                    GuardState::FloorRecharge
                }
                GuardState::FloorRecharge if low >= floor => GuardState::FloorHeld,
                GuardState::FloorRecharge if !policy.recharge => GuardState::FloorHeld,
                GuardState::Ok
                | GuardState::FloorHeld
                | GuardState::FloorRecharge
                | GuardState::KeepCharged
                | GuardState::SelfConsumption
                | GuardState::Absorbing
                | GuardState::FloatBand
                | GuardState::Discharged
                | GuardState::SlowCharge
                | GuardState::Sustain
                | GuardState::Recharge => return,
            };
            self.state = next;
        }
    }

    /// A lasting PV surplus lifts the block above the floor; discharge stays below the PV until the charge
    /// has left the floor for good. Without this the band between floor and resume is cycled every day.
    fn ease(&mut self, policy: &BatteryPolicy, surplus: Option<Watts>, soc: Soc, now: Mono) {
        let resume = policy.floor.plus_centi(policy.resume_centi);
        if soc >= resume {
            self.eased = false;
        }
        let has_surplus = surplus.is_some_and(|surplus| surplus >= SURPLUS);
        self.surplus_since = if has_surplus { self.surplus_since.or(Some(now)) } else { None };
        let lasting = self.surplus_since.is_some_and(|since| now.since(since) >= SURPLUS_FOR);
        if self.state == GuardState::FloorHeld && lasting && soc > policy.floor {
            self.state = GuardState::Ok;
            self.eased = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::units::WattHours;

    #[test]
    fn a_surplus_does_not_lift_the_block_of_a_charge_that_fell_to_the_floor() {
        let policy = BatteryPolicy { capacity: Some(WattHours(10_000)), ..BatteryPolicy::default() };
        let mut guard = Guard::default();
        for second in 0..100 {
            let now = Mono::ZERO + Span::secs(second);
            let soc = Some(Reading { value: Soc::percent(if second < 98 { 40 } else { 9 }), asked_at: now });
            let inputs = GuardInputs {
                soc,
                current: Some(MilliAmps(0)),
                surplus: Some(Watts(500)),
                ..GuardInputs::default()
            };
            guard.step(&policy, inputs, now);
        }
        assert!(guard.jumping());
        assert_eq!(guard.state(), GuardState::FloorHeld);
    }

    /// One line per sample: charge in percent, then the state's name.
    #[track_caller]
    fn check(policy: &BatteryPolicy, table: &str) {
        let mut guard = Guard::default();
        for (second, line) in (1_i64..).zip(table.lines().map(str::trim).filter(|line| !line.is_empty())) {
            let (soc, expected) = line.split_once(' ').unwrap();
            let (whole, tenths) = soc.split_once('.').unwrap_or((soc, "0"));
            let centi = format!("{whole}{tenths}0").parse::<i64>().unwrap();
            let now = Mono::ZERO + Span::secs(second);
            let soc = Soc::from_centi(centi).map(|value| Reading { value, asked_at: now });
            guard.step(
                policy,
                GuardInputs { soc, current: Some(MilliAmps(0)), ..GuardInputs::default() },
                now,
            );
            assert_eq!(guard.state().name(), expected.trim(), "line {second}: {line}");
        }
    }

    fn compatible(floor: u16) -> BatteryPolicy {
        BatteryPolicy {
            guard: GuardKind::VictronCompatible,
            floor: Soc::percent(floor),
            ..BatteryPolicy::default()
        }
    }

    #[test]
    fn discharge_stops_at_the_floor_and_resumes_three_points_above() {
        check(
            &compatible(20),
            "50 ok
             20 floor-held
             19 floor-held
             21 floor-held
             23 ok
             20 floor-held
             21 floor-held
             23 ok",
        );
    }

    #[test]
    fn a_floor_of_a_hundred_keeps_everything_and_one_of_zero_nothing() {
        check(
            &compatible(100),
            "100 ok
             99 floor-held
             94.9 floor-recharge
             99 floor-recharge
             100 ok",
        );
        check(
            &compatible(0),
            "1 ok
             0 ok",
        );
    }

    #[test]
    fn a_jump_of_the_charge_ends_in_its_final_state_at_once_when_compatible() {
        check(
            &compatible(20),
            "50 ok
             10 floor-recharge",
        );
    }

    #[test]
    fn d12_a_jump_blocks_discharge_at_once_but_charges_only_when_confirmed() {
        let policy = BatteryPolicy {
            floor: Soc::percent(20),
            capacity: Some(WattHours(10_000)),
            ..BatteryPolicy::default()
        };
        check(
            &policy,
            "50 ok
             10 floor-held
             10 floor-held
             10 floor-recharge",
        );
    }

    #[test]
    fn raising_the_floor_above_the_charge_never_charges_by_itself() {
        let mut guard = Guard::default();
        let mut policy = BatteryPolicy { floor: Soc::percent(20), ..BatteryPolicy::default() };
        let hear = |guard: &mut Guard, policy: &BatteryPolicy, second, percent| {
            let now = Mono::ZERO + Span::secs(second);
            let soc = Some(Reading { value: Soc::percent(percent), asked_at: now });
            guard.step(policy, GuardInputs { soc, ..GuardInputs::default() }, now);
            guard.state()
        };
        assert_eq!(hear(&mut guard, &policy, 1, 55), GuardState::Ok);
        policy.floor = Soc::percent(60);
        assert_eq!(hear(&mut guard, &policy, 2, 55), GuardState::FloorHeld);
        assert!(guard.raised());
        assert_eq!(hear(&mut guard, &policy, 3, 51), GuardState::FloorHeld);
        assert_eq!(hear(&mut guard, &policy, 4, 50), GuardState::FloorRecharge, "it fell by five by itself");
    }

    #[test]
    fn a_lasting_surplus_lifts_the_block_early_and_eases_discharge_in() {
        let policy = BatteryPolicy { floor: Soc::percent(20), ..BatteryPolicy::default() };
        let mut guard = Guard::default();
        let mut hear = |second, centi, surplus| {
            let now = Mono::ZERO + Span::secs(second);
            let soc = Soc::from_centi(centi).map(|value| Reading { value, asked_at: now });
            guard.step(
                &policy,
                GuardInputs { soc, surplus: Some(Watts(surplus)), ..GuardInputs::default() },
                now,
            );
            (guard.state(), guard.eased())
        };
        assert_eq!(hear(0, 2_000, 0), (GuardState::FloorHeld, false));
        assert_eq!(hear(1, 2_050, 500), (GuardState::FloorHeld, false));
        assert_eq!(hear(60, 2_060, 500), (GuardState::FloorHeld, false));
        assert_eq!(hear(61, 2_060, 500), (GuardState::Ok, true));
        assert_eq!(hear(62, 2_000, -500), (GuardState::FloorHeld, false));
    }
}
