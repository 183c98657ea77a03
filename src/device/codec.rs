//! The meaning of a point's registers: scale, bits, value map, sentinels and range, between raw words and the carried
//! fixed-point value. What is not certainly a value is unknown (`None`), never a number.

use crate::control::signal::Unit;
use crate::device::decimal::Ratio;
use crate::device::words::{Kind, Raw, WordOrder, decode, encode, from_pattern, of_pattern, pattern};

/// How several values in a row become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Their sum; unknown as soon as one part is.
    Sum,
    /// The largest of them: the worst of many conditions.
    Worst,
}

/// Fewer or more words than the value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer has another length than the value")]
pub struct WrongLength;

/// From words to carried value and back.
#[derive(Clone, Debug, PartialEq)]
pub struct Codec {
    /// Layout of one value.
    pub kind: Kind,
    /// Which register comes first.
    pub order: WordOrder,
    /// How many values in a row make one; at least 1.
    pub count: u16,
    /// How they do.
    pub join: Join,
    /// Carried steps per raw step.
    pub scale: Ratio,
    /// Carried steps added after scaling.
    pub offset: Ratio,
    /// Lowest bit and number of bits, where only some count.
    pub bits: Option<(u8, u8)>,
    /// Raw value to carried value, where the register holds a code.
    pub map: Vec<(i64, i64)>,
    /// What a code outside the map means; unknown when `None`.
    pub otherwise: Option<i64>,
    /// Bit patterns that mean "not available".
    pub absent: Vec<u64>,
    /// Smallest and largest believable carried value.
    pub range: Option<(i64, i64)>,
    /// The unit the value is carried in.
    pub unit: Unit,
}

impl Codec {
    /// A value of one kind, high word first, that is carried as it stands.
    #[must_use]
    pub fn plain(kind: Kind, unit: Unit) -> Self {
        Self {
            kind,
            order: WordOrder::HighFirst,
            count: 1,
            join: Join::Sum,
            scale: Ratio::ONE,
            offset: Ratio::ZERO,
            bits: None,
            map: Vec::new(),
            otherwise: None,
            absent: Vec::new(),
            range: None,
            unit,
        }
    }

    /// Registers (or bits) that it takes.
    #[must_use]
    pub fn width(&self) -> u16 {
        self.kind.width().saturating_mul(self.count)
    }

    /// The carried value in exactly `width()` words. `exponent` is a scale factor that the device told beside it.
    ///
    /// # Errors
    /// When the count of words is another.
    pub fn decode(&self, words: &[u16], exponent: i32) -> Result<Option<i64>, WrongLength> {
        if words.len() != usize::from(self.width()) {
            return Err(WrongLength);
        }
        if exponent == 0 && self.is_simple() {
            return Ok(self.raw(words).and_then(|raw| self.scale.of(raw)).and_then(|it| self.believable(it)));
        }
        Ok(self.join(words, exponent).and_then(Ratio::rounded).and_then(|value| self.believable(value)))
    }

    /// Whether it is what nearly all are: one whole number times a scale.
    fn is_simple(&self) -> bool {
        let number = !matches!(self.kind, Kind::F32 | Kind::Nibbles);
        number && self.count == 1 && self.bits.is_none() && self.map.is_empty() && self.offset.is_zero()
    }

    /// The whole number of such a value, unless it is a sentinel.
    fn raw(&self, words: &[u16]) -> Option<i64> {
        let bits = pattern(self.kind, self.order, words)?;
        match of_pattern(self.kind, bits) {
            Raw::Int(raw) if !self.absent.contains(&bits) => i64::try_from(raw).ok(),
            Raw::Int(_) | Raw::Float(_) => None,
        }
    }

    fn join(&self, words: &[u16], exponent: i32) -> Option<Ratio> {
        let mut joined: Option<Ratio> = None;
        for part in words.chunks_exact(usize::from(self.kind.width())) {
            let value = self.one(part, exponent)?;
            joined = Some(match (joined, self.join) {
                (None, _) => value,
                (Some(sum), Join::Sum) => sum.plus(value)?,
                (Some(worst), Join::Worst) => {
                    if value.rounded()? > worst.rounded()? {
                        value
                    } else {
                        worst
                    }
                }
            });
        }
        joined
    }

    fn one(&self, words: &[u16], exponent: i32) -> Option<Ratio> {
        let bits = pattern(self.kind, self.order, words)?;
        if self.absent.contains(&bits) {
            return None;
        }
        if self.kind == Kind::Nibbles {
            let nibble = |shift: u32| i64::try_from(bits.checked_shr(shift).unwrap_or(0) & 0xF).ok();
            let mut worst = 0;
            for shift in [0, 4, 8, 12] {
                worst = worst.max(self.mapped(nibble(shift)?)?);
            }
            return Some(Ratio::whole(worst));
        }
        if let Some((shift, width)) = self.bits {
            let mask = 1_u64.checked_shl(u32::from(width)).map_or(u64::MAX, |bit| bit.saturating_sub(1));
            let field = i64::try_from(bits.checked_shr(u32::from(shift))? & mask).ok()?;
            return self.scaled(Ratio::whole(field), exponent);
        }
        match decode(self.kind, self.order, words)? {
            Raw::Int(raw) => self.scaled(Ratio::whole(i64::try_from(raw).ok()?), exponent),
            Raw::Float(raw) => self.scaled(Ratio::from_f32(raw)?, exponent),
        }
    }

    fn scaled(&self, raw: Ratio, exponent: i32) -> Option<Ratio> {
        if !self.map.is_empty() {
            return self.mapped(raw.rounded()?).map(Ratio::whole);
        }
        raw.times(self.scale)?.times(Ratio::power_of_ten(exponent)?)?.plus(self.offset)
    }

    fn mapped(&self, raw: i64) -> Option<i64> {
        let found = self.map.iter().find(|(code, _)| *code == raw).map(|(_, value)| *value);
        found.or(self.otherwise)
    }

    fn believable(&self, value: i64) -> Option<i64> {
        let possible = match self.unit {
            Unit::Flag => (0..=1).contains(&value),
            Unit::WattHour | Unit::Second | Unit::Count => true,
            Unit::Watt
            | Unit::MilliVolt
            | Unit::MilliAmp
            | Unit::MilliHertz
            | Unit::DeciCelsius
            | Unit::CentiPercent => i32::try_from(value).is_ok(),
        };
        let inside = self.range.is_none_or(|(least, most)| (least..=most).contains(&value));
        (possible && inside).then_some(value)
    }

    /// Writes a carried value into its `width()` words, keeping bits that are not its own: what a simulated device does.
    /// Of several values in a row the first takes all. `None` becomes the first sentinel. `false` (and nothing is
    /// changed) when the words cannot say this value or have another length.
    #[must_use]
    pub fn encode(&self, words: &mut [u16], value: Option<i64>, exponent: i32) -> bool {
        let Some(fresh) = self.encoded(words, value, exponent) else { return false };
        if words.len() != fresh.len() {
            return false;
        }
        words.copy_from_slice(&fresh);
        true
    }

    fn encoded(&self, words: &[u16], value: Option<i64>, exponent: i32) -> Option<Vec<u16>> {
        let (first, rest) = words.split_at_checked(usize::from(self.kind.width()))?;
        let mut fresh = match value {
            Some(value) => self.encoded_one(first, value, exponent)?,
            None => match (self.absent.first(), self.kind) {
                (Some(mark), _) => from_pattern(self.kind, self.order, *mark)?,
                (None, Kind::F32) => encode(self.kind, self.order, Raw::Float(f32::NAN))?,
                (None, _) => return None,
            },
        };
        // The other parts stand at nothing: zero, or the code that means zero.
        for part in rest.chunks(usize::from(self.kind.width())) {
            fresh.extend(match self.kind {
                Kind::Nibbles => self.encoded_one(part, 0, 0)?,
                _ => vec![0; part.len()],
            });
        }
        Some(fresh)
    }

    fn encoded_one(&self, words: &[u16], value: i64, exponent: i32) -> Option<Vec<u16>> {
        let raw = if self.map.is_empty() {
            let factor = self.scale.times(Ratio::power_of_ten(exponent)?)?.inverse()?;
            let exact = Ratio::whole(value).plus(self.offset.negated())?.times(factor)?;
            if self.kind == Kind::F32 {
                return encode(self.kind, self.order, Raw::Float(exact.to_f32()));
            }
            exact.rounded()?
        } else {
            self.map.iter().find(|(_, carried)| *carried == value).map(|(code, _)| *code)?
        };
        if self.kind == Kind::Nibbles {
            let calm = self.map.iter().find(|(_, carried)| *carried == 0).map(|(code, _)| *code)?;
            let code = |code: i64| u64::try_from(code).ok().filter(|nibble| *nibble < 16);
            let word = [code(raw)?, code(calm)?, code(calm)?, code(calm)?]
                .iter()
                .fold(0_u64, |word, nibble| word << 4 | nibble);
            return from_pattern(self.kind, self.order, word);
        }
        if let Some((shift, width)) = self.bits {
            let mask = 1_u64.checked_shl(u32::from(width)).map_or(u64::MAX, |bit| bit.saturating_sub(1));
            let field = u64::try_from(raw).ok().filter(|field| *field <= mask)?;
            let others = pattern(self.kind, self.order, words)? & !mask.checked_shl(u32::from(shift))?;
            return from_pattern(self.kind, self.order, others | field.checked_shl(u32::from(shift))?);
        }
        encode(self.kind, self.order, Raw::Int(i128::from(raw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn power(kind: Kind, scale: &str) -> Codec {
        Codec { scale: Ratio::parse(scale).unwrap(), ..Codec::plain(kind, Unit::Watt) }
    }

    #[test]
    fn d1_the_sentinel_of_every_word_type_is_unknown_and_only_it() {
        for (name, kind) in Kind::ALL {
            let ones = 1_u64.checked_shl(u32::from(kind.width()) * 16).map_or(u64::MAX, |over| over - 1);
            // All ones, the lowest and the highest signed number, and the zero of accumulators.
            for absent in [ones, ones / 2 + 1, ones / 2, 0] {
                for order in [WordOrder::HighFirst, WordOrder::LowFirst] {
                    let every = Codec { order, ..Codec::plain(kind, Unit::Count) };
                    let codec = Codec { absent: vec![absent], ..every.clone() };
                    let words = |bits: u64| from_pattern(kind, order, bits).unwrap();
                    assert_eq!(codec.decode(&words(absent), 0), Ok(None), "{name} {absent:#x}");
                    for near in [absent ^ 1, absent ^ 0x100] {
                        let (found, plain) = (codec.decode(&words(near), 0), every.decode(&words(near), 0));
                        assert_eq!(found, plain, "{name} {near:#x} is another number");
                    }
                }
            }
        }
    }

    #[test]
    fn a_sum_with_an_unknown_part_is_unknown() {
        let codec = Codec { absent: vec![0x8000], count: 3, ..power(Kind::I16, "-10") };
        assert_eq!(codec.decode(&[1, 2, 3], 0), Ok(Some(-60)));
        assert_eq!(codec.decode(&[1, 0x8000, 3], 0), Ok(None));
        assert_eq!(codec.decode(&[1, 2], 0), Err(WrongLength));
    }

    #[test]
    fn d1_a_float_that_is_no_number_is_unknown() {
        let codec = power(Kind::F32, "1");
        for bad in [f32::NAN, f32::INFINITY, f32::MAX, -f32::MAX] {
            let words = encode(Kind::F32, WordOrder::HighFirst, Raw::Float(bad)).unwrap();
            assert_eq!(codec.decode(&words, 0), Ok(None), "{bad}");
        }
    }

    #[test]
    fn the_worst_of_many_alarm_nibbles_counts() {
        let codec = Codec {
            count: 2,
            join: Join::Worst,
            map: vec![(1, 0), (2, 1), (3, 2), (15, 0)],
            ..Codec::plain(Kind::Nibbles, Unit::Count)
        };
        assert_eq!(codec.decode(&[0x1111, 0xFFFF], 0), Ok(Some(0)));
        assert_eq!(codec.decode(&[0x1211, 0x1111], 0), Ok(Some(1)));
        assert_eq!(codec.decode(&[0x1211, 0x1131], 0), Ok(Some(2)));
        assert_eq!(codec.decode(&[0x1711, 0x1131], 0), Ok(None), "a code nobody explained");
        let mut words = [0, 0];
        assert!(codec.encode(&mut words, Some(2), 0));
        assert_eq!(codec.decode(&words, 0), Ok(Some(2)));
    }

    #[test]
    fn a_flag_is_yes_or_no_and_nothing_else() {
        let codec = Codec::plain(Kind::U16, Unit::Flag);
        assert_eq!(codec.decode(&[1], 0), Ok(Some(1)));
        assert_eq!(codec.decode(&[2], 0), Ok(None));
    }

    #[test]
    fn writing_some_bits_keeps_the_others() {
        let codec = Codec { bits: Some((4, 2)), ..Codec::plain(Kind::U16, Unit::Count) };
        let mut words = [0xFFFF];
        assert!(codec.encode(&mut words, Some(1), 0));
        assert_eq!(words, [0xFFDF]);
        assert_eq!(codec.decode(&words, 0), Ok(Some(1)));
    }

    proptest! {
        #[test]
        fn a_carried_value_survives_the_way_through_its_registers(
            value in -30_000_i64..30_000, exponent in -2_i32..=0, low: bool
        ) {
            let order = if low { WordOrder::LowFirst } else { WordOrder::HighFirst };
            let codec = Codec { order, ..power(Kind::I32, "-0.1") };
            let mut words = [0, 0];
            prop_assert!(codec.encode(&mut words, Some(value), exponent));
            prop_assert_eq!(codec.decode(&words, exponent), Ok(Some(value)));
        }

        #[test]
        fn no_words_panic(words: Vec<u16>, exponent: i32) {
            for kind in Kind::ALL {
                let codec = power(kind.1, "1000");
                prop_assert_eq!(codec.decode(&words, exponent).is_ok(), words.len() == usize::from(codec.width()));
            }
        }
    }
}
