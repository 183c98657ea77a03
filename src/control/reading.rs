//! Values with the moment they were asked for, and how far they may be trusted by now.
//!
//! A signal is *good*, *held* or *unknown*; between held and unknown the fail-safe table knows one more step,
//! *degraded*, where the last value is used only for the cautious side. A sentinel, a NaN or an out-of-range
//! value is unknown at once; silence becomes held, then degraded, then safe. Unknown is never a number.

use serde::{Deserialize, Serialize};

use super::policy::Stages;
use super::units::{Mono, Soc, Span, WattHours, Watts};

/// A value and when it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading<T> {
    /// What was said.
    pub value: T,
    /// When we asked: the value is at least as young as this.
    pub asked_at: Mono,
}

impl<T> Reading<T> {
    /// Time since it was asked for.
    pub fn age(&self, now: Mono) -> Span {
        now.since(self.asked_at)
    }
}

impl Reading<Soc> {
    /// The lowest charge the battery can hold by `now`, had it discharged at `power` since it was last
    /// heard. Equal to the value while fresh, honest while silent.
    #[must_use]
    pub fn worst_case(&self, capacity: WattHours, power: Watts, now: Mono) -> Soc {
        let lost_mj = i64::from(power.0.max(0)).saturating_mul(self.age(now).0.max(0));
        // 1 Wh is 3 600 000 mJ and the whole capacity 10 000 centi-percent.
        let centi_mj = capacity.0.saturating_mul(360);
        let centi = lost_mj.checked_div(centi_mj).unwrap_or(10_000);
        self.value.minus_centi(i32::try_from(centi).unwrap_or(10_000))
    }
}

/// How far an input may be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// Fresh.
    Good,
    /// Silent for a moment: the last value stands.
    Held,
    /// Silent too long to act on, too short to give up.
    Degraded,
    /// Unknown: the cautious case.
    #[default]
    Safe,
}

impl Stage {
    /// Its name in reasons and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Held => "held",
            Self::Degraded => "degraded",
            Self::Safe => "safe",
        }
    }

    /// Its number in `ess_failsafe_level`.
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Held => 1,
            Self::Degraded => 2,
            Self::Safe => 3,
        }
    }
}

/// What the guard of one input remembers: an input that fell silent is believed again only after a run of
/// fresh samples, and one that never spoke needs its first three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    stage: Stage,
    ever: bool,
    run: u8,
    run_since: Mono,
    last: Mono,
    /// How often it was lost since `losses_since`, the first of them.
    losses: u8,
    losses_since: Mono,
}

/// An input that was lost more often than this within this time flaps, and must be good for longer to be believed.
const FLAPS: u8 = 3;
const FLAPPING: Span = Span::minutes(10);
const CALM: Span = Span::secs(30);

/// Fresh samples of each required input before the first order after a start.
const FIRST_SAMPLES: u8 = 3;

impl Trust {
    /// Brings the stage up to date. `heard` is the newest good sample's moment, `None` when the newest word
    /// was a sentinel or nothing was ever heard.
    pub fn update(&mut self, stages: &Stages, heard: Option<Mono>, now: Mono) -> Stage {
        let Some(asked_at) = heard else {
            if self.stage <= Stage::Held {
                self.lost(now);
            }
            self.run = 0;
            self.stage = Stage::Safe;
            return self.stage;
        };
        let age = now.since(asked_at);
        if asked_at > self.last || (self.run == 0 && !self.ever) {
            let gap = asked_at.since(self.last);
            if self.run == 0 || gap > stages.degraded {
                self.run = 0;
                self.run_since = asked_at;
            }
            self.run = self.run.saturating_add(1);
            self.last = asked_at;
        }
        let by_age = if age <= stages.held {
            Stage::Good
        } else if age <= stages.degraded {
            Stage::Held
        } else if age <= stages.safe {
            Stage::Degraded
        } else {
            Stage::Safe
        };
        if by_age > Stage::Held {
            self.run = 0;
        }
        let (samples, over) =
            if self.ever { (stages.samples, stages.over) } else { (FIRST_SAMPLES, Span::ZERO) };
        let over = if self.flaps(now) { over.max(CALM) } else { over };
        let recovered = self.run >= samples && asked_at.since(self.run_since) >= over;
        let before = self.stage;
        self.stage = match self.stage {
            Stage::Safe | Stage::Degraded if by_age <= Stage::Held && !recovered => self.stage,
            Stage::Good | Stage::Held | Stage::Degraded | Stage::Safe => by_age,
        };
        if self.stage <= Stage::Held {
            self.ever = true;
        } else if before <= Stage::Held {
            self.lost(now);
        }
        self.stage
    }

    fn lost(&mut self, now: Mono) {
        if now.since(self.losses_since) > FLAPPING {
            self.losses = 0;
        }
        if self.losses == 0 {
            self.losses_since = now;
        }
        self.losses = self.losses.saturating_add(1);
    }

    fn flaps(&self, now: Mono) -> bool {
        self.losses > FLAPS && now.since(self.losses_since) <= FLAPPING
    }

    /// The stage as of the last update.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether it has been good at least once since the start.
    #[must_use]
    pub fn ever(&self) -> bool {
        self.ever
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METER: Stages = Stages {
        held: Span::secs(2),
        degraded: Span::secs(5),
        safe: Span::secs(15),
        samples: 5,
        over: Span::secs(5),
    };

    fn at(seconds: i64) -> Mono {
        Mono::ZERO + Span::secs(seconds)
    }

    #[test]
    fn an_input_is_believed_from_its_third_fresh_sample_on() {
        let mut trust = Trust::default();
        let stages: Vec<_> =
            (0..4).map(|second| trust.update(&METER, Some(at(second)), at(second)).name()).collect();
        assert_eq!(stages, ["safe", "safe", "good", "good"]);
    }

    #[test]
    fn silence_passes_through_held_and_degraded_and_comes_back_after_five_samples_over_five_seconds() {
        let mut trust = Trust::default();
        for second in 0..=10 {
            trust.update(&METER, Some(at(second)), at(second));
        }
        let stage_at = |trust: &mut Trust, heard, second| trust.update(&METER, Some(at(heard)), at(second));
        assert_eq!(stage_at(&mut trust, 10, 12), Stage::Good);
        assert_eq!(stage_at(&mut trust, 10, 13), Stage::Held);
        assert_eq!(stage_at(&mut trust, 10, 16), Stage::Degraded);
        assert_eq!(stage_at(&mut trust, 10, 26), Stage::Safe);
        let back: Vec<_> = (100..107).map(|second| stage_at(&mut trust, second, second).level()).collect();
        assert_eq!(back, [3, 3, 3, 3, 3, 0, 0]);
    }

    #[test]
    fn n12_an_input_that_comes_and_goes_is_believed_after_half_a_minute_of_calm() {
        let mut trust = Trust::default();
        // Ten seconds of samples, ten of silence, five times; then it stays.
        let back_after = |trust: &mut Trust, from: i64| {
            let good = |second: &i64| trust.update(&METER, Some(at(*second)), at(*second)) == Stage::Good;
            (from..from + 60).find(good).map(|second| second - from)
        };
        for second in 0..100 {
            let heard = if second % 20 < 10 { second } else { second - second % 20 + 9 };
            trust.update(&METER, Some(at(heard)), at(second));
        }
        assert_eq!(back_after(&mut trust, 100), Some(30));
        for second in 160..2_000 {
            trust.update(&METER, Some(at(second)), at(second));
        }
        trust.update(&METER, Some(at(1_999)), at(2_050));
        assert_eq!(back_after(&mut trust, 2_051), Some(5), "a quiet half hour is forgiven");
    }

    #[test]
    fn a_sentinel_is_unknown_at_once() {
        let mut trust = Trust::default();
        for second in 0..5 {
            trust.update(&METER, Some(at(second)), at(second));
        }
        assert_eq!(trust.update(&METER, None, at(5)), Stage::Safe);
    }

    #[test]
    fn the_worst_case_charge_falls_with_silence() {
        let heard = Reading { value: Soc::percent(50), asked_at: at(0) };
        // 5 kW out of 10 kWh for 720 s is 10 %.
        assert_eq!(heard.worst_case(WattHours(10_000), Watts(5_000), at(720)), Soc::percent(40));
        assert_eq!(heard.worst_case(WattHours(10_000), Watts(5_000), at(0)), Soc::percent(50));
    }
}
