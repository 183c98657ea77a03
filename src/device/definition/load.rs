//! From TOML text to a definition: the head of the file, its units, limits and readable holes.

use toml::de::{DeTable, DeValue};

use super::section::{Report, Section, integer, one_of};
use super::{Area, Definition, Expect, Framing, Limits, Readable, Unit, check, controls, points};
use crate::control::units::Span;
use crate::device::mistake::Mistake;
use crate::device::quirk::Quirk;
use crate::device::words::WordOrder;

/// What the parts of a definition need from its head.
pub struct Head<'d> {
    pub units: &'d [Unit],
    pub order: WordOrder,
}

pub const ORDERS: [(&str, WordOrder); 2] =
    [("high-first", WordOrder::HighFirst), ("low-first", WordOrder::LowFirst)];

/// Reads and checks.
pub fn load(text: &str, file: &str) -> Result<Definition, Vec<Mistake>> {
    let mut report = Report::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        report.at(at, "", error.message().to_owned(), "correct the TOML at this place");
    }
    if !report.mistakes.is_empty() {
        return Err(report.mistakes);
    }
    let definition = definition(Section::new(document.get_ref(), "", 0), &mut report);
    check::check(&definition, &mut report);
    if report.mistakes.is_empty() {
        return Ok(definition);
    }
    report.mistakes.sort_by_key(|mistake| mistake.line);
    Err(report.mistakes)
}

fn definition(mut root: Section, report: &mut Report) -> Definition {
    if root.get("schema").is_none() {
        root.missing(report, "schema", "write `schema = 1` as the first line");
    }
    root.whole(report, "schema", 1, 1);
    let maker = text(&mut root, report, "maker", "name the maker");
    let model = text(&mut root, report, "model", "name the model or family");
    let source = text(&mut root, report, "source", "say where the facts come from");
    let order = root
        .text(report, "word-order")
        .and_then(|found| one_of(report, found.at, "word-order", found.value, &ORDERS))
        .unwrap_or_default();
    let quirks = quirks(&mut root, report);
    let limits = limits(root.section(report, "limits"), report);
    let units = units(root.section(report, "unit"), report);
    let head = Head { units: &units, order };
    let readable =
        root.sections(report, "readable").into_iter().filter_map(|s| readable(s, report, &head)).collect();
    let points =
        root.sections(report, "point").into_iter().filter_map(|s| points::point(s, report, &head)).collect();
    let expects =
        root.sections(report, "expect").into_iter().filter_map(|s| expect(s, report, &head)).collect();
    let controls = controls::controls(root.section(report, "control"), report, &head, &quirks);
    root.finish(report);
    Definition { maker, model, source, limits, units, points, readable, expects, controls, quirks }
}

fn text(root: &mut Section, report: &mut Report, key: &'static str, way_out: &str) -> String {
    root.required_text(report, key, way_out).map(|found| found.value.to_owned()).unwrap_or_default()
}

fn quirks(root: &mut Section, report: &mut Report) -> Vec<Quirk> {
    let Some(value) = root.get("quirks") else { return Vec::new() };
    let DeValue::Array(list) = value.get_ref() else {
        report.at(value.span().start, "quirks", "is no list", "write [\"name\"]");
        return Vec::new();
    };
    let named = |report: &mut Report, one: &toml::Spanned<DeValue>| {
        one_of(report, one.span().start, "quirks", one.get_ref().as_str().unwrap_or_default(), &Quirk::ALL)
    };
    list.iter().filter_map(|one| named(report, one)).collect()
}

fn limits(section: Option<Section>, report: &mut Report) -> Limits {
    let mut limits = Limits {
        max_registers: 125,
        max_bits: 2_000,
        timeout: Span::secs(1),
        gap: Span::ZERO,
        connect_delay: Span::ZERO,
        fast: Span::secs(1),
        busy: vec![5, 6],
        away: vec![10, 11],
        framings: vec![Framing::Tcp],
    };
    let Some(mut section) = section else { return limits };
    let word = |value: Option<i64>, usual: u16| value.and_then(|v| u16::try_from(v).ok()).unwrap_or(usual);
    limits.max_registers = word(section.whole(report, "max-registers", 1, 125), limits.max_registers);
    limits.max_bits = word(section.whole(report, "max-bits", 1, 2_000), limits.max_bits);
    for (key, slot) in [
        ("timeout", &mut limits.timeout),
        ("gap", &mut limits.gap),
        ("connect-delay", &mut limits.connect_delay),
        ("fast", &mut limits.fast),
    ] {
        *slot = section.span(report, key).map_or(*slot, |found| found.value);
    }
    if limits.fast < Span::millis(50) || limits.timeout < Span::millis(10) {
        report.at(section.start, "limits", "`fast` is below 50 ms or `timeout` below 10 ms", "raise it");
    }
    for (key, slot) in [("busy", &mut limits.busy), ("away", &mut limits.away)] {
        if let Some(codes) = section.wholes(report, key) {
            *slot = codes.into_iter().filter_map(|code| u8::try_from(code).ok()).collect();
        }
    }
    if let Some(value) = section.get("framing") {
        const NAMES: [(&str, Framing); 2] = [("tcp", Framing::Tcp), ("rtu-over-tcp", Framing::RtuOverTcp)];
        let list = match value.get_ref() {
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![value],
        };
        limits.framings = list
            .into_iter()
            .filter_map(|one| {
                let name = one.get_ref().as_str().unwrap_or_default();
                one_of(report, one.span().start, "limits.framing", name, &NAMES)
            })
            .collect();
    }
    section.finish(report);
    limits
}

fn units(section: Option<Section>, report: &mut Report) -> Vec<Unit> {
    let Some(section) = section else {
        return vec![Unit { name: "device".to_owned(), default: Some(1) }];
    };
    let mut units = Vec::new();
    for (name, at, value) in section.entries() {
        let default = match value.get_ref() {
            DeValue::String(none) if none == "none" => None,
            other => {
                let id = integer(other).and_then(|id| u8::try_from(id).ok());
                if id.is_none() {
                    let way_out =
                        "write its usual unit id from 0 to 255, or \"none\" when the profile must name it";
                    report.at(at, &section.key(name), "is no unit id", way_out);
                }
                id
            }
        };
        units.push(Unit { name: name.to_owned(), default });
    }
    units
}

/// Which unit a table speaks of: `on = "name"`, by default the unit `device` or the only one.
pub fn unit_of(section: &mut Section, report: &mut Report, head: &Head) -> Option<usize> {
    let names: Vec<(&str, usize)> =
        head.units.iter().enumerate().map(|(at, unit)| (unit.name.as_str(), at)).collect();
    match section.text(report, "on") {
        Some(found) => one_of(report, found.at, &section.key("on"), found.value, &names),
        None if names.len() == 1 => Some(0),
        None => {
            let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            section.missing(report, "on", &format!("say which unit has it: {}", known.join(", ")));
            None
        }
    }
}

/// `holding:12` as area and address.
pub fn address(report: &mut Report, at: usize, key: &str, text: &str) -> Option<(Area, u16)> {
    let (area, number) = text.split_once(':').unwrap_or((text, ""));
    let area = one_of(report, at, key, area, &Area::ALL)?;
    let plain = number
        .strip_prefix("0x")
        .map_or_else(|| number.parse().ok(), |hex| i64::from_str_radix(hex, 16).ok());
    match plain {
        Some(wide) => {
            let address = u16::try_from(wide).ok();
            if address.is_none() {
                let way_out = "write the address on the wire, 0 to 65535; printed numbers like 40001 need their base taken off";
                report.at(at, key, format!("address {wide} does not exist in Modbus"), way_out);
            }
            address.map(|address| (area, address))
        }
        None => {
            report.at(at, key, format!("`{text}` has no address"), "write for example \"holding:2902\"");
            None
        }
    }
}

fn readable(mut section: Section, report: &mut Report, head: &Head) -> Option<Readable> {
    let unit = unit_of(&mut section, report, head);
    let at = section.required_text(report, "at", "write for example \"holding:868\"");
    let last = section.whole(report, "to", 0, 65_535);
    if last.is_none() {
        section.missing(report, "to", "write the last address that may be read");
    }
    section.required_text(report, "source", "say who says that this hole may be read");
    let (area, first) = at.and_then(|at| address(report, at.at, &section.key("at"), at.value))?;
    section.finish(report);
    Some(Readable { unit: unit?, area, first, last: u16::try_from(last?).ok()? })
}

fn expect(mut section: Section, report: &mut Report, head: &Head) -> Option<Expect> {
    let unit = unit_of(&mut section, report, head);
    let at =
        section.required_text(report, "at", "write the register that holds the setting, \"holding:0xA000\"");
    let values = section.wholes(report, "values").unwrap_or_default();
    let fitting: Vec<u16> = values.iter().filter_map(|value| u16::try_from(*value).ok()).collect();
    if fitting.is_empty() || fitting.len() != values.len() {
        section.missing(report, "values", "write what the register may hold, numbers from 0 to 65535");
    }
    let warning = section.required_text(report, "warning", "say what another value means, and what to do");
    section.required_text(report, "source", "say who says so");
    let place = at.and_then(|at| address(report, at.at, &section.key("at"), at.value));
    section.finish(report);
    let (area, address) = place?;
    Some(Expect { unit: unit?, area, address, values: fitting, warning: warning?.value.to_owned() })
}
