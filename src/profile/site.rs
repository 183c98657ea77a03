//! A profile without mistakes: everything the daemon, the scenarios and the reports need to know of a site.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::control::signal::{Phase, Quantity, SignalId};
use crate::control::site::SiteConfig;
use crate::control::units::Span;
use crate::device::definition::Definition;
use crate::device::order::ControlKind;

use super::draft::{Framing, Mode, Role};
use super::layer::Origin;
use super::layers::{self, Effective};

/// A profile without mistakes.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Name of the site.
    pub name: String,
    /// The operator's file, as named.
    pub file: String,
    /// Every file that it was read from: profiles and definitions.
    pub files: Vec<PathBuf>,
    /// Where page, metrics and API are served.
    pub listen: SocketAddr,
    /// File in which another program writes a plan.
    pub plan_file: Option<PathBuf>,
    /// What the pure half works with.
    pub site: SiteConfig,
    /// All devices, by name in order.
    pub devices: Vec<DeviceConfig>,
    /// Names of the charge windows, in the order of the policy's list.
    pub schedule: Vec<String>,
    /// Names of the loads on relays, in the order of the policy's list.
    pub loads: Vec<String>,
    /// Names of the overlays that can be put on.
    pub overlays: Vec<String>,
    /// Commissioning has proven its devices as they are; whoever holds the proof says so.
    pub proven: bool,
    /// What is no mistake but what an operator should know.
    pub notes: Vec<String>,
    pub(super) aliases: BTreeMap<String, SignalId>,
    pub(super) effective: Effective,
}

impl Checked {
    /// The signal with this name, whether it is called by its site or by its device: when the device `house`
    /// has the role of the battery, `battery.soc` and `battery.house.soc` are the same.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<SignalId> {
        self.site.signals.named(name).or_else(|| self.aliases.get(name).copied())
    }

    /// Every name that [`Checked::resolve`] knows, with its signal.
    pub fn names(&self) -> impl Iterator<Item = (String, SignalId)> {
        let own = self.site.signals.iter().map(|(id, signal)| (signal.name(), id));
        own.chain(self.aliases.iter().map(|(name, id)| (name.clone(), *id)))
    }

    /// Every effective value: key, value as TOML, and where it came from.
    #[must_use]
    pub fn origins(&self) -> Vec<(String, String, Origin)> {
        layers::origins(&self.effective)
    }

    /// The device with this name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&DeviceConfig> {
        self.devices.iter().find(|device| device.name == name)
    }
}

/// One device of a checked site.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceConfig {
    /// The profile's name.
    pub name: String,
    /// Its definition; none for a device that is its signals only.
    pub definition: Option<Arc<Definition>>,
    /// The definition as the profile names it.
    pub definition_name: Option<String>,
    /// Host and port; none when it is never polled.
    pub address: Option<(String, u16)>,
    /// How frames travel.
    pub framing: Framing,
    /// Unit ids that the profile chose, by the definition's unit names; the others keep their defaults.
    pub units: BTreeMap<String, u8>,
    /// The parts it plays.
    pub roles: Vec<Role>,
    /// Who keeps the fast loop.
    pub mode: Mode,
    /// The phases it is wired to.
    pub phases: [bool; 3],
    /// Period of the fast points, when the profile chose one.
    pub poll: Option<Span>,
    /// Where each of its values goes: by quantity, phase and channel (from 0).
    pub signals: BTreeMap<(Quantity, Phase, u8), SignalId>,
    /// Which actuator moves what it can be told: by control and relay channel (from 0).
    pub orders: BTreeMap<(ControlKind, u8), u8>,
}
