//! What is asked over the API: the operator's token, and the way from what was asked to what the site takes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::control::orders::{Actor, BatteryOrder, Wish};
use crate::control::overlays::{OverlayOrder, Word};
use crate::control::policy::{Caps, PlanAct, PlanSlot, Steer};
use crate::control::schedule::lease::Lease;
use crate::control::site::{Input, Manual, OperatorOrder};
use crate::control::units::{Soc, Span, Watts};
use crate::profile::{laid, report};
use crate::services::inbox::{Asked, Judge, Token};
use crate::services::orders::{Kind, Order};
use crate::services::overlays::Overlay;
use crate::services::plans::{self, Plan};

use super::reload::Load;

/// Bytes of chance in a token.
const CHANCE: usize = 24;

/// Where the operator's token of a state folder is.
#[must_use]
pub fn token_file(state: &Path) -> PathBuf {
    state.join("operator.token")
}

/// The token of a state folder; made when there is none, readable by its owner alone.
///
/// # Errors
/// When the file can neither be read nor written.
pub(super) fn kept(state: &Path) -> io::Result<Token> {
    let file = token_file(state);
    match fs::read_to_string(&file) {
        Ok(text) if !text.trim().is_empty() => return Ok(Token::new(text.trim())),
        // One that a power cut left empty is made anew.
        Ok(_) => fs::remove_file(&file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let token = fresh()?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file)?;
    writeln!(out, "{}", token.reveal())?;
    out.sync_all()?;
    Ok(token)
}

/// A token that nobody knows yet.
///
/// # Errors
/// When the system gives no random bytes.
pub fn fresh() -> io::Result<Token> {
    let mut bytes = [0_u8; CHANCE];
    let filled = rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())?;
    if filled < CHANCE {
        return Err(io::Error::other("the system gave too few random bytes"));
    }
    Ok(Token::new(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// What the site takes.
pub(super) fn input(asked: &Asked) -> Input {
    match asked {
        Asked::Order(asked) => {
            let (order, by) = order(asked);
            Input::Operator(order, by)
        }
        Asked::Plan(plan) => Input::Lease(Box::new(lease(plan))),
        Asked::Overlay(overlay) => Input::Overlay(Box::new(overlaid(overlay))),
    }
}

/// Looks at the profile as it would be under an overlay.
pub(super) fn judge(load: Option<Load>) -> Judge {
    std::sync::Arc::new(move |overlay: &Overlay| {
        let Some(load) = &load else {
            return Err("this site's profile never changes, so nothing can lie over it".to_owned());
        };
        load(&[laid(overlay.what())]).map(drop).map_err(|mistakes| report::mistakes_text(&mistakes))
    })
}

fn overlaid(asked: &Overlay) -> OverlayOrder {
    let lasts = if asked.off { Some(Span::ZERO) } else { asked.seconds.map(|it| Span::secs(i64::from(it))) };
    OverlayOrder {
        what: Word::from(asked.what()).unwrap_or_default(),
        by: Actor::from(&asked.by).unwrap_or_default(),
        lasts,
    }
}

fn lease(plan: &Plan) -> Lease {
    let slot = |slot: &plans::Slot| PlanSlot {
        start: slot.start.as_second(),
        duration: Span::secs(i64::from(slot.seconds)),
        steer: steer(&slot.steer),
    };
    Lease {
        by: Actor::from(&plan.by).unwrap_or_default(),
        priority: plan.priority,
        lasts: plan.seconds.map(|seconds| Span::secs(i64::from(seconds))),
        now: plan.now.as_ref().map(steer),
        slots: plan.slots.iter().map(slot).collect(),
    }
}

fn steer(asked: &plans::Steer) -> Steer {
    let act = match (asked.target, asked.setpoint, asked.power) {
        (Some(target), ..) => PlanAct::Target(Soc::percent(u16::from(target))),
        (None, Some(setpoint), _) => PlanAct::Setpoint(Watts(setpoint)),
        (None, None, Some(power)) => PlanAct::Power(Watts(power)),
        (None, None, None) => PlanAct::Free,
    };
    let caps = Caps {
        max_charge: asked.max_charge.map(Watts),
        max_discharge: asked.max_discharge.map(Watts),
        export_limit: asked.export_limit.map(Watts),
        no_grid_charge: asked.no_grid_charge,
        no_battery_export: asked.no_battery_export,
    };
    Steer { act, caps }
}

/// What the site takes, and by whom.
fn order(asked: &Order) -> (OperatorOrder, Actor) {
    let lasts = asked.seconds.map(|seconds| Span::secs(i64::from(seconds)));
    let watts = asked.watts.map(Watts);
    let battery =
        |wish| OperatorOrder::Battery(Some(BatteryOrder { wish, lasts, use_reserve: asked.use_reserve }));
    let generator = |manual| OperatorOrder::Generator { manual, lasts };
    let order = match asked.order {
        Kind::Hold => battery(Wish::Hold),
        Kind::Charge => battery(Wish::Charge(watts)),
        Kind::Discharge => battery(Wish::Discharge(watts.unwrap_or(Watts::ZERO))),
        Kind::Setpoint => battery(Wish::Setpoint(watts.unwrap_or(Watts::ZERO))),
        Kind::Release => OperatorOrder::Battery(None),
        Kind::GeneratorRun => generator(Manual::Run),
        Kind::GeneratorOff => generator(Manual::Off),
        Kind::GeneratorAuto => generator(Manual::Auto),
        Kind::GeneratorAcknowledge => OperatorOrder::GeneratorAcknowledge,
    };
    (order, Actor::from(&asked.by).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::control::orders::{LONGEST, LONGEST_RESERVE};
    use crate::control::overlays;
    use crate::control::schedule::{MAX_SLOTS, lease};
    use crate::services::{self, orders};

    #[test]
    fn what_the_api_lets_through_is_what_the_site_keeps_to() {
        assert_eq!(LONGEST, Span::secs(i64::from(orders::LONGEST)));
        assert_eq!(LONGEST_RESERVE, Span::secs(i64::from(orders::LONGEST_RESERVE)));
        assert_eq!(Actor::new().capacity(), orders::NAME);
        assert_eq!(overlays::LONGEST, Span::secs(i64::from(services::overlays::LONGEST)));
        assert_eq!(overlays::WORD, services::overlays::WORD);
        assert_eq!(lease::LONGEST, Span::secs(i64::from(plans::LONGEST)));
        assert_eq!(MAX_SLOTS, plans::SLOTS);
    }

    #[test]
    fn a_state_folder_has_one_token_that_only_its_owner_reads_and_that_stays() {
        let folder = std::env::temp_dir().join(format!("wattkeeper-token-{}", std::process::id()));
        let _absent = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let first = kept(&folder).unwrap();
        assert_eq!(first.reveal().len(), 2 * CHANCE);
        assert_eq!(fs::metadata(token_file(&folder)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(kept(&folder).unwrap().reveal(), first.reveal());
        fs::write(token_file(&folder), "\n").unwrap();
        let second = kept(&folder).unwrap();
        assert_ne!(second.reveal(), first.reveal(), "a file that was cut is made anew");
        fs::remove_dir_all(&folder).unwrap();
    }
}
