//! Charge windows, plan and announced outages: whole, few enough, and not two slots of the plan at once.

use crate::control::policy::{Caps, Outage, PlanSlot};
use crate::control::schedule::{MAX_OUTAGES, MAX_SLOTS, MAX_WINDOWS};
use crate::profile::draft::Draft;
use crate::profile::value::print_moment;

use super::Findings;

/// Finds what is missing, too much or contradicts itself.
pub fn compare(draft: &Draft, findings: &mut Findings<'_>) {
    for (name, window) in &draft.schedule {
        let keys = [
            ("start", window.start.is_none(), "\"02:00\""),
            ("duration", window.duration.is_none(), "\"3h\""),
        ];
        missing(&format!("policy.schedule.{name}"), "window", &keys, findings);
    }
    for (name, slot) in &draft.plan {
        let keys = [
            ("start", slot.start.is_none(), "\"2026-06-01T12:00:00Z\""),
            ("duration", slot.duration.is_none(), "\"1h\""),
            ("target", slot.wishes() == 0 && slot.caps == Caps::default(), "80"),
        ];
        missing(&format!("policy.plan.{name}"), "slot", &keys, findings);
        if slot.wishes() > 1 {
            let leaf = if slot.power.is_some() { "power" } else { "setpoint" };
            let key = format!("policy.plan.{name}.{leaf}");
            let way_out = format!("{}, or the other wishes of the slot", findings.remove(&key));
            findings.refuse(&key, "one slot can steer to one of target, setpoint and power only", way_out);
        }
    }
    for (name, outage) in &draft.outage {
        let keys = [
            ("start", outage.start.is_none(), "\"2026-06-01T12:00:00Z\""),
            ("duration", outage.duration.is_none(), "\"2h\""),
            ("min_soc", outage.min_soc.is_none(), "80"),
        ];
        missing(&format!("policy.outage.{name}"), "outage", &keys, findings);
    }
    few("policy.schedule", draft.schedule.keys().nth(MAX_WINDOWS), MAX_WINDOWS, findings);
    few("policy.plan", draft.plan.keys().nth(MAX_SLOTS), MAX_SLOTS, findings);
    few("policy.outage", draft.outage.keys().nth(MAX_OUTAGES), MAX_OUTAGES, findings);
    let to_charge = draft.plan.values().any(|slot| slot.target.is_some());
    if to_charge && draft.policy.battery.capacity.is_none() {
        findings.refuse(
            "policy.battery.capacity",
            "a plan turns percent into power, and needs the battery's capacity for it",
            format!(
                "{} (your battery's figure), or remove the plan",
                findings.write("policy.battery.capacity", "\"10 kWh\"")
            ),
        );
    }
    overlaps(draft, findings);
}

fn missing(table: &str, what: &str, keys: &[(&str, bool, &str)], findings: &mut Findings<'_>) {
    for (key, missing, example) in keys {
        if *missing {
            let path = format!("{table}.{key}");
            let way_out = findings.write(&path, example);
            findings.refuse(
                &path,
                format!("the {what} has no {key}"),
                format!("{way_out} (your own figure)"),
            );
        }
    }
}

fn few(table: &str, first_too_many: Option<&String>, most: usize, findings: &mut Findings<'_>) {
    if let Some(name) = first_too_many {
        findings.refuse(
            &format!("{table}.{name}"),
            format!("more than {most} entries in {table}"),
            format!("remove `[{table}.{name}]`, or as many others"),
        );
    }
}

fn overlaps(draft: &Draft, findings: &mut Findings<'_>) {
    let mut slots: Vec<(&String, PlanSlot)> =
        draft.plan.iter().filter_map(|(name, slot)| Some((name, slot.slot()?))).collect();
    slots.sort_by_key(|(_, slot)| slot.start);
    for pair in slots.windows(2) {
        let [(before, first), (name, second)] = pair else { continue };
        let over = first.start.saturating_add(first.duration.whole_secs());
        if second.start < over {
            let key = format!("policy.plan.{name}.start");
            let way_out = findings.write(&key, &format!("\"{}\"", print_moment(over)));
            let cause = format!("the slot begins before the slot {before} is over");
            findings.refuse(&key, cause, format!("{way_out}, or later, or a shorter duration of {before}"));
        }
    }
}

/// The slots of the plan in the order in which they begin.
pub fn plan(draft: &Draft) -> Vec<PlanSlot> {
    let mut plan: Vec<PlanSlot> = draft.plan.values().filter_map(|slot| slot.slot()).collect();
    plan.sort_by_key(|slot| slot.start);
    plan
}

/// The announced outages in the order in which they begin.
pub fn outages(draft: &Draft) -> Vec<Outage> {
    let mut outages: Vec<Outage> = draft.outage.values().filter_map(|outage| outage.outage()).collect();
    outages.sort_by_key(|outage| outage.start);
    outages
}
