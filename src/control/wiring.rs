//! Which signal plays which part at this site.
//!
//! The profile's roles become places in the image once, when the profile is checked; decisions follow the
//! places. A part that no device plays is `None`, and whatever depends on it takes the cautious case.

use serde::{Deserialize, Serialize};

use super::policy::InverterSpec;
use super::signal::SignalId;
use super::units::{MilliAmps, Span, Watts};

/// One power and its three phases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PowerWiring {
    /// The sum, where a device measures it.
    pub total: Option<SignalId>,
    /// Each conductor, where a device measures them.
    pub phase: [Option<SignalId>; 3],
}

impl PowerWiring {
    /// Whether any device measures it.
    #[must_use]
    pub fn is_wired(&self) -> bool {
        self.total.is_some() || self.phase.iter().any(Option::is_some)
    }
}

/// The grid connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GridWiring {
    /// Whether the utility is there.
    pub present: Option<SignalId>,
    /// Power at the connection.
    pub power: PowerWiring,
    /// Voltage there, of each phase or of one.
    pub voltage: PowerWiring,
}

/// The battery and its BMS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatteryWiring {
    /// State of charge.
    pub soc: Option<SignalId>,
    /// Terminal voltage.
    pub voltage: Option<SignalId>,
    /// Current, discharge positive.
    pub current: Option<SignalId>,
    /// Power, discharge positive.
    pub power: Option<SignalId>,
    /// Temperature.
    pub temperature: Option<SignalId>,
    /// CCL.
    pub charge_limit: Option<SignalId>,
    /// DCL.
    pub discharge_limit: Option<SignalId>,
    /// CVL.
    pub charge_voltage: Option<SignalId>,
    /// The BMS's wish to be charged.
    pub charge_request: Option<SignalId>,
}

/// One inverter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InverterWiring {
    /// What it can do.
    pub spec: InverterSpec,
    /// Power at its AC input, feeding the bus positive.
    pub power: PowerWiring,
    /// Whether it holds a nearly empty battery up.
    pub sustain: Option<SignalId>,
    /// What it takes from the DC bus.
    pub dc_current: Option<SignalId>,
}

/// One solar charger on the DC bus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargerWiring {
    /// The profile's name of the device.
    pub name: String,
    /// What it makes.
    pub current: Option<SignalId>,
    /// The most it can make.
    pub rating: MilliAmps,
}

/// One PV inverter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PvWiring {
    /// The profile's name of the device.
    pub name: String,
    /// Its power.
    pub power: PowerWiring,
    /// The most it can make.
    pub rating: Watts,
}

/// The generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorWiring {
    /// Whether the engine turns.
    pub running: Option<SignalId>,
    /// Its output.
    pub power: Option<SignalId>,
    /// Whether its voltage is there.
    pub ac_present: Option<SignalId>,
    /// The start contact as read back.
    pub contact: Option<SignalId>,
    /// Off, auto, manual.
    pub mode: Option<SignalId>,
    /// None, warning, shutdown.
    pub fault: Option<SignalId>,
}

/// Everything a decision looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wiring {
    /// The grid connection.
    pub grid: GridWiring,
    /// The battery.
    pub battery: BatteryWiring,
    /// The controlled inverters, at most `MAX_INVERTERS`.
    pub inverters: Vec<InverterWiring>,
    /// PV inverters on the AC side, at most `MAX_PV`.
    pub pv: Vec<PvWiring>,
    /// Power of DC-coupled PV.
    pub pv_dc: Option<SignalId>,
    /// Solar chargers, at most `MAX_CHARGERS`.
    pub chargers: Vec<ChargerWiring>,
    /// Loads on the DC bus, where a device measures them.
    pub load_dc: Option<SignalId>,
    /// Site load, where a device measures it.
    pub load: PowerWiring,
    /// Load behind the inverters' AC output.
    pub load_out: PowerWiring,
    /// The generator.
    pub generator: GeneratorWiring,
    /// What orders can reach.
    pub actuators: Vec<ActuatorSpec>,
}

impl Wiring {
    /// The PV inverters that take a limit.
    pub fn limited_pv(&self) -> impl Iterator<Item = &PvWiring> {
        self.actuators.iter().filter_map(|spec| match spec.kind {
            ActuatorKind::PvLimit(at) => self.pv.get(usize::from(at)),
            ActuatorKind::InverterPower(_)
            | ActuatorKind::GridSetpoint
            | ActuatorKind::GeneratorRun
            | ActuatorKind::Load(_) => None,
        })
    }

    /// The most that they can make together.
    #[must_use]
    pub fn limited_rating(&self) -> Watts {
        self.limited_pv().map(|pv| pv.rating).sum()
    }
}

/// What an actuator moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ActuatorKind {
    /// AC power of the inverter at this place in [`Wiring::inverters`], per phase.
    InverterPower(u8),
    /// The grid setpoint of a device that keeps the fast loop itself.
    GridSetpoint,
    /// Upper limit of the PV inverter at this place in [`Wiring::pv`].
    PvLimit(u8),
    /// The generator's start contact or command.
    GeneratorRun,
    /// The relay of the load at this place in [`Policy::loads`](super::policy::Policy::loads).
    Load(u8),
}

/// One thing that orders can reach, and its manners.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActuatorSpec {
    /// The profile's name of the device that takes it.
    pub device: String,
    /// What it moves.
    pub kind: ActuatorKind,
    /// Repeat at least this often; at most a third of the device's watchdog. None: only on change.
    pub refresh: Option<Span>,
    /// The device falls back by itself after this long without a word. None: it does not.
    pub watchdog: Option<Span>,
    /// Where the written value can be read back.
    pub readback: Option<SignalId>,
}
