//! Whatever bytes a decoder is given, it neither panics, nor hangs, nor takes more than 1 MiB of memory.
//!
//! `WATTKEEPER_FUZZ=1000000 cargo test --release --test wattkeeper fuzz` runs that many inputs through each decoder,
//! `WATTKEEPER_FUZZ_FROM` chooses the seed and `WATTKEEPER_FUZZ_ONLY` one decoder, so that a long campaign can be run in
//! pieces. Every input follows from decoder, seed and number alone, and a failure names them.

mod files;
mod mutation;
mod request;
mod state;
mod store;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::faults::frame;
use mutation::{Dice, input};

/// The most memory that one input may take.
const MOST_BYTES: u64 = 1 << 20;
/// The longest that one input may take, on a slow and busy machine.
const LONGEST: Duration = Duration::from_secs(1);

/// A decoder: its name, inputs to begin with, and what is done with an input.
struct Decoder {
    name: &'static str,
    seeds: fn() -> Vec<Vec<u8>>,
    body: fn(&[u8]),
}

const DECODERS: &[Decoder] = &[
    Decoder { name: "frame", seeds: frame::seeds, body: frame::frame },
    Decoder { name: "words", seeds: words::seeds, body: words::words },
    Decoder { name: "profile", seeds: files::profiles, body: files::profile },
    Decoder { name: "definition", seeds: files::definitions, body: files::definition },
    Decoder { name: "store", seeds: store::seeds, body: store::store },
    Decoder { name: "request", seeds: request::seeds, body: request::request },
    Decoder { name: "state", seeds: state::seeds, body: state::state },
];

/// The slowest and the largest of many inputs.
#[derive(Default)]
struct Worst {
    took: Duration,
    bytes: u64,
}

impl Decoder {
    /// Runs one input; a failure names what brings it again.
    fn run(&self, bytes: &[u8], named: &dyn Fn() -> String, worst: &mut Worst) {
        let mut took = Ok(Duration::ZERO);
        let used = allocation_counter::measure(|| {
            took = catch_unwind(AssertUnwindSafe(|| time(self.body, bytes, worst.took)));
        });
        let shown = || format!("{} {}: {}", self.name, named(), String::from_utf8_lossy(bytes));
        let took = took.unwrap_or_else(|_| panic!("panics: {}", shown()));
        assert!(used.bytes_max <= MOST_BYTES, "takes {} bytes: {}", used.bytes_max, shown());
        assert!(took <= LONGEST, "takes {took:?}: {}", shown());
        worst.took = worst.took.max(took);
        worst.bytes = worst.bytes.max(used.bytes_max);
    }
}

/// How long an input takes. When that is longer than ever, the machine may have been busy with something else, so it is
/// asked again.
fn time(body: fn(&[u8]), bytes: &[u8], longest: Duration) -> Duration {
    let once = || {
        let began = Instant::now();
        body(bytes);
        began.elapsed()
    };
    let took = once();
    if took > longest { took.min(once()) } else { took }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|text| text.parse().ok())
}

#[test]
fn a_text_of_nothing_but_slips_takes_no_mebibyte() {
    for text in [
        "}".repeat(mutation::LONGEST_INPUT),
        "} ".repeat(mutation::LONGEST_INPUT / 2),
        "}\n".repeat(mutation::LONGEST_INPUT / 2),
    ] {
        for decoder in DECODERS.iter().filter(|decoder| ["profile", "definition"].contains(&decoder.name)) {
            let used = allocation_counter::measure(|| (decoder.body)(text.as_bytes()));
            assert!(used.bytes_max <= MOST_BYTES, "{} takes {} bytes", decoder.name, used.bytes_max);
        }
    }
}

#[test]
fn no_input_makes_a_decoder_panic_hang_or_take_a_mebibyte() {
    let inputs = number("WATTKEEPER_FUZZ").unwrap_or(500);
    let from = number("WATTKEEPER_FUZZ_FROM").unwrap_or(1);
    let only = std::env::var("WATTKEEPER_FUZZ_ONLY").ok();
    assert!(only.as_ref().is_none_or(|only| DECODERS.iter().any(|known| known.name == only)), "{only:?}");
    for decoder in DECODERS.iter().filter(|decoder| only.as_ref().is_none_or(|only| only == decoder.name)) {
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
