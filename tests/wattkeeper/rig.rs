//! The product against a site that shares no code with it: the simulated devices of the reference material, on loopback
//! Modbus TCP. Its log, the truth of each second and every write, is the judge.
//!
//! Everything here runs in real time and mostly waits, so the first test that asks starts every case that the command
//! line asks for, all at once; each test then collects its own. Needs `WATTKEEPER_REFERENCE`; skipped without it.

mod ess;
mod faults;
mod judge;
mod off_grid;
pub mod parts;
mod policy;
mod trials;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};
use std::thread::JoinHandle;

/// One case: runs its site and says what was seen.
type Case = fn() -> String;

/// The folder of the reference material; none when this machine has none.
pub fn reference() -> Option<PathBuf> {
    std::env::var_os("WATTKEEPER_REFERENCE").filter(|folder| !folder.is_empty()).map(PathBuf::from)
}

/// What is running, by the name of its test.
static RUNNING: LazyLock<Mutex<BTreeMap<&'static str, JoinHandle<String>>>> = LazyLock::new(|| {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| {
        let path = format!("{}::{name}", module_path!().trim_start_matches("wattkeeper::"));
        asked.is_empty() || asked.iter().any(|word| path.contains(word.as_str()))
    };
    let running =
        CASES.iter().filter(|(name, _)| wanted(name)).map(|(name, case)| (*name, std::thread::spawn(*case)));
    Mutex::new(running.collect())
});

/// Waits for a case and passes on what it found. Figures go past the test runner's capture, so that the gate shows them.
fn collect(name: &'static str) {
    if reference().is_none() {
        let _closed = writeln!(std::io::stderr(), "skipped: no reference material ({name})");
        return;
    }
    let case = RUNNING.lock().unwrap().remove(name).expect("every case is started once");
    match case.join() {
        Ok(seen) => {
            let _closed = writeln!(std::io::stderr(), "{name}: {seen}");
        }
        Err(failed) => {
            let text = failed.downcast_ref::<String>().map(String::as_str);
            panic!(
                "{}",
                text.or(failed.downcast_ref::<&str>().copied()).unwrap_or("the case ended without a word")
            );
        }
    }
}

/// Declares the tests and the table of their cases, so that none can be in one and not in the other.
macro_rules! cases {
    ($($name:ident => $case:path;)*) => {
        static CASES: &[(&str, Case)] = &[$((stringify!($name), $case)),*];
        $(#[test] fn $name() { collect(stringify!($name)); })*
    };
}

cases! {
    a_load_step_is_back_in_ten_seconds_with_a_meter_lag_of_200_ms => ess::lag_200_ms;
    a_load_step_is_back_in_ten_seconds_with_a_meter_lag_of_1_s => ess::lag_1_s;
    a_load_step_is_back_in_ten_seconds_with_a_meter_lag_of_2_s => ess::lag_2_s;
    a_load_step_is_back_in_ten_seconds_with_a_meter_lag_of_3_s => ess::lag_3_s;
    a_single_phase_site_is_back_in_ten_seconds_at_every_meter_lag => ess::single_phase;
    with_no_lag_declared_the_site_settles_in_a_minute_without_a_limit_cycle => ess::no_lag_declared;
    with_the_lag_declared_half_or_double_the_swing_decays => ess::lag_declared_wrong;
    discharge_stops_at_the_floor_within_one_decision_and_resumes_three_percent_above => ess::floor;
    an_operators_hold_stops_discharge_and_ends_by_itself => ess::hold;
    a_charge_window_charges_from_the_grid_to_its_target_and_holds => policy::window;
    with_no_export_allowed_pv_beyond_loads_and_battery_is_curtailed => policy::no_export;
    below_its_floor_the_battery_gives_what_the_import_limit_needs_and_no_more => policy::shaving;
    commissioning_proves_the_site_and_finds_its_lag => policy::commissioning;
    commissioning_refuses_a_site_whose_grid_meter_shows_nothing => policy::commissioning_of_a_dead_meter;
    what_is_read_agrees_with_what_is_true => ess::readings;
    a_measured_day_keeps_the_grid_near_its_setpoint => ess::measured_day;
    observing_writes_nothing_in_a_minute => faults::observing;
    sigterm_puts_the_mode_back_and_the_setpoints_to_zero => faults::released;
    a_killed_controller_leaves_the_inverter_to_its_watchdog_and_takes_it_up_again => faults::killed;
    a_silent_meter_stops_the_inverter_within_twenty_five_seconds_and_no_write => faults::silent_meter;
    a_silent_pv_inverter_stalls_nobody => faults::silent_pv;
    every_hiccup_on_the_meters_wire_goes_unnoticed_in_the_house => trials::wire_of_the_meter;
    every_hiccup_on_the_wire_of_the_gx_goes_unnoticed_in_the_house => trials::wire_of_the_gx;
    values_that_are_lost_end_in_nothing_ordered_and_come_back_by_themselves => trials::values;
    a_meter_that_freezes_while_the_load_climbs_is_found_out_before_the_orders_run_away => trials::frozen_meter;
    a_reboot_and_ignored_writes_end_well => trials::devices;
    m1_another_masters_writes_are_named_and_yielded_to => trials::second_writer;
    a_low_battery_starts_the_generator_once_and_stops_it_once_over_the_contact => off_grid::over_the_contact;
    a_low_battery_starts_the_generator_once_and_stops_it_once_over_telemetry => off_grid::over_telemetry;
    a_running_generator_is_adopted_after_a_kill_without_opening_its_contact => off_grid::adopted;
}
