//! From a decision to the orders that leave, and the way back when the site leaves.

use super::{Control, GensetState, Order, Site, Stage};
use crate::control::policy::LoadMode;
use crate::control::units::{Mono, Span, Watts};
use crate::control::wiring::ActuatorKind;

impl Site {
    pub(super) fn command(&mut self, now: Mono) {
        // What was decided two cycles ago is nobody's wish any more.
        let lives = self.config.policy.regulator.longest_cycle.scaled(2, 1);
        self.state.keeping.nothing_waits();
        let starting = !self.decision.ready;
        let inverter_safe = self.decision.stages.get(1) == Some(&Stage::Safe);
        for (place, spec) in (0u8..).zip(&self.config.wiring.actuators) {
            let order = match spec.kind {
                ActuatorKind::InverterPower(_) | ActuatorKind::GridSetpoint | ActuatorKind::PvLimit(_)
                    if starting =>
                {
                    None
                }
                ActuatorKind::InverterPower(at) => {
                    self.decision.inverters.get(usize::from(at)).copied().map(Order::Power)
                }
                ActuatorKind::GridSetpoint => {
                    Some(self.decision.grid_setpoint.map_or(Order::Release, Order::Setpoint))
                }
                ActuatorKind::PvLimit(at) => self.pv_order(at, place),
                ActuatorKind::Load(at) => {
                    self.decision.loads.get(usize::from(at)).map(|load| Order::Run(load.on))
                }
                ActuatorKind::GeneratorRun => {
                    generator_order(self.decision.generator.state, self.decision.generator.command)
                }
            };
            let Some(order) = order else { continue };
            let dying = inverter_safe && matches!(spec.kind, ActuatorKind::InverterPower(_));
            let Some(actuator) = self.state.actuators.get_mut(usize::from(place)) else { continue };
            if self.config.policy.control == Control::Observe {
                continue;
            }
            if actuator.yields(now) {
                continue;
            }
            if spec.kind == ActuatorKind::GeneratorRun
                && self.decision.generator.state != GensetState::External
                && let Some(contact) = self.state.image.flag(self.config.wiring.generator.contact)
                && let Some(Order::Run(run)) = actuator.order()
            {
                actuator.shows(contact.value == run, contact.asked_at);
            }
            // Closing the contact is remembered first, so that no power cut makes it happen twice.
            let starts = order == Order::Run(true) && actuator.order() != Some(order);
            if starts && self.state.keeping.holds(now) {
                continue;
            }
            if let Some(command) = actuator.step(place, spec, order, !dying, lives, now) {
                let _full = self.outputs.commands.try_push(command);
            }
        }
    }

    /// Each PV inverter's part of the limit, by its rating. One that was never limited is left alone, and one that was
    /// is told when there is no limit any more.
    fn pv_order(&self, at: u8, place: u8) -> Option<Order> {
        let Some(limit) = self.decision.pv_limit else {
            // One that refused to be handed back is asked again, until nothing of ours can be left in it.
            let actuator = self.state.actuators.get(usize::from(place))?;
            let ours = matches!(actuator.order(), Some(Order::Limit(_))) || actuator.given_up();
            return ours.then_some(Order::Limit(None));
        };
        let wiring = &self.config.wiring;
        let rating = wiring.pv.get(usize::from(at)).map_or(Watts::ZERO, |pv| pv.rating);
        let all = i64::from(wiring.limited_rating().0).max(1);
        Some(Order::Limit(Some(limit.scaled(i64::from(rating.0), all))))
    }

    /// Releases setpoints by their recipes; the generator's contact is held.
    pub(super) fn leave(&mut self, now: Mono) {
        self.state.leaving = true;
        self.state.wake_at = Mono::NEVER;
        self.release(now);
    }

    /// Hands back what was ordered. A site that only observes has ordered nothing.
    pub(super) fn release(&mut self, now: Mono) {
        if self.config.policy.control == Control::Observe {
            return;
        }
        for (place, spec) in (0u8..).zip(&self.config.wiring.actuators) {
            let Some(actuator) = self.state.actuators.get_mut(usize::from(place)) else { continue };
            let ours = actuator.order().is_some();
            let order = match spec.kind {
                // What others depend on stays as it is; what ran on a surplus would run on for ever.
                ActuatorKind::GeneratorRun => None,
                ActuatorKind::Load(at) => {
                    let load = self.config.policy.loads.get(usize::from(at));
                    load.filter(|load| load.mode == LoadMode::Deferrable).map(|_| Order::Run(false))
                }
                ActuatorKind::InverterPower(_) | ActuatorKind::GridSetpoint | ActuatorKind::PvLimit(_) => {
                    Some(Order::Release)
                }
            };
            if let Some(order) = order.filter(|_| ours) {
                let _full = self.outputs.commands.try_push(actuator.send(place, order, Span::ZERO, now));
            }
        }
    }
}

/// The contact is told only while the command is ours to give.
fn generator_order(state: GensetState, command: bool) -> Option<Order> {
    match state {
        GensetState::Boot | GensetState::Local => None,
        GensetState::External
        | GensetState::Stopped
        | GensetState::Resting
        | GensetState::Starting
        | GensetState::CrankRest
        | GensetState::WarmUp
        | GensetState::Running
        | GensetState::CoolDown
        | GensetState::Stopping
        | GensetState::Lockout
        | GensetState::FuelStop => Some(Order::Run(command)),
    }
}
