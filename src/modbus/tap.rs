//! The stream between the Modbus crate and the wire. It reads each request that goes out and lets an answer in
//! only when the whole of it has arrived and fits, so the crate never sees anything to stumble over.
//!
//! It also numbers the transactions: the crate starts at 0 on each connection, so an answer delayed inside a
//! gateway could be taken for one of the next connection's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::Wire;
use super::frame::Framing;
use super::reply::{Expected, LONGEST, Progress};
use super::state::Trouble;

/// Why the tap ended the connection, inside the error that the crate passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{trouble}")]
pub struct Ended {
    /// What was seen.
    pub trouble: Trouble,
    /// Whether it was seen before any byte of the request left.
    pub unsent: bool,
}

impl Ended {
    fn error(trouble: Trouble, unsent: bool) -> io::Error {
        io::Error::other(Self { trouble, unsent })
    }

    /// From an error of the stream.
    pub fn of(error: &io::Error) -> Self {
        let known = error.get_ref().and_then(|inner| inner.downcast_ref::<Self>());
        known.copied().unwrap_or(Self { trouble: Trouble::Reset, unsent: false })
    }
}

/// One connection, watched.
#[derive(Debug)]
pub struct Tap {
    wire: Box<dyn Wire>,
    framing: Framing,
    /// Whether functions that change the device may pass.
    writes: bool,
    transactions: Arc<AtomicU16>,
    /// The request being sent, and how much of it has left.
    request: Vec<u8>,
    sent: usize,
    expected: Option<Expected>,
    /// The transaction id that the crate chose and wants to see again.
    crates_id: [u8; 2],
    /// Room for the longest answer and some more, so that an unasked second one is noticed.
    arrived: [u8; ROOM],
    filled: usize,
    /// Length of the answer once it is whole and right, and how much of it the crate has taken.
    whole: usize,
    taken: usize,
}

const ROOM: usize = LONGEST + 4;

impl Tap {
    /// Watches a new connection.
    pub fn new(wire: Box<dyn Wire>, framing: Framing, writes: bool, transactions: Arc<AtomicU16>) -> Self {
        Self {
            wire,
            framing,
            writes,
            transactions,
            request: Vec::new(),
            sent: 0,
            expected: None,
            crates_id: [0; 2],
            arrived: [0; ROOM],
            filled: 0,
            whole: 0,
            taken: 0,
        }
    }

    /// Before a request leaves, nothing may be waiting: it would be taken for the answer.
    fn idle(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.filled > self.whole {
            return Err(Ended::error(Trouble::Unasked, true));
        }
        let mut probe = [0; 1];
        let mut probe = ReadBuf::new(&mut probe);
        match Pin::new(&mut self.wire).poll_read(cx, &mut probe) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) if !probe.filled().is_empty() => Err(Ended::error(Trouble::Unasked, true)),
            Poll::Ready(Ok(()) | Err(_)) => Err(Ended::error(Trouble::Reset, true)),
        }
    }

    /// Takes over the crate's request under our own transaction id.
    fn take_over(&mut self, frame: &[u8]) -> io::Result<()> {
        let refuse = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
        let expected =
            Expected::of(self.framing, frame).ok_or_else(|| refuse("not a request that we send"))?;
        if expected.writes() && !self.writes {
            return Err(refuse("observing: nothing is written"));
        }
        self.request.clear();
        self.request.extend_from_slice(frame);
        self.expected = Some(expected);
        if self.framing == Framing::Tcp {
            let number = self.transactions.fetch_add(1, Ordering::Relaxed);
            if let Some(id) = self.request.first_chunk_mut::<2>() {
                self.crates_id = *id;
                *id = number.to_be_bytes();
            }
            self.expected = Some(expected.numbered(number));
        }
        (self.sent, self.filled, self.whole, self.taken) = (0, 0, 0, 0);
        Ok(())
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.request.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let wrote = ready!(Pin::new(&mut self.wire).poll_write(cx, rest))
                .map_err(|_| Ended::error(Trouble::Reset, false))?;
            if wrote == 0 {
                return Poll::Ready(Err(Ended::error(Trouble::Reset, false)));
            }
            self.sent = self.sent.saturating_add(wrote);
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until the answer is whole and right.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.whole == 0 {
            let mut space = ReadBuf::new(self.arrived.get_mut(self.filled..).unwrap_or_default());
            ready!(Pin::new(&mut self.wire).poll_read(cx, &mut space))
                .map_err(|_| Ended::error(Trouble::Reset, false))?;
            let count = space.filled().len();
            if count == 0 {
                return Poll::Ready(Err(Ended::error(Trouble::Reset, false)));
            }
            self.filled = self.filled.saturating_add(count);
            let Some(expected) = self.expected else {
                return Poll::Ready(Err(Ended::error(Trouble::Unasked, false)));
            };
            let arrived = self.arrived.get(..self.filled).unwrap_or_default();
            match expected.check(arrived) {
                Ok(Progress::Partial) => {}
                Ok(Progress::Whole(length)) => self.whole = length,
                Err(trouble) => return Poll::Ready(Err(Ended::error(trouble, false))),
            }
        }
        if self.framing == Framing::Tcp
            && self.taken == 0
            && let Some(id) = self.arrived.first_chunk_mut::<2>()
        {
            *id = self.crates_id;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        ready!(tap.poll_answer(cx))?;
        let left = tap.arrived.get(tap.taken..tap.whole).unwrap_or_default();
        let given = left.get(..buf.remaining()).unwrap_or(left);
        if given.is_empty() {
            // The crate asks for more than the whole answer: it must not take that for the end of the stream.
            return Poll::Ready(Err(Ended::error(Trouble::Length, false)));
        }
        buf.put_slice(given);
        tap.taken = tap.taken.saturating_add(given.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, frame: &[u8]) -> Poll<io::Result<usize>> {
        let tap = self.get_mut();
        ready!(tap.poll_send(cx))?;
        tap.idle(cx)?;
        tap.take_over(frame)?;
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tap = self.get_mut();
        ready!(tap.poll_send(cx))?;
        Pin::new(&mut tap.wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
