//! The regulator's law beside the incumbent's, on the plant at 50 ms steps: `cargo bench --bench regulator`.
//!
//! The incumbent's is the published shape of its grid-setpoint regulator: once a second the new setpoint is the measured
//! inverter power plus the error at the meter, with no memory of when either was true. Both see the same plant, meter lag,
//! noise and loads. Lower is better in every column; a cell in which ours is worse is marked, and counted at the end.
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

#[path = "../tests/wattkeeper/bench_site.rs"]
#[allow(dead_code, reason = "other parts of it serve the tests")]
mod bench_site;

use bench_site::Desk;
use wattkeeper::control::units::Span;
use wattkeeper::plant::Plant;
use wattkeeper::plant::physics::Params;

/// What one law did in one cell.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// Seconds after a load step of 2 kW until the grid stays within 50 W.
    settle: f64,
    /// Largest export after it, in W.
    overshoot: f64,
    /// Energy that went to or came from the grid in the two minutes after it, in Wh.
    leaked: f64,
    /// Changes of side beyond 100 W in an hour of restless load.
    reversals: f64,
    /// Mean distance from the setpoint in that hour, in W.
    mean: f64,
}

/// A law: the grid at each 50 ms from a step at the 91st second on, and in an hour of restless load.
trait Law {
    fn run(&mut self, seconds: f64) -> Vec<f64>;
    fn load(&mut self, watts: f64);
}

impl Law for Desk {
    fn run(&mut self, seconds: f64) -> Vec<f64> {
        Desk::run(self, seconds)
    }
    fn load(&mut self, watts: f64) {
        self.set("load.power", watts);
    }
}

/// The published shape of the incumbent's.
struct Incumbent {
    plant: Plant,
    ticks: u64,
}

impl Law for Incumbent {
    fn run(&mut self, seconds: f64) -> Vec<f64> {
        let steps = (seconds / 0.05).round() as usize;
        let mut grid = Vec::with_capacity(steps);
        for _ in 0..steps {
            self.plant.step(0.05);
            self.ticks += 1;
            if self.ticks.is_multiple_of(20) {
                let seen = |name: &str| self.plant.measured(name).map_or(0.0, |measured| measured.value);
                let setpoint = (seen("inverter.power") + seen("grid.power")).clamp(-5_000.0, 5_000.0);
                self.plant.order_inverter([setpoint, 0.0, 0.0]);
            }
            grid.push(self.plant.get("grid.power").unwrap());
        }
        grid
    }
    fn load(&mut self, watts: f64) {
        self.plant.set("load.power", watts).unwrap();
    }
}

fn outcome(step: &mut dyn Law, restless: &mut dyn Law) -> Outcome {
    step.load(500.0);
    step.run(90.0);
    step.load(2_500.0);
    let grid = step.run(120.0);
    let settle = grid.iter().rposition(|watts| watts.abs() > 50.0).map_or(0.0, |at| (at + 1) as f64 * 0.05);
    let overshoot = grid.iter().fold(0.0_f64, |most, watts| most.max(-watts));
    let leaked = grid.iter().map(|watts| watts.abs() * 0.05 / 3_600.0).sum();
    restless.run(120.0);
    let grid = restless.run(3_600.0);
    let mean = grid.iter().map(|watts| watts.abs()).sum::<f64>() / grid.len() as f64;
    let mut sides = grid.iter().filter(|watts| watts.abs() > 100.0).map(|watts| *watts > 0.0);
    let mut side = sides.next();
    let mut reversals = 0;
    for now in sides {
        reversals += u32::from(side.replace(now) != Some(now));
    }
    Outcome { settle, overshoot, leaked, reversals: f64::from(reversals), mean }
}

fn plant(lag: f64) -> Params {
    Params { inverter_dead_time: 0.5, inverter_lag: 0.6, meter_lag: lag, ..Params::default() }
}

fn restless(params: Params, noise: f64) -> Params {
    Params { start: 17.0, load_base: 450.0, load_noise: noise, load_appliances: 1.0, ..params }
}

fn ours(params: Params, declared: bool) -> Desk {
    let lag = Span::millis((params.meter_lag * 1_000.0) as i64);
    let mut desk = Desk::seeded(params, 3, |policy| policy.regulator.meter_lag = declared.then_some(lag));
    desk.set("battery.soc", 60.0);
    desk
}

fn theirs(params: Params) -> Incumbent {
    let mut plant = Plant::new(params, 3);
    plant.set("battery.soc", 60.0).unwrap();
    Incumbent { plant, ticks: 0 }
}

fn main() {
    println!("lag  noise  law          settle s  overshoot W  leaked Wh  reversals/h  mean W");
    let mut worse = [0; 2];
    let mut cells = 0;
    for noise in [0.0, 30.0, 100.0] {
        for lag in [0.0, 0.2, 1.0, 2.0, 3.0, 5.0, 10.0] {
            let params = plant(lag);
            let rival = outcome(&mut theirs(params.clone()), &mut theirs(restless(params.clone(), noise)));
            show(lag, noise, "incumbent", rival, None);
            for (at, (declared, name)) in [(true, "ours"), (false, "ours, no lag")].into_iter().enumerate() {
                let own = outcome(
                    &mut ours(params.clone(), declared),
                    &mut ours(restless(params.clone(), noise), declared),
                );
                worse[at] += show(lag, noise, name, own, Some(rival));
            }
            cells += 5;
        }
    }
    println!("ours is worse in {} of {cells} cells, without a declared lag in {}", worse[0], worse[1]);
}

/// Prints a row; says in how many of its cells it is worse than the rival, by more than a twentieth and a little.
fn show(lag: f64, noise: f64, name: &str, own: Outcome, rival: Option<Outcome>) -> usize {
    let cells = |it: Outcome| [it.settle, it.overshoot, it.leaked, it.reversals, it.mean];
    let little = [0.3, 10.0, 0.1, 4.0, 2.0];
    let worse: Vec<bool> = match rival {
        Some(rival) => {
            let pairs = cells(own).into_iter().zip(cells(rival)).zip(little);
            pairs.map(|((own, rival), little)| own > rival * 1.05 + little).collect()
        }
        None => vec![false; 5],
    };
    let mark = |at: usize| if worse[at] { '*' } else { ' ' };
    println!(
        "{lag:>4} {noise:>5}  {name:<12} {:>7.1}{} {:>11.0}{} {:>9.2}{} {:>11.0}{} {:>6.0}{}",
        own.settle,
        mark(0),
        own.overshoot,
        mark(1),
        own.leaked,
        mark(2),
        own.reversals,
        mark(3),
        own.mean,
        mark(4)
    );
    worse.iter().filter(|is| **is).count()
}
