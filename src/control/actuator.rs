//! Orders on their way: ordered, acknowledged, confirmed, due for a refresh, given up.
//!
//! ```text
//!   wanted changes, or refresh due        device says yes         read back agrees
//!  ---------------------------> ordered ------------------> acknowledged ----------> confirmed
//!                                 | refused, failed, contradicted: again after a second,
//!                                 v after five in a row given up: alarm, and once every 30 s
//! ```
//!
//! An order that asks for less than the one before it waits for neither: the device may still hold that one.

use serde::{Deserialize, Serialize};

use super::input::{Command, Order, Outcome};
use super::units::{Mono, Span, Watts};
use super::wiring::ActuatorSpec;

/// Failures in a row after which an order is given up.
const ATTEMPTS: u8 = 5;
/// How soon a failed order is tried again: a hiccup of the line must not use up all attempts.
const AGAIN: Span = Span::secs(1);
/// How often a given-up order is tried again.
const RETRY: Span = Span::secs(30);
/// No answer for this long counts as a failure: the endpoint itself may be stuck.
const ANSWER_WITHIN: Span = Span::secs(10);
/// An order not written within this time is not written at all.
const EXPIRES: Span = Span::secs(3);
/// A release is never wrong, however late: what was set up must be put back.
const RELEASE_EXPIRES: Span = Span::secs(60);

/// How far an order has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// Nothing ordered.
    #[default]
    Idle,
    /// On its way.
    Ordered,
    /// Accepted by the device.
    Acknowledged,
    /// Refused, lost or contradicted; will be tried again.
    Failed,
}

/// What is remembered of one actuator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actuator {
    last: Option<Order>,
    seq: u32,
    sent_at: Mono,
    progress: Progress,
    failures: u8,
    writes: u32,
}

impl Actuator {
    /// The order in force.
    #[must_use]
    pub fn order(&self) -> Option<Order> {
        self.last
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Commands sent since the start.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.writes
    }

    /// Whether the device refused or contradicted too often.
    #[must_use]
    pub fn given_up(&self) -> bool {
        self.failures >= ATTEMPTS
    }

    /// The command that the decision at `now` calls for, if any. `refresh` says whether an unchanged order
    /// may be repeated: not when it should die with the device's watchdog.
    pub fn step(
        &mut self,
        place: u8,
        spec: &ActuatorSpec,
        wanted: Order,
        refresh: bool,
        now: Mono,
    ) -> Option<Command> {
        if self.progress == Progress::Ordered && now.since(self.sent_at) > ANSWER_WITHIN {
            self.failed();
        }
        let since = now.since(self.sent_at);
        let due = match self.progress {
            Progress::Failed if self.last.is_some_and(|last| calms(last, wanted)) => true,
            Progress::Failed if self.given_up() => since >= RETRY,
            Progress::Failed => since >= AGAIN,
            Progress::Idle | Progress::Ordered | Progress::Acknowledged => {
                self.last != Some(wanted) || (refresh && spec.refresh.is_some_and(|period| since >= period))
            }
        };
        due.then(|| self.send(place, wanted, now))
    }

    /// A command regardless of what is in force.
    pub fn send(&mut self, place: u8, order: Order, now: Mono) -> Command {
        self.seq = self.seq.wrapping_add(1);
        self.last = Some(order);
        self.sent_at = now;
        self.progress = Progress::Ordered;
        self.writes = self.writes.saturating_add(1);
        let expires = now + if order == Order::Release { RELEASE_EXPIRES } else { EXPIRES };
        Command { actuator: place, order, seq: self.seq, expires }
    }

    /// The device's answer. Answers to older commands say nothing about the one in force.
    pub fn answered(&mut self, seq: u32, outcome: Outcome) {
        if seq != self.seq {
            return;
        }
        match outcome {
            Outcome::Acknowledged => {
                self.progress = Progress::Acknowledged;
                self.failures = 0;
            }
            Outcome::Refused(_) | Outcome::Failed | Outcome::Contradicted => self.failed(),
        }
    }

    fn failed(&mut self) {
        self.progress = Progress::Failed;
        self.failures = self.failures.saturating_add(1);
    }
}

/// Whether an order stops what the one before it asked for. Only full stops count: powers move with every decision.
fn calms(before: Order, wanted: Order) -> bool {
    match (before, wanted) {
        (Order::Power(before), Order::Power(wanted)) => {
            let off = |phases: [Watts; 3]| phases == [Watts::ZERO; 3];
            off(wanted) && !off(before)
        }
        (Order::Run(before), Order::Run(wanted)) => before && !wanted,
        (Order::Limit(before), Order::Limit(Some(wanted))) => before.is_none_or(|before| wanted < before),
        (_, Order::Release) => before != Order::Release,
        (
            Order::Power(_) | Order::Setpoint(_) | Order::Limit(_) | Order::Run(_) | Order::Release,
            Order::Power(_) | Order::Setpoint(_) | Order::Limit(_) | Order::Run(_),
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wiring::ActuatorKind;

    fn spec() -> ActuatorSpec {
        ActuatorSpec {
            device: "gx".to_owned(),
            kind: ActuatorKind::GridSetpoint,
            refresh: Some(Span::secs(3)),
            watchdog: Some(Span::secs(10)),
            readback: None,
        }
    }

    fn at(second: i64) -> Mono {
        Mono::ZERO + Span::secs(second)
    }

    #[test]
    fn an_order_is_written_on_change_and_repeated_only_when_its_refresh_is_due() {
        let mut actuator = Actuator::default();
        let written: Vec<i64> = (0..10)
            .filter(|second| {
                let order = Order::Setpoint(Watts(if *second < 5 { 50 } else { 70 }));
                let command = actuator.step(0, &spec(), order, true, at(*second));
                if let Some(command) = command {
                    actuator.answered(command.seq, Outcome::Acknowledged);
                }
                command.is_some()
            })
            .collect();
        assert_eq!(written, [0, 3, 5, 8]);
    }

    #[test]
    fn an_order_refused_five_times_is_given_up_and_tried_every_half_minute() {
        let mut actuator = Actuator::default();
        let order = Order::Setpoint(Watts(50));
        let mut tries = Vec::new();
        for second in 0..70 {
            if let Some(command) = actuator.step(0, &spec(), order, true, at(second)) {
                tries.push(second);
                actuator.answered(command.seq, Outcome::Refused(10));
            }
        }
        assert_eq!(tries, [0, 1, 2, 3, 4, 34, 64]);
        assert!(actuator.given_up());
        let command = actuator.step(0, &spec(), order, true, at(94)).unwrap();
        actuator.answered(command.seq.wrapping_sub(1), Outcome::Acknowledged);
        assert!(actuator.given_up(), "an answer to an older command changes nothing");
        actuator.answered(command.seq, Outcome::Acknowledged);
        assert!(!actuator.given_up());
    }

    /// When it is tried within so many quarter seconds, each try in vain; in quarter seconds.
    fn tries(orders: impl Fn(i64) -> Order, quarters: i64) -> Vec<i64> {
        let mut actuator = Actuator::default();
        let mut tries = Vec::new();
        for quarter in 0..quarters {
            let now = Mono::ZERO + Span::millis(quarter.saturating_mul(250));
            if let Some(command) = actuator.step(0, &spec(), orders(quarter), true, now) {
                tries.push(quarter);
                actuator.answered(command.seq, Outcome::Failed);
            }
        }
        tries
    }

    #[test]
    fn a_hiccup_of_a_second_does_not_use_up_the_attempts_while_a_ramp_decides_four_times_a_second() {
        let ramp = |quarter: i64| Order::Power([Watts::saturated(quarter), Watts::ZERO, Watts::ZERO]);
        assert_eq!(tries(ramp, 24), [0, 4, 8, 12, 16]);
    }

    #[test]
    fn a_stop_is_tried_at_once_although_the_order_before_it_was_given_up() {
        let stop = |quarter: i64| Order::Run(quarter < 40);
        assert_eq!(tries(stop, 60), [0, 4, 8, 12, 16, 40]);
        let off = |quarter: i64| {
            Order::Power([Watts(if quarter < 40 { 1_000 } else { 0 }), Watts::ZERO, Watts::ZERO])
        };
        assert_eq!(tries(off, 60), [0, 4, 8, 12, 16, 40]);
    }

    #[test]
    fn a_release_outlives_a_line_that_is_busy() {
        let now = at(100);
        let mut actuator = Actuator::default();
        assert_eq!(actuator.send(0, Order::Setpoint(Watts(1)), now).expires, now + Span::secs(3));
        assert_eq!(actuator.send(0, Order::Release, now).expires, now + Span::secs(60));
    }
}
