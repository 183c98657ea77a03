//! Charge windows: when one is open, and what it wants.
//!
//! A window is a set of days, a local start and a length. The length is elapsed time. A start in the hour that
//! daylight saving skips is the first valid moment; in a repeated hour only the first pass counts: an occurrence that
//! began is remembered by its day. Only a restart within that hour, which forgets, begins a window there once more.

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::approach::Approach;
use super::{Act, Claim, MAX_WINDOWS};
use crate::control::policy::ScheduleWindow;
use crate::control::reason::{Reason, Tier};
use crate::control::units::{Soc, Wall};

/// Below the target by this much, charging begins again, in 0.01 %.
const HYSTERESIS: i32 = 500;
/// Above the target by this much, a window may allow discharge, in 0.01 %.
const ALLOWED_ABOVE: i32 = 100;
const DAY: i64 = 86_400;
/// The bit of the first day of each month.
const MONTHLY: u8 = 0b1000_0000;

/// Occurrences that have begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    begun: ArrayVec<Option<Begun>, MAX_WINDOWS>,
    /// UTC second and offset of the evaluation before.
    last: Option<(i64, i32)>,
}

/// The newest occurrence of one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Begun {
    /// Local day on which it began.
    day: i64,
    /// The window's local start, to notice that the profile changed.
    start: i32,
    /// UTC second at which it began.
    at: i64,
}

/// A window that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Its place in the policy.
    pub place: u8,
    /// UTC second at which it began.
    pub began: i64,
    /// The window.
    pub window: ScheduleWindow,
}

impl Windows {
    /// The open window that counts: the one with the highest target, or simply the first one.
    pub fn step(&mut self, windows: &[ScheduleWindow], first_wins: bool, wall: Wall) -> Option<Open> {
        let moved = self.last.filter(|(_, offset)| *offset != wall.offset);
        self.last = Some((wall.utc, wall.offset));
        self.begun.truncate(windows.len());
        while self.begun.len() < windows.len() && self.begun.try_push(None).is_ok() {}
        let mut best: Option<Open> = None;
        for ((place, window), begun) in (0u8..).zip(windows).zip(&mut self.begun) {
            *begun = occurrence(window, *begun, wall, moved);
            let Some(Begun { at, .. }) = *begun else { continue };
            let lasts = window.duration.whole_secs();
            if wall.utc.saturating_sub(at) >= lasts {
                continue;
            }
            if best.is_none_or(|best| !first_wins && window.target > best.window.target) {
                best = Some(Open { place, began: at, window: *window });
            }
        }
        best
    }
}

/// The occurrence that has begun last, whether or not it is over.
fn occurrence(
    window: &ScheduleWindow,
    before: Option<Begun>,
    wall: Wall,
    moved: Option<(i64, i32)>,
) -> Option<Begun> {
    let known = before.filter(|begun| begun.start == window.start && begun.at <= wall.utc);
    let start = window.start;
    let today = wall.local_day();
    for day in [today, today.saturating_sub(1)] {
        if known.is_some_and(|known| day <= known.day) {
            return known;
        }
        if !begins_on(window, day) {
            continue;
        }
        let at = |offset: i32| local(day, start).saturating_sub(i64::from(offset));
        let begins = at(wall.offset);
        // Not begun by the old offset, over by the new one: the start lay in the skipped hour.
        if moved.is_some_and(|(last, offset)| begins <= last && at(offset) > last) {
            return Some(Begun { day, start, at: wall.utc });
        }
        let since = wall.utc.saturating_sub(begins);
        if (0..window.duration.whole_secs()).contains(&since) {
            return Some(Begun { day, start, at: begins });
        }
    }
    known
}

/// When the next window begins, in local seconds since 1970-01-01 00:00 local.
#[must_use]
pub fn next(windows: &[ScheduleWindow], wall: Wall) -> Option<i64> {
    let (today, now) = (wall.local_day(), wall.second_of_day());
    let first = |window: &ScheduleWindow| {
        (0..=31)
            .filter(|ahead| *ahead > 0 || window.start > now)
            .map(|ahead| today.saturating_add(ahead))
            .find(|day| begins_on(window, *day))
            .map(|day| local(day, window.start))
    };
    windows.iter().filter_map(first).min()
}

fn local(day: i64, second: i32) -> i64 {
    day.saturating_mul(DAY).saturating_add(i64::from(second))
}

/// Whether a window begins on a local day, counted from 1970-01-01, which was a Thursday.
fn begins_on(window: &ScheduleWindow, day: i64) -> bool {
    let weekday = day.saturating_add(3).rem_euclid(7);
    u32::try_from(weekday).is_ok_and(|bit| window.days.checked_shr(bit).unwrap_or(0) & 1 == 1)
        || window.days & MONTHLY != 0 && day_of_month(day) == Some(1)
}

fn day_of_month(day: i64) -> Option<i8> {
    let days = jiff::Span::new().try_days(day).ok()?;
    Some(jiff::civil::date(1970, 1, 1).checked_add(days).ok()?.day())
}

/// What an open window wants: full charge below its target; at it, no more discharge than most of what the DC PV makes.
pub fn claim(open: Open, memory: &mut Approach, soc: Soc) -> Claim {
    let Open { place, began, window } = open;
    let target = window.target;
    // A full battery is never quite full: that window charges to its end.
    let reached = memory.reached(began, target, soc, HYSTERESIS) && target < Soc::FULL;
    let above = soc.centi().saturating_sub(target.centi());
    let act = if !reached {
        Act::Charge
    } else if window.allow_discharge && above > ALLOWED_ABOVE {
        Act::Free
    } else {
        // 80 % at the target, 95 % from one percent above: losses are covered, and the charge drifts upward.
        Act::Hold(8_000_i64.saturating_add(i64::from(above.clamp(0, 100)).saturating_mul(15)))
    };
    Claim { tier: Tier::Schedule, reason: Reason::Sched { window: place, target }, act, caps: None }
}
