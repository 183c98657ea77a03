//! The whole profile at once: what was read is compared with itself and with what its devices can do.

mod devices;
mod loads;
mod needs;
mod ownership;
mod plant;
mod policy;
mod polls;
mod timed;

use std::collections::BTreeMap;

use crate::control::policy::Control;
use crate::control::signal::Phase;
use crate::control::site::SiteConfig;
use crate::device::definition::syntax::MOST_MISTAKES;
use crate::device::mistake::Mistake;
use crate::device::order::ControlKind;

use super::draft::Draft;
use super::layers::{self, Effective, Laid, Overrides, Text};
use super::site::{Checked, DeviceConfig};
use super::wire::{self, Resolved, Wired};

/// More devices than any site has; their signals still fit their numbers.
const MOST_DEVICES: usize = 500;

/// What was found, with the place of every key at hand.
pub struct Findings<'a> {
    effective: &'a Effective,
    mistakes: Vec<Mistake>,
    /// Whether a definition could not be read, so that what its device can do is not known.
    lacks_definition: bool,
}

impl Findings<'_> {
    /// Notes a mistake at a key. One about a key whose own mistake is known already would only confuse.
    fn refuse(&mut self, key: &str, cause: impl Into<String>, way_out: impl Into<String>) {
        if self.effective.tainted.contains(key) {
            return;
        }
        let (file, line) = self.place(key);
        self.mistakes.push(Mistake {
            file,
            line,
            key: key.to_owned(),
            cause: cause.into(),
            way_out: way_out.into(),
        });
    }

    /// The beginning of a way out: what to write, and where, so that a key has this value.
    fn write(&self, key: &str, value: &str) -> String {
        let effective = self.effective;
        if let Some(leaf) = effective.leaves.get(key) {
            return format!("write `{}`", leaf.origin.setting(key, &leaf.short, value));
        }
        let Some((table, word)) = key.rsplit_once('.') else {
            return format!("add `{key} = {value}` at the top of the file");
        };
        if effective.opened.contains(table) {
            return format!("add `{word} = {value}` below `[{table}]`");
        }
        match table.rsplit_once('.') {
            Some((above, inner))
                if effective.opened.contains(above) && !effective.sections.contains_key(table) =>
            {
                format!("add `{inner}.{word} = {value}` below `[{above}]`")
            }
            _ => format!("add `[{table}]` and below it `{word} = {value}`"),
        }
    }

    /// The beginning of a way out: take a key away.
    fn remove(&self, key: &str) -> String {
        let short = self.effective.leaves.get(key).map(|leaf| leaf.short.as_str());
        format!("remove `{}`", short.unwrap_or_else(|| key.rsplit('.').next().unwrap_or(key)))
    }

    /// Where a key was said; where it was not, the table it belongs to; else the top of the operator's file.
    fn place(&self, key: &str) -> (String, usize) {
        if let Some(leaf) = self.effective.leaves.get(key) {
            return leaf.origin.place();
        }
        let mut table = Some(key);
        while let Some(name) = table {
            if let Some(origin) = self.effective.sections.get(name) {
                return origin.place();
            }
            table = name.rsplit_once('.').map(|(above, _)| above);
        }
        (self.effective.file.clone(), 1)
    }

    /// Whether devices are known well enough to say that one is missing.
    fn knows_devices(&self) -> bool {
        let tainted = &self.effective.tainted;
        !self.lacks_definition
            && !tainted.iter().any(|key| key.is_empty() || key.starts_with("device."))
            && !self.mistakes.iter().any(|mistake| mistake.key.starts_with("device."))
    }
}

/// Reads, merges and checks a profile.
///
/// # Errors
/// Every mistake in every layer, in the order of files and lines.
pub fn check(text: &Text, overrides: &Overrides) -> Result<Checked, Vec<Mistake>> {
    let mut mistakes = Vec::new();
    let effective = layers::read(text, overrides, &mut mistakes);
    let mut findings = Findings { effective: &effective, mistakes, lacks_definition: false };
    if effective.tainted.contains("") {
        // A file that is no TOML says nothing, so that everything else would seem to be missing.
        return Err(findings.mistakes);
    }
    let names = effective.names("device");
    if let Some(name) = names.iter().nth(MOST_DEVICES) {
        let cause = format!("{} devices, and one site has at most {MOST_DEVICES}", names.len());
        let way_out = "give the others a profile and a daemon of their own";
        findings.refuse(
            &format!("device.{name}"),
            cause,
            format!("remove `[device.{name}]` and as many as are too many, or {way_out}"),
        );
        return Err(findings.mistakes);
    }
    let draft = layers::draft(&effective);
    let devices = devices::resolve(&draft, &mut findings);
    policy::compare(&draft, &mut findings);
    timed::compare(&draft, &mut findings);
    let wired = wire::wire(&devices, draft.policy.authority, &draft.load);
    if findings.knows_devices() {
        loads::relays(&draft, &devices, &mut findings);
        needs::inputs(&draft, &devices, &wired, &mut findings);
        polls::fit(&devices, &mut findings);
    }
    let mut mistakes = findings.mistakes;
    if mistakes.is_empty() && overrides.overlays.is_empty() {
        mistakes = overlaid(text, overrides, &effective);
    }
    if mistakes.is_empty() {
        return Ok(checked(&draft, devices, wired, effective));
    }
    mistakes.sort_by(|a, b| (&a.file, a.line, &a.key).cmp(&(&b.file, b.line, &b.key)));
    mistakes.dedup();
    mistakes.truncate(MOST_MISTAKES);
    Err(mistakes)
}

/// What is wrong with a profile once one of its overlays is on: better found today than in the storm.
fn overlaid(text: &Text, overrides: &Overrides, effective: &Effective) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for name in effective.names("overlay") {
        let overrides = Overrides { overlays: vec![Laid::Named(name.clone())], ..overrides.clone() };
        for mut mistake in check(text, &overrides).err().unwrap_or_default() {
            mistake.cause = format!("with the overlay {name}: {}", mistake.cause);
            mistakes.push(mistake);
        }
    }
    mistakes
}

fn checked(draft: &Draft, devices: Vec<Resolved>, mut wired: Wired, effective: Effective) -> Checked {
    let policy = policy::build(draft, &devices, &wired, &effective);
    let notes = notes(draft, &devices, &wired);
    let files = devices::files(&devices, &effective);
    let mut configs = Vec::new();
    for device in devices {
        configs.push(DeviceConfig {
            signals: wired.heard.remove(&device.name).unwrap_or_default(),
            orders: wired.orders.remove(&device.name).unwrap_or_default(),
            address: device.draft.address.as_deref().and_then(devices::address),
            framing: devices::framing(&device),
            units: devices::units(&device.draft, device.definition.as_deref()),
            phases: device.phases(),
            poll: device.draft.poll,
            mode: device.draft.mode,
            roles: device.draft.roles,
            definition_name: device.draft.definition,
            definition: device.definition,
            name: device.name,
        });
    }
    Checked {
        name: draft.name.0.clone(),
        file: effective.file.clone(),
        files,
        listen: devices::listen(&draft.listen.0).unwrap_or_else(|| ([127, 0, 0, 1], 8437).into()),
        plan_file: draft.plan_file.as_ref().map(|file| devices::folder("plan_file", &effective).join(file)),
        site: SiteConfig { signals: wired.signals, wiring: wired.wiring, policy },
        devices: configs,
        schedule: draft.schedule.keys().cloned().collect(),
        loads: draft.load.keys().cloned().collect(),
        overlays: effective.names("overlay").into_iter().collect(),
        proven: false,
        aliases: wired.aliases,
        effective,
        notes,
    }
}

/// What is no mistake but what an operator should know.
fn notes(draft: &Draft, devices: &[Resolved], wired: &Wired) -> Vec<String> {
    let mut notes = Vec::new();
    let ordering = !wired.wiring.inverters.is_empty();
    if draft.policy.control == Control::Observe {
        notes.push("observing: decisions are shown, nothing is written (control = \"observe\")".to_owned());
    }
    if ordering && draft.policy.authority.0 == 0 {
        notes.push("authority is not set: every inverter order is shown as 0 W".to_owned());
    }
    let lag = draft.policy.regulator.meter_lag.is_some() || meter_lag(devices).is_some();
    if ordering && draft.policy.grid.connected && !lag {
        notes.push("the grid meter's lag is unknown, so the regulator works with a lower gain".to_owned());
    }
    let mut unproven: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for device in
        devices.iter().filter(|device| device.definition.as_ref().is_some_and(|it| it.is_unproven()))
    {
        let definition = device.draft.definition.as_deref().unwrap_or("");
        unproven.entry(definition).or_default().push(&device.name);
    }
    for (definition, names) in unproven {
        notes.push(format!("{definition} is unproven on hardware ({})", names.join(", ")));
    }
    if let Some((device, ControlKind::Relay, channel)) = wire::starter(devices)
        && device.draft.contact.is_none()
    {
        let name = &device.name;
        notes.push(format!(
            "{name} starts the generator by its relay {channel}; contact = 2 would name another"
        ));
    }
    for device in devices.iter().filter(|device| device.draft.address.is_none()) {
        notes.push(format!("{} has no address: it is never polled, it is its signals only", device.name));
    }
    notes
}

/// The lag that the grid meter's device declares.
fn meter_lag(devices: &[Resolved]) -> Option<crate::control::units::Span> {
    let meter = devices.iter().find(|device| device.draft.roles.contains(&super::draft::Role::GridMeter))?;
    meter.draft.lag
}

/// Whether a power is known: as a sum, or on every phase that must be known.
fn known(power: &crate::control::wiring::PowerWiring) -> bool {
    power.total.is_some() || Phase::EACH.iter().zip(power.phase).all(|(_, signal)| signal.is_some())
}
