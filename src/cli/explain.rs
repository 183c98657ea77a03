//! `wattkeeper explain`: the ladder now, in words.

use std::process::ExitCode;

use super::client::{self, DaemonArgs};

const EXPLAIN: &str = "/api/v1/explain";

/// Explain the order in force: the ladder now, in words, with the one reason that binds
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let answer = if args.json {
        client::get::<serde_json::Value>(args.daemon.daemon, EXPLAIN).map(|value| format!("{value:#}\n"))
    } else {
        client::get_text(args.daemon.daemon, EXPLAIN)
    };
    match answer {
        Ok(text) => print!("{text}"),
        Err(error) => return super::problem(error),
    }
    ExitCode::SUCCESS
}
