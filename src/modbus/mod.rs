//! The wire: frames, one task per endpoint, and dialling.
//!
//! `frame`, `reply`, `pdu`, `schedule` and `desk` are pure. `tap` and `link` own one connection: nothing that is not the
//! exact answer to the request in flight gets past them, and whatever might leave the connection one answer behind
//! ends it. `endpoint` is the task per host and port that gives each device's session its turn. Nothing here
//! decides anything, and nothing here repeats an order by itself. What it survives is shown from outside, in
//! `tests/wattkeeper/faults`.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic)]

mod desk;
pub mod dial;
pub mod endpoint;
pub mod frame;
pub mod link;
pub mod pacer;
mod pdu;
mod reply;
pub mod schedule;
pub mod state;
mod tap;
