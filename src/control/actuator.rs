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
/// What a device has accepted must show this soon.
const SHOWN_WITHIN: Span = Span::secs(3);
/// No answer for this long counts as a failure: the endpoint itself may be stuck.
const ANSWER_WITHIN: Span = Span::secs(10);
/// Somebody else's word in our registers counts when it comes twice within this time.
const FOREIGN_TWICE: Span = Span::secs(60);
/// Then they are left alone this long: two controllers that take turns are worse than either.
const YIELD: Span = Span::secs(300);
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
    /// How often in a row what is heard denied what the device had accepted.
    denied: u8,
    writes: u32,
    /// When somebody else's word was last seen in its registers.
    foreign_at: Option<Mono>,
    yields_until: Option<Mono>,
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
        self.failures >= ATTEMPTS || self.denied >= ATTEMPTS
    }

    /// What the device shows of the order in force, as of `asked_at`. Accepted and not done is as bad as refused.
    pub fn shows(&mut self, done: bool, asked_at: Mono) {
        if done {
            self.denied = 0;
        } else if self.progress == Progress::Acknowledged && asked_at.since(self.sent_at) >= SHOWN_WITHIN {
            self.denied = self.denied.saturating_add(1);
            self.progress = Progress::Failed;
        }
    }

    /// Somebody else's word stands in its registers. True when that makes it yield from now on.
    pub fn foreign(&mut self, now: Mono) -> bool {
        let again = self.foreign_at.replace(now).is_some_and(|before| now.since(before) <= FOREIGN_TWICE);
        let news = again && !self.yields(now);
        if again {
            self.yields_until = Some(now + YIELD);
        }
        news
    }

    /// Whether it leaves its registers to somebody else.
    #[must_use]
    pub fn yields(&self, now: Mono) -> bool {
        self.yields_until.is_some_and(|until| now < until)
    }

    /// The command that the decision at `now` calls for, if any. `refresh` says whether an unchanged order
    /// may be repeated: not when it should die with the device's watchdog. Not to be written after `lives`.
    pub fn step(
        &mut self,
        place: u8,
        spec: &ActuatorSpec,
        wanted: Order,
        refresh: bool,
        lives: Span,
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
        due.then(|| self.send(place, wanted, lives, now))
    }

    /// A command regardless of what is in force.
    pub fn send(&mut self, place: u8, order: Order, lives: Span, now: Mono) -> Command {
        self.seq = self.seq.wrapping_add(1);
        self.last = Some(order);
        self.sent_at = now;
        self.progress = Progress::Ordered;
        self.writes = self.writes.saturating_add(1);
        let expires = now + if order == Order::Release { RELEASE_EXPIRES } else { lives };
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

    const LIVES: Span = Span::secs(2);

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
                let command = actuator.step(0, &spec(), order, true, LIVES, at(*second));
                if let Some(command) = command {
                    actuator.answered(command.seq, Outcome::Acknowledged);
                }
                command.is_some()
            })
            .collect();
        assert_eq!(written, [0, 3, 5, 8]);
    }

    #[test]
    fn d15_an_order_refused_five_times_is_given_up_and_tried_every_half_minute() {
        let mut actuator = Actuator::default();
        let order = Order::Setpoint(Watts(50));
        let mut tries = Vec::new();
        for second in 0..70 {
            if let Some(command) = actuator.step(0, &spec(), order, true, LIVES, at(second)) {
                tries.push(second);
                actuator.answered(command.seq, Outcome::Refused(10));
            }
        }
        assert_eq!(tries, [0, 1, 2, 3, 4, 34, 64]);
        assert!(actuator.given_up());
        let command = actuator.step(0, &spec(), order, true, LIVES, at(94)).unwrap();
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
            if let Some(command) = actuator.step(0, &spec(), orders(quarter), true, LIVES, now) {
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
        assert_eq!(actuator.send(0, Order::Setpoint(Watts(1)), LIVES, now).expires, now + LIVES);
        assert_eq!(actuator.send(0, Order::Release, LIVES, now).expires, now + Span::secs(60));
    }

    #[test]
    fn m1_a_strange_word_twice_within_a_minute_is_yielded_to_for_five() {
        let mut actuator = Actuator::default();
        assert!(!actuator.foreign(at(10)));
        assert!(!actuator.foreign(at(80)), "once a minute or less is nobody's habit");
        assert!(!actuator.yields(at(80)));
        assert!(actuator.foreign(at(100)));
        assert!(actuator.yields(at(399)));
        assert!(!actuator.foreign(at(150)), "it yields already: that is no news");
        assert!(actuator.yields(at(449)) && !actuator.yields(at(450)));
    }
}
