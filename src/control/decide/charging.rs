//! DC-coupled PV and the battery's charge current: what there is, who may use it, what is left over.

use crate::control::battery::charge::{self, Budget, Charger};
use crate::control::battery::limits::Limits;
use crate::control::decision::Decision;
use crate::control::image::Image;
use crate::control::policy::Policy;
use crate::control::reading::Reading;
use crate::control::units::{MilliAmps, MilliVolts, Mono, Span, Watts};
use crate::control::wiring::Wiring;

use super::known::Known;

/// A charger's word about its current holds this long.
const KEEPS: Span = Span::secs(10);

/// DC-coupled PV: as much as discharging may count on, and the most there may be. Without a device that tells the
/// power it is the current of the chargers; a silent one may make all it can.
pub(super) fn pv_dc(
    policy: &Policy,
    wiring: &Wiring,
    image: &Image,
    voltage: Option<Reading<MilliVolts>>,
    now: Mono,
) -> (Watts, Watts) {
    if let Some(reading) = image.watts(wiring.pv_dc) {
        let made = reading.value.max(Watts::ZERO);
        let within = |most: Span| if reading.age(now) <= most { made } else { Watts::ZERO };
        return (within(policy.trust.pv.held), within(policy.trust.pv.safe));
    }
    let Some(voltage) = voltage.map(|reading| reading.value) else { return (Watts::ZERO, Watts::ZERO) };
    let (mut sure, mut most) = (MilliAmps::ZERO, MilliAmps::ZERO);
    for charger in chargers(wiring, image, now) {
        sure += charger.makes.unwrap_or(MilliAmps::ZERO);
        most += charger.makes.unwrap_or(charger.rating);
    }
    (voltage.times(sure), voltage.times(most))
}

fn chargers<'a>(wiring: &'a Wiring, image: &'a Image, now: Mono) -> impl Iterator<Item = Charger> + 'a {
    wiring.chargers.iter().map(move |wired| {
        let heard = image.amps(wired.current).filter(|reading| reading.age(now) <= KEEPS);
        let makes = heard.map(|reading| reading.value.max(MilliAmps::ZERO));
        Charger { rating: wired.rating, makes }
    })
}

/// What DC-coupled PV makes beyond what the battery may take, where it may leave the site.
pub(super) fn dc_surplus(policy: &Policy, known: &Known, limits: &Limits) -> Option<Watts> {
    if !known.feed_in_dc {
        return None;
    }
    let own = policy.battery.max_charge;
    let battery = limits.battery.map_or(own, |bms| Some(own.map_or(bms, |own| own.min(bms))))?;
    let surplus = known.pv_dc - known.load_dc - battery;
    (surplus > Watts::ZERO).then(|| surplus - known.load_out)
}

/// Puts the shares of the charge current into the decision.
pub(super) fn shared(
    wiring: &Wiring,
    image: &Image,
    known: &Known,
    limits: &Limits,
    cap: Option<Watts>,
    decision: &mut Decision,
    now: Mono,
) {
    decision.charge_current = None;
    decision.chargers.clear();
    let Some((battery, inverter)) = limits.current else { return };
    let volts = known.voltage.map(|reading| reading.value).filter(|volts| volts.0 > 0);
    let amperes = |power: Watts| volts.map_or(MilliAmps::ZERO, |volts| current(power, volts));
    let drawn = |at: usize| {
        let wired = wiring.inverters.get(at)?;
        let heard = image.amps(wired.dc_current).filter(|reading| reading.age(now) <= KEEPS);
        Some(heard.map_or(MilliAmps::ZERO, |reading| reading.value))
    };
    let budget = Budget {
        battery,
        inverter,
        dc_load: amperes(known.load_dc),
        drawn: (0..wiring.inverters.len()).filter_map(drawn).sum(),
        feed_in: known.feed_in_dc,
    };
    let list: arrayvec::ArrayVec<Charger, { crate::control::policy::MAX_CHARGERS }> =
        chargers(wiring, image, now).take(crate::control::policy::MAX_CHARGERS).collect();
    let shared = charge::share(budget, &list);
    // Whole amperes, and up: a cap that is told in watts is not less than it says.
    let cap = cap.map_or(MilliAmps::MAX, |cap| whole_up(amperes(cap)));
    decision.charge_current = Some(shared.inverter.min(cap));
    decision.chargers = shared.chargers;
}

fn whole_up(current: MilliAmps) -> MilliAmps {
    let amperes = i64::from(current.0).saturating_add(999).checked_div(1_000).unwrap_or(0);
    MilliAmps::saturated(amperes.saturating_mul(1_000))
}

/// The current of a power at a voltage.
fn current(power: Watts, voltage: MilliVolts) -> MilliAmps {
    let micro = i64::from(power.0).saturating_mul(1_000_000);
    MilliAmps::saturated(micro.checked_div(i64::from(voltage.0)).unwrap_or(0))
}
