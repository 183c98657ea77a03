//! Inputs from a seed: good ones with a few changes, the same on every machine.

/// Longer inputs are cut: beyond this, memory is the input's own length.
pub const LONGEST_INPUT: usize = 4_096;

/// Numbers from a seed, the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.roll() % most.max(1) as u64).unwrap()
    }
}

/// Pieces that mean something to some decoder.
const PIECES: &[&[u8]] = &[
    b"\n",
    b"[",
    b"]",
    b"{",
    b"}",
    b"[[",
    b"]]",
    b"=",
    b".",
    b",",
    b"\"",
    b"'",
    b"\"\"\"",
    b"#",
    b"0",
    b"-1",
    b"65536",
    b"1e308",
    b"nan",
    b"9223372036854775807",
    b"0xFFFFFFFFFFFFFFFF",
    b"true",
    b"none",
    b"\xEF\xBB\xBF",
    b"\r\n",
    b"\\u0000",
    b"\xC3\xA4",
    b"5 kW",
    b"20 %",
    b"a.",
    b"[a",
    b"extends = [\"demo\"]\n",
    b"device",
    b"[device.x]\n",
    b"[[point]]\n",
    b"2026-06-01T12:00:00Z",
    b"00:00",
    b"[0,0]",
    b"words = ",
    b"\x00\x01",
];

/// One input: a seed with a few changes, or two seeds in one.
pub fn input(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let (from, to) = span(bytes.len(), dice);
        match dice.below(9) {
            0 if !bytes.is_empty() => bytes[from.min(to.saturating_sub(1))] ^= 1 << dice.below(8),
            1 => drop(bytes.drain(from..to)),
            2 => bytes.truncate(from),
            3 => {
                let piece = PIECES[dice.below(PIECES.len())].repeat(1 + dice.below(3));
                drop(bytes.splice(from..from, piece));
            }
            4 => {
                let piece = PIECES[dice.below(PIECES.len())];
                drop(bytes.splice(from..to, piece.iter().copied()));
            }
            5 => {
                let again = bytes[from..to].repeat(1 + dice.below(4));
                drop(bytes.splice(to..to, again));
            }
            6 => {
                let other = &seeds[dice.below(seeds.len())];
                let (start, end) = span(other.len(), dice);
                drop(bytes.splice(from..to, other[start..end].iter().copied()));
            }
            7 => swap_words(&mut bytes, dice),
            _ => {
                let piece = PIECES[dice.below(PIECES.len())].repeat(dice.below(200));
                drop(bytes.splice(from..from, piece));
            }
        }
    }
    bytes.truncate(LONGEST_INPUT);
    bytes
}

fn span(len: usize, dice: &mut Dice) -> (usize, usize) {
    let from = dice.below(len + 1);
    let most = if dice.below(4) == 0 { len } else { 24 };
    (from, (from + dice.below(most)).min(len))
}

/// Two lines or two words change places.
fn swap_words(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let mark = if dice.below(2) == 0 { b'\n' } else { b' ' };
    let mut words: Vec<Vec<u8>> = bytes.split(|byte| *byte == mark).map(<[u8]>::to_vec).collect();
    let (one, other) = (dice.below(words.len()), dice.below(words.len()));
    words.swap(one, other);
    *bytes = words.join(&mark);
}
