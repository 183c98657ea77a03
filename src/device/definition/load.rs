//! From TOML text to a definition: the head of the file, its units, limits and readable holes.

use toml::de::DeValue;

use super::section::{Report, Section, integer, last, nearest, one_of};
use super::syntax::{self, Lines};
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
    let lines = Lines::new(text);
    let document = syntax::parse(file, &lines)?;
    let mut report = Report::new(file, &lines);
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
        root.missing(report, "schema", "add `schema = 1` at the top of the file");
    }
    root.whole(report, "schema", 1, 1);
    let maker = text(&mut root, report, "maker", "add `maker = \"...\"` at the top, with the maker's name");
    let model =
        text(&mut root, report, "model", "add `model = \"...\"` at the top, with the model or family");
    let source =
        text(&mut root, report, "source", "add `source = \"...\"` at the top: where the facts come from");
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
        let name = value.get_ref().as_str().filter(|name| Quirk::named(name).is_some());
        let right = name.map_or("[]".to_owned(), |name| format!("[\"{name}\"]"));
        report.at(value.span().start, "quirks", "is no list", format!("write `quirks = {right}`"));
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
    for (key, value, least) in [("fast", limits.fast, 50), ("timeout", limits.timeout, 10)] {
        if value < Span::millis(least) {
            let cause = format!("`{key}` is below {least} ms");
            report.at(
                section.start,
                &section.key(key),
                cause,
                format!("write `{key} = \"{least}ms\"`, or more"),
            );
        }
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
                    let way_out = format!(
                        "write `{name} = \"none\"` when the profile must name it, or its usual unit id from 0 to 255"
                    );
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
            let first = known.first().copied().unwrap_or("device");
            section.missing(
                report,
                "on",
                &format!("add `on = \"{first}\"`, or another unit: {}", known.join(", ")),
            );
            None
        }
    }
}

/// The address on the wire of one as manuals print it: 40001 or 400001 is 0.
fn without_base(printed: i64) -> i64 {
    let base = if printed > 65_535 { 100_000 } else { 10_000 };
    let number = printed.checked_rem(base).unwrap_or(0);
    number.saturating_sub(1).clamp(0, 65_535)
}

fn area_name(area: Area) -> &'static str {
    Area::ALL.iter().find(|(_, known)| *known == area).map_or("holding", |(name, _)| name)
}

/// `holding:12` as area and address.
pub fn address(report: &mut Report, at: usize, key: &str, text: &str) -> Option<(Area, u16)> {
    let Some((area, number)) = text.split_once(':') else {
        // Manuals print 4x for holding registers and 3x for inputs.
        let wide: i64 = text.parse().unwrap_or(0);
        let area = if (30_001..40_000).contains(&wide) { "input" } else { "holding" };
        let right = if wide > 65_535 || (30_001..50_000).contains(&wide) { without_base(wide) } else { wide };
        let way_out = format!("write `{} = \"{area}:{right}\"`, with the address on the wire", last(key));
        report.at(at, key, format!("`{text}` does not say which registers it means"), way_out);
        return None;
    };
    let Some((_, area)) = Area::ALL.into_iter().find(|(name, _)| *name == area) else {
        let right = nearest(area, Area::ALL.map(|(name, _)| name)).unwrap_or("holding");
        let way_out = format!("write `{right}` instead of `{area}`; known: coil, discrete, holding, input");
        report.at(at, key, format!("`{area}` is not known here"), way_out);
        return None;
    };
    let plain = number
        .strip_prefix("0x")
        .map_or_else(|| number.parse().ok(), |hex| i64::from_str_radix(hex, 16).ok());
    match plain {
        Some(wide) => {
            let address = u16::try_from(wide).ok();
            if address.is_none() {
                let right = without_base(wide);
                let way_out = format!(
                    "write `{right}` instead of `{number}`: the address on the wire, from 0 to 65535, without the base that manuals print before it"
                );
                report.at(at, key, format!("address {wide} does not exist in Modbus"), way_out);
            }
            address.map(|address| (area, address))
        }
        None => {
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            let right = digits.parse::<u16>().unwrap_or(0);
            let way_out = format!(
                "write `{} = \"{}:{right}\"`, with the address on the wire",
                last(key),
                area_name(area)
            );
            report.at(at, key, format!("`{text}` has no address"), way_out);
            None
        }
    }
}

fn readable(mut section: Section, report: &mut Report, head: &Head) -> Option<Readable> {
    let unit = unit_of(&mut section, report, head);
    let at = section.required_text(
        report,
        "at",
        "add `at = \"holding:0\"`, with the first address that may be read",
    );
    let last = section.whole(report, "to", 0, 65_535);
    if last.is_none() && section.get("to").is_none() {
        let at = at.as_ref().and_then(|at| at.value.rsplit(':').next()).unwrap_or("0");
        section.missing(report, "to", &format!("add `to = {at}`, with the last address that may be read"));
    }
    section.required_text(report, "source", "add `source = \"...\"`: who says that this hole may be read");
    let (area, first) = at.and_then(|at| address(report, at.at, &section.key("at"), at.value))?;
    if last.is_some_and(|last| last < i64::from(first)) {
        let cause = "the hole ends before its first address";
        report.at(section.start, &section.key("to"), cause, format!("write `to = {first}`, or more"));
    }
    section.finish(report);
    Some(Readable { unit: unit?, area, first, last: u16::try_from(last?).ok()? })
}

fn expect(mut section: Section, report: &mut Report, head: &Head) -> Option<Expect> {
    let unit = unit_of(&mut section, report, head);
    let at = section.required_text(
        report,
        "at",
        "add `at = \"holding:0\"`, with the register that holds the setting",
    );
    let values = section.wholes(report, "values").unwrap_or_default();
    let fitting: Vec<u16> = values.iter().filter_map(|value| u16::try_from(*value).ok()).collect();
    if fitting.is_empty() || fitting.len() != values.len() {
        section.wrong_value(
            report,
            "values",
            "[0]",
            "with what the register may hold, numbers from 0 to 65535",
        );
    }
    let warning = section.required_text(
        report,
        "warning",
        "add `warning = \"...\"`: what another value means, and what to do",
    );
    section.required_text(report, "source", "add `source = \"...\"`: who says so");
    let place = at.and_then(|at| address(report, at.at, &section.key("at"), at.value));
    section.finish(report);
    let (area, address) = place?;
    Some(Expect { unit: unit?, area, address, values: fitting, warning: warning?.value.to_owned() })
}
