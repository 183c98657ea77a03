//! Policies tested like code: scenario files, their runner and their reports.
pub mod compare;
pub(crate) mod format;
pub mod judge;
pub mod measure;
pub mod report;
pub(crate) mod timeline;
pub(crate) mod world;
