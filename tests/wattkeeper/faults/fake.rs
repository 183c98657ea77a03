//! A device as raw bytes: it answers request number `k` with registers that all hold `1000 + k`, so that an answer
//! to another question shows; a script can make it answer anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

use wattkeeper::control::units::{Mono, Span};
use wattkeeper::device::exchange::{Function, Request};
use wattkeeper::device::order::Ask;
use wattkeeper::modbus::dial::{Memory, Tcp, memory};
use wattkeeper::modbus::frame::{Framing, rtu, tcp};
use wattkeeper::modbus::link::{Link, LinkOptions};
use wattkeeper::modbus::pacer::Pacer;

/// A piece of an answer.
pub enum Part {
    /// These bytes, so many milliseconds after the piece before.
    After(u64, Vec<u8>),
    /// The end of the connection.
    Close,
}

pub fn at_once(bytes: Vec<u8>) -> Vec<Part> {
    vec![Part::After(0, bytes)]
}

type Script = Arc<dyn Fn(u16, &[u8]) -> Vec<Part> + Send + Sync>;

/// A fake device.
#[derive(Clone)]
pub struct Fake {
    pub framing: Framing,
    /// Requests seen on all connections.
    pub asked: Arc<AtomicU16>,
    /// Connections accepted.
    pub connections: Arc<AtomicU16>,
    script: Script,
    /// How many times longer its parts take.
    slower: u32,
}

impl Fake {
    pub fn new(script: impl Fn(u16, &[u8]) -> Vec<Part> + Send + Sync + 'static) -> Self {
        Self {
            framing: Framing::Tcp,
            asked: Arc::default(),
            connections: Arc::default(),
            script: Arc::new(script),
            slower: 1,
        }
    }

    /// The same behind a serial server.
    pub fn serial(script: impl Fn(u16, &[u8]) -> Vec<Part> + Send + Sync + 'static) -> Self {
        Self { framing: Framing::RtuOverTcp, ..Self::new(script) }
    }

    /// All its times this many times longer, for real sockets on a busy machine; its clients should be as patient.
    pub fn slower(self, times: u32) -> Self {
        Self { slower: times, ..self }
    }

    pub fn asked(&self) -> u16 {
        self.asked.load(Ordering::SeqCst)
    }

    pub fn connections(&self) -> u16 {
        self.connections.load(Ordering::SeqCst)
    }

    /// Listens in memory.
    pub fn in_memory(&self) -> Memory {
        let (dial, mut listener) = memory();
        let fake = self.clone();
        tokio::spawn(async move {
            while let Some(stream) = listener.accept().await {
                tokio::spawn(fake.clone().serve(stream));
            }
        });
        dial
    }

    /// Listens on loopback.
    pub async fn on_tcp(&self) -> Tcp {
        Tcp::new("127.0.0.1", self.on_port().await)
    }

    /// Listens on this port of loopback.
    pub async fn on_port(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(self.clone().accept(listener));
        port
    }

    /// Serves everyone who connects.
    pub async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(self, stream: S) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let (mut read, mut write) = tokio::io::split(stream);
        let (send, mut parts) = mpsc::channel::<Part>(1_000);
        let writer = async move {
            while let Some(part) = parts.recv().await {
                match part {
                    Part::After(millis, bytes) => {
                        tokio::time::sleep(Duration::from_millis(millis) * self.slower).await;
                        if write.write_all(&bytes).await.is_err() {
                            break;
                        }
                    }
                    Part::Close => break,
                }
            }
            let _ = write.shutdown().await;
        };
        let reader = async move {
            while let Some(request) = request(self.framing, &mut read).await {
                let k = self.asked.fetch_add(1, Ordering::SeqCst);
                for part in (self.script)(k, &request) {
                    let _ = send.send(part).await;
                }
            }
        };
        // The end of either ends the connection.
        tokio::select! { () = writer => {}, () = reader => {} }
    }
}

/// Reads one request's frame; `None` at the end.
pub async fn request<R: AsyncRead + Unpin>(framing: Framing, read: &mut R) -> Option<Vec<u8>> {
    let (head, more): (usize, fn(&[u8]) -> usize) = match framing {
        Framing::Tcp => (6, |head| usize::from(u16::from_be_bytes([head[4], head[5]]))),
        Framing::RtuOverTcp => (7, |head| if head[1] >= 15 { usize::from(head[6]) + 2 } else { 1 }),
    };
    let mut bytes = vec![0; head];
    read.read_exact(&mut bytes).await.ok()?;
    let mut rest = vec![0; more(&bytes)];
    read.read_exact(&mut rest).await.ok()?;
    bytes.extend(rest);
    Some(bytes)
}

/// The right answer to a read or a write, `count` registers long instead of as asked when given.
pub fn good_of(k: u16, request: &[u8], count: Option<u16>) -> Vec<u8> {
    let pdu = &request[7..];
    let asked = u16::from_be_bytes([pdu[3], pdu[4]]);
    tcp(u16::from_be_bytes([request[0], request[1]]), request[6], &answer(k, pdu, count.unwrap_or(asked)))
}

pub fn good(k: u16, request: &[u8]) -> Vec<u8> {
    good_of(k, request, None)
}

/// The same on a serial line.
pub fn good_rtu(k: u16, request: &[u8]) -> Vec<u8> {
    let pdu = &request[1..];
    rtu(request[0], &answer(k, pdu, u16::from_be_bytes([pdu[3], pdu[4]])))
}

fn answer(k: u16, pdu: &[u8], count: u16) -> Vec<u8> {
    if pdu[0] >= 5 {
        return pdu[..5].to_vec();
    }
    let mut bytes = vec![pdu[0], u8::try_from(count * 2).unwrap()];
    for _ in 0..count {
        bytes.extend((1_000 + k).to_be_bytes());
    }
    bytes
}

/// To be asked at any time, with a short deadline.
pub fn ask(request: Request) -> Ask {
    Ask { token: 0, request, timeout: TIMEOUT, expires: Mono::NEVER }
}

pub fn read(unit: u8, count: u16) -> Ask {
    ask(Request { unit, function: Function::ReadHoldingRegisters, address: 0, count, words: Vec::new() })
}

pub fn write(unit: u8, value: u16) -> Ask {
    ask(Request { unit, function: Function::WriteSingleRegister, address: 5, count: 1, words: vec![value] })
}

/// A clock that follows tokio's, paused or not.
pub fn pacer() -> Pacer {
    let start = Instant::now();
    let now = move || Mono(i64::try_from(start.elapsed().as_millis()).unwrap());
    Pacer { now: Arc::new(now), speed: 1 }
}

pub const TIMEOUT: Span = Span::millis(100);

/// The same question with a deadline that a busy machine keeps.
pub fn patient(ask: Ask) -> Ask {
    Ask { timeout: Span::secs(1), ..ask }
}

pub fn options(framing: Framing) -> LinkOptions {
    LinkOptions { framing, writes: true, ..LinkOptions::new("test:502") }
}

pub fn link_in_memory(fake: &Fake) -> Link {
    Link::new(options(fake.framing), Arc::new(fake.in_memory()), pacer())
}
