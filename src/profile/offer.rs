//! What a device can tell and be told, whether a definition says so or only its roles.

use crate::control::signal::{Phase, Quantity};
use crate::control::units::{Span, Watts};
use crate::device::definition::{Control, Definition};
use crate::device::order::ControlKind;

use super::draft::Role;

/// What a device can tell and be told.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// Quantity, phase and channel (from 1 where there are several, else 0).
    pub points: Vec<(Quantity, Phase, u8)>,
    /// What it can be told.
    pub controls: Vec<OfferedControl>,
}

/// One thing a device can be told.
#[derive(Clone, Copy, Debug)]
pub struct OfferedControl {
    /// Which.
    pub kind: ControlKind,
    /// How many of them side by side.
    pub channels: u8,
    /// Repeat at least this often.
    pub refresh: Option<Span>,
    /// The device falls back by itself after this long.
    pub watchdog: Option<Span>,
    /// The smallest step.
    pub resolution: Watts,
    /// What shows that it was taken.
    pub confirm: Option<Quantity>,
}

/// What a definition offers when these of its units are asked.
#[must_use]
pub fn defined(definition: &Definition, asked: &dyn Fn(usize) -> bool) -> Offer {
    let mut offer = Offer::default();
    for point in definition.points.iter().filter(|point| asked(point.unit)) {
        let channels = if point.channels > 1 { 1..=point.channels } else { 0..=0 };
        offer.points.extend(channels.map(|channel| (point.quantity, point.phase, channel)));
    }
    let reachable = |control: &&Control| control.command.iter().all(|write| asked(write.unit));
    for control in definition.controls.iter().filter(reachable) {
        offer.controls.push(OfferedControl {
            kind: control.kind,
            channels: control.channels,
            refresh: control.refresh,
            watchdog: control.watchdog,
            resolution: control.resolution,
            confirm: control.confirm,
        });
    }
    offer
}

/// What a device without a definition offers: everything its roles can have.
#[must_use]
pub fn by_roles(roles: &[Role]) -> Offer {
    let mut offer = Offer::default();
    for role in roles {
        for quantity in quantities(*role) {
            let phases: &[Phase] = if has_phases(*quantity) {
                &[Phase::Total, Phase::L1, Phase::L2, Phase::L3]
            } else {
                &[Phase::Total]
            };
            offer.points.extend(phases.iter().map(|phase| (*quantity, *phase, 0)));
        }
        offer.controls.extend(controls(*role));
    }
    offer.points.sort_unstable();
    offer.points.dedup();
    offer
}

fn has_phases(quantity: Quantity) -> bool {
    matches!(
        quantity,
        Quantity::GridPower
            | Quantity::GridVoltage
            | Quantity::GridCurrent
            | Quantity::PvPower
            | Quantity::LoadPower
            | Quantity::LoadInPower
            | Quantity::LoadOutPower
            | Quantity::InverterPower
            | Quantity::InverterSetpoint
            | Quantity::InverterVoltage
            | Quantity::InverterSustain
            | Quantity::InverterOverload
            | Quantity::InverterOverheat
            | Quantity::GeneratorPower
    )
}

/// What a role can know, beside what only its device's definition could add.
#[must_use]
pub fn quantities(role: Role) -> &'static [Quantity] {
    use Quantity as Q;
    match role {
        Role::Battery => &[
            Q::BatterySoc,
            Q::BatteryVoltage,
            Q::BatteryCurrent,
            Q::BatteryPower,
            Q::BatteryTemperature,
            Q::BatteryChargeLimitCurrent,
            Q::BatteryDischargeLimitCurrent,
            Q::BatteryChargeLimitVoltage,
            Q::BatteryChargeRequest,
        ],
        Role::Inverter => &[
            Q::InverterPower,
            Q::InverterDcCurrent,
            Q::InverterSetpoint,
            Q::InverterVoltage,
            Q::InverterFrequency,
            Q::InverterState,
            Q::InverterSustain,
            Q::InverterOverload,
            Q::InverterOverheat,
        ],
        Role::GridMeter => &[
            Q::GridPresent,
            Q::GridPower,
            Q::GridVoltage,
            Q::GridCurrent,
            Q::GridFrequency,
            Q::GridImportEnergy,
            Q::GridExportEnergy,
        ],
        Role::Pv => &[Q::PvPower, Q::PvDcPower, Q::PvEnergy, Q::PvLimit, Q::PvState],
        Role::Generator => &[
            Q::GeneratorRunning,
            Q::GeneratorPower,
            Q::GeneratorAcPresent,
            Q::GeneratorFuel,
            Q::GeneratorMode,
            Q::GeneratorFault,
            Q::GeneratorVoltage,
            Q::GeneratorFrequency,
            Q::GeneratorHours,
            Q::GeneratorStarts,
        ],
        Role::GeneratorContact => &[Q::GeneratorContact],
        Role::LoadMeter => &[Q::LoadPower, Q::LoadInPower, Q::LoadOutPower, Q::LoadDcPower],
        Role::SolarCharger => &[Q::ChargerCurrent],
        Role::Io => &[Q::Input, Q::Relay, Q::Temperature, Q::Tank],
    }
}

/// What a device of this role can be told when nothing else is known of it. Times are those of a device that
/// gives up an inverter setpoint after 10 s and a PV limit after a minute.
fn controls(role: Role) -> Vec<OfferedControl> {
    let control = |kind, refresh: Option<i64>, watchdog: Option<i64>| OfferedControl {
        kind,
        channels: 1,
        refresh: refresh.map(Span::secs),
        watchdog: watchdog.map(Span::secs),
        resolution: Watts(1),
        confirm: None,
    };
    match role {
        Role::Inverter => vec![
            control(ControlKind::InverterPower, Some(3), Some(10)),
            control(ControlKind::GridSetpoint, None, None),
        ],
        Role::Pv => vec![control(ControlKind::PvLimit, Some(20), Some(60))],
        Role::GeneratorContact => vec![control(ControlKind::GeneratorRun, None, None)],
        Role::Io => {
            let relays = control(ControlKind::Relay, None, None);
            vec![OfferedControl { channels: 8, ..relays }]
        }
        Role::Battery | Role::GridMeter | Role::Generator | Role::LoadMeter | Role::SolarCharger => {
            Vec::new()
        }
    }
}
