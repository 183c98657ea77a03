//! The wire misbehaves; the values stay right.

mod endpoint;
mod fake;
mod link;
mod protocol;
mod serial;
