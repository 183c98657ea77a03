//! Whether the powers of a site can all be true at once.
//!
//! Where everything that feeds the site is measured, what is left is its consumption, and that is never below zero; where
//! the consumption is measured too, it must be what is left. A meter that is turned round, off by much or on another
//! circuit breaks one of the two for as long as it lasts. Off unless the profile says that everything is measured: a PV
//! inverter that nobody reads would look like a meter that lies.

use serde::{Deserialize, Serialize};

use super::image::Image;
use super::senses;
use super::share;
use super::units::{Mono, Span, Watts};
use super::wiring::{PowerWiring, Wiring};

/// It must be broken this long, and hold this long to be believed again.
const BROKEN_FOR: Span = Span::secs(10);
const HOLDS_FOR: Span = Span::secs(10);
/// Parts of one balance may be this far apart in time.
const TOGETHER: Span = Span::secs(10);
/// A consumption this little below zero is the meters' tolerance.
const LITTLE: Watts = Watts(200);
/// Or this part of all that flows, in percent.
const PART: i64 = 5;
/// A measured consumption may differ from what is left by this much, in percent.
const DIFFERS: i64 = 30;

/// What is remembered of the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    broken_since: Option<Mono>,
    holds_since: Option<Mono>,
    doubted: bool,
}

impl Balance {
    /// Whether the meter is doubted, by the newest words of everybody.
    pub fn step(&mut self, wiring: &Wiring, image: &Image, now: Mono) -> bool {
        match broken(wiring, image, now) {
            // Who is silent proves nothing; what was doubted stays so.
            None => (self.broken_since, self.holds_since) = (None, None),
            Some(true) => {
                self.holds_since = None;
                let since = *self.broken_since.get_or_insert(now);
                self.doubted |= now.since(since) >= BROKEN_FOR;
            }
            Some(false) => {
                self.broken_since = None;
                let since = *self.holds_since.get_or_insert(now);
                self.doubted &= now.since(since) < HOLDS_FOR;
            }
        }
        self.doubted
    }
}

/// Whether the balance is broken now; none where a part of it is not known.
fn broken(wiring: &Wiring, image: &Image, now: Mono) -> Option<bool> {
    let total = |power: &PowerWiring| {
        senses::recent_power(image, power, TOGETHER, now).map(|power| share::total(power.phases))
    };
    let mut left = total(&wiring.grid.power)?;
    let mut flows = left.abs();
    let generator = PowerWiring { total: wiring.generator.power, ..PowerWiring::default() };
    let parts =
        wiring.inverters.iter().map(|wired| &wired.power).chain(wiring.pv.iter().map(|wired| &wired.power));
    for part in parts.chain([&wiring.load_out, &generator]).filter(|part| part.is_wired()) {
        let power = total(part)?;
        left += power;
        flows += power.abs();
    }
    let tolerance = LITTLE.max(flows.scaled(PART, 100));
    if left < -tolerance {
        return Some(true);
    }
    if !wiring.load.is_wired() {
        return Some(false);
    }
    let measured = total(&wiring.load)?;
    Some((measured - left).abs() > tolerance.max(measured.abs().scaled(DIFFERS, 100)))
}
