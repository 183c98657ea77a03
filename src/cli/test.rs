//! `wattkeeper test`: scenario files.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::scenario::{self, report::text};

/// Run scenario files: policies tested like code
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario files, or folders that hold them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Write a JUnit report here
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub fn run(args: &Args) -> ExitCode {
    let terminal = std::io::stderr().is_terminal();
    let summary = scenario::run_files(&args.files, &scenario::Options::default(), &mut |progress| {
        if terminal {
            eprint!("\r\x1b[K{}/{} {}", progress.done, progress.of, progress.case.name);
        }
    });
    if terminal {
        eprint!("\r\x1b[K");
    }
    if let Some(path) = &args.junit
        && let Err(error) = std::fs::write(path, scenario::report::junit::render(&summary))
    {
        return super::problem(format_args!("cannot write {}: {error}", path.display()));
    }
    if args.json {
        println!("{:#}", scenario::report::json::render(&summary));
    } else {
        let color = text::wants_color(&std::io::stdout());
        print!("{}", text::render(&summary, color));
    }
    if summary.passed() { ExitCode::SUCCESS } else { ExitCode::from(super::PROBLEM) }
}
