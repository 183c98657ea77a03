//! The read plan: the fewest requests that bring every spot exactly once, never splitting a value, never longer than
//! the device answers, and crossing only holes of which somebody said that they may be read.

use crate::device::definition::{Area, Definition, Limits, Pace, Readable};
use crate::device::spot::Spot;

/// One read request and the spots that it brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Index into the definition's units.
    pub unit: usize,
    /// Address space.
    pub area: Area,
    /// First address.
    pub start: u16,
    /// Registers or bits.
    pub len: u16,
    /// How often it is asked.
    pub pace: Pace,
    /// Indices of its spots.
    pub spots: Vec<usize>,
}

impl Block {
    fn end(&self) -> u32 {
        u32::from(self.start).saturating_add(u32::from(self.len))
    }

    fn holds(&self, spot: &Spot) -> bool {
        u32::from(self.start) <= u32::from(spot.start) && spot.end() <= self.end()
    }

    /// Smaller reads for the same spots after the device refused this one: first without crossing holes, then halves.
    /// Empty when only one spot is left, which then is the one that the device does not have.
    #[must_use]
    pub fn split(&self, spots: &[Spot], limits: &Limits) -> Vec<Self> {
        let without_holes = blocks(spots, &self.spots, limits, &[], self.pace);
        if without_holes.len() > 1 {
            return without_holes;
        }
        let half = self.spots.len().div_ceil(2);
        let Some((first, second)) =
            self.spots.split_at_checked(half).filter(|(_, second)| !second.is_empty())
        else {
            return Vec::new();
        };
        let mut halves = blocks(spots, first, limits, &[], self.pace);
        halves.extend(blocks(spots, second, limits, &[], self.pace));
        halves
    }
}

/// Plans the reads of these spots.
#[must_use]
pub fn plan(definition: &Definition, spots: &[Spot], which: &[usize]) -> Vec<Block> {
    let mut planned: Vec<Block> = Vec::new();
    // A slower point's registers may be read across as well as a declared hole: they are known to be there.
    let known =
        which.iter().filter_map(|at| spots.get(*at)).filter(|spot| spot.len > 0).map(|spot| Readable {
            unit: spot.unit,
            area: spot.area,
            first: spot.start,
            last: spot.start.saturating_add(spot.len.saturating_sub(1)),
        });
    let readable: Vec<Readable> = definition.readable.iter().copied().chain(known).collect();
    for pace in [Pace::Fast, Pace::Normal, Pace::Slow, Pace::Once] {
        let mut own = Vec::new();
        for index in which {
            let Some(spot) = spots.get(*index).filter(|spot| spot.pace == pace) else { continue };
            // What a faster read brings anyway is not asked for again.
            let faster = planned.iter_mut().find(|block| same_place(block, spot, spots) && block.holds(spot));
            match faster {
                Some(block) => block.spots.push(*index),
                None => own.push(*index),
            }
        }
        planned.extend(blocks(spots, &own, &definition.limits, &readable, pace));
    }
    planned
}

fn same_place(block: &Block, spot: &Spot, spots: &[Spot]) -> bool {
    let group = block.spots.first().and_then(|first| spots.get(*first)).map(|first| first.group);
    block.unit == spot.unit && block.area == spot.area && group == Some(spot.group)
}

/// Greedy from the lowest address: the block that begins at the first spot not yet covered takes all that it can hold,
/// so no plan with fewer blocks exists.
fn blocks(spots: &[Spot], which: &[usize], limits: &Limits, readable: &[Readable], pace: Pace) -> Vec<Block> {
    let mut sorted: Vec<(usize, &Spot)> =
        which.iter().filter_map(|at| spots.get(*at).map(|spot| (*at, spot))).collect();
    sorted.sort_by_key(|(at, spot)| (spot.unit, spot.area, spot.group, spot.start, spot.len, *at));
    let mut planned: Vec<Block> = Vec::new();
    let mut left = sorted;
    while let Some((_, first)) = left.first().copied() {
        let most = u32::from(if first.area.is_bits() { limits.max_bits } else { limits.max_registers });
        let limit = u32::from(first.start).saturating_add(most);
        let mut end = first.end();
        let mut taken = Vec::new();
        left.retain(|(at, spot)| {
            let together = (spot.unit, spot.area, spot.group) == (first.unit, first.area, first.group);
            let reachable = u32::from(spot.start) <= end || bridged(readable, spot, end);
            let fits = spot.end() <= limit || taken.is_empty();
            if together && reachable && fits {
                end = end.max(spot.end());
                taken.push(*at);
                return false;
            }
            true
        });
        let len = u16::try_from(end.saturating_sub(u32::from(first.start))).unwrap_or(u16::MAX);
        planned.push(Block {
            unit: first.unit,
            area: first.area,
            start: first.start,
            len,
            pace,
            spots: taken,
        });
    }
    planned
}

/// Whether all registers from `end` up to the spot may be read.
fn bridged(readable: &[Readable], spot: &Spot, end: u32) -> bool {
    let mut at = end;
    while at < u32::from(spot.start) {
        let hole = readable.iter().find(|hole| {
            let inside = (u32::from(hole.first)..=u32::from(hole.last)).contains(&at);
            hole.unit == spot.unit && hole.area == spot.area && inside
        });
        match hole {
            Some(hole) => at = u32::from(hole.last).saturating_add(1),
            None => return false,
        }
    }
    true
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    /// A definition of one-, two- and four-register points at these gaps from each other.
    fn definition(layout: &[(u16, u8, u8)], most: u16, holes: bool) -> Definition {
        let mut text = format!(
            "schema = 1\nmaker = \"m\"\nmodel = \"m\"\nsource = \"s\"\n[limits]\nmax-registers = {most}\n"
        );
        let names: Vec<String> = crate::control::signal::Quantity::ALL
            .iter()
            .filter(|quantity| quantity.unit() == crate::control::signal::Unit::Watt)
            .flat_map(|quantity| ["", ".l1", ".l2", ".l3"].map(|phase| format!("{}{phase}", quantity.name())))
            .collect();
        let mut at = 0;
        for ((gap, kind, pace), name) in layout.iter().zip(&names) {
            if holes && *gap > 0 {
                let last = at + gap - 1;
                writeln!(text, "[[readable]]\nat = \"holding:{at}\"\nto = {last}\nsource = \"s\"").unwrap();
            }
            at += gap;
            let (kind, raw) = [("i16", "0"), ("i32", "0, 0"), ("i64", "0, 0, 0, 0")][usize::from(*kind)];
            let pace = ["fast", "normal"][usize::from(*pace)];
            writeln!(
                text,
                "[[point]]\nsignal = \"{name}\"\nat = \"holding:{at}\"\nas = \"{kind}\"\npace = \"{pace}\"\nsource = \"s\"\n\
                 words = {{ raw = [{raw}], value = 0, origin = \"constructed\" }}"
            )
            .unwrap();
            at += u16::try_from(raw.split(',').count()).unwrap();
        }
        Definition::parse(&text, "test").unwrap()
    }

    /// The fewest reads that bring the first `left` spots, by trying every last read.
    fn fewest(spots: &[Spot], most: u16, holes: bool) -> usize {
        let mut best = vec![0_usize; spots.len() + 1];
        for end in 1..=spots.len() {
            best[end] = usize::MAX;
            for start in (0..end).rev() {
                let joined =
                    start + 1 == end || holes || spots[start].end() == u32::from(spots[start + 1].start);
                let length = spots[end - 1].end() - u32::from(spots[start].start);
                if !joined || length > u32::from(most) {
                    break;
                }
                best[end] = best[end].min(best[start] + 1);
            }
        }
        best[spots.len()]
    }

    fn layouts() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
        proptest::collection::vec((0..3_u16, 0..3_u8, 0..2_u8), 1..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))] // each case writes and loads a definition

        #[test]
        fn p13_each_value_comes_exactly_once_and_whole_and_no_read_is_too_long(layout in layouts(), most in 4..40_u16, holes: bool) {
            let definition = definition(&layout, most, holes);
            let spots = Spot::fixed(&definition);
            let all: Vec<usize> = (0..spots.len()).collect();
            let blocks = plan(&definition, &spots, &all);
            let mut brought: Vec<usize> = blocks.iter().flat_map(|block| block.spots.clone()).collect();
            brought.sort_unstable();
            prop_assert_eq!(brought, all);
            for block in &blocks {
                prop_assert!(block.len <= most);
                for at in &block.spots {
                    prop_assert!(block.holds(&spots[*at]));
                    prop_assert!(block.pace <= spots[*at].pace, "never slower than wanted");
                }
                let known = |at: u32| spots.iter().any(|spot| (u32::from(spot.start)..spot.end()).contains(&at));
                prop_assert!(holes || (u32::from(block.start)..block.end()).all(known), "no unknown register is touched");
            }
        }

        #[test]
        fn no_plan_of_one_pace_has_fewer_reads(layout in layouts(), most in 4..40_u16, holes: bool) {
            let layout: Vec<_> = layout.into_iter().map(|(gap, kind, _)| (gap, kind, 0)).collect();
            let definition = definition(&layout, most, holes);
            let spots = Spot::fixed(&definition);
            let all: Vec<usize> = (0..spots.len()).collect();
            prop_assert_eq!(plan(&definition, &spots, &all).len(), fewest(&spots, most, holes));
        }

        #[test]
        fn splitting_finds_every_bad_point_and_keeps_the_others(layout in layouts(), bad in proptest::collection::btree_set(0..24_usize, 0..4)) {
            let definition = definition(&layout, 125, true);
            let spots = Spot::fixed(&definition);
            let all: Vec<usize> = (0..spots.len()).collect();
            let mut open = plan(&definition, &spots, &all);
            let (mut good, mut absent) = (Vec::new(), Vec::new());
            while let Some(block) = open.pop() {
                if !block.spots.iter().any(|at| bad.contains(at)) {
                    good.extend(block.spots);
                    continue;
                }
                match block.split(&spots, &definition.limits) {
                    parts if parts.is_empty() => absent.extend(block.spots),
                    parts => open.extend(parts),
                }
            }
            good.extend(&absent);
            good.sort_unstable();
            absent.sort_unstable();
            prop_assert_eq!(good, all);
            prop_assert_eq!(absent, bad.into_iter().filter(|at| *at < spots.len()).collect::<Vec<_>>());
        }
    }
}
