//! Device knowledge, pure: what a definition says, how words become values, which requests are due, and how an
//! order becomes writes. Nothing here opens a socket or reads a clock.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic)]

pub mod codec;
pub mod decimal;
pub mod definition;
pub mod exchange;
pub mod library;
pub mod mistake;
pub mod order;
pub mod quirk;
pub mod recipe;
pub mod sunspec;
pub mod words;
