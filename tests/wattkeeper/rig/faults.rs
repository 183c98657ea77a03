//! Leaving, dying and going blind: what the site sees of it.

use serde_json::{Value, json};

use super::ess::{DEVICES, at_rest, calm};
use super::judge::{truths, writes};
use super::parts::{Keeper, Site};

fn watts(truth: &Value, name: &str) -> f64 {
    truth[name].as_f64().unwrap()
}

/// A site at rest, serving 3 kW from its battery.
fn serving() -> (Site, Keeper) {
    let mut site = calm(0.2, 3, &[]);
    let keeper = Keeper::run(&site, "ess.toml", DEVICES, &["device.meter.lag=200ms"]);
    site.load(3_000.0);
    at_rest(&mut site, &keeper);
    (site, keeper)
}

pub fn observing() -> String {
    let mut site = calm(0.3, 3, &[]);
    let keeper = Keeper::run(&site, "ess.toml", DEVICES, &["device.meter.lag=300ms", "control=observe"]);
    keeper.in_control();
    site.load(3_000.0);
    site.run(60.0);
    let log = site.log();
    let written = writes(&log, 0.0, f64::INFINITY);
    assert!(written.is_empty(), "{written:?}");
    let state = keeper.state();
    let reads =
        truths(&log, 0.0, f64::INFINITY).last().map(|(_, truth)| truth["wire"]["gx"]["reads"].clone());
    keeper.terminate();
    assert!(writes(&site.log(), 0.0, f64::INFINITY).is_empty(), "leaving wrote");
    format!(
        "0 writes, {} reads of the GX, would order {} W",
        reads.unwrap(),
        state["decision"]["battery_order"]
    )
}

pub fn released() -> String {
    let (mut site, keeper) = serving();
    let asked = site.now();
    keeper.terminate();
    let ended = site.now();
    site.run(3.0);
    let log = site.log();
    let written = writes(&log, asked, f64::INFINITY);
    let last =
        |address: u64| written.iter().rfind(|write| write["address"] == address).map(|write| &write["words"]);
    assert_eq!(last(2902), Some(&json!([1])), "{written:?}");
    assert_eq!(last(96), Some(&json!([0, 0, 0, 0, 0, 0])), "{written:?}");
    site.until("the GX keeps its own loop again", 5.0, |truth| truth["inv.control"] == "vendor");
    format!("mode and setpoints put back, ended {:.1} s after it was asked", ended - asked)
}

pub fn killed() -> String {
    let (mut site, keeper) = serving();
    let died = site.now();
    keeper.kill();
    let lapsed = site.until("the inverter leaves external control", 14.0, |truth| {
        truth["inv.control"] != "external" && watts(truth, "inv.w").abs() < 3_100.0
    });
    site.until("the inverter passes through", 6.0, |truth| watts(truth, "inv.w").abs() < 60.0);
    let passive = site.now();
    let keeper = Keeper::run(&site, "ess.toml", DEVICES, &["device.meter.lag=200ms"]);
    at_rest(&mut site, &keeper);
    let back = site.now();
    assert_eq!(site.truth()["inv.control"], "external");
    format!(
        "left external control {:.1} s after the kill, passed through after {:.1} s, at rest again {:.1} s after the start",
        lapsed - died,
        passive - died,
        back - passive
    )
}

pub fn silent_meter() -> String {
    let (mut site, keeper) = serving();
    let silent = site.now();
    site.tell(json!({ "cmd": "silence", "device": "meter" }));
    let to = site.run(30.0);
    let log = site.log();
    let refreshed = writes(&log, silent + 2.0, silent + 14.0).len();
    assert!(refreshed >= 3, "the inverter got {refreshed} writes while the meter was held");
    // Held and degraded, the last load is used on; safe, nothing is ordered at AC-in: the grid carries what hangs there.
    for (t, truth) in truths(&log, silent + 25.0, to) {
        let wanted: Vec<f64> =
            ["l1", "l2", "l3"].iter().map(|phase| watts(truth, &format!("inv.w.{phase}"))).collect();
        let at_input = wanted.iter().sum::<f64>() - watts(truth, "load.w") / 2.0;
        assert!(at_input.abs() <= 60.0, "{:.0} s after: inverter feeds {at_input} W into AC-in", t - silent);
    }
    let stopped = truths(&log, silent, to)
        .find(|(_, truth)| (watts(truth, "inv.w") - watts(truth, "load.w") / 2.0).abs() <= 60.0)
        .map_or(f64::INFINITY, |(t, _)| t - silent);
    site.tell(json!({ "cmd": "clear", "device": "meter" }));
    let cleared = site.now();
    keeper.in_control();
    at_rest(&mut site, &keeper);
    format!(
        "nothing at AC-in {stopped:.1} s after the silence, at rest again {:.1} s after it spoke",
        site.now() - cleared
    )
}

pub fn silent_pv() -> String {
    let (mut site, keeper) = serving();
    site.tell(json!({ "cmd": "silence", "device": "pv" }));
    let from = site.now();
    site.run(5.0);
    let stepped = site.load(1_500.0);
    let to = site.run(40.0);
    let log = site.log();
    let orders: Vec<f64> = writes(&log, from, to)
        .iter()
        .filter(|write| write["device"] == "gx")
        .map(|write| write["t"].as_f64().unwrap())
        .collect();
    let longest = orders.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    assert!(longest <= 4.0, "no write for {longest:.1} s while PV was silent");
    let seen = super::judge::response(&log, stepped, to, 0.0);
    assert!(seen.settled <= 20.0, "{seen}\n{:?}\n{}", seen.grid, keeper.said());
    format!("longest gap between writes {longest:.1} s, a step {seen}")
}
