//! The devices as takers of orders: they hold what they were told until their own watchdog forgets it.

use crate::control::input::{Command, Order};
use crate::control::units::{Mono, Span, Watts};
use crate::control::wiring::{ActuatorKind, Wiring};

/// What each actuator was told last.
#[derive(Clone, Debug)]
pub(crate) struct Devices {
    wiring: Wiring,
    held: Vec<Option<(Order, Mono)>>,
    /// The simulated inverter has a watchdog of its own.
    inverter_watchdog: Option<Span>,
    writes: u32,
    /// Places of the actuators whose orders go to memory that wears.
    wearing: Vec<usize>,
    wearing_writes: u32,
}

impl Devices {
    /// Nothing was told yet. `wearing` names the actuators whose orders go to memory that wears.
    pub(crate) fn new(wiring: &Wiring, inverter_watchdog: Option<Span>, wearing: Vec<usize>) -> Self {
        let held = vec![None; wiring.actuators.len()];
        Self { wiring: wiring.clone(), held, inverter_watchdog, writes: 0, wearing, wearing_writes: 0 }
    }

    pub(crate) fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// A command arrives.
    pub(crate) fn take(&mut self, command: &Command, now: Mono) {
        self.writes = self.writes.saturating_add(1);
        if self.wearing.contains(&usize::from(command.actuator)) {
            self.wearing_writes = self.wearing_writes.saturating_add(1);
        }
        if let Some(held) = self.held.get_mut(usize::from(command.actuator)) {
            *held = match command.order {
                Order::Release => None,
                order @ (Order::Power(_) | Order::Setpoint(_) | Order::Limit(_) | Order::Run(_)) => {
                    Some((order, now))
                }
            };
        }
    }

    /// Devices that heard nothing for too long fall back by themselves.
    pub(crate) fn fall_back(&mut self, now: Mono) {
        for (held, spec) in self.held.iter_mut().zip(&self.wiring.actuators) {
            let own = match spec.kind {
                ActuatorKind::InverterPower(_) => self.inverter_watchdog,
                ActuatorKind::GridSetpoint
                | ActuatorKind::PvLimit(_)
                | ActuatorKind::GeneratorRun
                | ActuatorKind::Load(_) => None,
            };
            let watchdog = own.or(spec.watchdog).filter(|watchdog| *watchdog > Span::ZERO);
            let silent = held.map_or(Span::ZERO, |(_, at)| now.since(at));
            if watchdog.is_some_and(|watchdog| silent >= watchdog) {
                *held = None;
            }
        }
    }

    /// Writes so far.
    pub(crate) fn writes(&self) -> u32 {
        self.writes
    }

    /// Writes so far to memory that wears.
    pub(crate) fn wearing_writes(&self) -> u32 {
        self.wearing_writes
    }

    /// What the first actuator of a kind holds; the outer `None` when there is no such actuator.
    pub(crate) fn holds(&self, kind: ActuatorKind) -> Option<Option<Order>> {
        let place = self.wiring.actuators.iter().position(|spec| spec.kind == kind)?;
        self.held.get(place).map(|held| held.map(|(order, _)| order))
    }

    /// Whether the generator's start contact is closed; `None` when there is none.
    pub(crate) fn contact(&self) -> Option<bool> {
        self.holds(ActuatorKind::GeneratorRun).map(|held| held == Some(Order::Run(true)))
    }

    /// Power that an inverter was told, per phase; zero where it fell back to pass-through.
    pub(crate) fn inverter(&self, index: usize) -> Option<[Watts; 3]> {
        let kind = ActuatorKind::InverterPower(u8::try_from(index).ok()?);
        match self.holds(kind)? {
            Some(Order::Power(power)) => Some(power),
            Some(Order::Setpoint(_) | Order::Limit(_) | Order::Run(_) | Order::Release) | None => {
                Some([Watts::ZERO; 3])
            }
        }
    }
}
