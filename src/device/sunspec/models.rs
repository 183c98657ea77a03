//! The SunSpec points that we know by name: where in their model they stand, as what, and which scale factor is
//! theirs. Offsets count from the model's id word, after the public model definitions (sunspec/models, Apache-2.0).

use crate::device::words::Kind;

/// A point of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Model id.
    pub model: u16,
    /// Point name as SunSpec spells it.
    pub name: &'static str,
    /// Words from the model's id word.
    pub offset: u16,
    /// Layout.
    pub kind: Kind,
    /// Offset of its scale factor, if it has one.
    pub factor: Option<u16>,
    /// Whether it accumulates: then zero means that it does not.
    pub accumulates: bool,
}

impl Entry {
    /// The bit pattern that means "not implemented".
    #[must_use]
    pub fn absent(&self) -> Option<u64> {
        match self.kind {
            _ if self.accumulates => Some(0),
            Kind::I16 => Some(0x8000),
            Kind::U16 => Some(0xFFFF),
            Kind::I32 => Some(0x8000_0000),
            Kind::U32 => Some(0xFFFF_FFFF),
            Kind::I64 => Some(0x8000_0000_0000_0000),
            Kind::U64 => Some(u64::MAX),
            Kind::F32 | Kind::Bool | Kind::Nibbles => None, // a float says it with NaN
        }
    }
}

/// Rows: models, name, offset, kind, scale factor offset (0 none), accumulates.
type Row = (&'static [u16], &'static str, u16, Kind, u16, bool);

const INTEGER: &[u16] = &[101, 102, 103];
const FLOAT: &[u16] = &[111, 112, 113];

const ROWS: &[Row] = &[
    (INTEGER, "A", 2, Kind::U16, 6, false),
    (INTEGER, "PhVphA", 10, Kind::U16, 13, false),
    (INTEGER, "PhVphB", 11, Kind::U16, 13, false),
    (INTEGER, "PhVphC", 12, Kind::U16, 13, false),
    (INTEGER, "W", 14, Kind::I16, 15, false),
    (INTEGER, "Hz", 16, Kind::U16, 17, false),
    (INTEGER, "WH", 24, Kind::U32, 26, true),
    (INTEGER, "St", 38, Kind::U16, 0, false),
    (FLOAT, "A", 2, Kind::F32, 0, false),
    (FLOAT, "PhVphA", 16, Kind::F32, 0, false),
    (FLOAT, "PhVphB", 18, Kind::F32, 0, false),
    (FLOAT, "PhVphC", 20, Kind::F32, 0, false),
    (FLOAT, "W", 22, Kind::F32, 0, false),
    (FLOAT, "Hz", 24, Kind::F32, 0, false),
    (FLOAT, "WH", 32, Kind::F32, 0, false),
    (FLOAT, "St", 48, Kind::U16, 0, false),
    (&[120], "WRtg", 3, Kind::U16, 4, false),
    (&[121], "WMax", 2, Kind::U16, 22, false),
    (&[123], "Conn", 4, Kind::U16, 0, false),
    (&[123], "WMaxLimPct", 5, Kind::U16, 23, false),
    (&[123], "WMaxLimPct_WinTms", 6, Kind::U16, 0, false),
    (&[123], "WMaxLimPct_RvrtTms", 7, Kind::U16, 0, false),
    (&[123], "WMaxLimPct_RmpTms", 8, Kind::U16, 0, false),
    (&[123], "WMaxLim_Ena", 9, Kind::U16, 0, false),
];

/// Models with their usual length in words after the header.
pub const LENGTHS: &[(u16, u16)] = &[
    (1, 65),
    (101, 50),
    (102, 50),
    (103, 50),
    (111, 60),
    (112, 60),
    (113, 60),
    (120, 26),
    (121, 30),
    (122, 44),
    (123, 24),
];

/// The usual length of a model in words after its header.
#[must_use]
pub fn length(model: u16) -> Option<u16> {
    LENGTHS.iter().find(|(known, _)| *known == model).map(|(_, length)| *length)
}

/// A point by model and name.
#[must_use]
pub fn entry(model: u16, name: &str) -> Option<Entry> {
    let found = ROWS.iter().find(|row| row.0.contains(&model) && row.1 == name)?;
    Some(Entry {
        model,
        name: found.1,
        offset: found.2,
        kind: found.3,
        factor: (found.4 > 0).then_some(found.4),
        accumulates: found.5,
    })
}

/// All points of a model.
pub fn of_model(model: u16) -> impl Iterator<Item = Entry> {
    ROWS.iter().filter(move |row| row.0.contains(&model)).filter_map(move |row| entry(model, row.1))
}

/// Names of a model's points, to suggest one.
pub fn names(model: u16) -> impl Iterator<Item = &'static str> {
    of_model(model).map(|entry| entry.name)
}
