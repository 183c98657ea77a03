//! The ways in which a device's answers go wrong, as scripts that are played to us and to others alike.

use super::fake::{Fake, Part, at_once, good, good_of, good_rtu, read, write};
use wattkeeper::device::order::Ask;
use wattkeeper::modbus::frame::{Framing, tcp};

/// One way of being wrong.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its row in the table of faults.
    pub id: &'static str,
    pub name: &'static str,
    pub framing: Framing,
    /// What is asked of such a device.
    pub ask: fn() -> Ask,
    /// The wrong answer to the request with this number.
    pub bad: fn(u16, &[u8]) -> Vec<Part>,
}

impl Kind {
    /// A device that is wrong at the requests with these numbers.
    pub fn fake(self, wrong: impl Fn(u16) -> bool + Send + Sync + 'static) -> Fake {
        let script = move |k: u16, q: &[u8]| match (wrong(k), self.framing) {
            (true, _) => (self.bad)(k, q),
            (false, Framing::Tcp) => at_once(good(k, q)),
            (false, Framing::RtuOverTcp) => at_once(good_rtu(k, q)),
        };
        match self.framing {
            Framing::Tcp => Fake::new(script),
            Framing::RtuOverTcp => Fake::serial(script),
        }
    }
}

const fn kind(id: &'static str, name: &'static str, bad: fn(u16, &[u8]) -> Vec<Part>) -> Kind {
    Kind { id, name, framing: Framing::Tcp, ask: || read(1, 2), bad }
}

/// The right answer with one byte changed.
fn with(k: u16, request: &[u8], at: usize, byte: u8) -> Vec<Part> {
    let mut frame = good(k, request);
    frame[at] = byte;
    at_once(frame)
}

/// All of them.
pub const KINDS: [Kind; 25] = [
    kind("B01", "late reply", |k, q| vec![Part::After(150, good(k, q))]),
    kind("B02", "every reply later than the deadline", |k, q| vec![Part::After(120, good(k, q))]),
    kind("B03", "partial frame, rest late", |k, q| {
        let frame = good(k, q);
        vec![Part::After(0, frame[..9].to_vec()), Part::After(150, frame[9..].to_vec())]
    }),
    kind("B04", "one byte at a time", |k, q| {
        good(k, q).into_iter().map(|byte| Part::After(2, vec![byte])).collect()
    }),
    kind("B05", "wrong unit", |k, q| with(k, q, 6, 9)),
    kind("B06", "wrong function", |k, q| with(k, q, 7, 4)),
    kind("B07", "transaction id always 0", |k, q| {
        let mut frame = good(k, q);
        frame[..2].fill(0);
        at_once(frame)
    }),
    kind("B08", "length 0xFFFF", |k, q| {
        let mut frame = good(k, q);
        frame[4..6].fill(0xFF);
        at_once(frame)
    }),
    kind("B09", "length 0", |k, q| with(k, q, 5, 0)),
    kind("B10", "wrong protocol id", |k, q| with(k, q, 3, 7)),
    kind("B11", "byte count beyond the frame", |k, q| with(k, q, 8, 40)),
    kind("B12", "every reply twice", |k, q| vec![Part::After(0, good(k, q)), Part::After(0, good(k, q))]),
    Kind {
        ask: || read(1, 10),
        ..kind("B13", "too few registers", |k, q| {
            let asked = u16::from_be_bytes([q[10], q[11]]);
            at_once(good_of(k, q, Some(asked.saturating_sub(1).min(1))))
        })
    },
    kind("B14", "too many registers", |k, q| at_once(good_of(k, q, Some(20)))),
    Kind {
        ask: || write(1, 0x1234),
        ..kind("B15", "write echo says another value", |k, q| {
            let mut frame = good(k, q);
            if frame[7] >= 5 {
                frame[11] ^= 1;
            }
            at_once(frame)
        })
    },
    kind("B16", "device closes", |_, _| vec![Part::Close]),
    kind("B17", "exception reply", |_, q| {
        at_once(tcp(u16::from_be_bytes([q[0], q[1]]), q[6], &[q[7] | 0x80, 4]))
    }),
    Kind {
        framing: Framing::RtuOverTcp,
        ..kind("B18", "RTU over TCP, late reply", |k, q| vec![Part::After(150, good_rtu(k, q))])
    },
    kind("N3", "silence", |_, _| vec![]),
    kind("N4", "very late reply", |k, q| vec![Part::After(1_500, good(k, q))]),
    kind("N6", "connection closed after each reply", |k, q| vec![Part::After(0, good(k, q)), Part::Close]),
    kind("N8", "two replies in one segment", |k, q| {
        vec![Part::After(0, [good(k, q), good(k.wrapping_add(1), q)].concat())]
    }),
    kind("P3", "bytes that are no Modbus", |_, _| at_once(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
    kind("P4", "odd byte count", |k, q| with(k, q, 8, 3)),
    kind("P1", "duplicate after the reply", |k, q| {
        vec![Part::After(0, good(k, q)), Part::After(5, good(k, q))]
    }),
];
