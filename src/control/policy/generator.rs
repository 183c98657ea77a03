//! The generator's policy.

use serde::{Deserialize, Serialize};

use crate::control::units::{Span, Watts};

/// One condition's thresholds. Direction is fixed per quantity: charge and voltage start low and stop
/// high, load and current start high and stop low. Thresholds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Starts at this value, in the quantity's carried unit.
    pub start: i64,
    /// Must hold this long.
    pub start_for: Span,
    /// Ends at this value.
    pub stop: i64,
    /// Must hold this long.
    pub stop_for: Span,
    /// Start and stop during quiet hours, when they differ.
    pub quiet: Option<(i64, i64)>,
}

/// Local seconds of the day, half-open; may cross midnight; never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// First second inside.
    pub from: i32,
    /// First second outside.
    pub to: i32,
}

/// What the loss of a condition's source does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLoss {
    /// A running set goes on; a resting one stays.
    #[default]
    Keep,
    /// Start after the time-out.
    Start,
    /// A running set stops after the time-out.
    Stop,
}

/// The generator. All times are monotonic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorPolicy {
    /// Whether conditions may start it by themselves.
    pub auto: bool,
    /// State of charge, in 0.01 %.
    pub soc: Option<Condition>,
    /// Site load, in W.
    pub load: Option<Condition>,
    /// Battery discharge current, in mA.
    pub current: Option<Condition>,
    /// Battery voltage, in mV.
    pub voltage: Option<Condition>,
    /// Quiet hours.
    pub quiet: Option<QuietHours>,
    /// Whether quiet hours block normal starts instead of only changing thresholds.
    pub quiet_blocks: bool,
    /// Minimum run: a floor, never a timer.
    pub min_run: Span,
    /// Alarm after running this long; zero is off.
    pub max_run: Span,
    /// Minimum time between stop and next start.
    pub min_off: Span,
    /// Pause between engine still and the next crank.
    pub rest: Span,
    /// An attempt without confirmation ends after this.
    pub start_timeout: Span,
    /// Attempts before lock-out.
    pub attempts: u8,
    /// Pause between attempts.
    pub crank_rest: Span,
    /// Engine runs without load first.
    pub warm_up: Span,
    /// Engine runs without load last.
    pub cool_down: Span,
    /// Shortest time in stopping.
    pub stop_time: Span,
    /// Alarm when the engine still turns after this.
    pub stop_timeout: Span,
    /// Generator voltage must be gone this long before the site counts it as gone.
    pub ac_gone_hold: Span,
    /// A missing feedback shorter than this is no loss.
    pub running_lost_debounce: Span,
    /// Silence of a condition's source for this long is a loss.
    pub loss_timeout: Span,
    /// What a loss does.
    pub on_loss: OnLoss,
    /// Whether the site has any feedback of the running engine.
    pub feedback: bool,
    /// Whether an operator switching auto off ends a run before its minimum.
    pub auto_off_immediate: bool,
    /// Most power it may deliver.
    pub rating: Option<Watts>,
}

impl Default for GeneratorPolicy {
    fn default() -> Self {
        Self {
            auto: true,
            soc: None,
            load: None,
            current: None,
            voltage: None,
            quiet: None,
            quiet_blocks: false,
            min_run: Span::ZERO,
            max_run: Span::ZERO,
            min_off: Span::ZERO,
            rest: Span::secs(30),
            start_timeout: Span::secs(60),
            attempts: 3,
            crank_rest: Span::secs(60),
            warm_up: Span::ZERO,
            cool_down: Span::ZERO,
            stop_time: Span::ZERO,
            stop_timeout: Span::secs(120),
            ac_gone_hold: Span::secs(3),
            running_lost_debounce: Span::secs(5),
            loss_timeout: Span::secs(300),
            on_loss: OnLoss::Keep,
            feedback: true,
            auto_off_immediate: false,
            rating: None,
        }
    }
}
