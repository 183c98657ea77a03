//! Plans that programs send, over the API or in a file: what one may look like.
//!
//! A plan is leased: it ends by itself and has to be sent again. What it says for this moment holds at once; what it
//! says for later waits for its time.

use serde::{Deserialize, Serialize};

use super::orders::named;

/// Where plans go.
pub const PATH: &str = "/api/v1/plan";
/// No lease lasts longer, in seconds.
pub const LONGEST: u32 = 48 * 3_600;
/// Most slots of one plan.
pub const SLOTS: usize = 96;
/// No site of ours is larger, in W.
const LARGEST: i32 = 1_000_000;

/// What is wanted of the battery: at most one of target, setpoint and power; without one, self-consumption. The rest
/// only narrows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Steer {
    /// Be at this charge in % at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<u8>,
    /// Steer the grid to so many watts, import positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setpoint: Option<i32>,
    /// So many watts of battery power, discharge positive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<i32>,
    /// Most charge in W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_charge: Option<i32>,
    /// Most discharge in W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_discharge: Option<i32>,
    /// Most export in W.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export_limit: Option<i32>,
    /// The battery is charged by what is left over alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_grid_charge: bool,
    /// The battery serves the loads alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_battery_export: bool,
}

/// What is wanted at its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// When it begins, such as `2026-06-01T12:00:00Z`.
    pub start: jiff::Timestamp,
    /// How long it lasts, in s.
    pub seconds: u32,
    /// What is wanted.
    pub steer: Steer,
}

/// One plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Who sends it; a plan of the same name replaces the one before.
    pub by: String,
    /// The highest goes first.
    #[serde(default)]
    pub priority: u8,
    /// For how long, in s, a minute when it does not say; 0 gives the lease back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// What is wanted until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Steer>,
    /// What is wanted at its times.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
}

impl Steer {
    fn check(&self) -> Result<(), &'static str> {
        let wishes = [self.target.is_some(), self.setpoint.is_some(), self.power.is_some()];
        if wishes.into_iter().filter(|is| *is).count() > 1 {
            return Err("say one of target, setpoint and power only");
        }
        if self.target.is_some_and(|target| !(1..=100).contains(&target)) {
            return Err("target must be between 1 and 100 %");
        }
        if [self.setpoint, self.power]
            .into_iter()
            .flatten()
            .any(|watts| !(-LARGEST..=LARGEST).contains(&watts))
        {
            return Err("setpoint and power must be between -1000000 and 1000000 W");
        }
        let limits = [self.max_charge, self.max_discharge, self.export_limit];
        if limits.into_iter().flatten().any(|watts| !(0..=LARGEST).contains(&watts)) {
            return Err("limits are positive numbers of watts, up to 1000000");
        }
        Ok(())
    }
}

impl Plan {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        named(&self.by)?;
        if self.by.is_empty() {
            return Err("say by whom: a plan of the same name replaces the one before".to_owned());
        }
        if self.seconds.is_some_and(|seconds| seconds > LONGEST) {
            return Err("a lease lasts 48 h at most; send the plan again before it ends".to_owned());
        }
        if self.seconds != Some(0) && self.now.is_none() && self.slots.is_empty() {
            return Err(
                "it says nothing: write now or slots, or seconds = 0 to give the lease back".to_owned()
            );
        }
        if self.slots.len() > SLOTS {
            return Err(format!("a plan has {SLOTS} slots at most"));
        }
        if let Some(now) = &self.now {
            now.check()?;
        }
        for (at, slot) in self.slots.iter().enumerate() {
            slot.steer.check().map_err(|why| format!("slot {at}: {why}"))?;
            if !(1..=LONGEST).contains(&slot.seconds) {
                return Err(format!("slot {at}: it lasts between 1 s and 48 h"));
            }
        }
        let mut times: Vec<(i64, u32)> =
            self.slots.iter().map(|slot| (slot.start.as_second(), slot.seconds)).collect();
        times.sort_unstable();
        for pair in times.windows(2) {
            if let [(start, seconds), (next, _)] = pair
                && start.saturating_add(i64::from(*seconds)) > *next
            {
                return Err("two of its slots are at the same time".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<(), String> {
        serde_json::from_str::<Plan>(text).map_err(|error| error.to_string())?.check()
    }

    #[test]
    fn a_plan_that_makes_no_sense_is_told_why() {
        for (text, why) in [
            (r#"{"now":{}}"#, "missing field `by`"),
            (r#"{"by":"","now":{}}"#, "by whom"),
            (r#"{"by":"evcc"}"#, "says nothing"),
            (r#"{"by":"evcc","seconds":200000,"now":{}}"#, "48 h at most"),
            (r#"{"by":"evcc","now":{"power":1,"target":50}}"#, "one of target"),
            (r#"{"by":"evcc","now":{"target":0}}"#, "between 1 and 100"),
            (r#"{"by":"evcc","now":{"power":2000000}}"#, "between -1000000"),
            (r#"{"by":"evcc","now":{"max_charge":-1}}"#, "positive"),
            (r#"{"by":"evcc","now":{"speed":1}}"#, "unknown field"),
            (r#"{"by":"evcc","slots":[{"start":"soon","seconds":1,"steer":{}}]}"#, "year"),
            (r#"{"by":"evcc","slots":[{"start":"2026-06-01T12:00:00Z","seconds":0,"steer":{}}]}"#, "slot 0"),
            (
                r#"{"by":"evcc","slots":[{"start":"2026-06-01T12:00:00Z","seconds":3601,"steer":{}},{"start":"2026-06-01T13:00:00Z","seconds":60,"steer":{}}]}"#,
                "same time",
            ),
        ] {
            let told = plan(text);
            assert!(told.as_ref().is_err_and(|told| told.contains(why)), "{text}: {told:?}");
        }
        for text in [
            r#"{"by":"evcc","now":{"setpoint":-500}}"#,
            r#"{"by":"evcc","seconds":0}"#,
            r#"{"by":"dess","priority":3,"seconds":3600,"slots":[{"start":"2026-06-01T12:00:00+02:00","seconds":3600,"steer":{"target":80,"no_grid_charge":true}}]}"#,
        ] {
            assert_eq!(plan(text), Ok(()), "{text}");
        }
    }
}
