//! The faces of the site: page, API and metrics, on a runtime and thread of their own.
//!
//! Services see [`published`] values only, and answer; what changes the site goes through one bounded inbox, with the
//! operator's token. A slow scrape, a stuck browser or a hostile client costs this thread's time and a bounded number of
//! connections, never the control loop's.

pub mod explain;
mod format;
mod http;
pub mod inbox;
mod metrics;
pub mod orders;
pub mod overlays;
mod page;
pub mod plans;
mod process;
pub mod published;
pub mod table;
mod view;

#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;

pub use http::{Face, Handle, StartError, start};
pub use process::stand_back;
