//! The ladder now, in words: which rung left what, which reasons stand on it, and which one bound the order.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::format::{battery_words, grid_words, range_words};
use super::published::{Control, Decision, Outlook, Overruled, Published, Reason, Standing, Word};

/// The answer of `/api/v1/explain`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Whether the order is written to the plant.
    pub control: Control,
    /// The order in one sentence.
    pub order: String,
    /// The reason that bound it.
    pub binding: Option<Reason>,
    /// What comes next.
    #[serde(flatten)]
    pub outlook: Outlook,
    /// The ladder, most important rung first.
    pub rungs: Vec<ExplainedRung>,
    /// Wishes that were cut, one sentence each.
    pub overruled: Vec<String>,
    /// All of it as text for a person.
    pub words: String,
}

/// One rung of the ladder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExplainedRung {
    /// Its number and name.
    pub tier: Word,
    /// Lowest power still allowed in W (most charge).
    pub low: i32,
    /// Highest power still allowed in W (most discharge).
    pub high: i32,
    /// Whether it left less than the rung above.
    pub narrowed: bool,
    /// The range in words.
    pub words: String,
    /// The reasons that stand on it.
    pub reasons: Vec<Reason>,
}

/// The ladder of the newest decision.
pub(super) fn answer(published: &Published) -> Explanation {
    let Some(decision) = &published.decision else {
        return Explanation {
            control: published.control,
            order: "no decision yet".to_owned(),
            words: words(published),
            ..Explanation::default()
        };
    };
    Explanation {
        control: published.control,
        order: order(published.control, decision),
        binding: decision.binding().cloned(),
        outlook: decision.outlook.clone(),
        rungs: rungs(decision),
        overruled: decision.overruled.iter().map(overruled).collect(),
        words: words(published),
    }
}

/// The order in one sentence.
#[must_use]
pub fn order(control: Control, decision: &Decision) -> String {
    let verb = match control {
        Control::Observe => "would be told to",
        Control::On => "is told to",
    };
    format!("the battery {verb} {}", battery_words(f64::from(decision.battery_order)))
}

/// Every rung with its reasons; a rung that has reasons but left the range alone is there too.
pub(super) fn rungs(decision: &Decision) -> Vec<ExplainedRung> {
    let mut above = (i32::MIN, i32::MAX);
    let mut rungs = Vec::new();
    for rung in &decision.ladder {
        let range = (rung.low, rung.high);
        rungs.push(ExplainedRung {
            tier: rung.tier.clone(),
            low: rung.low,
            high: rung.high,
            narrowed: range != above,
            words: range_words(rung.low, rung.high),
            reasons: decision.reasons.iter().filter(|reason| reason.tier == rung.tier).cloned().collect(),
        });
        above = range;
    }
    rungs
}

/// One cut wish in a sentence.
pub(super) fn overruled(cut: &Overruled) -> String {
    let (wanted, got) = (battery_words(f64::from(cut.wanted)), battery_words(f64::from(cut.got)));
    format!("rung {} wanted to {wanted}; rung {} left {got}", cut.tier, cut.by)
}

/// One cut wish with its reason: what would have been ordered without the rung that bound.
fn wanted(decision: &Decision, cut: &Overruled) -> String {
    let why = decision.reasons.iter().find(|reason| reason.tier == cut.tier);
    let why = why.map(|reason| format!(" ({})", reason.words)).unwrap_or_default();
    let wanted = battery_words(f64::from(cut.wanted));
    let got = battery_words(f64::from(cut.got));
    format!("to {wanted}, by rung {}{why}; rung {} left {got}", cut.tier, cut.by)
}

/// The order that stands, by whom, and for how much longer.
pub(super) fn standing(order: &Standing) -> String {
    let by = if order.by.is_empty() { "an operator" } else { &order.by };
    let waits = if order.acts { "" } else { "; it waits for good inputs" };
    format!("Ordered by {by}: {}, {} left{waits}", order.text, left(order.left_s))
}

/// Time left, as people say it.
pub(super) fn left(seconds: i64) -> String {
    match seconds {
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds if seconds < 48 * 3_600 => format!("{} min", seconds / 60),
        seconds => format!("{} days", seconds / 86_400),
    }
}

/// Where discharge stops and resumes.
pub(super) fn charge_limits(decision: &Decision) -> Option<String> {
    let (stops, resumes) = (decision.outlook.stops_at?, decision.outlook.resumes_at?);
    Some(if resumes > stops {
        format!("discharge stops at {stops:.1} % and then resumes at {resumes:.1} %")
    } else {
        format!("discharge stops at {stops:.1} % and resumes above it")
    })
}

/// The whole ladder as text.
#[must_use]
pub fn words(published: &Published) -> String {
    let mut text = String::new();
    let Some(decision) = &published.decision else {
        return "No decision yet: waiting for the first answers of the devices.\n".to_owned();
    };
    let _ = writeln!(text, "{}: {}.", published.site, order(published.control, decision));
    if published.control == Control::Observe {
        let _ = writeln!(text, "The site observes: nothing is written.");
    }
    if let Some(binding) = decision.binding() {
        let _ = writeln!(text, "Because: {} [{}, {}].", binding.words, binding.text, binding.tier);
    }
    for cut in &decision.overruled {
        let _ = writeln!(text, "Wanted: {}.", wanted(decision, cut));
    }
    for load in &decision.loads {
        let is = if load.on { "on" } else { "off" };
        let _ = writeln!(text, "The load {} is {is}: {}.", load.name, load.words);
    }
    for on in &decision.overlays {
        let by = if on.by.is_empty() { "an operator" } else { &on.by };
        let _ = writeln!(text, "The overlay {} is on, by {by}: {} left.", on.what, left(on.left_s));
    }
    if let Some(by) = &decision.plan_by {
        let _ = writeln!(text, "The plan is leased by {by}.");
    }
    for charger in &decision.chargers {
        let _ = writeln!(text, "The solar charger {} may make {:.1} A.", charger.name, charger.amperes);
    }
    if let Some(order) = &decision.order {
        let _ = writeln!(text, "{}.", standing(order));
    }
    if let Some(changes) = &decision.outlook.changes {
        let _ = writeln!(text, "What changes it: {changes}.");
    }
    if let Some(limits) = charge_limits(decision) {
        let _ = writeln!(text, "State of charge: {limits}.");
    }
    let _ = writeln!(
        text,
        "\nThe ladder, most important first. No rung reopens what one above closed; > marks those that closed something:"
    );
    for rung in rungs(decision) {
        let mark = if rung.narrowed { '>' } else { ' ' };
        let _ = writeln!(text, "{mark} {:<26}{}", rung.tier, rung.words);
        for reason in rung.reasons {
            let _ = writeln!(text, "  {:<26}  {}: {}", "", reason.text, reason.words);
        }
    }
    let on_ladder = |reason: &&Reason| !decision.ladder.iter().any(|rung| rung.tier == reason.tier);
    for reason in decision.reasons.iter().filter(on_ladder) {
        let _ = writeln!(text, "  {:<26}{}: {}", reason.tier, reason.text, reason.words);
    }
    let _ = writeln!(text, "\nGrid setpoint: {}.", grid_words(f64::from(decision.grid_setpoint)));
    if let Some(generator) = &published.generator {
        let why = generator.reason.as_ref().map(|reason| format!(": {}", reason.words)).unwrap_or_default();
        let _ = writeln!(text, "Generator: {}{why}.", generator.state);
    }
    text
}
