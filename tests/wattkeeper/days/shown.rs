//! What is printed of a run that failed.

use std::collections::VecDeque;
use std::fmt::Write as _;

use wattkeeper::control::decision::Decision;
use wattkeeper::control::site::Input;
use wattkeeper::control::units::Mono;

use super::setup::{House, Stay};

/// Inputs and decisions shown with a failure.
const SHOWN: usize = 20;

enum Entry {
    Input(Mono, Input),
    Decision(Box<Decision>),
    Process(Mono, String),
}

/// The last that happened.
#[derive(Default)]
pub struct Trace(VecDeque<Entry>);

impl Trace {
    pub fn input(&mut self, now: Mono, input: Input) {
        self.push(Entry::Input(now, input));
    }

    pub fn decision(&mut self, decision: &Decision) {
        self.push(Entry::Decision(Box::new(decision.clone())));
    }

    /// What became of the process.
    pub fn process(&mut self, now: Mono, what: String) {
        self.push(Entry::Process(now, what));
    }

    fn push(&mut self, entry: Entry) {
        if self.0.len() == SHOWN {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    /// The seed, how to play it again, the faults of the moment and the trace.
    pub fn failure(&self, house: &House, second: i64, what: &str) -> String {
        let (name, count) = if house.stay == Stay::WEEK { ("weeks", "WEEKS") } else { ("visits", "VISITS") };
        let way = if house.wired() { "by registers" } else { "by values" };
        let mut text = format!("seed {} ({}, {way}), second {second}: {what}\n", house.seed, house.profile);
        let _ = writeln!(text, "again: WATTKEEPER_{count}=1 WATTKEEPER_FROM={} \\", house.seed);
        let _ = writeln!(text, "  cargo test --test wattkeeper campaign_of_{name} -- --nocapture");
        for fault in house.faults.iter().filter(|fault| fault.from <= second && fault.to + 60 >= second) {
            let _ = writeln!(text, "  fault {fault:?}");
        }
        for entry in &self.0 {
            let _ = match entry {
                Entry::Input(now, Input::Heard { signal, value, asked_at }) => {
                    let name = house.config.signals.get(*signal).map(|signal| signal.name());
                    let name = name.unwrap_or_default();
                    writeln!(text, "  {:>10} {name} = {value:?} asked {}", now.0, asked_at.0)
                }
                Entry::Input(now, Input::Reload(policy)) => writeln!(
                    text,
                    "  {:>10} reload, floor {}, {:?}",
                    now.0, policy.battery.floor, policy.control
                ),
                Entry::Input(now, input) => writeln!(text, "  {:>10} {input:?}", now.0),
                Entry::Decision(decision) => writeln!(text, "  {:>10} {}", decision.at.0, shown(decision)),
                Entry::Process(now, what) => writeln!(text, "  {:>10} {what}", now.0),
            };
        }
        text
    }
}

fn shown(decision: &Decision) -> String {
    let reasons: Vec<String> = decision.reasons.iter().map(|cause| cause.reason.to_string()).collect();
    let rungs: Vec<String> = decision
        .ladder
        .iter()
        .map(|rung| format!("{:?} {}..{}", rung.tier, rung.low.0, rung.high.0))
        .collect();
    let parts: Vec<[i32; 3]> = decision.inverters.iter().map(|parts| parts.map(|part| part.0)).collect();
    format!(
        "decides {} {parts:?}, guard {}, stages {:?}, generator {} {:?}, reasons {}, binding {:?}, ladder {}",
        decision.battery_order,
        decision.guard.name(),
        decision.stages.map(|stage| stage.level()),
        decision.generator.state.name(),
        decision.generator.reason,
        reasons.join(" "),
        decision.reasons.binding().map(|cause| cause.reason),
        rungs.join(", "),
    )
}
