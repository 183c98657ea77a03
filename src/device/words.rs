//! Registers to raw numbers and back, both exactly. What a raw number means is the definition's business; here
//! every input is either a number or an error, and nothing panics.

/// How a value is laid down in registers or bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One coil or discrete input, or a register of which any bit set means yes.
    Bool,
    /// One register, unsigned.
    U16,
    /// One register, signed.
    I16,
    /// Two registers, unsigned.
    U32,
    /// Two registers, signed.
    I32,
    /// Four registers, unsigned.
    U64,
    /// Four registers, signed.
    I64,
    /// Two registers, IEEE 754.
    F32,
    /// One register of four 4-bit conditions; the worst of them counts.
    Nibbles,
}

impl Kind {
    /// The name in a definition, and all names.
    pub const ALL: [(&'static str, Self); 9] = [
        ("bool", Self::Bool),
        ("u16", Self::U16),
        ("i16", Self::I16),
        ("u32", Self::U32),
        ("i32", Self::I32),
        ("u64", Self::U64),
        ("i64", Self::I64),
        ("f32", Self::F32),
        ("nibbles", Self::Nibbles),
    ];

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, kind)| kind)
    }

    /// How many registers (or bits, for coils) one value takes.
    #[must_use]
    pub fn width(self) -> u16 {
        match self {
            Self::Bool | Self::U16 | Self::I16 | Self::Nibbles => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 => 4,
        }
    }

    /// Whether the raw number carries a sign.
    #[must_use]
    pub fn is_signed(self) -> bool {
        matches!(self, Self::I16 | Self::I32 | Self::I64)
    }
}

/// Which half of a long value comes first. Bytes inside a register are always high first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WordOrder {
    /// Most significant register first, as the Modbus specification writes numbers.
    #[default]
    HighFirst,
    /// Least significant register first.
    LowFirst,
}

/// A raw number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw {
    /// Of an integer kind.
    Int(i128),
    /// Of a float kind; may be anything a float can be.
    Float(f32),
}

/// The bits of a value, first register most significant; `None` when the count of words is not the kind's.
#[must_use]
pub fn pattern(kind: Kind, order: WordOrder, words: &[u16]) -> Option<u64> {
    if words.len() != usize::from(kind.width()) {
        return None;
    }
    let join = |bits: u64, word: &u16| (bits << 16) | u64::from(*word);
    Some(match order {
        WordOrder::HighFirst => words.iter().fold(0, join),
        WordOrder::LowFirst => words.iter().rev().fold(0, join),
    })
}

/// The raw number in exactly `kind.width()` words; `None` for any other count.
#[must_use]
pub fn decode(kind: Kind, order: WordOrder, words: &[u16]) -> Option<Raw> {
    Some(of_pattern(kind, pattern(kind, order, words)?))
}

/// The raw number that a bit pattern of this kind means.
#[must_use]
pub fn of_pattern(kind: Kind, bits: u64) -> Raw {
    let bytes = bits.to_be_bytes();
    let [.., b4, b5, b6, b7] = bytes;
    match kind {
        Kind::Bool => Raw::Int(i128::from(bits != 0)),
        Kind::U16 | Kind::U32 | Kind::U64 | Kind::Nibbles => Raw::Int(i128::from(bits)),
        Kind::I16 => Raw::Int(i128::from(i16::from_be_bytes([b6, b7]))),
        Kind::I32 => Raw::Int(i128::from(i32::from_be_bytes([b4, b5, b6, b7]))),
        Kind::I64 => Raw::Int(i128::from(i64::from_be_bytes(bytes))),
        Kind::F32 => Raw::Float(f32::from_be_bytes([b4, b5, b6, b7])),
    }
}

/// The words of a bit pattern; `None` when it has more bits than the kind.
#[must_use]
pub fn from_pattern(kind: Kind, order: WordOrder, bits: u64) -> Option<Vec<u16>> {
    let [b0, b1, b2, b3, b4, b5, b6, b7] = bits.to_be_bytes();
    let all = [[b0, b1], [b2, b3], [b4, b5], [b6, b7]].map(u16::from_be_bytes);
    let len = usize::from(kind.width());
    let (above, own) = all.split_at_checked(all.len().checked_sub(len)?)?;
    if above.iter().any(|word| *word != 0) {
        return None;
    }
    let mut words = own.to_vec();
    if order == WordOrder::LowFirst {
        words.reverse();
    }
    Some(words)
}

/// The words of a raw number; `None` when the kind cannot hold it.
#[must_use]
pub fn encode(kind: Kind, order: WordOrder, raw: Raw) -> Option<Vec<u16>> {
    let bits = match (kind, raw) {
        (Kind::Bool, Raw::Int(value)) => u64::try_from(value).ok().filter(|bit| *bit <= 1)?,
        (Kind::U16 | Kind::Nibbles, Raw::Int(value)) => u64::from(u16::try_from(value).ok()?),
        (Kind::U32, Raw::Int(value)) => u64::from(u32::try_from(value).ok()?),
        (Kind::U64, Raw::Int(value)) => u64::try_from(value).ok()?,
        (Kind::I16, Raw::Int(value)) => {
            u64::from(u16::from_be_bytes(i16::try_from(value).ok()?.to_be_bytes()))
        }
        (Kind::I32, Raw::Int(value)) => {
            u64::from(u32::from_be_bytes(i32::try_from(value).ok()?.to_be_bytes()))
        }
        (Kind::I64, Raw::Int(value)) => u64::from_be_bytes(i64::try_from(value).ok()?.to_be_bytes()),
        (Kind::F32, Raw::Float(value)) => u64::from(value.to_bits()),
        (Kind::F32, Raw::Int(_)) | (_, Raw::Float(_)) => return None,
    };
    from_pattern(kind, order, bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_kind() -> impl Strategy<Value = Kind> {
        (0..Kind::ALL.len()).prop_map(|at| Kind::ALL[at].1)
    }

    fn any_order() -> impl Strategy<Value = WordOrder> {
        any::<bool>().prop_map(|low| if low { WordOrder::LowFirst } else { WordOrder::HighFirst })
    }

    #[test]
    fn a_low_first_value_is_read_from_its_second_register() {
        assert_eq!(decode(Kind::I32, WordOrder::LowFirst, &[0xF830, 0xFFFF]), Some(Raw::Int(-2_000)));
        assert_eq!(decode(Kind::I32, WordOrder::HighFirst, &[0xFFFF, 0xF830]), Some(Raw::Int(-2_000)));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_back_bit_for_bit(kind in any_kind(), order in any_order(), all: [u16; 4]) {
            let words = &all[..usize::from(kind.width())];
            let raw = decode(kind, order, words).unwrap();
            let again = encode(kind, order, raw).unwrap();
            if kind == Kind::Bool {
                prop_assert_eq!(decode(kind, order, &again), Some(raw));
            } else {
                prop_assert_eq!(again, words);
            }
        }

        #[test]
        fn an_integer_that_does_not_fit_is_refused_and_one_that_fits_comes_back(
            kind in any_kind(), order in any_order(), value in -(1_i128 << 66)..(1_i128 << 66)
        ) {
            if let Some(words) = encode(kind, order, Raw::Int(value)) {
                prop_assert_eq!(decode(kind, order, &words), Some(Raw::Int(value)));
            }
        }

        #[test]
        fn a_wrong_count_of_words_is_an_error(kind in any_kind(), order in any_order(), words: Vec<u16>) {
            let whole = words.len() == usize::from(kind.width());
            prop_assert_eq!(decode(kind, order, &words).is_some(), whole);
        }
    }
}
