//! A whole simulated site behind real loopback sockets, in real time or faster.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::device::definition::Definition;
use crate::device::library;

use super::fake::{FakeDevice, Shared, World, listen, open};
use super::physics::{Params, Plant, SetError};

/// Simulated seconds of one step.
const STEP: f64 = 0.05;
/// Real time between two looks at the clock; each catches up with as many steps as the speed asks for.
const BEAT: Duration = Duration::from_millis(50);

/// Which site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// A house on the grid: GX with battery inverters, EM24 meter, SunSpec PV inverter.
    Ess,
    /// An off-grid hut: GX with a solar charger, and a generator on a relay.
    OffGrid,
    /// The same with a DSE-controlled generator.
    OffGridDse,
}

/// How the site is made.
#[derive(Clone, Debug)]
pub struct SiteOptions {
    /// 1 or 3.
    pub phases: u8,
    /// Simulated seconds per real second, 1 to 1000.
    pub speed: u32,
    /// Weather, appliances and noise.
    pub seed: u64,
    /// Anything of the plant, by dotted name.
    pub set: Vec<(String, f64)>,
}

impl Default for SiteOptions {
    fn default() -> Self {
        Self { phases: 3, speed: 1, seed: 1, set: Vec::new() }
    }
}

/// Why a simulated site could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// No loopback port.
    #[error("no port on 127.0.0.1 could be opened: {0}. Check that the loopback interface is up")]
    Port(#[from] io::Error),
    /// A wish for the plant that it does not understand.
    #[error(transparent)]
    Set(#[from] SetError),
    /// A definition that we ship does not load: our own mistake.
    #[error("the definition {0:?} that comes with Wattkeeper does not load; this is a mistake in Wattkeeper")]
    Definition(&'static str),
}

/// One served device.
#[derive(Clone, Debug)]
pub struct Served {
    /// Its name in a profile: `gx`, `meter`, `pv`, `relay`, `genset`.
    pub name: String,
    /// The name of its definition.
    pub definition: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    /// Unit ids by the definition's unit names.
    pub units: BTreeMap<String, u8>,
}

/// A running simulated site; dropping it ends it.
#[derive(Debug)]
pub struct SimulatedSite {
    world: Shared,
    devices: Vec<Served>,
    _tasks: JoinSet<()>,
}

impl SimulatedSite {
    /// Starts the site on free loopback ports of the current runtime.
    ///
    /// # Errors
    /// When no port can be opened or an option means nothing.
    pub async fn start(kind: SiteKind, options: &SiteOptions) -> Result<Self, SiteError> {
        let world = Arc::new(Mutex::new(World::new(plant(kind, options)?)));
        let mut tasks = JoinSet::new();
        let mut devices = Vec::new();
        for (name, definition) in parts(kind) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            let loaded = shipped(definition)?;
            let (index, units) = {
                let mut world = open(&world);
                let mut device = FakeDevice::new(name, loaded, &world.plant);
                if *name == "relay" {
                    device = device.wired_to_generator(0);
                }
                let units = device.units();
                (world.add(device), units)
            };
            tasks.spawn(listen(listener, Arc::clone(&world), index));
            devices.push(Served { name: (*name).to_owned(), definition, address, units });
        }
        tasks.spawn(pass(Arc::clone(&world), options.speed.clamp(1, 1_000)));
        Ok(Self { world, devices, _tasks: tasks })
    }

    /// Its devices, for a profile.
    #[must_use]
    pub fn devices(&self) -> &[Served] {
        &self.devices
    }

    /// The world, to look at the truth, to change it, and to make devices misbehave.
    #[must_use]
    pub fn world(&self) -> Shared {
        Arc::clone(&self.world)
    }

    /// A truth or a parameter by its dotted name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        open(&self.world).plant.get(name)
    }

    /// Makes a value true while the site runs.
    ///
    /// # Errors
    /// As [`Plant::set`].
    pub fn set(&self, name: &str, value: f64) -> Result<(), SetError> {
        open(&self.world).plant.set(name, value)
    }
}

/// Lets simulated time pass with real time. A beat that came late is made up for, so no time is lost.
async fn pass(world: Shared, speed: u32) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Burst);
    beat.tick().await; // the first beat is now
    loop {
        beat.tick().await;
        for _ in 0..speed {
            open(&world).step(STEP);
        }
    }
}

fn parts(kind: SiteKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        SiteKind::Ess => {
            &[("gx", "inverters/victron-gx"), ("meter", "meters/carlo-gavazzi-em24-e1"), ("pv", "pv/sunspec")]
        }
        SiteKind::OffGrid => &[("gx", "inverters/victron-gx"), ("relay", "io/moxa-iologik-e1200")],
        SiteKind::OffGridDse => &[("gx", "inverters/victron-gx"), ("genset", "gensets/dse-gencomm")],
    }
}

/// A definition that we ship.
fn shipped(name: &'static str) -> Result<Arc<Definition>, SiteError> {
    let text = library::shipped(name).ok_or(SiteError::Definition(name))?;
    Definition::parse(text, name).map(Arc::new).map_err(|_mistakes| SiteError::Definition(name))
}

fn plant(kind: SiteKind, options: &SiteOptions) -> Result<Plant, SetError> {
    let usual: &[(&str, f64)] = match kind {
        SiteKind::Ess => &[
            ("pv.peak", 6_000.0),
            ("load.base", 450.0),
            ("load.appliances", 1.0),
            ("load.noise", 8.0),
            ("load.out_share", 0.0),
            ("meter.lag", 0.3),
            ("inverter.resolution", 1.0),
        ],
        SiteKind::OffGrid | SiteKind::OffGridDse => &[
            ("grid.present", 0.0),
            ("pv.dc.peak", 4_000.0),
            ("load.base", 300.0),
            ("load.appliances", 1.0),
            ("load.noise", 8.0),
            ("load.out_share", 1.0),
            ("generator.rating", 6_000.0),
        ],
    };
    let mut plant = Plant::new(Params::default(), options.seed);
    plant.set("phases", f64::from(options.phases))?;
    for (name, value) in usual {
        plant.set(name, *value)?;
    }
    for (name, value) in &options.set {
        plant.set(name, *value)?;
    }
    plant.settle();
    Ok(plant)
}
