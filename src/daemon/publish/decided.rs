//! A decision and its reasons, as they are shown.

use std::borrow::Cow;

use crate::control;
use crate::control::commission::{self, Shown};
use crate::control::decision::ForcedCharge;
use crate::control::overlays::Overlay;
use crate::control::reading::Stage;
use crate::control::reason::{Cause, Tier};
use crate::control::site::OperatorOrder;
use crate::control::units::{MilliAmps, Mono, Soc, Watts};
use crate::control::wiring::ActuatorKind;
use crate::services::published as out;

use super::super::moment::Moment;
use super::program;

pub(super) fn reason(cause: Cause, binding: bool) -> out::Reason {
    out::Reason {
        code: Cow::Borrowed(cause.reason.code()),
        text: cause.reason.to_string(),
        tier: Cow::Borrowed(cause.tier.label()),
        words: cause.reason.words(),
        binding,
    }
}

pub(super) fn decision(moment: &Moment) -> out::Decision {
    let decided = &moment.decision;
    let wiring = &moment.frame.checked.site.wiring;
    let binding = decided.reasons.binding();
    let mut bound = false;
    let reasons = decided
        .reasons
        .iter()
        .map(|cause| {
            let binds = !bound && Some(cause) == binding;
            bound |= binds;
            reason(cause, binds)
        })
        .collect();
    let tier = |tier: Tier| Cow::Borrowed(tier.label());
    out::Decision {
        at_ms: decided.at.0,
        utc_ms: Some(moment.utc_ms.saturating_sub(moment.now.since(decided.at).0)),
        battery_order: decided.battery_order.0,
        max_charge: decided.max_charge.0,
        max_discharge: decided.max_discharge.0,
        discharge_allowed: decided.discharge_allowed,
        forced_charge: decided.forced_charge != ForcedCharge::None,
        inverters: wiring
            .inverters
            .iter()
            .zip(&decided.inverters)
            .map(|(wired, [l1, l2, l3])| out::InverterOrder {
                name: wired.spec.name.clone(),
                l1: l1.0,
                l2: l2.0,
                l3: l3.0,
            })
            .collect(),
        grid_setpoint: grid_setpoint(moment).0,
        pv_limit: decided.pv_limit.map(|limit| limit.0),
        guard: Cow::Borrowed(decided.guard.name()),
        floor: decided.floor.map(percent),
        order: decided.order.map(|view| out::Standing {
            text: OperatorOrder::Battery(Some(view.order)).words(),
            by: view.by.to_string(),
            left_s: view.left.whole_secs(),
            acts: view.acts,
        }),
        loads: moment
            .frame
            .checked
            .loads
            .iter()
            .zip(&decided.loads)
            .map(|(name, load)| out::LoadState {
                name: name.clone(),
                on: load.on,
                code: Cow::Borrowed(load.reason.code()),
                words: load.reason.words(),
            })
            .collect(),
        overlays: moment.overlays.iter().map(|on| overlay(on, moment.now)).collect(),
        plan_by: decided.timed.plan_by.map(|by| program(&by).to_owned()),
        charge_current: decided.charge_current.map(amperes),
        chargers: wiring
            .chargers
            .iter()
            .zip(&decided.chargers)
            .map(|(wired, limit)| out::ChargerLimit { name: wired.name.clone(), amperes: amperes(*limit) })
            .collect(),
        outlook: outlook(moment),
        trim: decided.trim.0,
        ladder: decided
            .ladder
            .iter()
            .map(|rung| out::Rung { tier: tier(rung.tier), low: rung.low.0, high: rung.high.0 })
            .collect(),
        overruled: decided
            .overruled
            .iter()
            .map(|cut| out::Overruled {
                tier: tier(cut.tier),
                wanted: cut.wanted.0,
                got: cut.got.0,
                by: tier(cut.by),
            })
            .collect(),
        reasons,
        stages: ["meter", "inverter", "soc", "bms", "pv", "generator"]
            .into_iter()
            .zip(decided.stages.map(Stage::name))
            .map(|(input, stage)| out::InputStage {
                input: Cow::Borrowed(input),
                stage: Cow::Borrowed(stage),
            })
            .collect(),
    }
}

/// A commissioning, as it is shown.
pub(in crate::daemon) fn commissioning(moment: &Moment) -> Option<out::Commissioning> {
    let commission = moment.commission.as_ref()?;
    let wiring = &moment.frame.checked.site.wiring;
    let phase = |at: u8| format!("L{}", at.saturating_add(1));
    let inverter = |at: u8| {
        let wired = wiring.inverters.get(usize::from(at));
        wired.map(|wired| wired.spec.name.clone()).unwrap_or_default()
    };
    let tried = |shown: &Shown| {
        let percent = |channel: usize| {
            shown.gains.get(channel).copied().flatten().map(|thousandths| f64::from(thousandths) / 10.0)
        };
        out::Tried {
            inverter: inverter(shown.trial.inverter),
            phase: phase(shown.trial.phase),
            inverter_percent: percent(commission::INVERTER_TOTAL),
            meter_percent: percent(commission::METER_TOTAL),
            battery_percent: percent(commission::BATTERY_TOTAL),
            response_ms: shown.response.map(|span| span.0),
            lag_ms: shown.lag.map(|span| span.0),
            findings: shown
                .findings
                .iter()
                .map(|found| out::Found { code: found.code().to_owned(), text: found.words() })
                .collect(),
        }
    };
    Some(out::Commissioning {
        done: commission.done(),
        now: commission.trial().map(|trial| format!("{} {}", inverter(trial.inverter), phase(trial.phase))),
        over: commission.report().is_some(),
        ended: commission.report().and_then(|report| report.ended).map(|ended| ended.words().to_owned()),
        tried: commission.shown().iter().map(tried).collect(),
    })
}

fn overlay(on: &Overlay, now: Mono) -> out::OverlayOn {
    out::OverlayOn {
        what: on.what.to_string(),
        by: on.by.to_string(),
        left_s: on.until.since(now).whole_secs(),
    }
}

fn outlook(moment: &Moment) -> out::Outlook {
    let control::outlook::Outlook { stops_at, resumes_at, changes } =
        control::outlook::outlook(&moment.frame.checked.site.policy, &moment.decision);
    out::Outlook { stops_at: stops_at.map(percent), resumes_at: resumes_at.map(percent), changes }
}

fn percent(soc: Soc) -> f64 {
    f64::from(soc.centi()) / 100.0
}

/// What is sent where a device keeps the fast loop itself; elsewhere nothing is, and the operator's wish is shown.
fn grid_setpoint(moment: &Moment) -> Watts {
    let site = &moment.frame.checked.site;
    let wish = site.policy.grid.setpoint;
    if site.wiring.actuators.iter().any(|spec| spec.kind == ActuatorKind::GridSetpoint) {
        moment.decision.grid_setpoint.unwrap_or(wish)
    } else {
        wish
    }
}

fn amperes(current: MilliAmps) -> f64 {
    f64::from(current.0) / 1_000.0
}
