//! What a decision may cost in allocations: nothing.

use wattkeeper::control::site::Input;
use wattkeeper::control::units::Mono;
use wattkeeper::plant::physics::Params;

use crate::bench_site::Desk;

#[test]
fn a_decision_allocates_nothing() {
    let mut desk = Desk::new(Params::default(), |_| {});
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
            desk.site.handle(Mono(at), &Input::Due);
        }
    });
    assert_eq!(counted.count_total, 0, "{} allocations in 1000 decisions", counted.count_total);
}
