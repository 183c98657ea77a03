//! What a process takes over from those before it: how long nobody was there, and whether they all ended badly.

use crate::control::units::Span;
use crate::store::{Stamp, Start};

/// An absence by the wall clock counts as this at most: what nobody witnessed must not end every wait.
const LONGEST: i64 = 86_400_000;
/// So many starts in a row that did not end well, within this time, are no accident any more.
const STARTS: usize = 5;
const WITHIN: i64 = 600_000;

/// How long nobody was there: exact within one boot of the machine, else by the wall clock where it can be believed
/// on both sides, else no time at all.
pub(super) fn away(before: &Stamp, now: &Stamp) -> Span {
    let by_boot = same_boot(before, now).then(|| now.boottime_ms.saturating_sub(before.boottime_ms).max(0));
    let by_wall = (before.trusted && now.trusted).then(|| now.utc_ms.saturating_sub(before.utc_ms));
    Span(by_boot.or_else(|| by_wall.map(|ms| ms.clamp(0, LONGEST))).unwrap_or(0))
}

/// Whether the starts before this one, oldest first, are a crash loop. One that ended well ends the row.
pub(super) fn crash_loop(starts: &[Start], now: &Stamp) -> bool {
    let row = starts.iter().rev().take_while(|start| !start.ended_well && recent(&start.stamp, now));
    row.count() > STARTS
}

/// A start counts unless it is known to be long ago.
fn recent(before: &Stamp, now: &Stamp) -> bool {
    if same_boot(before, now) {
        return now.boottime_ms.saturating_sub(before.boottime_ms) <= WITHIN;
    }
    !(before.trusted && now.trusted) || now.utc_ms.saturating_sub(before.utc_ms) <= WITHIN
}

fn same_boot(before: &Stamp, now: &Stamp) -> bool {
    !now.boot.is_empty() && before.boot == now.boot
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(boot: &str, boottime_s: i64, utc_s: i64, trusted: bool) -> Stamp {
        Stamp { boot: boot.to_owned(), boottime_ms: boottime_s * 1_000, utc_ms: utc_s * 1_000, trusted }
    }

    #[test]
    fn t1_the_time_away_is_exact_within_a_boot_and_by_a_believed_wall_clock_across_boots() {
        let before = stamp("one", 100, 1_000_000, true);
        let passed = |now: Stamp| away(&before, &now);
        assert_eq!(passed(stamp("one", 250, 0, false)), Span::secs(150));
        assert_eq!(passed(stamp("one", 250, 9_000_000, true)), Span::secs(150), "the wall clock has no say");
        assert_eq!(passed(stamp("two", 20, 1_000_600, true)), Span::secs(600));
        assert_eq!(passed(stamp("two", 20, 1_000_600, false)), Span::ZERO);
        assert_eq!(passed(stamp("two", 20, 900_000, true)), Span::ZERO, "back in time");
        assert_eq!(passed(stamp("two", 20, 90_000_000, true)), Span::secs(86_400));
        assert_eq!(away(&stamp("", 5, 10, false), &stamp("", 9, 20, false)), Span::ZERO, "no boot is known");
    }

    #[test]
    fn h9_six_bad_ends_within_ten_minutes_are_a_crash_loop_and_a_good_one_among_them_is_not() {
        let now = stamp("one", 1_000, 0, false);
        let row = |ends: &[bool]| {
            let start = |(at, ended_well): (i64, &bool)| Start {
                stamp: stamp("one", 900 + at, 0, false),
                ended_well: *ended_well,
            };
            crash_loop(&(0..).zip(ends).map(start).collect::<Vec<_>>(), &now)
        };
        assert!(!row(&[]) && !row(&[false; 5]) && row(&[false; 6]));
        assert!(!row(&[false, true, false, false, false, false, false]));
        assert!(row(&[true, false, false, false, false, false, false]));
    }

    #[test]
    fn h9_starts_of_long_ago_do_not_count_and_those_of_unknown_age_do() {
        let starts = |stamp: Stamp| vec![Start { stamp, ended_well: false }; 6];
        let now = stamp("two", 700, 5_000, true);
        assert!(!crash_loop(&starts(stamp("two", 90, 4_900, true)), &now));
        assert!(crash_loop(&starts(stamp("one", 9_000, 4_500, true)), &now));
        assert!(!crash_loop(&starts(stamp("one", 9_000, 4_300, true)), &now));
        assert!(crash_loop(&starts(stamp("one", 9_000, 4_300, false)), &now));
    }
}
