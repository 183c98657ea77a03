//! Sun and clouds.

use super::chance::Chance;
use super::params::Params;

/// The clouds' memory.
#[derive(Clone, Debug, Default)]
pub struct Sky {
    /// How much of the sky is covered, 0 to 1.
    cover: f64,
    heading: f64,
    /// Seconds until the heading changes.
    keeps: f64,
}

impl Sky {
    /// One second passes.
    pub fn second(&mut self, chance: &mut Chance) {
        self.keeps -= 1.0;
        if self.keeps <= 0.0 {
            self.keeps = chance.between(30.0, 900.0);
            let draw = chance.unit();
            self.heading = draw * draw;
        }
        self.cover += (self.heading - self.cover) * 0.03;
    }

    /// Share of the peak that the sun gives at this hour of the day.
    pub fn light(&self, params: &Params, hour: f64) -> f64 {
        let day = params.pv_sunset - params.pv_sunrise;
        if day <= 0.0 || hour <= params.pv_sunrise || hour >= params.pv_sunset {
            return 0.0;
        }
        let height = (std::f64::consts::PI * (hour - params.pv_sunrise) / day).sin().max(0.0);
        height * height.sqrt() * (1.0 - params.pv_clouds * self.cover)
    }
}
