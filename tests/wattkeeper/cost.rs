//! What a decision may cost in allocations: nothing.

use wattkeeper::control::policy::{Outage, PlanSlot, Policy, ScheduleWindow, Steer};
use wattkeeper::control::site::Input;
use wattkeeper::control::units::{Mono, Soc, Span, Wall};
use wattkeeper::plant::physics::Params;

use crate::bench_site::Desk;

/// 2026-06-01 00:00 UTC.
const JUNE: i64 = 1_780_272_000;

#[track_caller]
fn allocates_nothing(change: impl FnOnce(&mut Policy)) {
    let mut desk = Desk::new(Params::default(), change);
    desk.run(30.0);
    let heard = desk.heard();
    let mut at = 60_000;
    let counted = allocation_counter::measure(|| {
        for step in 0..1_000 {
            at += 1_000;
            for (signal, value) in &heard {
                let value = Some(value + step % 50);
                desk.site.handle(Mono(at), &Input::Heard { signal: *signal, value, asked_at: Mono(at) });
            }
            let wall = Wall { utc: JUNE + at / 1_000, offset: 0, valid: true };
            desk.site.handle(Mono(at), &Input::Wall(wall));
            desk.site.handle(Mono(at), &Input::Due);
        }
    });
    assert_eq!(counted.count_total, 0, "{} allocations in 1000 decisions", counted.count_total);
}

#[test]
fn a_decision_allocates_nothing() {
    allocates_nothing(|_| {});
}

#[test]
fn a_decision_with_schedule_plan_and_outages_allocates_nothing() {
    let window = ScheduleWindow {
        days: 0b111_1111,
        start: 300,
        duration: Span::minutes(5),
        target: Soc::percent(80),
        allow_discharge: false,
    };
    let slot = PlanSlot { start: JUNE, duration: Span::minutes(60), steer: Steer::to(Soc::percent(70)) };
    let outage = Outage {
        start: JUNE + 900,
        duration: Span::minutes(5),
        prepare: Span::minutes(2),
        min_soc: Soc::percent(90),
    };
    allocates_nothing(|policy| {
        policy.schedule = vec![window; 4];
        policy.plan = vec![slot];
        policy.outage = vec![outage];
    });
}
