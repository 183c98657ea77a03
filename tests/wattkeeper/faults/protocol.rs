//! Answers that break the protocol: each is discarded, named and counted, and the next question is answered.

use proptest::prelude::*;

use super::fake::{Fake, at_once, good, good_rtu, link_in_memory, read};
use wattkeeper::device::exchange::Failure;

/// One poll of a device whose first answer is the right one with bytes cut out and others put in.
fn poll_mangled(serial: bool, at: usize, cut: usize, put: Vec<u8>) -> Result<Vec<u16>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(async move {
        let script = move |k, q: &[u8]| {
            let mut frame = if serial { good_rtu(k, q) } else { good(k, q) };
            let at = at.min(frame.len());
            let end = (at + cut).min(frame.len());
            frame.splice(at..end, put.iter().copied());
            at_once(frame)
        };
        let fake = if serial { Fake::serial(script) } else { Fake::new(script) };
        link_in_memory(&fake).exchange(&read(1, 2)).await
    })
}

proptest! {
    /// Debug builds of the Modbus crate assert on what they decode: nothing may get that far.
    #[test]
    fn p4_whatever_a_device_sends_is_an_error_or_fits_the_question(
        serial: bool,
        at in 0_usize..14,
        cut in 0_usize..14,
        put in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        if let Ok(words) = poll_mangled(serial, at, cut, put) {
            prop_assert_eq!(words.len(), 2);
        }
    }
}
