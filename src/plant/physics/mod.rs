//! The physics: one model of battery, inverters, PV, loads, grid and generator, at two resolutions.
//!
//! [`Plant::step`] is for steps of 50 ms and knows dead times, lags and slew rates; loops are judged by it.
//! [`Plant::step_steady`] is for steps of a second and lets the inverter reach its order within the step; days
//! and years are made of it. Both draw their chance once per whole simulated second, so the same seed gives
//! both the same weather and the same kettles.
//!
//! Signs are the site's: what feeds the bus is positive. The balance `load = grid + pv + generator +
//! inverter.ac` holds after every step.

mod balance;
mod battery;
mod chance;
mod flows;
mod generator;
mod house;
mod inverter;
mod meter;
mod names;
mod params;
mod plant;
mod sky;
#[cfg(test)]
mod tests;

pub use flows::Flows;
pub use names::{Named, SetError};
pub use params::Params;
pub use plant::{Measured, Plant};

/// One value per phase, L1 to L3.
pub type Three = [f64; 3];

/// The sum over the phases.
#[must_use]
pub fn total(phases: Three) -> f64 {
    phases[0] + phases[1] + phases[2]
}

/// Phase by phase.
fn zip(a: Three, b: Three, f: impl Fn(f64, f64) -> f64) -> Three {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2])]
}
