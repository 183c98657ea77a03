#![doc = include_str!("ARCHITECTURE.md")]

pub mod cli;
pub mod control;
pub mod device;
pub mod modbus;
pub mod profile;
