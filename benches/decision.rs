//! What one decision costs: `cargo bench --bench decision`.
//!
//! The whole door is measured: six heard values and one decision per simulated second, on a site with one battery
//! and one inverter, without the plant. The rival in the same run is a step of plain arithmetic with the same inputs
//! (load less setpoint, clamped), the least that any controller does.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/wattkeeper/bench_site.rs"]
#[allow(dead_code)]
mod bench_site;

use std::hint::black_box;
use std::time::Instant;

use wattkeeper::control::site::Input;
use wattkeeper::control::units::Mono;
use wattkeeper::plant::physics::Params;

/// `WATTKEEPER_STEPS` shortens a round, for counting instructions under valgrind.
fn steps() -> i64 {
    std::env::var("WATTKEEPER_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(1_000_000)
}

fn main() {
    let steps = steps();
    let mut desk = bench_site::Desk::new(Params::default(), |_| {});
    desk.run(10.0);
    let heard = desk.heard();
    let mut site = desk.site;
    let mut at = 100_000;
    let mut timed = |decide: bool| {
        let started = Instant::now();
        for step in 0..steps {
            at += 1_000;
            for (signal, value) in &heard {
                let value = Some(value + step % 7);
                black_box(
                    site.handle(Mono(at), &Input::Heard { signal: *signal, value, asked_at: Mono(at) }),
                );
            }
            if decide {
                black_box(&site.handle(Mono(at), &Input::Due));
            }
        }
        started.elapsed().as_nanos() as f64 / steps as f64
    };
    for round in 1..=3 {
        let hearing = timed(false);
        let both = timed(true);
        let rival = rival(&heard.iter().map(|(_, value)| *value).collect::<Vec<_>>(), steps);
        let decision = both - hearing;
        println!(
            "round {round}: hearing 6 values {hearing:.0} ns, decision {decision:.0} ns, plain arithmetic {rival:.1} ns, ratio {:.0}",
            decision / rival
        );
    }
}

/// The least that any controller does with the same numbers.
fn rival(values: &[i64], steps: i64) -> f64 {
    let started = Instant::now();
    let mut order = 0_i64;
    for step in 0..steps {
        let load = black_box(values[0] + step % 7) + black_box(values[1]);
        order = (order + load - black_box(0)).clamp(black_box(-5_000), black_box(5_000));
        black_box(order);
    }
    started.elapsed().as_nanos() as f64 / steps as f64
}
