//! Who wins: everything that wants the set to run, and everything that forbids it, in one order of rank.
//!
//! Fault, mode, the operator's off, the operator's run, conditions, loss. The floor is no wish: it only delays a
//! stop, and is shown as the reason when nothing else wants the set any more.

use serde::{Deserialize, Serialize};

use super::GensetInputs;
use super::condition::{Direction, Latch, Surroundings};
use super::feedback::Doubt;
use crate::control::policy::{Condition, GeneratorPolicy, OnLoss};
use crate::control::reading::Stage;
use crate::control::reason::{Reason, Source};
use crate::control::site::Manual;
use crate::control::units::{MilliAmps, MilliVolts, Mono, Soc, Span, Watts};

/// One latch per quantity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Latches {
    soc: Latch,
    load: Latch,
    current: Latch,
    voltage: Latch,
}

/// A latch beside what the operator configured for it.
type Row<'a, L> = (&'a Option<Condition>, Direction, L);

impl Latches {
    /// Takes new samples in.
    pub fn step(&mut self, policy: &GeneratorPolicy, inputs: &GensetInputs, around: Surroundings, now: Mono) {
        let soc = inputs.soc.map(|r| (i64::from(r.value.centi()), r.asked_at));
        let load = inputs.load.map(|r| (i64::from(r.value.0), r.asked_at));
        let current = inputs.current.map(|r| (i64::from(r.value.0), r.asked_at));
        let voltage = inputs.voltage.map(|r| (i64::from(r.value.0), r.asked_at));
        let samples = [soc, load, current, voltage];
        for ((condition, direction, latch), sample) in self.rows_mut(policy).into_iter().zip(samples) {
            match condition {
                Some(condition) => latch.step(condition, direction, sample, around, now),
                None => *latch = Latch::default(),
            }
        }
    }

    /// In order of rank.
    fn rows_mut<'a>(&'a mut self, policy: &'a GeneratorPolicy) -> [Row<'a, &'a mut Latch>; 4] {
        [
            (&policy.soc, Direction::Falling, &mut self.soc),
            (&policy.load, Direction::Rising, &mut self.load),
            (&policy.current, Direction::Rising, &mut self.current),
            (&policy.voltage, Direction::Falling, &mut self.voltage),
        ]
    }

    /// Whether every configured condition knows its value.
    pub fn all_known(&self, policy: &GeneratorPolicy) -> bool {
        let known = |condition: &Option<Condition>, latch: &Latch| condition.is_none() || latch.known();
        known(&policy.soc, &self.soc)
            && known(&policy.load, &self.load)
            && known(&policy.current, &self.current)
            && known(&policy.voltage, &self.voltage)
    }

    /// Hands a set that was found running to the condition that charges the battery, the charge first. False
    /// when no condition can own it yet.
    pub fn adopt(&mut self, policy: &GeneratorPolicy, quiet: bool) -> bool {
        let [soc, load, current, voltage] = self.rows_mut(policy);
        for (condition, direction, latch) in [soc, voltage, current, load] {
            if let Some(condition) = condition {
                if latch.known() {
                    latch.adopt(condition, direction, quiet);
                }
                return latch.known();
            }
        }
        false
    }

    /// The process was away: silence counts from now.
    pub fn resume(&mut self, now: Mono) {
        for latch in [&mut self.soc, &mut self.load, &mut self.current, &mut self.voltage] {
            latch.resume(now);
        }
    }

    /// When the silence of a source turns into a loss.
    pub fn loses_at(&self, policy: &GeneratorPolicy) -> impl Iterator<Item = Mono> {
        let timeout = policy.loss_timeout;
        [self.soc, self.load, self.current, self.voltage]
            .into_iter()
            .filter_map(move |latch| latch.loses_at(timeout))
    }

    /// Every moment they hold, so that an exploration can tell states from their age.
    #[cfg(test)]
    pub fn moments(&mut self) -> impl Iterator<Item = &mut Mono> {
        let all = [&mut self.soc, &mut self.load, &mut self.current, &mut self.voltage];
        all.into_iter().flat_map(Latch::moments)
    }

    fn reasons(&self) -> [Option<Reason>; 4] {
        let narrow = |value: i64| Watts::saturated(value).0;
        let soc = Soc::from_centi(self.soc.fired()).unwrap_or_default();
        [
            self.soc.reached().then_some(Reason::GeneratorSoc(soc)),
            self.load.reached().then_some(Reason::GeneratorLoad(Watts(narrow(self.load.fired())))),
            self.current
                .reached()
                .then_some(Reason::GeneratorCurrent(MilliAmps(narrow(self.current.fired())))),
            self.voltage
                .reached()
                .then_some(Reason::GeneratorVoltage(MilliVolts(narrow(self.voltage.fired())))),
        ]
    }

    fn battery_lost(&self) -> bool {
        self.soc.lost() || self.current.lost() || self.voltage.lost()
    }

    fn lost(&self) -> bool {
        self.battery_lost() || self.load.lost()
    }
}

/// What is wanted of the set, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// Whether anything wants it to run, and nothing above forbids that.
    pub run: bool,
    /// Whether a condition or a loss wants it, operators apart.
    pub automatic: bool,
    /// Whether the minimum run delays a stop.
    pub floor: bool,
    /// Whether automatic starts are forbidden.
    pub vetoed: bool,
    /// What wants it, highest rank first.
    pub wants: [Option<Reason>; 6],
    /// What forbids it, highest rank first.
    pub vetoes: [Option<Reason>; 5],
}

impl Verdict {
    /// The one reason to show: why it runs, or why it does not.
    pub fn shown(&self, on: bool, floor_left: Span) -> Option<Reason> {
        let want = self.wants.iter().flatten().next().copied().filter(|_| self.run);
        let veto = self.vetoes.iter().flatten().next().copied();
        let floor =
            (on && self.floor && floor_left > Span::ZERO).then_some(Reason::GeneratorFloor(floor_left));
        if on { want.or(floor).or(veto) } else { veto.or(want) }
    }
}

/// What the arbiter has to know of the sequencer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Whether the run command is given.
    pub on: bool,
    /// Whether a condition or a loss wanted the set at the last step.
    pub automatic_before: bool,
    /// A set that was found running and that no condition owns yet.
    pub unowned: bool,
    /// The operator ended a run: its minimum no longer counts.
    pub waived: bool,
    /// Whether quiet hours hold.
    pub quiet: bool,
    /// Locked out.
    pub lockout: bool,
    /// Not in automatic mode.
    pub remote_off: bool,
    /// How far the engine's feedback is in doubt.
    pub doubt: Doubt,
}

/// The wishes and vetoes of this moment, weighed.
pub(super) fn arbitrate(
    policy: &GeneratorPolicy,
    latches: &Latches,
    manual: Manual,
    standing: Standing,
) -> Verdict {
    let [soc, load, current, voltage] = if policy.auto { latches.reasons() } else { [None; 4] };
    let wanted = soc.or(load).or(current).or(voltage).is_some();
    let off = manual == Manual::Off;
    let operator = manual == Manual::Run || standing.unowned;

    // Quiet hours may forbid a start; a set that runs already is left to its thresholds.
    let hushed = policy.quiet_blocks && standing.quiet && !standing.on;
    let loss = match policy.on_loss {
        OnLoss::Start => latches.battery_lost() || (latches.lost() && !hushed),
        OnLoss::Keep => latches.lost() && standing.on && standing.automatic_before,
        OnLoss::Stop => false,
    };
    let loss = loss && policy.auto;
    let automatic = !off && (loss || (wanted && !hushed));
    let forbidden = off || standing.lockout || standing.remote_off;

    Verdict {
        run: (operator || automatic) && !forbidden,
        automatic,
        floor: !off && !standing.waived && (policy.auto || !policy.auto_off_immediate),
        vetoed: forbidden || !policy.auto || hushed,
        wants: [
            operator.then_some(Reason::GeneratorManual),
            soc,
            load,
            current,
            voltage,
            loss.then_some(Reason::GeneratorLoss),
        ],
        vetoes: [
            off.then_some(Reason::GeneratorManual),
            standing.remote_off.then_some(Reason::GeneratorRemoteOff),
            standing.lockout.then_some(Reason::GeneratorLockout),
            (hushed && wanted).then_some(Reason::GeneratorQuiet),
            match standing.doubt {
                Doubt::None => None,
                Doubt::Some => Some(Reason::Stale(Source::Generator, Stage::Degraded)),
                Doubt::Full => Some(Reason::Stale(Source::Generator, Stage::Safe)),
            },
        ],
    }
}
