//! Loads on relays: each has a relay, and no relay has two masters.

use std::collections::BTreeMap;

use crate::control::policy::MAX_LOADS;
use crate::device::order::ControlKind;
use crate::profile::draft::Draft;
use crate::profile::nearest::nearest;
use crate::profile::wire::{Resolved, starter};

use super::Findings;

/// Finds loads without a relay, and relays with two masters.
pub fn relays(draft: &Draft, devices: &[Resolved], findings: &mut Findings<'_>) {
    if let Some(name) = draft.load.keys().nth(MAX_LOADS) {
        findings.refuse(
            &format!("policy.load.{name}"),
            format!("more than {MAX_LOADS} loads on relays"),
            format!("remove `[policy.load.{name}]`, or as many others"),
        );
    }
    let relays_of = |device: &Resolved| {
        let control = device.offer.controls.iter().find(|control| control.kind == ControlKind::Relay);
        control.map_or(0, |control| control.channels)
    };
    let with_relays: Vec<&str> =
        devices.iter().filter(|device| relays_of(device) > 0).map(|device| device.name.as_str()).collect();
    let example = with_relays.first().copied().unwrap_or("relay");
    let mut taken: BTreeMap<(String, u8), String> = BTreeMap::new();
    if let Some((device, ControlKind::Relay, channel)) = starter(devices) {
        taken.insert((device.name.clone(), channel), "the generator's start contact".to_owned());
    }
    for (name, load) in &draft.load {
        let key = |leaf: &str| format!("policy.load.{name}.{leaf}");
        let write =
            |findings: &Findings<'_>, device: &str| findings.write(&key("relay"), &format!("\"{device}\""));
        let Some(relay) = &load.relay else {
            let way_out = format!("{} (a device with relays)", write(findings, example));
            findings.refuse(&key("relay"), "the load has no relay", way_out);
            continue;
        };
        let Some(device) = devices.iter().find(|device| device.name == *relay) else {
            let near = nearest(relay, with_relays.iter().copied()).unwrap_or(example);
            let way_out = format!("{}, or another device with relays", write(findings, near));
            findings.refuse(&key("relay"), format!("there is no device \"{relay}\""), way_out);
            continue;
        };
        let relays = relays_of(device);
        if relays == 0 {
            let way_out = format!("{}, or another device with relays", write(findings, example));
            findings.refuse(&key("relay"), format!("{relay} has no relay"), way_out);
        } else if load.channel() > relays {
            findings.refuse(
                &key("channel"),
                format!("{relay} has {relays} relays, not {}", load.channel()),
                format!("{}, or another number from 1", findings.write(&key("channel"), &relays.to_string())),
            );
        } else if let Some(other) = taken.insert((relay.clone(), load.channel()), format!("the load {name}"))
        {
            let free = (1..=relays).find(|channel| !taken.contains_key(&(relay.clone(), *channel)));
            findings.refuse(
                &key("channel"),
                format!("relay {} of {relay} already switches {other}", load.channel()),
                format!(
                    "{}, or another relay",
                    findings.write(&key("channel"), &free.unwrap_or(relays).to_string())
                ),
            );
        }
    }
}
