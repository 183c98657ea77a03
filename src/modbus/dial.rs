//! Making connections: over TCP, or in memory for simulated sites and tests.

use std::fmt;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// A connection's two directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + fmt::Debug> Wire for T {}

/// The future of a connection being made.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send + 'a>>;

/// Something that connects to one endpoint. The caller sets the deadline.
pub trait Dial: Send + Sync {
    /// Connects.
    fn dial(&self) -> Dialling<'_>;
}

/// Connects over TCP.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Name or address.
    pub host: String,
    /// Port, usually 502.
    pub port: u16,
}

impl Dial for Tcp {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
            // A request is one small write; waiting for more to send would only add the other side's delayed ACK.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Wire>)
        })
    }
}

/// Connects to a [`Listener`] in the same process.
#[derive(Clone, Debug)]
pub struct Memory {
    calls: mpsc::Sender<DuplexStream>,
}

/// The answering side of [`Memory`].
#[derive(Debug)]
pub struct Listener {
    calls: mpsc::Receiver<DuplexStream>,
}

/// Connections that wait to be accepted, and bytes that wait to be read in each direction of one.
const BACKLOG: usize = 4;
const PIPE: usize = 1_024;

/// An endpoint in memory: its dialling and its listening side.
#[must_use]
pub fn memory() -> (Memory, Listener) {
    let (send, receive) = mpsc::channel(BACKLOG);
    (Memory { calls: send }, Listener { calls: receive })
}

impl Listener {
    /// The next connection; `None` when nobody can dial any more.
    pub async fn accept(&mut self) -> Option<DuplexStream> {
        self.calls.recv().await
    }
}

impl Dial for Memory {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(PIPE);
            self.calls.send(far).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
            Ok(Box::new(near) as Box<dyn Wire>)
        })
    }
}
