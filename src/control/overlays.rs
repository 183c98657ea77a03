//! Overlays that are on: a named part of the profile, or one changed value, for a while.
//!
//! What is in them only the profile knows; here stands which ones are on, by whose word and until when. So they end by
//! themselves, outlive the process and are told like every other act of an operator. Whoever reads the profile lays
//! them over it and gives the site the policy that comes out.

use arrayvec::{ArrayString, ArrayVec};
use serde::{Deserialize, Serialize};

use super::orders::Actor;
use super::units::{Mono, Span};

/// An overlay that says no time is on this long.
pub const USUAL: Span = Span::minutes(60);
/// None is on longer.
pub const LONGEST: Span = Span::minutes(31 * 24 * 60);
/// Most that are on at a time.
pub const MOST: usize = 8;
/// Bytes of a name, or of a key and its value.
pub const WORD: usize = 96;

/// The name of an overlay, or `key=value`.
pub type Word = ArrayString<WORD>;

/// What somebody wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayOrder {
    /// Which.
    pub what: Word,
    /// By whom.
    pub by: Actor,
    /// For how long; none means [`USUAL`], zero takes it off.
    pub lasts: Option<Span>,
}

/// One that is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    /// Which.
    pub what: Word,
    /// By whom.
    pub by: Actor,
    /// When it ends.
    pub until: Mono,
}

/// Those that are on, in the order in which they lie over the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Overlays {
    on: ArrayVec<Overlay, MOST>,
}

/// The name, or the key without its value: there is one of each.
fn name(what: &str) -> &str {
    what.split('=').next().unwrap_or(what)
}

impl OverlayOrder {
    /// Whether it takes off what is on.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.lasts.is_some_and(|span| span <= Span::ZERO)
    }
}

impl OverlayOrder {
    /// What it says, for a person.
    #[must_use]
    pub fn words(&self) -> String {
        if self.is_off() {
            return format!("{} is taken off", self.what);
        }
        format!("{} for {}", self.what, self.lasts.unwrap_or(USUAL).min(LONGEST).words())
    }
}

impl Overlays {
    /// Puts one on, prolongs it or takes it off. Says whether it was done: a ninth is not.
    pub fn take(&mut self, order: &OverlayOrder, now: Mono) -> bool {
        let before = self.on.len();
        self.on.retain(|overlay| name(&overlay.what) != name(&order.what));
        if order.is_off() {
            return self.on.len() < before;
        }
        let until = now + order.lasts.unwrap_or(USUAL).min(LONGEST);
        self.on.try_push(Overlay { what: order.what, by: order.by, until }).is_ok()
    }

    /// Ends one that is over; tells which.
    pub fn expire(&mut self, now: Mono) -> Option<Word> {
        let place = self.on.iter().position(|overlay| now >= overlay.until)?;
        Some(self.on.remove(place).what)
    }

    /// When the next one ends.
    #[must_use]
    pub fn ends_at(&self) -> Option<Mono> {
        self.on.iter().map(|overlay| overlay.until).min()
    }

    /// Those that are on.
    #[must_use]
    pub fn on(&self) -> &[Overlay] {
        &self.on
    }

    /// Whatever a damaged file says: none is on longer than one may be.
    #[must_use]
    pub fn within(mut self, now: Mono) -> Self {
        self.on.retain(|overlay| overlay.until.since(now) <= LONGEST);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Mono {
        Mono::ZERO + Span::secs(second)
    }

    fn order(what: &str, seconds: i64) -> OverlayOrder {
        let what = Word::from(what).unwrap();
        OverlayOrder { what, by: Actor::default(), lasts: Some(Span::secs(seconds)) }
    }

    fn on(overlays: &Overlays) -> Vec<&str> {
        overlays.on().iter().map(|overlay| overlay.what.as_str()).collect()
    }

    #[test]
    fn an_overlay_ends_by_itself_and_the_last_word_about_it_counts() {
        let mut overlays = Overlays::default();
        assert!(overlays.take(&order("storm", 60), at(0)));
        assert!(overlays.take(&order("policy.battery.floor=40", 30), at(0)));
        assert!(overlays.take(&order("policy.battery.floor=50", 90), at(10)));
        assert_eq!(on(&overlays), ["storm", "policy.battery.floor=50"]);
        assert_eq!(overlays.expire(at(59)), None);
        assert_eq!(overlays.expire(at(60)).as_deref(), Some("storm"));
        assert!(overlays.take(&order("policy.battery.floor", 0), at(61)), "taken off by its key");
        assert!(overlays.on().is_empty());
        assert!(!overlays.take(&order("storm", 0), at(62)), "there is none to take off");
    }

    #[test]
    fn a_ninth_is_refused_and_none_is_on_for_longer_than_a_month() {
        let mut overlays = Overlays::default();
        for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
            assert!(overlays.take(&order(name, 1_000_000_000), at(0)));
        }
        assert!(!overlays.take(&order("i", 60), at(0)));
        assert_eq!(overlays.ends_at(), Some(at(31 * 24 * 3_600)));
        let damaged = Overlays {
            on: [Overlay { what: Word::default(), by: Actor::default(), until: Mono(i64::MAX) }]
                .into_iter()
                .collect(),
        };
        assert!(damaged.within(at(0)).on().is_empty());
    }
}
