//! When time alone will change something, so that a decision is due although nothing was heard.

use super::alarms::REMOTE_OFF;
use super::sequencer::{FOUND_CLOSED, LOCAL_RETURN, REMEMBERED};
use super::{BOOT_WAIT, Genset, GensetState};
use crate::control::policy::GeneratorPolicy;
use crate::control::units::{Mono, Span};

impl Genset {
    /// The next moment after `now` at which a timer ends; [`Mono::NEVER`] when none runs. May be early, is never
    /// late.
    #[must_use]
    pub fn next_wake(&self, policy: &GeneratorPolicy, now: Mono) -> Mono {
        let since = |span: Span| Some(self.since + span);
        let off = |span: Span| self.stopped_at.map(|at| at + span);
        let still = self.feedback.still_since();
        let run = |span: Span| self.run_since.map(|at| at + span);
        let rest = policy.rest.max(policy.min_off);
        let of_state = match self.state {
            GensetState::Boot => [since(BOOT_WAIT), since(FOUND_CLOSED), None],
            GensetState::Starting => [since(policy.start_timeout), None, None],
            GensetState::CrankRest => [since(policy.crank_rest.max(policy.rest)), None, None],
            GensetState::WarmUp => [since(policy.warm_up), run(policy.min_run), None],
            GensetState::Running => [run(policy.min_run), run(policy.max_run), None],
            GensetState::CoolDown => [since(policy.cool_down), None, None],
            GensetState::Stopping => [since(policy.stop_time), since(policy.stop_timeout), None],
            GensetState::Resting => [off(rest), still.map(|at| at + policy.rest), None],
            GensetState::External => [off(rest), None, None],
            GensetState::Local => [since(REMOTE_OFF), self.automatic_since.map(|at| at + LOCAL_RETURN), None],
            GensetState::Stopped | GensetState::Lockout | GensetState::FuelStop => [None; 3],
        };
        of_state
            .into_iter()
            .flatten()
            .chain(self.lost_at.map(|at| at + REMEMBERED))
            .chain(self.resumed_at.map(|at| at + BOOT_WAIT))
            .chain(self.latches.loses_at(policy))
            .chain(self.feedback.doubts_at())
            .filter(|at| *at > now)
            .min()
            .unwrap_or(Mono::NEVER)
    }
}
