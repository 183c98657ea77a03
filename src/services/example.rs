//! A site in the middle of a day, for tests.

use super::published::*;

fn signal(
    name: &str,
    quantity: &'static str,
    device: Option<&str>,
    unit: &'static str,
    value: f64,
) -> Signal {
    let phase =
        ["l1", "l2", "l3"].into_iter().find(|phase| name.ends_with(&format!(".{phase}"))).unwrap_or("");
    Signal {
        name: name.to_owned(),
        quantity: quantity.into(),
        phase: phase.into(),
        device: device.map(str::to_owned),
        unit: unit.into(),
        value: Some(value),
        age_ms: Some(420),
        quality: Quality::Good,
    }
}

fn counted<T: Copy>(list: &[(&'static str, T)]) -> Vec<Counted<T>> {
    list.iter().map(|(what, value)| Counted { what: (*what).into(), value: *value }).collect()
}

fn device(name: &str, definition: &str, address: &str) -> Device {
    Device {
        name: name.to_owned(),
        definition: definition.to_owned(),
        address: address.to_owned(),
        up: true,
        last_success_age_ms: Some(420),
        requests: counted(&[("3", 5_210), ("4", 2_100)]),
        errors: counted(&[("timeout", 2)]),
        answers: Work { count: 7_308, seconds: 87.7 },
        unproven: true,
        ..Device::default()
    }
}

fn reason(code: &'static str, tier: &'static str, words: &str, binding: bool) -> Reason {
    Reason { code: code.into(), text: code.to_owned(), tier: tier.into(), words: words.to_owned(), binding }
}

impl Published {
    /// A site in the middle of a day.
    pub(super) fn example() -> Self {
        let noon = 1_780_308_000_000;
        let event = |ago: i64, text: &str| Event { utc_ms: Some(noon - ago * 1000), text: text.to_owned() };
        let alarm = |code: &'static str, severity: &'static str, active| Alarm {
            code: code.into(),
            severity: severity.into(),
            active,
            text: "the set did not start in 3 attempts: look at fuel and battery, then acknowledge"
                .to_owned(),
            ..Alarm::default()
        };
        let wave =
            |at: usize, height: f32, shift: f32| height * (1.0 + 0.3 * ((at as f32 + shift) / 9.0).sin());
        Self {
            build: Build { version: "0.1.0".into(), commit: "abc1234".into(), target: "x86_64-linux".into() },
            site: "Alpine hut".to_owned(),
            timezone: "Europe/Paris".to_owned(),
            profile_hash: "9f31c2".to_owned(),
            control: Control::On,
            mode: Mode::Auto,
            now_ms: 3_600_000,
            utc_ms: Some(noon),
            started_utc_ms: Some(noon - 3_600_000),
            clock_trusted: true,
            fresh_for_ms: 15_000,
            failsafe_level: 1,
            decisions: Work { count: 3_590, seconds: 0.012 },
            signals: vec![
                signal("grid.present", "grid.present", None, "", 1.0),
                signal("grid.power", "grid.power", None, "W", 34.0),
                signal("grid.power.l1", "grid.power", None, "W", 512.0),
                signal("grid.power.l2", "grid.power", None, "W", -388.0),
                signal("grid.power.l3", "grid.power", None, "W", -90.0),
                signal("grid.voltage.l1", "grid.voltage", None, "V", 231.4),
                signal("grid.frequency", "grid.frequency", None, "Hz", 50.01),
                signal("battery.soc", "battery.soc", None, "%", 81.3),
                signal("battery.voltage", "battery.voltage", None, "V", 52.84),
                signal("battery.current", "battery.current", None, "A", -26.2),
                signal("battery.power", "battery.power", None, "W", -1_384.0),
                signal("battery.temperature", "battery.temperature", None, "°C", 23.5),
                signal("battery.charge_limit_current", "battery.charge_limit_current", None, "A", 100.0),
                signal(
                    "battery.discharge_limit_current",
                    "battery.discharge_limit_current",
                    None,
                    "A",
                    160.0,
                ),
                signal("pv.south.power", "pv.power", Some("south"), "W", 2_210.0),
                signal("pv.west.power", "pv.power", Some("west"), "W", 640.0),
                signal("inverter.gx.power", "inverter.power", Some("gx"), "W", -1_452.0),
                signal("load.power", "load.power", None, "W", 1_432.0),
                signal("generator.running", "generator.running", None, "", 0.0),
                signal("generator.power", "generator.power", None, "W", 0.0),
            ],
            decision: Some(Decision {
                at_ms: 3_599_600,
                utc_ms: Some(noon - 400),
                battery_order: -1_460,
                max_charge: 3_000,
                max_discharge: 4_500,
                discharge_allowed: true,
                inverters: vec![InverterOrder { name: "gx".to_owned(), l1: -487, l2: -487, l3: -486 }],
                grid_setpoint: 0,
                guard: "ok".into(),
                floor: Some(20.0),
                trim: 12,
                ladder: [
                    ("0 device and authority", -5_000, 5_000),
                    ("1 battery protection", -3_000, 4_500),
                    ("2 connection protection", -3_000, 4_500),
                    ("3a forced charge", -3_000, 4_500),
                    ("3b reserve and floor", -3_000, 4_500),
                    ("7 self-consumption", -1_460, -1_460),
                ]
                .map(|(tier, low, high)| Rung { tier: tier.into(), low, high })
                .to_vec(),
                overruled: vec![Overruled {
                    tier: "7 self-consumption".into(),
                    wanted: -3_420,
                    got: -3_000,
                    by: "1 battery protection".into(),
                }],
                reasons: vec![
                    reason(
                        "authority",
                        "0 device and authority",
                        "this profile may order at most 5000 W",
                        false,
                    ),
                    reason("bms-ccl", "1 battery protection", "the BMS allows 100.0 A of charge", false),
                    reason(
                        "self",
                        "7 self-consumption",
                        "self-consumption: the grid is steered to 0 W",
                        true,
                    ),
                ],
                stages: [("meter", "good"), ("inverter", "good"), ("soc", "held")]
                    .map(|(input, stage)| InputStage { input: input.into(), stage: stage.into() })
                    .to_vec(),
                ..Decision::default()
            }),
            generator: Some(Generator {
                name: "diesel".to_owned(),
                state: "stopped".into(),
                load_permit: true,
                reason: Some(reason("generator-quiet", "0 device and authority", "quiet hours", false)),
                quiet: true,
                starts: 14,
                run_seconds: 66_120.0,
                auto: true,
                ..Generator::default()
            }),
            devices: vec![
                Device {
                    writes: counted(&[("ok", 1_204)]),
                    watchdog: "falls back after 60 s".to_owned(),
                    ..device("gx", "inverters/victron-gx", "192.0.2.10:502")
                },
                device("meter", "meters/carlo-gavazzi-em24-e1", "192.0.2.11:502"),
                device("south", "pv/sunspec", "192.0.2.12:502"),
                Device {
                    up: false,
                    last_success_age_ms: Some(312_000),
                    error:
                        "no answer in time: is it powered, and does nothing else hold its only connection?"
                            .to_owned(),
                    exceptions: counted(&[("2", 3)]),
                    ..device("diesel", "gensets/dse-gencomm", "192.0.2.13:502")
                },
            ],
            endpoints: vec![Endpoint {
                name: "192.0.2.10:502".to_owned(),
                connected: true,
                connects: 2,
                connect_failures: 1,
            }],
            energy: Energy {
                import: Some(4.1e6),
                export: Some(1.2e6),
                charge: Some(9.0e6),
                discharge: Some(7.4e6),
                pv: counted(&[("south", 21.3e6), ("west", 6.4e6)]),
                load: Some(28.0e6),
                generator: Some(0.0),
            },
            events: vec![
                event(21, "order bound by self: self-consumption, the grid is steered to 0 W"),
                event(312, "diesel is silent: no answer in time"),
                event(2_410, "guard: floor-held to ok at 23.0 %"),
                event(3_600, "started with profile off-grid.toml, in control"),
            ],
            alarms: vec![alarm("generator-fail-to-start", "page", false), alarm("meter-lost", "page", false)],
            binding_seconds: counted(&[("self", 3_300.0), ("bms-ccl", 290.0)]),
            commissioning: None,
            history: (0..120)
                .map(|at| Point {
                    grid: (at != 60).then(|| wave(at, 40.0, 3.0) - 30.0),
                    pv: Some(wave(at, 2_600.0, 0.0)),
                    load: Some(wave(at, 1_300.0, 20.0)),
                    battery: Some(wave(at, 1_300.0, 20.0) - wave(at, 2_600.0, 0.0)),
                    soc: Some(80.0 + at as f32 / 100.0),
                })
                .collect(),
        }
    }
}
