//! What the people in the house switch on.

use super::Three;
use super::chance::Chance;
use super::params::Params;

/// One appliance: how much it takes, how often it is used, and how it runs.
struct Kind {
    watts: f64,
    /// Uses per day.
    per_day: f64,
    /// Seconds of one use, shortest and longest.
    lasts: (f64, f64),
    /// Heating cycle: seconds on of seconds in all; equal when it heats throughout.
    cycle: (f64, f64),
    /// What it takes when the heating is off, W.
    between: f64,
    /// Hours in which it is used.
    hours: (f64, f64),
    /// Which of the site's phases it hangs on.
    phase: usize,
}

const KINDS: [Kind; 4] = [
    // Fridge: used all day, its compressor does the cycling.
    Kind {
        watts: 95.0,
        per_day: 1_000_000.0,
        lasts: (86_400.0, 86_400.0),
        cycle: (900.0, 3_000.0),
        between: 2.0,
        hours: (0.0, 24.0),
        phase: 0,
    },
    Kind {
        watts: 2_000.0,
        per_day: 7.0,
        lasts: (90.0, 240.0),
        cycle: (1.0, 1.0),
        between: 0.0,
        hours: (6.0, 22.0),
        phase: 1,
    },
    Kind {
        watts: 2_400.0,
        per_day: 1.2,
        lasts: (1_500.0, 3_300.0),
        cycle: (70.0, 150.0),
        between: 40.0,
        hours: (11.0, 20.0),
        phase: 2,
    },
    // Washing machine: one long heating, then the drum.
    Kind {
        watts: 1_900.0,
        per_day: 0.8,
        lasts: (4_200.0, 6_000.0),
        cycle: (1_000.0, 1e9),
        between: 220.0,
        hours: (8.0, 19.0),
        phase: 1,
    },
];

/// What is on, and for how long.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// Seconds of use so far and in all, per appliance.
    uses: [Option<(f64, f64)>; 4],
    noise: Three,
}

impl House {
    /// One second passes. Chance is drawn whether appliances are wanted or not, so that switching them on does
    /// not change the weather.
    pub fn second(&mut self, hour: f64, chance: &mut Chance) {
        for (kind, using) in KINDS.iter().zip(&mut self.uses) {
            let (draw, length) = (chance.unit(), chance.between(kind.lasts.0, kind.lasts.1));
            *using = match *using {
                Some((so_far, in_all)) if so_far + 1.0 < in_all => Some((so_far + 1.0, in_all)),
                Some(_) => None,
                None => {
                    let open = kind.hours.1 - kind.hours.0;
                    let waking = (kind.hours.0..kind.hours.1).contains(&hour);
                    (waking && draw < kind.per_day / (open * 3_600.0)).then_some((0.0, length))
                }
            };
        }
        for noise in &mut self.noise {
            *noise = chance.bell();
        }
    }

    /// What the house takes now, per phase, W.
    pub fn load(&self, params: &Params) -> Three {
        let count = params.phase_count();
        let mut load = [0.0; 3];
        for (phase, load) in load.iter_mut().enumerate().take(count) {
            let steady = params.load_base / count as f64;
            *load = (steady + params.load_noise * self.noise[phase]).max(0.0);
        }
        if params.load_appliances >= 0.5 {
            for (kind, using) in KINDS.iter().zip(&self.uses) {
                if let Some((so_far, _)) = using {
                    let heats = so_far % kind.cycle.1 < kind.cycle.0;
                    load[kind.phase % count] += if heats { kind.watts } else { kind.between };
                }
            }
        }
        load
    }
}
