//! `wattkeeper commission`: proves how a site is wired before it is let in control.

use std::io::{IsTerminal, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::watch;

use crate::control::policy::Control;
use crate::control::units::Watts;
use crate::daemon::clock::Source;
use crate::daemon::proof::{self, Proof};
use crate::daemon::{self, Daemon, Options};
use crate::profile::{Checked, report};
use crate::services::published::{Commissioning, Published, Tried};

use super::client::{self, AskError};
use super::profile_args::ProfileArgs;

/// Order a few hundred watts on purpose, and see whether inverter, meter and battery answer as the profile says
///
/// Takes one to three minutes for each phase of each inverter. The battery is discharged and charged with the power below
/// for some seconds at a time; once per phase it may feed up to eight times that into the house, and for ten seconds a
/// little into the grid. BMS, floor and ratings hold; limits of the connection do not, because their meter is what is
/// being tried. The generator is left alone. What was proven is kept in the state folder; control = "on" asks for it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: ProfileArgs,
    /// The size of a step, in W
    #[arg(long, value_name = "WATTS", default_value_t = 500, value_parser = clap::value_parser!(i32).range(100..=5_000))]
    power: i32,
    /// Keep the proof here [default: as for `run`]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> ExitCode {
    super::log_to_stderr("warn");
    let checked = match args.profile.load() {
        Ok(checked) => checked,
        Err(mistakes) => {
            eprint!("{}", report::mistakes_text(&mistakes));
            return ExitCode::from(super::REFUSED);
        }
    };
    let Some(state) = args.state.clone().or_else(super::run::state_folder) else {
        return super::problem("no state folder is known; name one with --state");
    };
    if let Err(why) = may_begin(&checked, args.power) {
        return super::problem(why);
    }
    let seen = match observed(&checked, args.power) {
        Ok(seen) => seen,
        Err(why) => return super::problem(why),
    };
    conclude(&checked, &seen, &state, args.json)
}

/// What speaks against beginning.
fn may_begin(checked: &Checked, power: i32) -> Result<(), String> {
    match client::get::<Published>(checked.listen, "/api/v1/state") {
        Err(AskError::Nobody(..)) => {}
        Ok(_) | Err(_) => {
            return Err(format!(
                "something runs at {}, and a device takes one controller at a time: stop it first, for example with `systemctl stop wattkeeper`",
                checked.listen
            ));
        }
    }
    let authority = checked.site.policy.authority;
    if authority < Watts(power) {
        return Err(format!(
            "the profile's authority is {authority}, less than a step of {power} W: write authority = \"5 kW\" (your site's figure) at its top, or name a smaller --power"
        ));
    }
    Ok(())
}

/// Runs it in a site of its own, until it is over or somebody stops it.
fn observed(checked: &Checked, power: i32) -> Result<Commissioning, String> {
    let mut site = checked.clone();
    site.site.policy.control = Control::On;
    // Whether the engine runs is still heard; nothing is told to it.
    site.site.policy.generator = None;
    let options = Options {
        listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        commission: Some(Watts(power)),
        ..Options::default()
    };
    let runtime = daemon::runtime()
        .map_err(|error| format!("cannot start: {error}; the system is out of resources"))?;
    runtime.block_on(async move {
        let stop = daemon::stop_signal().map_err(|error| error.to_string())?;
        let daemon = Daemon::start(site, &options).map_err(|error| error.to_string())?;
        let shown = daemon.watch();
        let over = follow(daemon.watch());
        let stop = async move {
            tokio::select! {
                () = stop => {}
                () = over => {}
            }
        };
        daemon.run(stop).await.map_err(|error| error.to_string())?;
        let seen = shown.borrow().commissioning.clone();
        seen.ok_or_else(|| "it was stopped before it began".to_owned())
    })
}

/// Shows how far it is, until it is over.
async fn follow(mut shown: watch::Receiver<Arc<Published>>) {
    let terminal = std::io::stderr().is_terminal();
    let mut last = String::new();
    while shown.changed().await.is_ok() {
        let Some(seen) = shown.borrow().commissioning.clone() else { continue };
        let line = line(&seen);
        if terminal {
            // A closed terminal is no reason to stop.
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}").and_then(|()| std::io::stderr().flush());
        } else if seen.now.is_some() && seen.now.as_deref() != Some(last.as_str()) {
            let _ = writeln!(std::io::stderr(), "{line}");
            last = seen.now.clone().unwrap_or_default();
        }
        if seen.over {
            if terminal {
                let _ = writeln!(std::io::stderr());
            }
            return;
        }
    }
    std::future::pending().await
}

fn line(seen: &Commissioning) -> String {
    let filled = usize::from(seen.done) / 5;
    let bar: String = (0..20).map(|at| if at < filled { '#' } else { '.' }).collect();
    let what = seen.now.as_ref().map_or_else(|| "over".to_owned(), |now| format!("trying {now}"));
    format!("[{bar}] {:3} %  {what}", seen.done)
}

fn conclude(checked: &Checked, seen: &Commissioning, state: &Path, json: bool) -> ExitCode {
    if json {
        println!("{}", serde_json::to_string_pretty(seen).unwrap_or_default());
    } else {
        print!("{}", words(seen));
    }
    let Some(proof) = Proof::of(checked, seen, (Source::system().utc_ms)()) else {
        return super::problem(
            "not proven: mend what is said above and try again. Until then leave control = \"observe\"",
        );
    };
    match proof::write(state, &proof) {
        Ok(()) => {
            if !json {
                println!("Proven, and kept in {}.", proof::file(state).display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => super::problem(format_args!(
            "proven, but it cannot be kept in {}: {error}. Run it as the user of the service, or name a folder with --state",
            proof::file(state).display()
        )),
    }
}

fn words(seen: &Commissioning) -> String {
    let mut text = String::new();
    for tried in &seen.tried {
        text.push_str(&trial(tried));
    }
    if let Some(ended) = &seen.ended {
        text.push_str(&format!("It ended early: {ended}.\n"));
    }
    text
}

fn trial(tried: &Tried) -> String {
    let percent =
        |part: Option<f64>| part.map_or_else(|| "nothing".to_owned(), |part| format!("{part:.0} %"));
    let millis = |part: Option<i64>| {
        part.map_or_else(
            || "unknown".to_owned(),
            |millis| format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        )
    };
    let mut text = format!("{} {}: ", tried.inverter, tried.phase);
    text.push_str(&format!(
        "of what was ordered the inverter shows {}, the meter {} (less import is right), the battery {}; response {}, meter {} later\n",
        percent(tried.inverter_percent),
        percent(tried.meter_percent),
        percent(tried.battery_percent),
        millis(tried.response_ms),
        millis(tried.lag_ms),
    ));
    for found in &tried.findings {
        text.push_str(&format!("  {}: {}\n", found.code, found.text));
    }
    text
}
