//! What is true at one moment, and the names under which it is asked for.

use super::{Three, total};

/// Everything that is true at one moment. Site signs: what feeds the bus is positive.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flows {
    /// Whether the utility is there.
    pub grid_present: bool,
    /// At the connection, V.
    pub grid_voltage: f64,
    /// At the connection, Hz.
    pub grid_frequency: f64,
    /// Import positive, W.
    pub grid: Three,
    /// Consumption beside the inverters that is served, W.
    pub load_in: Three,
    /// Consumption on the inverters' output that is served, W.
    pub load_out: Three,
    /// Consumption that is wanted and not served, W.
    pub unserved: f64,
    /// AC-coupled PV, W.
    pub pv: Three,
    /// What AC-coupled PV could give, W.
    pub pv_available: f64,
    /// DC-coupled PV, W.
    pub pv_dc: f64,
    /// What DC-coupled PV could give, W.
    pub pv_dc_available: f64,
    /// What the inverters turn from DC into AC, W.
    pub inverter_ac: Three,
    /// Whether the inverters carry the site alone.
    pub island: bool,
    /// Whether nothing carries the site.
    pub blackout: bool,
    /// 0 to 1.
    pub soc: f64,
    /// V.
    pub battery_voltage: f64,
    /// Discharge positive, A.
    pub battery_current: f64,
    /// Discharge positive, W.
    pub battery_power: f64,
    /// °C.
    pub battery_temperature: f64,
    /// CCL, A.
    pub ccl: f64,
    /// DCL, A.
    pub dcl: f64,
    /// CVL, V.
    pub cvl: f64,
    /// Generator output, W.
    pub generator: Three,
    /// Whether the engine turns.
    pub generator_running: bool,
    /// Whether its voltage is there.
    pub generator_ac_present: bool,
    /// The start contact.
    pub generator_contact: bool,
    /// 0 to 100.
    pub generator_fuel: f64,
    /// 0 none, 1 warning, 2 shutdown.
    pub generator_fault: f64,
    /// Engine time, s.
    pub generator_seconds: f64,
    /// Starts.
    pub generator_starts: f64,
    /// Attempts to crank.
    pub generator_cranks: f64,
    /// Counters, Wh.
    pub energy: Energy,
}

/// Energy counters, Wh. Each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Energy {
    /// From the grid.
    pub import: f64,
    /// To the grid.
    pub export: f64,
    /// Into the battery.
    pub charged: f64,
    /// Out of the battery.
    pub discharged: f64,
    /// AC-coupled PV.
    pub pv: f64,
    /// DC-coupled PV.
    pub pv_dc: f64,
    /// Generator.
    pub generator: f64,
    /// Served consumption.
    pub load: f64,
    /// Consumption that was wanted and not served.
    pub unserved: f64,
}

impl Flows {
    /// Power at the inverters' AC input; feeding the bus is positive.
    #[must_use]
    pub fn inverter(&self) -> Three {
        super::zip(self.inverter_ac, self.load_out, |ac, out| ac - out)
    }

    /// All served consumption.
    #[must_use]
    pub fn load(&self) -> Three {
        super::zip(self.load_in, self.load_out, |side, out| side + out)
    }

    /// How far `load = grid + pv + generator + inverter.ac` is from true on the worst phase, W.
    #[must_use]
    pub fn imbalance(&self) -> f64 {
        (0..3)
            .map(|p| {
                let fed = self.grid[p] + self.pv[p] + self.generator[p] + self.inverter_ac[p];
                (self.load()[p] - fed).abs()
            })
            .fold(0.0, f64::max)
    }

    /// Counts the energy of one step.
    pub(super) fn count(&mut self, seconds: f64) {
        let hours = seconds / 3_600.0;
        let grid = total(self.grid);
        let load = total(self.load());
        let e = &mut self.energy;
        e.import += grid.max(0.0) * hours;
        e.export += (-grid).max(0.0) * hours;
        e.charged += (-self.battery_power).max(0.0) * hours;
        e.discharged += self.battery_power.max(0.0) * hours;
        e.pv += total(self.pv) * hours;
        e.pv_dc += self.pv_dc * hours;
        e.generator += total(self.generator) * hours;
        e.load += load * hours;
        e.unserved += self.unserved * hours;
    }
}

/// How a truth is read.
pub enum Read {
    /// One number.
    One(fn(&Flows) -> f64),
    /// A number per phase; without suffix the sum.
    Each(fn(&Flows) -> Three),
}

/// One truth that can be asked for.
pub struct Truth {
    /// Dotted name, without phase.
    pub name: &'static str,
    /// Unit; empty for counts and flags.
    pub unit: &'static str,
    /// What it means.
    pub about: &'static str,
    /// How it is read.
    pub read: Read,
}

const fn one(name: &'static str, unit: &'static str, about: &'static str, read: fn(&Flows) -> f64) -> Truth {
    Truth { name, unit, about, read: Read::One(read) }
}

const fn each(name: &'static str, about: &'static str, read: fn(&Flows) -> Three) -> Truth {
    Truth { name, unit: "W", about, read: Read::Each(read) }
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Every truth.
pub const TRUTHS: &[Truth] = &[
    one("grid.present", "", "1 while the utility is there.", |f| flag(f.grid_present)),
    one("grid.voltage", "V", "Voltage at the connection.", |f| f.grid_voltage),
    one("grid.frequency", "Hz", "Frequency at the connection.", |f| f.grid_frequency),
    each("grid.power", "Power at the connection; import is positive.", |f| f.grid),
    one("grid.import_energy", "Wh", "Imported so far.", |f| f.energy.import),
    one("grid.export_energy", "Wh", "Exported so far.", |f| f.energy.export),
    each("load.power", "Consumption that is served.", Flows::load),
    each("load.in.power", "Served consumption beside the inverters.", |f| f.load_in),
    each("load.out.power", "Served consumption on the inverters' output.", |f| f.load_out),
    one("load.unserved", "W", "Consumption that is wanted and not served.", |f| f.unserved),
    one("load.energy", "Wh", "Consumed so far.", |f| f.energy.load),
    one("load.unserved_energy", "Wh", "Wanted and not served so far.", |f| f.energy.unserved),
    each("pv.power", "AC-coupled PV.", |f| f.pv),
    one("pv.available", "W", "What AC-coupled PV could give.", |f| f.pv_available),
    one("pv.energy", "Wh", "Yield of the AC-coupled PV so far.", |f| f.energy.pv),
    one("pv.dc.power", "W", "DC-coupled PV.", |f| f.pv_dc),
    one("pv.dc.available", "W", "What DC-coupled PV could give.", |f| f.pv_dc_available),
    one("pv.dc.energy", "Wh", "Yield of the DC-coupled PV so far.", |f| f.energy.pv_dc),
    each("inverter.power", "At the inverters' AC input; feeding the bus is positive.", Flows::inverter),
    each("inverter.ac.power", "What the inverters turn from DC into AC.", |f| f.inverter_ac),
    one("inverter.island", "", "1 while the inverters carry the site alone.", |f| flag(f.island)),
    one("site.blackout", "", "1 while nothing carries the site.", |f| flag(f.blackout)),
    one("battery.soc", "%", "State of charge.", |f| f.soc * 100.0),
    one("battery.voltage", "V", "At the terminals.", |f| f.battery_voltage),
    one("battery.current", "A", "Discharge is positive.", |f| f.battery_current),
    one("battery.power", "W", "Discharge is positive.", |f| f.battery_power),
    one("battery.temperature", "°C", "Battery temperature.", |f| f.battery_temperature),
    one("battery.charge_limit_current", "A", "CCL: what the BMS allows.", |f| f.ccl),
    one("battery.discharge_limit_current", "A", "DCL: what the BMS allows.", |f| f.dcl),
    one("battery.charge_limit_voltage", "V", "CVL: what the BMS allows.", |f| f.cvl),
    one("battery.charged_energy", "Wh", "Into the battery so far.", |f| f.energy.charged),
    one("battery.discharged_energy", "Wh", "Out of the battery so far.", |f| f.energy.discharged),
    one("generator.running", "", "1 while the engine turns.", |f| flag(f.generator_running)),
    each("generator.power", "Generator output.", |f| f.generator),
    one("generator.ac_present", "", "1 while its voltage is there.", |f| flag(f.generator_ac_present)),
    one("generator.contact", "", "1 while the start contact is closed.", |f| flag(f.generator_contact)),
    one("generator.fuel", "%", "Fuel level.", |f| f.generator_fuel),
    one("generator.fault", "", "0 none, 1 warning, 2 shutdown.", |f| f.generator_fault),
    one("generator.voltage", "V", "Generator voltage.", |f| if f.generator_running { 230.0 } else { 0.0 }),
    one(
        "generator.frequency",
        "Hz",
        "Generator frequency.",
        |f| if f.generator_running { 50.0 } else { 0.0 },
    ),
    one("generator.hours", "s", "Engine time.", |f| f.generator_seconds),
    one("generator.starts", "", "Engines that began to turn.", |f| f.generator_starts),
    one("generator.cranks", "", "Attempts to crank.", |f| f.generator_cranks),
    one("generator.energy", "Wh", "Generated so far.", |f| f.energy.generator),
];

/// Reads a truth by its dotted name, with or without phase.
pub fn read(flows: &Flows, name: &str) -> Option<f64> {
    let (base, phase) = split_phase(name);
    let truth = TRUTHS.iter().find(|truth| truth.name == base)?;
    match (&truth.read, phase) {
        (Read::One(read), None) => Some(read(flows)),
        (Read::One(_), Some(_)) => None,
        (Read::Each(read), None) => Some(total(read(flows))),
        (Read::Each(read), Some(phase)) => read(flows).get(phase).copied(),
    }
}

/// A name and the phase it ends in.
pub fn split_phase(name: &str) -> (&str, Option<usize>) {
    match name.rsplit_once('.') {
        Some((base, "l1")) => (base, Some(0)),
        Some((base, "l2")) => (base, Some(1)),
        Some((base, "l3")) => (base, Some(2)),
        _ => (name, None),
    }
}
