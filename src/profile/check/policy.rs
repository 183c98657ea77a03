//! Values of the policy compared with each other.

use crate::control::policy::{Condition, Control, GeneratorPolicy, GuardKind, Policy, Stages};
use crate::control::units::{DeciCelsius, Soc, Span, Watts};
use crate::profile::draft::{Bms, ConditionDraft, Draft};
use crate::profile::layers::Effective;
use crate::profile::measure::Measure;
use crate::profile::wire::{Resolved, Wired, starter};

use super::Findings;

/// Finds what contradicts itself.
pub fn compare(draft: &Draft, findings: &mut Findings<'_>) {
    if draft.policy.control == Control::On && draft.policy.authority <= Watts::ZERO {
        findings.refuse(
            "authority",
            "control = \"on\" needs the most power we may order",
            "write authority = \"5 kW\" (your site's figure), or control = \"observe\"",
        );
    }
    if jiff::tz::TimeZone::get(&draft.policy.timezone).is_err() {
        findings.refuse(
            "site.timezone",
            format!("\"{}\" is not a time zone", draft.policy.timezone),
            "write an IANA name such as \"Europe/Paris\", or \"UTC\"",
        );
    }
    if super::devices::listen(&draft.listen.0).is_none() {
        findings.refuse(
            "listen",
            format!("\"{}\" is not an address and a port", draft.listen.0),
            "write \"127.0.0.1:8437\"",
        );
    }
    battery(draft, findings);
    grid(draft, findings);
    trust(draft, findings);
    if draft.policy.regulator.shortest_cycle > draft.policy.regulator.longest_cycle {
        findings.refuse(
            "policy.regulator.shortest_cycle",
            "the shortest cycle is longer than the longest",
            "make shortest_cycle the smaller of the two",
        );
    }
    generator(draft, findings);
}

fn battery(draft: &Draft, findings: &mut Findings<'_>) {
    let battery = &draft.policy.battery;
    let standard = battery.guard == GuardKind::Standard;
    if standard && battery.absolute_floor > battery.island_reserve {
        findings.refuse(
            "policy.battery.island_reserve",
            format!(
                "the island reserve {} is below the absolute floor {}",
                battery.island_reserve, battery.absolute_floor
            ),
            format!(
                "write island_reserve = {} or more, or lower absolute_floor",
                percent(battery.absolute_floor)
            ),
        );
    }
    let least = battery.island_reserve.max(battery.absolute_floor);
    if standard && battery.floor != Soc::EMPTY && battery.floor < least {
        findings.refuse(
            "policy.battery.floor",
            format!("the floor {} is below what is reserved for an outage, {least}", battery.floor),
            format!("write floor = {} or more, lower island_reserve and absolute_floor, or write floor = 0 for none", percent(least)),
        );
    }
    if let (Some(low), Some(high)) = (draft.temperature_min, draft.temperature_max)
        && low >= high
    {
        findings.refuse(
            "policy.battery.temperature_min",
            format!("the lowest temperature {low} is not below the highest {high}"),
            "make temperature_min the smaller of the two",
        );
    }
}

fn percent(soc: Soc) -> String {
    Measure::Percent.print(i64::from(soc.centi()))
}

fn grid(draft: &Draft, findings: &mut Findings<'_>) {
    let grid = &draft.policy.grid;
    if let Some(limit) = grid.import_limit.filter(|limit| grid.setpoint > *limit) {
        findings.refuse(
            "policy.grid.setpoint",
            format!("the setpoint {} imports more than import_limit {limit}", grid.setpoint),
            format!("write a setpoint of at most \"{limit}\""),
        );
    }
    if let Some(limit) = grid.export_limit.filter(|limit| -grid.setpoint > *limit) {
        findings.refuse(
            "policy.grid.setpoint",
            format!("the setpoint {} exports more than export_limit {limit}", grid.setpoint),
            format!("write a setpoint of at least \"{}\"", -limit),
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
                findings.refuse(
                    &format!("policy.trust.{name}.{later}"),
                    format!("{later} {second} comes before {earlier} {first}"),
                    format!("write {later} = \"{first}\" or more, or a shorter {earlier}"),
                );
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
            "write two different times; to be quiet always, lower the thresholds themselves",
        ),
        (Some(_), None) => findings.refuse(
            "policy.generator.quiet.to",
            "quiet hours have a beginning and no end",
            "write to = \"07:00\", or remove from",
        ),
        (None, Some(_)) => findings.refuse(
            "policy.generator.quiet.from",
            "quiet hours have an end and no beginning",
            "write from = \"22:00\", or remove to",
        ),
        (Some(_), Some(_)) | (None, None) => {}
    }
    for (name, condition, low_starts, measure) in conditions(draft) {
        thresholds(name, condition, low_starts, measure, findings);
        let hours = generator.quiet_from.is_some() || generator.quiet_to.is_some();
        if !hours && (condition.quiet_start.is_some() || condition.quiet_stop.is_some()) {
            let key = if condition.quiet_start.is_some() { "start" } else { "stop" };
            findings.refuse(
                &format!("policy.generator.{name}.quiet.{key}"),
                "thresholds for quiet hours, and no quiet hours",
                "write policy.generator.quiet = { from = \"22:00\", to = \"07:00\" }, or remove this threshold",
            );
        }
    }
    let policy = &generator.policy;
    if policy.max_run > Span::ZERO && policy.max_run < policy.min_run {
        let least = Measure::Duration.print(policy.min_run.0);
        findings.refuse(
            "policy.generator.max_run",
            format!("the longest run is shorter than the minimum run {least}"),
            format!("write max_run = \"{least}\" or more, or \"0s\" for no alarm"),
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
    let (Some(start), Some(stop)) = (condition.start, condition.stop) else {
        let (missing, present) =
            if condition.start.is_none() { ("start", "stop") } else { ("stop", "start") };
        findings.refuse(
            &key(missing),
            format!("the {name} condition has no {missing}"),
            format!("write policy.generator.{name}.{missing} too, or remove its {present}"),
        );
        return;
    };
    let (side, advice) = if low_starts { ("above", "higher") } else { ("below", "lower") };
    let sound = |start: i64, stop: i64| if low_starts { stop > start } else { stop < start };
    if !sound(start, stop) {
        findings.refuse(
            &key("stop"),
            format!(
                "{name} stops at {}, which is not {side} its start {}",
                measure.print(stop),
                measure.print(start)
            ),
            format!("write a {advice} stop: the set must be able to run from its start to its stop"),
        );
        return;
    }
    let (quiet_start, quiet_stop) =
        (condition.quiet_start.unwrap_or(start), condition.quiet_stop.unwrap_or(stop));
    if !sound(quiet_start, quiet_stop) {
        let edge = if condition.quiet_stop.is_some() { "quiet.stop" } else { "quiet.start" };
        findings.refuse(
            &key(edge),
            format!(
                "in quiet hours {name} stops at {}, which is not {side} its start {}",
                measure.print(quiet_stop),
                measure.print(quiet_start)
            ),
            format!("write a {advice} stop for quiet hours, or another start"),
        );
    }
}

/// The policy of a profile without mistakes.
pub fn build(draft: &Draft, devices: &[Resolved], wired: &Wired, effective: &Effective) -> Policy {
    let mut policy = draft.policy.clone();
    policy.battery.bms = match draft.bms {
        Bms::Auto => None,
        Bms::Required => Some(true),
        Bms::None => Some(false),
    };
    policy.battery.temperature = match (draft.temperature_min, draft.temperature_max) {
        (None, None) => None,
        (low, high) => Some((low.unwrap_or(DeciCelsius::MIN), high.unwrap_or(DeciCelsius::MAX))),
    };
    policy.regulator.meter_lag = policy.regulator.meter_lag.or(super::meter_lag(devices));
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
