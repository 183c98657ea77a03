//! `wattkeeper run`: the daemon.

use std::net::SocketAddr;
use std::process::ExitCode;

use crate::daemon::{self, Daemon, Options};
use crate::profile::report;

use super::profile_args::ProfileArgs;

/// Run the site of a profile until stopped
///
/// Devices need not be there: they are dialled until they answer. SIGTERM releases all setpoints and holds the
/// generator's contact. A profile without control = "on" observes: nothing is written to any device.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: ProfileArgs,
    /// Serve page, metrics and API here instead of where the profile says
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = super::client::address)]
    listen: Option<SocketAddr>,
}

pub fn run(args: &Args) -> ExitCode {
    super::log_to_stderr("info");
    let checked = match args.profile.load() {
        Ok(checked) => checked,
        Err(mistakes) => {
            eprint!("{}", report::mistakes_text(&mistakes));
            return ExitCode::from(super::REFUSED);
        }
    };
    for note in &checked.notes {
        tracing::info!("{note}");
    }
    let runtime = match daemon::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            return super::problem(format_args!("cannot start: {error}; the system is out of resources"));
        }
    };
    let outcome = runtime.block_on(async {
        let stop = daemon::stop_signal()?;
        let daemon = Daemon::start(checked, &Options { listen: args.listen, speed: 1 })?;
        eprintln!("page: http://{0}/   metrics: http://{0}/metrics   Ctrl-C ends it", daemon.address);
        daemon.run(stop).await
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::problem(error),
    }
}
