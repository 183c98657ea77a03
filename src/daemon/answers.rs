//! Questions that people ask in forums, answered by what the program itself says.

use std::sync::Arc;
use std::time::Duration;

use crate::control::site::{Input, Site};
use crate::control::units::{Mono, Span};
use crate::profile::{self, Overrides};
use crate::services::explain;

use super::moment::{Diary, Frame, Moment};
use super::publish::Publisher;

/// What `explain` says of a site that has heard these values for 20 s; powers in W, charge in %.
fn answer(profile: &[(&str, &str)], heard: &[(&str, i64)]) -> String {
    let set = profile.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let overrides = Overrides { set, ..Overrides::default() };
    let checked = profile::minimal(&overrides).unwrap_or_else(|mistakes| {
        panic!("{}", profile::report::mistakes_text(&mistakes));
    });
    let checked = Arc::new(checked);
    let mut site = Site::new(checked.site.clone());
    let mut diary = Diary::default();
    for second in 1..=20 {
        let now = Mono::ZERO + Span::secs(second);
        for (name, value) in heard {
            let signal = checked.resolve(name).unwrap_or_else(|| panic!("no signal {name}"));
            let steps = checked.site.signals.get(signal).unwrap().quantity.unit().steps();
            site.handle(now, &Input::Heard { signal, value: Some(value * steps), asked_at: now });
        }
        site.handle(now, &Input::Due);
        diary.decided(site.decision(), Duration::ZERO, now);
    }
    let frame = Frame { checked: Arc::clone(&checked), lines: Vec::new(), carriers: Vec::new() };
    let mut moment = Moment::blank(Arc::new(frame));
    moment.now = Mono::ZERO + Span::secs(20);
    moment.image = site.image().clone();
    moment.decision = site.decision().clone();
    moment.diary = diary;
    explain::words(&Publisher::default().published(&moment))
}

fn house(soc: i64) -> Vec<(&'static str, i64)> {
    vec![
        ("grid.present", 1),
        ("grid.power", 500),
        ("inverter.power", 0),
        ("battery.soc", soc),
        ("battery.voltage", 52),
    ]
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    // People read thin spaces as spaces.
    let plain = text.replace(['\u{202f}', '\u{a0}'], " ");
    for part in parts {
        assert!(plain.contains(part), "{part:?} is not in:\n{plain}");
    }
}

#[test]
fn a_negative_setpoint_with_an_empty_battery_says_who_wins_and_when_it_resumes() {
    let text = answer(&[("policy.grid.setpoint", "-2 kW"), ("policy.battery.floor", "20")], &house(18));
    says(
        &text,
        &[
            "the battery is told to rest",
            "floor-hold",
            "Wanted: to discharge 2 500 W, by rung 7 self-consumption",
            "rung 3b reserve and floor left rest",
            "What changes it: discharge resumes at 23 %",
            "discharge stops at 20.0 % and then resumes at 23.0 %",
        ],
    );
}

#[test]
fn a_negative_setpoint_with_charge_left_says_where_discharge_will_stop() {
    let text = answer(&[("policy.grid.setpoint", "-2 kW"), ("policy.battery.floor", "20")], &house(60));
    says(
        &text,
        &["the battery is told to discharge", "discharge stops at 20.0 % and then resumes at 23.0 %"],
    );
}

#[test]
fn a_battery_that_is_not_used_below_forty_percent_says_whose_floor_that_is() {
    let text = answer(&[("policy.battery.floor", "40")], &house(39));
    says(&text, &["against a floor of 40 %", "discharge resumes at 43 %"]);
}

#[test]
fn of_two_limits_the_one_that_binds_is_named_with_its_key() {
    let limits = [("policy.battery.max_discharge", "300 W"), ("policy.grid.export_limit", "5 kW")];
    let text = answer(&limits, &house(60));
    says(
        &text,
        &["told to discharge 300 W", "saturated(hi)", "a higher policy.battery.max_discharge allows more"],
    );
}

#[test]
fn a_silent_charge_says_what_brings_control_back() {
    let mut heard = house(60);
    heard.retain(|(name, _)| *name != "battery.soc");
    says(&answer(&[], &heard), &["soc"]);
}
