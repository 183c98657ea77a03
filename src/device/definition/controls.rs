//! `[control.*]` tables: what a device can be told, in three parts that are kept apart because only the middle one
//! may be written often: setup, command, release.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::load::{Head, ORDERS, unit_of};
use super::points::{origin, place, raw};
use super::section::{Report, Section, integer, nearest, one_of};
use super::{CommandExample, Control, Field, Persistence, Place, Readback, Variable, Write};
use crate::control::signal::{Signal, Unit};
use crate::control::units::{Span, Watts};
use crate::device::decimal::Ratio;
use crate::device::exchange::Function;
use crate::device::order::{ControlKind, Values};
use crate::device::quirk::Quirk;
use crate::device::recipe::{self, Context};
use crate::device::words::Kind;

const VARIABLES: [(&str, Variable); 8] = [
    ("power.l1", Variable::Power(0)),
    ("power.l2", Variable::Power(1)),
    ("power.l3", Variable::Power(2)),
    ("power.total", Variable::PowerTotal),
    ("setpoint", Variable::Setpoint),
    ("limit", Variable::Limit),
    ("limit-percent", Variable::LimitPercent),
    ("run", Variable::Run),
];

const PERSISTENCE: [(&str, Persistence); 3] =
    [("cyclic", Persistence::Cyclic), ("on-change", Persistence::OnChange), ("rare", Persistence::Rare)];

/// How often a register that wears out may be written in a day, unless the definition knows better.
const DAILY: u16 = 10;

/// All `[control.*]` tables.
pub fn controls(
    section: Option<Section>,
    report: &mut Report,
    head: &Head,
    quirks: &[Quirk],
) -> Vec<Control> {
    let Some(section) = section else { return Vec::new() };
    let known: Vec<(&str, ControlKind)> = ControlKind::ALL.iter().map(|kind| (kind.name(), *kind)).collect();
    let mut controls = Vec::new();
    let names = || known.iter().map(|(name, _)| *name);
    // A part of the table that stands under the right name makes no sense without what stands under the wrong one.
    let meant: BTreeSet<&str> = section
        .entries()
        .filter(|(name, ..)| !names().any(|known| known == *name))
        .filter_map(|(name, ..)| nearest(name, names()))
        .collect();
    for (name, at, value) in section.entries().filter(|(name, ..)| !meant.contains(name)) {
        if report.is_full() {
            break;
        }
        let Some(kind) = one_of(report, at, &section.key(name), name, &known) else { continue };
        match value.get_ref() {
            DeValue::Table(table) => {
                let table = Section::new(table, &section.key(name), at);
                controls.push(control(kind, table, report, head, quirks));
            }
            _ => report.at(
                at,
                &section.key(name),
                "is no table",
                format!("remove `{name}`, or write it as [control.{name}]"),
            ),
        }
    }
    controls
}

fn control(
    kind: ControlKind,
    mut section: Section,
    report: &mut Report,
    head: &Head,
    quirks: &[Quirk],
) -> Control {
    let line = report.line(section.start);
    let before = report.mistakes.len();
    let refresh = section.span_or_none(report, "refresh");
    let watchdog = section.span_or_none(report, "watchdog");
    for (key, missing) in [("refresh", refresh.is_none()), ("watchdog", watchdog.is_none())] {
        if missing && section.get(key).is_none() {
            section.missing(
                report,
                key,
                &format!(
                    "add `{key} = \"none\"` when the device holds its command for ever; else a duration"
                ),
            );
        }
    }
    let resolution =
        section.whole(report, "resolution", 1, 100_000).and_then(|watts| i32::try_from(watts).ok());
    let min_interval = section.span(report, "min-interval").map_or(Span::ZERO, |found| found.value);
    let confirm = section.text(report, "confirm").and_then(|found| match Signal::parse(found.value) {
        Some(signal) if signal.device.is_none() => Some(signal.quantity),
        _ => {
            let way_out = "remove `confirm`, or name a signal of this device, such as \"generator.running\"";
            report.at(
                found.at,
                &section.key("confirm"),
                format!("there is no signal `{}`", found.value),
                way_out,
            );
            None
        }
    });
    let channels = section.whole(report, "channels", 1, 64).and_then(|n| u8::try_from(n).ok()).unwrap_or(1);
    let stride = section.whole(report, "stride", 1, 1_000).and_then(|n| u16::try_from(n).ok()).unwrap_or(1);
    let if_lost = section.required_text(
        report,
        "if-lost",
        "add `if-lost = \"...\"`: what the device does when this controller is gone",
    );
    let source = section.required_text(report, "source", "add `source = \"...\"`: who says so");
    let mut writes = |key: &'static str| -> Vec<Write> {
        section.sections(report, key).into_iter().filter_map(|table| write(table, report, head)).collect()
    };
    let (setup, command, release) = (writes("setup"), writes("command"), writes("release"));
    let mut control = Control {
        kind,
        refresh: refresh.flatten(),
        watchdog: watchdog.flatten(),
        resolution: Watts(resolution.unwrap_or(1)),
        min_interval,
        confirm,
        channels,
        stride,
        if_lost: if_lost.map(|found| found.value.to_owned()).unwrap_or_default(),
        source: source.map(|found| found.value.to_owned()).unwrap_or_default(),
        setup,
        command,
        release,
        examples: Vec::new(),
        line,
    };
    let known = report.mistakes.len() == before;
    control.examples = examples(&mut section, report, &control, quirks, known);
    section.finish(report);
    control
}

fn write(mut section: Section, report: &mut Report, head: &Head) -> Option<Write> {
    let line = report.line(section.start);
    let unit = unit_of(&mut section, report, head);
    let place = place(&mut section, report);
    let function = match section.get("function").and_then(|value| integer(value.get_ref())) {
        Some(5) => Some(Function::WriteSingleCoil),
        Some(6) => Some(Function::WriteSingleRegister),
        Some(15) => Some(Function::WriteMultipleCoils),
        Some(16) => Some(Function::WriteMultipleRegisters),
        _ => {
            let coils = matches!(place, Some(Place::Fixed(super::Area::Coil, _)));
            let right = if coils { "5" } else { "16" };
            section.wrong_value(
                report,
                "function",
                right,
                "the code by which the device takes it: 5, 6, 15 or 16",
            );
            None
        }
    };
    let persistence = section
        .required_text(
            report,
            "persistence",
            "add `persistence = \"cyclic\"` when writing wears nothing; else \"on-change\" or \"rare\" (flash)",
        )
        .and_then(|found| one_of(report, found.at, &section.key("persistence"), found.value, &PERSISTENCE));
    let daily = section.whole(report, "daily", 2, 1_000).and_then(|most| u16::try_from(most).ok());
    if let (Some(most), Some(Persistence::Cyclic)) = (daily, persistence) {
        let cause = format!("a register that may be written in a loop needs no most of {most} a day");
        report.at(section.start, &section.key("daily"), cause, "remove `daily`, or correct `persistence`");
    }
    let daily = daily.unwrap_or(DAILY);
    let restore = section.flag(report, "restore").unwrap_or(false);
    let otherwise = section.whole(report, "otherwise", -65_536, 4_294_967_295);
    let readback = section.section(report, "readback").map(|mut table| {
        let tolerance = table.whole(report, "tolerance", 0, 1_000_000).unwrap_or(0);
        let after = table.span(report, "after").map_or(Span::ZERO, |found| found.value);
        table.finish(report);
        Readback { tolerance, after }
    });
    let tables = section.sections(report, "fields");
    if tables.is_empty() {
        section.missing(
            report,
            "fields",
            "add `fields = [{ value = 0, as = \"u16\" }]`, with what is written",
        );
    }
    let mut fields: Vec<Field> = tables.into_iter().filter_map(|table| field(table, report, head)).collect();
    if let (Some(Place::SunSpec(entries)), Some(first)) = (&place, fields.first_mut()) {
        first.factor = entries.first().and_then(|entry| entry.factor);
    }
    section.finish(report);
    let (place, function, persistence) = (place?, function?, persistence?);
    Some(Write {
        unit: unit?,
        place,
        function,
        fields,
        persistence,
        daily,
        restore,
        otherwise,
        readback,
        line,
    })
}

fn field(mut section: Section, report: &mut Report, head: &Head) -> Option<Field> {
    let key = section.key("value");
    let value = section.get("value");
    if value.is_none() {
        section.missing(
            report,
            "value",
            "add `value = 0`, another number, or a variable such as \"setpoint\"",
        );
    }
    let value = value.and_then(|value| match value.get_ref() {
        DeValue::String(name) => one_of(report, value.span().start, &key, name, &VARIABLES),
        DeValue::Boolean(yes) => Some(Variable::Constant(i64::from(*yes))),
        other => integer(other).map(Variable::Constant),
    });
    let kind = section
        .required_text(report, "as", "add `as = \"u16\"`, or another layout")
        .and_then(|found| one_of(report, found.at, &section.key("as"), found.value, &Kind::ALL));
    let order = section
        .text(report, "word-order")
        .and_then(|found| one_of(report, found.at, &section.key("word-order"), found.value, &ORDERS))
        .unwrap_or(head.order);
    let scale = section.number(report, "scale").map_or(Ratio::ONE, |found| found.value);
    if scale.is_zero() {
        report.at(
            section.start,
            &section.key("scale"),
            "a scale of 0 cannot be undone",
            "write `scale = 1`, or the real scale",
        );
    }
    let mut map = Vec::new();
    if let Some(table) = section.section(report, "map") {
        for (name, at, code) in table.entries() {
            match (name.parse(), integer(code.get_ref())) {
                (Ok(value), Some(code)) => map.push((value, code)),
                _ => {
                    let way_out = format!("remove `{name}`; a map has lines such as 1 = 35732");
                    report.at(at, &table.key(name), "is no value with a code", way_out);
                }
            }
        }
    }
    section.finish(report);
    Some(Field { value: value?, kind: kind?, order, scale, map, factor: None })
}

fn examples(
    section: &mut Section,
    report: &mut Report,
    control: &Control,
    quirks: &[Quirk],
    known: bool,
) -> Vec<CommandExample> {
    let mut examples = Vec::new();
    for mut given in section.sections(report, "words") {
        let raw = raw(&mut given, report);
        let origin = origin(&mut given, report);
        let exponent = given.whole(report, "factor", -10, 10).and_then(|factor| i32::try_from(factor).ok());
        let rating = given.whole(report, "rating", 1, 10_000_000).and_then(|watts| i32::try_from(watts).ok());
        let values =
            match given.get("given").map(toml::Spanned::get_ref) {
                Some(DeValue::Boolean(run)) => Some(Values { run: *run, ..Values::default() }),
                Some(DeValue::Array(list)) => powers(list.iter().map(toml::Spanned::get_ref)),
                Some(other) => integer(other).and_then(|watts| i32::try_from(watts).ok()).map(|watts| {
                    Values { setpoint: Watts(watts), limit: Some(Watts(watts)), ..Values::default() }
                }),
                None => None,
            };
        let Some(values) = values else {
            let cause = "what was ordered is not said: `given` is true, false, watts, or [l1, l2, l3]";
            let way_out = "remove `words`, or add what was given";
            report.at(given.start, &given.key("given"), cause, way_out);
            continue;
        };
        let context = Context { quirks, phases: 3, exponent, rating: rating.map(Watts) };
        let made = control.command.first().and_then(|write| recipe::words(write, &values, context));
        if known && made.as_ref() != Some(&raw) {
            let becomes = made.map(|words| format!("{words:?}"));
            let cause =
                format!("the command becomes {}, not these words", becomes.as_deref().unwrap_or("nothing"));
            let way_out = match becomes {
                Some(words) => {
                    format!("write `raw = {words}` if that is right; else correct the command's fields")
                }
                None => "remove `words`: this command cannot say what is given".to_owned(),
            };
            report.at(given.start, &given.path, cause, way_out);
        }
        if let Some(origin) = origin {
            examples.push(CommandExample { raw, values, origin });
        }
        given.finish(report);
    }
    examples
}

fn powers<'v>(list: impl Iterator<Item = &'v DeValue<'v>>) -> Option<Values> {
    let watts: Option<Vec<Watts>> =
        list.map(|one| integer(one).and_then(|w| i32::try_from(w).ok()).map(Watts)).collect();
    let power = <[Watts; 3]>::try_from(watts?).ok()?;
    Some(Values { power, ..Values::default() })
}

/// The variable that a control's command usually holds.
pub fn variable_of(kind: ControlKind) -> &'static str {
    VARIABLES.iter().find(|(_, variable)| belongs(kind, *variable)).map_or("run", |(name, _)| name)
}

/// Whether a variable belongs to a control.
pub fn belongs(kind: ControlKind, variable: Variable) -> bool {
    match variable {
        Variable::Constant(_) => true,
        Variable::Power(_) | Variable::PowerTotal => kind == ControlKind::InverterPower,
        Variable::Setpoint => kind == ControlKind::GridSetpoint,
        Variable::Limit | Variable::LimitPercent => kind == ControlKind::PvLimit,
        Variable::Run => matches!(kind, ControlKind::GeneratorRun | ControlKind::Relay),
    }
}

/// Whether a quantity can show what a control did: a flag for switches, watts for powers.
pub fn can_confirm(control: &Control) -> bool {
    control.confirm.is_none_or(|quantity| match control.kind {
        ControlKind::InverterPower | ControlKind::GridSetpoint | ControlKind::PvLimit => {
            quantity.unit() == Unit::Watt
        }
        ControlKind::GeneratorRun | ControlKind::Relay => quantity.unit() == Unit::Flag,
    })
}
