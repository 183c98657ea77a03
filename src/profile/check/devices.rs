//! Devices: their definitions, addresses and units, and whether they can play their parts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::control::signal::Quantity;
use crate::device::definition::{self, Definition};
use crate::device::library;
use crate::device::order::ControlKind;
use crate::profile::draft::{DeviceDraft, Draft, Framing, Mode, Role};
use crate::profile::file;
use crate::profile::layer::Origin;
use crate::profile::layers::Effective;
use crate::profile::nearest::nearest;
use crate::profile::offer::{self, Offer};
use crate::profile::wire::Resolved;

use super::needs::without;
use super::{Findings, ownership};

/// Host and port of `host:port`; IPv6 addresses stand in brackets.
pub fn address(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
    let plain = !bare.is_empty() && !bare.contains(|c: char| c.is_whitespace() || c == '/');
    plain.then(|| (bare.to_owned(), port))
}

/// An address with a port, from one without, with a scheme before it or a path behind it.
fn with_port(text: &str) -> String {
    let host = text.rsplit("//").next().unwrap_or(text).split('/').next().unwrap_or(text).trim();
    let port = format!("{}:502", host.trim_end_matches(':'));
    let guesses = [host.replace(' ', ""), port, host.replace([',', ';'], ":"), format!("[{host}]:502")];
    guesses.into_iter().find(|guess| address(guess).is_some()).unwrap_or_else(|| "192.0.2.10:502".to_owned())
}

/// An address to serve at.
pub fn listen(text: &str) -> Option<SocketAddr> {
    text.replace("localhost:", "127.0.0.1:").parse().ok()
}

/// The framing a device is spoken to with.
pub fn framing(device: &Resolved) -> Framing {
    let usual = device.definition.as_ref().and_then(|definition| definition.limits.framings.first());
    device.draft.framing.unwrap_or(match usual {
        Some(definition::Framing::RtuOverTcp) => Framing::RtuOverTcp,
        Some(definition::Framing::Tcp) | None => Framing::Tcp,
    })
}

/// The unit that `unit = 100` means: the one that stands for the device as a whole, or the only one.
fn main_unit(definition: &Definition) -> Option<&str> {
    let named = |wanted: &str| definition.units.iter().find(|unit| unit.name == wanted);
    let only = definition.units.first().filter(|_| definition.units.len() == 1);
    named("device").or_else(|| named("system")).or(only).map(|unit| unit.name.as_str())
}

/// The unit ids that the profile chose, by the definition's names.
pub fn units(draft: &DeviceDraft, definition: Option<&Definition>) -> BTreeMap<String, u8> {
    let mut units = BTreeMap::new();
    let main = definition.and_then(main_unit);
    let id = |id: i64| u8::try_from(id).ok();
    if let (Some(main), Some(id)) = (main, draft.unit.and_then(id)) {
        units.insert(main.to_owned(), id);
    }
    units.extend(draft.units.iter().filter_map(|(name, unit)| Some((name.clone(), id(*unit)?))));
    units
}

/// Whether a unit of the definition is asked: it has a usual id, or the profile gave one.
pub fn is_asked(definition: &Definition, chosen: &BTreeMap<String, u8>, unit: usize) -> bool {
    let unit = definition.units.get(unit);
    unit.is_some_and(|unit| unit.default.is_some() || chosen.contains_key(&unit.name))
}

/// Looks up every device's definition and finds what does not fit.
pub fn resolve(draft: &Draft, findings: &mut Findings<'_>) -> Vec<Resolved> {
    if draft.devices.is_empty() && findings.knows_devices() {
        findings.refuse(
            "device",
            "the profile has no devices",
            "add `[device.gx]` and below it `roles = [\"battery\", \"inverter\", \"grid-meter\"]`, then its definition and address",
        );
    }
    let mut devices = Vec::new();
    let mut known = BTreeMap::new();
    for (name, device) in &draft.devices {
        let definition =
            device.definition.as_deref().and_then(|_| definition(name, device, &mut known, findings));
        let offer = match &definition {
            Some(definition) => {
                let chosen = units(device, Some(definition));
                offer::defined(definition, &|unit| is_asked(definition, &chosen, unit))
            }
            None => offer::by_roles(&device.roles),
        };
        let resolved = Resolved { name: name.clone(), draft: device.clone(), definition, offer };
        one(&resolved, findings);
        devices.push(resolved);
    }
    shared_endpoints(&devices, findings);
    ownership::owned_once(&devices, findings);
    devices
}

/// Definitions that were read already, by their files.
type Known = BTreeMap<String, Option<Arc<Definition>>>;

fn definition(
    name: &str,
    device: &DeviceDraft,
    known: &mut Known,
    findings: &mut Findings<'_>,
) -> Option<Arc<Definition>> {
    let wanted = device.definition.as_deref().unwrap_or_default();
    let key = format!("device.{name}.definition");
    let (text, file) = if is_path(wanted) {
        let path = folder(&key, findings.effective).join(wanted);
        let file = path.display().to_string();
        match file::read_named(&path) {
            Ok(text) => (text, file),
            Err(wrong) => {
                let way_out = findings.write(&key, &format!("\"{}\"", fitting(device)));
                findings.refuse(
                    &key,
                    format!("{file}: {}", wrong.cause),
                    format!("{way_out} or another shipped one, or the path of a definition from the folder of this profile"),
                );
                findings.lacks_definition = true;
                return None;
            }
        }
    } else if let Some(definition) = library::definition(wanted) {
        return Some(definition);
    } else {
        let near = nearest(wanted, library::names());
        let hint = near.map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
        let right = near.unwrap_or_else(|| fitting(device));
        let way_out = findings.write(&key, &format!("\"{right}\""));
        findings.refuse(
            &key,
            format!("no definition named \"{wanted}\" is shipped{hint}"),
            format!(
                "{way_out}, another of {}, or a path such as \"./my-meter.toml\"",
                library::names().collect::<Vec<_>>().join(", ")
            ),
        );
        findings.lacks_definition = true;
        return None;
    };
    // Many devices of one kind are one definition, and its mistakes are told once.
    if let Some(known) = known.get(&file) {
        return known.clone();
    }
    let read = match Definition::parse(&text, &file) {
        Ok(definition) => Some(Arc::new(definition)),
        Err(mistakes) => {
            findings.mistakes.extend(mistakes);
            findings.lacks_definition = true;
            None
        }
    };
    known.insert(file, read.clone());
    read
}

/// A shipped definition that can be what a device is here.
fn fitting(device: &DeviceDraft) -> &'static str {
    let plays_all = |name: &&str| {
        library::definition(name).is_some_and(|definition| {
            let offer = offer::defined(&definition, &|_| true);
            let inputs = offer.points.iter().any(|(quantity, ..)| *quantity == Quantity::Input);
            let relays = offer.controls.iter().any(|control| control.kind == ControlKind::Relay);
            device.roles.iter().all(|role| plays(*role, &offer))
                && (inputs || device.running_input.is_none())
                && (relays || device.contact.is_none())
        })
    };
    library::names().find(plays_all).unwrap_or("inverters/victron-gx")
}

fn is_path(definition: &str) -> bool {
    definition.starts_with('.') || definition.starts_with('/') || definition.ends_with(".toml")
}

/// Every file that the site was read from.
pub fn files(devices: &[Resolved], effective: &Effective) -> Vec<PathBuf> {
    let definition = |device: &Resolved| {
        let wanted = device.draft.definition.as_deref().filter(|wanted| is_path(wanted))?;
        Some(folder(&format!("device.{}.definition", device.name), effective).join(wanted))
    };
    effective.folders.keys().map(PathBuf::from).chain(devices.iter().filter_map(definition)).collect()
}

/// Where a relative path of this key starts.
pub fn folder(key: &str, effective: &Effective) -> PathBuf {
    let said = match effective.leaves.get(key).map(|leaf| &leaf.origin) {
        Some(Origin::File(file, _)) => effective.folders.get(file),
        Some(Origin::Default | Origin::Environment(_) | Origin::CommandLine) | None => None,
    };
    said.cloned().unwrap_or_else(|| Path::new("").to_path_buf())
}

fn one(device: &Resolved, findings: &mut Findings<'_>) {
    let (name, draft) = (&device.name, &device.draft);
    let key = |leaf: &str| format!("device.{name}.{leaf}");
    if draft.roles.is_empty() {
        findings.refuse(
            &key("roles"),
            "the device plays no part",
            format!(
                "{} to only show it, or what it is, such as [\"battery\", \"inverter\"]",
                findings.write(&key("roles"), "[\"io\"]")
            ),
        );
    }
    if let Some(text) = draft.address.as_deref().filter(|text| address(text).is_none()) {
        let way_out = findings.write(&key("address"), &format!("\"{}\"", with_port(text)));
        findings.refuse(
            &key("address"),
            format!("\"{text}\" is not host:port"),
            format!("{way_out}, with the port of its Modbus server"),
        );
    }
    if draft.address.is_some() && draft.definition.is_none() {
        findings.refuse(
            &key("definition"),
            "the device has an address, but nothing says how to speak with it",
            format!(
                "{} or another shipped one, or a path",
                findings.write(&key("definition"), &format!("\"{}\"", fitting(draft)))
            ),
        );
    }
    if let Some(definition) = &device.definition {
        speaking(device, definition, findings);
        playing(device, definition, findings);
        ordering(device, &device.offer, findings);
        channels(&device.draft, device, &device.offer, findings);
    }
}

fn speaking(device: &Resolved, definition: &Definition, findings: &mut Findings<'_>) {
    let names: Vec<&str> = definition.units.iter().map(|unit| unit.name.as_str()).collect();
    for unit in device.draft.units.keys().filter(|unit| !names.contains(&unit.as_str())) {
        let right = nearest(unit, names.iter().copied()).or(names.first().copied()).unwrap_or("device");
        findings.refuse(
            &format!("device.{}.units.{unit}", device.name),
            format!("the definition has no unit \"{unit}\""),
            format!("write `{right}` instead of `{unit}`, or another of {}", names.join(", ")),
        );
    }
    match main_unit(definition) {
        Some(main) if device.draft.unit.is_some() && device.draft.units.contains_key(main) => findings
            .refuse(
                &format!("device.{}.unit", device.name),
                format!("`unit` and `units.{main}` say the same thing twice"),
                format!("remove `unit`, or `units.{main}`"),
            ),
        None if device.draft.unit.is_some() => findings.refuse(
            &format!("device.{}.unit", device.name),
            "the definition has several units, and none stands for the whole device",
            format!(
                "write `units.{}` instead of `unit`, or another of {}",
                names.first().unwrap_or(&"device"),
                names.join(", ")
            ),
        ),
        Some(_) | None => {}
    }
    let spoken = match framing(device) {
        Framing::Tcp => definition::Framing::Tcp,
        Framing::RtuOverTcp => definition::Framing::RtuOverTcp,
    };
    if !definition.limits.framings.is_empty() && !definition.limits.framings.contains(&spoken) {
        findings.refuse(
            &format!("device.{}.framing", device.name),
            "the device does not speak this framing",
            "remove `framing`: the definition knows the usual one",
        );
    }
}

fn playing(device: &Resolved, definition: &Definition, findings: &mut Findings<'_>) {
    let key = |leaf: &str| format!("device.{}.{leaf}", device.name);
    let everything = offer::defined(definition, &|_| true);
    for role in device.draft.roles.iter().filter(|role| !plays(**role, &device.offer)) {
        let lacking = definition.units.iter().enumerate().find(|(at, unit)| {
            unit.default.is_none() && plays(*role, &offer::defined(definition, &|asked| asked == *at))
        });
        if let Some((_, unit)) = lacking.filter(|_| plays(*role, &everything)) {
            let way_out = findings.write(&key(&format!("units.{}", unit.name)), "1");
            findings.refuse(
                &key("units"),
                format!("the role \"{}\" is played by a unit whose id is not known", role.name()),
                format!("{way_out}, with the unit id that the device shows for it"),
            );
        } else {
            let way_out = findings.write(&key("roles"), &without(device, *role));
            findings.refuse(
                &key("roles"),
                format!("the definition tells nothing that the role \"{}\" needs", role.name()),
                format!("{way_out}, or choose the definition of a device that can play it"),
            );
        }
    }
}

/// Whether what is offered is enough for a role.
fn plays(role: Role, offer: &Offer) -> bool {
    let tells = |quantity: Quantity| offer.points.iter().any(|(offered, ..)| *offered == quantity);
    let needs_no_point = matches!(role, Role::GeneratorContact | Role::Io);
    let stands_in =
        matches!(role, Role::Pv | Role::Generator | Role::LoadMeter) && tells(Quantity::GridPower);
    let commanded =
        role == Role::Generator && offer.controls.iter().any(|it| it.kind == ControlKind::GeneratorRun);
    needs_no_point
        || stands_in
        || commanded
        || offer::quantities(role).iter().any(|quantity| tells(*quantity))
}

fn ordering(device: &Resolved, offer: &Offer, findings: &mut Findings<'_>) {
    let draft = &device.draft;
    let told = |kind| offer.controls.iter().any(|control| control.kind == kind);
    let inverter = draft.roles.contains(&Role::Inverter) && plays(Role::Inverter, offer);
    let (direct, supervise) = (told(ControlKind::InverterPower), told(ControlKind::GridSetpoint));
    if inverter && draft.mode == Mode::Supervise && !supervise {
        findings.refuse(
            &format!("device.{}.mode", device.name),
            "the device cannot keep the fast loop: its definition has no [control.grid-setpoint]",
            findings.write(&format!("device.{}.mode", device.name), "\"direct\""),
        );
    }
    if inverter && draft.mode == Mode::Direct && !direct {
        let key = |leaf: &str| format!("device.{}.{leaf}", device.name);
        let way_out = if supervise {
            format!("{}: the device keeps the fast loop", findings.write(&key("mode"), "\"supervise\""))
        } else {
            let roles = findings.write(&key("roles"), &without(device, Role::Inverter));
            format!("{roles}, or choose a definition with [control.inverter-power]")
        };
        findings.refuse(
            &key(if supervise { "mode" } else { "roles" }),
            "the device cannot be ordered: its definition has no [control.inverter-power]",
            way_out,
        );
    }
    if draft.roles.contains(&Role::SolarCharger) && draft.max_current.is_none() {
        let key = format!("device.{}.max_current", device.name);
        findings.refuse(
            &key,
            "the most this solar charger can make is not known, so the charge current could not be shared out",
            format!("{} (its nameplate)", findings.write(&key, "\"100 A\"")),
        );
    }
    if told(ControlKind::PvLimit) && draft.roles.contains(&Role::Pv) && draft.rating.is_none() {
        findings.refuse(
            &format!("device.{}.rating", device.name),
            "the most this PV inverter can make is not known, so a limit could not be shared out",
            format!(
                "{} (its nameplate)",
                findings.write(&format!("device.{}.rating", device.name), "\"10 kW\"")
            ),
        );
    }
}

fn channels(draft: &DeviceDraft, device: &Resolved, offer: &Offer, findings: &mut Findings<'_>) {
    let key = |leaf: &str| format!("device.{}.{leaf}", device.name);
    let relay = offer.controls.iter().find(|control| control.kind == ControlKind::Relay);
    let run = offer.controls.iter().any(|control| control.kind == ControlKind::GeneratorRun);
    if draft.roles.contains(&Role::GeneratorContact) {
        match (relay, draft.contact) {
            (None, _) if run => {}
            (None, _) => findings.refuse(
                &key("roles"),
                "the device has no relay that could start a generator",
                format!(
                    "{}, or choose the definition of a relay module",
                    findings.write(&key("roles"), &without(device, Role::GeneratorContact))
                ),
            ),
            (Some(relay), None) => findings.refuse(
                &key("contact"),
                format!("which of the {} relays starts the generator is not said", relay.channels),
                format!("{} (the first relay)", findings.write(&key("contact"), "1")),
            ),
            (Some(relay), Some(contact)) if contact > i64::from(relay.channels) => findings.refuse(
                &key("contact"),
                format!("the device has {} relays, not {contact}", relay.channels),
                format!(
                    "{}, or another number from 1",
                    findings.write(&key("contact"), &relay.channels.to_string())
                ),
            ),
            (Some(_), Some(_)) => {}
        }
    }
    let inputs = offer.points.iter().filter(|(quantity, ..)| *quantity == Quantity::Input).count();
    if let Some(input) =
        draft.running_input.filter(|input| usize::try_from(*input).map_or(true, |it| it > inputs))
    {
        findings.refuse(
            &key("running_input"),
            format!("the device has {inputs} inputs, not {input}"),
            if inputs == 0 {
                findings.remove(&key("running_input"))
            } else {
                format!(
                    "{}, or another number from 1 to {inputs}",
                    findings.write(&key("running_input"), "1")
                )
            },
        );
    }
}

/// The framing of the others where a device speaks it; else a connection of its own.
fn other_framing(
    device: &Resolved,
    theirs: Framing,
    (host, port): &(String, u16),
    findings: &Findings<'_>,
) -> String {
    let key = |leaf: &str| format!("device.{}.{leaf}", device.name);
    let spoken = match theirs {
        Framing::Tcp => definition::Framing::Tcp,
        Framing::RtuOverTcp => definition::Framing::RtuOverTcp,
    };
    let speaks = device.definition.as_ref().is_none_or(|it| it.limits.framings.contains(&spoken));
    if speaks {
        let way_out = findings.write(&key("framing"), &format!("\"{}\"", theirs.name()));
        return format!("{way_out}, as the other has it, or correct an address");
    }
    let way_out =
        findings.write(&key("address"), &format!("\"{host}:{}\"", port.checked_add(1).unwrap_or(502)));
    format!("{way_out} or whatever its own address is")
}

/// One connection has one framing, whoever uses it.
fn shared_endpoints(devices: &[Resolved], findings: &mut Findings<'_>) {
    let mut spoken: BTreeMap<(String, u16), (&str, Framing)> = BTreeMap::new();
    for device in devices {
        let Some(endpoint) = device.draft.address.as_deref().and_then(address) else { continue };
        let here = framing(device);
        match spoken.get(&endpoint) {
            Some((other, framing)) if *framing != here => findings.refuse(
                &format!("device.{}.framing", device.name),
                format!("the address is that of {other}, which speaks another framing"),
                other_framing(device, *framing, &endpoint, findings),
            ),
            Some(_) => {}
            None => {
                spoken.insert(endpoint, (&device.name, here));
            }
        }
    }
}
