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
