//! What a policy needs to know and to reach, and whether any device provides it.

use crate::control::policy::{MAX_CHARGERS, MAX_INVERTERS, MAX_PV, PhaseMode};
use crate::control::wiring::ActuatorKind;
use crate::profile::draft::{Bms, Draft, Role};
use crate::profile::wire::{Resolved, Wired, rivals, starter};

use super::{Findings, known};

/// Finds inputs and actuators that the policy needs and no device provides.
pub fn inputs(draft: &Draft, devices: &[Resolved], wired: &Wired, findings: &mut Findings<'_>) {
    parts(devices, findings);
    if !wired.wiring.inverters.is_empty() {
        power(draft, wired, findings);
        phase_limits(draft, wired, findings);
        battery(draft, wired, findings);
    }
    if findings.effective.says("policy.generator") {
        generator(draft, devices, wired, findings);
    }
}

fn parts(devices: &[Resolved], findings: &mut Findings<'_>) {
    for (role, names) in rivals(devices) {
        let names: Vec<&str> = names.into_iter().collect();
        let last = names.last().copied().unwrap_or_default();
        let key = format!("device.{last}.roles");
        let device = devices.iter().find(|device| device.name == last);
        let way_out = findings.write(&key, &device.map(|device| without(device, role)).unwrap_or_default());
        findings.refuse(
            &key,
            format!(
                "{} both claim the role \"{}\", which one device alone can play",
                names.join(" and "),
                role.name()
            ),
            format!("{way_out}, or leave the role with {last} alone"),
        );
    }
    for (role, most) in
        [(Role::Inverter, MAX_INVERTERS), (Role::Pv, MAX_PV), (Role::SolarCharger, MAX_CHARGERS)]
    {
        let mut holders = devices.iter().filter(|device| device.draft.roles.contains(&role)).skip(most);
        if let Some(device) = holders.next() {
            let key = format!("device.{}.roles", device.name);
            let way_out = findings.write(&key, &without(device, role));
            let cause = format!("more than {most} devices have the role \"{}\"", role.name());
            findings.refuse(&key, cause, format!("{way_out}, or take the role from another"));
        }
    }
}

/// The roles of a device without one of them, as TOML; a device without a part is only shown.
pub fn without(device: &Resolved, role: Role) -> String {
    let left = device.draft.roles.iter().filter(|other| **other != role).map(|role| role.name());
    let mut names: Vec<String> = left.map(|name| format!("\"{name}\"")).collect();
    if names.is_empty() {
        names.push("\"io\"".to_owned());
    }
    format!("[{}]", names.join(", "))
}

fn power(draft: &Draft, wired: &Wired, findings: &mut Findings<'_>) {
    let grid = &draft.policy.grid;
    let wiring = &wired.wiring;
    if !grid.connected {
        return;
    }
    let supervised = wiring.actuators.iter().any(|actuator| actuator.kind == ActuatorKind::GridSetpoint);
    let measured = known(&wiring.grid.power);
    if !measured && !supervised {
        findings.refuse(
            "policy.grid.setpoint",
            "the grid setpoint needs grid.power, and no device provides it",
            format!(
                "{} if the site has no grid; else give a meter the role \"grid-meter\", or let the inverter keep the loop with mode = \"supervise\"",
                findings.write("policy.grid.connected", "false")
            ),
        );
    }
    for (key, limit) in [("import_limit", grid.import_limit), ("export_limit", grid.export_limit)] {
        if limit.is_some() && !measured {
            let path = format!("policy.grid.{key}");
            let way_out = format!("{}, or give a meter the role \"grid-meter\"", findings.remove(&path));
            findings.refuse(&path, format!("{key} needs grid.power, and no device provides it"), way_out);
        }
    }
    let by_phase = match draft.policy.phases {
        PhaseMode::Total => None,
        PhaseMode::Individual => Some("individual"),
        PhaseMode::BalancedExport => Some("balanced-export"),
    };
    let each = wiring.grid.power.phase.iter().all(Option::is_some);
    if let Some(word) = by_phase.filter(|_| !each && !supervised) {
        findings.refuse(
            "phases",
            format!("phases = \"{word}\" needs grid.power of every phase, and no device provides them"),
            format!(
                "{}, or give a three-phase meter the role \"grid-meter\"",
                findings.write("phases", "\"total\"")
            ),
        );
    }
}

/// Limits of a phase need to know each phase, or that there is only one.
fn phase_limits(draft: &Draft, wired: &Wired, findings: &mut Findings<'_>) {
    let grid = &draft.policy.grid;
    let wiring = &wired.wiring;
    let each = wiring.grid.power.phase.iter().all(Option::is_some);
    let fed = |at: usize| wiring.inverters.iter().any(|wired| wired.spec.phases.get(at) == Some(&true));
    let one = (0..3).filter(|at| fed(*at)).count() <= 1;
    for (key, limit) in
        [("import_limit_phase", grid.import_limit_phase), ("export_limit_phase", grid.export_limit_phase)]
    {
        if limit.is_some() && !each && !one {
            let path = format!("policy.grid.{key}");
            let way_out =
                format!("{}, or give a three-phase meter the role \"grid-meter\"", findings.remove(&path));
            let cause = format!("{key} needs grid.power of every phase, and no device provides them");
            findings.refuse(&path, cause, way_out);
        }
    }
    if grid.export_voltage.is_some() && !wiring.grid.voltage.is_wired() {
        let path = "policy.grid.export_voltage";
        let way_out =
            format!("{}, or give a meter that knows it the role \"grid-meter\"", findings.remove(path));
        findings.refuse(path, "export_voltage needs grid.voltage, and no device provides it", way_out);
    }
}

fn battery(draft: &Draft, wired: &Wired, findings: &mut Findings<'_>) {
    let policy = &draft.policy.battery;
    let wiring = &wired.wiring.battery;
    let role = "give the device that knows it the role \"battery\"";
    if policy.floor.centi() > 0 && wiring.soc.is_none() {
        findings.refuse(
            "policy.battery.floor",
            "the floor needs battery.soc, and no device provides it",
            format!("{} for none, or {role}", findings.write("policy.battery.floor", "0")),
        );
    }
    for (table, key, first, what) in [
        ("schedule", "target", draft.schedule.keys().next(), "charge window"),
        ("plan", "target", draft.plan.keys().next(), "plan"),
        ("outage", "min_soc", draft.outage.keys().next(), "preparation for an outage"),
    ] {
        if let (Some(name), None) = (first, wiring.soc) {
            findings.refuse(
                &format!("policy.{table}.{name}.{key}"),
                format!("a {what} needs battery.soc, and no device provides it"),
                format!("remove `[policy.{table}.{name}]`, or {role}"),
            );
        }
    }
    if policy.voltage_floor.is_some() && wiring.voltage.is_none() {
        findings.refuse(
            "policy.battery.voltage_floor",
            "the voltage floor needs battery.voltage, and no device provides it",
            format!("{}, or {role}", findings.remove("policy.battery.voltage_floor")),
        );
    }
    if wiring.temperature.is_none() {
        for (key, limit) in
            [("temperature_min", draft.temperature_min), ("temperature_max", draft.temperature_max)]
        {
            if limit.is_some() {
                let path = format!("policy.battery.{key}");
                let way_out = format!("{}, or {role}", findings.remove(&path));
                let cause = format!("{key} needs battery.temperature, and no device provides it");
                findings.refuse(&path, cause, way_out);
            }
        }
    }
    if draft.bms == Bms::Required && (wiring.charge_limit.is_none() || wiring.discharge_limit.is_none()) {
        findings.refuse(
            "policy.battery.bms",
            "a BMS is required, and no device provides battery.charge_limit_current and battery.discharge_limit_current",
            format!("{}, or {role}", findings.write("policy.battery.bms", "\"auto\"")),
        );
    }
}

/// What takes a condition away: its table, or else each of its values.
fn said_of(condition: &str, findings: &Findings<'_>) -> Vec<String> {
    if findings.effective.opened.contains(condition) {
        return vec![condition.to_owned()];
    }
    let below = format!("{condition}.");
    findings.effective.leaves.keys().filter(|path| path.starts_with(&below)).cloned().collect()
}

fn generator(draft: &Draft, devices: &[Resolved], wired: &Wired, findings: &mut Findings<'_>) {
    let generator = &draft.generator;
    let wiring = &wired.wiring;
    if starter(devices).is_none() {
        findings.refuse(
            "policy.generator",
            "nothing can start the generator",
            "remove `[policy.generator]` if there is none; else give a device that can start it the role \"generator\", or a relay module the role \"generator-contact\" and contact = 1",
        );
    }
    let load = known(&wiring.load)
        || known(&wiring.load_out)
        || (!wiring.inverters.is_empty() && (known(&wiring.grid.power) || !draft.policy.grid.connected));
    for (name, used, have, input) in [
        ("soc", generator.soc.start, wiring.battery.soc.is_some(), "battery.soc"),
        ("load", generator.load.start, load, "load.power"),
        ("current", generator.current.start, wiring.battery.current.is_some(), "battery.current"),
        ("voltage", generator.voltage.start, wiring.battery.voltage.is_some(), "battery.voltage"),
    ] {
        if used.is_some() && !have {
            let own = format!("policy.generator.{name}");
            for key in said_of(&own, findings) {
                let way_out =
                    format!("{}, or give the device that knows {input} its role", findings.remove(&key));
                let cause = format!("the {name} condition needs {input}, and no device provides it");
                findings.refuse(&key, cause, way_out);
            }
        }
    }
    let feedback = wiring.generator.running.is_some() || wiring.generator.ac_present.is_some();
    if generator.feedback == Some(true) && !feedback {
        findings.refuse(
            "policy.generator.feedback",
            "feedback is promised, and no device provides generator.running or generator.ac_present",
            format!(
                "{}, or wire the engine's running contact to an input and name it with running_input",
                findings.remove("policy.generator.feedback")
            ),
        );
    }
}
