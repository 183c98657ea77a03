//! The one table of metrics: from it come the registry, the help texts, `grafana/METRICS.md` and the check of every
//! dashboard. Names and meanings are an interface; a change here is a change for operators.
//!
//! Base units, energy as joule counters, our sign. A value without good quality is absent, never 0. Labels are bounded
//! by the profile and by closed lists. No series of one name overlaps another, so that `sum()` is right: a measuring
//! point has either its conductors `l1`, `l2`, `l3` or, where it measures or knows only the total, `all`.

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until the process ends.
    Counter,
    /// Count and sum.
    Summary,
}

impl Kind {
    /// Its name in the text format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Summary => "summary",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// The unit of its value; empty for counts, flags and codes.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $name:literal $kind:ident [$($label:literal),*] $unit:literal, $help:literal;)*) => {
        /// A metric by its place in [`TABLE`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "the help text of each stands in the table")]
        pub enum Id { $($id),* }

        impl Id {
            /// What the table says of it.
            #[must_use]
            pub fn spec(self) -> &'static Metric {
                match self {
                    $(Self::$id => &Metric {
                        name: $name, kind: Kind::$kind, labels: &[$($label),*], unit: $unit, help: $help,
                    }),*
                }
            }
        }

        /// Every metric that exists.
        pub const TABLE: &[Id] = &[$(Id::$id),*];
    };
}

metrics! {
    BuildInfo = "ess_build_info" Gauge ["version", "commit", "target"] "", "Always 1; the labels say what runs.";
    ConfigInfo = "ess_config_info" Gauge ["hash", "control"] "", "Always 1; the labels say which profile runs, and whether it observes or controls.";
    Start = "ess_start_timestamp_seconds" Gauge [] "s", "When the process began.";
    Mode = "ess_mode" Gauge ["mode"] "", "1 for the mode the site is in, 0 for the others.";
    FailsafeLevel = "ess_failsafe_level" Gauge [] "", "Worst stage of all inputs: 0 good, 1 held, 2 degraded, 3 safe.";
    InputStage = "ess_input_stage" Gauge ["input"] "", "How far one input is trusted: 0 good, 1 held, 2 degraded, 3 safe.";
    TickDuration = "ess_tick_duration_seconds" Summary [] "s", "Decisions made and the time they took.";
    DecisionTime = "ess_decision_timestamp_seconds" Gauge [] "s", "When the newest decision was made.";
    ClockTrusted = "ess_clock_trusted" Gauge [] "", "Whether schedules may use the wall clock.";

    DeviceUp = "ess_device_up" Gauge ["device"] "", "Whether the last poll of the device was complete and is fresh.";
    DeviceInfo = "ess_device_info" Gauge ["device", "definition", "proven"] "", "Always 1; the labels say which definition describes the device and whether it was proven on a real one.";
    DeviceSuccess = "ess_device_last_success_timestamp_seconds" Gauge ["device"] "s", "When the device last gave a good answer.";
    Requests = "ess_modbus_requests_total" Counter ["device", "fc"] "", "Requests sent, by function code.";
    Answers = "ess_modbus_request_seconds" Summary ["device"] "s", "Answers and the time from request to answer.";
    Errors = "ess_modbus_errors_total" Counter ["device", "kind"] "", "Requests without a usable answer.";
    Exceptions = "ess_modbus_exceptions_total" Counter ["device", "code"] "", "Refusals, by exception code.";
    Connects = "ess_modbus_connects_total" Counter ["endpoint", "result"] "", "Connections attempted, by result ok or failed.";
    Writes = "ess_register_writes_total" Counter ["device", "result"] "", "Orders written, by how it ended.";

    GridPower = "ess_grid_power_watts" Gauge ["phase"] "W", "Power at the grid connection, import positive.";
    GridEnergy = "ess_grid_energy_joules_total" Counter ["direction"] "J", "Energy through the grid connection.";
    GridVoltage = "ess_grid_voltage_volts" Gauge ["phase"] "V", "Voltage at the grid connection.";
    GridCurrent = "ess_grid_current_amperes" Gauge ["phase"] "A", "Current at the grid connection; its sign follows the power.";
    GridFrequency = "ess_grid_frequency_hertz" Gauge [] "Hz", "Frequency at the grid connection.";
    GridConnected = "ess_grid_connected" Gauge [] "", "Whether the utility is there.";
    GridSetpoint = "ess_grid_setpoint_watts" Gauge [] "W", "Wanted grid power, import positive.";

    PvPower = "ess_pv_power_watts" Gauge ["device"] "W", "Power of one PV source, AC or DC coupled.";
    PvEnergy = "ess_pv_energy_joules_total" Counter ["device"] "J", "Energy of one PV source.";
    PvLimit = "ess_pv_limit_watts" Gauge [] "W", "Limit ordered for PV; absent while none is needed.";
    LoadPower = "ess_load_power_watts" Gauge ["phase"] "W", "Consumption of the site.";
    LoadEnergy = "ess_load_energy_joules_total" Counter [] "J", "Energy consumed.";

    BatteryPower = "ess_battery_power_watts" Gauge ["battery"] "W", "Battery power, discharge positive.";
    BatteryEnergy = "ess_battery_energy_joules_total" Counter ["direction"] "J", "Energy into and out of the battery.";
    BatteryVoltage = "ess_battery_voltage_volts" Gauge ["battery"] "V", "Battery voltage.";
    BatteryCurrent = "ess_battery_current_amperes" Gauge ["battery"] "A", "Battery current, discharge positive.";
    BatteryTemperature = "ess_battery_temperature_celsius" Gauge ["battery"] "°C", "Battery temperature.";
    BatterySoc = "ess_battery_soc_ratio" Gauge ["battery", "bound"] "1", "State of charge, 0 to 1; bound best is what was measured.";
    BatteryFloor = "ess_battery_floor_ratio" Gauge [] "1", "The minimum state of charge in force, 0 to 1; absent while none is.";
    BatteryChargeLimit = "ess_battery_charge_limit_amperes" Gauge ["battery", "source"] "A", "Most charge current the source allows.";
    BatteryDischargeLimit = "ess_battery_discharge_limit_amperes" Gauge ["battery", "source"] "A", "Most discharge current the source allows.";
    BatteryVoltageLimit = "ess_battery_charge_limit_volts" Gauge ["battery", "source"] "V", "Highest voltage the source allows.";
    BatteryOrder = "ess_battery_order_watts" Gauge [] "W", "AC power ordered of all inverters together, discharge positive; what would be ordered while observing.";
    BatteryMaxCharge = "ess_battery_allowed_charge_watts" Gauge [] "W", "Most charge allowed now, as a positive number.";
    BatteryMaxDischarge = "ess_battery_allowed_discharge_watts" Gauge [] "W", "Most discharge allowed now.";

    InverterPower = "ess_inverter_power_watts" Gauge ["device"] "W", "Power at the inverter's AC input, feeding the site positive.";
    InverterSetpoint = "ess_inverter_setpoint_watts" Gauge ["device"] "W", "Power ordered of the inverter, feeding the site positive.";
    InverterError = "ess_inverter_setpoint_error_watts" Gauge ["device"] "W", "Ordered less measured power of the inverter.";

    PolicyActive = "ess_policy_active" Gauge ["policy"] "", "1 for the rung of the ladder that bound the newest decision, 0 for the others.";
    BindingReason = "ess_binding_reason_info" Gauge ["reason", "policy"] "", "Always 1; the labels say which reason bound the newest decision.";
    BindingSeconds = "ess_binding_reason_seconds_total" Counter ["reason"] "s", "How long each reason was the binding one.";
    GuardState = "ess_guard_state" Gauge ["state"] "", "1 for the state of the guard of the minimum charge, 0 for the others.";

    GeneratorState = "ess_generator_state" Gauge ["generator", "state"] "", "1 for the generator's state, 0 for the others.";
    GeneratorRunning = "ess_generator_running" Gauge ["generator"] "", "Whether the engine turns, as measured.";
    GeneratorRequested = "ess_generator_requested" Gauge ["generator"] "", "Whether the engine is commanded to run.";
    GeneratorAuto = "ess_autostart_enabled" Gauge ["generator"] "", "Whether conditions may start the engine by themselves.";
    GeneratorFault = "ess_generator_fault_active" Gauge ["generator"] "", "Whether the set reports a shutdown fault.";
    GeneratorStarts = "ess_generator_starts_total" Counter ["generator"] "", "Confirmed starts.";
    GeneratorRuntime = "ess_generator_runtime_seconds_total" Counter ["generator"] "s", "Time the engine turned.";
    GeneratorPower = "ess_generator_power_watts" Gauge ["generator"] "W", "Generator output.";
    GeneratorEnergy = "ess_generator_energy_joules_total" Counter ["generator"] "J", "Energy of the generator.";
    GeneratorFuel = "ess_generator_fuel_ratio" Gauge ["generator"] "1", "Fuel level, 0 to 1.";

    AlarmActive = "ess_alarm_active" Gauge ["alarm", "severity", "device"] "", "Whether the alarm holds; device is empty for the site.";

    ProcessCpu = "process_cpu_seconds_total" Counter [] "s", "Processor time used.";
    ProcessMemory = "process_resident_memory_bytes" Gauge [] "B", "Memory in use.";
    ProcessFds = "process_open_fds" Gauge [] "", "Open file descriptors.";
    ProcessMaxFds = "process_max_fds" Gauge [] "", "Most file descriptors the system allows.";
    ProcessStart = "process_start_time_seconds" Gauge [] "s", "When the process began, as the system says.";
}

/// The rungs of the ladder as `ess_policy_active` names them.
pub const POLICIES: &[&str] = &[
    "device-and-authority",
    "battery-protection",
    "connection-protection",
    "forced-charge",
    "reserve-and-floor",
    "operator-order",
    "schedule",
    "plan",
    "self-consumption",
    "regulator",
];

/// The states of the guard of the minimum charge.
pub const GUARD_STATES: &[&str] = &["keep-charged", "ok", "floor-held", "floor-recharge"];

/// The states of the generator.
pub const GENERATOR_STATES: &[&str] = &[
    "boot",
    "stopped",
    "resting",
    "starting",
    "crank-rest",
    "warm-up",
    "running",
    "cool-down",
    "stopping",
    "external",
    "local",
    "lockout",
    "fuel-stop",
];

/// The table as `grafana/METRICS.md` shows it.
#[must_use]
pub fn document() -> String {
    let mut text = String::from(
        "# Metrics\n\nWhat `/metrics` exports, made from the table in `src/services/table.rs`. A value without good \
         quality is absent, never 0.\nGrid import, PV, generator and battery discharge are positive. `phase` is `l1`, \
         `l2`, `l3`, or `all` where only the total\nis known; never both, so that `sum()` is right. `kWh` are joules / \
         3.6e6.\n\n| metric | type | labels | unit | what |\n|---|---|---|---|---|\n",
    );
    for spec in TABLE.iter().map(|id| id.spec()) {
        let row = [spec.name, spec.kind.name(), &spec.labels.join(", "), spec.unit, spec.help].join(" | ");
        text.push_str(&format!("| {row} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_written_list_of_metrics_is_the_one_that_is_exported() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/grafana/METRICS.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == document(),
            "grafana/METRICS.md is not what the table says; it must read:\n{}",
            document()
        );
    }

    #[test]
    fn every_name_is_unique_and_says_its_unit() {
        let names: BTreeSet<&str> = TABLE.iter().map(|id| id.spec().name).collect();
        assert_eq!(names.len(), TABLE.len());
        let endings = [
            ("W", "_watts"),
            ("V", "_volts"),
            ("A", "_amperes"),
            ("Hz", "_hertz"),
            ("°C", "_celsius"),
            ("1", "_ratio"),
            ("J", "_joules"),
            ("s", "_seconds"),
            ("B", "_bytes"),
        ];
        for spec in TABLE.iter().map(|id| id.spec()) {
            let name = spec.name.trim_end_matches("_total");
            assert_eq!(spec.kind == Kind::Counter, spec.name.ends_with("_total"), "{}", spec.name);
            if let Some((_, ending)) = endings.iter().find(|(unit, _)| *unit == spec.unit) {
                assert!(name.ends_with(ending), "{} is in {}", spec.name, spec.unit);
            } else {
                assert_eq!(spec.unit, "", "{}", spec.name);
            }
            assert!(spec.help.ends_with('.'), "{}", spec.name);
        }
    }
}
