//! `[[point]]` tables: one value each, with its example words proven on the spot.

use toml::Spanned;
use toml::de::DeValue;

use super::load::{Head, ORDERS, address, unit_of};
use super::section::{Found, Report, Section, decimal, integer, nearest, one_of};
use super::{Example, Origin, Pace, Place, Point};
use crate::control::signal::{Phase, Quantity, Signal, Unit};
use crate::control::units::decimal as decimal_text;
use crate::device::codec::{Codec, Join};
use crate::device::decimal::Ratio;
use crate::device::sunspec::models::{self, Entry};
use crate::device::words::Kind;

pub const ORIGINS: [(&str, Origin); 3] = [
    ("recorded", Origin::Recorded),
    ("documented", Origin::Documented),
    ("constructed", Origin::Constructed),
];

const PACES: [(&str, Pace); 4] =
    [("fast", Pace::Fast), ("normal", Pace::Normal), ("slow", Pace::Slow), ("once", Pace::Once)];

/// Units as makers use them: name, unit we carry, carried steps in one of theirs.
const UNITS: [(&str, (Unit, i64)); 15] = [
    ("W", (Unit::Watt, 1)),
    ("kW", (Unit::Watt, 1_000)),
    ("V", (Unit::MilliVolt, 1_000)),
    ("mV", (Unit::MilliVolt, 1)),
    ("A", (Unit::MilliAmp, 1_000)),
    ("mA", (Unit::MilliAmp, 1)),
    ("Hz", (Unit::MilliHertz, 1_000)),
    ("mHz", (Unit::MilliHertz, 1)),
    ("°C", (Unit::DeciCelsius, 10)),
    ("%", (Unit::CentiPercent, 100)),
    ("Wh", (Unit::WattHour, 1)),
    ("kWh", (Unit::WattHour, 1_000)),
    ("s", (Unit::Second, 1)),
    ("min", (Unit::Second, 60)),
    ("h", (Unit::Second, 3_600)),
];

/// One `[[point]]`.
pub fn point(mut section: Section, report: &mut Report, head: &Head) -> Option<Point> {
    if report.is_full() {
        return None;
    }
    let line = report.line(section.start);
    let before = report.mistakes.len();
    let signal = signal(&mut section, report);
    if let Some(name) = section.get("signal").and_then(|value| value.get_ref().as_str()) {
        section.path = name.to_owned();
    }
    let unit = unit_of(&mut section, report, head);
    let place = place(&mut section, report);
    let pace = section
        .text(report, "pace")
        .and_then(|found| one_of(report, found.at, &section.key("pace"), found.value, &PACES))
        .unwrap_or(Pace::Normal);
    let channels = section.whole(report, "channels", 1, 64).and_then(|n| u8::try_from(n).ok()).unwrap_or(1);
    let stride = section.whole(report, "stride", 1, 1_000).and_then(|n| u16::try_from(n).ok()).unwrap_or(1);
    let optional = section.flag(report, "optional").unwrap_or(false);
    let witness = section.text(report, "witness");
    let source = section.required_text(
        report,
        "source",
        "add `source = \"...\"`: document and page, or project and file",
    );
    // A phase or place that could not be read must not hide the mistakes in the rest of the table.
    let quantity = signal.map_or(Quantity::LoadPower, |(quantity, _)| quantity);
    let codec = codec(&mut section, report, head, quantity, place.as_ref());
    let known = report.mistakes.len() == before;
    let examples = examples(&mut section, report, &codec, place.as_ref(), known);
    let witness = witness.and_then(|found| witness_of(&section, report, &found, place.as_ref()));
    section.finish(report);
    let (quantity, phase) = signal?;
    Some(Point {
        quantity,
        phase,
        channels,
        stride,
        unit: unit?,
        place: place?,
        codec,
        pace,
        optional,
        witness,
        source: source?.value.to_owned(),
        examples,
        line,
    })
}

fn signal(section: &mut Section, report: &mut Report) -> Option<(Quantity, Phase)> {
    let found = section.required_text(
        report,
        "signal",
        "add `signal = \"grid.power\"`, with the name of the value",
    )?;
    let parsed = Signal::parse(found.value);
    if let Some(Signal { quantity, phase, device: None }) = parsed {
        return Some((quantity, phase));
    }
    let of_device = parsed.map(|signal| Signal::site(signal.quantity, signal.phase).name());
    let names: Vec<String> = Quantity::ALL.iter().map(|quantity| quantity.name().to_owned()).collect();
    let near = nearest(found.value, names.iter().map(String::as_str));
    let right = of_device.as_deref().or(near).unwrap_or("grid.power");
    let way_out =
        format!("write `{right}` instead of `{}`, or another signal name, without a device", found.value);
    report.at(found.at, "signal", format!("there is no signal `{}`", found.value), way_out);
    None
}

/// `at`: an address, a SunSpec point, or a list of SunSpec points of which the first that exists counts.
pub fn place(section: &mut Section, report: &mut Report) -> Option<Place> {
    let key = section.key("at");
    let Some(value) = section.get("at") else {
        section.missing(
            report,
            "at",
            "add `at = \"holding:0\"`, with the address on the wire, or \"sunspec:103.W\"",
        );
        return None;
    };
    let list: Vec<&Spanned<DeValue>> = match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => vec![value],
    };
    let mut entries = Vec::new();
    for one in &list {
        let at = one.span().start;
        let text = one.get_ref().as_str().unwrap_or_default();
        match text.strip_prefix("sunspec:") {
            Some("limit") => return Some(Place::SunSpecLimit),
            Some(name) => entries.push(entry(report, at, &key, name)?),
            None if list.len() == 1 => {
                return address(report, at, &key, text).map(|(area, address)| Place::Fixed(area, address));
            }
            None => {
                report.at(
                    at,
                    &key,
                    "only SunSpec points have alternatives",
                    format!("write `at = \"{text}\"`, or another one of them"),
                );
                return None;
            }
        }
    }
    if entries.is_empty() {
        report.at(
            value.span().start,
            &key,
            "is empty",
            "write `at = \"holding:0\"`, with the address on the wire",
        );
        return None;
    }
    Some(Place::SunSpec(entries))
}

fn entry(report: &mut Report, at: usize, key: &str, name: &str) -> Option<Entry> {
    let (model, point) = name.split_once('.').unwrap_or((name, ""));
    let model: u16 = model.parse().unwrap_or(0);
    let found = models::entry(model, point);
    if found.is_none() {
        let known: Vec<&str> = models::names(model).collect();
        let begun =
            known.iter().copied().filter(|known| point.starts_with(known)).max_by_key(|known| known.len());
        let right = begun.or_else(|| nearest(point, known.iter().copied())).or(known.first().copied());
        let way_out = match right {
            None => format!(
                "write `103.W` instead of `{name}`, or another of models 101-103, 111-113, 120, 121, 123"
            ),
            Some(right) => {
                format!("write `{model}.{right}` instead of `{name}`; known: {}", known.join(", "))
            }
        };
        report.at(at, key, format!("`sunspec:{name}` is not known"), way_out);
    }
    found
}

fn codec(
    section: &mut Section,
    report: &mut Report,
    head: &Head,
    quantity: Quantity,
    place: Option<&Place>,
) -> Codec {
    let kind = kind(section, report, place).unwrap_or(Kind::U16);
    let mut codec = Codec { order: head.order, ..Codec::plain(kind, quantity.unit()) };
    if let Some(Place::SunSpec(entries)) = place {
        codec.absent = entries.first().and_then(Entry::absent).into_iter().collect();
    }
    if let Some(found) = section.text(report, "word-order") {
        codec.order =
            one_of(report, found.at, &section.key("word-order"), found.value, &ORDERS).unwrap_or_default();
    }
    let sum = section.whole(report, "sum", 2, 100);
    let worst = section.whole(report, "worst", 1, 100);
    codec.join = if worst.is_some() { Join::Worst } else { Join::Sum };
    codec.count = sum.or(worst).and_then(|count| u16::try_from(count).ok()).unwrap_or(1);
    let steps = carried_steps(section, report, quantity);
    let scale = section.number(report, "scale").map_or(Ratio::ONE, |found| found.value);
    let offset = section.number(report, "offset").map_or(Ratio::ZERO, |found| found.value);
    codec.scale = scale.times(steps).unwrap_or(Ratio::ONE);
    codec.offset = offset.times(steps).unwrap_or(Ratio::ZERO);
    if codec.scale.is_zero() {
        let way_out = "write `scale = 1`, or the real scale";
        report.at(section.start, &section.key("scale"), "a scale of 0 makes every value 0", way_out);
        codec.scale = Ratio::ONE;
    }
    codec.absent.extend(absent(section, report, kind));
    codec.bits = bits(section, report, kind);
    (codec.map, codec.otherwise) = map(section, report, quantity);
    codec.range = range(section, report, steps);
    codec
}

fn kind(section: &mut Section, report: &mut Report, place: Option<&Place>) -> Option<Kind> {
    let written = section.text(report, "as");
    match (place, written) {
        (Some(Place::SunSpec(entries)), None) => entries.first().map(|entry| entry.kind),
        (Some(Place::SunSpecLimit), None) => Some(Kind::U16),
        (Some(Place::SunSpec(_) | Place::SunSpecLimit), Some(found)) => {
            report.at(found.at, &section.key("as"), "SunSpec says what it is", "remove `as`");
            None
        }
        (Some(Place::Fixed(area, _)), None) if area.is_bits() => Some(Kind::Bool),
        (None, None) if section.get("at").is_some() => None,
        (_, None) => {
            let names: Vec<&str> = Kind::ALL.iter().map(|(name, _)| *name).collect();
            section.missing(report, "as", &format!("add `as = \"u16\"`, or another of {}", names.join(", ")));
            None
        }
        (_, Some(found)) => {
            let kind = one_of(report, found.at, &section.key("as"), found.value, &Kind::ALL)?;
            if matches!(place, Some(Place::Fixed(area, _)) if area.is_bits()) && kind != Kind::Bool {
                report.at(
                    found.at,
                    &section.key("as"),
                    "coils and discrete inputs hold one bit",
                    "write `as = \"bool\"`",
                );
            }
            Some(kind)
        }
    }
}

fn carried_steps(section: &mut Section, report: &mut Report, quantity: Quantity) -> Ratio {
    let own = Ratio::whole(quantity.unit().steps());
    let Some(found) = section.text(report, "unit") else { return own };
    let key = section.key("unit");
    let own_units = || UNITS.iter().filter(|(_, (unit, _))| *unit == quantity.unit()).map(|(name, _)| *name);
    let Some((_, (unit, steps))) = UNITS.into_iter().find(|(name, _)| *name == found.value) else {
        let alike = own_units().find(|name| name.eq_ignore_ascii_case(found.value));
        let way_out = match alike.or_else(|| own_units().next()) {
            Some(right) => {
                format!("write `unit = \"{right}\"`; known: {}", own_units().collect::<Vec<_>>().join(", "))
            }
            None => "remove `unit`: this is a code or a flag".to_owned(),
        };
        report.at(found.at, &key, format!("`{}` is not known here", found.value), way_out);
        return own;
    };
    if unit != quantity.unit() {
        let cause = format!(
            "`{}` is carried in {}, not in {}",
            quantity.name(),
            quantity.unit().symbol(),
            found.value
        );
        let way_out = match own_units().next() {
            Some(right) => format!("write `unit = \"{right}\"`, or choose another signal"),
            None => "remove `unit`: this is a code or a flag".to_owned(),
        };
        report.at(found.at, &key, cause, way_out);
    }
    Ratio::whole(steps)
}

fn absent(section: &mut Section, report: &mut Report, kind: Kind) -> Vec<u64> {
    let bits = u32::from(kind.width()).saturating_mul(16);
    let mask = 1_u64.checked_shl(bits).map_or(u64::MAX, |over| over.saturating_sub(1));
    let marks = section.wholes(report, "absent").unwrap_or_default();
    if let Some(wide) = marks.iter().find(|mark| i64::try_from(mask).is_ok_and(|mask| **mark > mask)) {
        let cause = format!("the mark {wide:#X} is wider than the value");
        let way_out = format!("write `absent = {mask:#X}`, the mark in the value's own width");
        report.at(section.start, &section.key("absent"), cause, way_out);
    }
    // A negative mark means its two's complement in the value's own width.
    marks.into_iter().map(|mark| u64::from_be_bytes(mark.to_be_bytes()) & mask).collect()
}

fn bits(section: &mut Section, report: &mut Report, kind: Kind) -> Option<(u8, u8)> {
    let key = section.key("bits");
    let at = section.get("bits")?.span().start;
    let list = section.wholes(report, "bits")?;
    let width = i64::from(kind.width()).saturating_mul(16);
    let (low, high) = match list.as_slice() {
        [one] => (*one, *one),
        [low, high] => (*low, *high),
        _ => (0, -1),
    };
    if low < 0 || high < low || high >= width {
        let top = width.saturating_sub(1);
        let way_out = format!("write `bits = [0, {top}]`, or one bit, or [lowest, highest], from 0 to {top}");
        report.at(at, &key, "these bits do not exist in the value", way_out);
        return None;
    }
    Some((u8::try_from(low).ok()?, u8::try_from(high.saturating_sub(low).saturating_add(1)).ok()?))
}

fn map(section: &mut Section, report: &mut Report, quantity: Quantity) -> (Vec<(i64, i64)>, Option<i64>) {
    let Some(table) = section.section(report, "map") else { return (Vec::new(), None) };
    if !matches!(quantity.unit(), Unit::Flag | Unit::Count) {
        let cause = format!("`{}` is a measurement, not a code", quantity.name());
        report.at(table.start, &table.path, cause, "remove `map`; a measurement has scale and offset");
    }
    let mut map = Vec::new();
    let mut otherwise = None;
    for (code, at, value) in table.entries() {
        let value = match value.get_ref() {
            DeValue::Boolean(yes) => Some(i64::from(*yes)),
            other => integer(other),
        };
        match (code, code.parse::<i64>(), value) {
            ("else", _, Some(value)) => otherwise = Some(value),
            (_, Ok(code), Some(value)) => map.push((code, value)),
            _ => {
                let right = match value {
                    Some(_) => format!("remove `{code}`; codes are whole numbers, or else"),
                    None => format!("write `{code} = 0`, or another whole number, true or false"),
                };
                report.at(at, &table.key(code), "is no code with a whole value", right);
            }
        }
    }
    map.sort_unstable();
    (map, otherwise)
}

fn range(section: &mut Section, report: &mut Report, steps: Ratio) -> Option<(i64, i64)> {
    let value = section.get("range")?;
    let ends: Option<Vec<i64>> = match value.get_ref() {
        DeValue::Array(list) => {
            list.iter().map(|one| decimal(one.get_ref())?.times(steps)?.rounded()).collect()
        }
        _ => None,
    };
    match ends.as_deref() {
        Some([least, most]) if least <= most => Some((*least, *most)),
        _ => {
            let turned = match ends.as_deref() {
                Some([most, least]) => (unscaled(*least, steps), unscaled(*most, steps)),
                _ => (0, 1_000),
            };
            let way_out = format!(
                "write `range = [{}, {}]`, smallest and largest in the point's unit",
                turned.0, turned.1
            );
            report.at(value.span().start, &section.key("range"), "is no range", way_out);
            None
        }
    }
}

fn unscaled(value: i64, steps: Ratio) -> i64 {
    steps.inverse().and_then(|per| Ratio::whole(value).times(per)?.floor()).unwrap_or(0)
}

fn witness_of(
    section: &Section,
    report: &mut Report,
    found: &Found<&str>,
    place: Option<&Place>,
) -> Option<u16> {
    let key = section.key("witness");
    let (area, witness) = address(report, found.at, &key, found.value)?;
    match place {
        Some(Place::Fixed(own, _)) if *own == area && !area.is_bits() => Some(witness),
        _ => {
            let way_out = "remove `witness`, or name a register of the same kind as `at`, near it";
            report.at(found.at, &key, "a witness stands in the same answer as its value", way_out);
            None
        }
    }
}

fn examples(
    section: &mut Section,
    report: &mut Report,
    codec: &Codec,
    place: Option<&Place>,
    known: bool,
) -> Vec<Example> {
    let mut examples = Vec::new();
    let own = section.start;
    let given = section.sections(report, "words");
    // A SunSpec limit is told by three words of a model and another model's rating; the session's tests prove it.
    if given.is_empty() && place != Some(&Place::SunSpecLimit) {
        section.missing(
            report,
            "words",
            &format!(
                "add `words = {}`, with words as the device sends them and the value they mean",
                sample(codec)
            ),
        );
    }
    for mut given in given {
        let raw = raw(&mut given, report);
        let origin = origin(&mut given, report);
        let exponent =
            given.whole(report, "factor", -10, 10).and_then(|f| i32::try_from(f).ok()).unwrap_or(0);
        let value = given.get("value").map(|value| carried(value.get_ref(), codec.unit));
        let Some(Some(value)) = value else {
            let right = codec.decode(&raw, exponent).ok().flatten();
            let right = right.map_or("\"unknown\"".to_owned(), |value| told(value, codec.unit));
            given.wrong_value(
                report,
                "value",
                &right,
                "the value in the signal's unit, true, false or \"unknown\"",
            );
            continue;
        };
        let at = if given.start > 0 { given.start } else { own };
        match codec.decode(&raw, exponent) {
            // Where the point itself has a mistake, its words prove nothing.
            _ if !known => {}
            Ok(found) if found == value => {}
            Ok(found) => {
                let show =
                    |value: Option<i64>| value.map_or("\"unknown\"".to_owned(), |v| told(v, codec.unit));
                let cause = format!("these words decode to {}, not to {}", show(found), show(value));
                let way_out = format!(
                    "write `value = {}` if that is right; else correct the words, or the point's scale and layout",
                    show(found)
                );
                report.at(at, &format!("{}.value", given.path), cause, way_out);
            }
            Err(_) => {
                let cause = format!("{} words for a value of {}", raw.len(), codec.width());
                let way_out =
                    format!("write `words = {}`, with exactly the registers of the value", sample(codec));
                report.at(at, &given.path, cause, way_out);
            }
        }
        if let Some(origin) = origin {
            examples.push(Example { raw, value, exponent, origin });
        }
        given.finish(report);
    }
    examples
}

/// A carried value as an example writes it.
fn told(value: i64, unit: Unit) -> String {
    match unit {
        Unit::Flag => (value != 0).to_string(),
        unit => decimal_text(value, unit.steps()),
    }
}

fn zeros(codec: &Codec) -> String {
    format!("[{}]", vec!["0"; usize::from(codec.width().min(125))].join(", "))
}

/// Words of zeros and what they mean.
fn sample(codec: &Codec) -> String {
    let raw = vec![0; usize::from(codec.width().min(125))];
    let value = codec
        .decode(&raw, 0)
        .ok()
        .flatten()
        .map_or("\"unknown\"".to_owned(), |value| told(value, codec.unit));
    format!("{{ raw = {}, value = {value}, origin = \"constructed\" }}", zeros(codec))
}

/// `raw = [..]` of an example.
pub fn raw(section: &mut Section, report: &mut Report) -> Vec<u16> {
    let words = section.wholes(report, "raw").unwrap_or_default();
    let fitting: Vec<u16> = words.iter().filter_map(|word| u16::try_from(*word).ok()).collect();
    if fitting.is_empty() || fitting.len() != words.len() {
        section.wrong_value(report, "raw", "[0]", "the words as numbers from 0 to 0xFFFF");
    }
    fitting
}

/// `origin = ".."` of an example.
pub fn origin(section: &mut Section, report: &mut Report) -> Option<Origin> {
    let found = section.required_text(
        report,
        "origin",
        "add `origin = \"constructed\"`, or \"recorded\" or \"documented\"",
    )?;
    one_of(report, found.at, &section.key("origin"), found.value, &ORIGINS)
}

/// A value as an example writes it, carried; the outer `None` when it is none.
fn carried(value: &DeValue<'_>, unit: Unit) -> Option<Option<i64>> {
    match value {
        DeValue::String(text) if text == "unknown" => Some(None),
        DeValue::Boolean(yes) => Some(Some(i64::from(*yes))),
        other => decimal(other)?.times(Ratio::whole(unit.steps()))?.rounded().map(Some),
    }
}
