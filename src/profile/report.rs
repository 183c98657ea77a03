//! What `check` shows: a site in a page of text, the same as JSON, and every mistake with its way out.

use serde_json::{Value, json};

use crate::control::policy::{Condition, Control, GeneratorPolicy, GuardKind, LoadMode};
use crate::control::signal::{Signal, Unit};
use crate::control::units::decimal;
use crate::control::wiring::ActuatorKind;
use crate::device::mistake::Mistake;

use super::layer::Origin;
use super::measure::Measure;
use super::site::{Checked, DeviceConfig};
use super::value::print_moment;

/// A checked site for people.
#[must_use]
pub fn text(site: &Checked) -> String {
    let mut page = format!("{}: no mistakes\n\n", site.file);
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!("site       {}", site.name));
    line(format!("control    {}", control(site)));
    line(format!("served at  http://{}", site.listen));
    line(String::new());
    for device in &site.devices {
        line(device_line(device));
        for (name, kind) in told(site, device) {
            line(format!("    takes {name} ({kind})"));
        }
    }
    line(String::new());
    for (what, sentence) in policy(site) {
        line(format!("{what:<10} {sentence}"));
    }
    if !site.notes.is_empty() {
        line(String::new());
    }
    for note in &site.notes {
        line(format!("note: {note}"));
    }
    page
}

/// Where each effective value came from, one per line.
#[must_use]
pub fn origin_text(site: &Checked) -> String {
    let origins = site.origins();
    let widest = origins.iter().map(|(key, value, _)| key.len() + value.len() + 3).max().unwrap_or(0);
    let mut page = String::new();
    for (key, value, origin) in origins {
        let said = format!("{key} = {value}");
        page.push_str(&format!("{said:<widest$}  # {origin}\n"));
    }
    page
}

/// Mistakes for people, with their number at the end.
#[must_use]
pub fn mistakes_text(mistakes: &[Mistake]) -> String {
    let mut page: String = mistakes.iter().map(|mistake| format!("{mistake}\n")).collect();
    let s = if mistakes.len() == 1 { "" } else { "s" };
    page.push_str(&format!("\n{} mistake{s}; nothing was changed\n", mistakes.len()));
    page
}

/// A checked site, or its mistakes, for programs.
#[must_use]
pub fn json(result: &Result<Checked, Vec<Mistake>>, origin: bool) -> Value {
    match result {
        Err(mistakes) => json!({ "ok": false, "mistakes": mistakes.iter().map(mistake).collect::<Vec<_>>() }),
        Ok(site) => {
            let mut value = json!({
                "ok": true,
                "mistakes": [],
                "file": site.file,
                "name": site.name,
                "control": match site.site.policy.control { Control::Observe => "observe", Control::On => "on" },
                "authority_watts": site.site.policy.authority.0,
                "listen": site.listen.to_string(),
                "devices": site.devices.iter().map(|device| device_json(site, device)).collect::<Vec<_>>(),
                "signals": site.site.signals.iter().map(|(_, signal)| signal.name()).collect::<Vec<_>>(),
                "policy": policy(site).into_iter().map(|(what, said)| json!({ what: said })).collect::<Vec<_>>(),
                "notes": site.notes,
            });
            if origin {
                value["origins"] = site.origins().iter().map(origin_json).collect();
            }
            value
        }
    }
}

fn mistake(mistake: &Mistake) -> Value {
    json!({
        "file": mistake.file,
        "line": mistake.line,
        "key": mistake.key,
        "cause": mistake.cause,
        "way_out": mistake.way_out,
    })
}

fn origin_json((key, value, origin): &(String, String, Origin)) -> Value {
    let (from, file, line) = match origin {
        Origin::Default => ("default", Value::Null, Value::Null),
        Origin::File(file, line) => ("file", json!(file), json!(line)),
        Origin::Environment(variable) => ("environment", json!(variable), Value::Null),
        Origin::CommandLine => ("command line", Value::Null, Value::Null),
    };
    json!({ "key": key, "value": value, "from": from, "file": file, "line": line })
}

fn device_json(site: &Checked, device: &DeviceConfig) -> Value {
    json!({
        "name": device.name,
        "definition": device.definition_name,
        "address": device.address.as_ref().map(|(host, port)| format!("{host}:{port}")),
        "roles": device.roles.iter().map(|role| role.name()).collect::<Vec<_>>(),
        "signals": signal_names(site, device),
        "takes": told(site, device).into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
        "unproven": device.definition.as_ref().is_some_and(|definition| definition.is_unproven()),
    })
}

fn signal_names(site: &Checked, device: &DeviceConfig) -> Vec<String> {
    device.signals.values().filter_map(|id| site.site.signals.get(*id)).map(Signal::name).collect()
}

fn control(site: &Checked) -> String {
    let policy = &site.site.policy;
    let authority = Measure::Power.print(i64::from(policy.authority.0));
    match policy.control {
        Control::Observe => format!("observe: nothing is written (authority {authority})"),
        Control::On => format!("on: orders are written, at most {authority}"),
    }
}

fn device_line(device: &DeviceConfig) -> String {
    let roles = device.roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ");
    let what = device.definition_name.as_deref().unwrap_or("signals only");
    let place = match &device.address {
        Some((host, port)) => format!("{host}:{port}"),
        None => "no address".to_owned(),
    };
    format!("{}: {roles}; {what} at {place}; {} signals", device.name, device.signals.len())
}

fn told(site: &Checked, device: &DeviceConfig) -> Vec<(String, &'static str)> {
    let actuators = &site.site.wiring.actuators;
    let specs = device.orders.values().filter_map(|place| actuators.get(usize::from(*place)));
    let words = specs.map(|spec| {
        let what = match spec.kind {
            ActuatorKind::InverterPower(_) => "inverter power",
            ActuatorKind::GridSetpoint => "the grid setpoint",
            ActuatorKind::PvLimit(_) => "a PV limit",
            ActuatorKind::GeneratorRun => "the generator's run command",
            ActuatorKind::Load(_) => "a load's relay",
        };
        let manner =
            if spec.watchdog.is_some() { "falls back by itself" } else { "holds until told otherwise" };
        (what.to_owned(), manner)
    });
    words.collect()
}

/// The policy in sentences, most important first.
fn policy(site: &Checked) -> Vec<(&'static str, String)> {
    let policy = &site.site.policy;
    let battery = &policy.battery;
    let mut lines = Vec::new();
    if site.site.wiring.battery.soc.is_some() {
        let rules = match battery.guard {
            GuardKind::Standard => "",
            GuardKind::VictronCompatible => ", by the victron-compatible table",
        };
        lines.push(if battery.keep_charged {
            ("battery", "kept full for an outage".to_owned())
        } else {
            let resume = decimal(i64::from(battery.resume_centi), 100);
            ("battery", format!("discharge stops at {}, resumes {resume} % above{rules}", battery.floor))
        });
        lines.push((
            "reserve",
            format!("{} in island, {} always", battery.island_reserve, battery.absolute_floor),
        ));
    }
    lines.push(if policy.grid.connected {
        ("grid", format!("toward {}{}", policy.grid.setpoint, limits(site)))
    } else {
        ("grid", "none: the site is an island".to_owned())
    });
    for (name, window) in site.schedule.iter().zip(&policy.schedule) {
        let lasts = Measure::Duration.print(window.duration.0);
        lines.push((
            "window",
            format!("{name}: charge to {} for {lasts} from {}", window.target, clock(window.start)),
        ));
    }
    if let (Some(first), Some(last)) = (policy.plan.first(), policy.plan.last()) {
        let (from, to) = (first.start, last.start.saturating_add(last.duration.whole_secs()));
        let slots = policy.plan.len();
        lines.push(("plan", format!("{slots} slots from {} to {}", print_moment(from), print_moment(to))));
    }
    for outage in &policy.outage {
        let ahead = Measure::Duration.print(outage.prepare.0);
        let from = print_moment(outage.start);
        lines.push(("outage", format!("from {from}: charge to {} from {ahead} before it", outage.min_soc)));
    }
    for (name, load) in site.loads.iter().zip(&policy.loads) {
        let what = match load.mode {
            LoadMode::Shed => "on, shed".to_owned(),
            LoadMode::Deferrable => format!("runs on {} left over, off", load.power),
        };
        let soc = load.soc.map(|soc| format!(" at or below {soc}")).unwrap_or_default();
        lines.push(("load", format!("{name}: {what}{soc}")));
    }
    if let Some(generator) = &policy.generator {
        lines.extend(generator_lines(generator));
    }
    lines
}

fn limits(site: &Checked) -> String {
    let grid = &site.site.policy.grid;
    let one = |word: &str, limit: Option<_>| {
        limit.map(|limit| format!(", {word} at most {limit}")).unwrap_or_default()
    };
    format!("{}{}", one("import", grid.import_limit), one("export", grid.export_limit))
}

fn clock(second: i32) -> String {
    format!("{:02}:{:02}", second / 3_600, second / 60 % 60)
}

fn generator_lines(generator: &GeneratorPolicy) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for (name, condition, unit) in [
        ("soc", generator.soc, Unit::CentiPercent),
        ("load", generator.load, Unit::Watt),
        ("current", generator.current, Unit::MilliAmp),
        ("voltage", generator.voltage, Unit::MilliVolt),
    ] {
        if let Some(condition) = condition {
            lines.push(("generator", condition_sentence(name, condition, unit)));
        }
    }
    if lines.is_empty() {
        lines.push(("generator", "starts only when an operator says so".to_owned()));
    }
    let least = Measure::Duration.print(generator.min_run.0);
    lines.push(("generator", format!("runs at least {least} once started")));
    if let Some(quiet) = generator.quiet {
        let does = if generator.quiet_blocks { "block normal starts" } else { "use their own thresholds" };
        lines.push(("generator", format!("quiet hours {} to {} {does}", clock(quiet.from), clock(quiet.to))));
    }
    lines
}

fn condition_sentence(name: &str, condition: Condition, unit: Unit) -> String {
    let value = |raw: i64| format!("{} {}", decimal(raw, unit.steps()), unit.symbol());
    let delay = |span: crate::control::units::Span| {
        if span.0 == 0 { String::new() } else { format!(" for {}", Measure::Duration.print(span.0)) }
    };
    let quiet = condition
        .quiet
        .map(|(start, stop)| format!("; in quiet hours {} and {}", value(start), value(stop)))
        .unwrap_or_default();
    format!(
        "{name}: starts at {}{}, stops at {}{}{quiet}",
        value(condition.start),
        delay(condition.start_for),
        value(condition.stop),
        delay(condition.stop_for)
    )
}
