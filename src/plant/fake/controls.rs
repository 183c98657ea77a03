//! What writes mean: a fake device finds them in its definition's control tables and does them in the plant.

use std::sync::Arc;

use crate::device::definition::{Control, Definition, Field, Place, Variable, Write};
use crate::device::exchange::Request;
use crate::device::order::ControlKind;
use crate::device::quirk::Quirk;
use crate::device::recipe;
use crate::device::words::{self, Raw};
use crate::plant::Plant;

use super::chain;
use super::device::FakeDevice;
use super::memory::area_of;

/// Gain of the loop that a supervised inverter runs by itself, once a second.
const OWN_GAIN: f64 = 0.7;
/// A GX does not discharge below this by itself.
const OWN_FLOOR: f64 = 10.0;

/// What the controls remember.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    /// The PV limit lapses at this simulated second.
    limit_until: Option<f64>,
    /// Whether the SunSpec limit was enabled when it was last looked at.
    limit_enabled: bool,
    /// Last whole second in which the own loop acted.
    second: u64,
}

/// The value of a field from the words on the wire; none when they say nothing that the field can say.
fn value(field: &Field, words: &[u16]) -> Option<f64> {
    let Raw::Int(raw) = words::decode(field.kind, field.order, words)? else { return None };
    let raw = i64::try_from(raw).ok()?;
    if field.map.is_empty() {
        Some(raw as f64 * f64::from(field.scale.to_f32()))
    } else {
        field.map.iter().find(|(_, code)| *code == raw).map(|(value, _)| *value as f64)
    }
}

/// The fields of a write with what stands in the device's registers for them.
fn fields<'w>(device: &FakeDevice, write: &'w Write, offset: u16) -> Vec<(&'w Field, Vec<u16>)> {
    let mut found = Vec::new();
    let Some(mut at) = device.address_of(write, offset) else { return found };
    let Some(memory) = device.memories.get(write.unit) else { return found };
    for field in &write.fields {
        let len = field.kind.width();
        if let Some(words) = memory.words(area_of(write.function), at, len) {
            found.push((field, words));
        }
        at = at.saturating_add(len);
    }
    found
}

/// Whether a request wrote all of what this write of the definition writes.
fn covers(device: &FakeDevice, unit: usize, request: &Request, write: &Write, offset: u16) -> bool {
    let Some(at) = device.address_of(write, offset) else { return false };
    // On a site with fewer phases the registers of the others may be left out.
    let end = at.saturating_add(recipe::len(write, device.phases));
    unit == write.unit
        && area_of(request.function) == area_of(write.function)
        && request.address <= at
        && request.address.saturating_add(request.count) >= end
}

/// Whether a request wrote some of what this write of the definition writes.
fn touches(device: &FakeDevice, unit: usize, request: &Request, write: &Write) -> bool {
    let Some(at) = device.address_of(write, 0) else { return false };
    let end = at.saturating_add(recipe::len(write, device.phases));
    unit == write.unit
        && area_of(request.function) == area_of(write.function)
        && request.address < end
        && request.address.saturating_add(request.count) > at
}

/// Whether everything that a control needs to have been set up is set up.
fn engaged(device: &FakeDevice, control: &Control) -> bool {
    control.setup.iter().all(|write| {
        fields(device, write, 0).iter().all(|(field, words)| match field.value {
            Variable::Constant(wanted) => {
                matches!(words::decode(field.kind, field.order, words), Some(Raw::Int(raw)) if raw == i128::from(wanted))
            }
            _ => true,
        })
    })
}

/// Does in the plant what a legal write means.
pub fn understand(device: &mut FakeDevice, unit: usize, request: &Request, plant: &mut Plant) {
    let definition = Arc::clone(&device.definition);
    for control in &definition.controls {
        match control.kind {
            ControlKind::InverterPower => inverter(device, unit, request, control, plant),
            ControlKind::GridSetpoint => {} // its own loop reads the register
            ControlKind::PvLimit => pv_limit(device, unit, request, control, plant),
            ControlKind::GeneratorRun => {
                if let Some(run) = command(device, unit, request, control, 0) {
                    plant.set_contact(run);
                }
            }
            ControlKind::Relay => {
                if let Some(channel) = device.contact {
                    let offset = u16::from(channel).saturating_mul(control.stride);
                    if let Some(run) = command(device, unit, request, control, offset) {
                        plant.set_contact(run);
                    }
                }
            }
        }
    }
}

fn inverter(device: &FakeDevice, unit: usize, request: &Request, control: &Control, plant: &mut Plant) {
    // A single phase may be written alone; the others then stay as they were told.
    let told = control.command.iter().any(|write| touches(device, unit, request, write));
    if !told || !engaged(device, control) {
        return;
    }
    let mut power = [0.0; 3];
    for write in &control.command {
        for (field, words) in fields(device, write, 0) {
            let Some(watts) = value(field, &words) else { continue };
            match field.value {
                Variable::Power(phase) => {
                    if let Some(power) = power.get_mut(phase) {
                        *power = watts;
                    }
                }
                Variable::PowerTotal => {
                    let count = plant.params().phase_count() as f64;
                    power = plant.params().wired().map(|wired| wired * watts / count);
                }
                _ => {}
            }
        }
    }
    plant.order_inverter(power);
}

/// Run or not, when this request says one of them completely: every field that depends on it must agree.
fn command(
    device: &FakeDevice,
    unit: usize,
    request: &Request,
    control: &Control,
    offset: u16,
) -> Option<bool> {
    let write = control.command.iter().find(|write| covers(device, unit, request, write, offset))?;
    let mut said = None;
    for (field, words) in fields(device, write, offset) {
        match field.value {
            Variable::Run => {
                let run = value(field, &words)? != 0.0;
                if said.is_some_and(|before| before != run) {
                    return None;
                }
                said = Some(run);
            }
            Variable::Constant(wanted) => {
                let raw = words::decode(field.kind, field.order, &words)?;
                if !matches!(raw, Raw::Int(raw) if raw == i128::from(wanted)) {
                    return None;
                }
            }
            _ => {}
        }
    }
    said
}

fn pv_limit(device: &mut FakeDevice, unit: usize, request: &Request, control: &Control, plant: &mut Plant) {
    let by_chain = control.command.iter().any(|write| matches!(write.place, Place::SunSpec(_)));
    if by_chain {
        let rating = plant.params().pv_peak;
        let (Some(chain), Some(memory)) = (&device.chain, device.memories.first()) else { return };
        let enabled = chain.read(memory, "WMaxLim_Ena") == Some(1);
        let share = chain.read(memory, "WMaxLimPct").map_or(1.0, chain::share);
        let lasts = chain.read(memory, "WMaxLimPct_RvrtTms").filter(|seconds| (1..0xFFFF).contains(seconds));
        // Some makers look at the percentage only in the moment in which the limit is switched on.
        let edge_only = device.definition.quirks.contains(&Quirk::ToggleEnable);
        let counts = !(edge_only && device.controls.limit_enabled);
        device.controls.limit_enabled = enabled;
        if !enabled {
            device.controls.limit_until = None;
            plant.limit_pv(None);
        } else {
            device.controls.limit_until = lasts.map(|seconds| plant.time() + f64::from(seconds));
            if counts {
                plant.limit_pv(Some(rating * share));
            }
        }
        return;
    }
    for write in control.command.iter().filter(|write| covers(device, unit, request, write, 0)) {
        for (field, words) in fields(device, write, 0) {
            match (field.value, value(field, &words)) {
                (Variable::Limit, Some(watts)) => plant.limit_pv(Some(watts)),
                (Variable::LimitPercent, Some(percent)) => {
                    plant.limit_pv(Some(plant.params().pv_peak * percent / 100.0));
                }
                _ => {}
            }
        }
    }
}

/// What a device does by itself: limits lapse, and an inverter that nobody commands holds its grid setpoint.
pub fn pass(device: &mut FakeDevice, plant: &mut Plant) {
    if device.controls.limit_until.is_some_and(|until| plant.time() >= until) {
        device.controls.limit_until = None;
        device.controls.limit_enabled = false;
        plant.limit_pv(None);
        if let (Some(chain), Some(memory)) = (&device.chain, device.memories.first_mut()) {
            chain.write(memory, "WMaxLim_Ena", 0);
        }
    }
    let second = plant.time() as u64;
    if second > device.controls.second {
        device.controls.second = second;
        own_loop(device, plant);
    }
}

/// Whether a controller commands the inverter, rather than the device itself.
fn commanded(device: &FakeDevice, definition: &Definition) -> Option<bool> {
    let control = definition.control(ControlKind::InverterPower)?;
    (!control.setup.is_empty()).then(|| engaged(device, control))
}

fn own_loop(device: &FakeDevice, plant: &mut Plant) {
    let definition = Arc::clone(&device.definition);
    if commanded(device, &definition) != Some(false) {
        return;
    }
    let setpoint = definition
        .control(ControlKind::GridSetpoint)
        .and_then(|control| control.command.first())
        .and_then(|write| {
            let said = fields(device, write, 0);
            let (field, words) = said.iter().find(|(field, _)| field.value == Variable::Setpoint)?;
            value(field, words)
        })
        .unwrap_or(0.0);
    let flows = plant.flows();
    if !flows.grid_present {
        return;
    }
    let grid = flows.grid.iter().sum::<f64>();
    let now = flows.inverter().iter().sum::<f64>();
    let mut wanted = now + OWN_GAIN * (grid - setpoint);
    if flows.soc * 100.0 <= OWN_FLOOR {
        wanted = wanted.min(0.0);
    }
    let count = (0..3).filter(|phase| plant.params().has_inverter(*phase)).count().max(1) as f64;
    let mut order = [0.0; 3];
    for (phase, order) in order.iter_mut().enumerate() {
        if plant.params().has_inverter(phase) {
            *order = wanted / count;
        }
    }
    plant.order_inverter(order);
}

/// The operating state in the GX numbering: 9 inverting, 252 external control, 8 pass-through, 3 bulk, 0 off.
pub fn inverter_state(device: &FakeDevice, plant: &Plant) -> u8 {
    let flows = plant.flows();
    if flows.blackout {
        0
    } else if flows.island {
        9
    } else if !flows.grid_present {
        3
    } else if plant.inverter_order(0).is_none() {
        8
    } else if commanded(device, &device.definition) == Some(true) {
        252
    } else {
        3
    }
}
