//! The wire: frames, one task per endpoint, and dialling.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic)]

pub mod frame;
