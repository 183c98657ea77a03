//! Invariant 4: what is written, when, and that it is what was decided.

use wattkeeper::control::decision::Decision;
use wattkeeper::control::genset::GensetState;
use wattkeeper::control::policy::Control;
use wattkeeper::control::reading::Stage;
use wattkeeper::control::site::{Command, Input, Order, Outcome};
use wattkeeper::control::units::{Mono, Span};
use wattkeeper::control::wiring::ActuatorKind;

use super::known::Known;

/// The longest an order may wait to be written.
const LONGEST_EXPIRY: Span = Span::secs(10);
/// The same for a release, which harms nobody by being late.
const LONGEST_RELEASE: Span = Span::secs(60);
/// Somebody else's word twice within this is a second writer,
const TWICE: Span = Span::secs(60);
/// who is left alone this long.
const YIELD: Span = Span::secs(300);
/// A start waits this long for its memory.
const WAIT: Span = Span::secs(1);

#[derive(Clone, Copy, Default)]
struct Sent {
    order: Option<Order>,
    seq: u32,
    at: Mono,
    acknowledged: bool,
    foreign_at: Option<Mono>,
    yields_until: Option<Mono>,
}

/// Everything that was told since the process began.
pub struct Orders {
    sent: Vec<Sent>,
    /// The last request to write down that is not known to be safe.
    asked: Option<(u32, Mono)>,
}

impl Orders {
    pub fn new(actuators: usize) -> Self {
        Self { sent: vec![Sent::default(); actuators], asked: None }
    }

    pub fn hear(&mut self, now: Mono, input: &Input) {
        match input {
            Input::Wrote { actuator, seq, outcome } => {
                let sent = &mut self.sent[usize::from(*actuator)];
                if sent.seq == *seq {
                    sent.acknowledged = *outcome == Outcome::Acknowledged;
                }
            }
            Input::Foreign { actuator } => {
                let sent = &mut self.sent[usize::from(*actuator)];
                if sent.foreign_at.replace(now).is_some_and(|before| now.since(before) <= TWICE) {
                    sent.yields_until = Some(now + YIELD);
                }
            }
            Input::Stored(seq) => self.asked = self.asked.filter(|(asked, _)| asked != seq),
            _ => {}
        }
    }

    /// A request to write down goes out with the commands of the same moment.
    pub fn asks(&mut self, seq: u32, now: Mono) {
        self.asked = Some((seq, now));
    }

    /// Without a decision nothing is written but what hands back.
    pub fn released(&mut self, now: Mono, input: &Input, commands: &[Command]) -> Result<(), String> {
        let hands_back = match input {
            Input::Leaving => true,
            Input::Reload(policy) => policy.control == Control::Observe,
            _ => false,
        };
        if commands.iter().any(|command| !hands_back || command.order != Order::Release) {
            return Err(format!("a command without a decision: {commands:?}"));
        }
        for command in commands {
            let sent = &mut self.sent[usize::from(command.actuator)];
            *sent = Sent { order: Some(command.order), seq: command.seq, at: now, ..*sent };
        }
        Ok(())
    }

    pub fn check(
        &mut self,
        now: Mono,
        known: &Known,
        decision: &Decision,
        commands: &[Command],
    ) -> Result<(), String> {
        if known.policy.control == Control::Observe && !commands.is_empty() {
            return Err("a command while observing".to_owned());
        }
        // What its contact does not show was not done, whatever was answered, and is told again.
        if let Some((closed, at)) = known.reading(known.wiring.generator.contact) {
            for (sent, spec) in self.sent.iter_mut().zip(&known.wiring.actuators) {
                let shown = sent.order == Some(Order::Run(closed != 0)) || at <= sent.at;
                sent.acknowledged &= shown || spec.kind != ActuatorKind::GeneratorRun;
            }
        }
        let mut told = vec![false; self.sent.len()];
        for command in commands {
            let place = usize::from(command.actuator);
            let spec = &known.wiring.actuators[place];
            let sent = self.sent[place];
            if std::mem::replace(&mut told[place], true) {
                return Err(format!("two commands at once for {}", spec.device));
            }
            let longest = if command.order == Order::Release { LONGEST_RELEASE } else { LONGEST_EXPIRY };
            if command.expires <= now || command.expires.since(now) > longest {
                return Err(format!("a command that expires at {:?}", command.expires));
            }
            if command.seq <= sent.seq {
                return Err(format!("command {} after {}", command.seq, sent.seq));
            }
            let contact = spec.kind == ActuatorKind::GeneratorRun;
            if !contact && sent.yields_until.is_some_and(|until| now < until) {
                return Err(format!("{} is told {:?} against a second writer", spec.device, command.order));
            }
            if command.order == Order::Run(true)
                && sent.order != Some(command.order)
                && self.asked.is_some_and(|(_, at)| now < at + WAIT)
            {
                return Err("the generator is started before that is safely remembered".to_owned());
            }
            meant(spec.kind, command, decision)?;
            let early = spec.refresh.is_none_or(|period| now.since(sent.at) < period);
            if sent.acknowledged && sent.order == Some(command.order) && early {
                return Err(format!("{} is told the same again before its refresh", spec.device));
            }
            self.sent[place] =
                Sent { order: Some(command.order), seq: command.seq, at: now, acknowledged: false, ..sent };
        }
        self.refreshed(now, known, decision)
    }

    /// An order in force is repeated in time, unless it should die with the device's watchdog.
    fn refreshed(&self, now: Mono, known: &Known, decision: &Decision) -> Result<(), String> {
        let dying = decision.stages[1] == Stage::Safe;
        for (sent, spec) in self.sent.iter().zip(&known.wiring.actuators) {
            let inverter = matches!(spec.kind, ActuatorKind::InverterPower(_));
            let generator = spec.kind == ActuatorKind::GeneratorRun;
            let ours = !matches!(decision.generator.state, GensetState::Boot | GensetState::Local);
            let yields = sent.yields_until.is_some_and(|until| now < until);
            let silent = yields || known.policy.control == Control::Observe || !sent.acknowledged;
            // PV that was handed back and needs no limit is left alone.
            let free = matches!(spec.kind, ActuatorKind::PvLimit(_))
                && sent.order == Some(Order::Release)
                && decision.pv_limit.is_none();
            if silent || free || (inverter && dying) || !decision.ready || (generator && !ours) {
                continue;
            }
            let late = spec.refresh.map(|period| period + known.policy.regulator.longest_cycle);
            // Whoever was left alone until now is told with this decision.
            let since = now.since(sent.at.max(sent.yields_until.unwrap_or_default()));
            if late.is_some_and(|late| since > late) {
                return Err(format!("{} was told nothing for {} s", spec.device, since.0 / 1_000));
            }
        }
        Ok(())
    }
}

/// Whether a command says what was decided, and may be given at all.
fn meant(kind: ActuatorKind, command: &Command, decision: &Decision) -> Result<(), String> {
    let generator = &decision.generator;
    let ours = !matches!(generator.state, GensetState::Boot | GensetState::Local);
    let meant = match (kind, command.order) {
        (ActuatorKind::InverterPower(at), Order::Power(power)) => {
            decision.ready && decision.inverters.get(usize::from(at)) == Some(&power)
        }
        (ActuatorKind::GridSetpoint, Order::Setpoint(watts)) => {
            decision.ready && Some(watts) == decision.grid_setpoint
        }
        (ActuatorKind::GridSetpoint, Order::Release) => decision.grid_setpoint.is_none(),
        (ActuatorKind::GeneratorRun, Order::Run(run)) => ours && run == generator.command,
        (ActuatorKind::PvLimit(_), Order::Limit(limit)) => decision.ready && limit == decision.pv_limit,
        _ => false,
    };
    if meant { Ok(()) } else { Err(format!("{command:?} is not what was decided")) }
}
