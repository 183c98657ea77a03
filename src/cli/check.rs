//! `wattkeeper check`: every mistake of a profile at once.

use std::process::ExitCode;

use crate::profile::{self, report};

use super::profile_args::ProfileArgs;

/// Check a profile: all mistakes at once, each with file, line, cause and way out
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: Option<ProfileArgs>,
    /// Show every effective value and where it came from
    #[arg(long)]
    origin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print every key that a profile may hold, with what it accepts, its default and its meaning
    #[arg(long, exclusive = true)]
    keys: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let Some(named) = args.profile.as_ref().filter(|_| !args.keys) else {
        print!("{}", profile::reference());
        return ExitCode::SUCCESS;
    };
    let result = named.load();
    if args.json {
        println!("{:#}", report::json(&result, args.origin));
    } else {
        match &result {
            Ok(checked) => {
                print!("{}", report::text(checked));
                if args.origin {
                    print!("\n{}", report::origin_text(checked));
                }
            }
            Err(mistakes) => eprint!("{}", report::mistakes_text(mistakes)),
        }
    }
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(super::PROBLEM) }
}
