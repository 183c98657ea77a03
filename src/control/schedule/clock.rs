//! Whether the wall clock may be believed.
//!
//! A clock that its source calls invalid, or that moved otherwise than the monotonic one, is doubted at once. It is
//! believed again when its source has called it valid for a minute. The first word after a start is believed.

use serde::{Deserialize, Serialize};

use crate::control::units::{Mono, Span, Wall};

/// More than this between the two clocks is a jump.
const JUMP: Span = Span::secs(120);
/// A doubted clock must have been valid this long.
const PROBATION: Span = Span::secs(60);

/// What is remembered of the wall clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockTrust {
    /// UTC second of the newest word that moved, and when it came.
    last: Option<(i64, Mono)>,
    doubted: bool,
    valid_since: Option<Mono>,
}

impl ClockTrust {
    /// The time of day, when it may be believed.
    pub fn step(&mut self, wall: Option<Wall>, now: Mono) -> Option<Wall> {
        let wall = wall?;
        let jumped = self.last.is_some_and(|(utc, at)| {
            let moved = Span::secs(wall.utc.saturating_sub(utc));
            (moved - now.since(at)).abs() > JUMP
        });
        // A clock that stands still is compared with the moment it stopped: silence becomes doubt.
        if self.last.is_none_or(|(utc, _)| utc != wall.utc) {
            self.last = Some((wall.utc, now));
        }
        if jumped || !wall.valid {
            self.doubted = true;
            self.valid_since = wall.valid.then_some(now);
            return None;
        }
        if self.doubted {
            let since = *self.valid_since.get_or_insert(now);
            if now.since(since) < PROBATION {
                return None;
            }
            self.doubted = false;
        }
        Some(wall)
    }
}
