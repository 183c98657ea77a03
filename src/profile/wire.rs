//! From roles to wiring: which device provides which signal, and what orders can reach.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::control::policy::InverterSpec;
use crate::control::signal::{Phase, Quantity, Signal, SignalId, Signals};
use crate::control::units::{Span, Watts};
use crate::control::wiring::{
    ActuatorKind, ActuatorSpec, ChargerWiring, InverterWiring, PowerWiring, PvWiring, Wiring,
};
use crate::device::definition::Definition;
use crate::device::order::ControlKind;

use super::draft::{DeviceDraft, Mode, Role};
use super::load::LoadDraft;
use super::offer::{Offer, OfferedControl};

/// A device whose definition is known.
pub struct Resolved {
    /// The profile's name.
    pub name: String,
    /// As written.
    pub draft: DeviceDraft,
    /// Its definition; none for signals only.
    pub definition: Option<Arc<Definition>>,
    /// What it can tell and be told.
    pub offer: Offer,
}

impl Resolved {
    fn has(&self, role: Role) -> bool {
        self.draft.roles.contains(&role)
    }

    /// The phases an inverter or PV inverter is wired to; the first alone unless the profile says otherwise.
    pub fn phases(&self) -> [bool; 3] {
        self.draft.phases.unwrap_or([true, false, false])
    }

    fn is_told(&self, kind: ControlKind) -> bool {
        self.offer.controls.iter().any(|control| control.kind == kind)
    }

    /// The relay, from 1, that closes the generator's start contact. A device that speaks for the generator, has
    /// relays and takes no start command starts it by its first relay unless the profile names another.
    pub fn contact(&self) -> Option<u8> {
        if !self.is_told(ControlKind::Relay) {
            return None;
        }
        let implied = self.has(Role::Generator) && !self.is_told(ControlKind::GeneratorRun);
        let named = self.draft.contact.and_then(|channel| u8::try_from(channel).ok());
        (self.has(Role::GeneratorContact) || implied).then(|| named.unwrap_or(1))
    }

    /// A device with one phase calls it its first, wherever it is wired.
    fn site_phase(&self, phase: Phase) -> Phase {
        let moves = self.has(Role::Inverter) || self.has(Role::Pv);
        match (phase, self.draft.phases) {
            (Phase::L1, Some([false, true, false])) if moves => Phase::L2,
            (Phase::L1, Some([false, false, true])) if moves => Phase::L3,
            _ => phase,
        }
    }
}

/// What wiring made of the devices.
#[derive(Debug, Default)]
pub struct Wired {
    /// Everything the site can know.
    pub signals: Signals,
    /// Who plays which part.
    pub wiring: Wiring,
    /// Other names of signals.
    pub aliases: BTreeMap<String, SignalId>,
    /// Per device, what it says and where that goes.
    pub heard: BTreeMap<String, BTreeMap<(Quantity, Phase, u8), SignalId>>,
    /// Per device, what it can be told and which actuator that is.
    pub orders: BTreeMap<String, BTreeMap<(ControlKind, u8), u8>>,
}

/// Roles that may speak for the site about a quantity, most trusted first. Empty: nobody may.
fn speakers(quantity: Quantity) -> &'static [Role] {
    use Quantity as Q;
    match quantity {
        Q::GridPresent => &[Role::Inverter, Role::GridMeter],
        Q::GridPower
        | Q::GridVoltage
        | Q::GridCurrent
        | Q::GridFrequency
        | Q::GridImportEnergy
        | Q::GridExportEnergy => &[Role::GridMeter],
        Q::BatterySoc
        | Q::BatteryVoltage
        | Q::BatteryCurrent
        | Q::BatteryPower
        | Q::BatteryTemperature
        | Q::BatteryChargeLimitCurrent
        | Q::BatteryDischargeLimitCurrent
        | Q::BatteryChargeLimitVoltage
        | Q::BatteryChargeRequest => &[Role::Battery],
        Q::PvDcPower => &[Role::Inverter, Role::Battery, Role::Pv],
        Q::LoadPower => &[Role::LoadMeter],
        Q::LoadDcPower => &[Role::LoadMeter, Role::Inverter, Role::Battery],
        Q::LoadInPower | Q::LoadOutPower => &[Role::LoadMeter, Role::Inverter],
        Q::SiteSetpoint => &[Role::Inverter],
        Q::GeneratorRunning => &[Role::Generator, Role::GeneratorContact],
        Q::GeneratorContact => &[Role::GeneratorContact, Role::Generator],
        Q::GeneratorPower
        | Q::GeneratorAcPresent
        | Q::GeneratorFuel
        | Q::GeneratorMode
        | Q::GeneratorFault
        | Q::GeneratorVoltage
        | Q::GeneratorFrequency
        | Q::GeneratorHours
        | Q::GeneratorStarts => &[Role::Generator],
        // These exist once per device.
        Q::PvPower
        | Q::PvEnergy
        | Q::PvLimit
        | Q::PvRating
        | Q::PvState
        | Q::ChargerCurrent
        | Q::InverterPower
        | Q::InverterDcCurrent
        | Q::InverterSetpoint
        | Q::InverterVoltage
        | Q::InverterFrequency
        | Q::InverterState
        | Q::InverterSustain
        | Q::InverterOverload
        | Q::InverterOverheat
        | Q::Input
        | Q::Relay
        | Q::Temperature
        | Q::Tank => &[],
    }
}

/// What a plain meter measures where it stands: the same words, another meaning.
fn meaning(device: &Resolved, quantity: Quantity) -> Quantity {
    if device.has(Role::GridMeter) || quantity != Quantity::GridPower {
        return quantity;
    }
    let lacks = |wanted| !device.offer.points.iter().any(|(quantity, ..)| *quantity == wanted);
    if device.has(Role::Pv) && lacks(Quantity::PvPower) {
        Quantity::PvPower
    } else if device.has(Role::Generator) && lacks(Quantity::GeneratorPower) {
        Quantity::GeneratorPower
    } else if device.has(Role::LoadMeter) && lacks(Quantity::LoadPower) {
        Quantity::LoadPower
    } else {
        quantity
    }
}

/// What a point of a device stands for at this site.
fn part(device: &Resolved, point: (Quantity, Phase, u8)) -> (Quantity, Phase, u8) {
    let (quantity, phase, channel) = point;
    let here = channel.max(1);
    if quantity == Quantity::Relay && device.contact() == Some(here) {
        return (Quantity::GeneratorContact, Phase::Total, 0);
    }
    if quantity == Quantity::Input && device.draft.running_input == Some(i64::from(here)) {
        return (Quantity::GeneratorRunning, Phase::Total, 0);
    }
    (meaning(device, quantity), device.site_phase(phase), channel)
}

/// Wires all devices. Devices are in the order of their names, so the result does not depend on the file.
pub fn wire(devices: &[Resolved], authority: Watts, loads: &BTreeMap<String, LoadDraft>) -> Wired {
    let mut wired = Wired::default();
    let speaking = speaking(devices);
    for device in devices {
        for point in &device.offer.points {
            let (quantity, phase, channel) = part(device, *point);
            let speaks = speaking.get(&quantity) == Some(&device.name.as_str());
            let own = Signal { quantity, phase, device: Some(own_name(&device.name, channel)) };
            let signal = if speaks && channel == 0 { Signal::site(quantity, phase) } else { own.clone() };
            let Some(id) = wired.signals.place(signal) else { continue };
            wired.heard.entry(device.name.clone()).or_default().insert(on_wire(*point), id);
            wired.aliases.insert(own.name(), id);
        }
    }
    alias_the_only_ones(devices, &mut wired);
    roles(devices, authority, &mut wired);
    actuators(devices, &mut wired);
    for (place, load) in (0u8..).zip(loads.values()) {
        let relay = load.relay.as_deref();
        if let Some(device) = devices.iter().find(|device| Some(device.name.as_str()) == relay) {
            actuator(device, ControlKind::Relay, load.channel(), ActuatorKind::Load(place), &mut wired);
        }
    }
    wired
}

/// Operators and signals count channels from 1, devices from 0.
fn on_wire((quantity, phase, channel): (Quantity, Phase, u8)) -> (Quantity, Phase, u8) {
    (quantity, phase, channel.saturating_sub(1))
}

fn own_name(device: &str, channel: u8) -> String {
    if channel == 0 { device.to_owned() } else { format!("{device}.{channel}") }
}

/// Which device speaks for the site about each quantity.
fn speaking(devices: &[Resolved]) -> BTreeMap<Quantity, &str> {
    let tells = |device: &Resolved| -> BTreeSet<Quantity> {
        device.offer.points.iter().map(|point| part(device, *point).0).collect()
    };
    let told: Vec<(&Resolved, BTreeSet<Quantity>)> =
        devices.iter().map(|device| (device, tells(device))).collect();
    let mut speaking = BTreeMap::new();
    for quantity in Quantity::ALL {
        let speaks =
            |role: &Role| told.iter().find(|(device, tells)| device.has(*role) && tells.contains(quantity));
        if let Some((device, _)) = speakers(*quantity).iter().find_map(speaks) {
            speaking.insert(*quantity, device.name.as_str());
        }
    }
    speaking
}

/// A site with one inverter also calls its power `inverter.power`; a module with one input, `input.NAME`.
fn alias_the_only_ones(devices: &[Resolved], wired: &mut Wired) {
    for (role, prefix) in [(Role::Inverter, "inverter."), (Role::Pv, "pv.")] {
        let mut holders = devices.iter().filter(|device| device.has(role));
        let (Some(only), None) = (holders.next(), holders.next()) else { continue };
        for (id, signal) in wired.signals.iter() {
            let site = Signal::site(signal.quantity, signal.phase).name();
            if signal.device.as_deref() == Some(only.name.as_str()) && site.starts_with(prefix) {
                wired.aliases.entry(site).or_insert(id);
            }
        }
    }
    for (id, signal) in wired.signals.iter() {
        // Names of devices hold no dot, so this is the first of several channels.
        if let Some(device) = signal.device.as_deref().and_then(|own| own.strip_suffix(".1")) {
            let short = Signal { device: Some(device.to_owned()), ..signal.clone() };
            wired.aliases.entry(short.name()).or_insert(id);
        }
    }
}

fn roles(devices: &[Resolved], authority: Watts, wired: &mut Wired) {
    let signals = &wired.signals;
    let site = |quantity| signals.find(&Signal::site(quantity, Phase::Total));
    let power = |quantity| power(signals, quantity, None, [true; 3]);
    let wiring = &mut wired.wiring;
    wiring.grid.present = site(Quantity::GridPresent);
    wiring.grid.power = power(Quantity::GridPower);
    wiring.grid.voltage = power(Quantity::GridVoltage);
    wiring.battery.soc = site(Quantity::BatterySoc);
    wiring.battery.voltage = site(Quantity::BatteryVoltage);
    wiring.battery.current = site(Quantity::BatteryCurrent);
    wiring.battery.power = site(Quantity::BatteryPower);
    wiring.battery.temperature = site(Quantity::BatteryTemperature);
    wiring.battery.charge_limit = site(Quantity::BatteryChargeLimitCurrent);
    wiring.battery.discharge_limit = site(Quantity::BatteryDischargeLimitCurrent);
    wiring.battery.charge_voltage = site(Quantity::BatteryChargeLimitVoltage);
    wiring.battery.charge_request = site(Quantity::BatteryChargeRequest);
    wiring.pv_dc = site(Quantity::PvDcPower);
    wiring.load_dc = site(Quantity::LoadDcPower);
    wiring.load = power(Quantity::LoadPower);
    wiring.load_out = power(Quantity::LoadOutPower);
    wiring.generator.running = site(Quantity::GeneratorRunning);
    wiring.generator.power = site(Quantity::GeneratorPower);
    wiring.generator.ac_present = site(Quantity::GeneratorAcPresent);
    wiring.generator.contact = site(Quantity::GeneratorContact);
    wiring.generator.mode = site(Quantity::GeneratorMode);
    wiring.generator.fault = site(Quantity::GeneratorFault);
    for device in devices.iter().filter(|device| device.has(Role::Inverter)) {
        wiring.inverters.push(inverter(device, signals, authority));
    }
    for device in devices.iter().filter(|device| device.has(Role::SolarCharger)) {
        let current = Signal {
            quantity: Quantity::ChargerCurrent,
            phase: Phase::Total,
            device: Some(device.name.clone()),
        };
        wiring.chargers.push(ChargerWiring {
            name: device.name.clone(),
            current: signals.find(&current),
            rating: device.draft.max_current.unwrap_or_default(),
        });
    }
    for device in devices.iter().filter(|device| device.has(Role::Pv)) {
        wiring.pv.push(PvWiring {
            name: device.name.clone(),
            power: self::power(signals, Quantity::PvPower, Some(&device.name), [true; 3]),
            rating: device.draft.rating.unwrap_or(Watts(10_000)),
        });
    }
}

fn power(signals: &Signals, quantity: Quantity, device: Option<&str>, wired: [bool; 3]) -> PowerWiring {
    let find = |phase| signals.find(&Signal { quantity, phase, device: device.map(str::to_owned) });
    let [l1, l2, l3] = wired;
    PowerWiring {
        total: find(Phase::Total),
        phase: [(l1, Phase::L1), (l2, Phase::L2), (l3, Phase::L3)]
            .map(|(wired, phase)| if wired { find(phase) } else { None }),
    }
}

fn inverter(device: &Resolved, signals: &Signals, authority: Watts) -> InverterWiring {
    let draft = &device.draft;
    let told = device.offer.controls.iter().find(|control| control.kind == ControlKind::InverterPower);
    let own =
        |quantity| signals.find(&Signal { quantity, phase: Phase::Total, device: Some(device.name.clone()) });
    InverterWiring {
        spec: InverterSpec {
            name: device.name.clone(),
            max_charge: draft.max_charge.unwrap_or(authority),
            max_discharge: draft.max_discharge.unwrap_or(authority),
            phases: device.phases(),
            // An inverter nobody measured: half a second of dead time, then a first-order approach.
            dead_time: draft.dead_time.unwrap_or(Span::millis(500)),
            lag: draft.response.unwrap_or(Span::millis(600)),
            resolution: draft.resolution.or(told.map(|control| control.resolution)).unwrap_or(Watts(1)),
        },
        power: power(signals, Quantity::InverterPower, Some(&device.name), device.phases()),
        sustain: own(Quantity::InverterSustain),
        dc_current: own(Quantity::InverterDcCurrent),
    }
}

/// The device that starts the generator, and by which control and channel: who was given the contact, else who takes
/// a start command, else a relay of the device that speaks for the generator.
pub fn starter(devices: &[Resolved]) -> Option<(&Resolved, ControlKind, u8)> {
    let by_relay = |device: &'_ Resolved| device.contact().map(|channel| (ControlKind::Relay, channel));
    let by_command = |device: &'_ Resolved| {
        device.is_told(ControlKind::GeneratorRun).then_some((ControlKind::GeneratorRun, 0))
    };
    let of = |role: Role| devices.iter().filter(move |device| device.has(role));
    let found = of(Role::GeneratorContact)
        .next()
        .map(|device| (device, by_relay(device).or_else(|| by_command(device))))
        .or_else(|| {
            of(Role::Generator).map(|device| (device, by_command(device))).find(|(_, how)| how.is_some())
        })
        .or_else(|| {
            of(Role::Generator).map(|device| (device, by_relay(device))).find(|(_, how)| how.is_some())
        });
    found.and_then(|(device, how)| how.map(|(kind, channel)| (device, kind, channel)))
}

fn actuators(devices: &[Resolved], wired: &mut Wired) {
    let mut supervised = false;
    let inverters = devices.iter().filter(|device| device.has(Role::Inverter));
    for (place, device) in (0u8..).zip(inverters) {
        match device.draft.mode {
            Mode::Direct => {
                actuator(device, ControlKind::InverterPower, 0, ActuatorKind::InverterPower(place), wired);
            }
            Mode::Supervise if !supervised => {
                supervised = true;
                actuator(device, ControlKind::GridSetpoint, 0, ActuatorKind::GridSetpoint, wired);
            }
            Mode::Supervise => {}
        }
    }
    for (place, device) in (0u8..).zip(devices.iter().filter(|device| device.has(Role::Pv))) {
        actuator(device, ControlKind::PvLimit, 0, ActuatorKind::PvLimit(place), wired);
    }
    if let Some((device, kind, channel)) = starter(devices) {
        actuator(device, kind, channel, ActuatorKind::GeneratorRun, wired);
    }
}

fn actuator(device: &Resolved, kind: ControlKind, channel: u8, moves: ActuatorKind, wired: &mut Wired) {
    let Some(control) = device.offer.controls.iter().find(|control| control.kind == kind) else { return };
    let Ok(place) = u8::try_from(wired.wiring.actuators.len()) else { return };
    let readback = control.confirm.and_then(|quantity| held(device, quantity, channel, control, wired));
    wired.wiring.actuators.push(ActuatorSpec {
        device: device.name.clone(),
        kind: moves,
        refresh: control.refresh,
        watchdog: control.watchdog,
        readback,
    });
    wired.orders.entry(device.name.clone()).or_default().insert((kind, channel.saturating_sub(1)), place);
}

/// The signal that shows what the device holds.
fn held(
    device: &Resolved,
    quantity: Quantity,
    channel: u8,
    control: &OfferedControl,
    wired: &Wired,
) -> Option<SignalId> {
    let heard = wired.heard.get(&device.name)?;
    let channel = if control.channels > 1 { channel.saturating_sub(1) } else { 0 };
    let at = |phase| heard.get(&(quantity, phase, channel)).copied();
    at(Phase::Total).or_else(|| at(Phase::L1))
}

/// Names that several devices claim for a part that only one can play.
pub fn rivals(devices: &[Resolved]) -> Vec<(Role, BTreeSet<&str>)> {
    let single = [Role::Battery, Role::GridMeter, Role::Generator, Role::GeneratorContact, Role::LoadMeter];
    let holders = |role: Role| {
        let names: BTreeSet<&str> =
            devices.iter().filter(|device| device.has(role)).map(|device| device.name.as_str()).collect();
        (role, names)
    };
    single.into_iter().map(holders).filter(|(_, names)| names.len() > 1).collect()
}
