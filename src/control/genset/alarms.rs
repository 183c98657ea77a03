//! The generator's alarms: each is true or not by the state of things, and only its edges are told.

use serde::{Deserialize, Serialize};

use super::feedback::Doubt;
use super::{Genset, GensetInputs, GensetState, LockCause};
use crate::control::policy::GeneratorPolicy;
use crate::control::site::{Alarm, Event};
use crate::control::units::{Mono, Span};

/// How long a set may be out of automatic mode before somebody is told.
pub(super) const REMOTE_OFF: Span = Span::secs(600);

/// Which alarms stand, one bit each in the order of [`Genset::alarms`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Raised(u16);

impl Genset {
    fn alarms(&self, policy: &GeneratorPolicy, inputs: &GensetInputs, now: Mono) -> [(Alarm, bool); 8] {
        let waited = now.since(self.since);
        let in_state = |state| self.state == state;
        let locked = |cause| in_state(GensetState::Lockout) && self.lock_cause == cause;
        let deaf =
            self.at.is_some() && !in_state(GensetState::Boot) && self.feedback.doubt(now) == Doubt::Full;
        let running_for = self.run_since.map_or(Span::ZERO, |since| now.since(since));
        [
            (Alarm::GeneratorFailToStart, locked(LockCause::Attempts)),
            (Alarm::GeneratorUnexpectedStop, self.lost_at.is_some() || locked(LockCause::Lost)),
            (
                Alarm::GeneratorFailToStop,
                in_state(GensetState::Stopping)
                    && waited >= policy.stop_timeout
                    && !self.feedback.quiet(Span::ZERO),
            ),
            (Alarm::GeneratorRemoteOff, in_state(GensetState::Local) && waited >= REMOTE_OFF),
            (Alarm::GeneratorFault, inputs.shutdown_fault() || locked(LockCause::Fault)),
            (Alarm::GeneratorAdopted, self.found),
            (Alarm::GeneratorMaxRun, policy.max_run > Span::ZERO && running_for >= policy.max_run),
            (Alarm::GeneratorNoFeedback, deaf || !policy.feedback),
        ]
    }

    /// Tells the edges of the alarms.
    pub(super) fn raise(
        &mut self,
        policy: &GeneratorPolicy,
        inputs: &GensetInputs,
        now: Mono,
        events: &mut impl FnMut(Event),
    ) {
        let mut stand = 0_u16;
        let mut bit = 1_u16;
        for (alarm, holds) in self.alarms(policy, inputs, now) {
            if holds {
                stand |= bit;
            }
            if holds != (self.raised.0 & bit != 0) {
                events(Event::Alarm(alarm, holds));
            }
            bit = bit.wrapping_shl(1);
        }
        self.raised = Raised(stand);
    }
}
