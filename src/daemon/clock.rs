//! The only place that reads clocks.
//!
//! One time scale, 1 in production, through which every sleep of the site goes; a demonstration may run it faster.
//! Deadlines on the wire stay real. Ages count the time in which the machine was suspended, so that what was heard
//! before is old afterwards. The wall clock is for schedules and stamps only, and only while it can be believed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::control::units::{Mono, Span, Wall};
use crate::modbus::pacer::Pacer;

/// A wall clock before this is wrong: the program is younger than that. Milliseconds since 1970, 2026-01-01.
const PLAUSIBLE: i64 = 1_767_225_600_000;
/// The wall clock moved by more than this against the monotonic one: somebody set it. A leap second does not count.
const STEP: i64 = 1_200;
/// After a step it is believed again when it has not stepped for so long; and a machine that was just switched on
/// sets its clock within this time, if at all.
const SETTLED: Duration = Duration::from_secs(60);
/// The first moment of a site without a past: nothing ever happened at zero.
pub const FIRST: Mono = Mono(1_000);

/// Where time comes from: the system, or what stands for it in a simulation.
#[derive(Clone)]
pub struct Source {
    /// Which boot of the machine this is; empty when the system does not say.
    pub boot: String,
    /// Time since that boot, suspension included.
    pub uptime: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// The wall clock, milliseconds since 1970.
    pub utc_ms: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (uptime, utc) = ((self.uptime)(), (self.utc_ms)());
        f.debug_struct("Source")
            .field("boot", &self.boot)
            .field("uptime", &uptime)
            .field("utc", &utc)
            .finish()
    }
}

impl Source {
    /// The system's clocks.
    #[must_use]
    pub fn system() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            boot: boot.trim().to_owned(),
            uptime: Arc::new(uptime),
            utc_ms: Arc::new(|| Timestamp::now().as_millisecond()),
        }
    }

    /// The runtime's time, which a test may pause, from now on; the wall clock shows `utc_ms` now. To be called
    /// inside the runtime.
    #[must_use]
    pub fn runtime(boot: &str, utc_ms: i64) -> Self {
        let origin = tokio::time::Instant::now();
        let passed = move || i64::try_from(origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        Self {
            boot: boot.to_owned(),
            uptime: Arc::new(move || SETTLED.saturating_add(origin.elapsed())),
            utc_ms: Arc::new(move || utc_ms.saturating_add(passed())),
        }
    }
}

#[cfg(target_os = "linux")]
const AGE: rustix::time::ClockId = rustix::time::ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const AGE: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

fn uptime() -> Duration {
    let time = rustix::time::clock_gettime(AGE);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Site time and the time of day beside it.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    origin: Duration,
    begins: Mono,
    started: i64,
    speed: u32,
    zone: TimeZone,
    belief: Belief,
}

impl Clock {
    /// A clock that shows `begins` now and runs at `speed` site seconds to the real second, with the time of day of
    /// this zone. A zone that the database does not know counts as UTC; the profile's check has refused it before.
    /// A wall clock before `latest`, the last time of day that was written down, is not believed.
    #[must_use]
    pub fn start(source: Source, begins: Mono, latest: Option<i64>, speed: u32, timezone: &str) -> Self {
        let (origin, started) = ((source.uptime)(), (source.utc_ms)());
        let mut belief = Belief::new(latest);
        belief.look(origin, started);
        let zone = zone(timezone);
        Self { source, origin, begins, started, speed: speed.max(1), zone, belief }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Mono {
        now(&self.source, self.origin, self.begins, self.speed)
    }

    /// Milliseconds since 1970 at a moment of this clock.
    #[must_use]
    pub fn utc_ms(&self, moment: Mono) -> i64 {
        if self.speed == 1 {
            // The system's clock may be set while we run; a demonstration runs on its own.
            return (self.source.utc_ms)().saturating_sub(self.now().since(moment).0);
        }
        self.started.saturating_add(moment.since(self.begins).0)
    }

    /// Milliseconds since 1970 when this clock began.
    #[must_use]
    pub fn started_utc_ms(&self) -> i64 {
        self.started
    }

    /// Milliseconds since the machine was switched on.
    #[must_use]
    pub fn uptime_ms(&self) -> i64 {
        millis((self.source.uptime)())
    }

    /// Which boot of the machine this is; empty when the system does not say.
    #[must_use]
    pub fn boot(&self) -> &str {
        &self.source.boot
    }

    /// Looks whether the wall clock was set meanwhile, about once a second. The step, if there was one.
    pub fn look(&mut self) -> Option<Span> {
        if self.speed == 1 { self.belief.look((self.source.uptime)(), (self.source.utc_ms)()) } else { None }
    }

    /// The time of day now, believed or not as of the last look.
    #[must_use]
    pub fn wall(&self) -> Wall {
        let ms = self.utc_ms(self.now());
        let offset = Timestamp::from_millisecond(ms)
            .map_or(0, |stamp| self.zone.to_offset_info(stamp).offset().seconds());
        Wall { utc: ms.div_euclid(1_000), offset, valid: self.belief.holds }
    }

    /// Whether the wall clock was believed at the last look.
    #[must_use]
    pub fn is_believed(&self) -> bool {
        self.belief.holds
    }

    /// The day is another zone's from now on.
    pub fn move_to(&mut self, timezone: &str) {
        self.zone = zone(timezone);
    }

    /// The same time for tasks.
    #[must_use]
    pub fn pacer(&self) -> Pacer {
        let (source, origin, begins, speed) = (self.source.clone(), self.origin, self.begins, self.speed);
        Pacer { now: Arc::new(move || now(&source, origin, begins, speed)), speed }
    }
}

fn zone(timezone: &str) -> TimeZone {
    TimeZone::get(timezone).unwrap_or(TimeZone::UTC)
}

fn now(source: &Source, origin: Duration, begins: Mono, speed: u32) -> Mono {
    let passed = (source.uptime)().saturating_sub(origin);
    begins + Span(millis(passed)).scaled(i64::from(speed), 1)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a wall clock may be used at all: not before the program was made.
#[must_use]
pub fn plausible(utc_ms: i64) -> bool {
    utc_ms >= PLAUSIBLE
}

/// Whether the wall clock is believed. Nothing safe says whether the system's clock is synchronised, so what it
/// does is watched: where it stands, and that it does not step.
#[derive(Clone, Debug)]
struct Belief {
    /// It cannot be earlier than this, unless somebody set it since.
    latest: i64,
    /// Uptime and wall clock at the last look.
    last: Option<(Duration, i64)>,
    /// Not before this uptime.
    from: Duration,
    holds: bool,
}

impl Belief {
    fn new(latest: Option<i64>) -> Self {
        Self { latest: latest.unwrap_or(PLAUSIBLE).max(PLAUSIBLE), last: None, from: SETTLED, holds: false }
    }

    fn look(&mut self, uptime: Duration, utc_ms: i64) -> Option<Span> {
        let stepped = self.last.map_or(0, |(before, then)| {
            utc_ms.saturating_sub(then).saturating_sub(millis(uptime.saturating_sub(before)))
        });
        self.last = Some((uptime, utc_ms));
        let step = (stepped.saturating_abs() > STEP).then_some(Span(stepped));
        if step.is_some() {
            self.from = uptime.saturating_add(SETTLED);
            // Whoever set it knew better than what was written down.
            self.latest = PLAUSIBLE;
        }
        self.holds = uptime >= self.from && utc_ms >= self.latest;
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const NOON: i64 = PLAUSIBLE + 200 * DAY;

    /// Looks once a second from the first second of a machine's life on, at a clock that shows this; whether it was
    /// believed.
    fn believed(latest: Option<i64>, seconds: u64, shows: impl Fn(i64) -> i64) -> Vec<bool> {
        let mut belief = Belief::new(latest);
        (0..seconds)
            .map(|second| {
                let ms = i64::try_from(second).unwrap() * 1_000;
                belief.look(Duration::from_secs(second), shows(ms));
                belief.holds
            })
            .collect()
    }

    fn from(second: usize, of: usize) -> Vec<bool> {
        (0..of).map(|at| at >= second).collect()
    }

    #[test]
    fn t1_a_clock_that_was_never_set_is_not_believed_until_somebody_sets_it() {
        assert_eq!(believed(None, 200, |ms| ms), vec![false; 200], "1970");
        let saved = NOON + DAY;
        assert_eq!(
            believed(Some(saved), 200, |ms| NOON + ms),
            vec![false; 200],
            "before what was written down"
        );
        let set = |ms| if ms < 90_000 { NOON + ms } else { saved + ms };
        assert_eq!(believed(Some(saved), 300, set), from(150, 300));
    }

    #[test]
    fn t1_a_machine_just_switched_on_gets_a_minute_to_set_its_clock() {
        assert_eq!(believed(Some(NOON), 200, |ms| NOON + ms), from(60, 200));
        let set = |ms| if ms < 30_000 { NOON + ms } else { NOON + 8 * 3_600_000 + ms };
        assert_eq!(believed(Some(NOON), 200, set), from(90, 200));
    }

    #[test]
    fn t2_after_a_step_of_seconds_or_years_the_clock_is_believed_again_a_minute_later() {
        for step in [2_000, -2_000, 3_600_000, -3_600_000, 3_650 * DAY] {
            let shows = |ms| if ms < 100_000 { NOON + ms } else { NOON + step + ms };
            let mut expected = from(60, 300);
            expected[100..160].fill(false);
            assert_eq!(believed(None, 300, shows), expected, "{step} ms");
        }
        let back = |ms| if ms < 100_000 { NOON + ms } else { NOON - 3_650 * DAY + ms };
        assert_eq!(believed(None, 300, back)[100..], vec![false; 200], "before the program was made");
    }

    #[test]
    fn t4_a_leap_second_and_a_clock_that_is_slewed_are_not_seen() {
        let leap = |ms| if ms < 100_000 { NOON + ms } else { NOON + ms - 1_000 };
        assert_eq!(believed(None, 300, leap), from(60, 300));
        assert_eq!(believed(None, 300, |ms| NOON + ms + ms / 2_000), from(60, 300));
    }

    #[test]
    fn t5_a_zone_that_nobody_knows_counts_as_utc() {
        let source = fixed(Duration::from_secs(100), NOON);
        let clock = Clock::start(source.clone(), FIRST, None, 1, "Nowhere/Atlantis");
        assert_eq!((clock.wall().offset, clock.wall().valid), (0, true));
        let mut clock = Clock::start(source, FIRST, None, 1, "Europe/Paris");
        assert_eq!(clock.wall().offset, 7_200);
        clock.move_to("UTC");
        assert_eq!(clock.wall().offset, 0);
    }

    fn fixed(uptime: Duration, utc_ms: i64) -> Source {
        Source { boot: "b".to_owned(), uptime: Arc::new(move || uptime), utc_ms: Arc::new(move || utc_ms) }
    }

    #[test]
    fn t6_site_time_counts_what_the_machine_slept() {
        use std::sync::atomic::{AtomicU64, Ordering};
        let slept = Arc::new(AtomicU64::new(100));
        let uptime = Arc::clone(&slept);
        let source = Source {
            uptime: Arc::new(move || Duration::from_secs(uptime.load(Ordering::SeqCst))),
            ..fixed(Duration::ZERO, NOON)
        };
        let clock = Clock::start(source, Mono(5_000_000), None, 1, "UTC");
        let pacer = clock.pacer();
        assert_eq!((clock.now(), pacer.now()), (Mono(5_000_000), Mono(5_000_000)));
        slept.store(3_700, Ordering::SeqCst);
        assert_eq!((clock.now(), pacer.now()), (Mono(8_600_000), Mono(8_600_000)));
    }

    #[test]
    fn the_systems_clock_since_boot_runs() {
        let first = uptime();
        assert!(first > Duration::ZERO && uptime() >= first);
    }
}
