//! From an order to the words of its writes. Everything is exact; a value that a register cannot hold is no words at
//! all, never a truncated one.

use crate::control::units::Watts;
use crate::device::decimal::Ratio;
use crate::device::definition::{Field, Variable, Write};
use crate::device::order::Values;
use crate::device::quirk::{self, Quirk};
use crate::device::words::{Kind, Raw, decode, encode};

/// What the words depend on beside the order.
#[derive(Clone, Copy, Debug)]
pub struct Context<'q> {
    /// The definition's quirks.
    pub quirks: &'q [Quirk],
    /// Phases in use, 1 to 3.
    pub phases: u8,
    /// The device's SunSpec scale factor for the first field, when it was read.
    pub exponent: Option<i32>,
    /// The device's rating in W, when it was read.
    pub rating: Option<Watts>,
}

/// The words of a write for an order's values; `None` when they cannot be computed or do not fit. Power of phases
/// that are not in use is left out at the end of a write, so that a one-phase device is not asked for a second.
#[must_use]
pub fn words(write: &Write, values: &Values, context: Context) -> Option<Vec<u16>> {
    let mut words = Vec::new();
    for field in used(write, context.phases) {
        words.extend(field_words(field, values, context)?);
    }
    Some(words)
}

/// The fields that are written with this many phases.
pub fn used(write: &Write, phases: u8) -> impl Iterator<Item = &Field> {
    let unused =
        move |field: &&Field| matches!(field.value, Variable::Power(at) if at >= usize::from(phases.max(1)));
    let dropped = write.fields.iter().rev().take_while(unused).count();
    write.fields.iter().take(write.fields.len().saturating_sub(dropped))
}

/// How many registers (or coils) are written with this many phases.
#[must_use]
pub fn len(write: &Write, phases: u8) -> u16 {
    used(write, phases).fold(0, |sum, field| sum.saturating_add(field.kind.width()))
}

fn field_words(field: &Field, values: &Values, context: Context) -> Option<Vec<u16>> {
    let [l1, l2, l3] = values.power;
    let exact = match field.value {
        Variable::Constant(raw) => return encode(field.kind, field.order, Raw::Int(i128::from(raw))),
        Variable::Run => i64::from(values.run),
        Variable::Power(0) => i64::from(l1.0),
        Variable::Power(1) => i64::from(l2.0),
        Variable::Power(_) => i64::from(l3.0),
        Variable::PowerTotal => {
            let used = values.power.iter().take(usize::from(context.phases.max(1)));
            used.fold(0, |sum: i64, power| sum.saturating_add(i64::from(power.0)))
        }
        Variable::Setpoint => i64::from(quirk::setpoint(context.quirks, values.setpoint).0),
        Variable::Limit => i64::from(values.limit?.0.max(0)),
        Variable::LimitPercent => return percent(field, values, context),
    };
    if !field.map.is_empty() {
        let code = field.map.iter().find(|(value, _)| *value == exact).map(|(_, code)| *code)?;
        return encode(field.kind, field.order, Raw::Int(i128::from(code)));
    }
    let raw = Ratio::whole(exact).times(field.scale.inverse()?)?;
    let raw = match field.kind {
        Kind::F32 => Raw::Float(raw.to_f32()),
        _ => Raw::Int(i128::from(raw.rounded()?)),
    };
    encode(field.kind, field.order, raw)
}

/// The limit in percent of the rating, at most 100, rounded down: a limit must not be exceeded by rounding.
fn percent(field: &Field, values: &Values, context: Context) -> Option<Vec<u16>> {
    let rating = context.rating.filter(|rating| rating.0 > 0)?;
    let limit = values.limit?.0.clamp(0, rating.0);
    let share = Ratio::whole(i64::from(limit)).times(Ratio::whole(i64::from(rating.0)).inverse()?)?;
    let step = Ratio::power_of_ten(if field.factor.is_some() { context.exponent? } else { 0 })?;
    let raw = share.times(Ratio::whole(100))?.times(step.inverse()?)?.floor()?;
    encode(field.kind, field.order, Raw::Int(i128::from(raw)))
}

/// What a device that takes this write understands by these words: the inverse of [`words`], for simulated devices.
/// Fields that are left out at the end stay as in `before`. `None` when the words are no such write, or a code that
/// the control does not know.
#[must_use]
pub fn understood(write: &Write, written: &[u16], before: Values, context: Context) -> Option<Values> {
    let mut values = before;
    let mut rest = written;
    for field in &write.fields {
        if rest.is_empty() {
            break;
        }
        let (own, after) = rest.split_at_checked(usize::from(field.kind.width()))?;
        rest = after;
        let raw = match decode(field.kind, field.order, own)? {
            Raw::Int(raw) => Ratio::whole(i64::try_from(raw).ok()?),
            Raw::Float(raw) => Ratio::from_f32(raw)?,
        };
        let value = if field.map.is_empty() {
            raw.times(field.scale)?.rounded()?
        } else {
            let code = raw.rounded()?;
            field.map.iter().find(|(_, known)| *known == code).map(|(value, _)| *value)?
        };
        let watts = Watts::saturated(value);
        match field.value {
            Variable::Constant(_) => {}
            Variable::Power(at) => *values.power.get_mut(at)? = watts,
            Variable::PowerTotal => values.power = [watts, Watts::ZERO, Watts::ZERO],
            Variable::Setpoint => values.setpoint = watts,
            Variable::Limit => values.limit = Some(watts),
            Variable::LimitPercent => {
                let step = Ratio::power_of_ten(if field.factor.is_some() { context.exponent? } else { 0 })?;
                let share = raw.times(step)?.times(Ratio::whole(100).inverse()?)?;
                values.limit = Some(Watts::saturated(
                    share.times(Ratio::whole(i64::from(context.rating?.0)))?.rounded()?,
                ));
            }
            Variable::Run => values.run = value != 0,
        }
    }
    rest.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::definition::Definition;
    use crate::device::library::shipped;
    use crate::device::order::ControlKind;
    use proptest::prelude::*;
    use std::sync::LazyLock;

    fn context(quirks: &[Quirk]) -> Context<'_> {
        Context { quirks, phases: 3, exponent: Some(-2), rating: Some(Watts(6_000)) }
    }

    fn command(name: &str, kind: ControlKind) -> Write {
        Definition::parse(shipped(name).unwrap(), name).unwrap().control(kind).unwrap().command[0].clone()
    }

    #[test]
    fn a_limit_is_rounded_down_and_never_above_the_rating() {
        let write = command("pv/sunspec", ControlKind::PvLimit);
        let raw = |watts: i32| {
            let values = Values { limit: Some(Watts(watts)), ..Values::default() };
            words(&write, &values, context(&[])).unwrap()[0]
        };
        assert_eq!(
            [raw(6_000), raw(9_000), raw(3_000), raw(1), raw(0), raw(-5)],
            [10_000, 10_000, 5_000, 1, 0, 0]
        );
    }

    /// The commands of shipped definitions, loaded once.
    static COMMANDS: LazyLock<Vec<Write>> = LazyLock::new(|| {
        [
            ("inverters/victron-gx", ControlKind::InverterPower),
            ("inverters/victron-gx", ControlKind::GridSetpoint),
            ("gensets/dse-gencomm", ControlKind::GeneratorRun),
            ("io/waveshare-relay", ControlKind::Relay),
            ("pv/sunspec", ControlKind::PvLimit),
        ]
        .map(|(name, kind)| command(name, kind))
        .into()
    });

    proptest! {
        #[test]
        fn a_device_understands_the_order_that_was_given(power: [i32; 3], run: bool, limit in 0..6_000) {
            let values = Values {
                power: power.map(|watts| Watts(watts.max(-i32::MAX))),
                setpoint: Watts(power[0].max(-i32::MAX)),
                limit: Some(Watts(limit)),
                run,
            };
            for write in COMMANDS.iter() {
                let sent = words(write, &values, context(&[])).unwrap();
                let heard = understood(write, &sent, values, context(&[])).unwrap();
                let close = heard.limit.unwrap().0.abs_diff(limit) <= 1;
                prop_assert!(close, "{:?}", heard.limit);
                prop_assert_eq!(Values { limit: values.limit, ..heard }, values);
            }
        }
    }
}
