//! The wire misbehaves; the values stay right.
#![allow(clippy::arithmetic_side_effects)]

mod endpoint;
mod faults;
mod link;
mod rig;
mod serial;
