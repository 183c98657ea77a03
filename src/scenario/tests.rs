//! Whole files: what passes, what fails at which line, what is refused and why.

use std::path::Path;

use super::report::Verdict;
use super::{Options, run_text};

/// Plays a file with one case.
fn verdict(file: &str) -> Verdict {
    let mut cases = run_text(file, Path::new("x.toml"), &Options::default());
    assert_eq!(cases.len(), 1, "{cases:?}");
    cases.remove(0).verdict
}

#[track_caller]
fn passes(file: &str) {
    match verdict(file) {
        Verdict::Passed => {}
        Verdict::Failed(failures) => {
            panic!("{:#?}", failures.iter().map(|f| (f.line, f.at, &f.subject, &f.found)).collect::<Vec<_>>())
        }
        Verdict::Refused(mistakes) => panic!("{mistakes:#?}"),
    }
}

/// Lines and keys of what is refused.
#[track_caller]
fn refused(file: &str) -> Vec<(usize, String)> {
    match verdict(file) {
        Verdict::Refused(mistakes) => {
            assert!(mistakes.iter().all(|mistake| !mistake.way_out.is_empty() && mistake.file == "x.toml"));
            mistakes.into_iter().map(|mistake| (mistake.line, mistake.key)).collect()
        }
        other => panic!("not refused: {other:?}"),
    }
}

fn owned(list: &[(usize, &str)]) -> Vec<(usize, String)> {
    list.iter().map(|(line, key)| (*line, (*key).to_owned())).collect()
}

#[test]
fn every_mistake_of_a_file_is_reported_with_its_line_at_once() {
    let file = r#"name = "x"
tik = "1s"
within = "soon"
[given]
"battery.soc" = { to = 5 }
[[step]]
at = "10"
exepct = { "guard.state" = "ok" }
expect = { "mean battery.order" = 5, "guard.state" = "<= x" }
order = { generator = "fly" }
event = "explode"
every = "1h"
"#;
    let found: Vec<usize> = refused(file).into_iter().map(|(line, _)| line).collect();
    assert_eq!(found, [2, 3, 5, 6, 7, 8, 9, 9, 10, 11]);
}

#[test]
fn what_does_not_exist_is_a_mistake_before_anything_is_played() {
    let file = r#"name = "x"
always = { "battery.ordr" = 0 }
[[step]]
at = "1s"
given = { "battery.sox" = 5 }
expect = { "wire.meter.40" = true, "plant.grid.power" = 0, "grid.power" = 0 }
[[step]]
at = "1h"
given = { "battery.soc" = "full" }
"#;
    let expected = [
        (2, "battery.ordr"),
        (5, "battery.sox"),
        (6, "wire.meter.40"),
        (6, "plant.grid.power"),
        (6, "grid.power"),
        (9, "battery.soc"),
    ];
    assert_eq!(refused(file), owned(&expected));
}

#[test]
fn a_profile_value_that_is_refused_is_a_mistake_at_the_line_that_sets_it() {
    let file = "name = \"x\"\n[set]\n\"policy.battery.flor\" = 5\n[[step]]\nexpect = { writes = 0 }\n";
    assert_eq!(refused(file), owned(&[(3, "policy.battery.flor")]));
    let file = "name = \"x\"\n[plant]\n\"load.powr\" = 5\n[[step]]\nexpect = { writes = 0 }\n";
    assert_eq!(refused(file), owned(&[(3, "load.powr")]));
    let file = "name = \"x\"\nstate = { \"guard.limit\" = 20 }\n[[step]]\nexpect = { writes = 0 }\n";
    assert_eq!(refused(file), owned(&[(2, "state.guard.limit")]));
}

#[test]
fn what_a_reload_refuses_can_be_expected_and_leaves_the_old_profile_running() {
    passes(
        r#"name = "x"
given = { "battery.soc" = 50 }
set = { "policy.battery.floor" = 20 }
[[step]]
at = "5s"
expect = { mistakes = "hasn't policy.battery.floor", "guard.floor" = 20 }
[[step]]
set = { "policy.battery.floor" = 120 }
expect = { mistakes = "has policy.battery.floor", "guard.floor" = 20 }
[[step]]
set = { "policy.battery.floor" = 30 }
expect = { mistakes = "hasn't policy.battery.floor", "guard.floor" = 30 }
"#,
    );
}

const LOOP: &str = r#"
[plant]
"load.power" = 1000
"battery.soc" = 50
[set]
"policy.regulator.meter_lag" = "0s"
"#;

#[test]
fn a_killed_controller_leaves_its_order_to_the_devices_watchdog() {
    passes(&format!(
        r#"name = "x"
{LOOP}
[[step]]
at = "20s"
expect = {{ "battery.order" = "1000 ± 20", "plant.grid.power" = "0 ± 20" }}
[[step]]
at = "30s"
event = "kill"
until_next = {{ "battery.order" = "1000 ± 20", "rise writes" = 0 }}
[[step]]
at = "38s"
within = "3s"
expect = {{ "battery.order" = 0, "plant.inverter.power" = "0 ± 1" }}
[[step]]
at = "50s"
event = "start"
within = "1s"
expect = {{ "battery.order" = 0 }}
[[step]]
at = "70s"
expect = {{ "battery.order" = "1000 ± 20" }}
[[step]]
event = "stop"
expect = {{ "battery.order" = 0 }}
"#
    ));
}

#[test]
fn a_run_that_is_cut_and_resumed_decides_the_same() {
    passes(&format!(
        r#"name = "x"
seed = 7
always = {{ replay = "same" }}
{LOOP}
[[step]]
at = "10s"
plant = {{ "load.power" = {{ around = 800, sigma = 200 }} }}
[[step]]
at = "60s"
"#
    ));
}

#[test]
fn cases_share_what_stands_above_them_and_have_the_last_word() {
    let file = r#"name = "x"
tags = ["shared"]
given = { "battery.soc" = 50 }
set = { "policy.battery.guard" = "victron-compatible", "policy.battery.floor" = 20 }
[[case]]
name = "above the floor"
[[case.step]]
at = "5s"
expect = { "guard.state" = "ok" }
[[case]]
name = "below a higher floor"
set = { "policy.battery.floor" = 52 }
tags = ["other"]
[[case.step]]
at = "5s"
expect = { "guard.state" = "floor-held" }
"#;
    let all = run_text(file, Path::new("x.toml"), &Options::default());
    let names: Vec<_> = all.iter().map(|case| (case.name.as_str(), case.passed(), case.line)).collect();
    assert_eq!(names, [("x: above the floor", true, 5), ("x: below a higher floor", true, 10)]);
    let some = run_text(file, Path::new("x.toml"), &Options { tags: vec!["other".to_owned()] });
    assert_eq!(some.len(), 1);
}

#[test]
fn operators_orders_and_the_wall_clock_reach_the_generator() {
    passes(
        r#"name = "x"
clock = "2026-06-01T21:00:00+02:00[Europe/Berlin]"
given = { "battery.soc" = 50 }
[set]
"policy.generator.feedback" = false
"policy.generator.start.soc" = 30
"policy.generator.stop.soc" = 70
"policy.generator.quiet" = { from = "22:00", to = "07:00" }
[[step]]
at = "5s"
order = [{ "generator.auto" = false }, { generator = "run", for = "20s" }]
within = "1s"
expect = { "generator.command" = true, "generator.quiet" = false, "reasons" = "has generator-manual" }
until_next = { "times generator.command" = 1 }
[[step]]
at = "25s"
within = "2s"
expect = { "generator.command" = false }
[[step]]
at = "40s"
event = { clock = "+1h" }
expect = { "generator.quiet" = true }
"#,
    );
}
