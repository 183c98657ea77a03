//! The disk: what was asked to be written down, what is safe, and what a crash leaves of it.

use std::collections::VecDeque;

use wattkeeper::control::site::Keepsake;
use wattkeeper::control::units::Mono;

use super::faults;
use super::setup::Dice;
use super::watch::Books;

/// What one request writes down, and what the checks knew at that moment.
#[derive(Clone)]
pub struct Kept {
    pub seq: u32,
    pub at: Mono,
    bytes: Vec<u8>,
    pub books: Books,
}

impl Kept {
    pub fn new(seq: u32, keepsake: &Keepsake, books: Books) -> Self {
        Self { seq, at: keepsake.at, bytes: postcard::to_stdvec(keepsake).unwrap(), books }
    }

    pub fn read(&self) -> Keepsake {
        postcard::from_bytes(&self.bytes).unwrap()
    }
}

/// Requests that wait behind a slow one; a newer one takes the place of the last.
const WAITING: usize = 3;

pub struct Disk {
    safe: Option<Kept>,
    /// With the moment at which each is done, in ms of the world.
    queue: VecDeque<(i64, Kept)>,
    /// Since when it does its work in time, in ms of the world.
    pub well_since: i64,
    dice: Dice,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self { safe: None, queue: VecDeque::new(), well_since: 0, dice: Dice::new(seed ^ 0xD15C) }
    }

    /// Something is to be written down at this ms of the world.
    pub fn ask(&mut self, kept: Kept, ms: i64, trouble: Option<faults::Disk>) {
        let takes = match trouble {
            None => self.dice.range(5, 60),
            Some(faults::Disk::Slow(takes)) => takes,
            Some(faults::Disk::Full) => {
                self.well_since = ms;
                return;
            }
        };
        if trouble.is_some() {
            self.well_since = ms + takes;
        }
        if self.queue.len() >= WAITING {
            self.queue.pop_back();
        }
        let free = self.queue.back().map_or(ms, |(done, _)| ms.max(*done));
        self.queue.push_back((free + takes, kept));
    }

    /// When the next request is done.
    pub fn next(&self) -> Option<i64> {
        self.queue.front().map(|(done, _)| *done)
    }

    /// Takes the request that is done by now.
    pub fn done(&mut self, ms: i64) -> Option<u32> {
        if self.next()? > ms {
            return None;
        }
        let (_, kept) = self.queue.pop_front()?;
        let seq = kept.seq;
        self.safe = Some(kept);
        Some(seq)
    }

    /// The process ends. What the machine had in hand may still get there, unless the power went.
    pub fn crash(&mut self, power_cut: bool) {
        if let Some((_, kept)) = self.queue.pop_front()
            && !power_cut
            && self.dice.percent(50)
        {
            self.safe = Some(kept);
        }
        self.queue.clear();
    }

    /// The process ends properly and waits for its last request.
    pub fn flush(&mut self) {
        if let Some((_, kept)) = self.queue.pop_back() {
            self.safe = Some(kept);
        }
        self.queue.clear();
    }

    pub fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    pub fn safe(&self) -> Option<&Kept> {
        self.safe.as_ref()
    }
}
