//! Sessions, recipes and registers between the site and the plant, without sockets: what frames and connections do is
//! proven elsewhere. An exchange takes no time unless it goes wrong or its line is slow.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattkeeper::control::policy::Control;
use wattkeeper::control::signal::{Phase, Quantity};
use wattkeeper::control::site::{Command, Input, Order, Outcome};
use wattkeeper::control::units::{Mono, Span, Watts};
use wattkeeper::control::wiring::{ActuatorKind, ActuatorSpec};
use wattkeeper::device::definition::{Definition, Persistence};
use wattkeeper::device::exchange::{Failure, Request};
use wattkeeper::device::order::{ControlKind, DeviceOrder, OrderPhase, SessionEvent, SessionOptions, Values};
use wattkeeper::device::session::Session;
use wattkeeper::plant::Plant;
use wattkeeper::plant::fake::{FakeDevice, Misbehaviour, World as Field};
use wattkeeper::profile::DeviceConfig;

use super::faults::{Fault, Line, What};
use super::setup::{Dice, House};

/// A lost connection is tried again after this.
const REDIAL: Span = Span::secs(1);
/// More exchanges than any device has points: only our own mistakes end here.
const MOST: usize = 200;

/// An answer that is not there yet.
struct Waiting {
    token: u32,
    result: Result<Vec<u16>, Failure>,
    asked_at: Mono,
    until: Mono,
}

/// One device with its session.
struct Desk {
    config: DeviceConfig,
    definition: Arc<Definition>,
    session: Session,
    waiting: Option<Waiting>,
    /// The last order, its expiry and whether it releases: no write without one.
    ordered: Option<(Mono, bool)>,
    /// Answers as they were before, by question.
    before: BTreeMap<(u8, u8, u16), Vec<u16>>,
    /// Words in registers that wear, as they were written last.
    worn: BTreeMap<(u8, u16), Vec<u16>>,
}

pub struct Wire {
    desks: Vec<Desk>,
    actuators: Vec<ActuatorSpec>,
    writes: bool,
    dice: Dice,
    /// The power that was confirmed as written, and still stands.
    confirmed: Option<[Watts; 3]>,
    told: BTreeMap<u8, (u32, Order)>,
    pub trouble: Option<String>,
}

impl Wire {
    pub fn new(house: &House, field: &mut Field) -> Self {
        let writes = house.config.policy.control == Control::On;
        let mut desks = Vec::new();
        for config in &house.devices {
            let Some(definition) = config.definition.clone() else { continue };
            field.add(fake(config, &definition, &field.plant));
            desks.push(Desk {
                session: session(config, &definition, writes),
                config: config.clone(),
                definition,
                waiting: None,
                ordered: None,
                before: BTreeMap::new(),
                worn: BTreeMap::new(),
            });
        }
        Self {
            desks,
            actuators: house.config.wiring.actuators.clone(),
            writes,
            dice: Dice::new(house.seed ^ 0x11FE),
            confirmed: None,
            told: BTreeMap::new(),
            trouble: None,
        }
    }

    /// Sessions belong to the process.
    pub fn process_begins(&mut self) {
        for desk in &mut self.desks {
            desk.session = session(&desk.config, &desk.definition, self.writes);
            desk.waiting = None;
            desk.ordered = None;
            desk.worn.clear();
        }
        self.confirmed = None;
        self.told.clear();
    }

    pub fn begin(&mut self, what: What, field: &mut Field) {
        match what {
            What::Reboot => {
                let mut again = Field::new(field.plant.clone());
                for desk in &mut self.desks {
                    again.add(fake(&desk.config, &desk.definition, &field.plant));
                    desk.worn.clear();
                    desk.waiting = None;
                    desk.session.reconnected(Mono::ZERO);
                }
                self.confirmed = None;
                *field = again;
            }
            What::Wire(device, Line::Frozen) => {
                field.misbehave(usize::from(device), Misbehaviour::Frozen, None, None);
            }
            What::Wire(device, Line::Sentinel) => {
                let Some(desk) = self.desks.get(usize::from(device)) else { return };
                let points: Vec<(Quantity, Phase)> =
                    desk.config.signals.keys().map(|(quantity, phase, _)| (*quantity, *phase)).collect();
                if !points.is_empty() {
                    let (quantity, phase) = self.dice.pick(&points);
                    field.misbehave(usize::from(device), Misbehaviour::Sentinel(quantity, phase), None, None);
                }
            }
            _ => {}
        }
    }

    pub fn end(&self, device: u8, field: &mut Field) {
        field.behave(usize::from(device));
    }

    /// A second has passed in the plant: what was confirmed is what it does.
    pub fn passed(&mut self, plant: &Plant, active: &[Fault]) {
        let disturbed = active.iter().any(|fault| matches!(fault.what, What::Wire(..) | What::Reboot));
        if disturbed {
            self.confirmed = None;
        }
        let Some(power) = self.confirmed else { return };
        let Some(does) = plant.inverter_order(0) else { return };
        let wanted: f64 = power.iter().map(|part| f64::from(part.0)).sum();
        let does: f64 = does.iter().sum();
        if (wanted - does).abs() > 3.0 {
            self.trouble = Some(format!("{wanted} W were confirmed and the inverter does {does:.0} W"));
        }
    }

    /// A command on its way to its session.
    pub fn order(&mut self, command: &Command, now: Mono) {
        self.told.insert(command.actuator, (command.seq, command.order));
        let route = |desk: &mut Desk| {
            let found = desk.config.orders.iter().find(|(_, place)| **place == command.actuator);
            found.map(|((control, channel), _)| (*control, *channel))
        };
        let found = self.desks.iter_mut().find_map(|desk| route(desk).map(|route| (route, desk)));
        let Some(((control, channel), desk)) = found else { return };
        let mut values = Values::default();
        let mut phase = OrderPhase::Command;
        match command.order {
            Order::Power(power) if phases(&desk.config) == 1 => {
                values.power = [power.into_iter().sum(), Watts::ZERO, Watts::ZERO];
            }
            Order::Power(power) => values.power = power,
            Order::Setpoint(setpoint) => values.setpoint = setpoint,
            Order::Limit(limit) => values.limit = limit,
            Order::Run(run) => values.run = run,
            Order::Release => phase = OrderPhase::Release,
        }
        if control == ControlKind::InverterPower {
            self.confirmed = None;
        }
        desk.ordered = Some((command.expires, phase == OrderPhase::Release));
        let expires = command.expires;
        let order = DeviceOrder { control, channel, values, phase, seq: command.seq, expires };
        desk.session.order(order, now);
    }

    /// Everything that is due now is asked and answered.
    pub fn exchange(&mut self, now: Mono, field: &mut Field, active: &[Fault], out: &mut Vec<Input>) {
        let mut events = Vec::new();
        for place in 0..self.desks.len() {
            let lines: Vec<Line> = active.iter().filter_map(|fault| line(fault.what, place)).collect();
            for _ in 0..MOST {
                if !self.once(place, now, field, &lines, &mut events) {
                    break;
                }
            }
            let desk = &mut self.desks[place];
            desk.session.drain(&mut events);
            for event in events.drain(..) {
                let input = heard(&desk.config, event);
                if let Some(Input::Wrote { actuator, seq, outcome: Outcome::Acknowledged }) = input {
                    let power =
                        matches!(self.actuators[usize::from(actuator)].kind, ActuatorKind::InverterPower(_));
                    self.confirmed = match self.told.get(&actuator) {
                        Some((last, Order::Power(told))) if power && *last == seq => Some(*told),
                        _ => self.confirmed,
                    };
                }
                out.extend(input);
            }
        }
    }

    /// One step of one device; `false` when nothing more is to be done now.
    fn once(
        &mut self,
        place: usize,
        now: Mono,
        field: &mut Field,
        lines: &[Line],
        events: &mut Vec<SessionEvent>,
    ) -> bool {
        if let Some(waiting) = self.desks[place].waiting.take_if(|waiting| waiting.until <= now) {
            let desk = &mut self.desks[place];
            let poisoned = waiting.result.as_ref().is_err_and(|failure| failure.poisons_connection());
            desk.session.answered(waiting.token, waiting.result, waiting.asked_at, now, events);
            if poisoned {
                desk.session.reconnected(now);
                desk.worn.clear();
            }
            return true;
        }
        if self.desks[place].waiting.is_some() {
            return false;
        }
        let Some(ask) = self.desks[place].session.next(now) else { return false };
        if ask.request.function.writes() {
            let lies = lines.iter().any(|line| *line != Line::Slow);
            // What reads back as something else is written again.
            if lies {
                self.desks[place].worn.clear();
            }
            self.written(place, &ask.request, now);
            if lies {
                self.desks[place].worn.clear();
            }
        }
        let result = self.answer(place, &ask.request, field, lines);
        let late = match result {
            Err(Failure::Timeout) => ask.timeout,
            Err(Failure::Unreachable) => REDIAL,
            _ if lines.contains(&Line::Slow) => ask.timeout - Span::millis(1),
            _ => Span::ZERO,
        };
        let waiting = Waiting { token: ask.token, result, asked_at: now, until: now + late };
        self.desks[place].waiting = Some(waiting);
        true
    }

    fn answer(
        &mut self,
        place: usize,
        request: &Request,
        field: &mut Field,
        lines: &[Line],
    ) -> Result<Vec<u16>, Failure> {
        let writes = request.function.writes();
        let has = |line: Line| lines.contains(&line);
        for line in lines {
            match *line {
                Line::Timeout => return Err(Failure::Timeout),
                Line::Unreachable => return Err(Failure::Unreachable),
                Line::Exception(code) => return Err(Failure::Exception(code)),
                Line::RefusedWrites(code) if writes => return Err(Failure::Exception(code)),
                Line::IgnoredWrites if writes => return Ok(Vec::new()),
                _ => {}
            }
        }
        let mut words = field.ask(place, request).map_err(Failure::Exception)?;
        if writes {
            return Ok(words);
        }
        let question = (request.unit, request.function.code(), request.address);
        let old = self.desks[place].before.insert(question, words.clone());
        let old = old.filter(|old| old.len() == words.len());
        if has(Line::WrongCount) {
            words.pop();
        }
        if has(Line::Garbage) {
            for word in &mut words {
                *word = self.dice.range(0, 65_536) as u16;
            }
        }
        if let Some(old) = old {
            if has(Line::Old) {
                // It goes on answering what it answered then.
                self.desks[place].before.insert(question, old.clone());
                return Ok(old);
            }
            let half = words.len() / 2;
            if has(Line::Torn) {
                words[half..].copy_from_slice(&old[half..]);
            }
        }
        Ok(words)
    }

    /// No write without an unexpired order, and none that wears a register for nothing.
    fn written(&mut self, place: usize, request: &Request, now: Mono) {
        let desk = &mut self.desks[place];
        let name = &desk.config.name;
        if desk.ordered.is_none_or(|(expires, _)| expires <= now) {
            self.trouble = Some(format!("{name} is written at {now:?}, ordered {:?}", desk.ordered));
        }
        if !self.writes {
            self.trouble = Some(format!("{name} is written by a site that observes: {request:?}"));
        }
        let unit = desk.definition.units.iter().position(|unit| {
            desk.config.units.get(&unit.name).copied().or(unit.default) == Some(request.unit)
        });
        let mut writes = desk
            .definition
            .controls
            .iter()
            .flat_map(|control| control.setup.iter().chain(&control.command).chain(&control.release));
        let wears = writes.any(|write| {
            let at = match &write.place {
                wattkeeper::device::definition::Place::Fixed(_, address) => Some(*address),
                _ => None,
            };
            Some(write.unit) == unit
                && at == Some(request.address)
                && write.persistence != Persistence::Cyclic
        });
        let key = (request.unit, request.address);
        if wears && desk.worn.insert(key, request.words.clone()).is_some_and(|last| last == request.words) {
            self.trouble = Some(format!("{name} has {:?} written to flash again", request.words));
        }
    }
}

fn fake(config: &DeviceConfig, definition: &Arc<Definition>, plant: &Plant) -> FakeDevice {
    let device = FakeDevice::new(&config.name, Arc::clone(definition), plant).with_units(&config.units);
    let relay = config.orders.keys().find(|(control, _)| *control == ControlKind::Relay);
    match relay {
        Some((_, channel)) => device.wired_to_generator(*channel),
        None => device,
    }
}

fn session(config: &DeviceConfig, definition: &Arc<Definition>, writes: bool) -> Session {
    let options = SessionOptions {
        units: config.units.clone(),
        writes,
        pace: Some(config.poll.unwrap_or(Span::secs(1)).max(Span::secs(1))),
        phases: phases(config),
        ..SessionOptions::default()
    };
    Session::new(Arc::clone(definition), options)
}

fn phases(config: &DeviceConfig) -> u8 {
    config.phases.iter().filter(|yes| **yes).count().clamp(1, 3) as u8
}

/// What happens to exchanges with the device at this place.
fn line(what: What, place: usize) -> Option<Line> {
    match what {
        What::Wire(device, line) if usize::from(device) == place => Some(line),
        What::Switch => Some(Line::Timeout),
        _ => None,
    }
}

fn heard(config: &DeviceConfig, event: SessionEvent) -> Option<Input> {
    match event {
        SessionEvent::Heard(heard) => {
            let signal = config.signals.get(&(heard.quantity, heard.phase, heard.channel))?;
            Some(Input::Heard { signal: *signal, value: heard.value, asked_at: heard.asked_at })
        }
        SessionEvent::Wrote { control, channel, seq, result, contradicted } => {
            let actuator = *config.orders.get(&(control, channel))?;
            let outcome = match result {
                Ok(()) if contradicted => Outcome::Contradicted,
                Ok(()) => Outcome::Acknowledged,
                Err(Failure::Exception(code)) => Outcome::Refused(code),
                Err(_) => Outcome::Failed,
            };
            Some(Input::Wrote { actuator, seq, outcome })
        }
        SessionEvent::Foreign { control, channel, .. } => {
            Some(Input::Foreign { actuator: *config.orders.get(&(control, channel))? })
        }
    }
}
