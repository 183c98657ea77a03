//! The battery's side of a decision: the guard of the minimum SoC and the limits of BMS, voltage and temperature.

pub mod adaptive;
pub mod charge;
pub mod guard;
pub mod limits;
