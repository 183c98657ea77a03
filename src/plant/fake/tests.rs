//! What the fake devices answer, and what they do in the plant.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::control::signal::{Phase, Quantity};
use crate::device::definition::Definition;
use crate::plant::physics::{Params, Plant};

use super::wire::refusal;
use super::{FakeDevice, Misbehaviour, Reply, World, converse};

const INVERTER: &str = r#"
schema = 1
maker = "Test"
model = "Inverter"
source = "made for this test"
[unit]
system = 100
vebus = 228
[[point]]
signal = "grid.power"
on = "system"
at = "holding:820"
as = "i16"
unit = "W"
pace = "fast"
source = "test"
words = { raw = [1], value = 1, origin = "constructed" }
[[point]]
signal = "battery.soc"
on = "system"
at = "holding:843"
as = "u16"
unit = "%"
absent = 0xFFFF
source = "test"
words = { raw = [50], value = 50, origin = "constructed" }
[[point]]
signal = "inverter.power.l1"
on = "vebus"
at = "holding:12"
as = "i16"
unit = "W"
scale = -10
source = "test"
words = { raw = [1], value = -10, origin = "constructed" }
[[point]]
signal = "site.setpoint"
on = "system"
at = "holding:2716"
as = "i32"
unit = "W"
source = "test"
words = { raw = [0, 1], value = 1, origin = "constructed" }
[control.inverter-power]
refresh = "3s"
watchdog = "10s"
if-lost = "passes the grid through"
source = "test"
setup = [{ on = "system", at = "holding:2902", function = 6, persistence = "rare", restore = true, otherwise = 1, fields = [{ value = 3, as = "u16" }] }]
command = [{ on = "vebus", at = "holding:96", function = 16, persistence = "cyclic", fields = [
  { value = "power.l1", as = "i32", scale = -1 }, { value = "power.l2", as = "i32", scale = -1 }, { value = "power.l3", as = "i32", scale = -1 } ] }]
[control.grid-setpoint]
refresh = "3s"
watchdog = "none"
if-lost = "keeps it"
source = "test"
command = [{ on = "system", at = "holding:2716", function = 16, persistence = "cyclic", fields = [{ value = "setpoint", as = "i32" }] }]
"#;

const PV: &str = r#"
schema = 1
maker = "Test"
model = "PV"
source = "made for this test"
[[point]]
signal = "pv.power"
at = ["sunspec:103.W", "sunspec:101.W"]
unit = "W"
source = "test"
words = { raw = [7], value = 7, origin = "constructed" }
[control.pv-limit]
refresh = "30s"
watchdog = "60s"
if-lost = "lifts the limit"
source = "test"
command = [{ at = "sunspec:123.WMaxLimPct", function = 16, persistence = "cyclic", fields = [
  { value = "limit-percent", as = "u16" }, { value = 0, as = "u16" }, { value = 60, as = "u16" }, { value = 0, as = "u16" }, { value = 1, as = "u16" } ] }]
release = [{ at = "sunspec:123.WMaxLim_Ena", function = 16, persistence = "cyclic", fields = [{ value = 0, as = "u16" }] }]
"#;

const GENSET: &str = r#"
schema = 1
maker = "Test"
model = "Genset"
source = "made for this test"
[[point]]
signal = "generator.running"
at = "holding:1408"
as = "u16"
map = { 0 = 0, 3 = 1 }
source = "test"
words = { raw = [3], value = 1, origin = "constructed" }
[control.generator-run]
refresh = "none"
watchdog = "none"
if-lost = "runs on"
source = "test"
command = [{ at = "holding:4104", function = 16, persistence = "on-change", fields = [
  { value = "run", as = "u16", map = { 0 = 35733, 1 = 35732 } }, { value = "run", as = "u16", map = { 0 = 29802, 1 = 29803 } } ] }]
"#;

fn world(definition: &str, set: &[(&str, f64)]) -> World {
    let mut plant = Plant::new(Params::default(), 1);
    for (name, value) in set {
        plant.set(name, *value).unwrap();
    }
    plant.settle();
    let definition = Arc::new(Definition::parse(definition, "test").unwrap());
    let device = FakeDevice::new("one", definition, &plant);
    let mut world = World::new(plant);
    world.add(device);
    world
}

/// The PDU of a well-framed answer.
#[track_caller]
fn ask(world: &mut World, unit: u8, pdu: &[u8]) -> Vec<u8> {
    match world.answer(0, 7, unit, pdu) {
        Reply::Send { bytes, .. } => {
            assert_eq!(bytes[..2], [0, 7]);
            assert_eq!(bytes[6], unit);
            bytes[7..].to_vec()
        }
        other => panic!("{other:?}"),
    }
}

fn read(address: u16, count: u8) -> Vec<u8> {
    let [high, low] = address.to_be_bytes();
    vec![3, high, low, 0, count]
}

fn write(address: u16, words: &[u16]) -> Vec<u8> {
    let [high, low] = address.to_be_bytes();
    let mut pdu = vec![16, high, low, 0, words.len() as u8, words.len() as u8 * 2];
    pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    pdu
}

fn run(world: &mut World, seconds: f64) {
    (0..(seconds * 20.0).round() as u32).for_each(|_| world.step(0.05));
}

#[test]
fn a_device_shows_what_the_plant_measures_in_its_own_words() {
    let mut world = world(INVERTER, &[("load.power", 1_234.0), ("battery.soc", 57.0)]);
    assert_eq!(ask(&mut world, 100, &read(820, 1)), [3, 2, 0x04, 0xD2]);
    assert_eq!(ask(&mut world, 100, &read(843, 1)), [3, 2, 0, 57]);
}

#[test]
fn what_is_not_listed_is_refused_as_a_whole() {
    let mut world = world(INVERTER, &[]);
    assert_eq!(ask(&mut world, 100, &read(820, 2)), refusal(3, 2));
    assert_eq!(ask(&mut world, 100, &[4, 3, 0x34, 0, 1]), refusal(4, 1));
    assert_eq!(ask(&mut world, 100, &write(820, &[1])), refusal(16, 2));
    assert_eq!(ask(&mut world, 99, &read(820, 1)), refusal(3, 10));
    assert_eq!(ask(&mut world, 100, &read(820, 0)), refusal(3, 3));
}

#[test]
fn a_direct_setpoint_counts_only_in_external_control_and_lapses_with_the_watchdog() {
    let mut world = world(INVERTER, &[("load.power", 1_000.0)]);
    let order = write(96, &[0xFFFF, 0xFC18]); // -1000 toward the inverter: it feeds 1000
    ask(&mut world, 228, &order);
    assert_eq!(world.plant.inverter_order(0), None);
    ask(&mut world, 100, &[6, 0x0B, 0x56, 0, 3]);
    ask(&mut world, 228, &order);
    run(&mut world, 5.0);
    assert!(world.plant.get("grid.power").unwrap().abs() < 5.0);
    let shown = ask(&mut world, 228, &read(12, 1));
    assert_eq!(shown, [3, 2, 0xFF, 0x9C]); // -100 times 10 W
    run(&mut world, 5.1);
    assert_eq!(world.plant.get("grid.power"), Some(1_000.0));
    assert_eq!(world.devices()[0].written().len(), 3);
}

#[test]
fn a_supervised_device_holds_the_setpoint_by_itself() {
    let mut world = world(INVERTER, &[("load.power", 1_500.0)]);
    run(&mut world, 20.0);
    assert!(world.plant.get("grid.power").unwrap().abs() < 20.0);
    ask(&mut world, 100, &write(2716, &[0, 400]));
    run(&mut world, 20.0);
    assert!((world.plant.get("grid.power").unwrap() - 400.0).abs() < 20.0);
    assert_eq!(ask(&mut world, 100, &read(2716, 2)), [3, 4, 0, 0, 1, 0x90]);
}

#[test]
fn a_sunspec_chain_can_be_walked_and_a_limit_reverts_after_its_time() {
    let mut world = world(PV, &[("pv.peak", 5_000.0), ("pv.power", 4_000.0)]);
    assert_eq!(ask(&mut world, 1, &read(40_000, 2)), [3, 4, 0x53, 0x75, 0x6E, 0x53]);
    let (mut at, mut models) = (40_002, Vec::new());
    let limit_at = loop {
        let head = ask(&mut world, 1, &read(at, 2));
        let (model, len) = (u16::from_be_bytes([head[2], head[3]]), u16::from_be_bytes([head[4], head[5]]));
        models.push(model);
        match model {
            123 => break at + 5,
            101 => assert_eq!(ask(&mut world, 1, &read(at + 14, 2)), [3, 4, 0x0F, 0xA0, 0, 0]),
            _ => {}
        }
        at += 2 + len;
    };
    assert_eq!(models, [1, 101, 120, 121, 122, 123]);
    ask(&mut world, 1, &write(limit_at, &[5_000, 0, 60, 0, 1]));
    run(&mut world, 10.0);
    assert!((world.plant.get("pv.power").unwrap() - 2_500.0).abs() < 5.0);
    run(&mut world, 65.0);
    assert_eq!(world.plant.get("pv.power"), Some(4_000.0));
}

#[test]
fn a_genset_obeys_a_key_only_with_its_complement() {
    let mut world = world(GENSET, &[("grid.present", 0.0)]);
    ask(&mut world, 1, &write(4_104, &[35_732, 1]));
    assert_eq!(world.plant.get("generator.contact"), Some(0.0));
    ask(&mut world, 1, &write(4_104, &[35_732, 29_803]));
    run(&mut world, 12.0);
    assert_eq!(ask(&mut world, 1, &read(1_408, 1)), [3, 2, 0, 3]);
    ask(&mut world, 1, &write(4_104, &[35_733, 29_802]));
    run(&mut world, 1.0);
    assert_eq!(world.plant.get("generator.running"), Some(0.0));
}

#[test]
fn a_device_misbehaves_as_often_as_it_was_asked_to() {
    let mut world = world(INVERTER, &[("load.power", 500.0)]);
    let right = ask(&mut world, 100, &read(820, 1));
    for (kind, check) in [
        (Misbehaviour::WrongTransaction, (|bytes| bytes[..2] != [0, 7]) as fn(&[u8]) -> bool),
        (Misbehaviour::WrongUnit, |bytes| bytes[6] == 101),
        (Misbehaviour::Short, |bytes| bytes[5] < 5),
        (Misbehaviour::Long, |bytes| bytes[5] == 7 && bytes[8] == 4),
        (Misbehaviour::Exception(4), |bytes| bytes[7..] == [0x83, 4]),
        (Misbehaviour::Garbage, |bytes| bytes[2] == 0xA5),
        (Misbehaviour::Duplicate, |bytes| bytes.len() == 2 * 11 && bytes[..11] == bytes[11..]),
    ] {
        world.misbehave(0, kind.clone(), Some(2), None);
        for _ in 0..2 {
            match world.answer(0, 7, 100, &read(820, 1)) {
                Reply::Send { bytes, .. } => assert!(check(&bytes), "{kind:?}: {bytes:?}"),
                other => panic!("{kind:?}: {other:?}"),
            }
        }
        assert_eq!(ask(&mut world, 100, &read(820, 1)), right, "{kind:?}");
    }
    for (kind, reply) in [(Misbehaviour::Lost, Reply::Silence), (Misbehaviour::Close, Reply::Close)] {
        world.misbehave(0, kind, None, Some(100));
        assert_eq!(world.answer(0, 7, 100, &read(820, 1)), reply);
        assert_ne!(world.answer(0, 7, 228, &read(12, 1)), reply);
        world.behave(0);
        assert_eq!(ask(&mut world, 100, &read(820, 1)), right);
    }
}

#[test]
fn frozen_values_stand_still_and_a_sentinel_says_not_available() {
    let mut world = world(INVERTER, &[("load.power", 500.0), ("battery.soc", 50.0)]);
    world.misbehave(0, Misbehaviour::Frozen, None, None);
    let before = ask(&mut world, 100, &read(820, 1));
    world.plant.set("load.power", 2_000.0).unwrap();
    run(&mut world, 2.0);
    assert_eq!(ask(&mut world, 100, &read(820, 1)), before);
    world.behave(0);
    assert_ne!(ask(&mut world, 100, &read(820, 1)), before);
    world.misbehave(0, Misbehaviour::Sentinel(Quantity::BatterySoc, Phase::Total), None, None);
    assert_eq!(ask(&mut world, 100, &read(843, 1)), [3, 2, 0xFF, 0xFF]);
    assert_eq!(world.devices()[0].shown(Quantity::BatterySoc, Phase::Total), None);
}

#[test]
fn writes_can_be_refused_or_confirmed_without_effect() {
    let mut world = world(INVERTER, &[]);
    let mode = [6, 0x0B, 0x56, 0, 3];
    world.misbehave(0, Misbehaviour::RefusedWrites(4), Some(1), None);
    assert_eq!(ask(&mut world, 100, &mode), refusal(6, 4));
    world.misbehave(0, Misbehaviour::IgnoredWrites, Some(1), None);
    assert_eq!(ask(&mut world, 100, &mode), mode);
    assert_eq!(ask(&mut world, 100, &read(2_902, 1)), [3, 2, 0, 1]);
    assert_eq!(ask(&mut world, 100, &mode), mode);
    assert_eq!(ask(&mut world, 100, &read(2_902, 1)), [3, 2, 0, 3]);
    assert_eq!(world.devices()[0].written()[0].refused, Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_late_and_split_answer_arrives_whole_over_an_in_memory_pipe() {
    let mut world = world(INVERTER, &[("load.power", 500.0)]);
    world.misbehave(0, Misbehaviour::Late(Duration::from_secs(3)), Some(1), None);
    world.misbehave(0, Misbehaviour::Split(Duration::from_millis(200)), Some(1), None);
    let (mut client, server) = duplex(512);
    let serving = tokio::spawn(converse(server, Arc::new(Mutex::new(world)), 0));
    let mut took = Vec::new();
    for transaction in 1..=3_u8 {
        let asked = tokio::time::Instant::now();
        let frame = [&[0, transaction, 0, 0, 0, 6, 100], read(820, 1).as_slice()].concat();
        client.write_all(&frame).await.unwrap();
        let mut answer = [0; 11];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [0, transaction, 0, 0, 0, 5, 100, 3, 2, 0x01, 0xF4]);
        took.push(asked.elapsed().as_millis());
    }
    assert_eq!(took, [3_000, 200, 0]);
    client.write_all(&[0, 1, 0, 9, 0, 6, 100]).await.unwrap(); // no Modbus
    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    serving.await.unwrap().unwrap();
}
