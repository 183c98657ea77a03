//! The only door of the pure half: [`Site::handle`].
//!
//! A site takes inputs and gives outputs; between them it holds an image of what was heard, the memory of past
//! decisions, the generator, the actuators and the energy ledger. It can be taken down to bytes and put up again
//! ([`Site::snapshot`], [`Site::restore`]), and then goes on as if nothing had happened.

mod alarms;
mod commands;
mod past;
mod takeover;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

pub use super::decision::{Decision, ForcedCharge, GuardState, Overruled, Rung};
pub use super::input::{
    Alarm, Command, DecodeError, Event, Input, MAX_ALARMS, Manual, OperatorOrder, Order, Outcome, Outputs,
};
pub use super::keepsake::{Keepsake, Past};
use alarms::set_alarm;

use super::actuator::Actuator;
use super::commission::{Commission, Ended};
use super::decide::{Memory, decide};
use super::genset::{Genset, GensetInputs, GensetState};
use super::image::{Image, Slot};
use super::keepsake::{Keeping, WAIT};
use super::ledger::{Ledger, Powers};
use super::orders::{Actor, Standing};
use super::overlays::{Overlay, Overlays};
use super::policy::{Control, GeneratorPolicy, Policy};
use super::reading::{Reading, Stage};
use super::reason::Reason;
use super::schedule::lease::{Lease, Taken};
use super::senses;
use super::share;
use super::signal::{SignalId, Signals};
use super::units::{Mono, Span, Wall, Watts};
use super::wiring::{ActuatorKind, PowerWiring, Wiring};

/// An unusable meter is an alarm after this.
const METER_ALARM: Span = Span::secs(60);
/// While a ramp or a wait is running, decide again after this.
const MOVING: Span = Span::millis(250);

/// What a site is made of: its signals, who plays which part, and the operator's wishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteConfig {
    /// Everything it can know.
    pub signals: Signals,
    /// Which signal plays which part.
    pub wiring: Wiring,
    /// Wishes and limits.
    pub policy: Policy,
}

/// Everything a site remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    image: Image,
    memory: Memory,
    genset: Genset,
    actuators: Vec<Actuator>,
    ledger: Ledger,
    wall: Option<Wall>,
    manual: Manual,
    manual_until: Option<Mono>,
    auto: Option<bool>,
    alarms: ArrayVec<Alarm, MAX_ALARMS>,
    overlays: Overlays,
    keeping: Keeping,
    full_at: Option<Mono>,
    meter_good_at: Option<Mono>,
    /// Since when more is imported than the limit allows.
    over_import: Option<Mono>,
    last: Option<Mono>,
    wake_at: Mono,
    binding: Option<Reason>,
    leaving: bool,
}

/// One site.
#[derive(Clone, Debug)]
pub struct Site {
    config: SiteConfig,
    state: State,
    decision: Decision,
    /// Of the last input; kept, so that nothing large is moved for each.
    outputs: Outputs,
}

/// Why a snapshot cannot be put up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// Written by another version.
    #[error("the snapshot has another version")]
    Version,
    /// Damaged.
    #[error("the snapshot is damaged")]
    Damaged,
    /// Of a site with other signals or actuators.
    #[error("the snapshot is of another site")]
    OtherSite,
}

/// The version of the snapshot's layout.
const SNAPSHOT: u8 = 6;

impl Site {
    /// A site that has heard nothing yet.
    #[must_use]
    pub fn new(config: SiteConfig) -> Self {
        let state = State {
            image: Image::new(config.signals.len()),
            actuators: vec![Actuator::default(); config.wiring.actuators.len()],
            ..State::default()
        };
        Self { config, state, decision: Decision::default(), outputs: Outputs::default() }
    }

    /// The last decision.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What it is made of.
    #[must_use]
    pub fn config(&self) -> &SiteConfig {
        &self.config
    }

    /// What was heard.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.state.image
    }

    /// The energy ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.state.ledger
    }

    /// The actuators, in the order of [`Wiring::actuators`].
    #[must_use]
    pub fn actuators(&self) -> &[Actuator] {
        &self.state.actuators
    }

    /// Active alarms.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        &self.state.alarms
    }

    /// The commissioning under way or over, if there is one.
    #[must_use]
    pub fn commissioning(&self) -> Option<&Commission> {
        self.state.memory.commission.as_deref()
    }

    /// Overlays of the profile that are on.
    #[must_use]
    pub fn overlays(&self) -> &[Overlay] {
        self.state.overlays.on()
    }

    /// The time of day as last heard.
    #[must_use]
    pub fn wall(&self) -> Option<Wall> {
        self.state.wall
    }

    /// Everything it remembers, as bytes.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        postcard::to_extend(&(&self.state, &self.decision), vec![SNAPSHOT]).unwrap_or_default()
    }

    /// Goes on from a snapshot of the same site.
    ///
    /// # Errors
    /// When the bytes are damaged, of another version or of a site with other signals.
    pub fn restore(config: SiteConfig, bytes: &[u8]) -> Result<Self, RestoreError> {
        let rest = match bytes.split_first() {
            Some((&SNAPSHOT, rest)) => rest,
            Some(_) => return Err(RestoreError::Version),
            None => return Err(RestoreError::Damaged),
        };
        let (state, decision): (State, Decision) =
            postcard::from_bytes(rest).map_err(|_| RestoreError::Damaged)?;
        if state.actuators.len() != config.wiring.actuators.len() || state.image.len() != config.signals.len()
        {
            return Err(RestoreError::OtherSite);
        }
        Ok(Self { config, state, decision, outputs: Outputs::default() })
    }

    /// Takes one input. The outputs say what to write and when the site wants to be asked again.
    pub fn handle(&mut self, now: Mono, input: &Input) -> &Outputs {
        self.outputs.clear();
        match input {
            Input::Heard { signal, value, asked_at } => {
                let new = self.state.image.hear(*signal, *value, *asked_at);
                if new && self.paces(*signal) {
                    let earliest = self
                        .state
                        .last
                        .map_or(now, |last| last + self.config.policy.regulator.shortest_cycle);
                    self.state.wake_at = self.state.wake_at.min(earliest.max(now));
                }
            }
            Input::Due => self.decide(now),
            Input::Wall(wall) => self.state.wall = Some(*wall),
            Input::Wrote { actuator, seq, outcome } => {
                if let Some(actuator) = self.state.actuators.get_mut(usize::from(*actuator)) {
                    actuator.answered(*seq, *outcome);
                }
            }
            Input::Foreign { actuator } => self.foreign(*actuator, now),
            Input::Stored(seq) => {
                let waited = self.state.keeping.stored(*seq);
                let standing = self.state.memory.standing.as_mut().filter(|_| self.state.keeping.all_safe());
                let ordered = standing.is_some_and(|standing| standing.remembered(now));
                if waited || ordered {
                    self.state.wake_at = self.state.wake_at.min(now);
                }
            }
            Input::Noticed(alarm, holds) => {
                if Alarm::HOST.contains(alarm) && set_alarm(&mut self.state.alarms, *alarm, *holds) {
                    let _full = self.outputs.events.try_push(Event::Alarm(*alarm, *holds));
                }
            }
            Input::Operator(order, by) => {
                self.operator(*order, *by, now);
                let _full = self.outputs.events.try_push(Event::Ordered(*order, *by));
                self.state.keeping.urgent();
                self.state.wake_at = now;
            }
            Input::Reload(policy) => {
                if policy.control == Control::Observe {
                    self.release(now);
                } else if self.config.policy.control == Control::Observe {
                    self.state.genset.take_over(now);
                }
                self.config.policy = (**policy).clone();
                self.state.wake_at = now;
            }
            Input::Leaving => self.leave(now),
            Input::Lease(lease) => self.lease(lease, now),
            Input::Commission(power) => self.commission(*power, now),
            Input::Overlay(order) => {
                if self.state.overlays.take(order, now) {
                    let _full = self.outputs.events.try_push(Event::Overlaid(**order));
                    self.state.keeping.urgent();
                }
                self.state.wake_at = now;
            }
        }
        self.outputs.wake_at = self.state.wake_at;
        &self.outputs
    }

    /// What the last input led to, once more.
    #[must_use]
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Whether a fresh word of this signal is a reason to decide now.
    fn paces(&self, signal: SignalId) -> bool {
        let of = |power: &PowerWiring| power.total == Some(signal) || power.phase.contains(&Some(signal));
        let wiring = &self.config.wiring;
        of(&wiring.grid.power) || wiring.grid.present == Some(signal)
    }

    /// Two controllers at one register: the other one's turn, loudly. The generator's contact is another matter: its
    /// sequencer knows what a contact that moves by itself means.
    fn foreign(&mut self, place: u8, now: Mono) {
        let kind = self.config.wiring.actuators.get(usize::from(place)).map(|spec| spec.kind);
        if kind == Some(ActuatorKind::GeneratorRun) {
            return;
        }
        let Some(actuator) = self.state.actuators.get_mut(usize::from(place)) else { return };
        if actuator.foreign(now) {
            let alarm = Alarm::SecondWriter(place);
            if set_alarm(&mut self.state.alarms, alarm, true) {
                let _full = self.outputs.events.try_push(Event::Alarm(alarm, true));
            }
            self.state.wake_at = now;
        }
    }

    fn commission(&mut self, power: Option<Watts>, now: Mono) {
        let SiteConfig { wiring, .. } = &self.config;
        let steered =
            |at: u8| wiring.actuators.iter().any(|spec| spec.kind == ActuatorKind::InverterPower(at));
        let memory = &mut self.state.memory;
        match (power, &mut memory.commission) {
            (Some(power), _) => {
                memory.commission = Some(Box::new(Commission::new(power, wiring, steered, now)));
            }
            (None, Some(commission)) => commission.end(Ended::Stopped),
            (None, None) => {}
        }
        self.state.wake_at = now;
    }

    fn lease(&mut self, lease: &Lease, now: Mono) {
        let event = match self.state.memory.timed.leases.take(lease, now) {
            Taken::New => Event::Leased(lease.by),
            Taken::GivenBack => Event::LeaseOver(lease.by),
            Taken::Renewed | Taken::Full => {
                self.state.wake_at = self.state.wake_at.min(now);
                return;
            }
        };
        let _full = self.outputs.events.try_push(event);
        self.state.wake_at = now;
    }

    fn operator(&mut self, order: OperatorOrder, by: Actor, now: Mono) {
        match order {
            OperatorOrder::Battery(order) => {
                self.state.memory.standing = order.map(|order| Standing::new(order, by, now, now + WAIT));
            }
            OperatorOrder::Generator { manual, lasts } => {
                self.state.manual = manual;
                self.state.manual_until = lasts.map(|span| now + span);
            }
            OperatorOrder::GeneratorAuto(auto) => self.state.auto = Some(auto),
            OperatorOrder::GeneratorAcknowledge => self.state.genset.acknowledge(),
        }
    }

    fn decide(&mut self, now: Mono) {
        if self.state.leaving {
            self.state.wake_at = Mono::NEVER;
            return;
        }
        self.outputs.decided = true;
        if self.state.manual_until.is_some_and(|until| now >= until) {
            self.state.manual = Manual::Auto;
            self.state.manual_until = None;
        }
        if self.state.memory.standing.is_some_and(|standing| now >= standing.until) {
            self.state.memory.standing = None;
            self.state.keeping.urgent();
            let _full = self.outputs.events.try_push(Event::OrderOver);
        }
        while let Some(by) = self.state.memory.timed.leases.expire(now) {
            let _full = self.outputs.events.try_push(Event::LeaseOver(by));
        }
        while let Some(what) = self.state.overlays.expire(now) {
            let _full = self.outputs.events.try_push(Event::OverlayOver(what));
            self.state.keeping.urgent();
        }
        self.step_generator(now);
        let SiteConfig { policy, wiring, .. } = &self.config;
        let active = matches!(self.decision.generator.state, GensetState::Running | GensetState::External);
        let State { memory, image, wall, actuators, .. } = &mut self.state;
        for (actuator, spec) in actuators.iter().zip(&wiring.actuators) {
            if let ActuatorKind::InverterPower(at) = spec.kind {
                memory.senses.yield_to(at, actuator.yields(now));
            }
        }
        let over = |memory: &Memory| memory.commission.as_ref().is_some_and(|it| it.report().is_some());
        let was_over = over(memory);
        if let Some(commission) = &mut memory.commission
            && actuators.iter().any(Actuator::given_up)
        {
            commission.end(Ended::Refused);
        }
        let before = (memory.guard.state(), memory.senses.bms_seen());
        decide(policy, wiring, memory, image, active, *wall, now, &mut self.decision);
        let after = (memory.guard.state(), memory.senses.bms_seen());
        if over(memory) && !was_over {
            let _full = self.outputs.events.try_push(Event::Commissioned);
        }
        if before.1 != after.1 {
            self.state.keeping.changed();
        }
        if before.0 != after.0 {
            let _full = self.outputs.events.try_push(Event::Guard(after.0));
        }
        self.count(now);
        self.alarm(now);
        self.announce();
        self.note_full(now);
        for event in &self.outputs.events {
            match event {
                Event::Generator(_) => self.state.keeping.urgent(),
                Event::Guard(_) | Event::Alarm(..) => self.state.keeping.changed(),
                Event::Binding(_)
                | Event::Ordered(..)
                | Event::OrderOver
                | Event::Leased(_)
                | Event::LeaseOver(_)
                | Event::Overlaid(_)
                | Event::OverlayOver(_)
                | Event::Commissioned => {}
            }
        }
        self.outputs.keep = self.state.keeping.due(now);
        self.state.last = Some(now);
        self.command(now);
        let next = if self.decision.moving { MOVING } else { self.config.policy.regulator.longest_cycle };
        let generator =
            self.generator_policy().map_or(Mono::NEVER, |policy| self.state.genset.next_wake(&policy, now));
        self.state.wake_at = (now + next).min(generator);
        let ordered = self.state.memory.standing.and_then(|standing| standing.changes_at(now));
        let leased = self.state.memory.timed.leases.ends_at();
        let overlaid = self.state.overlays.ends_at();
        for until in [self.state.keeping.held_until(), ordered, leased, overlaid].into_iter().flatten() {
            self.state.wake_at = self.state.wake_at.min(until);
        }
    }

    fn step_generator(&mut self, now: Mono) {
        let Some(policy) = self.generator_policy() else { return };
        let inputs = self.generator_inputs();
        let (alarms, events) = (&mut self.state.alarms, &mut self.outputs.events);
        self.decision.generator = self.state.genset.step(&policy, &inputs, now, &mut |event| {
            if let Event::Alarm(alarm, on) = event {
                set_alarm(alarms, alarm, on);
            }
            let _full = events.try_push(event);
        });
    }

    /// The generator's policy as operators have it now. While observing no command reaches the engine, so its
    /// feedback cannot confirm what would have been ordered: it is assumed.
    fn generator_policy(&self) -> Option<GeneratorPolicy> {
        let SiteConfig { policy, .. } = &self.config;
        let mut generator = policy.generator.clone()?;
        generator.auto = self.state.auto.unwrap_or(generator.auto);
        generator.feedback &= policy.control == Control::On;
        Some(generator)
    }

    fn generator_inputs(&self) -> GensetInputs {
        let SiteConfig { wiring, .. } = &self.config;
        let image = &self.state.image;
        let slot = |id: Option<SignalId>| id.map_or(Slot::Never, |id| image.slot(id));
        GensetInputs {
            soc: image.soc(wiring.battery.soc),
            load: self.load(),
            current: image.amps(wiring.battery.current),
            voltage: image.volts(wiring.battery.voltage),
            running: slot(wiring.generator.running),
            ac_present: slot(wiring.generator.ac_present),
            contact: slot(wiring.generator.contact),
            mode: slot(wiring.generator.mode),
            fault: slot(wiring.generator.fault),
            reads_contact: wiring.generator.contact.is_some(),
            wall: self.state.wall.filter(|wall| wall.valid),
            manual: self.state.manual,
        }
    }

    /// Site load: as measured, else as the balance of grid, PV, generator, inverters and what hangs on the inverters'
    /// outputs. With one of them unknown the balance is unknown; it is as old as its oldest part.
    fn load(&self) -> Option<Reading<Watts>> {
        let SiteConfig { wiring, policy, .. } = &self.config;
        let image = &self.state.image;
        if wiring.load.is_wired() {
            return total_of(image, &wiring.load);
        }
        let grid = policy.grid.connected && wiring.grid.power.is_wired();
        if !grid && !wiring.load_out.is_wired() {
            return None;
        }
        let mut sum = Reading { value: Watts::ZERO, asked_at: Mono::NEVER };
        let mut add = |power: &PowerWiring| {
            if power.is_wired() {
                let part = total_of(image, power)?;
                sum = Reading { value: sum.value + part.value, asked_at: sum.asked_at.min(part.asked_at) };
            }
            Some(())
        };
        if grid {
            add(&wiring.grid.power)?;
        }
        add(&wiring.load_out)?;
        add(&PowerWiring { total: wiring.generator.power, ..PowerWiring::default() })?;
        for wired in &wiring.inverters {
            add(&wired.power)?;
        }
        for wired in &wiring.pv {
            add(&wired.power)?;
        }
        Some(sum)
    }

    fn count(&mut self, now: Mono) {
        let wiring = &self.config.wiring;
        let image = &self.state.image;
        let mut pv = image.watts(wiring.pv_dc);
        for wired in &wiring.pv {
            if let Some(power) = total_of(image, &wired.power) {
                let before = pv.map_or(Watts::ZERO, |reading| reading.value);
                pv = Some(Reading { value: before + power.value, asked_at: power.asked_at });
            }
        }
        let powers = Powers {
            grid: total_of(image, &wiring.grid.power),
            battery: image.watts(wiring.battery.power),
            pv,
            load: self.load(),
            generator: image.watts(wiring.generator.power),
        };
        self.state.ledger.add(&powers, now);
    }

    /// Says what changed. The numbers in a reason may move without being news.
    fn announce(&mut self) {
        let binding = self.decision.reasons.binding().map(|cause| cause.reason);
        let manner = |reason: Reason| {
            matches!(reason, Reason::Ramp(_) | Reason::DirectionHold(_) | Reason::Deadband(_))
        };
        let code = |reason: Option<Reason>| reason.map(Reason::code);
        if let Some(reason) = binding.filter(|reason| !manner(*reason))
            && code(self.state.binding) != code(binding)
        {
            self.state.binding = binding;
            let _full = self.outputs.events.try_push(Event::Binding(reason));
        }
    }
}

/// A power over all its phases.
fn total_of(image: &Image, wiring: &PowerWiring) -> Option<Reading<Watts>> {
    senses::power(image, wiring)
        .map(|power| Reading { value: share::total(power.phases), asked_at: power.asked_at })
}
