//! Values of the policy compared with each other.

use crate::control::policy::{Condition, Control, GeneratorPolicy, GuardKind, Policy, Stages};
use crate::control::units::{DeciCelsius, Soc, Span, Watts};
use crate::profile::draft::{Bms, ConditionDraft, Draft};
use crate::profile::layers::Effective;
use crate::profile::measure::Measure;
use crate::profile::nearest::nearest;
use crate::profile::wire::{Resolved, Wired, starter};

use super::{Findings, plant};

/// Finds what contradicts itself.
pub fn compare(draft: &Draft, findings: &mut Findings<'_>) {
    if draft.policy.control == Control::On && draft.policy.authority <= Watts::ZERO {
        findings.refuse(
            "authority",
            "control = \"on\" needs the most power we may order",
            format!(
                "{} (your site's figure), or control = \"observe\"",
                findings.write("authority", "\"5 kW\"")
            ),
        );
    }
    timezone(&draft.policy.timezone, findings);
    if super::devices::listen(&draft.listen.0).is_none() {
        let near =
            [format!("{}:8437", draft.listen.0), format!("127.0.0.1:{}", draft.listen.0.trim_matches(':'))];
        let right = near.iter().find(|text| super::devices::listen(text).is_some());
        let right = right.map_or("127.0.0.1:8437", String::as_str);
        findings.refuse(
            "listen",
            format!("\"{}\" is not an address and a port", draft.listen.0),
            findings.write("listen", &format!("\"{right}\"")),
        );
    }
    battery(draft, findings);
    grid(draft, findings);
    trust(draft, findings);
    if draft.policy.regulator.shortest_cycle > draft.policy.regulator.longest_cycle {
        findings.refuse(
            "policy.regulator.shortest_cycle",
            "the shortest cycle is longer than the longest",
            format!(
                "{}, or less",
                findings.write(
                    "policy.regulator.shortest_cycle",
                    &quoted(Measure::Duration, draft.policy.regulator.longest_cycle.0)
                )
            ),
        );
    }
    generator(draft, findings);
    plant::compare(draft, findings);
}

fn battery(draft: &Draft, findings: &mut Findings<'_>) {
    let battery = &draft.policy.battery;
    let standard = battery.guard == GuardKind::Standard;
    if standard && battery.adaptive_floor {
        findings.refuse(
            "policy.battery.adaptive_floor",
            "the adaptive floor belongs to the victron-compatible guard",
            format!(
                "{}, or write `guard = \"victron-compatible\"`",
                findings.remove("policy.battery.adaptive_floor")
            ),
        );
    }
    if standard && battery.absolute_floor > battery.island_reserve {
        findings.refuse(
            "policy.battery.island_reserve",
            format!(
                "the island reserve {} is below the absolute floor {}",
                battery.island_reserve, battery.absolute_floor
            ),
            format!(
                "{}, or more, or lower absolute_floor",
                findings.write("policy.battery.island_reserve", &percent(battery.absolute_floor))
            ),
        );
    }
    let least = battery.island_reserve.max(battery.absolute_floor);
    if standard && battery.floor != Soc::EMPTY && battery.floor < least {
        findings.refuse(
            "policy.battery.floor",
            format!("the floor {} is below what is reserved for an outage, {least}", battery.floor),
            format!(
                "{}, or more, lower island_reserve and absolute_floor, or write floor = 0 for none",
                findings.write("policy.battery.floor", &percent(least))
            ),
        );
    }
    if let Some(shave) = battery.shave_floor.filter(|shave| *shave > battery.floor) {
        findings.refuse(
            "policy.battery.shave_floor",
            format!(
                "the shave floor {shave} is above the floor {}: the band between them is empty",
                battery.floor
            ),
            format!(
                "{}, or less, or a higher floor",
                findings.write("policy.battery.shave_floor", &percent(battery.floor))
            ),
        );
    }
    for (present, missing, leaf, example) in [
        (draft.zero_charge_voltage.is_some(), draft.zero_charge_current.is_none(), "current", "\"40 A\""),
        (draft.zero_charge_current.is_some(), draft.zero_charge_voltage.is_none(), "voltage", "\"55 V\""),
    ] {
        if present && missing {
            let key = format!("policy.battery.zero_charge.{leaf}");
            findings.refuse(
                &key,
                format!("what a charge limit of 0 A means is said without its {leaf}"),
                format!(
                    "{}, as the maker of the pack says, or remove zero_charge",
                    findings.write(&key, example)
                ),
            );
        }
    }
    if let (Some(low), Some(high)) = (draft.temperature_min, draft.temperature_max)
        && low >= high
    {
        findings.refuse(
            "policy.battery.temperature_min",
            format!("the lowest temperature {low} is not below the highest {high}"),
            format!(
                "{}, or another value below temperature_max",
                findings.write(
                    "policy.battery.temperature_min",
                    &quoted(Measure::Temperature, i64::from(high.0).saturating_sub(100).max(-400))
                )
            ),
        );
    }
}

pub fn percent(soc: Soc) -> String {
    Measure::Percent.print(i64::from(soc.centi()))
}

fn grid(draft: &Draft, findings: &mut Findings<'_>) {
    let grid = &draft.policy.grid;
    if let Some(limit) = grid.import_limit.filter(|limit| grid.setpoint > *limit) {
        findings.refuse(
            "policy.grid.setpoint",
            format!("the setpoint {} imports more than import_limit {limit}", grid.setpoint),
            format!(
                "{}, or less",
                findings.write("policy.grid.setpoint", &quoted(Measure::Power, i64::from(limit.0)))
            ),
        );
    }
    if let Some(limit) = grid.export_limit.filter(|limit| -grid.setpoint > *limit) {
        findings.refuse(
            "policy.grid.setpoint",
            format!("the setpoint {} exports more than export_limit {limit}", grid.setpoint),
            format!(
                "{}, or more",
                findings.write("policy.grid.setpoint", &quoted(Measure::Power, i64::from((-limit).0)))
            ),
        );
    }
}

fn trust(draft: &Draft, findings: &mut Findings<'_>) {
    let trust = &draft.policy.trust;
    let inputs: [(&str, &Stages); 6] = [
        ("meter", &trust.meter),
        ("inverter", &trust.inverter),
        ("soc", &trust.soc),
        ("bms", &trust.bms),
        ("pv", &trust.pv),
        ("generator", &trust.generator),
    ];
    for (name, stages) in inputs {
        for (earlier, first, later, second) in [
            ("held", stages.held, "degraded", stages.degraded),
            ("degraded", stages.degraded, "safe", stages.safe),
        ] {
            if first > second {
                let (first, second) = (Measure::Duration.print(first.0), Measure::Duration.print(second.0));
                let key = format!("policy.trust.{name}.{later}");
                let way_out = findings.write(&key, &format!("\"{first}\""));
                let cause = format!("{later} {second} comes before {earlier} {first}");
                findings.refuse(&key, cause, format!("{way_out}, or more, or a shorter {earlier}"));
            }
        }
    }
}

/// A condition's name, its draft, whether it starts low and stops high, and its unit.
fn conditions(draft: &Draft) -> [(&'static str, &ConditionDraft, bool, Measure); 4] {
    let generator = &draft.generator;
    [
        ("soc", &generator.soc, true, Measure::Percent),
        ("load", &generator.load, false, Measure::Power),
        ("current", &generator.current, false, Measure::Current),
        ("voltage", &generator.voltage, true, Measure::Voltage),
    ]
}

fn generator(draft: &Draft, findings: &mut Findings<'_>) {
    let generator = &draft.generator;
    match (generator.quiet_from, generator.quiet_to) {
        (Some(from), Some(to)) if from == to => findings.refuse(
            "policy.generator.quiet.to",
            "quiet hours begin and end at the same time: that could mean always or never",
            format!(
                "{}, or another time; to be quiet always, lower the thresholds themselves",
                findings.write(
                    "policy.generator.quiet.to",
                    if from.0 == 25_200 { "\"08:00\"" } else { "\"07:00\"" }
                )
            ),
        ),
        (Some(_), None) => findings.refuse(
            "policy.generator.quiet.to",
            "quiet hours have a beginning and no end",
            format!("{}, or remove from", findings.write("policy.generator.quiet.to", "\"07:00\"")),
        ),
        (None, Some(_)) => findings.refuse(
            "policy.generator.quiet.from",
            "quiet hours have an end and no beginning",
            format!("{}, or remove to", findings.write("policy.generator.quiet.from", "\"22:00\"")),
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    for (name, condition, low_starts, measure) in conditions(draft) {
        thresholds(name, condition, low_starts, measure, findings);
        let hours = generator.quiet_from.is_some() || generator.quiet_to.is_some();
        if !hours && (condition.quiet_start.is_some() || condition.quiet_stop.is_some()) {
            let key = if condition.quiet_start.is_some() { "start" } else { "stop" };
            let path = format!("policy.generator.{name}.quiet.{key}");
            let way_out = format!(
                "{}, or say when: quiet = {{ from = \"22:00\", to = \"07:00\" }}",
                findings.remove(&path)
            );
            findings.refuse(&path, "thresholds for quiet hours, and no quiet hours", way_out);
        }
    }
    let policy = &generator.policy;
    if policy.max_run > Span::ZERO && policy.max_run < policy.min_run {
        let least = Measure::Duration.print(policy.min_run.0);
        findings.refuse(
            "policy.generator.max_run",
            format!("the longest run is shorter than the minimum run {least}"),
            format!(
                "{}, or more, or \"0s\" for no alarm",
                findings.write("policy.generator.max_run", &format!("\"{least}\""))
            ),
        );
    }
}

fn thresholds(
    name: &str,
    condition: &ConditionDraft,
    low_starts: bool,
    measure: Measure,
    findings: &mut Findings<'_>,
) {
    if *condition == ConditionDraft::default() {
        return;
    }
    let key = |edge: &str| format!("policy.generator.{name}.{edge}");
    let rises = |edge: &str| (edge == "stop") == low_starts;
    let (Some(start), Some(stop)) = (condition.start, condition.stop) else {
        let (missing, present) =
            if condition.start.is_none() { ("start", "stop") } else { ("stop", "start") };
        let other = condition.start.or(condition.stop).unwrap_or_default();
        let way_out = findings.write(&key(missing), &beyond(measure, other, rises(missing)));
        let cause = format!("the {name} condition has no {missing}");
        findings.refuse(
            &key(missing),
            cause,
            format!("{way_out}, or another value, or remove its {present}"),
        );
        return;
    };
    let side = if low_starts { "above" } else { "below" };
    let sound = |start: i64, stop: i64| if low_starts { stop > start } else { stop < start };
    let must = "the set must be able to run from its start to its stop";
    if !sound(start, stop) {
        let full = measure == Measure::Percent && start >= 10_000;
        let (edge, other) = if full { ("start", stop) } else { ("stop", start) };
        let way_out = findings.write(&key(edge), &beyond(measure, other, rises(edge)));
        let (stop, start) = (measure.print(stop), measure.print(start));
        let cause = format!("{name} stops at {stop}, which is not {side} its start {start}");
        findings.refuse(
            &key(edge),
            cause,
            format!("{way_out}, or another value, the stop {side} the start: {must}"),
        );
        return;
    }
    let (quiet_start, quiet_stop) =
        (condition.quiet_start.unwrap_or(start), condition.quiet_stop.unwrap_or(stop));
    if !sound(quiet_start, quiet_stop) {
        let (edge, own, other) = match condition.quiet_stop {
            Some(_) => ("quiet.stop", "stop", quiet_start),
            None => ("quiet.start", "start", quiet_stop),
        };
        let way_out = findings.write(&key(edge), &beyond(measure, other, rises(own)));
        let (stop, start) = (measure.print(quiet_stop), measure.print(quiet_start));
        let cause = format!("in quiet hours {name} stops at {stop}, which is not {side} its start {start}");
        findings.refuse(&key(edge), cause, format!("{way_out}, or another value: {must}"));
    }
}

/// A value clearly on the other side of a threshold, as TOML.
fn beyond(measure: Measure, from: i64, rises: bool) -> String {
    let step = match measure {
        Measure::Percent => 1_000,
        Measure::Voltage => 2_000,
        Measure::Current => 10_000,
        _ => 1_000,
    };
    let to = if rises { from.saturating_add(step) } else { from.saturating_sub(step) };
    match measure {
        Measure::Percent => measure.print(to.clamp(0, 10_000)),
        measure => quoted(measure, to),
    }
}

pub fn quoted(measure: Measure, raw: i64) -> String {
    format!("\"{}\"", measure.print(raw))
}

fn timezone(name: &str, findings: &mut Findings<'_>) {
    if jiff::tz::TimeZone::get(name).is_ok() {
        return;
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let near = nearest(name, known.iter().map(String::as_str)).unwrap_or("UTC");
    findings.refuse(
        "site.timezone",
        format!("\"{name}\" is not a time zone"),
        format!(
            "{}, or another IANA name such as \"Europe/Paris\"",
            findings.write("site.timezone", &format!("\"{near}\""))
        ),
    );
}

/// The policy of a profile without mistakes.
pub fn build(draft: &Draft, devices: &[Resolved], wired: &Wired, effective: &Effective) -> Policy {
    let mut policy = draft.policy.clone();
    policy.battery.bms = match draft.bms {
        Bms::Auto => None,
        Bms::Required => Some(true),
        Bms::None => Some(false),
    };
    policy.battery.at_zero_charge = draft.zero_charge_voltage.zip(draft.zero_charge_current);
    policy.battery.temperature = match (draft.temperature_min, draft.temperature_max) {
        (None, None) => None,
        (low, high) => Some((low.unwrap_or(DeciCelsius::MIN), high.unwrap_or(DeciCelsius::MAX))),
    };
    policy.regulator.meter_lag = policy.regulator.meter_lag.or(super::meter_lag(devices));
    policy.loads = draft.load.values().map(|load| load.policy).collect();
    policy.schedule = draft.schedule.values().filter_map(|window| window.window()).collect();
    policy.plan = super::timed::plan(draft);
    policy.outage = super::timed::outages(draft);
    let wanted = effective.says("policy.generator") || starter(devices).is_some();
    policy.generator = wanted.then(|| build_generator(draft, wired));
    policy
}

fn build_generator(draft: &Draft, wired: &Wired) -> GeneratorPolicy {
    let generator = &draft.generator;
    let condition = |draft: &ConditionDraft| {
        let (start, stop) = (draft.start?, draft.stop?);
        let quiet = (draft.quiet_start.is_some() || draft.quiet_stop.is_some())
            .then(|| (draft.quiet_start.unwrap_or(start), draft.quiet_stop.unwrap_or(stop)));
        Some(Condition {
            start,
            start_for: draft.start_for.unwrap_or(generator.start_for),
            stop,
            stop_for: draft.stop_for.unwrap_or(generator.stop_for),
            quiet,
        })
    };
    let wiring = &wired.wiring.generator;
    let heard = wiring.running.is_some() || wiring.ac_present.is_some();
    GeneratorPolicy {
        soc: condition(&generator.soc),
        load: condition(&generator.load),
        current: condition(&generator.current),
        voltage: condition(&generator.voltage),
        quiet: generator.quiet(),
        feedback: generator.feedback.unwrap_or(heard),
        ..generator.policy.clone()
    }
}
