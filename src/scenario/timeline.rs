//! When what happens and when what is looked at: the steps of a case laid out in time.

use crate::control::units::Span;
use crate::device::mistake::Mistake;

use super::format::words::spoken;
use super::format::{Case, Expect, Step};

/// One occurrence of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence<'a> {
    pub at: Span,
    pub step: &'a Step,
}

/// One expectation and the stretch of ticks over which it is looked at, both ends inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look<'a> {
    pub expect: &'a Expect,
    /// The step it belongs to; none for `always`.
    pub step: Option<&'a Step>,
    pub from: Span,
    pub to: Span,
}

/// A case laid out in time.
#[derive(Clone, Debug)]
pub(crate) struct Timeline<'a> {
    /// In the order of time; at one moment in the order of the file.
    pub happens: Vec<Occurrence<'a>>,
    /// In the order of their beginning.
    pub looks: Vec<Look<'a>>,
    /// The last tick.
    pub end: Span,
}

impl<'a> Timeline<'a> {
    /// Lays a case out. An `until_next` that covers no tick would be true of nothing: a mistake.
    pub(crate) fn of(case: &'a Case) -> Result<Self, Vec<Mistake>> {
        let mut happens: Vec<Occurrence<'a>> = case.steps.iter().flat_map(occurrences).collect();
        happens.sort_by_key(|occurrence| occurrence.at);
        let look_at = |occurrence: &Occurrence<'_>| occurrence.at + occurrence.step.within.after;
        let end = happens
            .iter()
            .map(
                |occurrence| {
                    if occurrence.step.expect.is_empty() { occurrence.at } else { look_at(occurrence) }
                },
            )
            .max()
            .unwrap_or(Span::ZERO);
        let end = Span(end.0.div_euclid(case.tick.0) * case.tick.0);
        let mut looks: Vec<Look<'a>> =
            case.always.iter().map(|expect| Look { expect, step: None, from: Span::ZERO, to: end }).collect();
        let mut mistakes: Vec<Mistake> = Vec::new();
        for (place, occurrence) in happens.iter().enumerate() {
            let step = occurrence.step;
            let moment = look_at(occurrence);
            looks.extend(step.expect.iter().map(|expect| Look {
                expect,
                step: Some(step),
                from: moment,
                to: moment,
            }));
            let from = if step.expect.is_empty() { occurrence.at } else { moment };
            let next = happens.get(place + 1);
            // The stretch ends before the next step, and earlier still where that one is only about in time.
            let to = next.map_or(end, |next| next.at - next.step.within.early - Span(1));
            if to < from
                && !step.until_next.is_empty()
                && mistakes.iter().all(|known| known.line != step.line)
            {
                mistakes.push(empty_stretch(case, step, from, to));
            }
            looks.extend(step.until_next.iter().map(|expect| Look { expect, step: Some(step), from, to }));
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        looks.sort_by_key(|look| look.from);
        Ok(Self { happens, looks, end })
    }
}

fn occurrences(step: &Step) -> impl Iterator<Item = Occurrence<'_>> {
    let (every, times) = step.every.unwrap_or((Span::ZERO, 1));
    (0..times).map(move |nth| Occurrence { at: step.at + Span(every.0.saturating_mul(i64::from(nth))), step })
}

fn empty_stretch(case: &Case, step: &Step, from: Span, to: Span) -> Mistake {
    Mistake {
        file: case.file.clone(),
        line: step.line,
        key: "until_next".to_owned(),
        cause: format!(
            "covers no tick: it would begin at {} and end at {}",
            spoken(from),
            spoken(to + Span(1))
        ),
        way_out: "move the next step later, or set a shorter within on this step or the next".to_owned(),
    }
}
