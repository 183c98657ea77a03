//! The closed loop: the simulated plant takes the orders, and what it measures is heard.

use crate::control::input::{Command, Order};
use crate::control::signal::{Phase, Quantity, Signal};
use crate::control::units::{Mono, Span};
use crate::control::wiring::{ActuatorKind, Wiring};
use crate::device::mistake::Mistake;
use crate::plant::Plant;
use crate::plant::physics::Params;

use super::super::format::value::{Chance, Source};
use super::super::format::words;
use super::super::format::{Case, Given};
use super::devices::Devices;

/// Longest stretch that the plant passes at once.
const STEP: Span = Span::millis(50);

/// A value of the plant that was told, and how it moves.
#[derive(Clone, Debug)]
struct Told {
    name: String,
    source: Source,
    started: Mono,
    from: f64,
}

/// The plant and what it was told.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    plant: Plant,
    told: Vec<Told>,
    chance: Chance,
}

impl Loop {
    /// A plant with the case's parameters, at rest.
    pub(crate) fn new(case: &Case, told: &[Given]) -> Result<Self, Vec<Mistake>> {
        let mut closed = Self {
            plant: Plant::new(Params::default(), case.seed),
            told: Vec::new(),
            // Not the series of what is given: both would move together.
            chance: Chance::new(case.seed ^ 0x5eed),
        };
        let hour = f64::from(case.clock.hour()) + f64::from(case.clock.minute()) / 60.0;
        let started = closed.plant.set("start", hour);
        debug_assert!(started.is_ok(), "every hour of the day lies in the range");
        closed.tell(case, told, Mono::ZERO)?;
        closed.plant.settle();
        Ok(closed)
    }

    /// Changes what is true. All mistakes at once.
    pub(crate) fn tell(&mut self, case: &Case, given: &[Given], now: Mono) -> Result<(), Vec<Mistake>> {
        let mut wrong = Vec::new();
        for given in given {
            let from = self.plant.get(&given.pattern).unwrap_or(0.0);
            let told = Told { name: given.pattern.clone(), source: given.source.clone(), started: now, from };
            let value = told.source.value(now, now, from, &mut self.chance).flatten().unwrap_or(from);
            if let Err(error) = self.plant.set(&told.name, value) {
                let near = Plant::names().map(|named| named.name);
                let way_out = match words::nearest(&given.pattern, near) {
                    Some(near) if near != given.pattern => format!("did you mean {near:?}?"),
                    _ => "choose a name and a value that the simulated plant knows".to_owned(),
                };
                wrong.push(Mistake {
                    file: case.file.clone(),
                    line: given.line,
                    key: given.pattern.clone(),
                    cause: error.to_string(),
                    way_out,
                });
            }
            self.told.retain(|known| known.name != told.name);
            if matches!(told.source, Source::Ramp { .. } | Source::Noise { .. } | Source::Csv(_)) {
                self.told.push(told);
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Lets time pass.
    pub(crate) fn advance(&mut self, from: Mono, to: Mono) {
        for told in &self.told {
            if let Some(Some(value)) = told.source.value(to, told.started, told.from, &mut self.chance) {
                // A ramp's ends were accepted when it was told; noise that leaves the range stays where it was.
                let _outside = self.plant.set(&told.name, value);
            }
        }
        let mut left = to.since(from);
        while left > Span::ZERO {
            let step = left.min(STEP);
            #[expect(clippy::cast_precision_loss, reason = "at most 50")]
            self.plant.step(step.0 as f64 / 1_000.0);
            left -= step;
        }
    }

    /// Takes an order.
    pub(crate) fn order(&mut self, command: &Command, wiring: &Wiring) {
        let Some(spec) = wiring.actuators.get(usize::from(command.actuator)) else { return };
        match (spec.kind, command.order) {
            (ActuatorKind::InverterPower(index), Order::Power(power)) => {
                let power = power.map(|phase| f64::from(phase.0));
                self.plant.order_one_inverter(usize::from(index), Some(power));
            }
            (ActuatorKind::InverterPower(index), Order::Release) => {
                self.plant.order_one_inverter(usize::from(index), None);
            }
            (ActuatorKind::PvLimit(_), Order::Limit(limit)) => {
                self.plant.limit_pv(limit.map(|limit| f64::from(limit.0)));
            }
            (ActuatorKind::PvLimit(_), Order::Release) => self.plant.limit_pv(None),
            (ActuatorKind::GeneratorRun, Order::Run(run)) => self.plant.set_contact(run),
            // The simulated inverter has no grid setpoint of its own; the rest are no orders of these kinds.
            (
                ActuatorKind::GridSetpoint
                | ActuatorKind::InverterPower(_)
                | ActuatorKind::PvLimit(_)
                | ActuatorKind::GeneratorRun
                | ActuatorKind::Load(_),
                _,
            ) => {}
        }
    }

    /// After this long without an order the inverter passes through.
    pub(crate) fn inverter_watchdog(&self) -> Span {
        #[expect(clippy::cast_possible_truncation, reason = "at most an hour")]
        Span((self.plant.params().inverter_watchdog * 1_000.0) as i64)
    }

    /// The truth, or a parameter.
    pub(crate) fn truth(&self, name: &str) -> Option<f64> {
        self.plant.get(name)
    }

    /// What a device would say now of a signal; `None` when no simulated device measures it.
    pub(crate) fn measured(&self, signal: &Signal, wiring: &Wiring, devices: &Devices) -> Option<f64> {
        let place = |name: &str| wiring.inverters.iter().position(|wired| wired.spec.name == *name);
        let index = signal.device.as_deref().and_then(place).unwrap_or(0);
        let phase = match signal.phase {
            Phase::Total => None,
            Phase::L1 => Some(0),
            Phase::L2 => Some(1),
            Phase::L3 => Some(2),
        };
        let of = |phases: [f64; 3]| phase.map_or(phases.iter().sum(), |at: usize| phases[at]);
        match signal.quantity {
            Quantity::InverterPower if wiring.inverters.len() > 1 => {
                Some(of(self.plant.inverter_power(index)))
            }
            Quantity::InverterSetpoint => {
                devices.inverter(index).map(|power| of(power.map(|phase| f64::from(phase.0))))
            }
            Quantity::InverterSustain | Quantity::InverterOverload | Quantity::InverterOverheat => Some(0.0),
            Quantity::PvPower if wiring.pv.len() > 1 => {
                let name = format!("pv.power{}", signal.phase.suffix());
                #[expect(clippy::cast_precision_loss, reason = "at most 16")]
                let share = wiring.pv.len() as f64;
                self.plant.measured(&name).map(|measured| measured.value / share)
            }
            Quantity::PvLimit => self.plant.pv_limit(),
            Quantity::PvRating => self.plant.get("pv.peak"),
            Quantity::GeneratorMode => Some(1.0),
            quantity => {
                let name = format!("{}{}", quantity.name(), signal.phase.suffix());
                self.plant.measured(&name).map(|measured| measured.value)
            }
        }
    }
}
