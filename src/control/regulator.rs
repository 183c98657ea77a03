//! From measurements to an order that does not hunt.
//!
//! The load is what grid and inverters carry together *at the same moment*; the order is load less grid setpoint,
//! plus a slow trim. Everything that makes such loops oscillate comes from mixing moments: the meter is late, the
//! inverter has a dead time and a lag. So two rules keep the moments apart:
//!
//! - the inverters' power is looked up where they were when the meter looked ([`History`]);
//! - after an order, samples that may still show its transient are not believed for small corrections. That
//!   *window* is the actuator's latency plus the meter's lag, and once more the lag, so that a lag declared wrong by
//!   a factor of two still finds the plant at rest. A change larger than what the order itself could feign passes.
//!
//! Loads behind the inverters' outputs break the first rule: a step there pulls power through the inverter's input at
//! once, and the inverter brings itself back. Where the inverters tell such loads, a meter sample is weighed against
//! every power the input may have had around its moment ([`History::between`]), and the load moves only as far as no
//! such power explains. That needs what the inverters told about that moment, so the sample waits for it.
//!
//! With no lag declared the window assumes the worst that meters do and the correction is not taken whole.

use std::ops::Add;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::history::{History, Sample};
use super::policy::RegulatorPolicy;
use super::share;
use super::units::{Mono, Span, Watts};

/// The longest meter lag that is assumed when none is declared.
const UNKNOWN_LAG: Span = Span::secs(5);
/// Share of a correction taken with an undeclared lag, in percent.
const UNKNOWN_LAG_GAIN: i64 = 80;
/// Share of a correction taken when the inverter's power is modelled, not measured, in percent.
const MODEL_GAIN: i64 = 50;
/// Trim gain: a tenth of the error per second.
const TRIM_PER_SECOND: i64 = 100;
/// No trim beyond this error.
const TRIM_ERROR: Watts = Watts(300);
/// The trim's own limit.
const TRIM_LIMIT: Watts = Watts(200);
/// A trim that is no longer earned is gone after this.
const TRIM_DECAY: Span = Span::secs(60);
/// Swings smaller than this do not count as oscillation.
const SWING: Watts = Watts(100);
/// Steps larger than this pass the oscillation guard undamped.
const LOAD_STEP: Watts = Watts(450);

/// Changes up to this are as likely noise as load: they are followed slowly, in percent per sample.
const NOISE: Watts = Watts(30);
const NOISE_GAIN: i64 = 30;

/// How much earlier than its lag says a meter may have looked: it is asked now and then.
const EARLIER: Span = Span::millis(300);
/// How much later than it was so an inverter may tell its power.
const LATER: Span = Span::millis(1_300);
/// And how much later it usually tells.
const USUAL: Span = Span::millis(600);
/// A sample waits this long for the inverters' word about its moment.
const PATIENCE: Span = Span::millis(3_000);
/// A value that stays the same for longer than this was measured again: devices look about once a second.
const REPEATS: Span = Span::secs(1);
/// From this oscillation score on, in hundredths, the declared lag is doubted.
const DOUBT: i32 = 150;
/// What stays unexplained for longer than this is taken as far as it is sure.
const UNEXPLAINED: Span = Span::secs(5);
/// Meter samples that can wait.
const WAITING: usize = 16;

/// What the regulator remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Regulator {
    history: History,
    /// The inverters have told of loads behind their outputs.
    tells_behind: bool,
    /// The load in force, per phase; `None` before the first measurement.
    load: Option<[Watts; 3]>,
    last_meter: Mono,
    /// What the meter shows, and since when: asked again before it has looked again, it repeats itself.
    shown: [Watts; 3],
    shown_at: Mono,
    waiting: ArrayVec<Waiting, WAITING>,
    /// Since when meter samples show what no power of the inverters explains.
    unexplained_since: Option<Mono>,
    /// The orders in force, per phase.
    given: [Watts; 3],
    given_at: Mono,
    /// When the orders last changed.
    changed_at: Option<Mono>,
    /// How far the inverters may still be from them: what changed since then, and within a window before. Orders that
    /// roll on without a pause would else explain any load.
    window_at: Mono,
    window_step: Watts,
    step_before: Watts,
    /// In thousandths of a watt.
    trim_mw: i64,
    direction: i8,
    reversal_since: Option<Mono>,
    reversal_samples: u8,
    /// Oscillation score in hundredths, and the sign of the last large error.
    swing: i32,
    swing_at: Mono,
    swing_sign: i8,
}

/// A meter sample that waits for the inverters' word about its moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    /// When the meter looked, by its declared lag.
    moment: Mono,
    came_at: Mono,
    grid: [Watts; 3],
    /// It shows a limit of the connection broken.
    violated: bool,
}

/// How the plant behaves, as declared.
#[derive(Clone, Copy, Debug)]
pub struct Dynamics {
    /// From order to rest: dead time and four time constants of the slowest inverter.
    pub latency: Span,
    /// From order to first reaction plus one time constant: where a model puts the step.
    pub model_delay: Span,
    /// Age of a meter value when it is asked for, if anyone knows.
    pub meter_lag: Option<Span>,
    /// Whether inverter power is measured now; else it is modelled from the orders.
    pub measured: bool,
    /// The incumbent's plain loop: no manners.
    pub compatible: bool,
}

/// What the shaping of an order did to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shaped {
    /// The orders per phase.
    pub phases: [Watts; 3],
    /// The ramp held the change back.
    pub ramped: bool,
    /// A reversal waits this much longer.
    pub reversing: Option<Span>,
    /// The change was too small.
    pub too_small: bool,
}

impl Regulator {
    /// An inverter sample, summed over all inverters.
    pub fn inverters_heard(&mut self, sample: Sample) {
        self.tells_behind |= sample.behind != [Watts::ZERO; 3];
        self.history.push(sample);
    }

    /// The load in force, per phase.
    #[must_use]
    pub fn load(&self) -> Option<[Watts; 3]> {
        self.load
    }

    /// Takes this for the load, whatever was measured before.
    pub fn assume_load(&mut self, load: [Watts; 3]) {
        self.load = Some(load);
    }

    /// Forgets the load: the meter is unknown.
    pub fn forget_load(&mut self) {
        self.load = None;
        self.waiting.clear();
    }

    /// The slow correction.
    #[must_use]
    pub fn trim(&self) -> Watts {
        Watts::saturated(self.trim_mw.checked_div(1_000).unwrap_or(0))
    }

    /// The orders in force.
    #[must_use]
    pub fn given(&self) -> [Watts; 3] {
        self.given
    }

    /// The oscillation score; above 4 something hunts.
    #[must_use]
    pub fn swing_score(&self) -> u8 {
        u8::try_from(self.swing.checked_div(100).unwrap_or(0)).unwrap_or(0)
    }

    /// A meter sample: brings the load up to date, unless what it shows may be our own transient.
    /// `violated` says that the sample itself breaks a limit of the connection.
    pub fn meter_heard(&mut self, grid: [Watts; 3], asked_at: Mono, violated: bool, dynamics: &Dynamics) {
        if asked_at <= self.last_meter && self.load.is_some() {
            return;
        }
        self.last_meter = asked_at;
        if grid != self.shown || asked_at.since(self.shown_at) >= REPEATS {
            self.shown = grid;
            self.shown_at = asked_at;
        }
        if self.load.is_some() && self.weighs(dynamics) {
            let moment = self.shown_at - dynamics.meter_lag.unwrap_or(Span::ZERO);
            if self.waiting.last().is_some_and(|last| last.moment == moment) {
                return;
            }
            if self.waiting.is_full() {
                self.waiting.remove(0);
            }
            self.waiting.push(Waiting { moment, came_at: asked_at, grid, violated });
            return;
        }
        self.waiting.clear();
        let looked_at = asked_at - dynamics.meter_lag.unwrap_or(Span::ZERO);
        let inverters = if dynamics.measured {
            self.history.at(looked_at)
        } else {
            Some(self.modelled(looked_at - dynamics.model_delay))
        };
        let Some(inverters) = inverters else { return };
        let candidate = share::both(grid, inverters, Add::add);
        let Some(load) = self.load else {
            self.load = Some(candidate);
            return;
        };
        let change = farthest(candidate, load);
        let gain = self.gain(change, dynamics);
        // What an order can feign: its own size, and what a gain below one left of the step before it.
        let step = self.window_step + self.step_before;
        let feigned = step.scaled(120, gain.max(1)) + step.scaled(100_i64.saturating_sub(gain), 100);
        if self.in_window(asked_at, dynamics) && !violated && change <= feigned {
            return;
        }
        self.load = Some(toward(load, candidate, gain));
    }

    /// Whether samples are weighed against what the inverters may have done by themselves: they tell the loads behind
    /// their outputs, the lag is declared, and the grid does not swing as if it were declared wrong.
    fn weighs(&self, dynamics: &Dynamics) -> bool {
        self.tells_behind && dynamics.measured && dynamics.meter_lag.is_some() && self.swing < DOUBT
    }

    /// Takes the waiting meter samples whose moment the inverters have told about by now.
    pub fn catch_up(&mut self, dynamics: &Dynamics, now: Mono) {
        while let Some(sample) = self.waiting.first().copied() {
            let told = self.history.newest().is_some_and(|newest| newest.at >= sample.moment + LATER);
            if !told && now.since(sample.came_at) < PATIENCE {
                return;
            }
            self.waiting.remove(0);
            self.weigh(sample, told, dynamics);
        }
    }

    /// Weighs one meter sample. What some power that the inverters may have had explains is no news. What none
    /// explains is taken whole once the inverters are almost at rest; before that it waits, because a part taken early
    /// moves the inverters and hides the rest. Only what breaks a limit, or waits too long, is taken as far as it is
    /// sure.
    fn weigh(&mut self, sample: Waiting, told: bool, dynamics: &Dynamics) {
        let Waiting { moment, grid, violated, came_at } = sample;
        let range = self.history.between(moment - EARLIER, moment + LATER);
        let (Some(load), Some((low, high)), Some(inverters)) =
            (self.load, range, self.history.at(moment + USUAL))
        else {
            return;
        };
        // Not told: they may be on their way to the order.
        let low = if told { low } else { share::both(low, self.given, Watts::min) };
        let high = if told { high } else { share::both(high, self.given, Watts::max) };
        let (least, most) = (share::both(grid, low, Add::add), share::both(grid, high, Add::add));
        let inside = |load| share::both(share::both(load, least, Watts::max), most, Watts::min);
        let (sure, whole) = (inside(load), inside(share::both(grid, inverters, Add::add)));
        let change = farthest(sure, load);
        if change == Watts::ZERO {
            self.unexplained_since = None;
            return;
        }
        let resting = farthest(low, high) <= change.scaled(2, 5) + NOISE;
        let since = *self.unexplained_since.get_or_insert(came_at);
        let candidate = if resting {
            whole
        } else if violated || came_at.since(since) >= UNEXPLAINED {
            sure
        } else {
            return;
        };
        self.unexplained_since = None;
        let gain = self.gain(farthest(candidate, load), dynamics);
        self.load = Some(toward(load, candidate, gain));
    }

    /// Where the orders put the inverters: at the new value once the delay is over, at the old one before.
    fn modelled(&self, moment: Mono) -> [Watts; 3] {
        match self.changed_at {
            Some(changed) if moment < changed => self.history.at(moment).unwrap_or(self.given),
            Some(_) | None => self.given,
        }
    }

    /// Whether a sample asked for now may still show the transient of the last order.
    #[must_use]
    pub fn in_window(&self, asked_at: Mono, dynamics: &Dynamics) -> bool {
        self.changed_at.is_some_and(|changed| asked_at < changed + window(dynamics))
    }

    /// How much of a correction is taken, in percent.
    fn gain(&self, change: Watts, dynamics: &Dynamics) -> i64 {
        let mut gain = 100;
        if dynamics.meter_lag.is_none() {
            gain = UNKNOWN_LAG_GAIN;
        }
        if !dynamics.measured {
            gain = gain.min(MODEL_GAIN);
        }
        if change <= LOAD_STEP && !dynamics.compatible {
            let damping = i64::from(self.swing).checked_div(5).unwrap_or(0).clamp(0, 80);
            gain = gain.min(100_i64.saturating_sub(damping));
        }
        if change <= NOISE && !dynamics.compatible {
            gain = gain.min(NOISE_GAIN);
        }
        gain
    }

    /// Brings trim and oscillation score up to date with one meter sample's error (grid less setpoint).
    pub fn error_seen(&mut self, error: Watts, elapsed: Span, settled: bool, now: Mono) {
        let elapsed = elapsed.0.clamp(0, 2_000);
        if settled && error.abs() <= TRIM_ERROR {
            let step = i64::from(error.0).saturating_mul(TRIM_PER_SECOND).saturating_mul(elapsed);
            let limit = i64::from(TRIM_LIMIT.0).saturating_mul(1_000);
            self.trim_mw = self
                .trim_mw
                .saturating_add(step.checked_div(1_000).unwrap_or(0))
                .clamp(limit.saturating_neg(), limit);
        }
        while now.since(self.swing_at) >= Span::secs(10) && self.swing > 0 {
            self.swing = self.swing.saturating_mul(85).checked_div(100).unwrap_or(0);
            self.swing_at = self.swing_at + Span::secs(10);
        }
        if self.swing == 0 {
            self.swing_at = now;
        }
        if error.abs() > SWING {
            let sign: i8 = if error.0 > 0 { 1 } else { -1 };
            if self.swing_sign == sign.saturating_neg() {
                self.swing = self.swing.saturating_add(100).min(1_000);
            }
            self.swing_sign = sign;
        }
    }

    /// Lets the trim go, linearly, when nothing earns it: a stale meter or a tapering battery.
    pub fn decay_trim(&mut self, elapsed: Span) {
        let full = i64::from(TRIM_LIMIT.0).saturating_mul(1_000);
        let step =
            full.saturating_mul(elapsed.0.clamp(0, TRIM_DECAY.0)).checked_div(TRIM_DECAY.0).unwrap_or(0);
        let left = self.trim_mw.unsigned_abs().saturating_sub(step.unsigned_abs());
        let left = i64::try_from(left).unwrap_or(0);
        self.trim_mw = if self.trim_mw < 0 { left.saturating_neg() } else { left };
    }

    /// Brings the orders in force to where the inverters that answer can follow, at once.
    pub fn confine(&mut self, fit: impl Fn([Watts; 3]) -> [Watts; 3], dynamics: &Dynamics, now: Mono) {
        let inside = fit(self.given);
        if inside != self.given {
            self.give(inside, now, dynamics);
        }
    }

    /// From the wanted orders to the given ones: direction hold, deadband, ramp. `wanted` already lies inside
    /// the ladder's range `low..=high`; what is in force now may not, and then moves at once.
    #[expect(clippy::too_many_arguments, reason = "each is one fact of the decision at hand")]
    pub fn shape(
        &mut self,
        policy: &RegulatorPolicy,
        wanted: [Watts; 3],
        (low, high): (Watts, Watts),
        controlled: [bool; 3],
        resolution: Watts,
        fresh_meter: bool,
        dynamics: &Dynamics,
        now: Mono,
    ) -> Shaped {
        let mut shaped = Shaped { phases: wanted, ..Shaped::default() };
        let before = share::total(self.given);
        let start = share::scale(self.given, before.max(low).min(high), controlled);
        if !dynamics.compatible {
            shaped.reversing = self.hold_direction(policy, wanted, (low, high), fresh_meter, dynamics, now);
            if shaped.reversing.is_some() {
                shaped.phases = [Watts::ZERO; 3];
            }
            shaped.too_small = start == self.given && self.too_small(policy, shaped.phases, resolution);
            if shaped.too_small {
                shaped.phases = self.given;
            } else {
                (shaped.phases, shaped.ramped) = self.ramp(policy, start, shaped.phases, now);
            }
        }
        self.give(shaped.phases, now, dynamics);
        shaped
    }

    fn too_small(&self, policy: &RegulatorPolicy, wanted: [Watts; 3], resolution: Watts) -> bool {
        let idle = self.given.iter().all(|part| part.0 == 0);
        let off = wanted.iter().all(|part| part.0 == 0);
        let load = self.load.map_or(Watts::ZERO, |load| share::total(load).abs());
        let band = policy.deadband.max(resolution).max(load.scaled(1, 100));
        !idle && !off && farthest(wanted, self.given) < band
    }

    /// A wish to turn between charge and discharge must last; until then nothing is ordered. A range that
    /// leaves no choice is protection and turns at once.
    fn hold_direction(
        &mut self,
        policy: &RegulatorPolicy,
        wanted: [Watts; 3],
        (low, high): (Watts, Watts),
        fresh_meter: bool,
        dynamics: &Dynamics,
        now: Mono,
    ) -> Option<Span> {
        let wish = share::total(wanted);
        let sign = if wish.0 > 0 { 1 } else { i8::from(wish.0 < 0).saturating_neg() };
        let forced = low.0 > 0 || high.0 < 0;
        if sign == 0 {
            return None;
        }
        if self.direction == 0 || sign == self.direction || forced {
            self.direction = sign;
            self.reversal_since = None;
            self.reversal_samples = 0;
            return None;
        }
        let since = *self.reversal_since.get_or_insert(now);
        if fresh_meter {
            self.reversal_samples = self.reversal_samples.saturating_add(1);
        }
        let hold = policy
            .direction_hold
            .unwrap_or_else(|| (dynamics.model_delay + dynamics.model_delay).max(Span::secs(3)));
        let waited = now.since(since);
        if waited >= hold && self.reversal_samples >= 2 {
            self.direction = sign;
            self.reversal_since = None;
            self.reversal_samples = 0;
            return None;
        }
        Some(hold - waited)
    }

    /// Moves from `start` toward `wanted` no faster than the ramp.
    fn ramp(
        &self,
        policy: &RegulatorPolicy,
        start: [Watts; 3],
        wanted: [Watts; 3],
        now: Mono,
    ) -> ([Watts; 3], bool) {
        let Some(ramp) = policy.ramp else { return (wanted, false) };
        // Rest earns a second's worth: a step need not wait for its first decisions to add up.
        let last = self.changed_at.unwrap_or(self.given_at);
        let elapsed = now.since(last).0.clamp(0, 1_000);
        let allowed = ramp.scaled(elapsed, 1_000);
        let change = (share::total(wanted) - share::total(start)).abs().max(farthest(wanted, start));
        if change <= allowed {
            return (wanted, false);
        }
        let part =
            |from: Watts, to: Watts| from + (to - from).scaled(i64::from(allowed.0), i64::from(change.0));
        (share::both(start, wanted, part), true)
    }

    /// Puts orders in force.
    fn give(&mut self, phases: [Watts; 3], now: Mono, dynamics: &Dynamics) {
        self.given_at = now;
        let step = farthest(phases, self.given);
        if step.0 == 0 {
            return;
        }
        let open = self.in_window(now, dynamics);
        if !open || now.since(self.window_at) >= window(dynamics) {
            self.step_before = if open { self.window_step } else { Watts::ZERO };
            self.window_step = Watts::ZERO;
            self.window_at = now;
        }
        self.window_step += step;
        self.changed_at = Some(now);
        self.given = phases;
    }

    /// Orders nothing, at once: the site may not be steered now.
    pub fn neutral(&mut self, now: Mono) {
        if self.given != [Watts::ZERO; 3] {
            self.changed_at = Some(now);
            self.window_at = now;
            self.window_step = farthest(self.given, [Watts::ZERO; 3]);
            self.step_before = Watts::ZERO;
        }
        self.given = [Watts::ZERO; 3];
        self.given_at = now;
        self.direction = 0;
        self.reversal_since = None;
    }
}

/// How long an order may show in the meter's samples.
fn window(dynamics: &Dynamics) -> Span {
    dynamics.latency + dynamics.meter_lag.map_or(UNKNOWN_LAG, |lag| lag + lag)
}

/// From one load toward another, this many percent of the way.
fn toward(from: [Watts; 3], to: [Watts; 3], percent: i64) -> [Watts; 3] {
    share::both(from, to, |from, to| from + (to - from).scaled(percent, 100))
}

/// The largest change of any phase, and of their sum.
fn farthest(a: [Watts; 3], b: [Watts; 3]) -> Watts {
    let [l1, l2, l3] = share::both(a, b, |a, b| (a - b).abs());
    l1.max(l2).max(l3).max((share::total(a) - share::total(b)).abs())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "numbers of a test")]
mod tests {
    use super::*;

    const NO_LAG: Dynamics = Dynamics {
        latency: Span::millis(2_900),
        model_delay: Span::millis(1_100),
        meter_lag: None,
        measured: true,
        compatible: false,
    };

    #[test]
    fn a_load_that_falls_is_seen_while_the_orders_roll_on_for_another_reason() {
        let mut regulator = Regulator::default();
        let second = |second: i64| Mono::ZERO + Span::secs(second);
        // A tapering battery: the order falls by 30 W a second, and the grid takes over.
        let order = |at: i64| Watts(i32::try_from(3_000 - 30 * at).unwrap());
        for at in 0..=60 {
            let now = second(at);
            let load = if at < 60 { Watts(2_400) } else { Watts(300) };
            let inverters = [order(at), Watts::ZERO, Watts::ZERO];
            regulator.inverters_heard(Sample { at: now, power: inverters, behind: [Watts::ZERO; 3] });
            regulator.meter_heard([load - order(at), Watts::ZERO, Watts::ZERO], now, false, &NO_LAG);
            regulator.give([order(at), Watts::ZERO, Watts::ZERO], now, &NO_LAG);
        }
        let load = share::total(regulator.load().unwrap());
        assert!(load < Watts(1_000), "{load}");
    }
}
