//! Whatever bytes a decoder is given, it neither panics, nor hangs, nor takes more than 1 MiB of memory.
//!
//! `WATTKEEPER_FUZZ=1000000 cargo test --release --test wattkeeper fuzz` runs that many inputs through each decoder,
//! `WATTKEEPER_FUZZ_FROM` chooses the seed. Every input follows from seed and number alone, and a failure names both.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use wattkeeper::device::definition::Definition;
use wattkeeper::profile::{self, Overrides};

use crate::corpus;

/// The most memory that one input may take.
const MOST_BYTES: u64 = 1 << 20;
/// The longest that one input may take, on a slow and busy machine.
const LONGEST: Duration = Duration::from_secs(1);
/// Longer inputs are cut: beyond this, memory is the input's own length.
const LONGEST_INPUT: usize = 4_096;

/// A decoder: its name, inputs to begin with, and what is done with an input.
struct Decoder {
    name: &'static str,
    seeds: fn() -> Vec<Vec<u8>>,
    body: fn(&[u8]),
}

const DECODERS: &[Decoder] = &[
    Decoder { name: "profile", seeds: profiles, body: profile },
    Decoder { name: "definition", seeds: definitions, body: definition },
];

/// A profile from bytes.
pub fn profile(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let read = profile::load_text("it.toml", text, None, &Overrides::default());
        let mistakes = read.err().unwrap_or_default();
        assert!(mistakes.iter().all(|mistake| !mistake.cause.is_empty() && !mistake.way_out.is_empty()));
    }
}

/// A definition from bytes.
pub fn definition(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let lines = text.lines().count().max(1) + 1;
        let mistakes = Definition::parse(text, "it.toml").err().unwrap_or_default();
        assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)));
    }
}

/// Short profiles with a bit of everything, so that one input takes microseconds.
fn profiles() -> Vec<Vec<u8>> {
    let parts = [
        "schema = 1\ncontrol = \"on\"\nauthority = \"5 kW\"\nlisten = \"127.0.0.1:80\"\n[site]\nname = \"H\"\ntimezone = \"UTC\"\n[device.b]\nroles = [\"io\"]\n",
        "schema = 1\n[device.b]\nroles = [\"battery\"]\n[device.i]\nroles = [\"inverter\", \"grid-meter\"]\nphases = [\"l1\"]\nmax_charge = \"3 kW\"\n[policy.battery]\nfloor = 20\n",
        "schema = 1\n[device.b]\nroles = [\"battery\", \"generator\", \"generator-contact\"]\n[policy.generator]\nstart = { soc = 40, for = \"1m\" }\nstop = { soc = 80 }\nquiet = { from = \"22:00\", to = \"07:00\", start = { soc = 25 } }\n",
        "schema = 1\n[device.b]\nroles = [\"battery\"]\n[policy.battery]\ncapacity = \"10 kWh\"\n[policy.schedule.night]\ndays = [\"mon\"]\nstart = \"02:00\"\nduration = \"3h\"\n[policy.plan.a]\nstart = 2026-06-01T12:00:00Z\nduration = \"1h\"\ntarget = 80\n",
        "schema = 1\n[device.io]\ndefinition = \"io/waveshare-relay\"\naddress = \"192.0.2.1:502\"\nunit = 3\nframing = \"rtu-over-tcp\"\nroles = [\"generator-contact\"]\ncontact = 2\nrunning_input = 1\npoll = \"1s\"\n",
    ];
    parts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// The corpus' definitions and the parts of them that are files of their own.
fn definitions() -> Vec<Vec<u8>> {
    let head = "schema = 1\nmaker = \"m\"\nmodel = \"m\"\nsource = \"s\"\n";
    let mut seeds: Vec<Vec<u8>> =
        ["meter.toml", "inverter.toml", "pv.toml"].map(|name| corpus::base(name).into_bytes()).to_vec();
    for tail in [
        "[[point]]\nsignal = \"grid.power\"\nat = \"input:52\"\nas = \"f32\"\nscale = 0.1\nrange = [0, 500]\nsource = \"s\"\nwords = { raw = [0, 0], value = 0, origin = \"constructed\" }\n",
        "[limits]\nmax-registers = 9\nbusy = [6]\n[unit]\na = 1\nb = \"none\"\n[[readable]]\non = \"a\"\nat = \"holding:0\"\nto = 9\nsource = \"s\"\n",
        "[control.relay]\nrefresh = \"none\"\nwatchdog = \"none\"\nif-lost = \"x\"\nsource = \"s\"\nchannels = 8\nwords = { raw = [1], given = true, origin = \"documented\" }\n[[control.relay.command]]\nat = \"coil:0\"\nfunction = 5\nfields = [{ value = \"run\", as = \"bool\" }]\npersistence = \"cyclic\"\n",
    ] {
        seeds.push(format!("{head}{tail}").into_bytes());
    }
    seeds
}

/// Numbers from a seed, the same on every machine.
struct Dice(u64);

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
fn input(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
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

/// The slowest and the largest of many inputs.
#[derive(Default)]
struct Worst {
    took: Duration,
    bytes: u64,
}

impl Decoder {
    /// Runs one input; a failure names what brings it again.
    fn run(&self, bytes: &[u8], named: &dyn Fn() -> String, worst: &mut Worst) {
        let began = Instant::now();
        let mut fell = None;
        let used = allocation_counter::measure(|| {
            fell = catch_unwind(AssertUnwindSafe(|| (self.body)(bytes))).err()
        });
        let took = began.elapsed();
        let shown = || format!("{} {}: {}", self.name, named(), String::from_utf8_lossy(bytes));
        assert!(fell.is_none(), "panics: {}", shown());
        assert!(used.bytes_max <= MOST_BYTES, "takes {} bytes: {}", used.bytes_max, shown());
        assert!(took <= LONGEST, "takes {took:?}: {}", shown());
        worst.took = worst.took.max(took);
        worst.bytes = worst.bytes.max(used.bytes_max);
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn no_input_makes_a_decoder_panic_hang_or_take_a_mebibyte() {
    let inputs = number("WATTKEEPER_FUZZ").unwrap_or(500);
    let from = number("WATTKEEPER_FUZZ_FROM").unwrap_or(1);
    for decoder in DECODERS {
        let seeds = (decoder.seeds)();
        let mut worst = Worst::default();
        for seed in &seeds {
            decoder.run(seed, &|| "seed".to_owned(), &mut Worst::default());
        }
        let began = Instant::now();
        for at in 0..inputs {
            let mut dice = Dice(from.wrapping_mul(0x1_0000_0001).wrapping_add(at));
            let bytes = input(&seeds, &mut dice);
            decoder.run(&bytes, &|| format!("seed {from} input {at}"), &mut worst);
        }
        let each = began.elapsed().as_secs_f64() * 1e6 / inputs.max(1) as f64;
        println!(
            "{}: {inputs} inputs from seed {from}, {each:.1} us each, slowest {:?}, most memory {} KiB",
            decoder.name,
            worst.took,
            worst.bytes / 1_024
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_at_all_harm_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in "\\PC{0,200}") {
        for decoder in DECODERS {
            decoder.run(&bytes, &|| "bytes".to_owned(), &mut Worst::default());
            decoder.run(text.as_bytes(), &|| "text".to_owned(), &mut Worst::default());
        }
    }
}

/// Files of nothing but one thing, a whole mebibyte of it in a campaign: no error in them may cost the whole file again.
#[test]
fn long_files_of_one_thing_are_refused_and_harm_nothing() {
    let size = if number("WATTKEEPER_FUZZ").is_some() { 1 << 20 } else { 1 << 14 };
    let ones = [
        "a = 1\n",
        "[",
        "x.",
        "[a]\n",
        "\"",
        "[[point]]\n",
        "schema = 1\n",
        "a",
        "[device.a]\n",
        "= \n",
        "a = {",
        "\n",
    ];
    let mut texts: Vec<String> = ones.iter().map(|piece| piece.repeat(size / piece.len())).collect();
    for (line, len) in [("key# = 1\n", 12), ("[device.d#]\nroles = [\"io\"]\n", 32)] {
        texts.push((0..size / len).map(|at| line.replace('#', &at.to_string())).collect());
    }
    for decoder in DECODERS {
        for text in &texts {
            let began = Instant::now();
            (decoder.body)(format!("schema = 1\n{text}").as_bytes());
            println!(
                "{}: {} KiB of {:?} in {:?}",
                decoder.name,
                size / 1_024,
                text.get(..8),
                began.elapsed()
            );
        }
    }
}
