//! `wattkeeper plant`: the simulated devices alone.

use std::process::ExitCode;

use crate::daemon;
use crate::plant::Plant;
use crate::plant::site::{SimulatedSite, SiteKind, SiteOptions};

/// Serve the simulated devices alone, on free loopback ports
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub plant: PlantArgs,
    /// List what --plant can set, with unit and meaning, and end
    #[arg(long)]
    names: bool,
}

/// Which simulated site, and how it behaves.
#[derive(Debug, clap::Args)]
pub struct PlantArgs {
    /// Which site
    #[arg(long = "site", value_enum, default_value_t = Kind::Ess)]
    pub kind: Kind,
    /// Simulated seconds per real second, 1 to 100 [default: 1, in the demo 10]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub speed: Option<u32>,
    /// Chooses clouds and appliances
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Set something of the plant, for example --plant battery.soc=30; may be repeated. `wattkeeper plant --names`
    /// lists what there is
    #[arg(long = "plant", value_name = "NAME=VALUE", value_parser = name_and_value)]
    plant: Vec<(String, f64)>,
}

/// Simulated sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A house on the grid with battery, PV, grid meter and a generator for when the grid fails
    Ess,
    /// An off-grid hut with a generator on a relay
    OffGrid,
    /// The same with a DSE-controlled generator
    OffGridDse,
}

fn name_and_value(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, for example load.power=3000")?;
    let value = value.trim().parse().map_err(|_| format!("{value:?} is no number"))?;
    Ok((name.trim().to_owned(), value))
}

impl PlantArgs {
    /// Which site.
    pub fn kind(&self) -> SiteKind {
        match self.kind {
            Kind::Ess => SiteKind::Ess,
            Kind::OffGrid => SiteKind::OffGrid,
            Kind::OffGridDse => SiteKind::OffGridDse,
        }
    }

    /// With what; `usual` is set before what the command line sets.
    pub fn options(&self, speed: u32, usual: &[(&str, f64)]) -> SiteOptions {
        let phases = if self.kind == Kind::Ess { 3 } else { 1 };
        let usual = usual.iter().map(|(name, value)| ((*name).to_owned(), *value));
        let set = usual.chain(self.plant.iter().cloned()).collect();
        SiteOptions { phases, speed: self.speed.unwrap_or(speed), seed: self.seed, set }
    }
}

fn list_names() {
    for known in Plant::names().filter(|known| known.settable) {
        let phases = if known.phases { "(.l1 .l2 .l3)" } else { "" };
        println!("{:<34} {:<14} {:<5} {}", known.name, phases, known.unit, known.about);
    }
}

pub fn run(args: &Args) -> ExitCode {
    if args.names {
        list_names();
        return ExitCode::SUCCESS;
    }
    super::log_to_stderr("info");
    let runtime = match daemon::runtime() {
        Ok(runtime) => runtime,
        Err(error) => return super::problem(error),
    };
    runtime.block_on(async {
        let site = match SimulatedSite::start(args.plant.kind(), &args.plant.options(1, &[])).await {
            Ok(site) => site,
            Err(error) => return super::problem(error),
        };
        for device in site.devices() {
            let units: Vec<String> = device.units.iter().map(|(name, id)| format!("{name} {id}")).collect();
            println!(
                "{:<8} {} {} (units: {})",
                device.name,
                device.address,
                device.definition,
                units.join(", ")
            );
        }
        println!("serving until Ctrl-C");
        match daemon::stop_signal() {
            Ok(stop) => stop.await,
            Err(error) => return super::problem(error),
        }
        ExitCode::SUCCESS
    })
}
