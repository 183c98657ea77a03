//! What the service manager is told: ready after the first decision, alive after each, leaving. Without one, nothing.

use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use tracing::debug;

/// The service manager, as far as it listens.
#[derive(Debug)]
pub(super) struct Manager {
    /// It restarts us when it has heard nothing for this long.
    watchdog: Option<Duration>,
    ready: bool,
    told_at: Option<Instant>,
}

impl Manager {
    /// As the environment says.
    pub fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled(), ready: false, told_at: None }
    }

    /// A decision was completed: nothing else may ever feed the watchdog.
    pub fn decided(&mut self, status: impl FnOnce() -> String) {
        let period = self.watchdog.map_or(Duration::from_secs(10), |watchdog| watchdog / 2);
        if self.ready && self.told_at.is_some_and(|at| at.elapsed() < period) {
            return;
        }
        self.told_at = Some(Instant::now());
        let status = status();
        let mut word = vec![NotifyState::Status(&status)];
        if !std::mem::replace(&mut self.ready, true) {
            word.push(NotifyState::Ready);
        }
        if self.watchdog.is_some() {
            word.push(NotifyState::Watchdog);
        }
        tell(&word);
    }

    /// A changed profile is being taken over.
    pub fn reloading(&mut self) {
        // Said again with the next decision, which is the first under the new profile.
        self.ready = false;
        let since = NotifyState::monotonic_usec_now().ok();
        tell(&since.into_iter().chain([NotifyState::Reloading]).collect::<Vec<_>>());
    }

    /// The process is about to leave.
    pub fn stopping(&self) {
        tell(&[NotifyState::Stopping, NotifyState::Status("stopping: handing setpoints back")]);
    }
}

fn tell(word: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(word) {
        // Its watchdog will act; nothing here can be done about it.
        debug!(%error, "the service manager cannot be told");
    }
}
