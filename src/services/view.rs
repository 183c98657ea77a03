//! The newest snapshot, and how long ago it came.
//!
//! Ages inside a snapshot stand still once the daemon stops publishing; the real time since it last spoke is what tells
//! a hung control loop from a quiet one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::published::Published;

/// The daemon publishes at least once a second; after this much silence something is wrong with it.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// The way to the newest snapshot.
#[derive(Clone, Debug)]
pub(super) struct View {
    published: watch::Receiver<Arc<Published>>,
    start: Instant,
    /// When the last snapshot came, in ms since `start`.
    came: Arc<AtomicU64>,
}

/// A snapshot as it is answered from.
#[derive(Clone, Debug)]
pub(super) struct Now {
    /// The snapshot.
    pub published: Arc<Published>,
    /// Real time since it came.
    pub silent: Duration,
}

impl View {
    pub fn new(published: watch::Receiver<Arc<Published>>) -> Self {
        Self { published, start: Instant::now(), came: Arc::default() }
    }

    /// Notes when snapshots come, until the daemon is gone.
    pub async fn listen(mut self) {
        while self.published.changed().await.is_ok() {
            let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.came.store(since, Ordering::Relaxed);
        }
    }

    /// What is known now.
    pub fn now(&self) -> Now {
        let came = Duration::from_millis(self.came.load(Ordering::Relaxed));
        let published = Arc::clone(&self.published.borrow());
        Now { published, silent: self.start.elapsed().saturating_sub(came) }
    }
}

impl Now {
    /// In words how fresh the newest decision is, or why it is not.
    pub fn fresh(&self) -> Result<String, String> {
        if self.silent > SILENT_AFTER {
            return Err(format!(
                "the control loop has said nothing for {} s; it may hang: see the log, restart the service",
                self.silent.as_secs()
            ));
        }
        let Some(age) = self.published.decision_age_ms() else {
            return Err("no decision yet: waiting for the first answers of the devices".to_owned());
        };
        if age > self.published.fresh_for_ms() {
            return Err(format!("the last decision is {} s old: see the log", age / 1000));
        }
        Ok(format!("last decision {:.1} s ago", Duration::from_millis(age.unsigned_abs()).as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::published::Decision;

    fn now(decided: Option<i64>, silent: u64) -> Now {
        let decision = decided.map(|at_ms| Decision { at_ms, ..Decision::default() });
        let published = Arc::new(Published { now_ms: 100_000, decision, ..Published::default() });
        Now { published, silent: Duration::from_secs(silent) }
    }

    #[test]
    fn a_site_is_ready_only_while_decisions_are_fresh_and_the_loop_speaks() {
        assert_eq!(now(Some(99_500), 1).fresh(), Ok("last decision 0.5 s ago".to_owned()));
        assert!(now(None, 1).fresh().is_err_and(|why| why.contains("no decision yet")));
        assert!(now(Some(50_000), 1).fresh().is_err_and(|why| why.contains("50 s old")));
        assert!(now(Some(99_500), 60).fresh().is_err_and(|why| why.contains("nothing for 60 s")));
    }
}
