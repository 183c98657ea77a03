//! What a fault on the wire costs: `cargo bench --bench wire_faults`.
//!
//! The same device scripts, over loopback, are played to the bare Modbus crate as one would use it at first (a deadline
//! of 100 ms around each call) and to our link: six calls each, and what came of them. Then one flood at a time is let
//! loose beside a good endpoint, to see what it takes of the others' time.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../tests/wattkeeper/faults/fake.rs"]
#[allow(dead_code)]
mod fake;
#[path = "../tests/wattkeeper/faults/kinds.rs"]
mod kinds;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_modbus::prelude::{Reader, Slave, SlaveContext, Writer};
use wattkeeper::control::units::Span;
use wattkeeper::device::definition::Definition;
use wattkeeper::device::order::SessionOptions;
use wattkeeper::device::session::Session;
use wattkeeper::modbus::dial::Tcp;
use wattkeeper::modbus::endpoint::{Endpoint, Handle};
use wattkeeper::modbus::frame::Framing;
use wattkeeper::modbus::link::Link;

use fake::{Fake, Part, good, options, pacer};
use kinds::{KINDS, Kind};

/// Devices that are wrong in every answer; the others are once, in their first.
const LASTING: [&str; 4] = ["B02", "B04", "B07", "B12"];
const CALLS: u16 = 6;

/// What came of the calls.
#[derive(Default)]
struct Outcome {
    good: u32,
    wrong: u32,
    lost: u32,
    connections: u16,
}

impl Outcome {
    /// Judges what a call gave: registers, or for a write that it is done.
    fn count(&mut self, kind: Kind, words: Option<&[u16]>, number: u16) {
        let request = (kind.ask)().request;
        let right = if request.function.writes() {
            number > 0
        } else {
            words == Some(&vec![1_000 + number; usize::from(request.count)][..])
        };
        match words {
            None => self.lost += 1,
            Some(_) if right => self.good += 1,
            Some(_) => self.wrong += 1,
        }
    }
}

fn scripted(kind: Kind) -> Fake {
    let lasting = LASTING.contains(&kind.id);
    kind.fake(move |k| lasting || k == 0)
}

async fn bare(kind: Kind) -> Outcome {
    let fake = scripted(kind);
    let stream = TcpStream::connect(("127.0.0.1", fake.on_port().await)).await.unwrap();
    let mut client = match kind.framing {
        Framing::Tcp => tokio_modbus::client::tcp::attach_slave(stream, Slave(1)),
        Framing::RtuOverTcp => tokio_modbus::client::rtu::attach_slave(stream, Slave(1)),
    };
    client.set_slave(Slave(1));
    let request = (kind.ask)().request;
    let mut seen = Outcome::default();
    for _ in 0..CALLS {
        let deadline = Duration::from_millis(100);
        let words = if request.function.writes() {
            let call = client.write_single_register(request.address, request.words[0]);
            tokio::time::timeout(deadline, call)
                .await
                .ok()
                .and_then(Result::ok)
                .and_then(Result::ok)
                .map(|()| vec![])
        } else {
            let call = client.read_holding_registers(request.address, request.count);
            tokio::time::timeout(deadline, call).await.ok().and_then(Result::ok).and_then(Result::ok)
        };
        seen.count(kind, words.as_deref(), fake.asked().saturating_sub(1));
    }
    seen.connections = fake.connections();
    seen
}

async fn ours(kind: Kind) -> Outcome {
    let fake = scripted(kind);
    let dial = Tcp::new("127.0.0.1", fake.on_port().await);
    let mut link = Link::new(options(kind.framing), Arc::new(dial), pacer());
    let mut seen = Outcome::default();
    for _ in 0..CALLS {
        let words = link.exchange(&(kind.ask)()).await.ok();
        seen.count(kind, words.as_deref(), fake.asked().saturating_sub(1));
    }
    seen.connections = fake.connections();
    seen
}

async fn faults() {
    println!(
        "six calls, good / wrong / lost / new connections; (L): the device is like that in every answer\n"
    );
    println!("{:<46} {:>20} {:>20}", "fault", "bare tokio-modbus", "wattkeeper");
    let (mut wrong, mut most) = ((0, 0), (0, 0));
    for kind in KINDS.into_iter().filter(|kind| kind.id.starts_with('B')) {
        let (bare, ours) = (bare(kind).await, ours(kind).await);
        let lasting = LASTING.contains(&kind.id);
        let name = format!("{} {}{}", kind.id, kind.name, if lasting { " (L)" } else { "" });
        let cells = |seen: &Outcome| {
            format!("{} / {} / {} / {}", seen.good, seen.wrong, seen.lost, seen.connections.saturating_sub(1))
        };
        println!("{name:<46} {:>20} {:>20}", cells(&bare), cells(&ours));
        wrong = (wrong.0 + bare.wrong, wrong.1 + ours.wrong);
        if !lasting {
            most = (most.0.max(ours.lost), most.1.max(ours.connections.saturating_sub(1)));
        }
    }
    println!("\nwrong values: bare {}, wattkeeper {}", wrong.0, wrong.1);
    println!("wattkeeper, most for one single fault: {} polls lost, {} new connections", most.0, most.1);
}

const METER: &str = r#"
schema = 1
maker  = "Nobody"
model  = "Meter"
source = "constructed"

[limits]
timeout = "100ms"
fast    = "50ms"

[[point]]
signal = "grid.power"
at     = "holding:0"
as     = "i16"
pace   = "fast"
source = "constructed"
words  = { raw = [1500], value = 1500, origin = "constructed" }
"#;

/// A meter polled every 50 ms; its reports are taken and forgotten. It is polled as long as the handle is kept.
fn meter(port: u16) -> Handle {
    let definition = Arc::new(Definition::parse(METER, "meter").unwrap());
    let units = BTreeMap::from([("device".to_owned(), 1)]);
    let pace = Some(Span::millis(50));
    let session = Session::new(definition, SessionOptions { units, pace, ..SessionOptions::default() });
    let (send, mut reports) = mpsc::channel(16);
    let dial = Arc::new(Tcp::new("127.0.0.1", port));
    let (endpoint, handle) = Endpoint::new(options(Framing::Tcp), dial, vec![(0, session)], pacer(), send);
    tokio::spawn(endpoint.run());
    tokio::spawn(async move { while reports.recv().await.is_some() {} });
    handle
}

/// Runs a device on a thread of its own, so that what it does costs our runtime nothing but the reading.
fn elsewhere<F: Future<Output = ()> + Send>(device: impl FnOnce(TcpListener) -> F + Send + 'static) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { device(TcpListener::from_std(listener).unwrap()).await });
    });
    port
}

/// Sends to everyone who connects, without end.
async fn flood(listener: TcpListener, bytes: &'static [u8]) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move { while stream.write_all(bytes).await.is_ok() {} });
    }
}

/// The mean and the longest time between two polls of the good meter, in milliseconds.
async fn periods(polled: &Mutex<Vec<Instant>>) -> (f64, f64) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    polled.lock().unwrap().clear();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let polled = polled.lock().unwrap();
    let gaps: Vec<f64> = polled.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
    (gaps.iter().sum::<f64>() / gaps.len() as f64, gaps.iter().fold(0.0, |most, gap| most.max(*gap)))
}

async fn floods() {
    let polled: Arc<Mutex<Vec<Instant>>> = Arc::default();
    let keep = Arc::clone(&polled);
    let device = Fake::new(move |k, q| {
        keep.lock().unwrap().push(Instant::now());
        vec![Part::After(0, good(k, q))]
    });
    let _meter = meter(elsewhere(move |listener| device.accept(listener)));
    println!(
        "\na good meter polled every 50 ms in one runtime with 20 bad endpoints, 5 s each: mean and longest period"
    );
    let (mean, longest) = periods(&polled).await;
    println!("{:<40} {mean:>8.2} ms {longest:>8.2} ms", "alone");
    for (name, bad) in BAD {
        let bad: Vec<Handle> = (0..20).map(|_| meter(bad())).collect();
        let (with, longest) = periods(&polled).await;
        println!("{name:<40} {with:>8.2} ms {longest:>8.2} ms, mean {:+.1} %", (with / mean - 1.0) * 100.0);
        drop(bad);
    }
}

/// A bad device by its port.
type Bad = fn() -> u16;

const BAD: [(&str, Bad); 4] = [
    ("garbage without end", || elsewhere(|listener| flood(listener, &[0xA5; 65_536]))),
    ("good frames without end", || elsewhere(|listener| flood(listener, &[0, 0, 0, 0, 0, 5, 1, 3, 2, 0, 1]))),
    ("closed at once", || elsewhere(|listener| async move { while listener.accept().await.is_ok() {} })),
    ("5000 answers to each question", || {
        let babble = |k, q: &[u8]| vec![Part::After(0, good(k, q).repeat(5_000))];
        elsewhere(move |listener| Fake::new(babble).accept(listener))
    }),
];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        faults().await;
        floods().await;
    });
}
