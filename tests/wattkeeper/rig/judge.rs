//! What the independent site's log says about a stretch of time.

use serde_json::Value;

/// One second of truth.
pub fn truths(log: &[Value], from: f64, to: f64) -> impl Iterator<Item = (f64, &Value)> {
    let stamped =
        log.iter().filter(|line| line["kind"] == "truth").map(|line| (line["t"].as_f64().unwrap(), line));
    stamped.filter(move |(t, _)| *t >= from && *t < to)
}

/// The writes of a stretch, refused ones too.
pub fn writes(log: &[Value], from: f64, to: f64) -> Vec<&Value> {
    let inside = move |line: &&Value| line["t"].as_f64().is_some_and(|t| t >= from && t < to);
    log.iter().filter(|line| line["kind"] == "write").filter(inside).collect()
}

/// How the grid came back after something happened.
#[derive(Debug)]
pub struct Response {
    /// Seconds from the event until the grid stayed within 50 W of the setpoint.
    pub settled: f64,
    /// The last second that the log shows outside of those 50 W: it has come back at most one second later.
    pub outside: f64,
    /// Largest export beyond the setpoint, in W.
    pub overshoot: f64,
    /// Largest difference, high to low, in the last twenty seconds.
    pub swing: f64,
    /// The grid, second by second, for whoever has to find out.
    pub grid: Vec<i64>,
}

impl std::fmt::Display for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(
            f,
            "outside until {:.1} s, settled in {:.1} s, overshoot {:.0} W, swing {:.0} W",
            self.outside, self.settled, self.overshoot, self.swing
        )
    }
}

/// The grid from `from` to `to`, against a setpoint.
pub fn response(log: &[Value], from: f64, to: f64, setpoint: f64) -> Response {
    let errors: Vec<(f64, f64)> = truths(log, from, to)
        .map(|(t, truth)| (t - from, truth["grid.w"].as_f64().unwrap() - setpoint))
        .collect();
    let last = errors.last().expect("the log has truth").0;
    let spread = |from: f64| {
        let part = errors.iter().filter(|(t, _)| *t >= from).map(|(_, error)| *error);
        part.clone().fold(f64::MIN, f64::max) - part.fold(f64::MAX, f64::min)
    };
    let out = errors.iter().rposition(|(_, error)| error.abs() > 50.0);
    Response {
        settled: out.map_or(0.0, |at| errors.get(at + 1).map_or(f64::INFINITY, |(t, _)| *t)),
        outside: out.and_then(|at| errors.get(at)).map_or(0.0, |(t, _)| *t),
        overshoot: errors.iter().fold(0.0_f64, |most, (_, error)| most.max(-error)),
        swing: spread(last - 20.0),
        #[expect(clippy::cast_possible_truncation, reason = "shown to a person")]
        grid: errors.iter().map(|(_, error)| error.round() as i64).collect(),
    }
}
