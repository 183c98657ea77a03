//! Invariant 3: the generator's command, watched from outside by its edges.

use wattkeeper::control::genset::{GensetState, GensetView};
use wattkeeper::control::policy::GeneratorPolicy;
use wattkeeper::control::site::Manual;
use wattkeeper::control::units::{Mono, Span};

use super::known::Known;

/// Crank attempts are remembered this long.
const REMEMBERED: Span = Span::secs(3_600);

#[derive(Default)]
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
}

impl Generator {
    pub fn check(&mut self, now: Mono, known: &Known, view: &GensetView) -> Result<(), String> {
        let Some(policy) = &known.policy.generator else { return Ok(()) };
        let wired = &known.wiring.generator;
        let unknown_after = Span::secs(60);
        let running = known.fresh(wired.running, now, unknown_after);
        let turning = running.or(known.fresh(wired.ac_present, now, unknown_after)).map(|value| value != 0);
        let fault = known.reading(wired.fault).is_some_and(|(value, _)| value >= 2);
        let automatic = known.reading(wired.mode).is_none_or(|(value, _)| value == 1);
        if known.acknowledged && self.state == GensetState::Lockout {
            self.attempts = 0;
        }
        if view.state == GensetState::Boot {
            self.on = view.command;
            return Ok(());
        }
        if view.command != view.state.commands() {
            return Err(format!("command {} in {}", view.command, view.state.name()));
        }
        let unloaded = [GensetState::Starting, GensetState::WarmUp, GensetState::CoolDown];
        if unloaded.contains(&view.state) && view.load_permit {
            return Err(format!("the load may connect in {}", view.state.name()));
        }
        self.still_since = match turning {
            Some(false) => self.still_since.or(Some(now)),
            _ => None,
        };
        let still = self
            .still_since
            .is_some_and(|since| now.since(since) + Span::secs(1) >= policy.running_lost_debounce);
        let auto = known.auto.unwrap_or(policy.auto);
        let ended = self.manual == Manual::Run && known.manual != Manual::Run;
        self.manual = known.manual;
        if view.command && !self.on || !self.left_boot {
            self.excused = false;
        }
        self.excused |= known.manual == Manual::Off
            || ended
            || fault
            || !automatic
            || still
            || (!auto && policy.auto_off_immediate);
        let result = match (self.on, view.command) {
            (false, true) => self.started(now, policy, view, known.manual, fault, automatic, turning),
            (true, false) => self.stopped(now, policy, view),
            _ => Ok(()),
        };
        if view.command && self.run_since.is_none() {
            let adopted = !self.left_boot && view.state == GensetState::Running;
            if turning == Some(true) || adopted || !policy.feedback {
                self.run_since = Some(now);
                self.ran = true;
                self.attempts = 0;
            }
        }
        self.left_boot = true;
        self.on = view.command;
        self.state = view.state;
        result
    }

    #[expect(clippy::too_many_arguments, reason = "each is one fact of the moment")]
    fn started(
        &mut self,
        now: Mono,
        policy: &GeneratorPolicy,
        view: &GensetView,
        manual: Manual,
        fault: bool,
        automatic: bool,
        turning: Option<bool>,
    ) -> Result<(), String> {
        let pause = if self.ran { policy.rest.max(policy.min_off) } else { policy.rest };
        let before = self.off_at;
        if now.since(self.on_at) >= REMEMBERED {
            self.attempts = 0;
        }
        let taken_over = view.state == GensetState::Running && turning == Some(true);
        self.attempts = if taken_over || !self.left_boot { 0 } else { self.attempts + 1 };
        self.on_at = now;
        self.run_since = None;
        self.ran = false;
        if !self.left_boot {
            return Ok(());
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
        if view.reason.is_none() {
            return Err("started without a reason".to_owned());
        }
        Ok(())
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
