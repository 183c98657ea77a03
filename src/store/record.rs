//! What is written down, and how it becomes rows that a person can read.
//!
//! A row whose name is unknown is ignored and a row that is missing has its default, so versions of one schema read
//! each other. What is present but cannot be true makes the whole record unreadable: half a memory is worse than
//! none, because nothing says which half.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::control::ledger::Ledger;
use crate::control::site::Keepsake;
use crate::control::units::{MilliJoules, Mono, Span};

/// When a record was made, by every clock of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stamp {
    /// Which boot of the machine, as its kernel names it. Empty when the kernel does not.
    pub boot: String,
    /// Time since that boot, suspended time included, in milliseconds.
    pub boottime_ms: i64,
    /// Milliseconds since 1970.
    pub utc_ms: i64,
    /// Whether the wall clock was to be believed.
    pub trusted: bool,
}

/// The moments at which a register that wears was written lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wear {
    /// The device's name in the profile.
    pub device: String,
    /// The unit's name in its definition.
    pub unit: String,
    /// The register, as sent on the wire.
    pub address: u16,
    /// When, oldest first, in site time.
    pub at: Vec<Mono>,
}

/// Everything that is written down at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// When it was made.
    pub stamp: Stamp,
    /// What the site must remember.
    pub keepsake: Keepsake,
    /// What the devices' memory has gone through.
    pub wear: Vec<Wear>,
}

/// Why a record cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum Mistake {
    /// A section is not what it should be.
    #[error("section \"{0}\" does not parse: {1}")]
    Section(String, serde_json::Error),
    /// The sections parse, the whole does not.
    #[error("the sections do not make a record: {0}")]
    Whole(serde_json::Error),
    /// A record always has one.
    #[error("the stamp is missing")]
    NoStamp,
    /// Counters only rise.
    #[error("counter \"{0}\" is negative")]
    Negative(&'static str),
    /// A moment before the site began or long after the record was made.
    #[error("\"{0}\" holds a moment that cannot be")]
    Moment(&'static str),
    /// No device has such a register.
    #[error("wear of \"{0}\" names an impossible register")]
    Register(String),
}

/// A record as rows: text by section, numbers by counter, text by device, unit and register.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// Sections of the keepsake and the stamp, each as JSON.
    pub remembered: BTreeMap<String, String>,
    /// Counters, their unit at the end of the name.
    pub counters: BTreeMap<String, i64>,
    /// Moments of wear as JSON.
    pub wear: BTreeMap<(String, String, i64), String>,
}

/// The section that holds the [`Stamp`]; all others are fields of the keepsake.
const STAMP: &str = "stamp";
/// The field of the keepsake that becomes counters.
const LEDGER: &str = "ledger";
/// Sections full of moments that only their owner can name.
const MOMENTS: [&str; 2] = ["guard", "genset"];
/// Longer than any site, or any order of an operator, lasts.
const LIFETIME: Span = Span::minutes(100 * 366 * 24 * 60);
/// What is noted by others may be this much younger than the keepsake.
const SLACK: Span = Span::minutes(60);

impl Rows {
    /// The rows of a record.
    ///
    /// # Errors
    /// When something in it has no text, which would be a mistake of ours.
    pub fn of(record: &Record) -> Result<Self, serde_json::Error> {
        let mut rows = Self::default();
        if let serde_json::Value::Object(sections) = serde_json::to_value(&record.keepsake)? {
            for (section, value) in sections.into_iter().filter(|(section, _)| section != LEDGER) {
                rows.remembered.insert(section, value.to_string());
            }
        }
        rows.remembered.insert(STAMP.to_owned(), serde_json::to_string(&record.stamp)?);
        let mut ledger = record.keepsake.ledger;
        for (name, energy) in counters(&mut ledger) {
            rows.counters.insert(name.to_owned(), energy.0);
        }
        for wear in &record.wear {
            let key = (wear.device.clone(), wear.unit.clone(), i64::from(wear.address));
            rows.wear.insert(key, serde_json::to_string(&wear.at)?);
        }
        Ok(rows)
    }

    /// All text in them together, in bytes, with something for each row.
    #[must_use]
    pub fn size(&self) -> usize {
        let remembered = self.remembered.iter().map(|(section, json)| section.len() + json.len());
        let counters = self.counters.keys().map(String::len);
        let wear = self.wear.iter().map(|((device, unit, _), at)| device.len() + unit.len() + at.len());
        remembered.chain(counters).chain(wear).map(|length| length.saturating_add(16)).sum()
    }

    /// Whether nothing was ever written down.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remembered.is_empty() && self.counters.is_empty() && self.wear.is_empty()
    }

    /// The record in these rows. The ledger counts on from here: what flowed meanwhile is not known.
    ///
    /// # Errors
    /// When any of it cannot be true.
    pub fn record(&self) -> Result<Record, Mistake> {
        // Energy has its own rows: a section of that name is none of ours.
        let mut keepsake = Keepsake { ledger: Ledger::default(), ..self.keepsake()? };
        for (name, energy) in counters(&mut keepsake.ledger) {
            let value = self.counters.get(name).copied().unwrap_or(0);
            if value < 0 {
                return Err(Mistake::Negative(name));
            }
            *energy = MilliJoules(value);
        }
        let stamp = self.remembered.get(STAMP).ok_or(Mistake::NoStamp)?;
        let stamp: Stamp =
            serde_json::from_str(stamp).map_err(|source| Mistake::Section(STAMP.to_owned(), source))?;
        let wear = self.wear.iter().map(|(key, at)| worn(key, at)).collect::<Result<_, _>>()?;
        let record = Record { stamp, keepsake, wear };
        self.plausible(&record)?;
        Ok(record)
    }

    /// The sections put together again. Each is well formed by itself before it is put beside the others.
    fn keepsake(&self) -> Result<Keepsake, Mistake> {
        let mut text = String::from("{");
        // The counters have rows of their own: a ledger among the sections would bring the moment it counted to.
        let own = |section: &str| ![STAMP, LEDGER].contains(&section);
        for (section, json) in self.remembered.iter().filter(|(section, _)| own(section)) {
            serde_json::from_str::<IgnoredAny>(json)
                .map_err(|source| Mistake::Section(section.clone(), source))?;
            let name = serde_json::to_string(section).map_err(Mistake::Whole)?;
            for part in [if text.len() > 1 { "," } else { "" }, &name, ":", json] {
                text.push_str(part);
            }
        }
        text.push('}');
        serde_json::from_str(&text).map_err(Mistake::Whole)
    }

    /// Nothing happened before the site began, and nothing lies further ahead than a site lives.
    fn plausible(&self, record: &Record) -> Result<(), Mistake> {
        let at = record.keepsake.at;
        let within = |name, moment: Mono, ahead: Span| {
            if (Mono::ZERO..=at + ahead).contains(&moment) { Ok(()) } else { Err(Mistake::Moment(name)) }
        };
        if !(Mono::ZERO..=Mono::ZERO + LIFETIME).contains(&at) {
            return Err(Mistake::Moment("at"));
        }
        record.keepsake.full_at.map_or(Ok(()), |full| within("full_at", full, SLACK))?;
        record.keepsake.manual_until.map_or(Ok(()), |until| within("manual_until", until, LIFETIME))?;
        for moment in record.wear.iter().flat_map(|wear| &wear.at) {
            within("wear", *moment, SLACK)?;
        }
        let latest = u64::try_from((at + LIFETIME).0).unwrap_or(u64::MAX);
        let beyond = |json: &String| {
            let numbers = json.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
            numbers.into_iter().any(|digits| digits.parse().is_ok_and(|number: u64| number > latest))
        };
        for section in MOMENTS {
            if self.remembered.get(section).is_some_and(beyond) {
                return Err(Mistake::Moment(section));
            }
        }
        Ok(())
    }

    /// A checksum over every row and every boundary between them: the file has none of its own.
    #[must_use]
    pub fn seal(&self) -> String {
        const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
        let mut digest = CRC.digest();
        let mut text = |text: &str| {
            digest.update(text.as_bytes());
            // No text holds this byte, so no row can pass for two.
            digest.update(&[0xFF]);
        };
        for (section, json) in &self.remembered {
            text(section);
            text(json);
        }
        for (name, value) in &self.counters {
            text(name);
            text(&value.to_string());
        }
        for ((device, unit, address), at) in &self.wear {
            text(device);
            text(unit);
            text(&address.to_string());
            text(at);
        }
        format!("{:08x}", digest.finalize())
    }
}

/// Every counter of the ledger, by the name of its row.
fn counters(ledger: &mut Ledger) -> [(&'static str, &mut MilliJoules); 7] {
    [
        ("grid_import_mj", &mut ledger.grid_import),
        ("grid_export_mj", &mut ledger.grid_export),
        ("battery_charge_mj", &mut ledger.battery_charge),
        ("battery_discharge_mj", &mut ledger.battery_discharge),
        ("pv_mj", &mut ledger.pv),
        ("load_mj", &mut ledger.load),
        ("generator_mj", &mut ledger.generator),
    ]
}

fn worn((device, unit, address): &(String, String, i64), at: &str) -> Result<Wear, Mistake> {
    let at =
        serde_json::from_str(at).map_err(|source| Mistake::Section(format!("wear of {device}"), source))?;
    let address = u16::try_from(*address).map_err(|_| Mistake::Register(device.clone()))?;
    Ok(Wear { device: device.clone(), unit: unit.clone(), address, at })
}
