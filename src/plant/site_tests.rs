//! The simulated site behind real loopback sockets, and every shipped definition against the truth.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::advance;

use crate::control::signal::{Phase, Quantity};
use crate::device::definition::{Definition, Place, Point};
use crate::device::library;
use crate::plant::fake::{FakeDevice, open};
use crate::plant::physics::{Params, Plant};

use super::site::{SimulatedSite, SiteKind, SiteOptions};

fn busy() -> Plant {
    let mut plant = Plant::new(Params::default(), 4);
    for (name, value) in [
        ("phases", 3.0),
        ("pv.peak", 6_000.0),
        ("pv.power", 2_150.0),
        ("pv.dc.power", 830.0),
        ("load.power.l1", 2_512.0),
        ("load.power.l2", -300.0),
        ("load.power.l3", 731.0),
        ("battery.soc", 63.4),
        ("inverter.period", 0.0),
        ("meter.period", 0.0),
    ] {
        plant.set(name, value).unwrap();
    }
    plant.settle();
    for _ in 0..200 {
        plant.order_inverter([1_000.0, -500.0, 250.0]);
        plant.step(0.05);
    }
    plant
}

/// What the plant says of a point, in its carried unit; none for what only the device knows.
fn truth(plant: &Plant, point: &Point) -> Option<f64> {
    let name = point.name();
    let value = plant.measured(&name).or_else(|| plant.measured(point.quantity.name()))?.value;
    Some(value * point.quantity.unit().steps() as f64)
}

#[test]
fn every_shipped_definition_decodes_to_the_truth_of_the_plant() {
    let plant = busy();
    for name in library::names() {
        let definition = Arc::new(Definition::parse(library::shipped(name).unwrap(), name).unwrap());
        let device = FakeDevice::new(name, Arc::clone(&definition), &plant);
        let mut compared = 0;
        for point in definition.points.iter().filter(|point| matches!(point.place, Place::Fixed(..))) {
            let Some(truth) = truth(&plant, point) else { continue };
            let shown = device.shown(point.quantity, point.phase).map(|value| value as f64);
            // The coarsest register of ours counts tens of watts or tenths of a kilowatt-hour.
            let step =
                if point.quantity.name().ends_with("energy") { 100.0 } else { truth.abs() * 0.01 + 30.0 };
            let near = shown.is_some_and(|shown| (shown - truth).abs() <= step);
            assert!(near, "{name} {}: {shown:?} is not {truth}", point.name());
            compared += 1;
        }
        assert!(compared > 2 || name.starts_with("io/") || name.starts_with("pv/"), "{name}: {compared}");
    }
}

/// Reads holding registers over TCP, as any Modbus client would.
async fn read(stream: &mut TcpStream, unit: u8, address: u16, count: u8) -> Vec<u16> {
    let [high, low] = address.to_be_bytes();
    stream.write_all(&[0, 1, 0, 0, 0, 6, unit, 3, high, low, 0, count]).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[7], 3, "exception {}", head[8]);
    let mut data = vec![0; usize::from(head[8])];
    stream.read_exact(&mut data).await.unwrap();
    data.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

#[tokio::test(start_paused = true)]
async fn a_simulated_house_answers_on_loopback_and_its_time_passes() {
    let options = SiteOptions {
        speed: 10,
        set: vec![("load.appliances".to_owned(), 0.0), ("load.noise".to_owned(), 0.0)],
        ..SiteOptions::default()
    };
    let site = SimulatedSite::start(SiteKind::Ess, &options).await.unwrap();
    let names: Vec<&str> = site.devices().iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["gx", "meter", "pv", "relay"]);
    site.set("load.power", 3_000.0).unwrap();
    let address = |index: usize| site.devices()[index].address;
    let mut pv = TcpStream::connect(address(2)).await.unwrap();
    assert_eq!(read(&mut pv, 1, 40_000, 2).await, [0x5375, 0x6E53]);
    let mut meter = TcpStream::connect(address(1)).await.unwrap();
    // The GX regulates by itself while nobody orders anything, so the import falls to nothing.
    let mut shown = i32::MAX;
    for _ in 0..300 {
        advance(Duration::from_millis(50)).await;
        let words = read(&mut meter, 1, 0x28, 2).await;
        shown = (i32::from(words[1] as i16) << 16) | i32::from(words[0]);
        if shown.abs() < 300 && site.get("load.energy").unwrap() > 0.0 {
            break;
        }
    }
    assert!(shown.abs() < 300, "{shown}");
    assert!(open(&site.world()).plant.time() > 1.0);
}

#[tokio::test]
async fn a_simulated_hut_starts_its_generator_by_relay_or_by_key() {
    for (kind, device, frame) in [
        (SiteKind::OffGrid, 1, vec![0, 1, 0, 0, 0, 6, 1, 5, 0, 0, 0xFF, 0]),
        (SiteKind::OffGridDse, 1, vec![0, 1, 0, 0, 0, 11, 1, 16, 0x10, 8, 0, 2, 4, 0x8B, 0x94, 0x74, 0x6B]),
    ] {
        let options = SiteOptions { phases: 1, ..SiteOptions::default() };
        let site = SimulatedSite::start(kind, &options).await.unwrap();
        assert_eq!(site.get("grid.present"), Some(0.0));
        let mut stream = TcpStream::connect(site.devices()[device].address).await.unwrap();
        stream.write_all(&frame).await.unwrap();
        let mut echo = [0; 12];
        stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(site.get("generator.contact"), Some(1.0), "{kind:?}");
        let world = site.world();
        let mut world = open(&world);
        (0..300).for_each(|_| world.step(0.05));
        assert_eq!(world.plant.get("generator.running"), Some(1.0), "{kind:?}");
        assert!(world.plant.get("generator.power").unwrap() > 300.0);
        let gx = &world.devices()[0];
        assert_eq!(gx.shown(Quantity::GridPresent, Phase::Total), Some(0));
    }
}
