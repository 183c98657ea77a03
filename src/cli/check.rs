//! `wattkeeper check`: every mistake of a profile at once.

use std::process::ExitCode;

use crate::profile::report;

use super::profile_args::ProfileArgs;

/// Check a profile: all mistakes at once, each with file, line, cause and way out
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: ProfileArgs,
    /// Show every effective value and where it came from
    #[arg(long)]
    origin: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let result = args.profile.load();
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
