//! Orders that people give over the API: what one may look like.

use serde::{Deserialize, Serialize};

/// Where orders go.
pub const PATH: &str = "/api/v1/orders";
/// No order lasts longer, in seconds.
pub const LONGEST: u32 = 86_400;
/// Nor does one that may use the reserve.
pub const LONGEST_RESERVE: u32 = 14_400;
/// No site of ours is larger, in W.
const LARGEST: i32 = 1_000_000;
/// Bytes of a name.
pub const NAME: usize = 32;

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// No discharge; what is left over still charges.
    Hold,
    /// Charge, with so many watts or as hard as the limits allow.
    Charge,
    /// Discharge with so many watts.
    Discharge,
    /// Steer the grid to so many watts, import positive.
    Setpoint,
    /// Take back the order for the battery.
    Release,
    /// Run the generator.
    GeneratorRun,
    /// Stop the generator and veto its automatic starts.
    GeneratorOff,
    /// Leave the generator to its conditions.
    GeneratorAuto,
    /// Leave the generator's lock-out.
    GeneratorAcknowledge,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What is wanted.
    pub order: Kind,
    /// With how much, in W.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watts: Option<i32>,
    /// For how long, in s; an hour when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// It may use what the floor keeps in reserve.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub use_reserve: bool,
    /// Who gives it; it stands in the events.
    #[serde(default)]
    pub by: String,
}

impl Order {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn check(&self) -> Result<(), &'static str> {
        match (self.order, self.watts) {
            (Kind::Discharge | Kind::Setpoint, None) => return Err("say with how many watts"),
            (Kind::Charge | Kind::Discharge, Some(watts)) if !(1..=LARGEST).contains(&watts) => {
                return Err("watts must be between 1 and 1000000; charge and discharge have no sign");
            }
            (Kind::Setpoint, Some(watts)) if !(-LARGEST..=LARGEST).contains(&watts) => {
                return Err("watts must be between -1000000 and 1000000, import positive");
            }
            (Kind::Charge | Kind::Discharge | Kind::Setpoint, _) | (_, None) => {}
            (_, Some(_)) => return Err("this order takes no watts"),
        }
        let reserve = matches!(self.order, Kind::Discharge | Kind::Setpoint);
        match (self.use_reserve, self.seconds) {
            (true, _) if !reserve => return Err("only discharge and setpoint can use the reserve"),
            (true, Some(seconds)) if seconds > LONGEST_RESERVE => {
                return Err("an order that uses the reserve lasts 4 h at most");
            }
            (_, Some(0)) => return Err("it must last at least a second"),
            (_, Some(seconds)) if seconds > LONGEST => return Err("an order lasts 24 h at most"),
            _ => {}
        }
        named(&self.by)
    }
}

/// Whether somebody can be called this.
pub(super) fn named(by: &str) -> Result<(), &'static str> {
    if by.len() > NAME || by.chars().any(char::is_control) {
        return Err("the name of who gives it is at most 32 bytes, without control characters");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Result<(), String> {
        let order: Order = serde_json::from_str(text).map_err(|error| error.to_string())?;
        order.check().map_err(str::to_owned)
    }

    #[test]
    fn an_order_that_makes_no_sense_is_told_why() {
        for (text, why) in [
            (r#"{"order":"discharge"}"#, "how many watts"),
            (r#"{"order":"charge","watts":-5}"#, "no sign"),
            (r#"{"order":"setpoint","watts":2000000}"#, "between -1000000"),
            (r#"{"order":"hold","watts":5}"#, "takes no watts"),
            (r#"{"order":"hold","use_reserve":true}"#, "only discharge and setpoint"),
            (r#"{"order":"discharge","watts":5,"use_reserve":true,"seconds":20000}"#, "4 h at most"),
            (r#"{"order":"hold","seconds":90000}"#, "24 h at most"),
            (r#"{"order":"hold","seconds":0}"#, "at least a second"),
            (r#"{"order":"hold","by":"a\nb"}"#, "control characters"),
            (r#"{"order":"explode"}"#, "unknown variant"),
            (r#"{"order":"hold","color":"red"}"#, "unknown field"),
        ] {
            assert!(order(text).is_err_and(|told| told.contains(why)), "{text}");
        }
        for text in [
            r#"{"order":"hold"}"#,
            r#"{"order":"charge","seconds":86400,"by":"anna"}"#,
            r#"{"order":"setpoint","watts":-500,"use_reserve":true,"seconds":14400}"#,
        ] {
            assert_eq!(order(text), Ok(()), "{text}");
        }
    }
}
