//! A profile that is edited while the site runs.

use std::fs;

use crate::rig::parts::wait_for;

use super::fresh_folder;
use super::process::{Devices, Product, SOON, alarmed};

#[test]
fn c8_a_profile_with_mistakes_leaves_the_old_one_running_and_says_every_one() {
    let folder = fresh_folder("reload");
    let devices = Devices::hut(&[]);
    let profile = devices.profile(&folder, |text| text);
    let product = Product::start(&profile);
    product.ready();
    let hash = |state: &serde_json::Value| state["profile_hash"].as_str().unwrap().to_owned();
    let first = hash(&product.until("it publishes", |state| state["decision"].is_object()));

    // Saved with two mistakes: nobody need ask.
    devices.profile(&folder, |text| text.replace("floor = 20", "flor = 20").replace("5 kW\"", "5 kV\""));
    let state = product.until("the change is refused", |state| alarmed(state, "profile-refused"));
    assert_eq!(hash(&state), first);
    let said = product.said();
    assert!(said.contains("flor") && said.contains("kV"), "{said}");

    // Corrected, and taken over at once when asked.
    devices.profile(&folder, |text| text.replace("floor = 20", "floor = 25"));
    product.signal("HUP");
    let state = product.until("the change is in force", |state| hash(state) != first);
    assert!(!alarmed(&state, "profile-refused"));
    assert!(product.told("RELOADING=1", SOON) && product.told("READY=1", SOON));
    product.stop();
}

#[test]
fn an_overlay_lies_over_the_profile_for_its_time_and_a_plan_in_a_file_steers_while_it_is_renewed() {
    let folder = fresh_folder("overlays");
    let devices = Devices::hut(&[("battery.soc", 70.0)]);
    let profile = devices.profile(&folder, |text| {
        let text = text.replacen("schema = 1", "schema = 1\nplan_file = \"plan.json\"", 1);
        format!("{text}\n[overlay.storm.policy.battery]\nfloor = 60\n")
    });
    let product = Product::start(&profile);
    product.ready();
    let token = fs::read_to_string(folder.join("state/operator.token")).unwrap();
    let floor = |state: &serde_json::Value| state["decision"]["floor"].as_f64();
    let refused = |words: &[&str]| {
        let told = product.tell(words, token.trim());
        assert!(!told.status.success());
        String::from_utf8_lossy(&told.stderr).into_owned()
    };
    let why = refused(&["overlay", "strom"]);
    assert!(why.contains("no overlay strom") && why.contains("it has storm"), "{why}");
    let why = refused(&["set", "policy.battery.floor=1"]);
    assert!(why.contains("below what is reserved"), "{why}");
    assert!(
        product.tell(&["overlay", "storm", "--for", "12h", "--by", "anna"], token.trim()).status.success()
    );
    product.until("the storm's floor holds", |state| floor(state) == Some(60.0));
    assert!(product.tell(&["set", "policy.battery.floor=65", "--for", "1h"], token.trim()).status.success());
    product.until("what was set last wins", |state| floor(state) == Some(65.0));
    product.kill();

    let product = Product::start(&profile);
    let state = product.until("both outlive the kill", |state| floor(state) == Some(65.0));
    assert_eq!(state["decision"]["overlays"][0]["by"], "anna");
    assert!(product.tell(&["overlay", "policy.battery.floor", "--off"], token.trim()).status.success());
    product.until("the storm's floor is back", |state| floor(state) == Some(60.0));
    assert!(product.tell(&["overlay", "storm", "--off"], token.trim()).status.success());
    product.until("the profile's own floor is back", |state| floor(state) == Some(20.0));

    fs::write(folder.join("plan.json"), r#"{"by": "evcc", "seconds": 600, "now": {"max_charge": 0}}"#)
        .unwrap();
    product.until("the plan is leased", |state| state["decision"]["plan_by"] == "evcc");
    fs::write(folder.join("plan.json"), r#"{"by": "evcc", "seconds": 0}"#).unwrap();
    product.until("the lease is given back", |state| state["decision"]["plan_by"].is_null());
    product.stop();
}

#[test]
fn c8_a_changed_definition_file_is_seen_too() {
    let folder = fresh_folder("definition");
    let devices = Devices::hut(&[]);
    let shipped = wattkeeper::device::library::shipped("io/moxa-iologik-e1200").unwrap();
    fs::write(folder.join("relay.toml"), shipped).unwrap();
    let profile = devices.profile(&folder, |text| text.replace("io/moxa-iologik-e1200", "./relay.toml"));
    let product = Product::start(&profile);
    product.ready();
    fs::write(folder.join("relay.toml"), shipped.replace("Moxa\"", "Moxy\"")).unwrap();
    wait_for("the changeover is logged", SOON, || product.said().contains("changing over").then_some(()));
    product.stop();
}

#[test]
fn c8_a_changeover_to_other_devices_hands_setpoints_back_and_the_generator_does_not_notice() {
    let folder = fresh_folder("changeover");
    let devices = Devices::hut(&[("battery.soc", 30.0)]);
    let profile = devices.profile(&folder, |text| text);
    let product = Product::start(&profile);
    let running = |state: &serde_json::Value| state["generator"]["state"] == "running";
    let before = product.until("the generator runs", running);
    let (contact, setpoints) = (devices.written("relay"), devices.written("gx"));
    assert!(contact > 0);

    devices.profile(&folder, |text| text.replace("phases = [\"l1\"]", "phases = [\"l1\"]\npoll = \"2s\""));
    product.signal("HUP");
    let hash = |state: &serde_json::Value| state["profile_hash"].as_str().unwrap().to_owned();
    let after = product.until("it has changed over", |state| running(state) && hash(state) != hash(&before));
    assert!(product.said().contains("changing over"));
    assert_eq!(devices.truth("generator.contact"), 1.0);
    assert!(devices.written("gx") > setpoints, "the setpoint was handed back");
    let left = |state: &serde_json::Value| state["generator"]["min_run_left"].as_f64().unwrap_or(f64::NAN);
    assert!(
        left(&after) <= left(&before),
        "its minimum run goes on: {} s, {} s",
        left(&before),
        left(&after)
    );

    // Only watching, then in control again: still the same run.
    devices.profile(&folder, |text| text.replace("control = \"on\"", "control = \"observe\""));
    product.signal("HUP");
    product.until("it observes", |state| state["control"] == "observe");
    let setpoints = devices.written("gx");
    devices.profile(&folder, |text| text);
    product.signal("HUP");
    product.until("it is in control again", |state| state["control"] == "on" && running(state));
    wait_for("setpoints are written again", SOON, || (devices.written("gx") > setpoints).then_some(()));
    assert_eq!(devices.truth("generator.contact"), 1.0);
    product.stop();
    assert_eq!(devices.truth("generator.contact"), 1.0, "the contact is held");
    assert_eq!(devices.written("relay"), contact, "and was never written again");
}
