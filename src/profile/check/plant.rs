//! The policy against what stands on the plates: contract, breaker, cells.

use crate::control::policy::GuardKind;
use crate::control::units::Watts;
use crate::profile::draft::Draft;
use crate::profile::measure::Measure;

use super::Findings;
use super::policy::{percent, quoted};

/// Finds limits that the plant cannot have.
pub fn compare(draft: &Draft, findings: &mut Findings<'_>) {
    let grid = &draft.policy.grid;
    contract("import", grid.import_limit, draft.import_contract, findings);
    contract("export", grid.export_limit, draft.export_contract, findings);
    if let (Some(rating), Some(breaker)) = (draft.generator.policy.rating, draft.generator.breaker)
        && rating > breaker
    {
        let way_out =
            findings.write("policy.generator.rating", &quoted(Measure::Power, i64::from(breaker.0)));
        findings.refuse(
            "policy.generator.rating",
            format!("the generator may deliver {rating}, more than its breaker carries, {breaker}"),
            format!("{way_out}, or less"),
        );
    }
    starts_too_late(draft, findings);
    voltages(draft, findings);
}

/// A contract is kept by a limit, which cannot be wider.
fn contract(way: &str, limit: Option<Watts>, contract: Option<Watts>, findings: &mut Findings<'_>) {
    let Some(contract) = contract else { return };
    let key = format!("policy.grid.{way}_limit");
    let way_out = findings.write(&key, &quoted(Measure::Power, i64::from(contract.0)));
    match limit {
        Some(limit) if limit <= contract => {}
        Some(limit) => findings.refuse(
            &key,
            format!("the limit of {way}, {limit}, is more than the contract allows, {contract}"),
            format!("{way_out}, or less"),
        ),
        None => findings.refuse(
            &key,
            format!("the contract allows {contract} of {way}, and nothing keeps it"),
            format!("{way_out}, or less"),
        ),
    }
}

/// A set has to start while the battery still feeds the site: a start below what ends discharge is a dark house.
fn starts_too_late(draft: &Draft, findings: &mut Findings<'_>) {
    let battery = &draft.policy.battery;
    let generator = &draft.generator;
    let reserve = battery.island_reserve.max(battery.absolute_floor);
    let least = i64::from(reserve.centi());
    if battery.guard == GuardKind::Standard
        && let Some(start) = generator.soc.start.filter(|start| *start < least)
        && generator.soc.stop.is_some_and(|stop| stop > least)
    {
        let way_out = findings.write("policy.generator.soc.start", &percent(reserve));
        let cause = format!(
            "the set starts at {} %, below what is reserved, {reserve}: discharge has ended by then",
            Measure::Percent.print(start)
        );
        findings.refuse(
            "policy.generator.soc.start",
            cause,
            format!("{way_out}, or more, or lower the reserve"),
        );
    }
    let floor = battery.voltage_floor.map(|floor| i64::from(floor.0));
    if let (Some(floor), Some(start)) = (floor, generator.voltage.start)
        && start < floor
        && generator.voltage.stop.is_some_and(|stop| stop > floor)
    {
        let way_out = findings.write("policy.generator.voltage.start", &quoted(Measure::Voltage, floor));
        let (start, floor) = (Measure::Voltage.print(start), Measure::Voltage.print(floor));
        let cause = format!(
            "the set starts at {start}, below the voltage floor {floor}: discharge has ended by then"
        );
        findings.refuse(
            "policy.generator.voltage.start",
            cause,
            format!("{way_out}, or more, or a lower floor"),
        );
    }
}

/// Voltages that cells of this kind and number never have in use.
fn voltages(draft: &Draft, findings: &mut Findings<'_>) {
    let (chemistry, cells) = match (draft.chemistry, draft.cells) {
        (Some(chemistry), Some(cells)) => (chemistry, cells),
        (Some(_), None) => {
            let way_out = findings.write("policy.battery.cells", "16");
            return findings.refuse(
                "policy.battery.cells",
                "the chemistry is known, and not how many cells stand in series",
                format!("{way_out} (16 for 48 V of lfp, 14 of nmc, 24 of lead acid), or remove chemistry"),
            );
        }
        (None, _) => return,
    };
    let (low, high) = chemistry.cell();
    let (low, high) = (low.saturating_mul(cells), high.saturating_mul(cells));
    let generator = &draft.generator.voltage;
    for (key, volts) in [
        ("policy.battery.voltage_floor", draft.policy.battery.voltage_floor.map(|floor| i64::from(floor.0))),
        ("policy.generator.voltage.start", generator.start),
        ("policy.generator.voltage.stop", generator.stop),
        ("policy.generator.voltage.quiet.start", generator.quiet_start),
        ("policy.generator.voltage.quiet.stop", generator.quiet_stop),
    ] {
        let Some(volts) = volts.filter(|volts| !(low..=high).contains(volts)) else { continue };
        let third = high.saturating_sub(low) / 3;
        let near = if key.ends_with("stop") { high.saturating_sub(third) } else { low.saturating_add(third) };
        let way_out = findings.write(key, &quoted(Measure::Voltage, near / 100 * 100));
        let print = |volts| Measure::Voltage.print(volts);
        let cause = format!(
            "{} is no voltage of {cells} {} cells, which have {} to {}",
            print(volts),
            chemistry.name(),
            print(low),
            print(high)
        );
        findings.refuse(
            key,
            cause,
            format!("{way_out}, or another voltage in between, or correct cells and chemistry"),
        );
    }
}
