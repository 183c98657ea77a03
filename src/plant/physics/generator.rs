//! The generator: contact, cranking, warm-up, load, cool-down, fuel.
//!
//! ```text
//! stopped --contact--> cranking --turns--> warming --> running --contact open--> cooling --> stopped
//!                        |  ^                                   (contact again: back to running)
//!                     fails |  rests
//!                        v  |
//!                      resting --out of attempts--> given up --contact open--> stopped
//! ```

use super::params::Params;

/// Seconds of overload until the set's own breaker trips.
const OVERLOAD_HELD: f64 = 10.0;

/// Where the engine is; each state knows for how long, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Engine {
    /// Still.
    #[default]
    Stopped,
    /// The starter turns it.
    Cranking(f64),
    /// Between two of its own attempts.
    Resting(f64),
    /// Out of attempts until the contact opens.
    GivenUp,
    /// Turning, not yet offering its voltage.
    Warming(f64),
    /// Offers its voltage.
    Running,
    /// Turning on without load.
    Cooling(f64),
}

/// The generator's memory.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The start contact.
    pub contact: bool,
    /// Where the engine is.
    pub engine: Engine,
    /// 0 to 100.
    pub fuel: f64,
    /// 0 none, 1 warning, 2 shutdown.
    pub fault: f64,
    /// Engine hours counter, s.
    pub seconds: f64,
    /// Engines that began to turn.
    pub starts: f64,
    /// Attempts to crank.
    pub cranks: f64,
    attempts: f64,
    overloaded: f64,
}

impl Default for Generator {
    fn default() -> Self {
        Self {
            contact: false,
            engine: Engine::Stopped,
            fuel: 100.0,
            fault: 0.0,
            seconds: 0.0,
            starts: 0.0,
            cranks: 0.0,
            attempts: 0.0,
            overloaded: 0.0,
        }
    }
}

impl Generator {
    /// Whether the engine turns by itself.
    pub fn turns(&self) -> bool {
        match self.engine {
            Engine::Warming(_) | Engine::Running | Engine::Cooling(_) => true,
            Engine::Stopped | Engine::Cranking(_) | Engine::Resting(_) | Engine::GivenUp => false,
        }
    }

    /// Whether its voltage is at the site.
    pub fn offers(&self) -> bool {
        self.engine == Engine::Running
    }

    /// One step; `power` is what it gave during the step before.
    pub fn step(&mut self, params: &mut Params, power: f64, seconds: f64) {
        if self.turns() {
            self.seconds += seconds;
            let litres = params.generator_burn_idle + params.generator_burn_load * power.max(0.0) / 1_000.0;
            self.fuel = (self.fuel - litres * seconds / 36.0 / params.generator_tank).max(0.0);
        }
        self.overloaded =
            if power > params.generator_rating * 1.001 + 1.0 { self.overloaded + seconds } else { 0.0 };
        if self.overloaded > OVERLOAD_HELD {
            self.fault = 2.0;
        }
        if self.fault >= 2.0 || (self.turns() && self.fuel <= 0.0) {
            self.engine = Engine::Stopped;
            self.overloaded = 0.0;
        } else {
            self.engine = self.next(params, seconds);
        }
    }

    fn next(&mut self, params: &mut Params, seconds: f64) -> Engine {
        match self.engine {
            Engine::Stopped if self.contact => {
                self.attempts = 0.0;
                self.crank()
            }
            Engine::Cranking(_) | Engine::Resting(_) | Engine::GivenUp if !self.contact => Engine::Stopped,
            Engine::Cranking(since) if since + seconds < params.generator_crank_time - 1e-9 => {
                Engine::Cranking(since + seconds)
            }
            Engine::Cranking(_) if params.generator_fail_starts >= 1.0 || self.fuel <= 0.0 => {
                params.generator_fail_starts = (params.generator_fail_starts - 1.0).max(0.0);
                if self.attempts >= params.generator_crank_attempts {
                    Engine::GivenUp
                } else {
                    Engine::Resting(0.0)
                }
            }
            Engine::Cranking(_) => {
                self.starts += 1.0;
                if params.generator_warm_up > 0.0 { Engine::Warming(0.0) } else { Engine::Running }
            }
            Engine::Resting(since) if since + seconds < params.generator_crank_rest - 1e-9 => {
                Engine::Resting(since + seconds)
            }
            Engine::Resting(_) => self.crank(),
            Engine::Warming(_) | Engine::Running if !self.contact => {
                if params.generator_cool_down > 0.0 {
                    Engine::Cooling(0.0)
                } else {
                    Engine::Stopped
                }
            }
            Engine::Warming(since) if since + seconds < params.generator_warm_up - 1e-9 => {
                Engine::Warming(since + seconds)
            }
            Engine::Warming(_) => Engine::Running,
            Engine::Cooling(_) if self.contact => Engine::Running,
            Engine::Cooling(since) if since + seconds < params.generator_cool_down - 1e-9 => {
                Engine::Cooling(since + seconds)
            }
            Engine::Cooling(_) => Engine::Stopped,
            Engine::Stopped | Engine::GivenUp | Engine::Running => self.engine,
        }
    }

    fn crank(&mut self) -> Engine {
        self.attempts += 1.0;
        self.cranks += 1.0;
        Engine::Cranking(0.0)
    }
}
