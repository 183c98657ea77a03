//! The daemon's time, handed to tasks: reading it and waiting for it. Time may run faster than real time in a
//! demonstration; deadlines on the wire never do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::control::units::Mono;

/// The site's monotonic clock as a task may use it.
#[derive(Clone)]
pub struct Pacer {
    /// Reads the clock.
    pub now: Arc<dyn Fn() -> Mono + Send + Sync>,
    /// Site seconds per real second, from 1.
    pub speed: u32,
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer").field("now", &self.now()).field("speed", &self.speed).finish()
    }
}

impl Pacer {
    /// The moment it is now.
    #[must_use]
    pub fn now(&self) -> Mono {
        (self.now)()
    }

    /// Real time, for deadlines on the wire.
    #[must_use]
    pub fn wire_now() -> Instant {
        Instant::now()
    }

    /// Waits until the site's clock shows `moment`; returns at once when it is past.
    pub async fn sleep_until(&self, moment: Mono) {
        // Longer waits are cut, so that `Mono::NEVER` needs no special case and cannot overflow a timer.
        const LONGEST: Duration = Duration::from_secs(3_600);
        loop {
            let left = moment.since(self.now()).0;
            let Ok(left) = u64::try_from(left) else { return };
            if left == 0 {
                return;
            }
            let real = Duration::from_millis(left).checked_div(self.speed.max(1)).unwrap_or(LONGEST);
            tokio::time::sleep(real.clamp(Duration::from_millis(1), LONGEST)).await;
        }
    }
}
