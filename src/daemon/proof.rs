//! What commissioning has proven of a site, kept beside what the site remembers.
//!
//! It holds for the devices as they were: another definition, address, unit or phase makes it worthless, and the site
//! in control asks for a new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::control::policy::Control;
use crate::control::units::Span;
use crate::control::wiring::ActuatorKind;
use crate::device::library;
use crate::profile::{Checked, DeviceConfig, Role};
use crate::services::published::Commissioning;

/// No proof is longer, in bytes.
const MOST: u64 = 1 << 20;
/// A lag that was measured is believed up to here; what is longer was no lag.
const LONGEST_LAG_MS: i64 = 10_000;

/// What was proven, and of which devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// When, ms since 1970.
    pub utc_ms: i64,
    /// The devices as they were, by name.
    pub devices: BTreeMap<String, String>,
    /// How late the grid meter is, in ms.
    pub meter_lag_ms: Option<i64>,
    /// Everything that was seen.
    pub seen: Commissioning,
}

impl Proof {
    /// Of what was seen at a site; none when something was wrong or not tried.
    #[must_use]
    pub fn of(checked: &Checked, seen: &Commissioning, utc_ms: i64) -> Option<Self> {
        let whole = seen.over && seen.ended.is_none() && !seen.tried.is_empty();
        if !whole || seen.tried.iter().any(|tried| !tried.findings.is_empty()) {
            return None;
        }
        let mut lags: Vec<i64> = seen.tried.iter().filter_map(|tried| tried.lag_ms).collect();
        lags.sort_unstable();
        let meter_lag_ms = lags.get(lags.len() / 2).copied().filter(|lag| *lag <= LONGEST_LAG_MS);
        Some(Self { utc_ms, devices: devices(checked), meter_lag_ms, seen: seen.clone() })
    }

    /// Whether it still speaks of these devices.
    #[must_use]
    pub fn fits(&self, checked: &Checked) -> bool {
        self.devices == devices(checked)
    }

    /// Lets what was measured count where the profile says nothing.
    pub fn teach(&self, checked: &mut Checked) {
        let policy = &mut checked.site.policy;
        if policy.regulator.meter_lag.is_none() {
            policy.regulator.meter_lag = self.meter_lag_ms.map(Span::millis);
        }
    }
}

/// Lets the proof of a state folder count for a site, where it speaks of its devices.
pub(super) fn apply(state: &Path, checked: &mut Checked) {
    if let Some(proof) = read(state).filter(|proof| proof.fits(checked)) {
        proof.teach(checked);
        checked.proven = true;
    }
}

/// Whether a site in control lacks the proof that it needs.
#[must_use]
pub(super) fn is_missing(checked: &Checked) -> bool {
    checked.site.policy.control == Control::On && is_due(checked) && !checked.proven
}

/// Where the proof of a state folder is.
#[must_use]
pub fn file(state: &Path) -> PathBuf {
    state.join("commissioned.json")
}

/// The proof in a state folder; none when there is none that can be read.
#[must_use]
pub fn read(state: &Path) -> Option<Proof> {
    let file = file(state);
    if fs::metadata(&file).ok()?.len() > MOST {
        return None;
    }
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

/// Writes it down, whole or not at all.
///
/// # Errors
/// When the folder cannot be made or written.
pub fn write(state: &Path, proof: &Proof) -> io::Result<()> {
    fs::create_dir_all(state)?;
    let (file, beside) = (file(state), state.join("commissioned.json.new"));
    let mut out = File::create(&beside)?;
    out.write_all(&serde_json::to_vec_pretty(proof)?)?;
    out.sync_all()?;
    fs::rename(beside, file)
}

/// Whether a site has something that commissioning could prove.
#[must_use]
pub fn is_due(checked: &Checked) -> bool {
    let steers = |kind| matches!(kind, ActuatorKind::InverterPower(_));
    checked.site.wiring.actuators.iter().any(|spec| steers(spec.kind))
}

/// The devices that take part, each as what must not change.
fn devices(checked: &Checked) -> BTreeMap<String, String> {
    let takes_part = |device: &&DeviceConfig| {
        device.roles.iter().any(|role| matches!(role, Role::Inverter | Role::GridMeter | Role::Battery))
    };
    checked.devices.iter().filter(takes_part).map(|device| (device.name.clone(), sign(device))).collect()
}

fn sign(device: &DeviceConfig) -> String {
    let name = device.definition_name.as_deref().unwrap_or_default();
    let text = library::shipped(name).map(str::to_owned).or_else(|| {
        let own = device.definition.as_deref()?;
        Some(format!("{own:?}"))
    });
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.unwrap_or_default().bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let (host, port) = device.address.clone().unwrap_or_default();
    format!("{name} {hash:016x} at {host}:{port} units {:?} phases {:?}", device.units, device.phases)
}
