#![doc = include_str!("ARCHITECTURE.md")]

pub mod control;
pub mod device;
pub mod modbus;
pub mod plant;
pub mod profile;
pub mod scenario;
pub mod services;
