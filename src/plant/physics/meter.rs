//! The grid meter: it looks now and then, and shows what was.

use std::collections::VecDeque;

use super::flows::Flows;

/// The past that the longest lag can ask for, in µs.
const PAST: u64 = 12_000_000;

/// Samples the truth of a while ago.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    past: VecDeque<(u64, Flows)>,
    /// What it shows, and since when, µs.
    pub shows: (u64, Flows),
}

impl Meter {
    /// Takes one step of truth in.
    pub fn step(&mut self, before: u64, now: u64, truth: Flows, period: f64, lag: f64) {
        let lag = (lag * 1e6) as u64;
        if lag == 0 {
            self.past.clear();
        } else {
            self.past.push_back((now, truth));
        }
        while self.past.front().is_some_and(|(at, _)| at.saturating_add(PAST) < now) {
            self.past.pop_front();
        }
        if due(before, now, period) {
            let wanted = now.saturating_sub(lag);
            let seen = self.past.iter().rev().find(|(at, _)| *at <= wanted).or_else(|| self.past.front());
            self.shows = (now, seen.map_or(truth, |(_, flows)| *flows));
        }
    }
}

/// Whether a multiple of the period lies in this step.
pub fn due(before: u64, now: u64, period: f64) -> bool {
    let period = (period * 1e6) as u64;
    period == 0 || now / period > before / period
}
