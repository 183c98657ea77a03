//! The daemon and a simulated house in one process, joined by pipes, on the runtime's paused time.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wattkeeper::control::units::Watts;
use wattkeeper::daemon::clock::{self, Clock, Source};
use wattkeeper::daemon::fleet::Dialler;
use wattkeeper::daemon::{Daemon, Options};
use wattkeeper::device::definition::Definition;
use wattkeeper::device::library;
use wattkeeper::modbus::dial::{Dial, Memory, memory};
use wattkeeper::plant::Plant;
use wattkeeper::plant::fake::{FakeDevice, Shared, World, Written, converse, open};
use wattkeeper::plant::physics::Params;
use wattkeeper::profile::{self, Checked, Overrides};

/// Its devices, by their names in the demo's profile.
const DEVICES: &[(&str, &str)] = &[
    ("gx", "inverters/victron-gx"),
    ("meter", "meters/carlo-gavazzi-em24-e1"),
    ("pv", "pv/sunspec"),
    ("relay", "io/moxa-iologik-e1200"),
];

/// Noon on a summer's day: a wall clock that can be believed.
const NOON: i64 = 1_782_043_200_000;

/// A house with battery, PV, grid meter and a generator.
pub struct House {
    pub world: Shared,
    lines: BTreeMap<String, Memory>,
    time: Source,
    slept: Arc<AtomicU64>,
    stepped: Arc<AtomicI64>,
}

impl House {
    /// Its plant takes steps of so many seconds.
    pub fn new(step: f64, set: &[(&str, f64)]) -> Self {
        let mut plant = Plant::new(Params::default(), 1);
        let usual = [("phases", 3.0), ("load.base", 2_000.0), ("battery.soc", 60.0), ("load.out_share", 0.0)];
        for (name, value) in usual.iter().chain(set) {
            plant.set(name, *value).unwrap();
        }
        plant.settle();
        let world = Arc::new(Mutex::new(World::new(plant)));
        let mut lines = BTreeMap::new();
        for (name, definition) in DEVICES {
            let definition =
                Arc::new(Definition::parse(library::shipped(definition).unwrap(), definition).unwrap());
            let mut device = FakeDevice::new(name, definition, &open(&world).plant);
            if *name == "relay" {
                device = device.wired_to_generator(0);
            }
            let place = open(&world).add(device);
            lines.insert((*name).to_owned(), serve(&world, place));
        }
        let passing = Arc::clone(&world);
        tokio::spawn(async move {
            let mut beat = tokio::time::interval(Duration::from_secs_f64(step));
            loop {
                beat.tick().await;
                open(&passing).step(step);
            }
        });
        let slept = Arc::new(AtomicU64::new(0));
        let (awake, asleep) = (Source::runtime("this boot", NOON), Arc::clone(&slept));
        let uptime = Arc::clone(&awake.uptime);
        let asleep_for = move || Duration::from_secs(asleep.load(Ordering::SeqCst));
        let stepped = Arc::new(AtomicI64::new(0));
        let (wall, by) = (Arc::clone(&awake.utc_ms), Arc::clone(&stepped));
        let time = Source {
            uptime: Arc::new(move || uptime() + asleep_for()),
            utc_ms: Arc::new(move || wall() + by.load(Ordering::SeqCst)),
            ..awake
        };
        Self { world, lines, time, slept, stepped }
    }

    /// Somebody sets the wall clock forward by so many milliseconds.
    pub fn set_wall_clock(&self, by: i64) {
        self.stepped.fetch_add(by, Ordering::SeqCst);
    }

    /// The machine sleeps: for everybody else time goes on.
    pub fn sleep(&self, seconds: u64) {
        self.slept.fetch_add(seconds, Ordering::SeqCst);
    }

    /// A site's clock on its time.
    pub fn clock(&self) -> Clock {
        Clock::start(self.time.clone(), clock::FIRST, None, 1, "UTC")
    }

    /// The demo's profile for these devices, and values laid over it.
    pub fn profile(&self, set: &[&str]) -> Checked {
        let addresses = self.lines.keys().map(|name| format!("device.{name}.address={name}:502"));
        let set = addresses.chain(set.iter().map(|value| (*value).to_owned())).collect();
        profile::load_shipped("demo", &Overrides { set, ..Overrides::default() }).unwrap()
    }

    /// How its devices are reached.
    pub fn dialler(&self) -> Dialler {
        let lines = self.lines.clone();
        Arc::new(move |host, _port| Arc::new(lines[host].clone()) as Arc<dyn Dial>)
    }

    /// A daemon that commissions this house with steps of 500 W.
    pub fn commissioner(&self, set: &[&str]) -> (Checked, Daemon) {
        let mut profile = self.profile(set);
        profile.site.policy.generator = None;
        let options = Options {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            time: self.time.clone(),
            dialler: self.dialler(),
            commission: Some(Watts(500)),
            ..Options::default()
        };
        let daemon = Daemon::start(profile.clone(), &options).unwrap();
        (profile, daemon)
    }

    /// The daemon on this house, reached in this way.
    pub fn daemon(&self, set: &[&str], dialler: Dialler, state: Option<PathBuf>) -> Daemon {
        let options = Options {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            time: self.time.clone(),
            dialler,
            state,
            ..Options::default()
        };
        Daemon::start(self.profile(set), &options).unwrap()
    }

    /// What a device was told so far.
    pub fn written(&self, device: &str) -> Vec<Written> {
        let world = open(&self.world);
        world.devices().iter().find(|known| known.name == device).unwrap().written().to_vec()
    }

    /// What all of them were told so far.
    pub fn all_written(&self) -> usize {
        DEVICES.iter().map(|(name, _)| self.written(name).len()).sum()
    }

    /// The names of its devices.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        DEVICES.iter().map(|(name, _)| *name)
    }

    /// The place of a device in the world.
    pub fn place(&self, device: &str) -> usize {
        DEVICES.iter().position(|(name, _)| *name == device).unwrap()
    }

    /// A truth of the plant.
    pub fn truth(&self, name: &str) -> f64 {
        open(&self.world).plant.get(name).unwrap()
    }

    /// Lets time pass until something is true.
    pub async fn until(&self, what: &str, seconds: f64, seen: impl Fn(&Self) -> bool) {
        let limit = tokio::time::Instant::now() + Duration::from_secs_f64(seconds);
        let mut look = tokio::time::interval(Duration::from_millis(10));
        while !seen(self) {
            assert!(tokio::time::Instant::now() < limit, "not within {seconds} s: {what}");
            look.tick().await;
        }
    }

    /// Lets so much time pass.
    pub async fn pass(&self, seconds: f64) {
        let until = tokio::time::Instant::now() + Duration::from_secs_f64(seconds);
        tokio::time::sleep_until(until).await;
    }

    /// Waits until the battery carries the house: the start is over.
    pub async fn in_control(&self) {
        let carries =
            |house: &Self| house.written("gx").len() > 20 && house.truth("grid.power").abs() < 100.0;
        self.until("the battery carries the house", 120.0, carries).await;
    }
}

/// A device on a pipe.
fn serve(world: &Shared, place: usize) -> Memory {
    let (dial, mut listener) = memory();
    let world = Arc::clone(world);
    tokio::spawn(async move {
        while let Some(stream) = listener.accept().await {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                // A client that goes away in mid-frame is its own affair.
                let _gone = converse(stream, world, place).await;
            });
        }
    });
    dial
}
