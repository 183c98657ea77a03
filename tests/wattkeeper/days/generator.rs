//! Invariant 3: the generator's command, watched from outside by its edges.

use wattkeeper::control::genset::{GensetState, GensetView};
use wattkeeper::control::policy::{Control, GeneratorPolicy};
use wattkeeper::control::reason::Reason;
use wattkeeper::control::site::Manual;
use wattkeeper::control::units::{Mono, Span};

use super::known::Known;

/// Crank attempts are remembered this long.
const REMEMBERED: Span = Span::secs(3_600);

#[derive(Clone, Default)]
pub struct Generator {
    on: bool,
    left_boot: bool,
    on_at: Mono,
    off_at: Option<Mono>,
    /// When this run was confirmed.
    run_since: Option<Mono>,
    /// Whether the last time the command was given ended in a confirmed run.
    ran: bool,
    /// Something listed has happened that may end this run before its minimum.
    excused: bool,
    attempts: u8,
    manual: Manual,
    still_since: Option<Mono>,
    state: GensetState,
    /// Since when the charge has been where it stops the set.
    full_since: Option<Mono>,
    /// The set was found running, and runs on.
    adopted: bool,
    /// The process was away and has not heard the engine since.
    resumed: bool,
}

impl Generator {
    /// Where nobody knows, it may have stopped just now.
    pub fn assume_stopped(&mut self, now: Mono) {
        self.off_at = Some(now);
        self.ran = true;
    }

    /// The process was away: the engine must be heard again.
    pub fn resume(&mut self) {
        self.resumed = true;
        self.still_since = None;
    }

    pub fn runs(&self) -> bool {
        self.on
    }

    pub fn cranks(&self) -> bool {
        self.on && self.run_since.is_none()
    }

    /// Whether it was told to stop within the last minute.
    pub fn just_stopped(&self, now: Mono) -> bool {
        !self.on && self.off_at.is_some_and(|off| now.since(off) <= Span::minutes(1))
    }

    pub fn check(&mut self, now: Mono, known: &Known, view: &GensetView) -> Result<(), String> {
        let Some(policy) = &known.policy.generator else { return Ok(()) };
        let wired = &known.wiring.generator;
        let unknown_after = Span::secs(60);
        let running = known.fresh(wired.running, now, unknown_after);
        let turning = running.or(known.fresh(wired.ac_present, now, unknown_after)).map(|value| value != 0);
        let fault = known.reading(wired.fault).is_some_and(|(value, _)| value >= 2);
        let automatic = known.reading(wired.mode).is_none_or(|(value, _)| value == 1);
        self.still_since = match turning {
            Some(false) => self.still_since.or(Some(now)),
            _ => None,
        };
        // What is never ordered is never confirmed: whoever observes assumes, and nothing of it reaches an engine.
        if known.policy.control == Control::Observe {
            *self = Self { still_since: self.still_since, ..Self::default() };
            return Ok(());
        }
        let soc = known.reading(known.wiring.battery.soc).map(|(soc, _)| soc);
        let full = policy.soc.zip(soc).is_some_and(|(condition, soc)| soc >= condition.stop);
        self.full_since = if full { self.full_since.or(Some(now)) } else { None };
        if known.acknowledged && self.state == GensetState::Lockout {
            self.attempts = 0;
        }
        if view.state == GensetState::Boot {
            // A set remembered at rest is looked at again, and may be found running.
            self.left_boot = false;
            self.on = view.command;
            return Ok(());
        }
        self.consistent(policy, known, view)?;
        let absent = self.resumed && turning == Some(false);
        self.resumed &= turning.is_none();
        if self.on && turning == Some(true) {
            // It did start, and be it that it is told to stop at the same moment, after a restart.
            self.ran = true;
            self.attempts = 0;
        }
        if absent && self.on {
            // It stopped while nobody looked.
            self.run_since = None;
        }
        // An engine that has not turned yet is no engine that was lost.
        let lost = self.run_since.is_some()
            && self
                .still_since
                .is_some_and(|since| now.since(since) + Span::secs(1) >= policy.running_lost_debounce);
        let auto = known.told.auto.unwrap_or(policy.auto);
        let manual = known.told.manual;
        let ended = self.manual == Manual::Run && manual != Manual::Run;
        self.manual = manual;
        if view.command && !self.on || !self.left_boot {
            self.excused = false;
        }
        let troubled = fault || !automatic || lost || absent;
        self.excused |= manual == Manual::Off || ended || troubled || (!auto && policy.auto_off_immediate);
        let result = match (self.on, view.command) {
            (false, true) => self.started(now, policy, known, view, fault, automatic, turning),
            (true, false) if manual == Manual::Run && self.run_since.is_some() && !troubled => {
                Err("stopped while an operator wants it to run".to_owned())
            }
            (true, false) => self.stopped(now, policy, view),
            _ => Ok(()),
        };
        if view.command && self.run_since.is_none() {
            let adopted = !self.left_boot && taken_as_found(view.state);
            if turning == Some(true) || adopted || !policy.feedback {
                self.run_since = Some(now);
                self.ran = true;
                self.attempts = 0;
            }
            self.adopted |= adopted;
        }
        self.adopted &= view.command;
        self.left_boot = true;
        self.on = view.command;
        self.state = view.state;
        result
    }

    /// What is told of a state agrees with it, and the reason with what is known.
    fn consistent(&self, policy: &GeneratorPolicy, known: &Known, view: &GensetView) -> Result<(), String> {
        if view.command != view.state.commands() {
            return Err(format!("command {} in {}", view.command, view.state.name()));
        }
        let unloaded = [GensetState::Starting, GensetState::WarmUp, GensetState::CoolDown];
        if unloaded.contains(&view.state) && view.load_permit {
            return Err(format!("the load may connect in {}", view.state.name()));
        }
        if view.quiet != quiet(policy, known) {
            return Err(format!("quiet {} at second {:?} of the day", view.quiet, known.second_of_day()));
        }
        let found = view.command && (self.adopted || !self.left_boot);
        let wanted = match known.told.manual {
            Manual::Auto => found,
            Manual::Run | Manual::Off => true,
        };
        if view.reason == Some(Reason::GeneratorManual) && !wanted {
            return Err(format!("an operator is the reason, who ordered {:?}", known.told.manual));
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "each is one fact of the moment")]
    fn started(
        &mut self,
        now: Mono,
        policy: &GeneratorPolicy,
        known: &Known,
        view: &GensetView,
        fault: bool,
        automatic: bool,
        turning: Option<bool>,
    ) -> Result<(), String> {
        let manual = known.told.manual;
        let pause = if self.ran { policy.rest.max(policy.min_off) } else { policy.rest };
        let before = self.off_at;
        if now.since(self.on_at) >= REMEMBERED {
            self.attempts = 0;
        }
        let taken_over = view.state == GensetState::Running && turning == Some(true);
        let found = !self.left_boot && taken_as_found(view.state);
        self.attempts = if taken_over || found { 0 } else { self.attempts + 1 };
        self.on_at = now;
        self.run_since = None;
        self.ran = false;
        if found {
            // Nobody knows since when it runs, so its minimum begins anew.
            let floor = policy.min_run > Span::ZERO && !self.excused;
            return match view.state {
                GensetState::CoolDown if floor => Err("found running and cooled down at once".to_owned()),
                _ => Ok(()),
            };
        }
        if let Some(off) = before.filter(|off| now.since(*off) < pause) {
            return Err(format!(
                "started {} s after the stop, pause {} s",
                now.since(off).0 / 1_000,
                pause.0 / 1_000
            ));
        }
        if self.attempts > policy.attempts.max(1) {
            return Err(format!("crank attempt {} of {}", self.attempts, policy.attempts));
        }
        if manual == Manual::Off || fault || !automatic {
            return Err(format!("started with manual {manual:?}, fault {fault}, automatic mode {automatic}"));
        }
        if turning.is_none() && policy.feedback {
            return Err("started without knowing whether the engine turns".to_owned());
        }
        let full = self
            .full_since
            .zip(policy.soc)
            .is_some_and(|(since, condition)| now.since(since) > condition.stop_for + Span::secs(2));
        match view.reason {
            None => Err("started without a reason".to_owned()),
            Some(Reason::GeneratorSoc(_)) if full => {
                Err("started for a charge at which it would stop".to_owned())
            }
            Some(reason)
                if policy.quiet_blocks
                    && view.quiet
                    && !matches!(reason, Reason::GeneratorManual | Reason::GeneratorLoss) =>
            {
                Err(format!("started in quiet hours, for {reason}"))
            }
            Some(_) => Ok(()),
        }
    }

    fn stopped(&mut self, now: Mono, policy: &GeneratorPolicy, view: &GensetView) -> Result<(), String> {
        self.off_at = Some(now);
        let ran = self.run_since.take().map(|since| now.since(since));
        match ran {
            Some(ran) if ran < policy.min_run && !self.excused => Err(format!(
                "stopped after {} s, minimum run {} s, into {}",
                ran.0 / 1_000,
                policy.min_run.0 / 1_000,
                view.state.name()
            )),
            _ => Ok(()),
        }
    }
}

/// A set that was found running goes on, or cools down where nothing wants it and no minimum holds it.
fn taken_as_found(state: GensetState) -> bool {
    matches!(state, GensetState::Running | GensetState::CoolDown)
}

/// Whether quiet hours hold: only while the clock is to be believed.
fn quiet(policy: &GeneratorPolicy, known: &Known) -> bool {
    let Some((hours, second)) = policy.quiet.zip(known.second_of_day()) else { return false };
    let (from, to) = (i64::from(hours.from), i64::from(hours.to));
    if from <= to { second >= from && second < to } else { second >= from || second < to }
}
