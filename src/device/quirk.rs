//! The closed list of oddities that data cannot say. A definition names the ones its device has.

use crate::control::units::Watts;

/// An oddity that needs code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// A setpoint of 0 W gives control back to the device instead of meaning 0 W, so 1 W is sent for it.
    ZeroReleases,
    /// A new SunSpec limit counts only when `WMaxLim_Ena` goes from 0 to 1, so it is switched off before a change.
    ToggleEnable,
}

impl Quirk {
    /// The name in a definition, and all names.
    pub const ALL: [(&'static str, Self); 2] =
        [("zero-releases", Self::ZeroReleases), ("toggle-enable", Self::ToggleEnable)];

    /// The quirk with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, quirk)| quirk)
    }
}

/// The setpoint as it is sent.
#[must_use]
pub fn setpoint(quirks: &[Quirk], wanted: Watts) -> Watts {
    if quirks.contains(&Quirk::ZeroReleases) && wanted == Watts::ZERO { Watts(1) } else { wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_watts_is_sent_as_one_watt_where_zero_would_release() {
        assert_eq!(setpoint(&[Quirk::ZeroReleases], Watts(0)), Watts(1));
        assert_eq!(setpoint(&[Quirk::ZeroReleases], Watts(-70)), Watts(-70));
        assert_eq!(setpoint(&[], Watts(0)), Watts(0));
    }
}
