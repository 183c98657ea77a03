//! `wattkeeper test`: scenario files.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::scenario;

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
    let mut done = 0_usize;
    let summary = scenario::run_files(&args.files, &scenario::Options::default(), &mut |progress| {
        done = done.saturating_add(1);
        if terminal {
            eprint!("\r\x1b[K{done}/{} {}", progress.total, progress.file.display());
        }
    });
    if terminal {
        eprint!("\r\x1b[K");
    }
    if let Some(path) = &args.junit
        && let Err(error) = std::fs::write(path, summary.junit())
    {
        return super::problem(format_args!("cannot write {}: {error}", path.display()));
    }
    if args.json {
        println!("{:#}", summary.json());
    } else {
        print!("{}", summary.text(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()));
    }
    if summary.passed() { ExitCode::SUCCESS } else { ExitCode::from(super::PROBLEM) }
}
