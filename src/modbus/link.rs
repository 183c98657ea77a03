//! One connection and the requests on it, one at a time, each with its deadline.
//!
//! Whatever might leave the stream one answer behind (silence, anything that is not the exact answer, a broken
//! connection) ends it; an exception is an answer and keeps it. Connections are never made in quick succession.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_modbus::Slave;
use tokio_modbus::client::{Client, Context, rtu, tcp};
use tokio_modbus::slave::SlaveContext;
use tracing::debug;

use super::dial::Dial;
use super::frame::Framing;
use super::pacer::Pacer;
use super::pdu;
use super::state::{LinkState, Trouble};
use super::tap::{Ended, Tap};
use crate::control::units::{Mono, Span};
use crate::device::definition::Limits;
use crate::device::exchange::{Answer, Failure, Function, Request};
use crate::device::order::Ask;

/// How to treat one host and port. All times are real ones.
#[derive(Clone, Debug)]
pub struct LinkOptions {
    /// Host and port, for logs.
    pub name: String,
    /// TCP, or RTU inside TCP.
    pub framing: Framing,
    /// Whether functions that change the device may be sent; `false` while observing.
    pub writes: bool,
    /// Deadline for making a connection.
    pub connect: Duration,
    /// Pause after connecting; some devices ignore what comes earlier.
    pub settle: Duration,
    /// Least pause between an answer and the next request.
    pub gap: Duration,
}

impl LinkOptions {
    /// Modbus TCP without pauses, 3 s to connect, reading only.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            framing: Framing::Tcp,
            writes: false,
            connect: Duration::from_secs(3),
            settle: Duration::ZERO,
            gap: Duration::ZERO,
        }
    }

    /// With the pauses that a device at this endpoint needs; several devices: the longest of all.
    #[must_use]
    pub fn respecting(mut self, limits: &Limits) -> Self {
        self.settle = self.settle.max(real(limits.connect_delay));
        self.gap = self.gap.max(real(limits.gap));
        self
    }
}

fn real(span: Span) -> Duration {
    Duration::from_millis(u64::try_from(span.0).unwrap_or(0))
}

/// Shortest and longest time from one connection's start to the next one's.
const RECONNECT: Duration = Duration::from_millis(200);
const RECONNECT_MOST: Duration = Duration::from_secs(10);
/// Answers after which a connection counts as a good one.
const PROVEN: u32 = 3;
/// A serial line that was silent is left alone for this long, so that a late answer is over.
const QUIET: Duration = Duration::from_millis(500);

/// One endpoint's connection.
pub struct Link {
    options: LinkOptions,
    dial: Arc<dyn Dial>,
    pacer: Pacer,
    state: watch::Sender<LinkState>,
    context: Option<Context>,
    transactions: Arc<AtomicU16>,
    /// Good answers on this connection.
    answers: u32,
    /// Bad connections in a row.
    bad: u32,
    /// When this connection was begun.
    begun: Instant,
    not_before: Instant,
    last: Instant,
    /// The request whose late answer may still come out of a serial line.
    overdue: Option<Request>,
    /// The connection broke while it was needed.
    broke: bool,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("options", &self.options).field("up", &self.context.is_some()).finish()
    }
}

/// What came of one request.
type Outcome = Result<Result<Answer, Failure>, Ended>;

impl Link {
    /// A link that connects when the first request needs it.
    #[must_use]
    pub fn new(options: LinkOptions, dial: Arc<dyn Dial>, pacer: Pacer) -> Self {
        let now = Pacer::wire_now();
        Self {
            options,
            dial,
            pacer,
            state: watch::Sender::default(),
            context: None,
            transactions: Arc::default(),
            answers: 0,
            bad: 0,
            begun: now,
            not_before: now,
            last: now,
            overdue: None,
            broke: false,
        }
    }

    /// What the link knows of itself; changes are announced when it goes up or down.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.subscribe()
    }

    /// Whether there is a connection, as far as that shows without using it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.context.is_some()
    }

    /// When there is no connection: the moment from which one may be made.
    #[must_use]
    pub fn shut_until(&self) -> Option<Instant> {
        (!self.is_open() && self.not_before > Pacer::wire_now()).then_some(self.not_before)
    }

    /// Makes a connection unless there is one, not before the last one is long enough ago.
    ///
    /// # Errors
    /// When none can be made.
    pub async fn open(&mut self) -> Result<(), Failure> {
        if self.is_open() {
            return Ok(());
        }
        let connected = self.connect().await;
        if let Err(ended) = &connected {
            self.end(*ended, None, Duration::ZERO);
        }
        connected.map_err(|ended| ended.trouble.failure())
    }

    fn opens_within(&self, wait: Duration) -> bool {
        self.not_before.saturating_duration_since(Pacer::wire_now()) <= wait
    }

    /// Whether the connection was lost since this was asked last, so that the device may have restarted.
    pub fn take_broke(&mut self) -> bool {
        std::mem::take(&mut self.broke)
    }

    /// Sends one request and waits for its answer; connects first when there is no connection. Not to be dropped
    /// half way: a connection that waits for an answer nobody reads is of no use. What has expired by the time it
    /// would leave is not sent.
    ///
    /// # Errors
    /// Why there is no usable answer.
    pub async fn exchange(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let request = &ask.request;
        if request.function.writes() && !self.options.writes {
            return Err(Failure::Observing);
        }
        if pdu::call(request).is_none() {
            return Err(Failure::OutOfStep);
        }
        let mut outcome = self.attempt(ask).await;
        // The connection had gone stale while idle and nothing has left: one more try, if a new one may be made soon.
        if outcome.as_ref().is_err_and(|ended| ended.unsent) && self.opens_within(RECONNECT) {
            outcome = self.attempt(ask).await;
        }
        self.broke |= outcome
            .as_ref()
            .is_err_and(|ended| matches!(ended.trouble, Trouble::Connect(_) | Trouble::Reset));
        outcome.map_err(|ended| ended.trouble.failure())?
    }

    async fn attempt(&mut self, ask: &Ask) -> Outcome {
        let outcome = self.try_attempt(ask).await;
        if let Err(ended) = &outcome {
            self.end(*ended, Some(&ask.request), real(ask.timeout));
        }
        outcome
    }

    async fn try_attempt(&mut self, ask: &Ask) -> Outcome {
        let (request, within) = (&ask.request, real(ask.timeout));
        if self.context.is_none() {
            self.connect().await?;
        }
        // Another unit's late answer would be seen as such; one of the same unit might just fit.
        if let Some(overdue) = self.overdue.take().filter(|overdue| overdue.unit == request.unit) {
            let flushing = flushing(&overdue, request);
            debug!(endpoint = %self.options.name, unit = flushing.unit, "flushing the serial line");
            // Its answer proves that the line is in step again and is of no other use.
            if let Err(ended) = self.call(&flushing, within, Mono::NEVER).await {
                self.overdue = Some(overdue);
                return Err(ended);
            }
        }
        self.call(request, within, ask.expires).await
    }

    async fn connect(&mut self) -> Result<(), Ended> {
        let failed = |kind| Ended { trouble: Trouble::Connect(kind), unsent: false };
        rest_until(self.not_before).await;
        self.begun = Pacer::wire_now();
        self.answers = 0;
        let wire = timeout(self.options.connect, self.dial.dial())
            .await
            .map_err(|_| failed(std::io::ErrorKind::TimedOut))?
            .map_err(|error| failed(error.kind()))?;
        rest_until(Pacer::wire_now().checked_add(self.options.settle).unwrap_or(self.begun)).await;
        let tap = Tap::new(wire, self.options.framing, self.options.writes, Arc::clone(&self.transactions));
        self.context = Some(match self.options.framing {
            Framing::Tcp => tcp::attach_slave(tap, Slave(0)),
            Framing::RtuOverTcp => rtu::attach_slave(tap, Slave(0)),
        });
        self.state.send_if_modified(|state| {
            state.connects = state.connects.saturating_add(1);
            false
        });
        Ok(())
    }

    async fn call(&mut self, request: &Request, within: Duration, expires: Mono) -> Outcome {
        let ended = |trouble| Ended { trouble, unsent: false };
        let (Some(call), Some(context)) = (pdu::call(request), self.context.as_mut()) else {
            return Err(ended(Trouble::Length));
        };
        rest_until(self.last.checked_add(self.options.gap).unwrap_or(self.last)).await;
        // All waiting is over; between the decision and here the process itself may have slept.
        if expires <= self.pacer.now() {
            return Ok(Err(Failure::Expired));
        }
        let start = Pacer::wire_now();
        self.state.send_if_modified(|state| {
            state.count_request(request.function);
            false
        });
        context.set_slave(Slave(request.unit));
        let heard = timeout(within, context.call(call)).await;
        self.last = Pacer::wire_now();
        let outcome = match heard {
            Err(_) => Err(ended(Trouble::Timeout)),
            Ok(Ok(Ok(response))) => pdu::answer(request, response).map(Ok).ok_or(ended(Trouble::Length)),
            Ok(Ok(Err(exception))) => Ok(Err(Failure::Exception(u8::from(exception)))),
            Ok(Err(tokio_modbus::Error::Transport(error))) => Err(Ended::of(&error)),
            // The tap lets no such answer through.
            Ok(Err(tokio_modbus::Error::Protocol(_))) => Err(ended(Trouble::Frame)),
        }?;
        self.answered(outcome.as_ref().err(), self.last.duration_since(start));
        Ok(outcome)
    }

    fn answered(&mut self, refusal: Option<&Failure>, round_trip: Duration) {
        self.answers = self.answers.saturating_add(1);
        if self.answers >= PROVEN {
            self.bad = 0;
        }
        let now = self.pacer.now();
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX);
        self.state.send_if_modified(|state| {
            state.answers = state.answers.saturating_add(1);
            state.round_trips_us = state.round_trips_us.saturating_add(micros);
            state.last_round_trip_us = micros;
            state.last_answer = Some(now);
            if let Some(Failure::Exception(code)) = refusal {
                state.count_exception(*code);
            }
            !std::mem::replace(&mut state.up, true)
        });
    }

    /// Drops the connection and sets when the next one may be made.
    fn end(&mut self, ended: Ended, request: Option<&Request>, within: Duration) {
        let Ended { trouble, .. } = ended;
        self.context = None;
        // Some devices close after each answer, or repeat it: that connection has served its purpose.
        let enough = if ended.unsent { 1 } else { PROVEN };
        self.bad = if self.answers >= enough { 0 } else { self.bad.saturating_add(1) };
        let pause = RECONNECT
            .saturating_mul(2_u32.saturating_pow(self.bad.saturating_sub(1).min(10)))
            .min(RECONNECT_MOST);
        self.not_before = self.begun.checked_add(pause).unwrap_or(self.begun);
        if self.options.framing == Framing::RtuOverTcp && !matches!(trouble, Trouble::Connect(_)) {
            // Connecting again does not empty a serial line: its late answer may come out of the next connection.
            let quiet = Pacer::wire_now().checked_add(within.max(QUIET));
            self.not_before = self.not_before.max(quiet.unwrap_or(self.not_before));
            if !ended.unsent && self.overdue.is_none() {
                self.overdue = request.cloned();
            }
        }
        // One discarded connection is a hiccup; the next one tells whether the endpoint is gone.
        let down = matches!(trouble, Trouble::Connect(_)) || self.bad >= 2;
        self.state.send_if_modified(|state| {
            let news = down && (state.up || state.last_trouble.is_none());
            state.count_trouble(trouble);
            state.up &= !down;
            news
        });
        debug!(endpoint = %self.options.name, %trouble, "connection discarded");
    }
}

/// A timer costs up to a millisecond even when its moment is past.
async fn rest_until(moment: Instant) {
    if moment > Pacer::wire_now() {
        sleep_until(moment).await;
    }
}

/// A read whose answer has another shape than the overdue one and than the one that is asked for next.
fn flushing(overdue: &Request, next: &Request) -> Request {
    let bits = match overdue.function {
        Function::ReadCoils
        | Function::ReadDiscreteInputs
        | Function::WriteSingleCoil
        | Function::WriteMultipleCoils => true,
        Function::ReadHoldingRegisters
        | Function::ReadInputRegisters
        | Function::WriteSingleRegister
        | Function::WriteMultipleRegisters => false,
    };
    let function = match overdue.function {
        Function::ReadDiscreteInputs | Function::ReadInputRegisters => overdue.function,
        _ if bits => Function::ReadCoils,
        _ => Function::ReadHoldingRegisters,
    };
    // Bits are answered in whole bytes.
    let size = |count: u16| if bits { count.div_ceil(8) } else { count };
    let counts = if bits { [1, 9, 17] } else { [1, 2, 3] };
    let differs = |count: &u16| size(*count) != size(overdue.count) && size(*count) != size(next.count);
    let count = counts.into_iter().find(differs).unwrap_or(1);
    Request { unit: overdue.unit, function, address: overdue.address, count, words: Vec::new() }
}
