//! One device, seen from outside: a session without I/O. It says what to ask next, takes the answers, and tells what
//! was heard and what became of orders. It owns the order of things (writes before reads, fast before slow, a silent
//! unit outside the others' time) and no clock: `now` comes in.
//!
//! While observing no write function code ever leaves it. An order is written at most once; only a new order, that is
//! a decision, makes it write again. Nothing is written before the device has told the settings that its definition
//! expects, nor while one of them is another: then it may be another device.

mod polls;
mod proofs;
mod units;
mod watch;
mod wear;
mod wire;
mod writes;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::polls::Polls;
use self::units::{PROBE, UnitState};
pub use self::watch::looks;
use self::wear::Wear;
use self::wire::{Surroundings, Wire};
use self::writes::{Doing, Writes};
use crate::control::signal::Quantity;
use crate::control::units::{Mono, Span, Watts};
use crate::device::definition::{Area, Definition, Limits, Place};
use crate::device::exchange::{Answer, Failure, Heard, Request};
use crate::device::order::{Ask, DeviceOrder, SessionEvent, SessionOptions, WearRecord};
use crate::device::spot::{Mismatch, Spot};
use crate::device::sunspec::{Chain, Walk, Walker};

/// A new connection makes everything start over at most this often.
const RESTART_AT_MOST: Span = Span::secs(60);
/// Points that the device refused are tried again after this time: it may have been starting up.
const ABSENT_FOR: Span = Span::minutes(10);

/// What the answer in flight belongs to.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Walk(usize),
    Expect(usize),
    Poll(usize),
    Write(Doing),
}

/// A setting that the values depend on, as it was last seen.
#[derive(Clone, Copy, Debug)]
struct Setting {
    due: Mono,
    wrong: bool,
    /// It was asked for on this connection.
    known: bool,
}

/// How often such settings are looked at.
const SETTINGS: Span = Span::secs(60);

#[derive(Clone, Debug)]
struct InFlight {
    token: u32,
    unit: usize,
    purpose: Purpose,
    request: Request,
}

/// One device.
#[derive(Clone, Debug)]
pub struct Session {
    definition: Arc<Definition>,
    options: SessionOptions,
    units: Vec<UnitState>,
    /// Walk of each unit with SunSpec points, until its chain is known.
    walkers: Vec<Option<Walker>>,
    chains: Vec<Option<Chain>>,
    /// A chain that lacks something, walked once.
    short: Option<(usize, Chain)>,
    /// One for each of the definition's expectations.
    settings: Vec<Setting>,
    polls: Polls,
    writes: Writes,
    rating: Option<i64>,
    restarted_at: Option<Mono>,
    in_flight: Option<InFlight>,
    tokens: u32,
    outbox: Vec<SessionEvent>,
}

impl Session {
    /// A session of which nothing was asked yet.
    #[must_use]
    pub fn new(definition: Arc<Definition>, options: SessionOptions) -> Self {
        let units: Vec<UnitState> = definition
            .units
            .iter()
            .map(|unit| UnitState::new(options.units.get(&unit.name).copied().or(unit.default)))
            .collect();
        let fast = options.pace.unwrap_or(definition.limits.fast);
        let mut session = Self {
            walkers: vec![None; units.len()],
            chains: vec![None; units.len()],
            short: None,
            settings: vec![Setting { due: Mono::ZERO, wrong: false, known: false }; definition.expects.len()],
            polls: Polls::new(&definition, fast, options.late),
            writes: Writes::new(&definition, fast, Wear::recall(&options.wear, &definition)),
            rating: None,
            restarted_at: None,
            in_flight: None,
            tokens: 0,
            outbox: Vec::new(),
            units,
            options,
            definition,
        };
        session.walk_again();
        session
    }

    /// What the device can take: framing, gaps and deadlines are the endpoint's to keep.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.definition.limits
    }

    /// What the device is.
    #[must_use]
    pub fn definition(&self) -> &Arc<Definition> {
        &self.definition
    }

    /// Names of points that the device refused on this connection.
    pub fn absent(&self) -> impl Iterator<Item = String> + '_ {
        self.polls.absent().filter_map(|point| self.definition.points.get(point)).map(|point| point.name())
    }

    /// What is set wrong in the device, with what to do about it: the values of such a unit are unknown meanwhile and
    /// nothing is written to the device. And which registers had all the writes that they may have in a day.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let wrong = self.definition.expects.iter().zip(&self.settings).filter(|(_, setting)| setting.wrong);
        wrong.map(|(expect, _)| expect.warning.clone()).chain(self.writes.wear.warnings())
    }

    /// What was written to registers that wear out within the last 24 hours, for the next run's
    /// [`SessionOptions::wear`].
    #[must_use]
    pub fn wear(&self) -> Vec<WearRecord> {
        self.writes.wear.records(&self.definition)
    }

    /// The most urgent request that is due; `None` when nothing is, or while one is in flight.
    pub fn next(&mut self, now: Mono) -> Option<Ask> {
        if self.in_flight.is_some() {
            return None;
        }
        let restarted_at = *self.restarted_at.get_or_insert(now);
        if now.since(restarted_at) >= ABSENT_FOR && self.polls.absent().next().is_some() {
            self.restarted_at = Some(now);
            self.walk_again();
        }
        if self.writes.is_busy()
            && self.mismatch() == Some(Failure::NotReady)
            && let Some(ask) = self.next_setting(now)
        {
            return Some(ask);
        }
        while let Some((wire, doing)) = self.next_write(now) {
            let unit = self.units.get(wire.unit).map_or(Some(Failure::NotReady), |unit| unit.refusal(now));
            let forbidden = self.mismatch().filter(|_| wire.request.function.writes());
            match unit.or(forbidden) {
                None => {
                    let around = surroundings(&self.definition, &self.options, &self.chains, self.rating);
                    self.writes.asked(&wire, &around, now);
                    return self.ask(wire, Purpose::Write(doing));
                }
                // A unit that does not answer would make the others wait for its orders too.
                Some(failure) => self.write_answered(doing, &wire.request, Err(failure), now),
            }
        }
        let look = self.next_look(now);
        look.or_else(|| self.next_walk(now))
            .or_else(|| self.next_setting(now))
            .or_else(|| self.next_poll(now))
    }

    fn next_write(&mut self, now: Mono) -> Option<(Wire, Doing)> {
        let around = surroundings(&self.definition, &self.options, &self.chains, self.rating);
        let next = self.writes.next(&around, now, &mut self.outbox)?;
        // Observing takes no orders, so nothing can be written; this is the second lock on the same door.
        (self.options.writes || !next.0.request.function.writes()).then_some(next)
    }

    /// Why nothing at all may be written.
    fn mismatch(&self) -> Option<Failure> {
        let asked = |unit: usize| self.units.get(unit).is_some_and(|unit| unit.id.is_some());
        let settings = self.definition.expects.iter().zip(&self.settings);
        let mut settings = settings.filter(|(expect, _)| asked(expect.unit)).map(|(_, setting)| setting);
        if settings.clone().any(|setting| !setting.known) {
            return Some(Failure::NotReady);
        }
        settings.any(|setting| setting.wrong).then_some(Failure::Mismatch)
    }

    fn next_look(&mut self, now: Mono) -> Option<Ask> {
        let around = surroundings(&self.definition, &self.options, &self.chains, self.rating);
        let free = |unit: usize| self.units.get(unit).is_some_and(|state| state.refusal(now).is_none());
        let (wire, at) = self.writes.watch.next(&around, now, free)?;
        // What is due anyway and brings the registers is the cheapest look.
        match self.polls.bringing(wire.unit, &wire.request, now) {
            Some(poll) => self.ask_poll(poll),
            None => self.ask(wire, Purpose::Write(Doing::Look(at))),
        }
    }

    fn next_walk(&mut self, now: Mono) -> Option<Ask> {
        let free = |unit: usize| self.units.get(unit).is_some_and(|state| state.refusal(now).is_none());
        let (unit, (address, count)) = self
            .walkers
            .iter()
            .enumerate()
            .filter(|(unit, _)| free(*unit))
            .find_map(|(unit, walker)| walker.as_ref().map(|walker| (unit, walker.ask())))?;
        let request = Request { unit: 0, function: Area::Holding.read(), address, count, words: Vec::new() };
        self.ask(Wire { unit, request }, Purpose::Walk(unit))
    }

    fn next_setting(&mut self, now: Mono) -> Option<Ask> {
        let free = |unit: usize| self.units.get(unit).is_some_and(|state| state.refusal(now).is_none());
        let settings = self.definition.expects.iter().zip(&self.settings).enumerate();
        let (at, expect) = settings
            .filter(|(_, (expect, setting))| setting.due <= now && free(expect.unit))
            .map(|(at, (expect, _))| (at, expect))
            .next()?;
        let (unit, function, address) = (expect.unit, expect.area.read(), expect.address);
        let request = Request { unit: 0, function, address, count: 1, words: Vec::new() };
        self.ask(Wire { unit, request }, Purpose::Expect(at))
    }

    fn next_poll(&mut self, now: Mono) -> Option<Ask> {
        let at = self.polls.most_urgent(&self.units, now)?;
        self.ask_poll(at)
    }

    fn ask_poll(&mut self, at: usize) -> Option<Ask> {
        let block = self.polls.block(at)?;
        let (unit, function) = (block.unit, block.area.read());
        let request =
            Request { unit: 0, function, address: block.start, count: block.len, words: Vec::new() };
        self.ask(Wire { unit, request }, Purpose::Poll(at))
    }

    fn ask(&mut self, wire: Wire, purpose: Purpose) -> Option<Ask> {
        let unit = self.units.get(wire.unit)?;
        let request = Request { unit: unit.id?, ..wire.request };
        let usual = self.definition.limits.timeout;
        let timeout = if unit.is_probed() { usual.min(PROBE) } else { usual };
        self.tokens = self.tokens.wrapping_add(1);
        let token = self.tokens;
        let expires = if request.function.writes() { self.writes.expires() } else { Mono::NEVER };
        self.in_flight = Some(InFlight { token, unit: wire.unit, purpose, request: request.clone() });
        Some(Ask { token, request, timeout, expires })
    }

    /// When [`Session::next`] will have something; never while a request is in flight.
    #[must_use]
    pub fn next_due(&self) -> Mono {
        if self.in_flight.is_some() {
            return Mono::NEVER;
        }
        let walking = self.walkers.iter().zip(&self.units).filter(|(walker, _)| walker.is_some());
        let walk = walking.map(|(_, unit)| unit.free_at()).min().unwrap_or(Mono::NEVER);
        let free_at = |unit: usize| self.units.get(unit).map_or(Mono::NEVER, UnitState::free_at);
        let settings = self.definition.expects.iter().zip(&self.settings);
        let setting = settings.map(|(expect, setting)| setting.due.max(free_at(expect.unit))).min();
        let again = self.restarted_at.filter(|_| self.polls.absent().next().is_some());
        let again = again.map_or(Mono::NEVER, |at| at + ABSENT_FOR);
        let reads = again.min(walk).min(setting.unwrap_or(Mono::NEVER)).min(self.polls.next_due(&self.units));
        let around = surroundings(&self.definition, &self.options, &self.chains, self.rating);
        let look = self.writes.watch.next_due(&around, free_at);
        self.writes.next_due().min(look).min(reads)
    }

    /// Takes the answer to the request with this token; an answer to any other is ignored. What was learnt is added
    /// to `out`.
    pub fn answered(
        &mut self,
        token: u32,
        result: Result<Answer, Failure>,
        asked_at: Mono,
        now: Mono,
        out: &mut Vec<SessionEvent>,
    ) {
        if let Some(flight) = self.in_flight.take_if(|flight| flight.token == token) {
            let wanted = if flight.request.function.writes() { 0 } else { usize::from(flight.request.count) };
            let result =
                result.and_then(|words| match words.len() == wanted || flight.request.function.writes() {
                    true => Ok(words),
                    false => Err(Failure::OutOfStep),
                });
            self.note_unit(&flight, &result, now);
            match flight.purpose {
                Purpose::Walk(unit) => self.walked(unit, result, now),
                Purpose::Expect(at) => self.looked_up(at, &result, now),
                Purpose::Poll(at) => self.polled(at, result, asked_at, now),
                Purpose::Write(doing) => self.write_answered(doing, &flight.request, result, now),
            }
        }
        self.drain(out);
    }

    /// Moves events that arose without an answer (an order refused or too late) to `out`.
    pub fn drain(&mut self, out: &mut Vec<SessionEvent>) {
        out.append(&mut self.outbox);
    }

    fn note_unit(&mut self, flight: &InFlight, result: &Result<Answer, Failure>, now: Mono) {
        let away = &self.definition.limits.away;
        let Some(unit) = self.units.get_mut(flight.unit) else { return };
        let failure = match result {
            Err(Failure::Timeout) => Some(Failure::Timeout),
            // Nonsense in the middle of a chain: without a pause the walk would ask for it again at once.
            Err(Failure::OutOfStep) if matches!(flight.purpose, Purpose::Walk(_)) => Some(Failure::OutOfStep),
            // A refused write may wear the same code as a missing unit; only reads tell.
            Err(Failure::Exception(code)) if away.contains(code) && !flight.request.function.writes() => {
                Some(Failure::Exception(*code))
            }
            // A walk that finds nothing must not end the unit's back-off.
            Ok(_) | Err(Failure::Exception(_)) if !matches!(flight.purpose, Purpose::Walk(_)) => {
                unit.well();
                None
            }
            _ => None,
        };
        if let Some(failure) = failure {
            unit.failed(failure, now);
            self.writes.watch.silent(flight.unit, &self.definition);
        }
    }

    fn walked(&mut self, unit: usize, result: Result<Answer, Failure>, now: Mono) {
        let Some(walker) = self.walkers.get_mut(unit).and_then(Option::as_mut) else { return };
        match walker.heard(result.as_deref().map_err(|failure| *failure)) {
            Walk::On | Walk::Silent => {}
            Walk::Nothing => {
                if let Some(state) = self.units.get_mut(unit) {
                    state.failed(Failure::NotReady, now);
                }
            }
            Walk::Found(chain) => {
                let spots = Spot::in_chain(&self.definition, unit, &chain);
                let point_there = |point: &&crate::device::definition::Point| {
                    point.unit == unit && !matches!(point.place, Place::Fixed(..))
                };
                let wanted = self.definition.points.iter().filter(point_there).count();
                // Nonsense on the line may cut a walk short. What has nothing that is wanted is not the device; what
                // lacks something counts once a second walk has found the same.
                if spots.is_empty() {
                    if let Some(state) = self.units.get_mut(unit) {
                        state.failed(Failure::NotReady, now);
                    }
                    return;
                }
                if spots.len() < wanted && self.short.as_ref() != Some(&(unit, chain.clone())) {
                    self.short = Some((unit, chain));
                    return;
                }
                self.short = None;
                if let Some(state) = self.units.get_mut(unit) {
                    state.well();
                }
                self.polls.add(&self.definition, spots);
                if let (Some(walker), Some(known)) = (self.walkers.get_mut(unit), self.chains.get_mut(unit)) {
                    *walker = None;
                    *known = Some(chain);
                }
            }
        }
    }

    fn looked_up(&mut self, at: usize, result: &Result<Answer, Failure>, now: Mono) {
        let (Some(expect), Some(setting)) = (self.definition.expects.get(at), self.settings.get_mut(at))
        else {
            return;
        };
        setting.due = now + SETTINGS;
        setting.known |= matches!(result, Ok(_) | Err(Failure::Exception(_)));
        match result {
            Ok(words) => setting.wrong = !words.iter().all(|word| expect.values.contains(word)),
            // A device that does not tell the setting is believed; one that is silent is asked again.
            Err(Failure::Exception(_)) => setting.wrong = false,
            Err(_) => setting.due = now + Span::secs(1),
        }
    }

    fn polled(&mut self, at: usize, result: Result<Answer, Failure>, asked_at: Mono, now: Mono) {
        match result {
            Ok(words) => {
                if self.hear(at, &words, asked_at) {
                    self.glimpse(at, &words, now);
                    self.polls.answered(at, asked_at, &self.definition);
                } else {
                    self.walk_again();
                }
            }
            // Units that are away are tried again on their own time, with the reads that were due.
            Err(Failure::Timeout) => {}
            Err(Failure::Exception(code)) if self.definition.limits.away.contains(&code) => {}
            Err(failure) => self.polls.failed(at, failure, now, &self.definition),
        }
    }

    /// A poll may show what others wrote.
    fn glimpse(&mut self, at: usize, words: &Answer, now: Mono) {
        let Some(block) = self.polls.block(at) else { return };
        let around = surroundings(&self.definition, &self.options, &self.chains, self.rating);
        let place = (block.unit, block.area.read(), block.start);
        self.writes.watch.glimpsed(place, words, &around, now, &mut self.outbox);
    }

    /// `false` when the chain of models is no longer where it was.
    fn hear(&mut self, at: usize, words: &Answer, asked_at: Mono) -> bool {
        let Some(block) = self.polls.block(at) else { return true };
        for index in &block.spots {
            let Some(spot) = self.polls.spot(*index) else { continue };
            let Some(point) = self.definition.points.get(spot.point) else { continue };
            let offset = usize::from(spot.start.saturating_sub(block.start));
            let own = words.get(offset..offset.saturating_add(usize::from(spot.len))).unwrap_or_default();
            let value = match spot.decode(own, self.rating) {
                Ok(value) => value,
                Err(Mismatch::Moved) => return false,
                Err(Mismatch::WrongLength) => None,
            };
            let mut settings = self.definition.expects.iter().zip(&self.settings);
            let wrong = settings.any(|(expect, setting)| setting.wrong && expect.unit == spot.unit);
            let value = value.filter(|_| !wrong);
            if point.quantity == Quantity::PvRating {
                self.rating = value;
            }
            let (quantity, phase, channel) = (point.quantity, point.phase, spot.channel);
            self.outbox.push(SessionEvent::Heard(Heard { quantity, phase, channel, value, asked_at }));
        }
        true
    }

    fn write_answered(
        &mut self,
        doing: Doing,
        request: &Request,
        result: Result<Answer, Failure>,
        now: Mono,
    ) {
        let around = surroundings(&self.definition, &self.options, &self.chains, self.rating);
        let answer = result.as_ref().map_err(|failure| *failure);
        self.writes.answered(doing, request, answer, &around, now, &mut self.outbox);
    }

    /// Takes an order. The latest of each control counts; one that it replaces before it was written has no result.
    pub fn order(&mut self, order: DeviceOrder, now: Mono) {
        let refused = if !self.options.writes {
            Some(Failure::Observing)
        } else if order.expires <= now {
            Some(Failure::Expired)
        } else if self.writes.order(order, &self.definition) {
            None
        } else {
            Some(Failure::NotReady)
        };
        if let Some(failure) = refused {
            self.outbox.push(SessionEvent::Wrote {
                control: order.control,
                channel: order.channel,
                seq: order.seq,
                result: Err(failure),
                contradicted: false,
            });
        }
    }

    /// The connection is new: setup is looked at with the next order, everything is read again, also what was missing,
    /// and SunSpec chains are walked again. Units that were silent keep their time-out. When connections come and go
    /// within a minute, reading goes on where it was: one dead unit must not make the others start over each time. A
    /// chain that moved meanwhile is noticed by its header, which comes with each read.
    pub fn reconnected(&mut self, now: Mono) {
        self.in_flight = None;
        self.writes.reconnected(&mut self.outbox);
        for setting in &mut self.settings {
            (setting.due, setting.known) = (Mono::ZERO, false);
        }
        if self.restarted_at.is_none_or(|at| now.since(at) >= RESTART_AT_MOST) {
            self.restarted_at = Some(now);
            self.walk_again();
        }
    }

    fn walk_again(&mut self) {
        self.polls.restart(&self.definition);
        for setting in &mut self.settings {
            setting.due = Mono::ZERO;
        }
        for (unit, (walker, chain)) in self.walkers.iter_mut().zip(&mut self.chains).enumerate() {
            let told = |point: &&crate::device::definition::Point| {
                point.unit == unit && !matches!(point.place, Place::Fixed(..))
            };
            *chain = None;
            *walker = self.definition.points.iter().find(told).map(|_| Walker::default());
        }
    }
}

fn surroundings<'s>(
    definition: &'s Definition,
    options: &SessionOptions,
    chains: &'s [Option<Chain>],
    rating: Option<i64>,
) -> Surroundings<'s> {
    let rating = rating.map(Watts::saturated);
    Surroundings { definition, phases: options.phases.clamp(1, 3), chains, rating }
}
