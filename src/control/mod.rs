//! The pure half: what the site should do now, given what it knows, and why.
//!
//! Nothing here reads a clock, opens a socket, takes a lock, holds a float or waits. Time is an argument,
//! silence is information, and the same inputs give the same decisions bit for bit, wherever they run.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]

pub mod actuator;
pub mod balance;
pub mod battery;
pub mod commission;
pub mod curtail;
pub mod decide;
pub mod decision;
pub mod genset;
pub mod history;
pub mod image;
pub mod input;
pub mod keepsake;
pub mod ladder;
pub mod ledger;
pub mod loads;
pub mod orders;
pub mod outlook;
pub mod overlays;
pub mod policy;
pub mod precedence;
pub mod reading;
pub mod reason;
pub mod regulator;
pub mod schedule;
pub mod senses;
pub mod share;
pub mod signal;
pub mod site;
#[cfg(test)]
mod tests;
pub mod units;
pub mod wiring;
