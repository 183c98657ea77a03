//! What the whole controller costs with many devices: `cargo bench --bench fleet`.
//!
//! `wattkeeper run` with 500 devices of 3 reads of 60 registers at 1 Hz: polling, decoding, decisions, publishing, and
//! the metrics page scraped each second. The rival in the same run only polls: one task of the Modbus crate for each
//! device, its reads spread over the second. Both pinned to one core, alternately, against the same server.
#![allow(missing_docs, clippy::unwrap_used)]

mod against;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use against::{DEVICES, PORT, Running, cpu, field, last_line, median, memory, number, pinned, scrape, total};

const LISTEN: &str = "127.0.0.1:7912";

fn main() {
    if against::serves() {
        return;
    }
    let Some(rivals) = against::rivals() else { return };
    let (devices, seconds) = (number("WATTKEEPER_DEVICES", DEVICES), number("WATTKEEPER_SECONDS", 30_u64));
    let site = against::site(&format!("127.2.0.1:{PORT}"), &format!("127.2.0.2:{PORT}"));
    let slower = site.replace("lag = \"0s\"", "lag = \"0s\"\npoll = \"1s\"");
    let profile = against::profile("fleet", &(slower + &against::background(devices)));
    let mut ratios = Vec::new();
    for round in 1..=number("WATTKEEPER_ROUNDS", 5) {
        let _server = against::server();
        let rival = rival(&rivals, devices, seconds);
        let (ours, answered, megabytes) = ours(&profile, devices, seconds);
        ratios.push(ours / rival);
        println!(
            "round {round}: {ours:.2} % of a core ({answered:.1} % of the reads answered, {megabytes:.1} MB), bare fleet {rival:.2} %, ratio {:.2}",
            ours / rival
        );
    }
    println!("CPU of the whole controller: ratio {:.2} (goal 1.5)", median(ratios));
}

/// Percent of a core that the bare fleet takes.
fn rival(rivals: &Path, devices: u16, seconds: u64) -> f64 {
    let mut command = pinned(1, &rivals.join("rust/target/release/fleet"));
    command.env("STAGGER", "1").args(["tm-ct", &PORT.to_string(), &devices.to_string(), "1", "3", "60"]);
    field(&last_line(command.arg(seconds.to_string())), "cpu_pct")
}

/// Percent of a core that the controller takes, percent of the expected reads, and its memory.
fn ours(profile: &Path, devices: u16, seconds: u64) -> (f64, f64, f64) {
    let running = Running(against::controller(profile, LISTEN).spawn().unwrap());
    let pid = running.0.id();
    std::thread::sleep(Duration::from_secs(5));
    let address: SocketAddr = LISTEN.parse().unwrap();
    let reads = || total(&scrape(address).unwrap(), "ess_modbus_requests_total");
    let (began, before, first) = (Instant::now(), cpu(pid), reads());
    while began.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_secs(1));
        scrape(address).unwrap();
    }
    let (took, spent) = (began.elapsed().as_secs_f64(), (cpu(pid) - before).as_secs_f64());
    let expected = f64::from(devices) * 3.0 * took;
    (100.0 * spent / took, 100.0 * (reads() - first) / expected, memory(pid))
}
