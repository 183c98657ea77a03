//! From the meter's answer to the order at the inverter: `cargo bench --bench reaction`.
//!
//! This process plays meter and inverter: it notes when the meter's answer leaves and when the next write arrives. The
//! controller is `wattkeeper run` with a profile without dead band, ramp and latency, 500 devices in the background at
//! 1 Hz, and the metrics page scraped each second. The rival in the same run is a bare loop on the Modbus crate with the
//! same devices in the background, which reads the meter and writes, and knows nothing else.
#![allow(missing_docs, clippy::unwrap_used)]

mod against;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use against::{DEVICES, PORT, Running, median, number, pinned, scrape};

const LISTEN: &str = "127.0.0.1:7913";
const METER: u16 = 7_914;
const INVERTER: u16 = 7_915;
/// The meter is asked this often, in milliseconds: as often as a definition may say.
const POLL: &str = "50";

/// When the meter's last answer left, in nanoseconds since [`origin`].
static ANSWERED: AtomicU64 = AtomicU64::new(0);

fn main() {
    if against::serves() {
        return;
    }
    let Some(rivals) = against::rivals() else { return };
    // The rival's share of the cycles, so that a long run of ours is not twice as long.
    let share = number("WATTKEEPER_RIVAL_SHARE", 1_usize);
    let (cycles, devices) = (number("WATTKEEPER_CYCLES", 10_000), number("WATTKEEPER_DEVICES", DEVICES));
    let site = against::site(&format!("127.0.0.1:{METER}"), &format!("127.0.0.1:{INVERTER}"));
    let profile = against::profile("reaction", &(site + &against::background(devices)));
    let writes = plant();
    std::thread::spawn(scrapes);
    let mut ratios = Vec::new();
    for round in 1..=number("WATTKEEPER_ROUNDS", 1) {
        let _server = against::server();
        let mut bare = pinned(1, &rivals.join("rust/target/release/react"));
        bare.args(["tm-ct", &METER.to_string(), &INVERTER.to_string(), &(2 * cycles).to_string(), POLL]);
        bare.args([&PORT.to_string(), &devices.to_string(), "1"]);
        let rival = Reaction::of(&mut bare, &writes, cycles / share.max(1));
        let ours = Reaction::of(&mut against::controller(&profile, LISTEN), &writes, cycles);
        ratios.push(ours.p99 / rival.p99);
        println!("round {round}: {ours}\n  bare loop: {rival}\n  ratio of p99 {:.2}", ours.p99 / rival.p99);
    }
    println!(
        "reaction, {cycles} cycles: ratio of p99 {:.2} (goal 2, and p99 at most 1000 us)",
        median(ratios)
    );
}

/// Reads the metrics about once a second, at any moment of the meter's period; the rival has none.
fn scrapes() {
    let address: SocketAddr = LISTEN.parse().unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(987));
        let _absent = scrape(address);
    }
}

/// Microseconds from answer to write.
struct Reaction {
    p50: f64,
    p99: f64,
    max: f64,
}

impl std::fmt::Display for Reaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "p50 {:.0} us, p99 {:.0} us, max {:.0} us", self.p50, self.p99, self.max)
    }
}

impl Reaction {
    /// Starts a controller, lets it settle, and takes so many cycles of it.
    fn of(controller: &mut Command, writes: &Receiver<u64>, cycles: usize) -> Self {
        let _controller = Running(controller.stdout(Stdio::null()).spawn().unwrap());
        std::thread::sleep(Duration::from_secs(5));
        let _settling = writes.try_iter().count();
        let mut took = Vec::with_capacity(cycles);
        while took.len() < cycles {
            took.push(writes.recv_timeout(Duration::from_secs(30)).unwrap() as f64 / 1e3);
        }
        took.sort_by(f64::total_cmp);
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// Meter and inverter; the time of each write since the meter's last answer, in nanoseconds.
fn plant() -> Receiver<u64> {
    let (send, receive) = channel();
    let (origin, count) = (Instant::now(), AtomicU64::new(0));
    let now = move || origin.elapsed().as_nanos() as u64;
    serve(METER, move |frame| {
        // Each answer differs from the one before it by more than any noise, and always in the same direction.
        let power = 1_000 + count.fetch_add(1, Ordering::Relaxed) * 3 % 8 * 500;
        let answer = read(frame, |_| power as u16);
        ANSWERED.store(now(), Ordering::SeqCst);
        answer
    });
    serve(INVERTER, move |frame| {
        if frame[7] == 6 {
            let _over = Sender::send(&send, now() - ANSWERED.load(Ordering::SeqCst));
            return frame.to_vec();
        }
        read(frame, |address| if address == 50 { 50 } else { 0 })
    });
    receive
}

fn read(frame: &[u8], register: impl Fn(u16) -> u16) -> Vec<u8> {
    let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let (address, count) = (word(8), word(10));
    let mut answer = frame[..4].to_vec();
    answer.extend((3 + 2 * count).to_be_bytes());
    answer.extend([frame[6], frame[7], 2 * count as u8]);
    answer.extend((address..address + count).flat_map(|at| register(at).to_be_bytes()));
    answer
}

/// One thread for each connection: the shortest way from socket to socket.
fn serve(port: u16, answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, answer): (TcpStream, _) = (stream.unwrap(), std::sync::Arc::clone(&answer));
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut frame = [0; 12];
                while stream.read_exact(&mut frame).is_ok() && stream.write_all(&answer(&frame)).is_ok() {}
            });
        }
    });
}
