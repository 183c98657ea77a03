//! What a service manager sees of the process.

use std::time::{Duration, Instant};

use wattkeeper::store::{self, Stamp};

use super::fresh_folder;
use super::process::{Devices, Product, SOON, alarmed};

#[test]
fn h1_a_hung_loop_no_longer_feeds_the_watchdog() {
    let folder = fresh_folder("watchdog");
    let devices = Devices::hut(&[]);
    let profile = devices.profile(&folder, |text| text);
    let product = Product::start_with(&profile, &[("WATCHDOG_USEC", "1000000")]);
    product.ready();
    assert!(product.told("WATCHDOG=1", SOON) && product.told("WATCHDOG=1", SOON));
    assert!(product.told("STATUS=in control", SOON));
    product.signal("STOP");
    product.forget();
    assert!(!product.told("WATCHDOG=1", Duration::from_secs(3)), "nothing is decided while it hangs");
    product.signal("CONT");
    assert!(product.told("WATCHDOG=1", SOON));
    product.signal("TERM");
    assert!(product.told("STOPPING=1", SOON));
}

#[test]
fn m2_a_second_instance_on_the_same_state_ends_with_75_and_says_why() {
    let folder = fresh_folder("second");
    let devices = Devices::hut(&[]);
    let profile = devices.profile(&folder, |text| text);
    let first = Product::start(&profile);
    first.ready();
    let mut second = Product::start(&profile);
    assert_eq!(second.ended().code(), Some(75));
    let said = second.said();
    assert!(said.contains("another wattkeeper") && said.contains("--state"), "{said}");
    first.stop();
    Product::start(&profile).ready();
}

#[test]
fn s2_a_killed_process_decides_again_within_two_seconds_and_a_clean_stop_is_one() {
    let folder = fresh_folder("killed");
    let devices = Devices::hut(&[]);
    let profile = devices.profile(&folder, |text| text);
    let product = Product::start(&profile);
    product.ready();
    product.kill();
    let product = Product::start(&profile);
    let took = product.ready();
    assert!(took < Duration::from_secs(2), "{took:?} from the start to the first decision");
    product.stop();
    let opened = store::open(&folder.join("state"), "Test hut", &Stamp::default()).unwrap();
    let ends: Vec<bool> = opened.starts.iter().map(|start| start.ended_well).collect();
    assert_eq!(ends, [false, true]);
}

#[test]
fn inv3_a_kill_in_the_middle_of_a_run_neither_opens_the_contact_nor_begins_the_minimum_run_anew() {
    let folder = fresh_folder("killed-run");
    let devices = Devices::hut(&[("battery.soc", 30.0)]);
    let profile = devices.profile(&folder, |text| text);
    let product = Product::start(&profile);
    let running = |state: &serde_json::Value| state["generator"]["state"] == "running";
    let left = |state: &serde_json::Value| state["generator"]["min_run_left"].as_f64().unwrap_or(f64::NAN);
    let before = product.until("three seconds of the run are over", |state| {
        running(state) && left(state) > 0.0 && left(state) <= 597.0
    });
    product.kill();
    assert_eq!(devices.truth("generator.contact"), 1.0);
    let product = Product::start(&profile);
    let after = product.until("the run is known again", running);
    assert!(left(&after) <= left(&before), "{} s were left, now {} s", left(&before), left(&after));
    assert_eq!(after["generator"]["starts"], 1, "it is the same run");
    assert_eq!(devices.truth("generator.starts"), 1.0);
    product.stop();
    assert_eq!(devices.truth("generator.contact"), 1.0, "the contact is held");
}

#[test]
fn h9_the_seventh_start_after_six_kills_only_observes_until_a_clean_stop() {
    let folder = fresh_folder("crash-loop");
    let devices = Devices::hut(&[]);
    let profile = devices.profile(&folder, |text| text);
    for _ in 0..6 {
        let product = Product::start(&profile);
        product.ready();
        product.kill();
    }
    let product = Product::start(&profile);
    product.ready();
    let state = product.until("it publishes", |state| state["decision"].is_object());
    assert_eq!(state["control"], "observe");
    assert!(alarmed(&state, "crash-loop"), "{}", state["alarms"]);
    assert!(product.said().contains("it only observes now"));
    let before = (devices.written("gx"), devices.written("relay"));
    let began = Instant::now();
    product.until("three seconds pass", |_| began.elapsed() > Duration::from_secs(3));
    assert_eq!((devices.written("gx"), devices.written("relay")), before, "nothing is written");
    product.stop();
    let product = Product::start(&profile);
    product
        .until("it is in control again", |state| state["control"] == "on" && !alarmed(state, "crash-loop"));
}

#[test]
fn an_operators_order_needs_the_token_and_outlives_a_kill() {
    let folder = fresh_folder("orders");
    let devices = Devices::hut(&[("battery.soc", 70.0)]);
    let profile = devices.profile(&folder, |text| text);
    let product = Product::start(&profile);
    product.ready();
    let stranger = product.tell(&["hold"], "not the token");
    assert!(!stranger.status.success());
    let complaint = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(complaint.contains("needs the operator's token"), "{complaint}");
    let token = std::fs::read_to_string(folder.join("state/operator.token")).unwrap();
    let told = |product: &Product, words: &[&str]| {
        let told = product.tell(words, token.trim());
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    };
    told(&product, &["hold", "--for", "2h", "--by", "anna"]);
    let standing = |product: &Product| {
        let state = product.until("the order stands", |state| state["decision"]["order"]["by"] == "anna");
        state["decision"]["order"].clone()
    };
    assert_eq!(standing(&product)["text"], "hold the battery for 120 min");
    told(&product, &["generator", "run", "--for", "1h", "--by", "anna"]);
    product.until("the engine turns", |_| devices.truth("generator.running") > 0.0);
    product.kill();
    let again = Product::start(&profile);
    let left = standing(&again)["left_s"].as_i64().unwrap();
    assert!((7_000..7_200).contains(&left), "{left}");
    told(&again, &["release", "--by", "anna"]);
    again.until("it is taken back", |state| state["decision"]["order"].is_null());
}
