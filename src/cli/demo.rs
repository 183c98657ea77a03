//! `wattkeeper demo`: plant, controller, page and metrics in one command.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use crate::daemon::{self, Daemon, Options};
use crate::plant::site::{Served, SimulatedSite};
use crate::profile::{self, Checked, Overrides, report};
use crate::services::inbox::Token;

use super::live;
use super::plant::{Kind, PlantArgs};

/// Run a simulated site and control it over real Modbus TCP on loopback, with page and metrics
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    plant: PlantArgs,
    /// Serve page, metrics and API here; a free port is taken when it is in use
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8437", value_parser = super::client::address)]
    listen: SocketAddr,
    /// End by itself after this many real seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Set one value over the demo's profile, for example --set policy.battery.floor=40; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub fn run(args: &Args) -> ExitCode {
    super::log_to_stderr("warn");
    match demonstrate(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => super::problem(text),
    }
}

fn demonstrate(args: &Args) -> Result<(), String> {
    let (served, _plant) = plant_beside(args)?;
    let checked = checked(args, &served)?;
    let runtime = daemon::runtime().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let stop = daemon::stop_signal().map_err(|error| error.to_string())?;
        let limit = args.seconds;
        let stop = async move {
            match limit {
                Some(seconds) => {
                    tokio::select! {
                        () = stop => {}
                        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
                    }
                }
                None => stop.await,
            }
        };
        let token = daemon::orders::fresh().map_err(|error| error.to_string())?;
        let daemon = start(args, checked, &token)?;
        println!("page:    http://{}/", daemon.address);
        println!("metrics: http://{}/metrics", daemon.address);
        println!("ask it:  wattkeeper explain --daemon {}", daemon.address);
        println!(
            "tell it: WATTKEEPER_TOKEN={} wattkeeper hold --for 10m --daemon {}",
            token.reveal(),
            daemon.address
        );
        println!("Ctrl-C ends it\n");
        let table = tokio::spawn(live::show(daemon.watch()));
        let outcome = daemon.run(stop).await.map_err(|error| error.to_string());
        table.abort();
        outcome
    })
}

/// The demonstration must not fail because somebody already uses the port.
fn start(args: &Args, checked: Checked, token: &Token) -> Result<Daemon, String> {
    let options = |listen| Options {
        listen: Some(listen),
        speed: args.plant.speed.unwrap_or(SPEED),
        token: Some(token.clone()),
        ..Options::default()
    };
    match Daemon::start(checked.clone(), &options(args.listen)) {
        Ok(daemon) => Ok(daemon),
        Err(daemon::RunError::Services(_)) => {
            Daemon::start(checked, &options(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
                .map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Simulated seconds per real second, unless the command line says otherwise.
const SPEED: u32 = 10;

/// Where the story begins: an evening, a small battery just above its floor.
const EVENING: &[(&str, f64)] = &[("start", 19.25), ("battery.capacity", 5_000.0), ("battery.soc", 18.0)];

/// A dark evening in a hut, just above the charge at which its generator starts.
const DARK: &[(&str, f64)] = &[("start", 21.0), ("battery.capacity", 5_000.0), ("battery.soc", 40.4)];

/// What happens, in simulated minutes from the start.
const STORY: &[(f64, &str, f64, &str)] = &[
    (
        2.0,
        "load.base",
        1_800.0,
        "somebody cooks: the grid stays at its setpoint, the battery falls to its floor",
    ),
    (
        16.0,
        "grid.present",
        0.0,
        "the grid fails: the battery carries the house below the floor, down to its reserve",
    ),
    (60.0, "grid.present", 1.0, "the grid is back: a minute later it is trusted again"),
];

/// Lets the story happen.
async fn tell(site: &SimulatedSite, story: &[(f64, &str, f64, &str)]) {
    for (minute, name, value, text) in story {
        loop {
            let seconds = crate::plant::fake::open(&site.world()).plant.time();
            if seconds >= minute * 60.0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match site.set(name, *value) {
            Ok(()) => tracing::warn!("{text}"),
            Err(error) => tracing::warn!(%error, "the story goes on without this"),
        }
    }
}

/// The simulated devices, on a thread of their own: they are another box on the network.
fn plant_beside(args: &Args) -> Result<(Vec<Served>, std::thread::JoinHandle<()>), String> {
    let story = args.plant.kind == Kind::Ess;
    let usual = if story { EVENING } else { DARK };
    let (kind, options) = (args.plant.kind(), args.plant.options(SPEED, usual));
    let (send, served) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("plant".to_owned()).spawn(move || {
        let started = daemon::runtime().map_err(|error| error.to_string());
        let runtime = match started {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = send.send(Err(error));
                return;
            }
        };
        runtime.block_on(async move {
            match SimulatedSite::start(kind, &options).await {
                Ok(site) => {
                    let _ = send.send(Ok(site.devices().to_vec()));
                    tell(&site, if story { STORY } else { &[] }).await;
                    std::future::pending::<()>().await;
                }
                Err(error) => {
                    let _ = send.send(Err(error.to_string()));
                }
            }
        });
    });
    let thread = thread.map_err(|error| error.to_string())?;
    let served = served.recv().map_err(|error| error.to_string())??;
    Ok((served, thread))
}

/// The demo's profile with the addresses of the simulated devices.
fn checked(args: &Args, served: &[Served]) -> Result<Checked, String> {
    let mut overrides = Overrides::from_environment();
    for device in served {
        overrides.set.push(format!("device.{}.address={}", device.name, device.address));
    }
    overrides.set.extend(args.set.iter().cloned());
    let text = match args.plant.kind {
        Kind::Ess => profile::load_shipped("demo", &overrides),
        Kind::OffGrid => {
            let text = include_str!("demo_hut.toml");
            profile::load_text("the demo's hut", text, None, &overrides)
        }
        Kind::OffGridDse => {
            overrides.set.push("control=on".to_owned());
            profile::load_shipped("off-grid", &overrides)
        }
    };
    text.map_err(|mistakes| report::mistakes_text(&mistakes))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        demo: Args,
    }

    #[tokio::test]
    async fn every_simulated_site_has_a_profile_that_speaks_with_all_its_devices() {
        for kind in ["ess", "off-grid", "off-grid-dse"] {
            let line = Line::parse_from(["demo", "--site", kind]).demo;
            let site = SimulatedSite::start(line.plant.kind(), &line.plant.options(1, DARK)).await.unwrap();
            let checked = checked(&line, site.devices()).unwrap_or_else(|text| panic!("{kind}: {text}"));
            assert_eq!(checked.site.policy.control, crate::control::policy::Control::On, "{kind}");
            let mut served: Vec<&str> = site.devices().iter().map(|device| device.name.as_str()).collect();
            let mut known: Vec<&str> = checked.devices.iter().map(|device| device.name.as_str()).collect();
            served.sort_unstable();
            known.sort_unstable();
            assert_eq!(served, known, "{kind}");
        }
    }
}
