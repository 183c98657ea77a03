//! A whole endpoint that runs against a fake, and what it reports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::fake::{Fake, Part, at_once, good, pacer};
use wattkeeper::control::units::{Mono, Span, Watts};
use wattkeeper::device::definition::Definition;
use wattkeeper::device::exchange::Failure;
use wattkeeper::device::order::{ControlKind, DeviceOrder, OrderPhase, SessionEvent, SessionOptions, Values};
use wattkeeper::device::session::Session;
use wattkeeper::modbus::dial::Dial;
use wattkeeper::modbus::endpoint::{Endpoint, Handle, Report};
use wattkeeper::modbus::link::LinkOptions;

pub const DEFINITION: &str = r#"
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
pub type Seen = Arc<Mutex<Vec<Vec<u8>>>>;

/// Answers like a good device, but for what `bad` answers otherwise; keeps what it saw.
pub fn fake(bad: impl Fn(u8, u16) -> Option<Vec<Part>> + Send + Sync + 'static) -> (Fake, Seen) {
    let seen: Seen = Arc::default();
    let keep = Arc::clone(&seen);
    let fake = Fake::new(move |k, q| {
        keep.lock().unwrap().push(q.to_vec());
        bad(q[6], k).unwrap_or_else(|| at_once(good(k, q)))
    });
    (fake, seen)
}

pub fn asked(seen: &Seen, wanted: impl Fn(&[u8]) -> bool) -> usize {
    seen.lock().unwrap().iter().filter(|request| wanted(request)).count()
}

/// An endpoint with one device per unit id; the site numbers them from 10.
pub struct Running {
    pub handle: Handle,
    pub reports: mpsc::Receiver<Report>,
    pub task: JoinHandle<()>,
}

pub fn run(dial: impl Dial + 'static, options: LinkOptions, units: &[u8]) -> Running {
    run_as(DEFINITION, dial, options, units)
}

/// The same with another definition.
pub fn run_as(text: &str, dial: impl Dial + 'static, options: LinkOptions, units: &[u8]) -> Running {
    let definition = Arc::new(Definition::parse(text, "test").unwrap());
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
    pub async fn within(&mut self, time: Duration) -> Vec<(usize, SessionEvent)> {
        let end = Instant::now() + time;
        let mut events = Vec::new();
        while let Ok(Some(report)) = tokio::time::timeout_at(end, self.reports.recv()).await {
            events.extend(report.events.into_iter().map(|event| (report.device, event)));
        }
        events
    }

    /// What became of the order with this number.
    pub async fn wrote(&mut self, number: u32) -> Result<(), Failure> {
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

pub fn values(events: &[(usize, SessionEvent)], device: usize) -> usize {
    let heard = |event: &SessionEvent| matches!(event, SessionEvent::Heard(heard) if heard.value.is_some());
    events.iter().filter(|(from, event)| *from == device && heard(event)).count()
}

pub fn order(phase: OrderPhase, seq: u32) -> DeviceOrder {
    DeviceOrder {
        control: ControlKind::GridSetpoint,
        channel: 0,
        values: Values { setpoint: Watts(50), ..Values::default() },
        phase,
        seq,
        expires: Mono::ZERO + Span::minutes(60),
    }
}
