//! The command line: one file per subcommand.
//!
//! Commands that ask talk to the running daemon over loopback HTTP. Exit codes: 0 done, 1 found a problem, 2 used
//! wrongly, 75 another instance is running, 78 profile refused by `run`.

mod check;
mod client;
mod commission;
mod demo;
mod devices;
mod explain;
mod live;
mod order;
mod plant;
mod profile_args;
mod read;
mod run;
mod status;
mod test;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub use client::decoded;
pub use status::text as status_text;

/// Keeps the lights on: battery, generator and grid connection, over Modbus TCP
#[derive(Debug, Parser)]
#[command(
    name = "wattkeeper",
    version,
    max_term_width = 100,
    after_help = "Start with `wattkeeper demo` and open the address it prints."
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Demo(demo::Args),
    Check(check::Args),
    Test(test::Args),
    Plant(plant::Args),
    Status(status::Args),
    Explain(explain::Args),
    Commission(commission::Args),
    Hold(order::Hold),
    Charge(order::Charge),
    Discharge(order::Discharge),
    Set(order::Set),
    Overlay(order::Overlay),
    Release(order::Release),
    Generator(order::Generator),
    Token(order::Token),
    Read(read::Args),
    Devices(devices::Args),
}

/// Exit code: a problem was found.
const PROBLEM: u8 = 1;
/// Exit code: the command line makes no sense.
const USED_WRONGLY: u8 = 2;
/// Exit code: another instance works on the same state.
const BUSY: u8 = 75;
/// Exit code: the profile was refused by `run`.
const REFUSED: u8 = 78;

/// The whole command line, for whoever wants to list or check it.
#[must_use]
pub fn command() -> clap::Command {
    Args::command()
}

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Plant(args) => plant::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Commission(args) => commission::run(&args),
        Command::Hold(args) => order::hold(&args),
        Command::Charge(args) => order::charge(&args),
        Command::Discharge(args) => order::discharge(&args),
        Command::Set(args) => order::set(&args),
        Command::Overlay(args) => order::overlay(&args),
        Command::Release(args) => order::release(&args),
        Command::Generator(args) => order::generator(&args),
        Command::Token(args) => order::token(&args),
        Command::Read(args) => read::run(&args),
        Command::Devices(args) => devices::run(&args),
    }
}

/// Logs to standard error; `WATTKEEPER_LOG` chooses what, for example `debug` or `wattkeeper::modbus=debug`.
fn log_to_stderr(default: &str) {
    let filter = EnvFilter::try_from_env("WATTKEEPER_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let logger = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .with_writer(live::log_writer);
    // A second logger in the same process is no reason to stop.
    let _ = logger.try_init();
}

/// Prints a problem and what to do about it.
fn problem(text: impl std::fmt::Display) -> ExitCode {
    eprintln!("wattkeeper: {text}");
    ExitCode::from(PROBLEM)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
