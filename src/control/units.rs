//! Physical quantities, one type each, and the two kinds of time that `control` may hold.
//!
//! Everything wraps an integer. A float register may hold NaN or infinity; decoding rejects those at the
//! edge, so nothing in `control` has to ask whether a number is a number, the parts of a split setpoint sum
//! exactly, and a recorded day replays to the same bit on every machine. Arithmetic saturates: a value that
//! leaves the range of an `i32` was nonsense long before, and nonsense must not wrap to the other sign.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// A fixed-point number as people write it: `decimal(48_250, 1_000)` is `48.25`. `steps` is a power of ten.
#[must_use]
pub fn decimal(raw: i64, steps: i64) -> String {
    let sign = if raw < 0 { "-" } else { "" };
    let whole = raw.unsigned_abs().checked_div(steps.unsigned_abs()).unwrap_or(0);
    let rest = raw.unsigned_abs().checked_rem(steps.unsigned_abs()).unwrap_or(0);
    let digits = usize::try_from(steps.max(1).ilog10()).unwrap_or(0);
    let text = format!("{sign}{whole}.{rest:0digits$}");
    if digits == 0 {
        return format!("{sign}{whole}");
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

macro_rules! quantity {
    ($(#[$meta:meta])* $name:ident($raw:ty), $steps:literal, $unit:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $raw);

        impl $name {
            /// Zero of this quantity.
            pub const ZERO: Self = Self(0);
            /// The largest value, used where nothing limits.
            pub const MAX: Self = Self(<$raw>::MAX);
            /// The smallest value; one more than the negated maximum so that negation never overflows.
            pub const MIN: Self = Self(-<$raw>::MAX);

            /// Distance from zero.
            #[must_use]
            pub fn abs(self) -> Self {
                Self(self.0.saturating_abs())
            }

            /// `self * num / den`, rounded toward zero; `den` of zero gives zero.
            #[must_use]
            pub fn scaled(self, num: i64, den: i64) -> Self {
                // Most phases carry nothing, and most shares are all of it: neither needs a division, which costs as
                // much as thirty additions.
                if self.0 == 0 || num == 0 {
                    return Self::ZERO;
                }
                if num == den {
                    return self;
                }
                // The common case needs no 128-bit division, which is ten times as slow again.
                if let Some(product) = i64::from(self.0).checked_mul(num) {
                    return Self::saturated(product.checked_div(den).unwrap_or(0));
                }
                let product = i128::from(self.0).saturating_mul(i128::from(num));
                let value = product.checked_div(i128::from(den)).unwrap_or(0);
                Self::saturated(i64::try_from(value).unwrap_or(if value < 0 { -i64::MAX } else { i64::MAX }))
            }

            /// From a wider integer that it can hold; nothing else.
            #[must_use]
            pub fn fitting(raw: i64) -> Option<Self> {
                <$raw>::try_from(raw).ok().filter(|raw| *raw != <$raw>::MIN).map(Self)
            }

            /// From a wider integer, saturating at the ends of the range.
            #[must_use]
            pub fn saturated(raw: i64) -> Self {
                Self(<$raw>::try_from(raw).unwrap_or(if raw < 0 { -<$raw>::MAX } else { <$raw>::MAX }))
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }

        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(self.0.saturating_neg())
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 = self.0.saturating_add(other.0);
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 = self.0.saturating_sub(other.0);
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, Add::add)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{} ", $unit), decimal(i64::from(self.0), $steps))
            }
        }
    };
}

quantity! {
    /// Active power on the site bus. Positive feeds the bus: grid import, battery discharge, PV and
    /// generator output are positive. Load is positive and is the sum of the others.
    Watts(i32), 1, "W"
}
quantity! {
    /// Voltage in thousandths of a volt.
    MilliVolts(i32), 1_000, "V"
}
quantity! {
    /// Current in thousandths of an ampere; its sign follows the power's.
    MilliAmps(i32), 1_000, "A"
}
quantity! {
    /// Temperature in tenths of a degree Celsius.
    DeciCelsius(i32), 10, "°C"
}
quantity! {
    /// Energy in millijoules: one watt for one millisecond, so integrating power needs no rounding.
    MilliJoules(i64), 1_000, "J"
}
quantity! {
    /// A duration on the monotonic clock, in milliseconds.
    Span(i64), 1_000, "s"
}

/// Watt-hours, as capacities are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WattHours(pub i64);

impl Span {
    /// A duration of whole seconds.
    #[must_use]
    pub const fn secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// For a person: seconds up to two minutes, then whole minutes.
    #[must_use]
    pub fn words(self) -> String {
        match self.whole_secs() {
            seconds if seconds < 120 => format!("{seconds} s"),
            seconds => format!("{} min", seconds.checked_div(60).unwrap_or(0)),
        }
    }

    /// A duration of whole minutes.
    #[must_use]
    pub const fn minutes(minutes: i64) -> Self {
        Self(minutes.saturating_mul(60_000))
    }

    /// A duration in milliseconds.
    #[must_use]
    pub const fn millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds, rounded down.
    #[must_use]
    pub const fn whole_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}

impl MilliVolts {
    /// Power of a current at this voltage, rounded toward zero.
    #[must_use]
    pub fn times(self, current: MilliAmps) -> Watts {
        let microwatts = i64::from(self.0).saturating_mul(i64::from(current.0));
        Watts::saturated(microwatts.checked_div(1_000_000).unwrap_or(0))
    }
}

impl Watts {
    /// Energy of this power held for a span.
    #[must_use]
    pub fn over(self, span: Span) -> MilliJoules {
        MilliJoules(i64::from(self.0).saturating_mul(span.0))
    }
}

/// State of charge in hundredths of a percent. Invariant: `0 <= .0 <= 10_000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Soc(u16);

impl<'de> Deserialize<'de> for Soc {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = u16::deserialize(from)?;
        Self::from_centi(i64::from(raw))
            .ok_or_else(|| serde::de::Error::custom("a state of charge above 100 %"))
    }
}

impl Soc {
    /// An empty battery.
    pub const EMPTY: Self = Self(0);
    /// A full battery.
    pub const FULL: Self = Self(10_000);

    /// `None` when a device reports something no battery can have.
    #[must_use]
    pub fn from_centi(raw: i64) -> Option<Self> {
        u16::try_from(raw).ok().filter(|centi| *centi <= 10_000).map(Self)
    }

    /// Whole percent, saturating at 100.
    #[must_use]
    pub const fn percent(percent: u16) -> Self {
        let centi = percent.saturating_mul(100);
        Self(if centi > 10_000 { 10_000 } else { centi })
    }

    /// Hundredths of a percent.
    #[must_use]
    pub const fn centi(self) -> i32 {
        self.0 as i32
    }

    /// This charge raised by hundredths of a percent, at most full.
    #[must_use]
    pub fn plus_centi(self, centi: i32) -> Self {
        let raw = self.centi().saturating_add(centi).clamp(0, 10_000);
        Self(u16::try_from(raw).unwrap_or(0))
    }

    /// This charge lowered by hundredths of a percent, at least empty.
    #[must_use]
    pub fn minus_centi(self, centi: i32) -> Self {
        self.plus_centi(centi.saturating_neg())
    }
}

impl fmt::Display for Soc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(100).unwrap_or(0);
        let rest = self.0.checked_rem(100).unwrap_or(0);
        match (rest, rest.checked_rem(10)) {
            (0, _) => write!(f, "{whole} %"),
            (_, Some(0)) => write!(f, "{whole}.{} %", rest.checked_div(10).unwrap_or(0)),
            _ => write!(f, "{whole}.{rest:02} %"),
        }
    }
}

/// A moment on the monotonic clock, in milliseconds from an origin that only the daemon knows. It never
/// jumps and says nothing about the time of day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mono(pub i64);

impl Mono {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const NEVER: Self = Self(i64::MAX);

    /// Time since an earlier moment; negative when `earlier` is in fact later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Mono {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Mono {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// Time of day and calendar, as the daemon read it: an input, never asked for. Schedules and quiet hours
/// use it; durations never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wall {
    /// UTC, seconds since 1970.
    pub utc: i64,
    /// Local time less UTC, seconds, daylight saving included.
    pub offset: i32,
    /// Whether the clock may be believed.
    pub valid: bool,
}

impl Wall {
    /// Local seconds since local midnight, by the offset in force.
    #[must_use]
    pub fn second_of_day(self) -> i32 {
        let local = self.utc.saturating_add(i64::from(self.offset));
        i32::try_from(local.rem_euclid(86_400)).unwrap_or(0)
    }

    /// Days since 1970-01-01 in local time.
    #[must_use]
    pub fn local_day(self) -> i64 {
        self.utc.saturating_add(i64::from(self.offset)).div_euclid(86_400)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_saturates_instead_of_changing_sign() {
        assert_eq!(Watts::MAX + Watts(1), Watts::MAX);
        assert_eq!(Watts::MIN - Watts(10), Watts(i32::MIN));
        assert_eq!(-Watts(i32::MIN), Watts::MAX);
    }

    #[test]
    fn quantities_print_as_people_write_them() {
        assert_eq!(MilliVolts(48_250).to_string(), "48.25 V");
        assert_eq!(DeciCelsius(-35).to_string(), "-3.5 °C");
        assert_eq!(Watts(-70).to_string(), "-70 W");
        assert_eq!(Soc::from_centi(8_305).unwrap().to_string(), "83.05 %");
        assert_eq!(Soc::from_centi(8_350).unwrap().to_string(), "83.5 %");
    }
}
