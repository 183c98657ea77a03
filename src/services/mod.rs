//! The faces of the site: page, API and metrics, on a runtime and thread of their own.
//!
//! Services see [`published`] values only, and answer; nothing here changes the site. A slow scrape, a stuck
//! browser or a hostile client costs this thread's time and a bounded number of connections, never the control loop's.

pub mod explain;
mod format;
mod http;
mod metrics;
mod page;
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
