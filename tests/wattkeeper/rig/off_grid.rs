//! The off-grid site: the generator.

use serde_json::{Value, json};

use super::judge::{truths, writes};
use super::parts::{Keeper, Site, signal};

/// An engine with short times, and a battery that follows soon.
fn hut() -> Site {
    let settings = [
        "load.noise=0",
        "load.appliances=false",
        "pv.dc_peak_w=0",
        "battery.capacity_wh=1000",
        "battery.soc=50",
        "genset.warmup_s=3",
        "genset.cooldown_s=5",
    ];
    let mut site = Site::start("gx-offgrid", &settings, &[]);
    site.load(700.0);
    site
}

fn running(truth: &Value) -> bool {
    ["warmup", "running"].contains(&truth["gen.state"].as_str().unwrap())
}

/// Waits until the generator's state is `state` in what the product publishes.
fn generator(keeper: &Keeper, state: &str, seconds: u64) {
    keeper.until(&format!("the generator is {state}"), seconds, |seen| seen["generator"]["state"] == state);
}

/// From a charge above the start value to below, through the run, to the stop; says what the truth was.
fn once(profile: &str, devices: &[&str]) -> String {
    let mut site = hut();
    let keeper = Keeper::run(&site, profile, devices, &[]);
    keeper.until("the charge is heard", 30, |state| signal(state, "battery.soc").is_some());
    site.run(8.0);
    assert_eq!(site.truth()["gen.starts"], 0);
    let low = site.charge(39.0);
    let started = site.until("the engine turns", 40.0, running);
    // Full at once: the minimum run is a floor.
    site.run(8.0);
    let full = site.charge(70.0);
    let stopped = site.until("the engine cools down or stops", 60.0, |truth| !running(truth));
    site.until("the engine is still", 40.0, |truth| truth["gen.state"] == "stopped");
    site.charge(50.0);
    let end = site.run(15.0);
    let truth = site.truth();
    assert_eq!((&truth["gen.starts"], &truth["gen.cranks"]), (&json!(1), &json!(1)), "{truth}");
    let log = site.log();
    assert!(truths(&log, stopped + 1.0, end).all(|(_, truth)| !running(truth)), "it started again");
    assert!(stopped - started >= 29.0, "ran {:.1} s, the minimum is 30 s", stopped - started);
    assert!(stopped > full);

    // And a second one, which ends by the charge and not by the time.
    site.charge(39.0);
    let again = site.until("the engine turns again", 40.0, running);
    let served = site.run(40.0);
    assert!(running(&site.truth()), "stopped below the stop value");
    site.charge(61.0);
    let over = site.until("the engine cools down or stops", 40.0, |truth| !running(truth));
    assert_eq!(site.truth()["gen.starts"], 2);
    format!(
        "engine turned {:.1} s after the charge fell, ran {:.1} s of 30 s while full; then {:.1} s, and stopped {:.1} s after the stop charge",
        started - low,
        stopped - started,
        over - again,
        over - served
    )
}

pub fn over_the_contact() -> String {
    once("off-grid.toml", &["gx", "", "relay"])
}

pub fn over_telemetry() -> String {
    once("off-grid-dse.toml", &["gx", "genset"])
}

pub fn adopted() -> String {
    let devices = &["gx", "", "relay"];
    let mut site = hut();
    let keeper = Keeper::run(&site, "off-grid.toml", devices, &[]);
    keeper.until("the charge is heard", 30, |state| signal(state, "battery.soc").is_some());
    site.charge(35.0);
    site.until("the engine carries the site", 40.0, |truth| truth["gen.state"] == "running");
    generator(&keeper, "running", 20);
    keeper.kill();
    let killed = site.run(5.0);
    assert_eq!(site.truth()["gen.state"], "running", "the contact must stay closed when nobody rules it");
    // Between start and stop value: only adoption keeps it running.
    site.charge(50.0);
    let keeper = Keeper::run(&site, "off-grid.toml", devices, &[]);
    generator(&keeper, "running", 30);
    let to = site.run(40.0);
    let log = site.log();
    let opened = writes(&log, killed - 5.0, to)
        .into_iter()
        .find(|write| write["device"] == "relay" && write["address"] == 0 && write["words"] == json!([0]));
    assert!(opened.is_none(), "the contact was opened: {opened:?}");
    assert!(truths(&log, killed, to).all(|(_, truth)| truth["gen.state"] == "running"));
    // SIGTERM holds the contact too.
    let asked = site.now();
    keeper.terminate();
    let to = site.run(5.0);
    let log = site.log();
    let touched = writes(&log, asked, to).into_iter().find(|write| write["device"] == "relay");
    assert!(touched.is_none(), "leaving touched the contact: {touched:?}");
    assert_eq!(site.truth()["gen.state"], "running");
    assert_eq!(site.truth()["gen.starts"], 1);
    "ran through a kill, a new start and a SIGTERM without a write to its contact".to_owned()
}
