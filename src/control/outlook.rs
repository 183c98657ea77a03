//! What comes next: where discharge stops and resumes, and what would change the order in force.

use super::battery::adaptive;
use super::decision::Decision;
use super::policy::Policy;
use super::reason::{Cause, End, Reason, Source, Tier};
use super::units::Soc;

/// What a person asks after "why".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Discharge stops at this charge; none where nothing but voltage and BMS stops it.
    pub stops_at: Option<Soc>,
    /// Once it has stopped, discharge resumes at this charge.
    pub resumes_at: Option<Soc>,
    /// What would change the order, in a sentence; none where the reason says it already.
    pub changes: Option<String>,
}

/// The outlook of a decision under the policy that it was made by.
#[must_use]
pub fn outlook(policy: &Policy, decision: &Decision) -> Outlook {
    let island =
        decision.reasons.iter().any(|cause| matches!(cause.reason, Reason::Island | Reason::GenActive));
    let floor = if island { Some(policy.battery.island_reserve) } else { decision.limit.or(decision.floor) };
    let stops_at = floor.filter(|floor| *floor > Soc::EMPTY);
    // In island discharge is back as soon as the charge is above the reserve.
    let resumes_at = stops_at.map(|floor| if island { floor } else { resume(policy, floor) });
    let changes = decision.reasons.binding().and_then(|cause| changes(policy, cause));
    Outlook { stops_at, resumes_at, changes }
}

fn resume(policy: &Policy, floor: Soc) -> Soc {
    floor.plus_centi(policy.battery.resume_centi)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not listed passes by itself or says its end in its words"
)]
fn changes(policy: &Policy, cause: Cause) -> Option<String> {
    let battery = &policy.battery;
    let text = match cause.reason {
        Reason::FloorHold { floor, .. } if cause.tier == Tier::Battery => {
            format!("discharge resumes above {floor}, which no order and no mode goes below")
        }
        Reason::FloorHold { floor, .. } => format!("discharge resumes at {}", resume(policy, floor)),
        Reason::FloorRecharge { floor, .. } => {
            format!("charging ends at {floor}, discharge resumes at {}", resume(policy, floor))
        }
        Reason::FloorRaisedHold(floor) => format!(
            "discharge resumes at {}, or once policy.battery.floor is lowered below the charge",
            resume(policy, floor)
        ),
        Reason::AdaptiveFloor { limit, .. } => format!(
            "discharge resumes above {}; the floor falls by 5 % on a day on which the charge reaches 85 %, and by 5 % more at 95 %",
            limit.plus_centi(adaptive::RESUME)
        ),
        Reason::ChargeRequest => "it ends when the BMS no longer asks".to_owned(),
        Reason::SlowCharge(limit) => format!("it ends above {limit}"),
        Reason::Sustain => {
            "it ends when the inverter lets the battery go and the charge has risen".to_owned()
        }
        Reason::FloorEase(_) => format!("the limit ends at {}", resume(policy, battery.floor)),
        Reason::KeepCharged => "discharge is back when policy.battery.keep_charged is false".to_owned(),
        Reason::BmsCcl(_) => "the battery takes more when its BMS allows more charge current".to_owned(),
        Reason::BmsDcl(_) => "the battery gives more when its BMS allows more discharge current".to_owned(),
        Reason::BmsLost | Reason::Stale(Source::Bms, _) => {
            format!("it ends after {} fresh answers of the BMS", policy.trust.bms.samples)
        }
        Reason::VoltFloor(_) => {
            let back = battery.voltage_floor?.scaled(102, 100);
            format!("discharge resumes at {back}")
        }
        Reason::TempDerate(_) => {
            let (coldest, hottest) = battery.temperature?;
            format!("it ends well inside the window of {coldest} to {hottest}")
        }
        Reason::ImportLimit(limit) => {
            format!(
                "it ends when the loads need less than {limit}, or with a higher policy.grid.import_limit"
            )
        }
        Reason::ExportLimit(limit) => {
            format!("it ends when less than {limit} is left over, or with a higher policy.grid.export_limit")
        }
        Reason::ImportLimitPhase(at, limit) => format!(
            "it ends when the loads on L{} need less than {limit}, or with a higher policy.grid.import_limit_phase",
            at.saturating_add(1)
        ),
        Reason::ExportLimitPhase(at, limit) => format!(
            "it ends when less than {limit} is left over on L{}, or with a higher policy.grid.export_limit_phase",
            at.saturating_add(1)
        ),
        Reason::ExportVolt(..) => "it ends when the grid's voltage falls".to_owned(),
        Reason::Island => {
            format!("it ends once the grid has been back for {} s", policy.grid.stable_for.whole_secs())
        }
        Reason::GenActive => "it ends when the generator has stopped".to_owned(),
        Reason::Stale(Source::Meter, _) => format!(
            "it ends after {} fresh samples of the meter over {} s",
            policy.trust.meter.samples,
            policy.trust.meter.over.whole_secs()
        ),
        Reason::Stale(Source::Soc, _) => {
            format!("it ends after {} fresh values of the charge", policy.trust.soc.samples)
        }
        Reason::Saturated(End::High, _) => "a higher policy.battery.max_discharge allows more".to_owned(),
        Reason::Saturated(End::Low, _) => "a higher policy.battery.max_charge allows more".to_owned(),
        Reason::Authority(_) => "a higher authority in the profile allows more".to_owned(),
        Reason::OpHold(_) | Reason::OpCharge(..) | Reason::OpDischarge(..) | Reason::OpSetpoint(..) => {
            "it ends by itself then, or with `wattkeeper release`".to_owned()
        }
        Reason::Sched { target, .. } => format!("charging ends at {target} or with the window"),
        Reason::Plan { slot: None, .. } => "it ends when its lease is not renewed".to_owned(),
        Reason::Plan { .. } => "it ends with the slot".to_owned(),
        Reason::FeedInDc(_) => {
            "it ends when the sun gives less, or with policy.grid.feed_in_dc = false".to_owned()
        }
        Reason::OutagePrepare(_) => "it ends with the announced outage".to_owned(),
        Reason::SelfConsumption(_) => {
            "nothing holds it back: it follows the loads, the PV and policy.grid.setpoint".to_owned()
        }
        _ => return None,
    };
    Some(text)
}
