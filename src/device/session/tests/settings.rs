//! Settings that a definition expects: while one of them is another, or not yet told, it may be another device, and
//! nothing is written to it.

use super::*;

/// A device that says which model it is.
const NAMED: &str = r#"
schema = 1
maker = "m"
model = "m"
source = "s"
[[expect]]
at = "holding:100"
values = [7001, 7002]
warning = "Register 100 names another model: check the address, or choose the definition of this model."
source = "s"
[[point]]
signal = "grid.power"
at = "holding:0"
as = "i16"
unit = "W"
source = "s"
words = { raw = [5], value = 5, origin = "constructed" }
[control.grid-setpoint]
refresh = "10s"
watchdog = "20s"
if-lost = "it stops"
source = "s"
command = [{ at = "holding:10", function = 6, persistence = "cyclic", fields = [{ value = "setpoint", as = "i16" }] }]
release = [{ at = "holding:10", function = 6, persistence = "cyclic", fields = [{ value = 0, as = "i16" }] }]
"#;

fn named(model: u16) -> Bench {
    let mut device = Device::default();
    for (at, word) in [(0, 5), (10, 0), (100, model)] {
        device.set(1, at, &[word]);
    }
    Bench::of(NAMED, controlling(1), device)
}

fn ordered(bench: &mut Bench, seq: u32) -> Result<(), Failure> {
    let values = Values { setpoint: Watts(300), ..Values::default() };
    bench.order(command(ControlKind::GridSetpoint, values, seq, bench.now + Span::secs(5)));
    bench.run(Span::millis(100));
    bench.results().last().map(|(told, result, _)| (*told == seq).then_some(*result)).unwrap().unwrap()
}

#[test]
fn c5_a_definition_of_another_model_writes_nothing_and_says_why() {
    let mut bench = named(9_000);
    assert_eq!(ordered(&mut bench, 1), Err(Failure::Mismatch));
    bench.order(DeviceOrder { phase: OrderPhase::Release, ..power(0, 2, Mono::NEVER) });
    bench.run(Span::secs(100));
    assert!(bench.device.writes().is_empty());
    assert_eq!(bench.heard("grid.power"), Some(None), "nor is it believed");
    assert!(bench.session.warnings().next().unwrap().contains("choose the definition"));
}

#[test]
fn n9_a_device_that_was_swapped_behind_its_address_is_not_written_to() {
    let mut bench = named(7_001);
    assert_eq!(ordered(&mut bench, 1), Ok(()));
    bench.device.set(1, 100, &[9_000]);
    bench.session.reconnected(bench.now);
    assert_eq!(
        ordered(&mut bench, 2),
        Err(Failure::Mismatch),
        "it is asked who it is before the first write"
    );
    bench.device.set(1, 100, &[7_001]);
    bench.session.reconnected(bench.now);
    assert_eq!(ordered(&mut bench, 3), Ok(()));
    assert_eq!(bench.session.warnings().count(), 0);
}

#[test]
fn p15_a_version_that_changes_under_way_stops_the_writes_within_a_minute() {
    let mut bench = named(7_002);
    assert_eq!(ordered(&mut bench, 1), Ok(()));
    bench.device.set(1, 100, &[7_003]);
    bench.run(Span::secs(61));
    assert_eq!(ordered(&mut bench, 2), Err(Failure::Mismatch));
    assert_eq!(bench.heard("grid.power"), Some(None));
}

#[test]
fn n9_while_a_device_does_not_say_who_it_is_nothing_is_written() {
    let mut bench = named(7_001);
    bench.device.silent.insert(1);
    assert!(ordered(&mut bench, 1).is_err());
    bench.device.silent.clear();
    bench.run(Span::secs(2));
    assert_eq!(ordered(&mut bench, 2), Ok(()));
    assert_eq!(bench.device.writes().len(), 1);
    let asks = |request: &&(i64, Request)| request.1.address == 100;
    assert!(bench.device.asked.iter().find(asks).is_some());
}

#[test]
fn a_meter_that_hides_export_is_not_believed_until_it_is_set_right() {
    let mut bench = Bench::new("meters/carlo-gavazzi-em24-e1", SessionOptions::default(), Device::default());
    bench.device.set(1, 0, &[0; 0x60]);
    bench.device.set(1, 0xA000, &[0]);
    bench.run(Span::secs(2));
    assert_eq!(bench.heard("grid.power"), Some(None));
    assert_eq!(bench.session.warnings().count(), 1);
    bench.device.set(1, 0xA000, &[7]);
    bench.run(Span::secs(61));
    assert_eq!(bench.heard("grid.power"), Some(Some(0)));
    assert_eq!(bench.session.warnings().count(), 0);
    bench.device.words.remove(&(1, 0xA000));
    bench.run(Span::secs(61));
    assert_eq!(bench.heard("grid.power"), Some(Some(0)), "a meter without that register is believed");
}
