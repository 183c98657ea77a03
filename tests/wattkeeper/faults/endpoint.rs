//! Whole endpoints: several devices on one connection, orders, silence, and a graceful end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::fake::{Fake, Part, at_once, good, options, pacer};
use super::protocol::{FAULTS, once};
use wattkeeper::control::units::{Mono, Span, Watts};
use wattkeeper::device::definition::Definition;
use wattkeeper::device::exchange::Failure;
use wattkeeper::device::order::{ControlKind, DeviceOrder, OrderPhase, SessionEvent, SessionOptions, Values};
use wattkeeper::device::session::Session;
use wattkeeper::modbus::dial::{Dial, memory};
use wattkeeper::modbus::endpoint::{Endpoint, Handle, Report};
use wattkeeper::modbus::frame::Framing;
use wattkeeper::modbus::link::LinkOptions;

const DEFINITION: &str = r#"
schema = 1
maker  = "Nobody"
model  = "Meter with a setpoint"
source = "constructed"

[limits]
timeout = "100ms"
fast    = "1s"

[[point]]
signal = "grid.power"
at     = "holding:0"
as     = "i16"
unit   = "W"
pace   = "fast"
source = "constructed"
words  = { raw = [1500], value = 1500, origin = "constructed" }

[control.grid-setpoint]
refresh  = "none"
watchdog = "none"
if-lost  = "holds its last setpoint"
source   = "constructed"
command  = [{ at = "holding:10", function = 6, persistence = "cyclic", fields = [{ value = "setpoint", as = "i16" }] }]
release  = [{ at = "holding:10", function = 6, persistence = "cyclic", fields = [{ value = 0, as = "i16" }] }]
words    = [{ raw = [50], given = 50, origin = "constructed" }]
"#;

/// Requests that a fake has seen.
type Seen = Arc<Mutex<Vec<Vec<u8>>>>;

/// Answers like a good device, but for what `bad` answers otherwise; keeps what it saw.
fn fake(bad: impl Fn(u8, u16) -> Option<Vec<Part>> + Send + Sync + 'static) -> (Fake, Seen) {
    let seen: Seen = Arc::default();
    let keep = Arc::clone(&seen);
    let fake = Fake::new(move |k, q| {
        keep.lock().unwrap().push(q.to_vec());
        bad(q[6], k).unwrap_or_else(|| at_once(good(k, q)))
    });
    (fake, seen)
}

fn asked(seen: &Seen, wanted: impl Fn(&[u8]) -> bool) -> usize {
    seen.lock().unwrap().iter().filter(|request| wanted(request)).count()
}

/// An endpoint with one device per unit id; the site numbers them from 10.
struct Running {
    handle: Handle,
    reports: mpsc::Receiver<Report>,
    task: JoinHandle<()>,
}

fn run(dial: impl Dial + 'static, options: LinkOptions, units: &[u8]) -> Running {
    let definition = Arc::new(Definition::parse(DEFINITION, "test").unwrap());
    let session = |unit: u8| {
        let units = BTreeMap::from([("device".to_owned(), unit)]);
        Session::new(
            Arc::clone(&definition),
            SessionOptions { units, writes: true, ..SessionOptions::default() },
        )
    };
    let sessions = (10..).zip(units.iter().map(|unit| session(*unit))).collect();
    let (send, reports) = mpsc::channel(16);
    let (endpoint, handle) = Endpoint::new(options, Arc::new(dial), sessions, pacer(), send);
    Running { handle, reports, task: tokio::spawn(endpoint.run()) }
}

impl Running {
    /// All that is reported within a time.
    async fn within(&mut self, time: Duration) -> Vec<(usize, SessionEvent)> {
        let end = Instant::now() + time;
        let mut events = Vec::new();
        while let Ok(Some(report)) = tokio::time::timeout_at(end, self.reports.recv()).await {
            events.extend(report.events.into_iter().map(|event| (report.device, event)));
        }
        events
    }

    /// What became of the order with this number.
    async fn wrote(&mut self, number: u32) -> Result<(), Failure> {
        loop {
            for event in self.reports.recv().await.unwrap().events {
                if let SessionEvent::Wrote { seq, result, .. } = event
                    && seq == number
                {
                    return result;
                }
            }
        }
    }
}

fn values(events: &[(usize, SessionEvent)], device: usize) -> usize {
    let heard = |event: &SessionEvent| matches!(event, SessionEvent::Heard(heard) if heard.value.is_some());
    events.iter().filter(|(from, event)| *from == device && heard(event)).count()
}

fn order(phase: OrderPhase, seq: u32) -> DeviceOrder {
    DeviceOrder {
        control: ControlKind::GridSetpoint,
        channel: 0,
        values: Values { setpoint: Watts(50), ..Values::default() },
        phase,
        seq,
        expires: Mono::ZERO + Span::minutes(60),
    }
}

#[tokio::test(start_paused = true)]
async fn devices_of_one_endpoint_share_a_connection_and_each_keeps_its_pace() {
    let (fake, _) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2, 3]);
    let events = site.within(Duration::from_secs(60)).await;
    for device in 10..13 {
        let polls = values(&events, device);
        assert!((59..=61).contains(&polls), "device {device}: {polls} polls in a minute");
    }
    assert_eq!(fake.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn silent_unit_is_asked_rarely_and_the_others_keep_their_pace() {
    let (fake, seen) = fake(|unit, _| (unit == 3).then(Vec::new));
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2, 3]);
    let events = site.within(Duration::from_secs(120)).await;
    for device in 10..12 {
        let polls = values(&events, device);
        assert!(polls >= 117, "device {device}: {polls} polls in two minutes");
    }
    let tries = asked(&seen, |request| request[6] == 3);
    assert!((6..=10).contains(&tries), "the silent unit was asked {tries} times");
}

#[tokio::test(start_paused = true)]
async fn unit_that_was_silent_is_heard_again_within_half_a_minute() {
    let start = Instant::now();
    let back = Duration::from_secs(100);
    let (fake, _) = fake(move |unit, _| (unit == 3 && start.elapsed() < back).then(Vec::new));
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 3]);
    assert_eq!(values(&site.within(back).await, 11), 0);
    assert!(values(&site.within(Duration::from_secs(31)).await, 11) > 0);
}

#[tokio::test(start_paused = true)]
async fn order_is_written_once_and_before_the_next_reads() {
    let (fake, seen) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2, 3]);
    site.within(Duration::from_millis(2_500)).await;
    let before = seen.lock().unwrap().len();
    site.handle.order(12, order(OrderPhase::Command, 7)).unwrap();
    assert_eq!(site.wrote(7).await, Ok(()));
    assert_eq!(seen.lock().unwrap()[before][6..], [3, 6, 0, 10, 0, 50]);
    site.within(Duration::from_secs(60)).await;
    assert_eq!(asked(&seen, |request| request[7] >= 5), 1, "an endpoint never repeats an order by itself");
}

#[tokio::test(start_paused = true)]
async fn observing_endpoint_writes_nothing_even_when_its_sessions_would() {
    let (fake, seen) = fake(|_, _| None);
    let observing = LinkOptions { writes: false, ..options(Framing::Tcp) };
    let mut site = run(fake.in_memory(), observing, &[1]);
    site.handle.order(10, order(OrderPhase::Command, 1)).unwrap();
    assert_eq!(site.wrote(1).await, Err(Failure::Observing));
    site.handle.stop(vec![(10, order(OrderPhase::Release, 2))], Duration::from_secs(1)).await;
    site.task.await.unwrap();
    assert_eq!(asked(&seen, |request| request[7] >= 5), 0);
}

#[tokio::test(start_paused = true)]
async fn orders_are_taken_while_the_endpoint_waits_for_an_answer() {
    let (fake, _) = fake(|_, _| Some(vec![]));
    let site = run(fake.in_memory(), options(Framing::Tcp), &[1]);
    for seq in 0..1_000 {
        site.handle.order(10, order(OrderPhase::Command, seq)).unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn stop_releases_then_closes() {
    let (fake, seen) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2]);
    site.handle.order(10, order(OrderPhase::Command, 1)).unwrap();
    assert_eq!(site.wrote(1).await, Ok(()));
    let start = Instant::now();
    site.handle.stop(vec![(10, order(OrderPhase::Release, 2))], Duration::from_secs(5)).await;
    assert_eq!(site.wrote(2).await, Ok(()));
    site.task.await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(seen.lock().unwrap().last().unwrap()[6..], [1, 6, 0, 10, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn stop_does_not_wait_for_a_dead_device_beyond_its_deadline() {
    let (dial, _listener) = memory();
    let site = run(dial, options(Framing::Tcp), &[1]);
    let start = Instant::now();
    site.handle.stop(vec![(10, order(OrderPhase::Release, 2))], Duration::from_secs(5)).await;
    site.task.await.unwrap();
    assert!(start.elapsed() <= Duration::from_millis(5_001), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn endpoint_ends_when_nobody_holds_it() {
    let (fake, _) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1]);
    site.within(Duration::from_secs(3)).await;
    drop(site.handle);
    site.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn order_to_an_endpoint_that_is_away_fails_at_once_and_says_so() {
    let (dial, listener) = memory();
    drop(listener);
    let mut site = run(dial, options(Framing::Tcp), &[1, 2]);
    site.handle.order(11, order(OrderPhase::Command, 1)).unwrap();
    let start = Instant::now();
    assert_eq!(site.wrote(1).await, Err(Failure::Unreachable));
    assert!(start.elapsed() < Duration::from_secs(1));
    assert!(!site.handle.state().borrow().up);
}

#[tokio::test(start_paused = true)]
async fn endpoint_that_comes_back_is_heard_within_its_longest_pause() {
    let start = Instant::now();
    let (fake, _) = fake(move |_, _| (start.elapsed() < Duration::from_secs(300)).then(|| vec![Part::Close]));
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1, 2]);
    let away = site.within(Duration::from_secs(300)).await;
    assert_eq!(values(&away, 10) + values(&away, 11), 0);
    let back = site.within(Duration::from_secs(12)).await;
    assert!(values(&back, 10) > 0 && values(&back, 11) > 0);
    assert!(site.handle.state().borrow().up);
}

#[tokio::test(start_paused = true)]
async fn each_single_fault_reaches_the_site_as_one_missing_value_and_never_as_a_wrong_one() {
    for (name, bad) in FAULTS {
        let fake = once(bad, 5);
        let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1]);
        let events = site.within(Duration::from_secs(30)).await;
        let heard: Vec<i64> = events
            .iter()
            .filter_map(|(_, event)| match event {
                SessionEvent::Heard(heard) => heard.value,
                SessionEvent::Wrote { .. } => None,
            })
            .collect();
        assert!(heard.len() >= 28, "{name}: {} values in 30 s", heard.len());
        // The device's values grow with each question; an old one or one heard twice would show.
        assert!(heard.is_sorted_by(|one, next| one < next), "{name}: {heard:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn order_that_is_too_late_is_not_written_and_reported() {
    let (fake, seen) = fake(|_, _| None);
    let mut site = run(fake.in_memory(), options(Framing::Tcp), &[1]);
    site.within(Duration::from_secs(2)).await;
    let late = DeviceOrder { expires: Mono(1), ..order(OrderPhase::Command, 1) };
    site.handle.order(10, late).unwrap();
    assert_eq!(site.wrote(1).await, Err(Failure::Expired));
    assert_eq!(asked(&seen, |request| request[7] >= 5), 0);
}

#[tokio::test(start_paused = true)]
async fn order_that_grew_old_while_connecting_is_not_written() {
    // The listener's backlog is full: dialling takes its whole 3 s, and works the second time.
    let (dial, mut listener) = memory();
    for _ in 0..4 {
        dial.dial().await.unwrap();
    }
    let mut site = run(dial, options(Framing::Tcp), &[1]);
    let brief = DeviceOrder { expires: Mono(1_500), ..order(OrderPhase::Command, 1) };
    site.handle.order(10, brief).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let accept = tokio::spawn(async move { while listener.accept().await.is_some() {} });
    assert_eq!(site.wrote(1).await, Err(Failure::Expired));
    accept.abort();
}

#[tokio::test]
async fn endpoint_works_over_a_real_socket() {
    let (fake, _) = fake(|_, _| None);
    let dial = fake.on_tcp().await;
    let mut site = run(dial, options(Framing::Tcp), &[1, 2]);
    site.handle.order(10, order(OrderPhase::Command, 1)).unwrap();
    assert_eq!(site.wrote(1).await, Ok(()));
    let report = site.reports.recv().await.unwrap();
    assert!(!report.events.is_empty());
}
