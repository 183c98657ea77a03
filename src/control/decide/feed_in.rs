//! What AC-coupled PV may make: the decision's part of curtailment.

use crate::control::curtail::{Metered, Room};
use crate::control::image::Image;
use crate::control::ladder::Ladder;
use crate::control::policy::Policy;
use crate::control::reading::Stage;
use crate::control::senses;
use crate::control::share;
use crate::control::units::{Mono, Span, Watts};
use crate::control::wiring::Wiring;

use super::Memory;
use super::known::Known;

/// The limit for all PV that takes one together, while one is needed.
pub(super) fn pv_limit(
    policy: &Policy,
    wiring: &Wiring,
    memory: &mut Memory,
    image: &Image,
    known: &Known,
    ladder: &Ladder,
    now: Mono,
) -> Option<Watts> {
    wiring.limited_pv().next()?;
    let curtail = &mut memory.curtail;
    let (mut made, mut oldest) = (Some(Watts::ZERO), Mono::NEVER);
    for pv in wiring.limited_pv() {
        let power = senses::recent_power(image, &pv.power, policy.trust.pv.held, now);
        made = made.zip(power).map(|(sum, power)| sum + share::total(power.phases));
        oldest = power.map_or(oldest, |power| oldest.min(power.asked_at));
    }
    if let Some(made) = made {
        curtail.pv_heard(made, oldest);
    }
    let believed = known.sensed.meter < Stage::Safe && !known.sensed.implausible;
    match known.sensed.grid.filter(|_| believed && made.is_some()) {
        Some(grid) => {
            let inverters = senses::inverters(image, wiring, &known.sensed.inverter, grid.split);
            let lag = policy.regulator.meter_lag.unwrap_or(Span::ZERO);
            curtail.meter_heard(Metered {
                moment: grid.asked_at - lag,
                grid: share::total(grid.phases),
                inverters: inverters.map_or(Watts::ZERO, |sample| share::total(sample.power)),
            });
        }
        None => curtail.forget(),
    }
    // In island the inverter steers PV by its frequency; a generator must not be fed.
    let own = -policy.grid.setpoint;
    let export = if known.generator_active {
        Some(Watts::ZERO)
    } else if policy.grid.feed_in_ac {
        known.export_limit
    } else {
        // Nothing but what the setpoint itself feeds in.
        Some(known.export_limit.map_or(own, |limit| own.min(limit)).max(Watts::ZERO))
    };
    let steered = known.generator_active || !known.sensed.island;
    let room = export.filter(|_| steered).map(|export| Room {
        export,
        charge: (-ladder.low()).max(Watts::ZERO),
        sure: known.load_out_sure,
        rating: wiring.limited_rating(),
    });
    curtail.step(room.filter(|_| known.starting.is_none()), now)
}
