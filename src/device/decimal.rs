//! Exact scale factors. A register's value times `0.1` must be the same on every machine and must come back to the
//! same register when it is written, so scales are fractions of integers and never floats.

/// A fraction. Invariant: in lowest terms, and the denominator is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    num: i128,
    den: i128,
}

impl Ratio {
    /// One.
    pub const ONE: Self = Self { num: 1, den: 1 };
    /// Zero.
    pub const ZERO: Self = Self { num: 0, den: 1 };

    /// A whole number.
    #[must_use]
    pub fn whole(value: i64) -> Self {
        Self { num: i128::from(value), den: 1 }
    }

    /// A power of ten; `None` outside -18..=18.
    #[must_use]
    pub fn power_of_ten(exponent: i32) -> Option<Self> {
        let steps = 10_i128.checked_pow(exponent.unsigned_abs()).filter(|_| exponent.unsigned_abs() <= 18)?;
        Some(if exponent < 0 { Self { num: 1, den: steps } } else { Self { num: steps, den: 1 } })
    }

    /// A decimal as people write it: `-0.1`, `10`, `1e3`. `None` when it is no such number or longer than 18 digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String = text.trim().chars().filter(|c| *c != '_').collect();
        let (mantissa, exponent) = match plain.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (plain.as_str(), 0),
        };
        let (whole, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if rest.len() > 18 || whole.len() > 19 || !rest.chars().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let num: i128 = format!("{whole}{rest}").parse().ok()?;
        let digits = i32::try_from(rest.len()).ok()?;
        Self { num, den: 1 }.times(Self::power_of_ten(exponent.checked_sub(digits)?)?)
    }

    /// The product; `None` when it cannot be held.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        if other == Self::ONE {
            return Some(self);
        }
        Self::reduced(self.num.checked_mul(other.num)?, self.den.checked_mul(other.den)?)
    }

    /// The sum; `None` when it cannot be held.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        if other == Self::ZERO {
            return Some(self);
        }
        let left = self.num.checked_mul(other.den)?;
        let right = other.num.checked_mul(self.den)?;
        Self::reduced(left.checked_add(right)?, self.den.checked_mul(other.den)?)
    }

    /// In lowest terms; `None` when the denominator is not positive.
    fn reduced(num: i128, den: i128) -> Option<Self> {
        let common = match (u64::try_from(num.unsigned_abs()), u64::try_from(den.unsigned_abs())) {
            (Ok(num), Ok(den)) => i128::from(gcd(num, den)),
            _ => i128::try_from(wide_gcd(num.unsigned_abs(), den.unsigned_abs())).ok()?,
        };
        if common == 1 {
            return Some(Self { num, den }).filter(|ratio| ratio.den > 0);
        }
        Some(Self { num: num.checked_div(common)?, den: den.checked_div(common)? })
            .filter(|ratio| ratio.den > 0)
    }

    /// The negative.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { num: self.num.saturating_neg(), den: self.den }
    }

    /// One divided by this; `None` for zero.
    #[must_use]
    pub fn inverse(self) -> Option<Self> {
        let num = self.den.checked_mul(self.num.signum())?;
        Some(Self { num, den: self.num.checked_abs()? }).filter(|ratio| ratio.den > 0)
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.num == 0
    }

    /// The nearest integer, halves away from zero; `None` outside an `i64`.
    #[must_use]
    pub fn rounded(self) -> Option<i64> {
        if self.den == 1 {
            return i64::try_from(self.num).ok();
        }
        let doubled = self.num.checked_abs()?.checked_mul(2)?.checked_add(self.den)?;
        let whole = doubled.checked_div(self.den.checked_mul(2)?)?;
        i64::try_from(whole.checked_mul(self.num.signum())?).ok()
    }

    /// This share of a whole number, as [`Self::times`] and [`Self::rounded`] would have it: nearly all registers and
    /// scales fit the machine's words, which divide ten times as fast.
    #[must_use]
    pub fn of(self, whole: i64) -> Option<i64> {
        let short = |wide: i128| i32::try_from(wide).ok().map(i64::from);
        let (Some(num), Some(den), Ok(raw)) = (short(self.num), short(self.den), i32::try_from(whole)) else {
            return Self::whole(whole).times(self)?.rounded();
        };
        let product = i64::from(raw).saturating_mul(num);
        let den = den.unsigned_abs();
        let size = product
            .unsigned_abs()
            .saturating_mul(2)
            .saturating_add(den)
            .checked_div(den.saturating_mul(2))?;
        i64::try_from(size).ok()?.checked_mul(product.signum())
    }

    /// The largest integer not above it; `None` outside an `i64`.
    #[must_use]
    pub fn floor(self) -> Option<i64> {
        i64::try_from(self.num.checked_div_euclid(self.den)?).ok()
    }

    /// The exact value of a finite float that can be a measurement (below 2^60 in size); tiny ones are zero.
    #[must_use]
    pub fn from_f32(value: f32) -> Option<Self> {
        let bits = value.to_bits();
        let exponent = i32::try_from(bits >> 23 & 0xFF).ok()?;
        let fraction = i128::from(bits & 0x007F_FFFF);
        let mantissa = if exponent == 0 { fraction } else { fraction | 0x0080_0000 };
        let power = exponent.max(1).checked_sub(150)?;
        let signed = if bits >> 31 == 1 { mantissa.checked_neg()? } else { mantissa };
        if exponent == 0xFF || power > 36 {
            return None;
        }
        if power < -60 {
            return Some(Self::ZERO);
        }
        let factor = 1_i128.checked_shl(power.unsigned_abs())?;
        let exact = if power < 0 { Self { num: 1, den: factor } } else { Self { num: factor, den: 1 } };
        Self { num: signed, den: 1 }.times(exact)
    }

    /// The nearest float: only for writing float registers and for showing.
    #[must_use]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "nearest is what is wanted"
    )]
    pub fn to_f32(self) -> f32 {
        (self.num as f64 / self.den as f64) as f32
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

/// The same for what does not fit the machine's words, many times as slow.
fn wide_gcd(a: u128, b: u128) -> u128 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact_and_round_halves_away_from_zero() {
        let tenth = Ratio::parse("0.1").unwrap();
        assert_eq!(Ratio::whole(-15).times(tenth).unwrap().rounded(), Some(-2));
        assert_eq!(Ratio::whole(14).times(tenth).unwrap().rounded(), Some(1));
        assert_eq!(Ratio::whole(-15).times(tenth).unwrap().floor(), Some(-2));
        assert_eq!(Ratio::parse("1e3").unwrap(), Ratio::whole(1_000));
        assert_eq!(Ratio::parse("-0.05").unwrap().inverse().unwrap(), Ratio::whole(-20));
        for nonsense in ["", "ten", "0x10", "1.2.3", "1e99", "nan"] {
            assert_eq!(Ratio::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_float_that_is_no_number_or_too_large_has_no_value() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN] {
            assert_eq!(Ratio::from_f32(bad), None, "{bad}");
        }
        assert_eq!(Ratio::from_f32(f32::MIN_POSITIVE), Some(Ratio::ZERO));
    }

    proptest! {
        #[test]
        fn short_ways_round_and_reduce_like_the_long_ones(num: i64, by in 1_i64..2_000_000_000, plus: i32) {
            let by = Ratio { num: 1, den: i128::from(by) };
            let product = Ratio::whole(num).times(by).unwrap();
            prop_assert_eq!(wide_gcd(product.num.unsigned_abs(), product.den.unsigned_abs()), 1);
            let sum = product.plus(Ratio::whole(i64::from(plus))).unwrap();
            let doubled = sum.num.abs().checked_mul(2).and_then(|twice| twice.checked_add(sum.den)).unwrap();
            let nearest = doubled.checked_div(sum.den.checked_mul(2).unwrap()).unwrap();
            prop_assert_eq!(sum.rounded(), i64::try_from(nearest.checked_mul(sum.num.signum()).unwrap()).ok());
            let scale = by.times(Ratio::whole(i64::from(plus))).unwrap();
            prop_assert_eq!(scale.of(num), Ratio::whole(num).times(scale).unwrap().rounded());
            let short = i64::from(plus).saturating_mul(3).checked_div(7).unwrap();
            prop_assert_eq!(scale.of(short), Ratio::whole(short).times(scale).unwrap().rounded());
        }

        #[test]
        fn a_float_is_taken_exactly(value in -1.0e9_f32..1.0e9) {
            prop_assert_eq!(Ratio::from_f32(value).unwrap().to_f32(), value);
        }

        #[test]
        fn no_float_panics(bits: u32) {
            let _ = Ratio::from_f32(f32::from_bits(bits)).and_then(|ratio| ratio.times(Ratio::whole(1_000)));
        }
    }
}
