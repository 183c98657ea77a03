//! Alarms that follow from what was decided and heard.

use arrayvec::ArrayVec;

use super::{Alarm, Event, MAX_ALARMS, METER_ALARM, Site, SiteConfig, Stage, total_of};
use crate::control::units::Mono;

impl Site {
    pub(super) fn alarm(&mut self, now: Mono) {
        let [meter, inverter, soc, bms, ..] = self.decision.stages;
        let since_start = *self.state.meter_good_at.get_or_insert(now);
        if meter <= Stage::Held || !self.config.policy.grid.connected {
            self.state.meter_good_at = Some(now);
        }
        let wiring = &self.config.wiring;
        let metered = wiring.grid.power.is_wired();
        let starting = !self.decision.ready;
        let wired_soc = wiring.battery.soc.is_some();
        let meter_lost = metered && meter > Stage::Held && now.since(since_start) >= METER_ALARM;
        let inverter_lost = !wiring.inverters.is_empty() && !starting && inverter == Stage::Safe;
        let unmet = self.import_unmet(now);
        let (alarms, events) = (&mut self.state.alarms, &mut self.outputs.events);
        let mut now_on = |alarm: Alarm, on: bool| {
            if set_alarm(alarms, alarm, on) {
                let _full = events.try_push(Event::Alarm(alarm, on));
            }
        };
        now_on(Alarm::MeterLost, meter_lost);
        now_on(Alarm::ImportLimitUnmet, unmet);
        now_on(Alarm::SocLost, wired_soc && !starting && soc == Stage::Safe);
        now_on(Alarm::BmsLost, !starting && bms == Stage::Safe);
        now_on(Alarm::InverterLost, inverter_lost);
        for (place, actuator) in (0u8..).zip(&self.state.actuators) {
            now_on(Alarm::OrderGivenUp(place), actuator.given_up());
            if !actuator.yields(now) {
                now_on(Alarm::SecondWriter(place), false);
            }
        }
    }

    /// Whether more than the import limit, and a twentieth on top, has been drawn for a minute.
    fn import_unmet(&mut self, now: Mono) -> bool {
        let SiteConfig { wiring, policy, .. } = &self.config;
        let good = self.decision.stages.first() == Some(&Stage::Good);
        let grid = total_of(&self.state.image, &wiring.grid.power);
        let over = good && grid.is_some_and(|grid| policy.grid.over_import(grid.value));
        self.state.over_import = if over { self.state.over_import.or(Some(now)) } else { None };
        self.state.over_import.is_some_and(|since| now.since(since) >= METER_ALARM)
    }
}

/// Adds or removes an alarm; says whether that changed anything.
pub(super) fn set_alarm(alarms: &mut ArrayVec<Alarm, MAX_ALARMS>, alarm: Alarm, on: bool) -> bool {
    let at = alarms.iter().position(|active| *active == alarm);
    match (at, on) {
        (None, true) => alarms.try_push(alarm).is_ok(),
        (Some(at), false) => {
            alarms.remove(at);
            true
        }
        (None, false) | (Some(_), true) => false,
    }
}
