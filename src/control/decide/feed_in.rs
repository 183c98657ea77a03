//! What AC-coupled PV may make: the decision's part of curtailment.

use crate::control::curtail::{Metered, PhaseRoom, Room};
use crate::control::image::Image;
use crate::control::ladder::Ladder;
use crate::control::policy::Policy;
use crate::control::reading::Stage;
use crate::control::senses::{self, PhasePower};
use crate::control::share::{self, Able};
use crate::control::units::{Mono, Span, Watts};
use crate::control::wiring::Wiring;

use super::known::Known;
use super::{Memory, phases};

/// The limit for all PV that takes one together, while one is needed.
#[expect(clippy::too_many_arguments, reason = "each is one fact of the decision at hand")]
pub(super) fn pv_limit(
    policy: &Policy,
    wiring: &Wiring,
    memory: &mut Memory,
    image: &Image,
    known: &Known,
    ladder: &Ladder,
    able: &Able,
    now: Mono,
) -> Option<Watts> {
    wiring.limited_pv().next()?;
    let curtail = &mut memory.curtail;
    let (mut made, mut oldest) = (Some([Watts::ZERO; 3]), Mono::NEVER);
    for pv in wiring.limited_pv() {
        let power = senses::recent_power(image, &pv.power, policy.trust.pv.held, now);
        made = made.zip(power).map(|(sum, power)| share::both(sum, spread(&power, known), |a, b| a + b));
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
                grid: grid.phases,
                inverters: inverters.map_or([Watts::ZERO; 3], |sample| sample.power),
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
    let charge = (-ladder.low()).max(Watts::ZERO);
    let phases = phase_rooms(policy, known, able, charge, made);
    let limited = export.or(phases.map(|_| Watts::MAX));
    let room = limited.filter(|_| steered).map(|export| Room {
        export,
        charge,
        sure: known.load_out_sure,
        rating: wiring.limited_rating(),
        phases,
    });
    curtail.step(room.filter(|_| known.starting.is_none()), now)
}

/// A PV power by phase: as it is told, else evenly where the site's phases are told apart.
fn spread(power: &PhasePower, known: &Known) -> [Watts; 3] {
    if power.split || !known.split {
        return power.phases;
    }
    share::scale([Watts::ZERO; 3], share::total(power.phases), [true; 3])
}

/// What each phase has room for, where phases have limits of export of their own.
fn phase_rooms(
    policy: &Policy,
    known: &Known,
    able: &Able,
    charge: Watts,
    made: Option<[Watts; 3]>,
) -> Option<[PhaseRoom; 3]> {
    let limit = policy.grid.export_limit_phase.filter(|_| known.split)?;
    let made = made.unwrap_or_default();
    let whole = share::total(made);
    let into = able.spread(-charge);
    let mut rooms = [PhaseRoom::default(); 3];
    let parts = rooms.iter_mut().zip(into).zip(made).zip(known.grid_volts);
    for (((room, into), made), volts) in parts {
        let export = phases::power(limit, volts);
        // What it makes by night says nothing of where it feeds.
        let by_made = i64::from(made.0).saturating_mul(1_000).checked_div(i64::from(whole.0));
        let share = by_made.filter(|_| whole > Watts(100)).unwrap_or(333);
        *room = PhaseRoom { beside: export + (-into).max(Watts::ZERO), share: share.max(0) };
    }
    Some(rooms)
}
