//! The policy on the independent grid-connected site: charge windows, the export limit with PV, the import limit with
//! shaving, and commissioning, of a right and of a wrong profile.

use std::process::Command;

use serde_json::{Value, json};

use super::ess::{DEVICES, at_rest, calm};
use super::judge::truths;
use super::parts::{Keeper, Site, binding};

fn is(truth: &Value, name: &str) -> f64 {
    truth[name].as_f64().unwrap()
}

/// Something is settled when it has been true for this long, in seconds.
const STILL: f64 = 8.0;

/// Waits until something has been true for a while: what is passed on the way to somewhere else does not count.
fn settled(site: &mut Site, what: &str, seen: impl Fn(&Value) -> bool) {
    let began = site.now();
    let mut since = None;
    loop {
        let truth = site.truth();
        let now = is(&truth, "t");
        since = since.filter(|_| seen(&truth)).or(seen(&truth).then_some(now));
        if since.is_some_and(|since| now - since >= STILL) {
            return;
        }
        assert!(now - began < 120.0, "not within two minutes: {what}; {truth}");
        site.run(0.5);
    }
}

/// A charge window that opened a minute ago charges from the grid to its target and then holds.
pub fn window() -> String {
    let mut site = calm(0.2, 3, &["battery.soc=60"]);
    let opened = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1);
    let start = opened.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M").to_string();
    let start = format!("policy.schedule.now.start={start}");
    let set = [
        "device.meter.lag=200ms",
        "site.timezone=UTC",
        &start,
        "policy.schedule.now.duration=2h",
        "policy.schedule.now.target=70",
    ];
    let keeper = Keeper::run(&site, "ess.toml", DEVICES, &set);
    site.load(1_000.0);
    let began = site.now();
    let charging = site.until("the window charges from the grid", 60.0, |truth| {
        is(truth, "battery.w") < -3_000.0 && is(truth, "grid.w") > 4_000.0
    });
    assert_eq!(keeper.state()["decision"]["guard"], "ok");
    site.charge(70.2);
    let held = site.until("at its target it only holds", 30.0, |truth| is(truth, "battery.w").abs() < 200.0);
    let from = site.run(2.0);
    let to = site.run(10.0);
    for (t, truth) in truths(&site.log(), from, to) {
        assert!(is(truth, "battery.w") < 300.0, "at {t} it discharges inside the window: {truth}");
    }
    format!(
        "charged {:.0} s after its start, held {:.0} s after the target",
        charging - began,
        held - charging
    )
}

/// No export although PV makes more than the loads: the battery takes its part, the rest is curtailed.
pub fn no_export() -> String {
    let settings = [
        "load.noise=0",
        "load.appliances=false",
        "pv.ac_peak_w=6000",
        "pv.clouds=0",
        "meter.period=1",
        "meter.lag=0.2",
    ];
    let mut site = Site::start("gx-ess", &settings, &[]);
    site.tell(json!({ "cmd": "pv", "w": 0, "field": "ac" }));
    site.tell(json!({ "cmd": "set", "key": "battery.max_charge_a", "value": 10 }));
    site.load(1_500.0);
    let set = ["device.meter.lag=200ms", "policy.grid.export_limit=0 W"];
    let keeper = Keeper::run(&site, "ess.toml", DEVICES, &set);
    at_rest(&mut site, &keeper);
    site.tell(json!({ "cmd": "pv", "w": 5000, "field": "ac" }));
    let began = site.now();
    settled(&mut site, "PV is limited", |truth| {
        is(truth, "pv.w") < 3_500.0 && is(truth, "grid.w").abs() < 150.0
    });
    let limited = site.now() - began - STILL;
    let from = site.run(5.0);
    let to = site.run(30.0);
    let grid: Vec<f64> = truths(&site.log(), from, to).map(|(_, truth)| is(truth, "grid.w")).collect();
    let most = grid.iter().fold(0.0_f64, |most, watts| most.max(-watts));
    assert!(most <= 150.0, "{most:.0} W of export: {grid:.0?}");
    // A rising load is served by PV and not by the battery.
    let more = site.load(3_000.0);
    settled(&mut site, "PV serves the rising load", |truth| {
        is(truth, "pv.w") > 2_900.0 && is(truth, "grid.w").abs() < 150.0
    });
    let served = site.now() - more - STILL;
    assert!(is(&site.truth(), "battery.w") < 250.0, "{}", site.truth());
    keeper.terminate();
    format!(
        "within the limit {limited:.0} s after the sun, then at most {most:.0} W of export; a load of 1.5 kW more is PV's after {served:.0} s"
    )
}

/// Below its floor the battery gives nothing but what the import limit needs.
pub fn shaving() -> String {
    let mut site = calm(0.2, 3, &["battery.soc=40"]);
    let set = [
        "device.meter.lag=200ms",
        "policy.battery.floor=50",
        "policy.battery.shave_floor=20",
        "policy.battery.recharge=false",
        "policy.grid.import_limit=4 kW",
    ];
    let keeper = Keeper::run(&site, "ess.toml", DEVICES, &set);
    site.load(2_000.0);
    keeper.until("the floor holds", 60, |state| binding(state) == "floor-hold");
    site.until("the grid carries the load", 20.0, |truth| (is(truth, "grid.w") - 2_000.0).abs() < 100.0);
    let from = site.load(6_500.0);
    let shaved = site.until("the import limit holds", 20.0, |truth| is(truth, "grid.w") < 4_100.0);
    settled(&mut site, "it holds steadily", |truth| (3_700.0..=4_150.0).contains(&is(truth, "grid.w")));
    let steady = site.now();
    let to = site.run(20.0);
    let grid: Vec<f64> = truths(&site.log(), steady, to).map(|(_, truth)| is(truth, "grid.w")).collect();
    assert!(grid.iter().all(|watts| (3_700.0..=4_150.0).contains(watts)), "{grid:.0?}");
    site.load(2_000.0);
    site.until("the battery rests again", 20.0, |truth| {
        is(truth, "battery.w").abs() < 250.0 && (is(truth, "grid.w") - 2_000.0).abs() < 150.0
    });
    keeper.terminate();
    format!(
        "4 kW hold {:.1} s after a step to 6.5 kW, between {:.0} and {:.0} W afterwards",
        shaved - from,
        least(&grid),
        -least(&grid.iter().map(|watts| -watts).collect::<Vec<_>>())
    )
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// `wattkeeper commission` on the site, with values laid over the profile; what it says, and whether it was content.
fn commissioned(site: &Site, set: &[&str]) -> (bool, Value) {
    let profile = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/wattkeeper/rig/ess.toml");
    let addresses = DEVICES
        .iter()
        .enumerate()
        .map(|(at, device)| format!("device.{device}.address=127.0.0.1:{}", usize::from(site.base) + at));
    let state = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("commission-{}", site.base));
    let told = Command::new(env!("CARGO_BIN_EXE_wattkeeper"))
        .args(["commission", profile, "--json", "--set", "listen=127.0.0.1:1", "--state"])
        .arg(state)
        .args(
            addresses
                .chain(set.iter().map(|value| (*value).to_owned()))
                .flat_map(|it| ["--set".to_owned(), it]),
        )
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let seen = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}\n{}", String::from_utf8_lossy(&told.stderr));
    });
    (told.status.success(), seen)
}

fn findings(seen: &Value) -> Vec<String> {
    let tried = seen["tried"].as_array().into_iter().flatten();
    let found = tried.flat_map(|tried| tried["findings"].as_array().into_iter().flatten());
    found.map(|found| found["code"].as_str().unwrap().to_owned()).collect()
}

/// Commissioning of the site on one phase proves it, with the lag that the site was given.
pub fn commissioning() -> String {
    let phases = ["device.gx.phases=[\"l1\"]", "device.roof.phases=[\"l1\"]"];
    let site = calm(1.0, 1, &["battery.soc=60"]);
    let (content, seen) = commissioned(&site, &phases);
    assert!(content, "{seen}");
    let tried = &seen["tried"][0];
    let (response, lag) = (tried["response_ms"].as_i64().unwrap(), tried["lag_ms"].as_i64().unwrap());
    // How late the GX tells its own power depends on how busy it is; order to meter does not: half a second, 0.6 s of
    // approach, the meter's second, and what is between two samples.
    assert!((1_500..=5_000).contains(&(response + lag)) && lag <= 2_500, "{seen}");
    format!(
        "proven: inverter {} %, meter {} %, battery {} %, response {response} ms, lag {lag} ms of 1000",
        tried["inverter_percent"], tried["meter_percent"], tried["battery_percent"]
    )
}

/// A meter that shows nothing of what is ordered is found out.
pub fn commissioning_of_a_dead_meter() -> String {
    let phases = ["device.gx.phases=[\"l1\"]", "device.roof.phases=[\"l1\"]"];
    let mut site = calm(0.2, 1, &["battery.soc=60"]);
    site.tell(json!({ "cmd": "zero", "device": "meter", "on": true }));
    let (content, seen) = commissioned(&site, &phases);
    assert!(!content, "{seen}");
    assert!(seen["ended"].is_string() || findings(&seen).contains(&"meter-blind".to_owned()), "{seen}");
    format!("refused: {}", seen["ended"].as_str().map_or_else(|| findings(&seen).join(", "), str::to_owned))
}
