//! Policies tested like code: scenario files, their runner and their reports.
//!
//! A scenario file says what a site hears, what is true in a simulated plant, what people do, and what must come
//! out of it. [`run_files`] plays each file twice against the same `control::site::Site` that runs live: what
//! differs between the two fails. Nothing here decides anything, and an expectation about something that does
//! not exist is a mistake at its line, never silently true.

pub mod compare;
pub(crate) mod format;
pub mod judge;
pub mod measure;
pub mod report;
mod run;
pub(crate) mod timeline;
mod world;

#[cfg(test)]
mod tests;

pub use report::{CaseResult, Summary, Verdict};
pub use run::{Options, Progress, run_file, run_files, run_text};
