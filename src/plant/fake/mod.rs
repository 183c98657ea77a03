//! Fake devices: they speak Modbus through their own definitions, over TCP or an in-memory pipe, do in the plant
//! what they are told, and misbehave on request.
//!
//! They are strict: a function that the definition does not use is exception 1, an address that it does not list
//! is exception 2 for the whole block, also between listed ones, and so is writing what is read only.

mod chain;
mod controls;
mod device;
mod memory;
mod misbehave;
mod server;
mod signals;
#[cfg(test)]
mod tests;
mod wire;
mod world;

pub use device::{FakeDevice, Written};
pub use misbehave::Misbehaviour;
pub use server::{converse, listen};
pub use world::{Reply, Shared, World, open};
