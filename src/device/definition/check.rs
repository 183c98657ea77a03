//! What can only be seen when the whole definition is known: doubles, overlaps, values that no read can hold, and
//! writes that would wear the device out.

use super::controls::{belongs, can_confirm, variable_of};
use super::section::Report;
use super::{Area, Control, Definition, Persistence, Place, Point, Write};
use crate::control::signal::Quantity;
use crate::device::exchange::Function;
use crate::device::order::ControlKind;
use crate::device::recipe;

/// Adds what is wrong.
pub fn check(definition: &Definition, report: &mut Report) {
    if definition.points.is_empty() && report.mistakes.is_empty() {
        report.on_line(
            1,
            "point",
            "the definition has no points",
            format!("add `{FIRST}` at the top, with the first value"),
        );
    }
    doubles(definition, report);
    for point in &definition.points {
        if report.is_full() {
            return;
        }
        bounds(definition, point, report);
    }
    overlaps(definition, report);
    for control in &definition.controls {
        // What a command with mistakes would write is not known.
        if !report.is_about(&format!("control.{}", control.kind.name())) {
            check_control(control, report);
        }
    }
}

fn doubles(definition: &Definition, report: &mut Report) {
    for (at, point) in definition.points.iter().enumerate() {
        if report.is_full() {
            return;
        }
        let earlier = definition.points.iter().take(at);
        let same = |other: &&Point| other.quantity == point.quantity && other.phase == point.phase;
        if let Some(first) = earlier.clone().find(same) {
            let cause = format!("`{}` is already the point on line {}", point.name(), first.line);
            let free = Quantity::ALL.iter().find(|quantity| {
                quantity.unit() == point.quantity.unit() && definition.points_of(**quantity).next().is_none()
            });
            let right = free.map_or("grid.power", |quantity| quantity.name());
            let way_out =
                format!("write `signal = \"{right}\"` or what it is, or remove one of the two points");
            report.on_line(point.line, "signal", cause, way_out);
        }
    }
}

fn bounds(definition: &Definition, point: &Point, report: &mut Report) {
    let Place::Fixed(area, first) = &point.place else { return };
    let key = point.name();
    let steps = point.stride.saturating_mul(u16::from(point.channels).saturating_sub(1));
    let end =
        u32::from(*first).saturating_add(u32::from(point.codec.width())).saturating_add(u32::from(steps));
    if end > 65_536 {
        let least = end.saturating_sub(u32::from(*first));
        let right = format!("{}:{}", name_of(*area), 65_536_u32.saturating_sub(least));
        let way_out = format!("write `at = \"{right}\"` or lower, or correct count, channels or stride");
        report.on_line(point.line, &key, "reaches beyond address 65535", way_out);
        return;
    }
    let (start, len) = extent(point, *first);
    let most = if area.is_bits() { definition.limits.max_bits } else { definition.limits.max_registers };
    if len > most {
        let cause = format!("takes {len} registers in one read, the device answers at most {most}");
        let way_out = match point.witness {
            Some(_) => "remove `witness`, or name a nearer one".to_owned(),
            None => format!(
                "write `max-registers = {len}` in `[limits]` if the device answers that, or take less together"
            ),
        };
        report.on_line(point.line, &key, cause, way_out);
        return;
    }
    if point.channels > 1 && point.stride < point.codec.width() {
        let way_out = format!("write `stride = {}`, or more", point.codec.width());
        report.on_line(point.line, &key, "the channels overlap", way_out);
    }
    if let Some(hole) = hole(definition, point, *area, start, len).filter(|_| !report.is_about("readable")) {
        let cause = format!("its read crosses {hole}, of which nothing is known");
        report.on_line(
            point.line,
            &key,
            cause,
            "remove `witness`, choose a nearer one, or declare the hole as [[readable]] with its source",
        );
    }
}

/// First address and length of what must come in one answer.
fn extent(point: &Point, first: u16) -> (u16, u16) {
    let start = point.witness.map_or(first, |witness| witness.min(first));
    let end = first.saturating_add(point.codec.width());
    let end = point.witness.map_or(end, |witness| end.max(witness.saturating_add(1)));
    (start, end.saturating_sub(start))
}

fn hole(definition: &Definition, point: &Point, area: Area, start: u16, len: u16) -> Option<u16> {
    let covered = |address: &u16| {
        let by_point = definition.points.iter().any(|other| {
            let Place::Fixed(other_area, at) = other.place else { return false };
            let within = address.checked_sub(at).is_some_and(|offset| offset < other.codec.width());
            other.unit == point.unit && other_area == area && (within || other.witness == Some(*address))
        });
        let declared = |hole: &super::Readable| {
            hole.unit == point.unit && hole.area == area && (hole.first..=hole.last).contains(address)
        };
        by_point || definition.readable.iter().any(declared)
    };
    (start..start.saturating_add(len)).find(|address| !covered(address))
}

/// Two points may share registers only when both see the same value there: one is a sum or picks bits or codes.
fn overlaps(definition: &Definition, report: &mut Report) {
    for (at, point) in definition.points.iter().enumerate() {
        if report.is_full() {
            return;
        }
        let Place::Fixed(area, first) = point.place else { continue };
        for other in definition.points.iter().take(at) {
            let Place::Fixed(other_area, other_first) = other.place else { continue };
            if other_area != area || other.unit != point.unit {
                continue;
            }
            let before = first.min(other_first).saturating_add(match first < other_first {
                true => point.codec.width(),
                false => other.codec.width(),
            });
            if first.max(other_first) >= before || point.channels > 1 || other.channels > 1 {
                continue;
            }
            let apart = first.abs_diff(other_first);
            let aligned = point.codec.kind == other.codec.kind
                && apart.checked_rem(point.codec.kind.width()) == Some(0)
                && point.codec.order == other.codec.order;
            let plain = |point: &Point| {
                point.codec.count == 1 && point.codec.bits.is_none() && point.codec.map.is_empty()
            };
            if !aligned {
                let cause = format!("overlaps `{}` on line {} with another layout", other.name(), other.line);
                report.on_line(point.line, &point.name(), cause, elsewhere(definition, area));
            } else if apart == 0 && plain(point) && plain(other) {
                let cause = format!("has the register of `{}` on line {}", other.name(), other.line);
                report.on_line(point.line, &point.name(), cause, elsewhere(definition, area));
            }
        }
    }
}

/// An address that no point has yet, for a point that stands where another does.
fn elsewhere(definition: &Definition, area: Area) -> String {
    let ends = definition.points.iter().filter_map(|point| match point.place {
        Place::Fixed(own, first) if own == area => Some(first.saturating_add(point.codec.width())),
        _ => None,
    });
    let free = ends.max().unwrap_or(0);
    format!(
        "write `at = \"{}:{free}\"` or whatever its own address is, or correct the other one",
        name_of(area)
    )
}

fn name_of(area: Area) -> &'static str {
    Area::ALL.iter().find(|(_, known)| *known == area).map_or("holding", |(name, _)| name)
}

/// A first point.
const FIRST: &str = "point = [{ signal = \"grid.power\", at = \"holding:0\", as = \"i16\", source = \"...\", words = { raw = [0], value = 0, origin = \"constructed\" } }]";

fn check_control(control: &Control, report: &mut Report) {
    let key = format!("control.{}", control.kind.name());
    if control.command.is_empty() {
        report.on_line(
            control.line,
            &key,
            "has no command",
            format!("remove `[{key}]`, or add [[{key}.command]] with what is written for each order"),
        );
    }
    if let (Some(refresh), Some(watchdog)) = (control.refresh, control.watchdog)
        && refresh.0.saturating_mul(2) > watchdog.0
    {
        let cause = format!("is refreshed every {refresh}, the device gives up after {watchdog}");
        let half = watchdog.0 / 2;
        report.on_line(control.line, &key, cause, format!("write `refresh = \"{half}ms\"`, or sooner"));
    }
    if !can_confirm(control) {
        report.on_line(
            control.line,
            &key,
            "`confirm` cannot show this command",
            "remove `confirm`, or name a signal of the same kind",
        );
    }
    for write in &control.setup {
        let constant = write.fields.iter().all(|field| belongs_as_constant(field.value));
        if !constant || write.fields.len() != 1 {
            report.on_line(
                write.line,
                &key,
                "setup holds more than one constant",
                "write `fields = [{ value = 1, as = \"u16\" }]`: one constant for each setup step",
            );
        }
        check_write(control, write, report, &key);
    }
    for write in control.command.iter().chain(&control.release) {
        if write.restore || write.otherwise.is_some() {
            report.on_line(
                write.line,
                &key,
                "only setup is put back",
                match write.restore {
                    true => "remove `restore`",
                    false => "remove `otherwise`",
                },
            );
        }
        check_write(control, write, report, &key);
    }
    for write in &control.command {
        let switch = matches!(control.kind, ControlKind::GeneratorRun | ControlKind::Relay);
        let worn = match write.persistence {
            Persistence::Cyclic => false,
            Persistence::OnChange => !switch,
            Persistence::Rare => true,
        };
        if worn {
            let cause = "the command is written in a loop, and this register wears out by writing";
            report.on_line(
                write.line,
                &key,
                cause,
                "write `persistence = \"cyclic\"` if the register is volatile after all; else use one that is, or leave this control out",
            );
        }
    }
}

fn belongs_as_constant(variable: super::Variable) -> bool {
    matches!(variable, super::Variable::Constant(_))
}

fn check_write(control: &Control, write: &Write, report: &mut Report, key: &str) {
    if let Some(stranger) = write.fields.iter().find(|field| !belongs(control.kind, field.value)) {
        let cause = format!("{:?} is not known when `{}` is ordered", stranger.value, control.kind);
        let right = variable_of(control.kind);
        report.on_line(
            write.line,
            key,
            cause,
            format!("write `value = \"{right}\"`, the variable of this control"),
        );
    }
    let len = recipe::len(write, 3);
    let area = match &write.place {
        Place::Fixed(area, first) => {
            if u32::from(*first).saturating_add(u32::from(len)) > 65_536 {
                let last = 65_536_u32.saturating_sub(u32::from(len));
                let way_out = format!("write `at = \"{}:{last}\"`, or lower", name_of(*area));
                report.on_line(write.line, key, "writes beyond address 65535", way_out);
            }
            *area
        }
        Place::SunSpec(_) => Area::Holding,
        Place::SunSpecLimit => Area::Input,
    };
    let right = match write.function {
        Function::WriteSingleCoil => area == Area::Coil && len == 1,
        Function::WriteMultipleCoils => area == Area::Coil,
        Function::WriteSingleRegister => area == Area::Holding && len == 1,
        Function::WriteMultipleRegisters => area == Area::Holding && len <= 123,
        _ => false,
    };
    if !right {
        let cause = format!("function {} cannot write {len} here", write.function.code());
        let many = "5 and 6 write one coil or register, 15 and 16 several; only coils and holding registers can be written";
        let way_out = match (area, len) {
            (Area::Coil, 1) => format!("write `function = 5`: {many}"),
            (Area::Coil, _) => format!("write `function = 15`: {many}"),
            (Area::Holding, 1) => format!("write `function = 6`: {many}"),
            (Area::Holding, 2..=123) => format!("write `function = 16`: {many}"),
            (Area::Holding, _) => format!("write fewer fields: one request carries 123 registers; {many}"),
            (Area::Input | Area::Discrete, _) => {
                let at = match &write.place {
                    Place::Fixed(_, at) => *at,
                    Place::SunSpec(_) | Place::SunSpecLimit => 0,
                };
                let area = if area == Area::Input { "holding" } else { "coil" };
                format!("write `at = \"{area}:{at}\"` if that is the register: {many}")
            }
        };
        report.on_line(write.line, key, cause, way_out);
    }
}
