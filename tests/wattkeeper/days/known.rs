//! What the site was told, kept a second time, so that no check asks the product what it knew.

use wattkeeper::control::policy::{InverterSpec, Policy};
use wattkeeper::control::signal::SignalId;
use wattkeeper::control::site::{Input, Manual, OperatorOrder};
use wattkeeper::control::units::{Mono, Span, Wall};
use wattkeeper::control::wiring::{PowerWiring, Wiring};

use super::people::{Leased, Standing};

/// What operators ordered, and that a BMS was there: what no restart may forget.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    pub manual: Manual,
    manual_until: Option<Mono>,
    /// Automatic starts as ordered.
    pub auto: Option<bool>,
    pub bms_seen: bool,
    /// Orders for the battery.
    pub standing: Standing,
}

/// The newest word of each signal and of the operator.
pub struct Known {
    pub wiring: Wiring,
    pub policy: Policy,
    heard: Vec<Option<(Option<i64>, Mono)>>,
    pub told: Told,
    /// An acknowledgement since the last decision.
    pub acknowledged: bool,
    wall: Option<Wall>,
    island: Option<bool>,
    back_since: Option<Mono>,
    /// Leases of the plan.
    pub leased: Leased,
}

impl Known {
    pub fn new(wiring: &Wiring, policy: &Policy, signals: usize) -> Self {
        Self {
            wiring: wiring.clone(),
            policy: policy.clone(),
            heard: vec![None; signals],
            told: Told::default(),
            acknowledged: false,
            wall: None,
            island: None,
            back_since: None,
            leased: Leased::default(),
        }
    }

    pub fn signals(&self) -> usize {
        self.heard.len()
    }

    /// The local second of the day, while the clock is to be believed.
    pub fn second_of_day(&self) -> Option<i64> {
        let wall = self.wall.filter(|wall| wall.valid)?;
        Some((wall.utc + i64::from(wall.offset)).rem_euclid(86_400))
    }

    pub fn hear(&mut self, now: Mono, input: &Input) {
        match input {
            Input::Heard { signal, value, asked_at } => {
                let slot = &mut self.heard[usize::from(signal.0)];
                if slot.is_none_or(|(_, before)| *asked_at > before) {
                    *slot = Some((*value, *asked_at));
                }
            }
            Input::Reload(policy) => self.policy = (**policy).clone(),
            Input::Operator(OperatorOrder::Generator { manual, lasts }, _) => {
                self.told.manual = *manual;
                self.told.manual_until = lasts.map(|span| now + span);
            }
            Input::Operator(OperatorOrder::GeneratorAuto(auto), _) => self.told.auto = Some(*auto),
            Input::Operator(OperatorOrder::GeneratorAcknowledge, _) => self.acknowledged = true,
            Input::Operator(OperatorOrder::Battery(order), _) => self.told.standing.ordered(*order, now),
            Input::Lease(lease) => self.leased.leased(lease, now),
            Input::Overlay(_) | Input::Commission(_) => {}
            Input::Wall(wall) => self.wall = Some(*wall),
            Input::Due
            | Input::Wrote { .. }
            | Input::Foreign { .. }
            | Input::Stored(_)
            | Input::Noticed(..)
            | Input::Leaving => {}
        }
    }

    /// Time passes up to a decision.
    pub fn tick(&mut self, now: Mono) {
        let told = &mut self.told;
        if told.manual_until.is_some_and(|until| now >= until) {
            told.manual = Manual::Auto;
            told.manual_until = None;
        }
        let limits = [self.wiring.battery.charge_limit, self.wiring.battery.discharge_limit];
        self.told.bms_seen |= limits.into_iter().any(|id| self.reading(id).is_some());
        match self.reading(self.wiring.grid.present).map(|(value, _)| value != 0) {
            Some(false) => (self.island, self.back_since) = (Some(true), None),
            Some(true) if self.island == Some(true) => {
                (self.island, self.back_since) = (Some(false), Some(now))
            }
            _ => {}
        }
    }

    /// A value and its moment, when the newest word was a value.
    pub fn reading(&self, id: Option<SignalId>) -> Option<(i64, Mono)> {
        let (value, at) = self.heard[usize::from(id?.0)]?;
        // A word that no quantity can hold says nothing.
        value.filter(|value| clamp(*value) == *value).map(|value| (value, at))
    }

    /// A value no older than this.
    pub fn fresh(&self, id: Option<SignalId>, now: Mono, age: Span) -> Option<i64> {
        self.reading(id).filter(|(_, at)| now.since(*at) <= age).map(|(value, _)| value)
    }

    /// A power: its phases where all are known, else its total.
    pub fn power(&self, wired: &PowerWiring) -> Option<(i64, Mono)> {
        let phases: Vec<_> = wired.phase.iter().flatten().map(|id| self.reading(Some(*id))).collect();
        let all: Option<Vec<_>> = phases.iter().copied().collect();
        match all {
            Some(all) if !all.is_empty() => {
                let at = all.iter().map(|(_, at)| *at).min().unwrap();
                Some((
                    all.iter().map(|(value, _)| clamp(*value)).fold(0, |sum, value| clamp(sum + value)),
                    at,
                ))
            }
            _ => self.reading(wired.total),
        }
    }

    /// Whether the inverters carry the site, or the grid is not back for long enough.
    pub fn island(&self, now: Mono) -> bool {
        !self.policy.grid.connected
            || self.island == Some(true)
            || self.back_since.is_some_and(|since| now.since(since) < self.policy.grid.stable_for)
    }

    /// Load behind the inverters that the battery feeds beside what is ordered.
    pub fn load_out(&self, now: Mono) -> i64 {
        let recent = |at: &Mono| now.since(*at) <= self.policy.trust.inverter.safe;
        let rated = |spec: &InverterSpec| i64::from(spec.max_charge.0.max(spec.max_discharge.0));
        let most = 10 * self.wiring.inverters.iter().map(|wired| rated(&wired.spec)).sum::<i64>();
        let behind = self.power(&self.wiring.load_out).filter(|(value, _)| value.abs() <= most);
        behind.filter(|(_, at)| recent(at)).map_or(0, |(value, _)| value)
    }

    pub fn pv_dc(&self, now: Mono) -> i64 {
        self.fresh(self.wiring.pv_dc, now, self.policy.trust.pv.held).unwrap_or(0).max(0)
    }

    pub fn pv_ac(&self, now: Mono) -> i64 {
        let recent = |at: &Mono| now.since(*at) <= self.policy.trust.pv.held;
        let each = self.wiring.pv.iter().filter_map(|pv| self.power(&pv.power));
        each.filter(|(_, at)| recent(at)).map(|(value, _)| value).sum::<i64>().max(0)
    }

    /// The lowest charge the battery may hold by now, in 0.01 %; nothing when it is unknown.
    pub fn worst_soc(&self, now: Mono) -> Option<i64> {
        let (heard, at) =
            self.reading(self.wiring.battery.soc).filter(|(value, _)| (0..=10_000).contains(value))?;
        let (age, trust) = (now.since(at), &self.policy.trust.soc);
        if age > trust.safe {
            return None;
        }
        let Some(capacity) = self.policy.battery.capacity.filter(|_| age > trust.held) else {
            return (age <= trust.degraded).then_some(heard);
        };
        let assumed = i64::from(self.policy.authority.0);
        let power = self.reading(self.wiring.battery.power).map_or(assumed, |(value, _)| value).max(0);
        let lost = power as f64 * age.0 as f64 / 3_600_000.0 / capacity.0 as f64 * 10_000.0;
        Some((heard - lost as i64).max(0))
    }
}

fn clamp(value: i64) -> i64 {
    value.clamp(-i64::from(i32::MAX), i64::from(i32::MAX))
}
