//! Ways to a device that look at what passes, or break.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wattkeeper::daemon::fleet::Dialler;
use wattkeeper::modbus::dial::{Dial, Dialling, Wire};
use wattkeeper::modbus::frame::Mbap;

/// How often each function code was sent.
pub type Codes = Arc<[AtomicU64; 256]>;

/// No code was sent yet.
pub fn codes() -> Codes {
    Arc::new(std::array::from_fn(|_| AtomicU64::new(0)))
}

/// Function codes that nobody who only observes may send, and how often they were.
pub fn foreign_to_observing(codes: &Codes) -> Vec<(usize, u64)> {
    let sent = codes.iter().enumerate().map(|(code, count)| (code, count.load(Ordering::SeqCst)));
    sent.filter(|(code, count)| *count > 0 && ![1, 2, 3, 4, 17, 20, 24, 43].contains(code)).collect()
}

/// Every connection counts the function codes that leave.
pub fn counting(inner: Dialler, codes: &Codes) -> Dialler {
    let codes = Arc::clone(codes);
    Arc::new(move |host, port| Arc::new(Counting { inner: inner(host, port), codes: Arc::clone(&codes) }))
}

/// The way to one host breaks this program when it is dialled for the second time.
pub fn panicking(inner: Dialler, victim: &'static str) -> Dialler {
    Arc::new(move |host, port| {
        let way = inner(host, port);
        if host == victim { Arc::new(Panicking { inner: way, dialled: Mutex::new(false) }) } else { way }
    })
}

struct Counting {
    inner: Arc<dyn Dial>,
    codes: Codes,
}

impl Dial for Counting {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let inner = self.inner.dial().await?;
            Ok(Box::new(Counted { inner, codes: Arc::clone(&self.codes), head: Vec::new(), rest: 0 })
                as Box<dyn Wire>)
        })
    }
}

struct Panicking {
    inner: Arc<dyn Dial>,
    dialled: Mutex<bool>,
}

impl Dial for Panicking {
    fn dial(&self) -> Dialling<'_> {
        let again = std::mem::replace(&mut *self.dialled.lock().unwrap(), true);
        assert!(!again, "this dialler breaks on purpose");
        self.inner.dial()
    }
}

/// A connection that reads along: a frame's head, its function code, then the rest of it.
#[derive(Debug)]
struct Counted {
    inner: Box<dyn Wire>,
    codes: Codes,
    head: Vec<u8>,
    rest: usize,
}

impl Counted {
    fn see(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.rest > 0 {
                self.rest -= 1;
                continue;
            }
            self.head.push(*byte);
            if self.head.len() > Mbap::LEN {
                self.codes[usize::from(*byte)].fetch_add(1, Ordering::SeqCst);
                self.rest = usize::from(u16::from_be_bytes([self.head[4], self.head[5]])) - 2;
                self.head.clear();
            }
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.see(&bytes[..count]);
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
