//! Loads on relays while they are being read.

use crate::control::policy::LoadPolicy;

/// One load as written.
#[derive(Clone, Debug, Default)]
pub struct LoadDraft {
    /// The device whose relay it hangs on.
    pub relay: Option<String>,
    /// Which of its relays, from 1.
    pub channel: Option<i64>,
    /// Everything that needs no second look.
    pub policy: LoadPolicy,
}

impl LoadDraft {
    /// The relay, from 1; the first unless the profile names another.
    #[must_use]
    pub fn channel(&self) -> u8 {
        self.channel.and_then(|channel| u8::try_from(channel).ok()).unwrap_or(1)
    }
}
