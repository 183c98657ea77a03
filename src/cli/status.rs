//! `wattkeeper status`: the site in a few lines.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::services::explain::order;
use crate::services::published::{Control, Published};

use super::client::{self, DaemonArgs};

/// Show the running site: powers, charge, orders and what binds them
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> ExitCode {
    let state: Published = match client::get(args.daemon.daemon, "/api/v1/state") {
        Ok(state) => state,
        Err(error) => return super::problem(error),
    };
    if args.json {
        match serde_json::to_string_pretty(&state) {
            Ok(text) => println!("{text}"),
            Err(error) => return super::problem(error),
        }
    } else {
        print!("{}", text(&state));
    }
    if state.devices.iter().all(|device| device.up) {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::PROBLEM)
    }
}

/// A power, or a dash when it is not known.
pub fn watts(state: &Published, quantity: &str) -> String {
    state.total(quantity).map_or_else(|| "-".to_owned(), |value| format!("{value:.0} W"))
}

/// The site in a few lines.
#[must_use]
pub fn text(state: &Published) -> String {
    let mut out = String::new();
    let control = match state.control {
        Control::Observe => "observing, nothing is written",
        Control::On => "in control",
    };
    let _ = writeln!(out, "{} ({control})", state.site);
    let soc = state.total("battery.soc").map_or_else(|| "-".to_owned(), |value| format!("{value:.1} %"));
    let _ = writeln!(
        out,
        "  grid {:>9}   load {:>9}   battery {:>9}   charge {soc:>7}",
        watts(state, "grid.power"),
        watts(state, "load.power"),
        watts(state, "battery.power"),
    );
    let _ = writeln!(
        out,
        "  PV   {:>9}   DC PV {:>8}   inverter {:>8}",
        watts(state, "pv.power"),
        watts(state, "pv.dc.power"),
        watts(state, "inverter.power"),
    );
    if let Some(decision) = &state.decision {
        let why = decision.binding().map(|reason| format!(": {}", reason.words)).unwrap_or_default();
        let _ = writeln!(out, "  {}{why}", order(state.control, decision));
    }
    if let Some(generator) = &state.generator {
        let why = generator.reason.as_ref().map(|reason| format!(": {}", reason.words)).unwrap_or_default();
        let _ = writeln!(out, "  generator {}{why}", generator.state);
    }
    for alarm in state.alarms.iter().filter(|alarm| alarm.active) {
        let _ = writeln!(out, "  ALARM {}: {}", alarm.code, alarm.text);
    }
    for device in state.devices.iter().filter(|device| !device.up) {
        let _ = writeln!(out, "  {} does not answer: {}", device.name, device.error);
    }
    out
}
