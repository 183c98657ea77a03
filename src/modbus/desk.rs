//! The sessions of one endpoint and whose turn it is: everything an endpoint knows that needs no waiting.
//!
//! Pure but for the sessions' own state: time is an argument, and nothing here touches the wire.

use std::collections::{BTreeSet, VecDeque};

use super::schedule::Schedule;
use crate::control::units::{Mono, Span};
use crate::device::exchange::{Answer, Failure};
use crate::device::order::{Ask, ControlKind, DeviceOrder, SessionEvent, WearRecord};
use crate::device::session::Session;

/// What a device's session learnt from one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The site's number of the device.
    pub device: usize,
    /// What it learnt, in the order of the definition.
    pub events: Vec<SessionEvent>,
    /// After a write: what was written lately to registers that wear out.
    pub wear: Option<Vec<WearRecord>>,
}

/// One device at the endpoint.
#[derive(Debug)]
struct Seat {
    device: usize,
    session: Session,
    /// Unit ids that it has asked for.
    units: BTreeSet<u8>,
}

/// All devices of one endpoint.
#[derive(Debug)]
pub(super) struct Desk {
    seats: Vec<Seat>,
    schedule: Schedule,
    /// The sessions know that the connection broke and nothing has answered since.
    broken: bool,
    stopping: Option<Releases>,
    reports: VecDeque<Report>,
}

/// Releases that are not done: device, control, channel and number of each.
type Releases = BTreeSet<(usize, ControlKind, u8, u32)>;

/// A question in flight.
#[derive(Debug)]
pub(super) struct Question {
    seat: usize,
    pub ask: Ask,
    asked_at: Mono,
}

/// Questions to silent units that are answered without the wire before a device loses its turn, and for how long.
const WITHHELD: u8 = 8;
const PAUSE: Span = Span::millis(50);
/// Reports that may wait while the daemon is busy.
const CROWDED: usize = 64;

impl Desk {
    pub fn new(sessions: Vec<(usize, Session)>) -> Self {
        let seats: Vec<Seat> = sessions
            .into_iter()
            .map(|(device, session)| Seat { device, session, units: BTreeSet::new() })
            .collect();
        Self {
            schedule: Schedule::new(seats.len()),
            seats,
            broken: false,
            stopping: None,
            reports: VecDeque::new(),
        }
    }

    /// Hands an order to its device.
    pub fn order(&mut self, device: usize, order: DeviceOrder, now: Mono) {
        let Some(index) = self.seats.iter().position(|seat| seat.device == device) else { return };
        if let Some(seat) = self.seats.get_mut(index) {
            seat.session.order(order, now);
        }
        self.schedule.ordered(index);
        self.collect(index);
    }

    /// The oldest report that was not fetched yet.
    pub fn next_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Whether any report waits to be fetched.
    pub fn has_reports(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Whether so many reports wait that no more orders should be taken.
    pub fn is_crowded(&self) -> bool {
        self.reports.len() >= CROWDED
    }

    /// From now on only these orders are worked on.
    pub fn stop(&mut self, releases: &[(usize, DeviceOrder)], now: Mono) {
        let known = |device: usize| self.seats.iter().any(|seat| seat.device == device);
        let left = releases.iter().filter(|(device, _)| known(*device));
        self.stopping =
            Some(left.map(|(device, order)| (*device, order.control, order.channel, order.seq)).collect());
        for (device, order) in releases {
            self.order(*device, *order, now);
        }
    }

    /// Whether a stop was asked for and nothing is left to release.
    pub fn done(&self) -> bool {
        self.stopping.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// When the next turn is.
    pub fn next_due(&self) -> Mono {
        let opens = |index| self.schedule.opens(index, due(&self.seats, self.stopping.as_ref(), index));
        (0..self.seats.len()).map(opens).min().unwrap_or(Mono::NEVER)
    }

    /// The next question for the wire. Those to units that stay silent are answered with silence at once.
    pub fn next(&mut self, now: Mono) -> Option<Question> {
        loop {
            let Self { seats, schedule, stopping, .. } = self;
            let index = schedule.turn(now, |index| due(seats, stopping.as_ref(), index))?;
            for _ in 0..WITHHELD {
                let Some(ask) = self.seats.get_mut(index).and_then(|seat| seat.session.next(now)) else {
                    // An order may have come too late.
                    self.collect(index);
                    break;
                };
                let (unit, writes) = (ask.request.unit, ask.request.function.writes());
                self.schedule.used(index, writes);
                let question = Question { seat: index, ask, asked_at: now };
                if self.schedule.allows(unit, writes, now) {
                    return Some(question);
                }
                self.tell(&question, Err(Failure::Timeout), now);
            }
            self.schedule.pause(index, now + PAUSE);
        }
    }

    /// What came of a question, and whether the connection broke over it.
    pub fn answered(&mut self, question: &Question, result: Result<Answer, Failure>, broke: bool, now: Mono) {
        let unit = question.ask.request.unit;
        if let Some(seat) = self.seats.get_mut(question.seat) {
            seat.units.insert(unit);
        }
        let back = match result {
            Err(Failure::Timeout) => {
                self.schedule.silent(unit, now);
                false
            }
            Ok(_) | Err(Failure::Exception(_)) => {
                self.broken = false;
                self.schedule.answered(unit)
            }
            Err(_) => false,
        };
        self.tell(question, result, now);
        if back {
            self.reconnected(now, |seat| seat.units.contains(&unit));
        }
        if broke {
            self.broke(now);
        }
    }

    /// No connection can be made: each device with something due learns it at once.
    pub fn away(&mut self, now: Mono) {
        for index in 0..self.seats.len() {
            let due = due(&self.seats, self.stopping.as_ref(), index) <= now;
            let Some(seat) = self.seats.get_mut(index).filter(|_| due) else { continue };
            if let Some(ask) = seat.session.next(now) {
                let question = Question { seat: index, ask, asked_at: now };
                self.tell(&question, Err(Failure::Unreachable), now);
            } else {
                self.collect(index);
            }
        }
        self.broke(now);
    }

    fn broke(&mut self, now: Mono) {
        if !std::mem::replace(&mut self.broken, true) {
            self.reconnected(now, |_| true);
        }
    }

    fn reconnected(&mut self, now: Mono, which: impl Fn(&Seat) -> bool) {
        for seat in self.seats.iter_mut().filter(|seat| which(seat)) {
            seat.session.reconnected(now);
        }
    }

    fn tell(&mut self, question: &Question, result: Result<Answer, Failure>, now: Mono) {
        let Some(seat) = self.seats.get_mut(question.seat) else { return };
        let mut events = Vec::new();
        seat.session.answered(question.ask.token, result, question.asked_at, now, &mut events);
        self.report(question.seat, events);
    }

    /// Fetches what a session has to say without an answer.
    fn collect(&mut self, index: usize) {
        let mut events = Vec::new();
        if let Some(seat) = self.seats.get_mut(index) {
            seat.session.drain(&mut events);
        }
        self.report(index, events);
    }

    fn report(&mut self, index: usize, events: Vec<SessionEvent>) {
        let Some(device) = self.seats.get(index).map(|seat| seat.device).filter(|_| !events.is_empty())
        else {
            return;
        };
        if let Some(left) = &mut self.stopping {
            for event in &events {
                if let SessionEvent::Wrote { control, channel, seq, .. } = *event {
                    left.remove(&(device, control, channel, seq));
                }
            }
        }
        let wrote = events.iter().any(|event| matches!(event, SessionEvent::Wrote { .. }));
        let session = self.seats.get(index).map(|seat| &seat.session).filter(|_| wrote);
        let wear = session.map(Session::wear).filter(|wear| !wear.is_empty());
        self.reports.push_back(Report { device, events, wear });
    }
}

/// When a device wants its next turn; never, when only others are being released.
fn due(seats: &[Seat], stopping: Option<&Releases>, index: usize) -> Mono {
    let works =
        |seat: &&Seat| stopping.is_none_or(|left| left.iter().any(|release| release.0 == seat.device));
    seats.get(index).filter(works).map_or(Mono::NEVER, |seat| seat.session.next_due())
}
