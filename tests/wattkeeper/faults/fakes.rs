//! The simulated devices misbehave, each in its way, and a site that reads them through their definition never hears
//! a wrong value.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;

use super::fake::options;
use super::running::{Running, run_as};
use wattkeeper::control::signal::{Phase, Quantity};
use wattkeeper::device::definition::Definition;
use wattkeeper::device::library;
use wattkeeper::device::order::SessionEvent;
use wattkeeper::modbus::dial::{Tcp, memory};
use wattkeeper::modbus::frame::Framing;
use wattkeeper::plant::Plant;
use wattkeeper::plant::fake::{FakeDevice, Misbehaviour, Shared, World, converse, listen, open};
use wattkeeper::plant::physics::Params;

const KINDS: [Misbehaviour; 11] = [
    Misbehaviour::Late(Duration::from_millis(1_500)),
    Misbehaviour::Lost,
    Misbehaviour::WrongTransaction,
    Misbehaviour::WrongUnit,
    Misbehaviour::Short,
    Misbehaviour::Long,
    Misbehaviour::Exception(4),
    Misbehaviour::Garbage,
    Misbehaviour::Close,
    Misbehaviour::Split(Duration::from_millis(300)),
    Misbehaviour::Duplicate,
];

/// A system device whose definition asks it every 200 ms, and the plant behind it, in which nothing changes.
fn system() -> (String, Shared) {
    let text = library::shipped("inverters/victron-gx").unwrap();
    let text = text.replacen("[limits]\n", "[limits]\nfast = \"200ms\"\n", 1);
    let mut plant = Plant::new(Params::default(), 1);
    plant.set("load.power", 1_200.0).unwrap();
    plant.settle();
    let definition = Arc::new(Definition::parse(&text, "system").unwrap());
    let device = FakeDevice::new("system", definition, &plant);
    let mut world = World::new(plant);
    world.add(device);
    (text, Arc::new(Mutex::new(world)))
}

/// Hears until the grid's power was told so often; insists that no value ever differs from what it was first.
async fn steady(
    kind: &Misbehaviour,
    site: &mut Running,
    first: &mut BTreeMap<(Quantity, Phase, u8), Option<i64>>,
    polls: usize,
) {
    let mut told = 0;
    while told < polls {
        for event in site.reports.recv().await.expect("the endpoint lives").events {
            let SessionEvent::Heard(heard) = event else { continue };
            told += usize::from(heard.quantity == Quantity::GridPower && heard.phase == Phase::L1);
            let was = *first.entry((heard.quantity, heard.phase, heard.channel)).or_insert(heard.value);
            assert_eq!(heard.value, was, "{kind:?}: {:?}", heard.quantity);
        }
    }
}

async fn survives(kind: Misbehaviour, mut site: Running, world: Shared) {
    let mut first = BTreeMap::new();
    steady(&kind, &mut site, &mut first, 3).await;
    assert!(first.values().any(Option::is_some), "{first:?}");
    for unit in [100, 228] {
        open(&world).misbehave(0, kind.clone(), Some(1), Some(unit));
        steady(&kind, &mut site, &mut first, 6).await;
    }
    let connects = site.handle.state().borrow().connects;
    assert!(connects <= 3, "{kind:?}: {connects} connections for two faults");
}

#[tokio::test(start_paused = true)]
async fn misbehaving_devices_in_memory_never_tell_a_wrong_value() {
    for kind in KINDS {
        let (text, world) = system();
        let (dial, mut listener) = memory();
        let answering = Arc::clone(&world);
        tokio::spawn(async move {
            while let Some(stream) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&answering), 0));
            }
        });
        survives(kind, run_as(&text, dial, options(Framing::Tcp), &[1]), world).await;
    }
}

#[tokio::test]
async fn misbehaving_devices_over_tcp_never_tell_a_wrong_value() {
    let mut tasks = tokio::task::JoinSet::new();
    for kind in KINDS {
        tasks.spawn(async move {
            let (text, world) = system();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let dial = Tcp::new("127.0.0.1", listener.local_addr().unwrap().port());
            tokio::spawn(listen(listener, Arc::clone(&world), 0));
            survives(kind, run_as(&text, dial, options(Framing::Tcp), &[1]), world).await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}
