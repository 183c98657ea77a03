//! What checking a profile costs: `cargo bench --bench check`.
//!
//! The largest shipped profile, and one with 200 devices of four kinds; the whole of `check` is measured, from text
//! to a checked site, with definitions read anew each time.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;

use wattkeeper::profile::{Overrides, load_text, shipped, shipped_names};

fn main() {
    let largest = shipped_names().filter_map(shipped).max_by_key(|text| text.len()).unwrap();
    measure("the largest shipped profile", largest);
    measure("200 devices", &two_hundred());
}

fn measure(name: &str, text: &str) {
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let began = Instant::now();
            let site = load_text("it.toml", black_box(text), None, &Overrides::default());
            assert!(site.is_ok(), "{:?}", site.err());
            black_box(site).unwrap();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    let first = times[0];
    times.sort_by(f64::total_cmp);
    println!("{name}: first {first:.2} ms, median {:.2} ms, slowest {:.2} ms", times[10], times[20]);
}

/// A site with a gateway and a meter, and relay modules, meters and gateways that are only shown.
fn two_hundred() -> String {
    let mut text = "schema = 1\nauthority = \"5 kW\"\n[device.gx]\ndefinition = \"inverters/victron-gx\"\naddress = \"192.0.2.1:502\"\nunit = 100\n\
                    roles = [\"battery\", \"inverter\"]\n[device.grid]\ndefinition = \"meters/eastron-sdm630\"\naddress = \"192.0.2.2:502\"\nroles = [\"grid-meter\"]\n"
        .to_owned();
    let kinds = [
        "io/moxa-iologik-e1200",
        "meters/eastron-sdm630",
        "meters/carlo-gavazzi-em24-e1",
        "inverters/victron-gx",
    ];
    for (at, kind) in kinds.iter().cycle().take(198).enumerate() {
        writeln!(
            text,
            "[device.d{at}]\ndefinition = \"{kind}\"\naddress = \"198.51.100.{at}:502\"\nroles = [\"io\"]"
        )
        .unwrap();
    }
    text
}
