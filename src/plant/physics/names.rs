//! The plant by dotted names: what can be asked, and what can be made true.

use super::flows::{self, Read, TRUTHS};
use super::params::PARAMETERS;
use super::plant::Plant;

/// Truths that were ordered and hold until released.
#[derive(Clone, Debug)]
pub struct Pins {
    pub grid_present: bool,
    pub grid_voltage: f64,
    pub grid_frequency: f64,
    pub load: [Option<f64>; 3],
    pub load_in: [Option<f64>; 3],
    pub load_out: [Option<f64>; 3],
    pub pv: Option<f64>,
    pub pv_dc: Option<f64>,
    pub ccl: Option<f64>,
    pub dcl: Option<f64>,
    pub cvl: Option<f64>,
}

impl Default for Pins {
    fn default() -> Self {
        Self {
            grid_present: true,
            grid_voltage: 230.0,
            grid_frequency: 50.0,
            load: [None; 3],
            load_in: [None; 3],
            load_out: [None; 3],
            pv: None,
            pv_dc: None,
            ccl: None,
            dcl: None,
            cvl: None,
        }
    }
}

/// Why a value could not be made true.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SetError {
    /// There is nothing of this name.
    #[error("the simulated site has no {name:?}; `wattkeeper plant --names` lists what it has")]
    UnknownName {
        /// As it was given.
        name: String,
    },
    /// It is a result and cannot be ordered.
    #[error("{name:?} follows from the rest of the simulated site and cannot be set")]
    OnlyRead {
        /// As it was given.
        name: String,
    },
    /// Outside of what makes sense.
    #[error("{name:?} cannot be {value}: it lies between {low} and {high}")]
    OutOfRange {
        /// As it was given.
        name: String,
        /// As it was given.
        value: f64,
        /// The least.
        low: f64,
        /// The most.
        high: f64,
    },
}

/// One name of the plant, for lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Dotted name, without phase.
    pub name: &'static str,
    /// Unit; empty for counts and flags.
    pub unit: &'static str,
    /// What it means.
    pub about: &'static str,
    /// Whether `.l1` to `.l3` may follow.
    pub phases: bool,
    /// Whether it can be set.
    pub settable: bool,
}

/// Truths that `set` accepts.
const ORDERED: &[&str] = &[
    "grid.present",
    "grid.voltage",
    "grid.frequency",
    "load.power",
    "load.in.power",
    "load.out.power",
    "pv.power",
    "pv.dc.power",
    "battery.soc",
    "battery.charge_limit_current",
    "battery.discharge_limit_current",
    "battery.charge_limit_voltage",
    "generator.contact",
    "generator.fuel",
    "generator.fault",
];

impl Plant {
    /// A truth or a parameter by its dotted name: `grid.power.l2`, `battery.soc`, `meter.lag`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        flows::read(&self.flows, name).or_else(|| {
            PARAMETERS.iter().find(|known| known.name == name).map(|known| (known.get)(&self.params))
        })
    }

    /// Makes a value true: pins a load or the sun, lets the grid vanish, jumps the SoC, or sets a parameter.
    ///
    /// # Errors
    /// When there is nothing of this name, when it cannot be ordered, or when the value makes no sense.
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), SetError> {
        let (base, phase) = flows::split_phase(name);
        if ORDERED.contains(&base) {
            return self.pin(name, base, phase, value);
        }
        let Some(known) = PARAMETERS.iter().find(|known| known.name == name) else {
            let name = name.to_owned();
            return Err(if flows::read(&self.flows, &name).is_some() {
                SetError::OnlyRead { name }
            } else {
                SetError::UnknownName { name }
            });
        };
        within(name, value, known.range.0, known.range.1)?;
        (known.put)(&mut self.params, value);
        Ok(())
    }

    fn pin(&mut self, name: &str, base: &str, phase: Option<usize>, value: f64) -> Result<(), SetError> {
        let (low, high) = match base {
            "grid.present" | "generator.contact" => (0.0, 1.0),
            "battery.soc" | "generator.fuel" => (0.0, 100.0),
            "generator.fault" => (0.0, 2.0),
            "load.power" | "load.in.power" | "load.out.power" => (-1e6, 1e6),
            _ => (0.0, 1e6),
        };
        within(name, value, low, high)?;
        if phase.is_some_and(|phase| phase > 0) && base.starts_with("load.") {
            self.params.phases = 3.0; // a load on L2 or L3 needs one
        }
        let count = self.params.phase_count();
        let pins = &mut self.pins;
        match (base, phase) {
            ("load.power", phase) => {
                pins.load_in = [None; 3];
                pins.load_out = [None; 3];
                hold(&mut pins.load, phase, count, value);
            }
            ("load.in.power", phase) => hold(&mut pins.load_in, phase, count, value),
            ("load.out.power", phase) => hold(&mut pins.load_out, phase, count, value),
            ("pv.power", None) => pins.pv = Some(value),
            (_, Some(_)) => return Err(SetError::UnknownName { name: name.to_owned() }),
            ("grid.present", None) => pins.grid_present = value >= 0.5,
            ("grid.voltage", None) => pins.grid_voltage = value,
            ("grid.frequency", None) => pins.grid_frequency = value,
            ("pv.dc.power", None) => pins.pv_dc = Some(value),
            ("battery.charge_limit_current", None) => pins.ccl = Some(value),
            ("battery.discharge_limit_current", None) => pins.dcl = Some(value),
            ("battery.charge_limit_voltage", None) => pins.cvl = Some(value),
            ("battery.soc", None) => {
                self.battery.soc = value / 100.0;
                self.flows.soc = self.battery.soc;
            }
            ("generator.contact", None) => self.set_contact(value >= 0.5),
            ("generator.fuel", None) => self.generator.fuel = value,
            ("generator.fault", None) => self.generator.fault = value,
            (_, None) => return Err(SetError::OnlyRead { name: name.to_owned() }),
        }
        Ok(())
    }

    /// Lets a pinned truth follow from the rest again.
    ///
    /// # Errors
    /// When nothing of this name can be pinned.
    pub fn release(&mut self, name: &str) -> Result<(), SetError> {
        let pins = &mut self.pins;
        match name {
            "load.power" => (pins.load, pins.load_in, pins.load_out) = ([None; 3], [None; 3], [None; 3]),
            "load.in.power" => pins.load_in = [None; 3],
            "load.out.power" => pins.load_out = [None; 3],
            "pv.power" => pins.pv = None,
            "pv.dc.power" => pins.pv_dc = None,
            "battery.charge_limit_current" => pins.ccl = None,
            "battery.discharge_limit_current" => pins.dcl = None,
            "battery.charge_limit_voltage" => pins.cvl = None,
            _ => return Err(SetError::UnknownName { name: name.to_owned() }),
        }
        Ok(())
    }

    /// Everything that can be asked for, truths first, then parameters.
    pub fn names() -> impl Iterator<Item = Named> {
        let truths = TRUTHS.iter().map(|truth| Named {
            name: truth.name,
            unit: truth.unit,
            about: truth.about,
            phases: matches!(truth.read, Read::Each(_)),
            settable: ORDERED.contains(&truth.name)
                || PARAMETERS.iter().any(|parameter| parameter.name == truth.name),
        });
        let parameters = PARAMETERS
            .iter()
            .filter(|parameter| !TRUTHS.iter().any(|truth| truth.name == parameter.name))
            .map(|parameter| Named {
                name: parameter.name,
                unit: parameter.unit,
                about: parameter.about,
                phases: false,
                settable: true,
            });
        truths.chain(parameters)
    }
}

/// One phase, or all of them evenly.
fn hold(pins: &mut [Option<f64>; 3], phase: Option<usize>, count: usize, value: f64) {
    match phase {
        Some(phase) => {
            if let Some(pin) = pins.get_mut(phase) {
                *pin = Some(value);
            }
        }
        None => {
            for pin in pins.iter_mut().take(count) {
                *pin = Some(value / count as f64);
            }
        }
    }
}

fn within(name: &str, value: f64, low: f64, high: f64) -> Result<(), SetError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(SetError::OutOfRange { name: name.to_owned(), value, low, high })
    }
}
