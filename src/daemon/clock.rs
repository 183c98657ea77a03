//! The only place that reads clocks.
//!
//! One time scale, 1 in production, through which every sleep of the site goes; a demonstration may run it faster.
//! Deadlines on the wire stay real.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::control::units::{Mono, Span, Wall};
use crate::modbus::pacer::Pacer;

/// A wall clock before this is wrong: the program is younger than that. Seconds since 1970, 2026-01-01.
const PLAUSIBLE: i64 = 1_767_225_600;

/// Monotonic time since the process began, and the time of day beside it.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Instant,
    started: Timestamp,
    speed: u32,
    zone: TimeZone,
}

impl Clock {
    /// A clock that starts now, `speed` site seconds to the real second, with the time of day of this zone. A zone
    /// that the database does not know counts as UTC; the profile's check has refused it before.
    #[must_use]
    pub fn start(speed: u32, timezone: &str) -> Self {
        Self {
            origin: Instant::now(),
            started: Timestamp::now(),
            speed: speed.max(1),
            zone: TimeZone::get(timezone).unwrap_or(TimeZone::UTC),
        }
    }

    /// Now. The first moment is one second, so that nothing ever happened at zero.
    #[must_use]
    pub fn now(&self) -> Mono {
        let real = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        Mono(1_000) + Span(real).scaled(i64::from(self.speed), 1)
    }

    /// Milliseconds since 1970 at a moment of this clock.
    #[must_use]
    pub fn utc_ms(&self, now: Mono) -> i64 {
        if self.speed == 1 {
            // The system's clock may be set while we run; a demonstration runs on its own.
            return Timestamp::now().as_millisecond().saturating_sub(self.now().since(now).0);
        }
        self.started.as_millisecond().saturating_add(now.0.saturating_sub(1_000))
    }

    /// Milliseconds since 1970 when the process began.
    #[must_use]
    pub fn started_utc_ms(&self) -> i64 {
        self.started.as_millisecond()
    }

    /// Real time since the process began.
    #[must_use]
    pub fn real(&self) -> std::time::Duration {
        self.origin.elapsed()
    }

    /// The time of day now.
    #[must_use]
    pub fn wall(&self) -> Wall {
        let ms = self.utc_ms(self.now());
        let utc = ms.div_euclid(1_000);
        let offset = Timestamp::from_millisecond(ms)
            .map_or(0, |stamp| self.zone.to_offset_info(stamp).offset().seconds());
        Wall { utc, offset, valid: utc >= PLAUSIBLE }
    }

    /// The same time for tasks.
    #[must_use]
    pub fn pacer(&self) -> Pacer {
        let clock = self.clone();
        Pacer { now: Arc::new(move || clock.now()), speed: self.speed }
    }
}
