//! The wire misbehaves; the values stay right.

mod endpoint;
mod fake;
mod isolation;
mod kinds;
mod link;
mod network;
mod protocol;
mod running;
mod serial;
mod wire;
