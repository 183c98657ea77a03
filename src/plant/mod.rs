//! The simulated site: what is true (physics), and fake devices that tell it over Modbus and can misbehave.
//!
//! Nothing here decides anything. The physics are pure: no clock, no socket, and the same seed gives the same
//! site bit for bit. Floats are allowed in this room, because truth has no fixed point; what leaves it goes
//! through the words of a device definition.

pub mod fake;
pub mod physics;
#[cfg(test)]
mod session_tests;
pub mod site;
#[cfg(test)]
mod site_tests;

pub use physics::{Measured, Named, Plant, SetError};
