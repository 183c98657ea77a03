//! Charging up to a level and staying there: forced below it, held at it, with hysteresis between.

use serde::{Deserialize, Serialize};

use crate::control::units::Soc;

/// Which level is approached, and whether it was reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approach {
    /// When the occasion began, and its level: a new one, or a changed level, begins without memory.
    of: Option<(i64, Soc)>,
    reached: bool,
}

impl Approach {
    /// Whether the level counts as reached at this charge.
    pub fn reached(&mut self, began: i64, level: Soc, soc: Soc, hysteresis_centi: i32) -> bool {
        if self.of != Some((began, level)) {
            *self = Self { of: Some((began, level)), reached: false };
        }
        if soc >= level {
            self.reached = true;
        } else if soc < level.minus_centi(hysteresis_centi) {
            self.reached = false;
        }
        self.reached
    }
}
