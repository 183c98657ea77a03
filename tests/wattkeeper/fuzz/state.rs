//! Whatever answers where the daemon should: `status` and `explain` show it or say that it is strange.

use serde_json::Value;
use wattkeeper::cli::{decoded, status_text};
use wattkeeper::services::published::*;

/// A whole answer, for each command that asks.
pub fn state(bytes: &[u8]) {
    let status = decoded(bytes).map(|state: Published| status_text(&state));
    let explained = decoded(bytes).map(|value: Value| format!("{value:#}"));
    for said in [status, explained] {
        let (Ok(words) | Err(words)) = said;
        assert!(!words.is_empty());
    }
}

/// A site with one of everything.
pub fn site() -> Published {
    let reason =
        Reason { code: "floor".into(), words: "the floor holds".into(), binding: true, ..Reason::default() };
    Published {
        site: "Hut".into(),
        signals: vec![Signal {
            name: "grid.power".into(),
            quantity: "grid.power".into(),
            value: Some(1_200.5),
            quality: Quality::Good,
            ..Signal::default()
        }],
        decision: Some(Decision {
            inverters: vec![InverterOrder::default()],
            ladder: vec![Rung::default()],
            overruled: vec![Overruled::default()],
            reasons: vec![reason.clone()],
            stages: vec![InputStage::default()],
            ..Decision::default()
        }),
        generator: Some(Generator { reason: Some(reason), ..Generator::default() }),
        devices: vec![Device { error: "it does not answer".into(), ..Device::default() }],
        endpoints: vec![Endpoint::default()],
        events: vec![Event::default()],
        alarms: vec![Alarm { active: true, text: "the meter is silent".into(), ..Alarm::default() }],
        binding_seconds: vec![Counted::default()],
        history: vec![Point { grid: Some(0.1), ..Point::default() }],
        ..Published::default()
    }
}

/// Answers of a daemon, short ones and refusals.
pub fn seeds() -> Vec<Vec<u8>> {
    let head = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let full = site();
    let parts = [
        Published::default(),
        Published { signals: full.signals.clone(), ..Published::default() },
        Published { decision: full.decision.clone(), ..Published::default() },
        Published { devices: full.devices.clone(), alarms: full.alarms.clone(), ..Published::default() },
        full,
    ];
    let answer = |state: &Published| format!("{head}{}", serde_json::to_string(state).unwrap()).into_bytes();
    let mut seeds: Vec<Vec<u8>> = parts.iter().map(answer).collect();
    seeds.push(b"HTTP/1.0 404 Not Found\r\n\r\nnothing at /api\n".to_vec());
    seeds
}
