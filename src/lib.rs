#![doc = include_str!("ARCHITECTURE.md")]

pub mod cli;
pub mod control;
pub mod daemon;
pub mod device;
pub mod modbus;
pub mod plant;
pub mod profile;
pub mod scenario;
pub mod services;
pub mod store;
