//! SunSpec: addresses that a device tells by itself. A chain of models hangs behind a marker; each model has an id, a
//! length and its points at fixed offsets. The walk is a state machine without I/O: it says what to read next.

pub mod models;

use crate::device::exchange::Failure;

/// The words "SunS".
pub const MARKER: [u16; 2] = [0x5375, 0x6E53];
/// The id of the model that ends a chain; some makers leave it out.
pub const END: u16 = 0xFFFF;
/// Where the marker may stand. The second half tolerates gateways that shift addresses by one.
const BASES: [u16; 6] = [40_000, 50_000, 0, 40_001, 50_001, 1];
/// More models than any device has.
const MOST_MODELS: usize = 128;

/// A model in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// Model id.
    pub id: u16,
    /// Address of the id word.
    pub address: u16,
    /// Words after id and length.
    pub length: u16,
}

/// The models of a unit, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Also those that we do not know.
    pub models: Vec<Model>,
}

impl Chain {
    /// The first model with this id that belongs to the unit itself: a second model 1 begins another device behind it,
    /// such as a meter.
    #[must_use]
    pub fn find(&self, id: u16) -> Option<Model> {
        let mut commons = 0_u8;
        for model in &self.models {
            commons = commons.saturating_add(u8::from(model.id == 1));
            if model.id == id && commons <= 1 {
                return Some(*model);
            }
        }
        None
    }

    /// Words of a chain at 40000 whose points are all "not implemented" and whose scale factors are 0: what a simulated
    /// device fills. The first word stands at 40000.
    #[must_use]
    pub fn blank(ids: &[u16]) -> (Self, Vec<u16>) {
        let mut chain = Self::default();
        let mut words = MARKER.to_vec();
        for id in ids {
            let length = models::length(*id).unwrap_or(0);
            let address =
                u16::try_from(words.len()).ok().and_then(|at| at.checked_add(40_000)).unwrap_or(u16::MAX);
            chain.models.push(Model { id: *id, address, length });
            let mut body = vec![END; usize::from(length).saturating_add(2)];
            let mut put = |at: u16, value: u16| {
                if let Some(word) = body.get_mut(usize::from(at)) {
                    *word = value;
                }
            };
            put(0, *id);
            put(1, length);
            for entry in models::of_model(*id) {
                for at in 0..entry.kind.width() {
                    let mark = entry.absent().unwrap_or(0);
                    let shift =
                        u32::from(entry.kind.width().saturating_sub(at).saturating_sub(1)).saturating_mul(16);
                    let low = mark.checked_shr(shift).unwrap_or(0) & 0xFFFF;
                    put(entry.offset.saturating_add(at), u16::try_from(low).unwrap_or(0));
                }
                if let Some(factor) = entry.factor {
                    put(factor, 0);
                }
            }
            words.extend(body);
        }
        words.extend([END, 0]);
        (chain, words)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Marker(usize),
    Header(u16),
}

/// What became of a walk after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// It goes on with [`Walker::ask`].
    On,
    /// It is over.
    Found(Chain),
    /// There is no SunSpec here. The walk stands at its start again.
    Nothing,
    /// Nothing was answered: ask the same again later.
    Silent,
}

/// A walk along a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walker {
    step: Step,
    models: Vec<Model>,
}

impl Default for Walker {
    fn default() -> Self {
        Self { step: Step::Marker(0), models: Vec::new() }
    }
}

impl Walker {
    /// Address and count of holding registers to read next.
    #[must_use]
    pub fn ask(&self) -> (u16, u16) {
        match self.step {
            Step::Marker(at) => (BASES.get(at).copied().unwrap_or(0), 2),
            Step::Header(address) => (address, 2),
        }
    }

    /// Takes the answer to the last question.
    pub fn heard(&mut self, answer: Result<&[u16], Failure>) -> Walk {
        match (self.step, answer) {
            (_, Err(Failure::Timeout | Failure::OutOfStep | Failure::Unreachable)) => Walk::Silent,
            (Step::Marker(at), Ok(words)) if words == MARKER => {
                let base = BASES.get(at).copied().unwrap_or(0);
                self.step = Step::Header(base.saturating_add(2));
                Walk::On
            }
            (Step::Marker(at), _) => self.next_base(at.saturating_add(1)),
            (Step::Header(address), Ok([id, length])) => self.model(*id, *length, address),
            // A chain without end model ends in an illegal address or nonsense: normal for some makers.
            (Step::Header(_), _) => self.end(),
        }
    }

    fn next_base(&mut self, at: usize) -> Walk {
        if at < BASES.len() {
            self.step = Step::Marker(at);
            return Walk::On;
        }
        *self = Self::default();
        Walk::Nothing
    }

    fn model(&mut self, id: u16, length: u16, address: u16) -> Walk {
        if id == END || id == 0 || (length == 0 && models::length(id).is_some()) {
            return self.end();
        }
        self.models.push(Model { id, address, length });
        let next = address.checked_add(2).and_then(|at| at.checked_add(length)).filter(|at| *at < u16::MAX);
        match next {
            Some(next) if self.models.len() < MOST_MODELS => {
                self.step = Step::Header(next);
                Walk::On
            }
            _ => self.end(),
        }
    }

    fn end(&mut self) -> Walk {
        let models = std::mem::take(&mut self.models);
        *self = Self::default();
        if models.is_empty() { Walk::Nothing } else { Walk::Found(Chain { models }) }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Walks through a device's memory of holding registers.
    fn walk(base: u16, words: &[u16]) -> Walk {
        let mut walker = Walker::default();
        for _ in 0..300 {
            let (address, count) = walker.ask();
            let at = usize::from(address.wrapping_sub(base));
            let found = words.get(at..at + usize::from(count)).filter(|_| address >= base);
            match walker.heard(found.ok_or(Failure::Exception(2))) {
                Walk::On => {}
                over => return over,
            }
        }
        panic!("the walk does not end");
    }

    #[test]
    fn p11_a_chain_is_found_at_each_of_the_three_bases() {
        for base in [40_000, 50_000, 0] {
            let (_, words) = Chain::blank(&[1, 103, 120, 121, 123]);
            let Walk::Found(chain) = walk(base, &words) else { panic!("nothing at {base}") };
            assert_eq!(chain.models.iter().map(|m| m.id).collect::<Vec<_>>(), [1, 103, 120, 121, 123]);
            assert_eq!(chain.find(103).unwrap().address, base + 2 + 67);
        }
    }

    #[test]
    fn a_chain_without_end_model_ends_where_the_device_refuses() {
        let (_, mut words) = Chain::blank(&[1, 103]);
        words.truncate(words.len() - 2);
        let Walk::Found(chain) = walk(40_000, &words) else { panic!("nothing") };
        assert_eq!(chain.models.len(), 2);
    }

    #[test]
    fn a_meter_behind_a_second_common_model_is_not_the_inverter() {
        let (_, mut words) = Chain::blank(&[1, 103]);
        words.truncate(words.len() - 2);
        let (_, second) = Chain::blank(&[1, 113]);
        words.extend(&second[2..]);
        let Walk::Found(chain) = walk(40_000, &words) else { panic!("nothing") };
        assert!(chain.find(103).is_some());
        assert_eq!(chain.find(113), None);
    }

    #[test]
    fn silence_in_the_middle_keeps_the_place() {
        let (_, words) = Chain::blank(&[1, 103]);
        let mut walker = Walker::default();
        assert_eq!(walker.heard(Ok(&words[0..2])), Walk::On);
        let place = walker.ask();
        assert_eq!(walker.heard(Err(Failure::Timeout)), Walk::Silent);
        assert_eq!(walker.ask(), place);
    }

    proptest! {
        #[test]
        fn every_walk_ends(words in proptest::collection::vec(prop_oneof![Just(0x5375_u16), Just(0x6E53), Just(1), any::<u16>()], 0..600)) {
            let mut marked = MARKER.to_vec();
            marked.extend(words);
            walk(40_000, &marked);
        }
    }
}
