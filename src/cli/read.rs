//! `wattkeeper read`: what one device says now.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::control::policy::Control;
use crate::control::signal::Signal;
use crate::daemon;
use crate::daemon::clock::{self, Clock, Source};
use crate::daemon::fleet::{self, Fleet};
use crate::device::order::SessionEvent;
use crate::modbus::endpoint::Report;
use crate::profile::{Checked, DeviceConfig, report};
use crate::services::published::Published;

use super::client::{self, AskError, DaemonArgs};
use super::profile_args::ProfileArgs;

/// Show every value of one device, from the running daemon; without one the device is dialled, read-only
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    profile: ProfileArgs,
    /// The device's name in the profile
    device: String,
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Name and value with its unit; `None` when the device does not know.
type Values = BTreeMap<String, Option<String>>;

/// How long to listen to a device that is dialled for this; slow points need more than one round.
const LISTEN: Duration = Duration::from_secs(4);

pub fn run(args: &Args) -> ExitCode {
    let mut checked = match args.profile.load() {
        Ok(checked) => checked,
        Err(mistakes) => {
            eprint!("{}", report::mistakes_text(&mistakes));
            return ExitCode::from(super::PROBLEM);
        }
    };
    let Some(device) = checked.device(&args.device).cloned() else {
        let names: Vec<&str> = checked.devices.iter().map(|device| device.name.as_str()).collect();
        return super::problem(format_args!(
            "the profile has no device {:?}; it has {}",
            args.device,
            names.join(", ")
        ));
    };
    let values = match client::get::<Published>(args.daemon.daemon, "/api/v1/state") {
        Ok(state) if state.site != checked.name => {
            return super::problem(format_args!(
                "the daemon at {} runs the site {:?}, and this profile is {:?}. Name the right daemon with --daemon, or stop that one: then the device is dialled",
                args.daemon.daemon, state.site, checked.name
            ));
        }
        Ok(state) => from_daemon(&checked, &device, &state),
        Err(AskError::Nobody(address, _)) => {
            eprintln!("no daemon answers at {address}: dialling the device myself, read-only");
            checked.devices = vec![device.clone()];
            checked.site.policy.control = Control::Observe;
            match dial(&checked) {
                Ok(values) => values,
                Err(error) => return super::problem(error),
            }
        }
        Err(error) => return super::problem(error),
    };
    show(&values, args.json);
    if values.is_empty() {
        return super::problem(format_args!(
            "{} said nothing within {} s; check its power, address and unit id",
            device.name,
            LISTEN.as_secs()
        ));
    }
    ExitCode::SUCCESS
}

fn show(values: &Values, json: bool) {
    if json {
        println!("{:#}", serde_json::json!(values));
        return;
    }
    for (name, value) in values {
        println!("{name:<44} {}", value.as_deref().unwrap_or("unknown").trim_end());
    }
}

fn from_daemon(checked: &Checked, device: &DeviceConfig, state: &Published) -> Values {
    let mine: Vec<String> =
        device.signals.values().filter_map(|id| checked.site.signals.get(*id)).map(Signal::name).collect();
    state
        .signals
        .iter()
        .filter(|signal| mine.contains(&signal.name) && signal.age_ms.is_some())
        .map(|signal| (signal.name.clone(), signal.value.map(|value| format!("{value} {}", signal.unit))))
        .collect()
}

/// Listens to one device for a few seconds.
fn dial(checked: &Checked) -> Result<Values, std::io::Error> {
    let runtime = daemon::runtime()?;
    runtime.block_on(async {
        let clock = Clock::start(Source::system(), clock::FIRST, None, 1, "UTC");
        let (mut fleet, mut reports) = Fleet::start(checked, &clock.pacer(), &fleet::tcp(), &[]);
        let mut values = Values::new();
        tokio::select! {
            // The end of the time is the normal end.
            _ = timeout(LISTEN, collect(checked, &mut reports, &mut values)) => {}
            () = fleet.work() => {}
        }
        Ok(values)
    })
}

async fn collect(checked: &Checked, reports: &mut mpsc::Receiver<Report>, values: &mut Values) {
    while let Some(report) = reports.recv().await {
        let Some(device) = checked.devices.get(report.device) else { continue };
        for event in report.events {
            let SessionEvent::Heard(heard) = event else { continue };
            let key = (heard.quantity, heard.phase, heard.channel);
            let signal = device.signals.get(&key).and_then(|id| checked.site.signals.get(*id));
            let unit = heard.quantity.unit();
            let value = heard.value.map(|value| {
                format!("{} {}", crate::control::units::decimal(value, unit.steps()), unit.symbol())
            });
            if let Some(signal) = signal {
                values.insert(signal.name(), value);
            }
        }
    }
}
