//! One owner for everything that is asked or ordered: a unit belongs to one device, the grid setpoint to one inverter.

use std::collections::BTreeMap;

use crate::device::definition::Definition;
use crate::profile::draft::{Mode, Role};
use crate::profile::wire::Resolved;

use super::Findings;
use super::devices::{address, is_asked, units};
use super::needs::without;

/// Finds what two devices claim.
pub fn owned_once(devices: &[Resolved], findings: &mut Findings<'_>) {
    let mut owners: BTreeMap<((String, u16), u8), &str> = BTreeMap::new();
    for device in devices {
        let endpoint = device.draft.address.as_deref().and_then(address);
        let (Some(endpoint), Some(definition)) = (endpoint, &device.definition) else { continue };
        for (name, id) in asked(device, definition) {
            let place = (endpoint.clone(), id);
            match owners.get(&place) {
                Some(owner) => shared(device, &name, &place, owner, &owners, findings),
                None => {
                    owners.insert(place, &device.name);
                }
            }
        }
    }
    setpoint(devices, findings);
}

/// The units of a device that are polled or written, with their ids.
fn asked(device: &Resolved, definition: &Definition) -> Vec<(String, u8)> {
    let chosen = units(&device.draft, Some(definition));
    let all = definition.units.iter().enumerate().filter(|(at, _)| is_asked(definition, &chosen, *at));
    all.filter_map(|(_, unit)| Some((unit.name.clone(), chosen.get(&unit.name).copied().or(unit.default)?)))
        .collect()
}

fn shared(
    device: &Resolved,
    unit: &str,
    (endpoint, id): &((String, u16), u8),
    owner: &str,
    owners: &BTreeMap<((String, u16), u8), &str>,
    findings: &mut Findings<'_>,
) {
    let free = (1..=247_u8).find(|id| !owners.contains_key(&(endpoint.clone(), *id))).unwrap_or(247);
    let named = device.draft.units.contains_key(unit)
        || device.definition.as_ref().is_some_and(|definition| definition.units.len() > 1);
    let key =
        format!("device.{}.{}", device.name, if named { format!("units.{unit}") } else { "unit".to_owned() });
    let way_out = findings.write(&key, &free.to_string());
    findings.refuse(
        &key,
        format!("the device is unit {id} of {}:{} too, as {owner} is", endpoint.0, endpoint.1),
        format!("{way_out}, or whatever its own unit id is, or correct an address"),
    );
}

fn setpoint(devices: &[Resolved], findings: &mut Findings<'_>) {
    let keeps = |device: &&Resolved| {
        device.draft.roles.contains(&Role::Inverter) && device.draft.mode == Mode::Supervise
    };
    let mut keepers = devices.iter().filter(keeps);
    let Some(first) = keepers.next() else { return };
    for device in keepers {
        let key = format!("device.{}.roles", device.name);
        let way_out = findings.write(&key, &without(device, Role::Inverter));
        findings.refuse(
            &key,
            format!(
                "{} and {} both keep the grid setpoint, and they would work against each other",
                first.name, device.name
            ),
            format!("{way_out}, or let one of them be ordered: mode = \"direct\""),
        );
    }
}
