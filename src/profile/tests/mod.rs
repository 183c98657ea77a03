//! What an operator meets: mistakes with their places and ways out, layers, origins, ready-made sites.

mod devices;

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

/// A sound profile of signals only; line 1 is `schema`.
const HUT: &str = r#"schema = 1
control = "observe"
authority = "5 kW"

[site]
name = "Hut"
timezone = "Europe/Paris"

[device.bank]
roles = ["battery"]

[device.multi]
roles = ["inverter", "grid-meter"]

[device.set]
roles = ["generator", "generator-contact"]

[policy.battery]
floor = 20

[policy.generator]
start = { soc = 40, for = "1m" }
stop  = { soc = 80 }
min_run = "20m"
quiet = { from = "22:00", to = "07:00", start = { soc = 25 } }
"#;

fn hut(overrides: &Overrides) -> Result<Checked, Vec<Mistake>> {
    load_text("hut.toml", HUT, None, overrides)
}

const STORM: &str = "\n[overlay.storm.policy.battery]\nfloor = 60\n\n[overlay.storm.policy.generator]\nstart = { soc = 65 }\nstop = { soc = 90 }\n\n[overlay.service]\ncontrol = \"observe\"\n";

#[test]
fn an_overlay_lies_over_the_profile_only_while_it_is_on_and_the_last_one_wins() {
    let read = |overlays: &[&str]| {
        let overlays = overlays.iter().map(|what| laid(what)).collect();
        let overrides = Overrides { overlays, ..Overrides::default() };
        load_text("hut.toml", &format!("{HUT}{STORM}"), None, &overrides).map_err(|list| shown(Err(list)))
    };
    let floor = |overlays: &[&str]| read(overlays).unwrap().site.policy.battery.floor;
    assert_eq!(floor(&[]), Soc::percent(20));
    assert_eq!(read(&[]).unwrap().overlays, ["service", "storm"]);
    assert_eq!(floor(&["storm"]), Soc::percent(60));
    let start = read(&["storm"]).unwrap().site.policy.generator.unwrap().soc.unwrap().start;
    assert_eq!(start, 6_500);
    assert_eq!(floor(&["storm", "policy.battery.floor=40"]), Soc::percent(40));
    assert_eq!(floor(&["policy.battery.floor=40", "storm"]), Soc::percent(60));
    for (overlay, why) in [
        ("strom", "no overlay strom"),
        ("policy.battery.flor=40", "unknown key"),
        ("authority=9 kW", "cannot be changed for a while"),
        ("control=on", "cannot be changed for a while"),
        ("policy.battery.floor=2", "below what is reserved"),
    ] {
        let told = read(&[overlay]).unwrap_err();
        assert!(told.contains(why), "{overlay}: {told}");
    }
}

#[test]
fn a_mistake_in_an_overlay_is_found_before_the_storm() {
    for (overlay, why) in [
        ("[overlay.storm.policy.battery]\nfloor = 2\n", "with the overlay storm: the floor"),
        (
            "[overlay.storm.policy.battery]\nflor = 60\n",
            "unknown key in the overlay storm (did you mean `policy.battery.floor`?)",
        ),
        ("[overlay.storm]\nauthority = \"9 kW\"\n", "an overlay cannot lie over `authority`"),
        ("[overlay.storm]\ncontrol = \"on\"\n", "an overlay cannot take control"),
        ("[overlay.storm.policy.battery]\nfloor = \"much\"\n", "overlay.storm.policy.battery.floor"),
        ("[overlay.Storm.policy.battery]\nfloor = 60\n", "\"Storm\" cannot be a name"),
    ] {
        let told = shown(load_text("hut.toml", &format!("{HUT}{overlay}"), None, &Overrides::default()));
        assert!(told.contains(why) && told.lines().count() == 2, "{told}");
    }
}

#[test]
fn a_sound_profile_becomes_the_policy_it_says() {
    let site = hut(&Overrides::default()).map_err(|list| shown(Err(list))).unwrap();
    let policy = &site.site.policy;
    assert_eq!(policy.control, Control::Observe);
    assert_eq!(policy.authority, Watts(5_000));
    assert_eq!(policy.battery.floor, Soc::percent(20));
    let generator = policy.generator.as_ref().unwrap();
    let soc = generator.soc.unwrap();
    assert_eq!((soc.start, soc.stop, soc.quiet), (4_000, 8_000, Some((2_500, 8_000))));
    assert_eq!((soc.start_for, soc.stop_for), (Span::secs(60), Span::ZERO));
    assert_eq!(generator.min_run, Span::secs(1_200));
    assert_eq!(generator.quiet.map(|quiet| (quiet.from, quiet.to)), Some((79_200, 25_200)));
    assert!(generator.feedback, "the set tells that it runs");
}

#[test]
fn a_table_per_condition_says_the_same_as_the_short_form() {
    let long = HUT
        .replace(
            "start = { soc = 40, for = \"1m\" }",
            "soc = { start = 40, stop = 80, start_for = \"1m\", quiet = { start = 25 } }",
        )
        .replace("stop  = { soc = 80 }", "")
        .replace(", start = { soc = 25 }", "");
    let long =
        load_text("hut.toml", &long, None, &Overrides::default()).map_err(|list| shown(Err(list))).unwrap();
    let short = hut(&Overrides::default()).unwrap();
    assert_eq!(long.site.policy, short.site.policy);
}

#[test]
fn a_profile_that_does_not_say_control_observes() {
    let silent = HUT.replace("control = \"observe\"\n", "");
    let site = load_text("hut.toml", &silent, None, &Overrides::default()).unwrap();
    assert_eq!(site.site.policy.control, Control::Observe);
}

#[test]
fn all_mistakes_come_at_once_and_none_twice() {
    let text =
        HUT.replace("floor = 20", "flor = 20").replace("\"5 kW\"", "5").replace("\"20m\"", "\"20 parsec\"");
    let list = load_text("hut.toml", &text, None, &Overrides::default()).err().unwrap();
    let keys: Vec<&str> = list.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["authority", "policy.battery.flor", "policy.generator.min_run"]);
}

#[test]
fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let mut overrides = Overrides {
        environment: vec![
            ("WATTKEEPER__POLICY__BATTERY__FLOOR".to_owned(), "25".to_owned()),
            ("WATTKEEPER__POLICY__GENERATOR__QUIET__FROM".to_owned(), "21:30".to_owned()),
            ("WATTKEEPER__DEVICE__SET__ROLES".to_owned(), "generator,generator-contact".to_owned()),
            ("WATTKEEPER_REFERENCE".to_owned(), "/elsewhere".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ],
        ..Overrides::default()
    };
    let site = hut(&overrides).map_err(|list| shown(Err(list))).unwrap();
    assert_eq!(site.site.policy.battery.floor, Soc::percent(25));
    assert_eq!(site.site.policy.generator.as_ref().unwrap().quiet.unwrap().from, 77_400);
    overrides.set.push("policy.battery.floor=30".to_owned());
    overrides.set.push("policy.generator.start={ soc = 36 }".to_owned());
    overrides.set.push("policy.generator.soc.start=35".to_owned());
    let site = hut(&overrides).map_err(|list| shown(Err(list))).unwrap();
    assert_eq!(site.site.policy.battery.floor, Soc::percent(30));
    assert_eq!(site.site.policy.generator.as_ref().unwrap().soc.unwrap().start, 3_500);
}

#[test]
fn a_variable_addresses_a_device_with_a_hyphen() {
    let text = HUT.replace("device.multi", "device.south-inverter");
    let overrides = Overrides {
        environment: vec![("WATTKEEPER__DEVICE__SOUTH_INVERTER__MAX_CHARGE".to_owned(), "2 kW".to_owned())],
        ..Overrides::default()
    };
    let site = load_text("hut.toml", &text, None, &overrides).map_err(|list| shown(Err(list))).unwrap();
    assert_eq!(site.site.wiring.inverters.first().unwrap().spec.max_charge, Watts(2_000));
}

#[test]
fn unknown_variables_and_settings_are_mistakes() {
    let overrides = Overrides {
        environment: vec![("WATTKEEPER__POLICY__BATERY__FLOOR".to_owned(), "25".to_owned())],
        set: vec!["policy.battery.floor".to_owned(), "policy.batery.floor=3".to_owned()],
        ..Overrides::default()
    };
    let list = hut(&overrides).err().unwrap();
    let places: Vec<String> =
        list.iter().map(|mistake| format!("{} {} {}", mistake.file, mistake.key, mistake.way_out)).collect();
    assert_eq!(places.len(), 3, "{places:?}");
    assert!(
        places.iter().any(|place| place.starts_with("environment WATTKEEPER__POLICY__BATERY__FLOOR")
            && place.contains("WATTKEEPER__POLICY__BATTERY__FLOOR")),
        "{places:?}"
    );
    assert!(places.iter().any(|place| place.starts_with("command line policy.batery.floor")), "{places:?}");
}

#[test]
fn origin_tells_where_each_value_came_from() {
    let overrides = Overrides {
        environment: vec![("WATTKEEPER__POLICY__GRID__SETPOINT".to_owned(), "50 W".to_owned())],
        ..over(&["policy.battery.resume=4"])
    };
    let site = hut(&overrides).unwrap();
    let page = report::origin_text(&site);
    let line = |key: &str| page.lines().find(|line| line.starts_with(key)).unwrap_or(key).to_owned();
    let ends = |key: &str, value: &str, from: &str| {
        let line = line(key);
        assert!(line.starts_with(&format!("{key} = {value} ")) && line.ends_with(from), "{line}");
    };
    ends("policy.battery.floor", "20", "# hut.toml:19");
    ends("policy.grid.setpoint", "\"50 W\"", "# environment WATTKEEPER__POLICY__GRID__SETPOINT");
    ends("policy.battery.resume", "4", "# command line");
    ends("policy.battery.absolute_floor", "5", "# default");
    ends("policy.generator.soc.start", "40", "# hut.toml:22");
    ends("policy.generator.quiet.from", "\"22:00\"", "# hut.toml:25");
    ends("device.bank.roles", "[\"battery\"]", "# hut.toml:10");
}

#[test]
fn what_origin_prints_is_a_profile_that_means_the_same() {
    let site = hut(&Overrides::default()).unwrap();
    let again = load_text("again.toml", &report::origin_text(&site), None, &Overrides::default())
        .map_err(|list| shown(Err(list)))
        .unwrap();
    assert_eq!(again.site, site.site);
}

#[test]
fn profiles_build_on_others_and_a_circle_is_a_mistake() {
    let folder = std::env::temp_dir().join(format!("wattkeeper-extends-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("base.toml"), HUT).unwrap();
    std::fs::write(folder.join("a.toml"), "schema = 1\nextends = [\"./b.toml\"]\n").unwrap();
    std::fs::write(folder.join("b.toml"), "schema = 1\nextends = [\"./a.toml\"]\n").unwrap();
    let top = "schema = 1\nextends = [\"./base.toml\"]\n[policy.battery]\nfloor = 33\n";
    std::fs::write(folder.join("top.toml"), top).unwrap();
    let site = load(&folder.join("top.toml"), &Overrides::default()).map_err(|list| shown(Err(list)));
    let circle = load(&folder.join("a.toml"), &Overrides::default()).err().unwrap_or_default();
    std::fs::remove_dir_all(&folder).unwrap();
    let site = site.unwrap();
    assert_eq!(site.site.policy.battery.floor, Soc::percent(33));
    assert!(site.site.policy.generator.is_some(), "what the file does not say comes from its base");
    assert!(circle.iter().any(|mistake| mistake.cause.contains("again")), "{}", shown(Err(circle.clone())));
}

#[test]
fn none_takes_back_what_a_lower_layer_said() {
    let site = hut(&over(&["policy.regulator.ramp=none", "policy.generator.soc.quiet.start=none"])).unwrap();
    assert_eq!(site.site.policy.regulator.ramp, None);
    assert_eq!(site.site.policy.generator.unwrap().soc.unwrap().quiet, None);
}

#[test]
fn every_key_is_documented_once_and_its_default_reads_back() {
    let mut seen = std::collections::BTreeSet::new();
    for key in keys() {
        assert!(seen.insert(key.path), "{} stands twice", key.path);
        assert!(key.help.ends_with('.') && !key.accepts.is_empty(), "{}", key.path);
        if let Some(default) = &key.default {
            let value =
                toml::from_str::<toml::Table>(&format!("it = {default}")).unwrap().remove("it").unwrap();
            assert!(key.kind.read(&value, key.optional).is_ok(), "{} = {default}", key.path);
        }
    }
    assert!(reference().contains("| `policy.battery.floor` | a percentage, 0 to 100 | `10` |"));
}

#[test]
fn an_inverter_on_the_third_phase_speaks_of_the_third_phase() {
    let site = hut(&over(&["device.multi.phases=l3"])).map_err(|list| shown(Err(list))).unwrap();
    let inverter = site.site.wiring.inverters.first().unwrap();
    assert_eq!(inverter.spec.phases, [false, false, true]);
    assert_eq!(inverter.power.phase.map(|signal| signal.is_some()), [false, false, true]);
}

#[test]
fn check_prints_a_site_for_people_and_for_programs() {
    let site = hut(&Overrides::default());
    let value = report::json(&site, true);
    assert_eq!(value["ok"], true);
    assert_eq!(value["devices"][0]["name"], "bank");
    let page = report::text(&site.unwrap());
    assert!(
        page.contains("soc: starts at 40 % for 1m, stops at 80 %; in quiet hours 25 % and 80 %"),
        "{page}"
    );
    let broken = load_text("hut.toml", "schema = 1\n", None, &Overrides::default());
    assert_eq!(report::json(&broken, false)["mistakes"][0]["key"], "device");
    assert!(report::mistakes_text(&broken.err().unwrap()).contains("way out:"));
}

#[test]
fn every_ready_made_site_passes_and_only_the_demo_is_in_control() {
    for name in shipped_names() {
        let site = load_shipped(name, &Overrides::default()).map_err(|list| shown(Err(list)));
        let site = site.unwrap_or_else(|list| panic!("{name}\n{list}"));
        assert_eq!(site.site.policy.control == Control::On, name == "demo", "{name}");
        assert!(site.site.policy.authority > Watts(0), "{name}");
        let missing: Vec<&str> = site
            .site
            .wiring
            .inverters
            .iter()
            .filter(|inverter| inverter.power.total.is_none() && inverter.power.phase == [None; 3])
            .map(|inverter| inverter.spec.name.as_str())
            .collect();
        assert_eq!(missing, Vec::<&str>::new(), "{name}: inverters whose power nobody tells");
        assert!(site.site.wiring.battery.soc.is_some(), "{name}");
        for device in site.devices.iter().filter(|device| device.address.is_some()) {
            assert!(!device.signals.is_empty(), "{name} {}", device.name);
        }
    }
}
