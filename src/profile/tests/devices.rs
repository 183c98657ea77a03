//! Devices that speak: definitions, units, channels and the time that polling takes.

use super::*;
use crate::control::signal::{Phase, Quantity};
use crate::control::wiring::ActuatorKind;
use crate::device::order::ControlKind;

/// A site of real devices, each line of which a test may change.
const BACKUP: &str = include_str!("../../../profiles/backup.toml");

fn backup(from: &str, to: &str) -> Result<Checked, Vec<Mistake>> {
    assert!(BACKUP.contains(from), "the profile has no {from}");
    load_text("backup.toml", &BACKUP.replacen(from, to, 1), None, &Overrides::default())
}

#[test]
fn polls_that_do_not_fit_are_refused_and_the_way_out_fits() {
    let list = backup("unit = 100", "unit = 100\npoll = \"100ms\"").err().unwrap_or_default();
    let mistake = list.first().unwrap();
    assert_eq!((list.len(), mistake.key.as_str()), (1, "device.gx.poll"), "{}", shown(Err(list.clone())));
    let poll = mistake.way_out.split('"').nth(1).unwrap();
    let relaxed = backup("unit = 100", &format!("unit = 100\npoll = \"{poll}\""));
    assert!(relaxed.is_ok(), "{poll}: {}", shown(relaxed));
}

#[test]
fn a_relay_and_an_input_become_the_generators_contact_and_feedback() {
    let site = backup("contact = 1", "contact = 2").unwrap();
    let relays = site.device("relays").unwrap();
    let place = relays.orders.get(&(ControlKind::Relay, 1)).copied().unwrap();
    let actuator = site.site.wiring.actuators.get(usize::from(place)).unwrap();
    assert_eq!(actuator.kind, ActuatorKind::GeneratorRun);
    assert_eq!(
        relays.signals.get(&(Quantity::Input, Phase::Total, 0)).copied(),
        site.resolve("generator.running")
    );
    assert_eq!(site.resolve("generator.running"), site.site.wiring.generator.running);
    assert_ne!(site.resolve("input.relays.2"), None, "the other inputs keep their own names");
    assert!(site.site.policy.generator.unwrap().feedback);
}

#[test]
fn without_a_running_contact_the_generator_has_no_feedback() {
    let site = backup("running_input = 1", "").unwrap();
    assert!(!site.site.policy.generator.unwrap().feedback);
}

#[test]
fn a_supervised_inverter_gets_a_grid_setpoint_and_needs_no_meter() {
    let site = backup("phases = [\"l1\"]", "mode = \"supervise\"").map_err(|list| shown(Err(list))).unwrap();
    let kinds: Vec<ActuatorKind> = site.site.wiring.actuators.iter().map(|actuator| actuator.kind).collect();
    assert_eq!(kinds, [ActuatorKind::GridSetpoint, ActuatorKind::GeneratorRun]);
}

#[test]
fn a_cyclic_order_is_repeated_well_within_the_devices_watchdog() {
    for name in shipped_names() {
        let site = load_shipped(name, &Overrides::default()).unwrap();
        for actuator in &site.site.wiring.actuators {
            if let (Some(refresh), Some(watchdog)) = (actuator.refresh, actuator.watchdog) {
                assert!(refresh.0 * 3 <= watchdog.0, "{name} {}: {refresh:?} {watchdog:?}", actuator.device);
            }
        }
    }
}

#[test]
fn an_operators_own_definition_is_read_beside_the_profile() {
    let folder = std::env::temp_dir().join(format!("wattkeeper-definition-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let own = crate::device::library::shipped("meters/eastron-sdm630").unwrap();
    std::fs::write(folder.join("mine.toml"), own).unwrap();
    std::fs::write(folder.join("broken.toml"), own.replacen("maker", "marker", 1)).unwrap();
    let with = |path: &str| {
        let text = BACKUP.replace("meters/eastron-sdm630", path);
        load_text("backup.toml", &text, Some(&folder), &Overrides::default())
    };
    std::fs::write(
        folder.join("nameless.toml"),
        own.replacen("[limits]", "[unit]\ndevice = \"none\"\n[limits]", 1),
    )
    .unwrap();
    let nameless = with("./nameless.toml");
    let (good, broken, absent) = (with("./mine.toml"), with("./broken.toml"), with("./absent.toml"));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(good.is_ok(), "{}", shown(good));
    let broken = broken.err().unwrap();
    assert!(
        broken.iter().any(|it| it.file.ends_with("broken.toml") && it.line > 0),
        "{}",
        shown(Err(broken.clone()))
    );
    let nameless = shown(nameless);
    assert!(
        nameless.contains("device.meter.units: the role \"grid-meter\" is played by a unit"),
        "{nameless}"
    );
    assert!(shown(absent).contains("cannot be read"));
}

#[test]
fn a_pv_inverter_that_can_be_limited_needs_its_rating() {
    let text = include_str!("../../../profiles/self-consumption.toml").replace("rating = \"8 kW\"", "");
    let list = load_text("site.toml", &text, None, &Overrides::default()).err().unwrap_or_default();
    assert!(list.iter().any(|mistake| mistake.key == "device.roof.rating"), "{}", shown(Err(list.clone())));
}

#[test]
fn a_plain_meter_at_the_roof_measures_pv() {
    let text = include_str!("../../../profiles/self-consumption.toml");
    let text = text.replace("\"pv/sunspec\"", "\"meters/eastron-sdm630\"");
    let site =
        load_text("site.toml", &text, None, &Overrides::default()).map_err(|list| shown(Err(list))).unwrap();
    assert_eq!(site.site.wiring.pv.first().unwrap().power.total, site.resolve("pv.roof.power"));
    assert_ne!(site.resolve("pv.power"), None);
    assert_ne!(site.resolve("grid.power"), site.resolve("pv.power"));
}

#[test]
fn a_gateway_that_speaks_for_the_generator_starts_it_by_its_relay() {
    let text = include_str!("../../../profiles/off-grid.toml")
        .replace("roles = [\"battery\", \"inverter\"]", "roles = [\"battery\", \"inverter\", \"generator\"]")
        .replace("roles = [\"generator\"]", "roles = [\"io\"]");
    let site =
        load_text("site.toml", &text, None, &Overrides::default()).map_err(|list| shown(Err(list))).unwrap();
    let gx = site.device("gx").unwrap();
    assert!(gx.orders.contains_key(&(ControlKind::Relay, 0)), "{:?}", gx.orders);
    assert_eq!(
        gx.signals.get(&(Quantity::Relay, Phase::Total, 0)).copied(),
        site.site.wiring.generator.contact
    );
    assert!(site.notes.iter().any(|note| note.contains("relay 1")), "{:?}", site.notes);
}
