//! The world that a case is played in: the real site, what it hears, and the devices that take its orders.
pub(crate) mod feed;
