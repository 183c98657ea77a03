//! What the site can know: the closed list of signals, their names and units.
//!
//! A *quantity* is a kind of knowledge (`battery.soc`), a *signal* is a quantity of one phase and one named
//! device or of the site as a whole (`inverter.south.power.l1`). In the image a signal is a dense index, so
//! that a decision never looks up a name. The names here are an interface: API, metrics, profiles and
//! scenarios spell them the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The fixed-point unit in which a quantity's value is carried as an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Active power, 1 W.
    Watt,
    /// Voltage, 1 mV.
    MilliVolt,
    /// Current, 1 mA.
    MilliAmp,
    /// Frequency, 1 mHz.
    MilliHertz,
    /// Temperature, 0.1 °C.
    DeciCelsius,
    /// Share, 0.01 %.
    CentiPercent,
    /// Energy, 1 Wh.
    WattHour,
    /// Duration, 1 s.
    Second,
    /// A count or a code.
    Count,
    /// 0 no, 1 yes.
    Flag,
}

impl Unit {
    /// What people write behind the number.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Watt => "W",
            Self::MilliVolt => "V",
            Self::MilliAmp => "A",
            Self::MilliHertz => "Hz",
            Self::DeciCelsius => "°C",
            Self::CentiPercent => "%",
            Self::WattHour => "Wh",
            Self::Second => "s",
            Self::Count | Self::Flag => "",
        }
    }

    /// How many carried steps make one of the symbol's units: 1000 for volts carried in millivolts.
    #[must_use]
    pub fn steps(self) -> i64 {
        match self {
            Self::MilliVolt | Self::MilliAmp | Self::MilliHertz => 1_000,
            Self::CentiPercent => 100,
            Self::DeciCelsius => 10,
            Self::Watt | Self::WattHour | Self::Second | Self::Count | Self::Flag => 1,
        }
    }
}

macro_rules! quantities {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $unit:ident;)*) => {
        /// A kind of knowledge. Closed: a new one is an addition to every face of the product.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Quantity { $($(#[$meta])* $variant),* }

        impl Quantity {
            /// Every quantity, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The dotted name without device and phase.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The unit its values are carried in.
            #[must_use]
            pub fn unit(self) -> Unit {
                match self { $(Self::$variant => Unit::$unit),* }
            }
        }
    };
}

quantities! {
    /// Whether the utility is there.
    GridPresent = "grid.present", Flag;
    /// Power at the grid connection; import is positive.
    GridPower = "grid.power", Watt;
    /// Voltage at the grid connection.
    GridVoltage = "grid.voltage", MilliVolt;
    /// Current at the grid connection; its sign follows the power.
    GridCurrent = "grid.current", MilliAmp;
    /// Frequency at the grid connection.
    GridFrequency = "grid.frequency", MilliHertz;
    /// Import counter of the meter.
    GridImportEnergy = "grid.import_energy", WattHour;
    /// Export counter of the meter.
    GridExportEnergy = "grid.export_energy", WattHour;
    /// State of charge.
    BatterySoc = "battery.soc", CentiPercent;
    /// Battery terminal voltage.
    BatteryVoltage = "battery.voltage", MilliVolt;
    /// Battery current; discharge is positive.
    BatteryCurrent = "battery.current", MilliAmp;
    /// Battery power; discharge is positive.
    BatteryPower = "battery.power", Watt;
    /// Battery temperature.
    BatteryTemperature = "battery.temperature", DeciCelsius;
    /// CCL: the most charge current the BMS allows.
    BatteryChargeLimitCurrent = "battery.charge_limit_current", MilliAmp;
    /// DCL: the most discharge current the BMS allows.
    BatteryDischargeLimitCurrent = "battery.discharge_limit_current", MilliAmp;
    /// CVL: the highest voltage the BMS allows.
    BatteryChargeLimitVoltage = "battery.charge_limit_voltage", MilliVolt;
    /// Whether the BMS asks to be charged.
    BatteryChargeRequest = "battery.charge_request", Flag;
    /// Power of AC-coupled PV.
    PvPower = "pv.power", Watt;
    /// Power of DC-coupled PV.
    PvDcPower = "pv.dc.power", Watt;
    /// Yield counter.
    PvEnergy = "pv.energy", WattHour;
    /// The limit a PV inverter holds, as read back.
    PvLimit = "pv.limit", Watt;
    /// The most a PV inverter can make.
    PvRating = "pv.rating", Watt;
    /// Operating state of a PV inverter, in the SunSpec numbering.
    PvState = "pv.state", Count;
    /// Current of a solar charger into the DC bus.
    ChargerCurrent = "charger.current", MilliAmp;
    /// Site consumption.
    LoadPower = "load.power", Watt;
    /// Consumption beside the inverter, on its AC input.
    LoadInPower = "load.in.power", Watt;
    /// Consumption behind the inverter, on its AC output.
    LoadOutPower = "load.out.power", Watt;
    /// Consumption on the DC bus, beside inverters and battery.
    LoadDcPower = "load.dc.power", Watt;
    /// Inverter power at its AC input; feeding the bus is positive.
    InverterPower = "inverter.power", Watt;
    /// The setpoint an inverter holds, as read back; feeding the bus is positive.
    InverterSetpoint = "inverter.setpoint", Watt;
    /// Current the inverter takes from the DC bus; discharge is positive.
    InverterDcCurrent = "inverter.dc.current", MilliAmp;
    /// Voltage at the inverter's AC input.
    InverterVoltage = "inverter.voltage", MilliVolt;
    /// Frequency at the inverter's AC input.
    InverterFrequency = "inverter.frequency", MilliHertz;
    /// Operating state, in the maker's code.
    InverterState = "inverter.state", Count;
    /// Whether the inverter holds a nearly empty battery up.
    InverterSustain = "inverter.sustain", Flag;
    /// Overload warning or alarm.
    InverterOverload = "inverter.overload", Flag;
    /// Temperature warning or alarm.
    InverterOverheat = "inverter.overheat", Flag;
    /// Site grid setpoint that a supervised device holds, as read back; import is positive.
    SiteSetpoint = "site.setpoint", Watt;
    /// Whether the engine turns.
    GeneratorRunning = "generator.running", Flag;
    /// Generator output.
    GeneratorPower = "generator.power", Watt;
    /// Whether its voltage is there.
    GeneratorAcPresent = "generator.ac_present", Flag;
    /// The start contact, as read back.
    GeneratorContact = "generator.contact", Flag;
    /// Fuel level.
    GeneratorFuel = "generator.fuel", CentiPercent;
    /// 0 off, 1 auto, 2 manual, 3 test.
    GeneratorMode = "generator.mode", Count;
    /// 0 none, 1 warning, 2 shutdown or trip.
    GeneratorFault = "generator.fault", Count;
    /// Generator voltage.
    GeneratorVoltage = "generator.voltage", MilliVolt;
    /// Generator frequency.
    GeneratorFrequency = "generator.frequency", MilliHertz;
    /// Engine hours counter.
    GeneratorHours = "generator.hours", Second;
    /// Starts counter.
    GeneratorStarts = "generator.starts", Count;
    /// A digital input.
    Input = "input", Flag;
    /// A relay, as read back.
    Relay = "relay", Flag;
    /// A temperature sensor.
    Temperature = "temperature", DeciCelsius;
    /// A tank level.
    Tank = "tank", CentiPercent;
}

/// Which conductor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// All of them together.
    Total,
    /// First phase.
    L1,
    /// Second phase.
    L2,
    /// Third phase.
    L3,
}

impl Phase {
    /// The three conductors.
    pub const EACH: [Self; 3] = [Self::L1, Self::L2, Self::L3];

    /// The name's suffix, with its dot; empty for the total.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Total => "",
            Self::L1 => ".l1",
            Self::L2 => ".l2",
            Self::L3 => ".l3",
        }
    }
}

/// A signal's place in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalId(pub u16);

/// What a signal is: a quantity of one phase, of a named device or of the site (`None`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Signal {
    /// The kind of knowledge.
    pub quantity: Quantity,
    /// The conductor.
    pub phase: Phase,
    /// The device by its profile name, or the whole site.
    pub device: Option<String>,
}

impl Signal {
    /// A signal of the site as a whole.
    #[must_use]
    pub fn site(quantity: Quantity, phase: Phase) -> Self {
        Self { quantity, phase, device: None }
    }

    /// The dotted name: `battery.soc`, `battery.house.soc`, `grid.power.l2`, `input.door`.
    #[must_use]
    pub fn name(&self) -> String {
        let base = self.quantity.name();
        let suffix = self.phase.suffix();
        match &self.device {
            None => format!("{base}{suffix}"),
            Some(device) => match base.split_once('.') {
                Some((kind, rest)) => format!("{kind}.{device}.{rest}{suffix}"),
                None => format!("{base}.{device}{suffix}"),
            },
        }
    }

    /// The signal that a dotted name means; `None` when there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (base, phase) = match name.rsplit_once('.') {
            Some((base, "l1")) => (base, Phase::L1),
            Some((base, "l2")) => (base, Phase::L2),
            Some((base, "l3")) => (base, Phase::L3),
            _ => (name, Phase::Total),
        };
        if let Some(quantity) = Quantity::ALL.iter().find(|quantity| quantity.name() == base) {
            return Some(Self::site(*quantity, phase));
        }
        let (kind, rest) = base.split_once('.')?;
        let of = |quantity: Quantity, device: &str| {
            Some(Self { quantity, phase, device: Some(device.to_owned()) })
        };
        if let Some(quantity) = Quantity::ALL.iter().find(|quantity| quantity.name() == kind) {
            return of(*quantity, rest);
        }
        let (device, rest) = rest.split_once('.')?;
        let quantity =
            Quantity::ALL.iter().find(|quantity| quantity.name().split_once('.') == Some((kind, rest)))?;
        of(*quantity, device)
    }
}

/// The signals of one site and their places in the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Signal>", into = "Vec<Signal>")]
pub struct Signals {
    list: Vec<Signal>,
    /// Where each of them stands: a large site has thousands, and each is looked for when its profile is read.
    places: BTreeMap<Signal, SignalId>,
}

impl From<Vec<Signal>> for Signals {
    fn from(list: Vec<Signal>) -> Self {
        let places =
            (0..u16::MAX).zip(&list).rev().map(|(at, signal)| (signal.clone(), SignalId(at))).collect();
        Self { list, places }
    }
}

impl From<Signals> for Vec<Signal> {
    fn from(signals: Signals) -> Self {
        signals.list
    }
}

impl Signals {
    /// The place of a signal, made if it has none yet. `None` once 65535 signals exist.
    pub fn place(&mut self, signal: Signal) -> Option<SignalId> {
        if let Some(found) = self.find(&signal) {
            return Some(found);
        }
        let id = u16::try_from(self.list.len()).ok().filter(|id| *id < u16::MAX)?;
        self.list.push(signal.clone());
        self.places.insert(signal, SignalId(id));
        Some(SignalId(id))
    }

    /// The place of a signal that exists.
    #[must_use]
    pub fn find(&self, signal: &Signal) -> Option<SignalId> {
        self.places.get(signal).copied()
    }

    /// The place of the signal with this dotted name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<SignalId> {
        self.find(&Signal::parse(name)?)
    }

    /// What stands at a place.
    #[must_use]
    pub fn get(&self, id: SignalId) -> Option<&Signal> {
        self.list.get(usize::from(id.0))
    }

    /// All of them with their places.
    pub fn iter(&self) -> impl Iterator<Item = (SignalId, &Signal)> {
        (0..=u16::MAX).map(SignalId).zip(self.list.iter())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signals_name_reads_back_as_the_same_signal() {
        for quantity in Quantity::ALL {
            for phase in [Phase::Total, Phase::L1, Phase::L2, Phase::L3] {
                for device in [None, Some("south-roof".to_owned())] {
                    if device.is_none() && !quantity.name().contains('.') {
                        continue; // input, relay, tank and temperature exist only with a name
                    }
                    let signal = Signal { quantity: *quantity, phase, device };
                    assert_eq!(Signal::parse(&signal.name()).as_ref(), Some(&signal), "{}", signal.name());
                }
            }
        }
    }

    #[test]
    fn a_signal_keeps_its_place_also_when_the_site_is_read_back() {
        let mut signals = Signals::default();
        let [grid, house] = ["grid.power", "battery.house.soc"].map(|name| Signal::parse(name).unwrap());
        for (signal, place) in [(&grid, 0), (&house, 1), (&grid, 0)] {
            assert_eq!(signals.place(signal.clone()), Some(SignalId(place)));
        }
        let back: Signals = postcard::from_bytes(&postcard::to_allocvec(&signals).unwrap()).unwrap();
        assert_eq!(back, signals);
        assert_eq!((back.find(&house), back.len()), (Some(SignalId(1)), 2));
        assert_eq!(back.named("battery.garage.soc"), None);
    }

    #[test]
    fn a_name_that_means_nothing_is_no_signal() {
        for name in ["", "battery", "battery.soul", "grid.power.l4", "wind.power"] {
            assert_eq!(Signal::parse(name), None, "{name}");
        }
    }
}
