#![doc = include_str!("ARCHITECTURE.md")]

pub mod control;
pub mod device;
pub mod modbus;
<<<<<<< HEAD
pub mod scenario;
=======
pub mod plant;
>>>>>>> h/plant
