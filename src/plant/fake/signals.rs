//! What a device shows for a quantity: the plant's measured value, and what devices show beside it.

use crate::control::signal::{Phase, Quantity};
use crate::plant::Plant;

/// Nominal voltage of the simulated site.
const VOLTS: f64 = 230.0;
const HERTZ: f64 = 50.0;

/// The measured value in the unit of its symbol; `None` where the simulated site knows none.
pub fn measured(plant: &Plant, quantity: Quantity, phase: Phase) -> Option<f64> {
    let wired = match phase {
        Phase::Total | Phase::L1 => true,
        Phase::L2 | Phase::L3 => plant.params().phase_count() == 3,
    };
    let named = |name: &str| plant.measured(name).map(|measured| measured.value);
    let each = |name: &str| named(&format!("{name}{}", phase.suffix()));
    let live = |volts: f64| if wired { volts } else { 0.0 };
    let flows = plant.flows();
    let source = flows.grid_present || flows.generator_ac_present;
    match quantity {
        Quantity::GridVoltage => named("grid.voltage").map(live),
        Quantity::GridFrequency => named("grid.frequency"),
        Quantity::GridCurrent => each("grid.power").map(|watts| watts / VOLTS),
        Quantity::InverterVoltage => Some(if source { live(VOLTS) } else { 0.0 }),
        Quantity::InverterFrequency => Some(if source { HERTZ } else { 0.0 }),
        Quantity::InverterSustain
        | Quantity::InverterOverheat
        | Quantity::BatteryChargeRequest
        | Quantity::Input => Some(0.0),
        Quantity::InverterOverload => Some(f64::from(u8::from(flows.island && flows.unserved > 0.0))),
        Quantity::PvRating => plant.get("pv.peak"),
        Quantity::PvState => {
            let (made, could) = (named("pv.power")?, named("pv.available")?);
            Some(if could < 1.0 {
                2.0
            } else if made < 0.98 * could {
                5.0
            } else {
                4.0
            })
        }
        Quantity::PvLimit => plant.pv_limit().or_else(|| plant.get("pv.peak")),
        Quantity::GeneratorMode => Some(1.0),
        Quantity::GeneratorVoltage => named("generator.voltage").map(live),
        _ => each(quantity.name()).or_else(|| named(quantity.name())),
    }
}
