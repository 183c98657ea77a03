//! Any bytes in any segments as the answer to any request: an error, or exactly what was asked for.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use super::fake::{ask, options, pacer};
use wattkeeper::device::exchange::{Function, Request};
use wattkeeper::modbus::dial::{Dial, Dialling, Wire};
use wattkeeper::modbus::frame::{Framing, crc};
use wattkeeper::modbus::link::Link;

/// The longest frame, and the little more by which an unasked second one is noticed.
const MOST_BUFFERED: usize = 264;

/// A connection that answers the first request with given segments and then ends.
#[derive(Debug)]
struct Scripted {
    segments: VecDeque<Vec<u8>>,
    /// Whether the answer repeats the request's transaction id.
    numbered: bool,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    request: Vec<u8>,
    /// Bytes that were taken from the connection.
    answer: Vec<u8>,
}

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { segments, seen, .. } = &mut *self;
        let mut seen = seen.lock().unwrap();
        if seen.request.is_empty() {
            return Poll::Pending;
        }
        let Some(mut segment) = segments.pop_front() else { return Poll::Ready(Ok(())) };
        let rest = segment.split_off(segment.len().min(buf.remaining()));
        if !rest.is_empty() {
            segments.push_front(rest);
        }
        buf.put_slice(&segment);
        seen.answer.extend(segment);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { segments, numbered, seen } = &mut *self;
        if let Some(first) = segments.front_mut().filter(|first| *numbered && first.len() >= 2) {
            first[..2].copy_from_slice(&bytes[..2]);
        }
        seen.lock().unwrap().request.extend(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Hands out one scripted connection; the next one is refused.
struct Once(Mutex<Option<Scripted>>);

impl Dial for Once {
    fn dial(&self) -> Dialling<'_> {
        let wire = self.0.lock().unwrap().take();
        Box::pin(async move {
            let wire = wire.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(wire) as Box<dyn Wire>)
        })
    }
}

/// What the first three bytes ask: framing, function, whether the id is repeated, and how much.
fn asked(how: u8, count: u8) -> (Framing, bool, Request) {
    let function = Function::ALL[usize::from(how % 8)];
    let framing = if how & 8 == 0 { Framing::Tcp } else { Framing::RtuOverTcp };
    let single = matches!(function, Function::WriteSingleCoil | Function::WriteSingleRegister);
    let count = if single { 1 } else { u16::from(count % 120) + 1 };
    let words = if function.writes() { vec![1; count.into()] } else { vec![] };
    (framing, how & 16 == 0, Request { unit: 1, function, address: 5, count, words })
}

/// The data of the frame that `bytes` begin with, if it is the answer to the request.
fn data(framing: Framing, seen: &Seen, request: &Request) -> Option<Vec<u8>> {
    let pdu = match framing {
        Framing::Tcp => {
            let length = usize::from(u16::from_be_bytes([seen.answer[4], seen.answer[5]]));
            let same = seen.answer[..4] == [seen.request[0], seen.request[1], 0, 0];
            seen.answer.get(7..6 + length).filter(|_| same && seen.answer[6] == request.unit)?
        }
        Framing::RtuOverTcp => {
            let length = if request.function.writes() { 6 } else { 3 + usize::from(seen.answer[2]) };
            let sum = seen.answer.get(length..length + 2)?;
            let right = sum == crc(&seen.answer[..length]).to_le_bytes() && seen.answer[0] == request.unit;
            seen.answer.get(1..length).filter(|_| right)?
        }
    };
    if request.function.writes() {
        let sent = if framing == Framing::Tcp { &seen.request[7..12] } else { &seen.request[1..6] };
        return (pdu == sent).then(Vec::new);
    }
    let (head, data) = pdu.split_at_checked(2)?;
    (head == [request.function.code(), u8::try_from(data.len()).ok()?]).then(|| data.to_vec())
}

/// The decoder's fuzz body. The first byte chooses the request, the second its size, the third the segments; the rest
/// is the answer.
///
/// # Panics
/// When a value is believed that is not the answer to its question, or more than one frame is buffered.
pub fn frame(bytes: &[u8]) {
    believed(bytes);
}

thread_local! {
    /// A clock that stands still while anything is to be done.
    static CLOCK: Runtime =
        Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
}

/// Whether anything was believed.
fn believed(bytes: &[u8]) -> bool {
    let [how, count, segment, answer @ ..] = bytes else { return false };
    let (framing, numbered, request) = asked(*how, *count);
    let segment = usize::from(*segment).max(1);
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let segments = answer.chunks(segment).map(<[u8]>::to_vec).collect();
    let wire = Scripted { segments, numbered: numbered && framing == Framing::Tcp, seen: Arc::clone(&seen) };
    let heard = CLOCK.with(|clock| {
        clock.block_on(async {
            let dial = Once(Mutex::new(Some(wire)));
            Link::new(options(framing), Arc::new(dial), pacer()).exchange(&ask(request.clone())).await
        })
    });
    let seen = seen.lock().unwrap();
    assert!(seen.answer.len() <= MOST_BUFFERED, "{} bytes taken", seen.answer.len());
    let Ok(words) = heard else { return false };
    let data = data(framing, &seen, &request).expect("only the answer to the question is believed");
    let count = usize::from(request.count);
    let told: Vec<u16> = match request.function {
        Function::ReadCoils | Function::ReadDiscreteInputs => {
            assert_eq!(data.len(), count.div_ceil(8));
            (0..count).map(|at| u16::from(data[at / 8] >> (at % 8) & 1)).collect()
        }
        _ => data.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect(),
    };
    assert_eq!(words, told);
    assert_eq!(words.len(), if request.function.writes() { 0 } else { count });
    true
}

/// Right answers, for the fuzzer to start from, each with its three leading bytes.
pub fn seeds() -> Vec<Vec<u8>> {
    let pdus: [(u8, u8, &[u8]); 6] = [
        (0, 9, &[1, 2, 0b101, 0b10]),
        (2, 1, &[3, 4, 0, 1, 0, 2]),
        (3, 0, &[4, 2, 0xFF, 0xFE]),
        (5, 0, &[6, 0, 5, 0, 1]),
        (7, 1, &[16, 0, 5, 0, 2]),
        (2, 1, &[0x83, 2]),
    ];
    let tcp = |(how, count, pdu): (u8, u8, &[u8])| {
        [vec![how, count, 4], wattkeeper::modbus::frame::tcp(0, 1, pdu)].concat()
    };
    let rtu = |(how, count, pdu): (u8, u8, &[u8])| {
        [vec![how | 8, count, 1], wattkeeper::modbus::frame::rtu(1, pdu)].concat()
    };
    pdus.into_iter().map(tcp).chain(pdus.into_iter().map(rtu)).collect()
}

#[test]
fn p3_answer_that_announces_64_kib_is_not_buffered_beyond_one_frame() {
    let mut flood = vec![2, 1, 255, 0, 0, 0, 0, 0xFF, 0xFF, 1, 3, 4];
    flood.resize(70_000, 0);
    frame(&flood);
}

#[test]
fn p4_right_answers_are_still_right_in_segments_of_any_size() {
    for seed in seeds() {
        for segment in 1..20 {
            let [how, count, _, answer @ ..] = &seed[..] else { unreachable!() };
            let cut = [&[*how, *count, segment], answer].concat();
            assert_eq!(believed(&cut), !answer.contains(&0x83), "{cut:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn n8_any_bytes_in_any_segments_are_an_error_or_the_answer(
        seed in proptest::sample::select(seeds()),
        at: proptest::sample::Index,
        cut in 0_usize..4,
        put in proptest::collection::vec(any::<u8>(), 0..6),
        random in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        frame(&random);
        let mut near = seed;
        let at = at.index(near.len());
        near.splice(at..(at + cut).min(near.len()), put);
        frame(&near);
    }
}
