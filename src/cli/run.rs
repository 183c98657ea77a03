//! `wattkeeper run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::daemon::{self, Daemon, Options, RunError};
use crate::profile::{Laid, report};

use super::profile_args::ProfileArgs;

/// Run the site of a profile until stopped
///
/// Devices need not be there: they are dialled until they answer. SIGTERM releases all setpoints and holds the
/// generator's contact. A profile without control = "on" observes: nothing is written to any device. SIGHUP, or a
/// change of its files, reads the profile again; one with mistakes changes nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: ProfileArgs,
    /// Serve page, metrics and API here instead of where the profile says
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = super::client::address)]
    listen: Option<SocketAddr>,
    /// Keep what must outlive a restart here [default: $STATE_DIRECTORY, else $XDG_STATE_HOME/wattkeeper, else
    /// ~/.local/state/wattkeeper]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
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
    let Some(state) = args.state.clone().or_else(state_folder) else {
        eprintln!("wattkeeper: no folder is known for what must outlive a restart; name one with --state");
        return ExitCode::from(super::USED_WRONGLY);
    };
    let profile = args.profile.clone();
    let options = Options {
        listen: args.listen,
        state: Some(state),
        reload: Some(Arc::new(move |laid: &[Laid]| profile.load_under(laid))),
        ..Options::default()
    };
    let runtime = match daemon::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            return super::problem(format_args!("cannot start: {error}; the system is out of resources"));
        }
    };
    let outcome = runtime.block_on(async {
        let stop = daemon::stop_signal()?;
        let daemon = Daemon::start(checked, &options)?;
        eprintln!("page: http://{0}/   metrics: http://{0}/metrics   Ctrl-C ends it", daemon.address);
        daemon.run(stop).await
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ RunError::Busy(_)) => {
            eprintln!("wattkeeper: {error}");
            ExitCode::from(super::BUSY)
        }
        Err(error) => super::problem(error),
    }
}

/// Where the system wants state to be: the service manager's folder, else the user's.
pub(super) fn state_folder() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let given = set("STATE_DIRECTORY");
    let of_user = || set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    given.or_else(|| Some(of_user()?.join("wattkeeper")))
}
