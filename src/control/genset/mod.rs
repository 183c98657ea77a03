//! The generator: conditions, arbiter, sequencer.
//!
//! [`Genset::step`] is called with every decision. It listens (`feedback`, `condition`), weighs what wants the set
//! against what forbids it (`arbiter`), and moves through the states of the engine (`sequencer`). It remembers
//! everything it needs in one `Copy` value, so that a snapshot of it continues without a bump.
//!
//! It never writes while in [`GensetState::Boot`], never starts twice within rest or minimum off time, never cranks
//! more than its attempts, and takes the minimum run for a floor: reaching it stops nothing by itself.

mod alarms;
mod arbiter;
mod condition;
mod feedback;
mod sequencer;
#[cfg(test)]
mod tests;
mod wake;

use serde::{Deserialize, Serialize};

use self::alarms::Raised;
use self::arbiter::{Latches, Standing, Verdict};
use self::condition::Surroundings;
use self::feedback::Feedback;
use super::image::Slot;
use super::policy::{GeneratorPolicy, QuietHours};
use super::reading::Reading;
use super::reason::Reason;
use super::site::{Event, Manual};
use super::units::{MilliAmps, MilliVolts, Mono, Soc, Span, Wall, Watts};

/// States of the generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GensetState {
    /// Until the first full set of inputs: the contact is left as found.
    #[default]
    Boot,
    /// Ready.
    Stopped,
    /// Pause before the next start.
    Resting,
    /// Cranking, not confirmed.
    Starting,
    /// Pause between attempts.
    CrankRest,
    /// Turning, without load.
    WarmUp,
    /// Turning, loaded.
    Running,
    /// Turning, without load, before the stop.
    CoolDown,
    /// Told to stop, not still yet.
    Stopping,
    /// Turning without our command.
    External,
    /// The set is not in automatic mode.
    Local,
    /// Out of attempts or in fault: needs an acknowledgement.
    Lockout,
    /// Out of fuel.
    FuelStop,
}

impl GensetState {
    /// Its kebab-case name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Stopped => "stopped",
            Self::Resting => "resting",
            Self::Starting => "starting",
            Self::CrankRest => "crank-rest",
            Self::WarmUp => "warm-up",
            Self::Running => "running",
            Self::CoolDown => "cool-down",
            Self::Stopping => "stopping",
            Self::External => "external",
            Self::Local => "local",
            Self::Lockout => "lockout",
            Self::FuelStop => "fuel-stop",
        }
    }

    /// Whether the run command is given in this state. In boot nothing is given: the contact is left as found.
    #[must_use]
    pub fn commands(self) -> bool {
        match self {
            Self::Starting | Self::WarmUp | Self::Running | Self::CoolDown => true,
            Self::Boot
            | Self::Stopped
            | Self::Resting
            | Self::CrankRest
            | Self::Stopping
            | Self::External
            | Self::Local
            | Self::Lockout
            | Self::FuelStop => false,
        }
    }

    /// Whether the engine was confirmed running on our command and must go on until told otherwise.
    fn confirmed(self) -> bool {
        self.commands() && self != Self::Starting
    }
}

/// What the generator's decision looks at. A slot tells a missing device from a missing word.
#[derive(Clone, Copy, Debug, Default)]
pub struct GensetInputs {
    /// State of charge.
    pub soc: Option<Reading<Soc>>,
    /// Site load.
    pub load: Option<Reading<Watts>>,
    /// Battery current, discharge positive.
    pub current: Option<Reading<MilliAmps>>,
    /// Battery voltage.
    pub voltage: Option<Reading<MilliVolts>>,
    /// Whether the engine turns.
    pub running: Slot,
    /// Whether its voltage is there.
    pub ac_present: Slot,
    /// The contact as read back.
    pub contact: Slot,
    /// Whether a device reads the contact back at all: then boot waits for its first word, because opening a
    /// contact that nobody looked at may stop a running engine.
    pub reads_contact: bool,
    /// Mode: 0 off, 1 auto, 2 manual, 3 test.
    pub mode: Slot,
    /// Fault: 0 none, 1 warning, 2 shutdown.
    pub fault: Slot,
    /// Time of day, for quiet hours.
    pub wall: Option<Wall>,
    /// What an operator wants now.
    pub manual: Manual,
}

impl GensetInputs {
    fn contact_closed(&self) -> Option<bool> {
        self.contact.reading().map(|reading| reading.value != 0)
    }

    fn shutdown_fault(&self) -> bool {
        self.fault.reading().is_some_and(|reading| reading.value >= 2)
    }

    /// A set that says nothing about its mode is taken to be in automatic mode.
    fn automatic_mode(&self) -> bool {
        self.mode.reading().is_none_or(|reading| reading.value == 1)
    }
}

/// What the generator looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GensetView {
    /// Its state.
    pub state: GensetState,
    /// The run command. In boot: the contact as found, not to be written.
    pub command: bool,
    /// Whether the load may connect to it.
    pub load_permit: bool,
    /// Why it runs, or why it may not.
    pub reason: Option<Reason>,
    /// Whether quiet hours hold.
    pub quiet: bool,
    /// Confirmed starts since the counter began.
    pub starts: u32,
    /// Time the engine turned.
    pub run_time: Span,
    /// What is left of the minimum run.
    pub min_run_left: Span,
    /// Crank attempt, from 1; zero while none is under way.
    pub attempt: u8,
}

/// Why the set is locked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum LockCause {
    /// Start attempts used up.
    #[default]
    Attempts,
    /// The set reports a shutdown.
    Fault,
    /// The engine stopped by itself twice within the hour.
    Lost,
}

/// Everything the generator remembers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Genset {
    /// The last step; none before the first.
    at: Option<Mono>,
    state: GensetState,
    /// When the state began.
    since: Mono,
    latches: Latches,
    feedback: Feedback,
    verdict: Verdict,
    quiet: bool,
    /// Crank attempts since the last confirmed start.
    attempts: u8,
    /// When the last of them began.
    attempted_at: Mono,
    /// When running was confirmed, for this run.
    run_since: Option<Mono>,
    /// When the run command was last withdrawn.
    stopped_at: Option<Mono>,
    /// When the engine last stopped without being told, for an hour.
    lost_at: Option<Mono>,
    lock_cause: LockCause,
    /// When the set came back to automatic mode, after having left it.
    automatic_since: Option<Mono>,
    /// The operator ended a run: its minimum no longer counts.
    waived: bool,
    /// What the operator wanted at the last step.
    manual: Manual,
    /// The set was found running with no memory of why; until its run ends.
    found: bool,
    /// And no condition owns it yet.
    unowned: bool,
    acknowledged: bool,
    /// The process was away since then, and the engine was not heard yet.
    resumed_at: Option<Mono>,
    raised: Raised,
    starts: u32,
    run_time: Span,
}

impl Genset {
    /// One decision: listens, weighs, moves on. `events` hears of a changed state and of alarms.
    pub fn step(
        &mut self,
        policy: &GeneratorPolicy,
        inputs: &GensetInputs,
        now: Mono,
        events: &mut impl FnMut(Event),
    ) -> GensetView {
        let before = self.state;
        self.listen(policy, inputs, now);
        self.weigh(policy, inputs, now);
        self.advance(policy, inputs, now);
        self.acknowledged = false;
        self.manual = inputs.manual;
        if self.state != before {
            events(Event::Generator(self.state));
        }
        self.raise(policy, inputs, now, events);
        self.view(policy, inputs, now)
    }

    /// A generator whose past is lost: it may have stopped just now, so rest and minimum off time begin.
    #[must_use]
    pub fn cautious(now: Mono) -> Self {
        Self { stopped_at: Some(now), ..Self::default() }
    }

    /// Control was taken after observing: what was only imagined so far is forgotten, the counters apart. The engine
    /// is looked at as after a start, and may have stopped just now.
    pub fn take_over(&mut self, now: Mono) {
        *self = Self { starts: self.starts, run_time: self.run_time, ..Self::cautious(now) };
    }

    /// An operator has seen the alarm: leaves lock-out at the next step if its cause is gone.
    pub fn acknowledge(&mut self) {
        self.acknowledged = true;
    }

    /// The process was away and continues from a snapshot. Silence during the absence is nobody's loss, and what
    /// the engine did meanwhile is heard before anything is concluded: what is remembered may be older than its start,
    /// so a set that is remembered at rest is looked at as after a first start, with its rest, attempts and counters.
    pub fn resume(&mut self, now: Mono) {
        self.latches.resume(now);
        if self.at.is_some() {
            self.at = Some(now);
            self.resumed_at = Some(now);
            // A stop that was under way goes on: nobody has confirmed it yet.
            let stays = matches!(self.state, GensetState::Lockout | GensetState::Stopping);
            if !self.state.commands() && !stays {
                self.state = GensetState::Boot;
                self.since = now;
            }
        }
    }

    /// Everything that wants the set now, highest rank first, then everything that forbids it.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> + '_ {
        self.verdict.wants.iter().chain(self.verdict.vetoes.iter()).flatten().copied()
    }

    /// Whether the set is wanted, as far as nothing of a higher rank forbids it.
    #[must_use]
    pub fn demand(&self) -> bool {
        self.verdict.run
    }

    /// Where the sequencer stands.
    #[must_use]
    pub fn state(&self) -> GensetState {
        self.state
    }

    fn listen(&mut self, policy: &GeneratorPolicy, inputs: &GensetInputs, now: Mono) {
        let elapsed = self.at.map_or(Span::ZERO, |at| now.since(at));
        if self.at.is_none() {
            self.since = now;
        }
        self.at = Some(now);
        if self.feedback.turning() && elapsed > Span::ZERO {
            self.run_time += elapsed;
        }
        // Without feedback the engine is taken to do what it was told, and to have been found as its contact.
        let told = self.command(inputs);
        self.feedback.hear(inputs, (!policy.feedback).then_some(told), now);
        self.quiet = quiet(policy.quiet, inputs.wall);
        let around = Surroundings {
            quiet: self.quiet,
            on: self.state.commands(),
            vetoed: self.verdict.vetoed,
            loss_timeout: policy.loss_timeout,
        };
        self.latches.step(policy, inputs, around, now);
    }

    fn weigh(&mut self, policy: &GeneratorPolicy, inputs: &GensetInputs, now: Mono) {
        let on = self.state.commands();
        if self.unowned {
            let owned = policy.auto && self.latches.adopt(policy, self.quiet);
            self.unowned = on && !owned && inputs.manual == Manual::Auto;
        }
        let standing = Standing {
            on,
            automatic_before: self.verdict.automatic,
            unowned: self.unowned,
            waived: self.waived,
            quiet: self.quiet,
            lockout: self.state == GensetState::Lockout,
            remote_off: self.state == GensetState::Local || !inputs.automatic_mode(),
            doubt: self.feedback.doubt(now),
        };
        self.verdict = arbiter::arbitrate(policy, &self.latches, inputs.manual, standing);
        // Ending a manual run ends it: its minimum is the operator's affair, unless a condition holds it.
        if self.manual == Manual::Run && inputs.manual != Manual::Run && on && !self.verdict.automatic {
            self.waived = true;
            self.verdict.floor = false;
        }
    }

    fn view(&self, policy: &GeneratorPolicy, inputs: &GensetInputs, now: Mono) -> GensetView {
        let on = self.state.commands();
        let left = self.floor_left(policy, now);
        let cranking = self.state == GensetState::Starting || self.state == GensetState::CrankRest;
        GensetView {
            state: self.state,
            command: self.command(inputs),
            load_permit: self.permits_load(policy),
            reason: self.verdict.shown(on, left),
            quiet: self.quiet,
            starts: self.starts,
            run_time: self.run_time,
            min_run_left: left,
            attempt: if cranking { self.attempts } else { 0 },
        }
    }

    /// What the contact is told; in boot, what it was found to be.
    fn command(&self, inputs: &GensetInputs) -> bool {
        if self.state == GensetState::Boot {
            inputs.contact_closed().unwrap_or(false)
        } else {
            self.state.commands()
        }
    }

    /// What is left of the minimum run that still counts.
    fn floor_left(&self, policy: &GeneratorPolicy, now: Mono) -> Span {
        match self.run_since {
            Some(since) if self.state.confirmed() && self.verdict.floor => {
                (policy.min_run - now.since(since)).max(Span::ZERO)
            }
            Some(_) | None => Span::ZERO,
        }
    }
}

/// How long a start of the controller waits for the first full set of inputs.
const BOOT_WAIT: Span = Span::secs(30);

/// Whether quiet hours hold: half-open, across midnight where `from` is later than `to`. A clock that is not to
/// be believed makes no quiet hours: power counts more than silence.
fn quiet(hours: Option<QuietHours>, wall: Option<Wall>) -> bool {
    let (Some(hours), Some(wall)) = (hours, wall.filter(|wall| wall.valid)) else { return false };
    let second = wall.second_of_day();
    if hours.from <= hours.to {
        (hours.from..hours.to).contains(&second)
    } else {
        second >= hours.from || second < hours.to
    }
}
impl Default for GensetView {
    fn default() -> Self {
        Self {
            state: GensetState::Boot,
            command: false,
            load_permit: true,
            reason: None,
            quiet: false,
            starts: 0,
            run_time: Span::ZERO,
            min_run_left: Span::ZERO,
            attempt: 0,
        }
    }
}
