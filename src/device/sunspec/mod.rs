//! SunSpec: addresses that a device tells by itself.

pub mod models;
