//! What one polled and decoded transaction costs: `cargo bench --bench poll`.
//!
//! Endpoint, session and definition as the daemon uses them: connection, deadline, checks of the answer, sixty
//! registers to ten values, and the report that the daemon takes. The rival in the same run is libmodbus, which copies
//! sixty registers. Both ask the same server over one connection, one request after the other, pinned to one core;
//! the ratio is taken in each round.
#![allow(missing_docs, clippy::unwrap_used)]

mod against;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use against::{PORT, field, last_line, median, number, pinned};
use tokio::sync::mpsc;
use wattkeeper::control::units::Mono;
use wattkeeper::device::definition::Definition;
use wattkeeper::device::order::{SessionEvent, SessionOptions};
use wattkeeper::device::session::Session;
use wattkeeper::modbus::dial::Tcp;
use wattkeeper::modbus::endpoint::Endpoint;
use wattkeeper::modbus::link::LinkOptions;
use wattkeeper::modbus::pacer::Pacer;

fn main() {
    if against::serves() {
        return;
    }
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "client") {
        Some(at) => client(arguments[at + 1].parse().unwrap()),
        None => compare(),
    }
}

/// One client, for so many transactions; prints what each cost.
fn client(transactions: u64) {
    let definition = Arc::new(Definition::parse(&against::definition(1), "bench").unwrap());
    let session = Session::new(definition, SessionOptions::default());
    // A clock on which the next poll is always due; the real one is read as well, because the daemon reads it.
    let (origin, looks) = (std::time::Instant::now(), AtomicI64::new(0));
    let now = move || {
        std::hint::black_box(origin.elapsed());
        Mono(looks.fetch_add(1_000, Ordering::Relaxed))
    };
    let pacer = Pacer { now: Arc::new(now), speed: 1 };
    let runtime = wattkeeper::daemon::runtime().unwrap();
    runtime.block_on(async {
        let (reports, mut heard) = mpsc::channel(256);
        let dial = Arc::new(Tcp::new("127.0.0.1", PORT));
        let (endpoint, _handle) =
            Endpoint::new(LinkOptions::new("bench"), dial, vec![(0, session)], pacer, reports);
        tokio::spawn(endpoint.run());
        check(&heard.recv().await.unwrap().events);
        let before = against::cpu(std::process::id());
        for _ in 0..transactions {
            check(&heard.recv().await.unwrap().events);
        }
        let spent = against::cpu(std::process::id()) - before;
        println!("{{\"cpu_us\":{:.3}}}", spent.as_secs_f64() * 1e6 / transactions as f64);
    });
}

/// Ten values, and those that the registers hold.
fn check(events: &[SessionEvent]) {
    assert_eq!(events.len(), 10);
    let SessionEvent::Heard(heard) = events[0] else { panic!("{:?}", events[0]) };
    assert_eq!(heard.value, Some(0));
}

fn compare() {
    let Some(rivals) = against::rivals() else { return };
    let _server = against::server();
    let transactions = number("WATTKEEPER_TRANSACTIONS", 30_000_u64).to_string();
    let own = std::env::current_exe().unwrap();
    let mut ratios = Vec::new();
    for round in 1..=number("WATTKEEPER_ROUNDS", 7) {
        let mut rival = pinned(1, &rivals.join("c/lmclient"));
        let rival = field(&last_line(rival.args([&PORT.to_string(), &transactions, "60"])), "cpu_us");
        let mut ours = pinned(1, &own);
        let ours = field(&last_line(ours.args(["client", &transactions])), "cpu_us");
        ratios.push(ours / rival);
        println!("round {round}: {ours:.1} us, libmodbus {rival:.1} us, ratio {:.2}", ours / rival);
    }
    println!("CPU per polled and decoded transaction: ratio {:.2} (goal 1.25)", median(ratios));
    match (instructions(&own, 1_000), instructions(&own, 3_000)) {
        (Some(few), Some(many)) => {
            println!("user instructions per transaction: {:.0} (goal 6000)", (many - few) / 2_000.0);
        }
        _ => println!("user instructions per transaction: needs valgrind"),
    }
}

/// User instructions of a whole run, as valgrind counts them.
fn instructions(own: &Path, transactions: u64) -> Option<f64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(own);
    let output = command.args(["client", &transactions.to_string()]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}
