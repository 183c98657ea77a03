//! The states of the engine and what leads from one to the next.
//!
//! ```text
//! boot -> stopped -> starting -> warm-up -> running -> cool-down -> stopping -> resting -> stopped
//!              ^        |  ^                                                      ^
//!              |        v  |                                                      |
//!              |    crank-rest                        any run whose engine is lost
//!              +-- external, local; lockout from every state by a fault
//! ```
//!
//! The command follows from the state alone ([`GensetState::commands`]). Several steps may be taken in one
//! decision (a warm-up of zero takes no time), but the command never falls and rises within one.

use super::feedback::Doubt;
use super::{BOOT_WAIT, Genset, GensetInputs, GensetState, LockCause};
use crate::control::policy::GeneratorPolicy;
use crate::control::units::{Mono, Span};

/// How long a contact found closed beside an engine found still may stay so.
pub(super) const FOUND_CLOSED: Span = Span::secs(15);
/// How long the set must be back in automatic mode before it is ours again.
pub(super) const LOCAL_RETURN: Span = Span::secs(10);
/// Crank attempts and unexpected stops are remembered this long.
pub(super) const REMEMBERED: Span = Span::secs(3_600);
/// No chain of states that take no time is longer.
const CHAIN: usize = 6;

impl Genset {
    /// Takes every transition that is due.
    pub(super) fn advance(&mut self, policy: &GeneratorPolicy, inputs: &GensetInputs, now: Mono) {
        let commanded = self.state.commands();
        self.forget(inputs, now);
        if self.returning(policy, inputs, now) {
            return;
        }
        for _ in 0..CHAIN {
            let Some(next) = self.next(policy, inputs, now) else { break };
            if next.commands() && !self.state.commands() && commanded {
                break;
            }
            self.enter(next, inputs, now);
            self.feedback.assume(self.state.commands());
            self.weigh(policy, inputs, now);
        }
    }

    /// Drops what is too old to matter.
    fn forget(&mut self, inputs: &GensetInputs, now: Mono) {
        let cranking =
            matches!(self.state, GensetState::Starting | GensetState::CrankRest | GensetState::Lockout);
        if !cranking && now.since(self.attempted_at) >= REMEMBERED {
            self.attempts = 0;
        }
        let over = self.lost_at.is_some_and(|lost| now.since(lost) >= REMEMBERED);
        if (over || self.acknowledged) && self.state != GensetState::Lockout {
            self.lost_at = None;
        }
        if self.acknowledged {
            self.found = false;
        }
        self.automatic_since = if self.state == GensetState::Local && inputs.automatic_mode() {
            self.automatic_since.or(Some(now))
        } else {
            None
        };
    }

    /// After an absence of the process a run goes on untouched until the engine is heard. True while it waits.
    fn returning(&mut self, policy: &GeneratorPolicy, inputs: &GensetInputs, now: Mono) -> bool {
        let Some(resumed) = self.resumed_at else { return false };
        let heard = self.feedback.heard_after(resumed);
        if self.state.confirmed() && !heard && now.since(resumed) < BOOT_WAIT {
            return true;
        }
        self.resumed_at = None;
        let should_turn = self.state == GensetState::WarmUp || self.state == GensetState::Running;
        if should_turn && heard && !self.feedback.turning() {
            // With the contact still closed the set gets the chance to start that its attempt is for.
            let opened = inputs.contact_closed() == Some(false);
            let next = if opened { self.after_loss() } else { GensetState::Starting };
            self.enter(next, inputs, now);
            self.weigh(policy, inputs, now);
        }
        false
    }

    /// The state that is due now, if another one is. No side effects.
    fn next(&self, policy: &GeneratorPolicy, inputs: &GensetInputs, now: Mono) -> Option<GensetState> {
        use GensetState as S;
        let waited = now.since(self.since);
        let run = self.verdict.run;
        let turning = self.feedback.turning();
        let doubt = self.feedback.doubt(now);
        let turns = self.feedback.turns_for(policy.running_lost_debounce);
        if self.state == S::Boot {
            return self.leave_boot(inputs, policy, now);
        }
        if inputs.shutdown_fault() && self.state != S::Lockout {
            return Some(S::Lockout);
        }
        if !inputs.automatic_mode() && self.state != S::Local && self.state != S::Lockout {
            return Some(S::Local);
        }
        match self.state {
            S::Boot => None,
            S::Stopped if turns => Some(S::External),
            S::Stopped if run && !turning && doubt == Doubt::None => {
                Some(self.try_again(policy, S::Starting))
            }
            S::Resting if turns => Some(S::External),
            S::Resting if self.rested(policy, now) => Some(S::Stopped),
            S::Starting if turning && doubt == Doubt::None || !policy.feedback => {
                Some(if policy.warm_up > Span::ZERO { S::WarmUp } else { S::Running })
            }
            S::Starting if !run => Some(S::Stopping),
            S::Starting if waited >= policy.start_timeout => Some(self.try_again(policy, S::CrankRest)),
            S::CrankRest if !run => Some(S::Resting),
            S::CrankRest if waited >= policy.crank_rest.max(policy.rest) => {
                if turns {
                    Some(S::External)
                } else {
                    (!turning && doubt == Doubt::None).then_some(S::Starting)
                }
            }
            S::WarmUp | S::Running | S::CoolDown if self.feedback.still_for(policy.running_lost_debounce) => {
                Some(self.after_loss())
            }
            // An engine that was never loaded needs no cool-down.
            S::WarmUp if self.may_stop(policy, now) => Some(S::Stopping),
            S::WarmUp if waited >= policy.warm_up => Some(S::Running),
            S::Running if self.may_stop(policy, now) => {
                Some(if policy.cool_down > Span::ZERO { S::CoolDown } else { S::Stopping })
            }
            S::CoolDown if run => Some(S::Running),
            S::CoolDown if waited >= policy.cool_down => Some(S::Stopping),
            S::Stopping if waited >= policy.stop_time && self.feedback.quiet(policy.ac_gone_hold) => {
                Some(S::Resting)
            }
            S::External if self.feedback.still_for(policy.running_lost_debounce) => Some(S::Resting),
            // Taking a running engine over is a start of the command, and keeps its distance from the last one.
            S::External
                if run && doubt == Doubt::None && self.off_for(policy.rest.max(policy.min_off), now) =>
            {
                Some(S::Running)
            }
            S::Local if self.automatic_since.is_some_and(|at| now.since(at) >= LOCAL_RETURN) => {
                Some(if turning { S::External } else { S::Resting })
            }
            S::Lockout if self.acknowledged && !inputs.shutdown_fault() => Some(S::Resting),
            S::FuelStop => Some(S::Resting),
            S::Stopped
            | S::Resting
            | S::Starting
            | S::CrankRest
            | S::WarmUp
            | S::Running
            | S::CoolDown
            | S::Stopping
            | S::External
            | S::Local
            | S::Lockout => None,
        }
    }

    /// Boot ends with the first full set of inputs or after [`BOOT_WAIT`]. A running engine whose contact is not
    /// known to be open is taken over without touching it.
    fn leave_boot(&self, inputs: &GensetInputs, policy: &GeneratorPolicy, now: Mono) -> Option<GensetState> {
        let waited = now.since(self.since);
        let closed = inputs.contact_closed();
        let heard = self.feedback.doubt(now) == Doubt::None;
        let full = heard && self.latches.all_known(policy) && (closed.is_some() || !inputs.reads_contact);
        if !full && waited < BOOT_WAIT {
            return None;
        }
        if inputs.shutdown_fault() {
            return Some(GensetState::Lockout);
        }
        if !inputs.automatic_mode() {
            return Some(GensetState::Local);
        }
        match (closed, self.feedback.turning()) {
            (Some(true), false) if heard => (waited >= FOUND_CLOSED).then_some(GensetState::Resting),
            (Some(true), _) | (None, true) => Some(GensetState::Running),
            (Some(false), true) => Some(GensetState::External),
            // A stop just before the start counts, where it is remembered or cannot be ruled out.
            (Some(false) | None, false) if !self.off_for(policy.rest.max(policy.min_off), now) => {
                Some(GensetState::Resting)
            }
            (Some(false) | None, false) => Some(GensetState::Stopped),
        }
    }

    /// Another attempt, as long as there is one left.
    fn try_again(&self, policy: &GeneratorPolicy, next: GensetState) -> GensetState {
        if self.attempts >= policy.attempts.max(1) { GensetState::Lockout } else { next }
    }

    /// After an engine stopped without being told: once may be chance, twice within the hour is not.
    fn after_loss(&self) -> GensetState {
        if self.lost_at.is_some() { GensetState::Lockout } else { GensetState::Resting }
    }

    /// Reason gone and floor passed. While the feedback is in doubt only an operator stops the set.
    fn may_stop(&self, policy: &GeneratorPolicy, now: Mono) -> bool {
        let sure = self.feedback.doubt(now) != Doubt::Some || !self.verdict.floor;
        !self.verdict.run && sure && self.floor_left(policy, now) == Span::ZERO
    }

    /// Whether the command has been withdrawn for this long.
    fn off_for(&self, span: Span, now: Mono) -> bool {
        self.stopped_at.is_none_or(|at| now.since(at) >= span)
    }

    /// Rest counts from the still engine, minimum off time from the command; neither from before the other.
    fn rested(&self, policy: &GeneratorPolicy, now: Mono) -> bool {
        let still = self.feedback.still_since().is_none_or(|at| now.since(at) >= policy.rest);
        still
            && self.feedback.quiet(policy.ac_gone_hold)
            && self.off_for(policy.rest.max(policy.min_off), now)
    }

    /// Moves, and keeps the books of the state left and the state entered.
    fn enter(&mut self, next: GensetState, inputs: &GensetInputs, now: Mono) {
        use GensetState as S;
        let from = self.state;
        let closed_before = self.command(inputs);
        self.state = next;
        self.since = now;
        if closed_before && !next.commands() {
            self.stopped_at = Some(now);
        }
        if !next.confirmed() {
            self.run_since = None;
            self.waived = false;
            self.found = false;
            self.unowned = false;
        }
        match (from, next) {
            (_, S::Starting) => {
                self.attempts = self.attempts.saturating_add(1);
                self.attempted_at = now;
            }
            (S::Starting, S::WarmUp | S::Running) => {
                self.starts = self.starts.saturating_add(1);
                self.attempts = 0;
                self.run_since = Some(now);
            }
            (S::External, S::Running) => {
                self.attempts = 0;
                self.run_since = Some(now);
            }
            (S::Boot, S::Running) => {
                self.run_since = Some(now);
                self.found = true;
                self.unowned = true;
            }
            // The operator's stop was overtaken by a new wish, to which the minimum applies again.
            (S::CoolDown, S::Running) => self.waived = false,
            (S::Stopped | S::Resting | S::CrankRest, S::External) => {
                self.starts = self.starts.saturating_add(1);
            }
            (S::WarmUp | S::Running | S::CoolDown, S::Resting) => self.lost_at = Some(now),
            (S::Lockout, S::Resting) => {
                self.attempts = 0;
                self.lost_at = None;
            }
            (_, S::Lockout) => {
                // Nobody can have seen it yet.
                self.acknowledged = false;
                self.lock_cause = match from {
                    _ if inputs.shutdown_fault() => LockCause::Fault,
                    S::WarmUp | S::Running | S::CoolDown => LockCause::Lost,
                    S::Boot
                    | S::Stopped
                    | S::Resting
                    | S::Starting
                    | S::CrankRest
                    | S::Stopping
                    | S::External
                    | S::Local
                    | S::Lockout
                    | S::FuelStop => LockCause::Attempts,
                };
            }
            _ => {}
        }
    }

    /// Whether the load may connect: only to a warm engine that stays, or to one whose voltage is gone.
    pub(super) fn permits_load(&self, policy: &GeneratorPolicy) -> bool {
        use GensetState as S;
        match self.state {
            S::Boot | S::Stopped | S::Running | S::External | S::Local => true,
            S::Starting | S::CrankRest | S::WarmUp | S::CoolDown | S::Stopping => false,
            S::Resting | S::Lockout | S::FuelStop => self.feedback.quiet(policy.ac_gone_hold),
        }
    }
}
