//! All integration tests, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod alive;
mod bench_site;
mod commission;
mod corpus;
mod cost;
mod days;
mod faults;
mod fuzz;
mod kills;
mod loops;
mod readme;
mod rig;
mod scenarios;
mod store;
mod tidy;
