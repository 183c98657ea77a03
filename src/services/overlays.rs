//! Overlays that people put on over the API: what one may look like.

use serde::{Deserialize, Serialize};

use super::orders::named;

/// Where overlays go.
pub const PATH: &str = "/api/v1/overlays";
/// None is on longer, in seconds.
pub const LONGEST: u32 = 31 * 86_400;
/// Bytes of a name, or of a key and its value.
pub const WORD: usize = 96;

/// One overlay to put on or take off: one that the profile names, or one `key=value`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overlay {
    /// Its name in the profile; to take one off, also the key of what was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// One value instead, as `key=value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// For how long, in s; an hour when it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// Take it off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub off: bool,
    /// Who says so; it stands in the events.
    #[serde(default)]
    pub by: String,
}

impl Overlay {
    /// Its name, or its key and value.
    #[must_use]
    pub fn what(&self) -> &str {
        self.overlay.as_deref().or(self.set.as_deref()).unwrap_or_default()
    }

    /// Whether it makes sense.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn check(&self) -> Result<(), &'static str> {
        let key_and_value = |set: &String| {
            set.split_once('=').is_some_and(|(key, value)| !key.is_empty() && !value.is_empty())
        };
        match (&self.overlay, &self.set) {
            (Some(_), Some(_)) | (None, None) => return Err("say either overlay or set"),
            (None, Some(_)) if self.off => return Err("to take a value back, write its key as overlay"),
            (None, Some(set)) if !key_and_value(set) => return Err("write set as key=value"),
            (Some(name), None) if name.is_empty() => return Err("an overlay has a name"),
            _ => {}
        }
        if self.what().len() > WORD || self.what().chars().any(char::is_control) {
            return Err("at most 96 bytes, without control characters");
        }
        match self.seconds {
            Some(0) => Err("it must last at least a second"),
            Some(seconds) if seconds > LONGEST => Err("an overlay is on for 31 days at most"),
            Some(_) if self.off => Err("taking it off takes no time"),
            _ => named(&self.by),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_that_makes_no_sense_is_told_why() {
        for (text, why) in [
            ("{}", "either overlay or set"),
            (r#"{"overlay":"storm","set":"a=b"}"#, "either overlay or set"),
            (r#"{"set":"policy.battery.floor"}"#, "key=value"),
            (r#"{"set":"a=b","off":true}"#, "write its key"),
            (r#"{"overlay":"storm","seconds":3000000}"#, "31 days"),
            (r#"{"overlay":"storm","seconds":0}"#, "at least a second"),
            (r#"{"overlay":"storm","by":"a\nb"}"#, "control characters"),
        ] {
            let overlay: Overlay = serde_json::from_str(text).unwrap();
            assert!(overlay.check().is_err_and(|told| told.contains(why)), "{text}");
        }
        for text in [
            r#"{"overlay":"storm","seconds":86400}"#,
            r#"{"set":"policy.battery.floor=60"}"#,
            r#"{"overlay":"storm","off":true}"#,
        ] {
            let overlay: Overlay = serde_json::from_str(text).unwrap();
            assert_eq!(overlay.check(), Ok(()), "{text}");
        }
    }
}
