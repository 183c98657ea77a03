//! The orders of a step: what people order of battery and generator, and what a program leases of the plan.

use crate::control::orders::{Actor, BatteryOrder, Wish};
use crate::control::overlays::{OverlayOrder, Word};
use crate::control::policy::{Caps, PlanAct, Steer};
use crate::control::schedule::lease::Lease;
use crate::control::site::{Manual, OperatorOrder};
use crate::control::units::{Soc, Watts};

use super::Ordered;
use super::read::Reader;
use super::tree::{Kind, Tree};

const WAY_OUT: &str = "write { generator = \"run\" | \"off\" | \"auto\" | \"acknowledge\", for = \"1h\" }, { generator.auto = false }, { battery = \"hold\" | \"charge\" | \"discharge\" | \"setpoint\" | \"release\", power = 1000, for = \"1h\", use_reserve = true } or { plan = \"self\" | \"target\" | \"setpoint\" | \"power\", target = 80, power = 1000, max_charge = 500, for = \"1m\" } or { overlay = \"storm\", for = \"12h\" }";
const GENERATOR: [&str; 2] = ["generator", "for"];
const AUTO: [&str; 2] = ["generator", "generator.auto"];
const BATTERY: [&str; 4] = ["battery", "power", "for", "use_reserve"];
const OVERLAY: [&str; 2] = ["overlay", "for"];
const PLAN: [&str; 11] = [
    "plan",
    "by",
    "priority",
    "power",
    "target",
    "for",
    "max_charge",
    "max_discharge",
    "export_limit",
    "no_grid_charge",
    "no_battery_export",
];

impl Reader {
    /// One order.
    pub(super) fn order(&mut self, tree: &Tree) -> Option<Ordered> {
        let Some(entries) = tree.entries() else {
            self.mistake(tree.line, "order", format!("{} is no order", tree.what()), WAY_OUT);
            return None;
        };
        let has = |key: &str| entries.iter().any(|entry| entry.key == key);
        let before = self.mistakes();
        let read = if has("overlay") {
            self.known_keys(tree, &OVERLAY);
            let what = word(tree, "overlay").and_then(|what| Word::from(what).ok());
            let lasts = self.span(tree, "for");
            what.map(|what| Ordered::Overlay(OverlayOrder { what, by: Actor::default(), lasts }))
        } else if has("plan") {
            self.known_keys(tree, &PLAN);
            self.lease(tree).map(|lease| Ordered::Lease(Box::new(lease)))
        } else if has("battery") {
            self.known_keys(tree, &BATTERY);
            self.battery(tree).map(Ordered::Operator)
        } else if let Some(auto) = auto(tree) {
            self.known_keys(tree, &AUTO);
            Some(Ordered::Operator(OperatorOrder::GeneratorAuto(auto)))
        } else {
            self.known_keys(tree, &GENERATOR);
            self.generator(tree).map(Ordered::Operator)
        };
        if read.is_none() && self.mistakes() == before {
            let cause = format!("{} is no order this site takes", tree.written());
            self.mistake(tree.line, "order", cause, WAY_OUT);
        }
        read
    }

    fn generator(&mut self, tree: &Tree) -> Option<OperatorOrder> {
        let lasts = self.span(tree, "for");
        match word(tree, "generator")? {
            "run" => Some(OperatorOrder::Generator { manual: Manual::Run, lasts }),
            "off" => Some(OperatorOrder::Generator { manual: Manual::Off, lasts }),
            "auto" => Some(OperatorOrder::Generator { manual: Manual::Auto, lasts }),
            "acknowledge" => Some(OperatorOrder::GeneratorAcknowledge),
            _ => None,
        }
    }

    fn battery(&mut self, tree: &Tree) -> Option<OperatorOrder> {
        let lasts = self.span(tree, "for");
        let power = self.watts(tree, "power");
        let use_reserve = self.yes(tree, "use_reserve");
        let wish = match (word(tree, "battery")?, power) {
            ("release", None) => return Some(OperatorOrder::Battery(None)),
            ("hold", None) => Wish::Hold,
            ("charge", power) => Wish::Charge(power),
            ("discharge", Some(power)) => Wish::Discharge(power),
            ("setpoint", Some(power)) => Wish::Setpoint(power),
            _ => return None,
        };
        Some(OperatorOrder::Battery(Some(BatteryOrder { wish, lasts, use_reserve })))
    }

    fn lease(&mut self, tree: &Tree) -> Option<Lease> {
        let lasts = self.span(tree, "for");
        let power = self.watts(tree, "power");
        let target = self.whole(tree, "target").and_then(|percent| {
            i64::try_from(percent).ok().and_then(|percent| Soc::from_centi(percent.saturating_mul(100)))
        });
        let act = match (word(tree, "plan")?, power, target) {
            ("self", None, None) => PlanAct::Free,
            ("target", None, Some(target)) => PlanAct::Target(target),
            ("setpoint", Some(power), None) => PlanAct::Setpoint(power),
            ("power", Some(power), None) => PlanAct::Power(power),
            _ => return None,
        };
        let caps = Caps {
            max_charge: self.watts(tree, "max_charge"),
            max_discharge: self.watts(tree, "max_discharge"),
            export_limit: self.watts(tree, "export_limit"),
            no_grid_charge: self.yes(tree, "no_grid_charge"),
            no_battery_export: self.yes(tree, "no_battery_export"),
        };
        let by = word(tree, "by").and_then(|by| Actor::from(by).ok()).unwrap_or_default();
        let priority = self.whole(tree, "priority").and_then(|it| u8::try_from(it).ok()).unwrap_or_default();
        Some(Lease { by, priority, lasts, now: Some(Steer { act, caps }), slots: Vec::new() })
    }

    fn watts(&mut self, tree: &Tree, key: &str) -> Option<Watts> {
        let value = tree.get(key)?;
        if let Kind::Number(power) = value.kind {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "casts saturate, and no site is that large"
            )]
            return Some(Watts::saturated(power.round() as i64));
        }
        self.mistake(value.line, key, format!("{} is no power", value.written()), "write a number of watts");
        None
    }

    fn yes(&mut self, tree: &Tree, key: &str) -> bool {
        let Some(value) = tree.get(key) else { return false };
        if let Kind::Flag(yes) = value.kind {
            return yes;
        }
        let cause = format!("{} is neither true nor false", value.written());
        self.mistake(value.line, key, cause, "write true or false");
        false
    }
}

fn word<'a>(tree: &'a Tree, key: &str) -> Option<&'a str> {
    match &tree.get(key)?.kind {
        Kind::Text(word) => Some(word),
        _ => None,
    }
}

/// `generator.auto = false`, dotted or nested.
fn auto(tree: &Tree) -> Option<bool> {
    let value = tree.get("generator.auto").or_else(|| tree.get("generator")?.get("auto"))?;
    match value.kind {
        Kind::Flag(auto) => Some(auto),
        _ => None,
    }
}
