//! What an operator meets: mistakes with their places and ways out, layers, origins, ready-made sites.

use super::*;
use crate::control::policy::Control;
use crate::control::units::{Soc, Span, Watts};

fn over(sets: &[&str]) -> Overrides {
    Overrides { set: sets.iter().map(|set| (*set).to_owned()).collect(), ..Overrides::default() }
}

fn shown(result: Result<Checked, Vec<Mistake>>) -> String {
    match result {
        Ok(_) => "no mistake".to_owned(),
        Err(list) => list.iter().map(|mistake| format!("{mistake}\n")).collect(),
    }
}

#[test]
fn the_minimal_site_knows_every_signal_of_a_site() {
    let site = minimal(&Overrides::default()).map_err(|list| shown(Err(list))).unwrap();
    for name in [
        "grid.present",
        "grid.power",
        "grid.power.l1",
        "grid.power.l3",
        "battery.soc",
        "battery.voltage",
        "battery.current",
        "battery.power",
        "battery.temperature",
        "battery.charge_limit_current",
        "battery.discharge_limit_current",
        "battery.charge_limit_voltage",
        "battery.charge_request",
        "pv.power",
        "pv.power.l2",
        "pv.dc.power",
        "load.power",
        "load.power.l1",
        "load.in.power",
        "load.in.power.l2",
        "load.out.power",
        "load.out.power.l3",
        "inverter.power",
        "inverter.power.l1",
        "inverter.sustain",
        "inverter.sustain.l2",
        "inverter.overload",
        "inverter.overload.l1",
        "inverter.overheat",
        "generator.running",
        "generator.power",
        "generator.ac_present",
        "generator.contact",
        "generator.fuel",
        "generator.mode",
        "generator.fault",
        "battery.battery.soc",
        "inverter.inverter.power",
    ] {
        assert!(site.resolve(name).is_some(), "{name}");
    }
    assert_eq!(site.site.policy.control, Control::On);
    assert!(site.site.policy.generator.is_some());
    assert_eq!(site.resolve("battery.soc"), site.resolve("battery.battery.soc"));
}
