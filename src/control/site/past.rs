//! What a site keeps beyond its process, and how it begins from it.

use super::{Keepsake, Past, Site, SiteConfig};
use crate::control::battery::guard::Guard;
use crate::control::genset::Genset;
use crate::control::orders;
use crate::control::units::{Mono, Soc, Span};

/// A battery at this charge or above is full.
const FULL: Soc = Soc::percent(100);
/// A battery that is full again after this long is news.
const FULL_AGAIN: Span = Span::minutes(10);

impl Site {
    /// A site that goes on from what is remembered of it, at `now`.
    #[must_use]
    pub fn begin(config: SiteConfig, past: Past, now: Mono) -> Self {
        let mut site = Self::new(config);
        let state = &mut site.state;
        match past {
            Past::None => {}
            Past::Kept(kept) => {
                state.memory.guard = kept.guard;
                state.memory.senses.remember_bms(kept.bms_seen);
                state.genset = kept.genset;
                state.genset.resume(now);
                state.ledger = kept.ledger.after_absence();
                state.manual = kept.manual;
                state.manual_until = kept.manual_until;
                state.auto = kept.auto;
                // Whatever a damaged file says: no order stands longer than an order may.
                state.memory.standing =
                    kept.standing.filter(|order| order.until.since(now) <= orders::LONGEST);
                state.overlays = kept.overlays.within(now);
                state.alarms = kept.alarms;
                state.full_at = kept.full_at;
            }
            Past::Lost => {
                state.memory.guard = Guard::cautious();
                state.genset = Genset::cautious(now);
            }
        }
        site
    }

    /// What must outlive the process, as of `now`.
    #[must_use]
    pub fn keepsake(&self, now: Mono) -> Keepsake {
        let state = &self.state;
        Keepsake {
            at: now,
            guard: state.memory.guard,
            bms_seen: state.memory.senses.bms_seen(),
            genset: state.genset,
            ledger: state.ledger,
            manual: state.manual,
            manual_until: state.manual_until,
            auto: state.auto,
            standing: state.memory.standing,
            overlays: state.overlays.clone(),
            alarms: state.alarms.clone(),
            full_at: state.full_at,
        }
    }

    /// When the battery was last seen full.
    #[must_use]
    pub fn full_at(&self) -> Option<Mono> {
        self.state.full_at
    }

    /// When the battery was last full: what its monitor can be measured by.
    pub(super) fn note_full(&mut self, now: Mono) {
        let soc = self.state.image.soc(self.config.wiring.battery.soc);
        if soc.is_some_and(|soc| soc.value >= FULL && soc.asked_at > self.state.full_at.unwrap_or(Mono::ZERO))
        {
            let before = self.state.full_at.replace(now);
            if before.is_none_or(|before| now.since(before) >= FULL_AGAIN) {
                self.state.keeping.changed();
            }
        }
    }
}
