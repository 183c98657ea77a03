//! Making connections: over TCP, or in memory for simulated sites and tests.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::timeout;

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
#[derive(Debug)]
pub struct Tcp {
    host: String,
    port: u16,
    /// Where it was found last: name servers are away more often than devices move.
    known: Mutex<Option<SocketAddr>>,
}

/// How long a name server may take; the rest of the time for connecting is the device's.
const LOOKUP: Duration = Duration::from_secs(1);

impl Tcp {
    /// A name or address, and the port, usually 502.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, known: Mutex::default() }
    }

    async fn connect(&self) -> io::Result<TcpStream> {
        let lookup = timeout(LOOKUP, lookup_host((self.host.as_str(), self.port))).await;
        let found: Vec<SocketAddr> = match lookup.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(found) => found.collect(),
            Err(error) => {
                let known = *self.known.lock().unwrap_or_else(PoisonError::into_inner);
                vec![known.ok_or(error)?]
            }
        };
        let stream = TcpStream::connect(found.as_slice()).await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = stream.peer_addr().ok();
        Ok(stream)
    }
}

impl Dial for Tcp {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let stream = self.connect().await?;
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

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn n10_device_is_found_where_it_was_while_no_name_server_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        // No name server knows a name with so long a part.
        let unresolvable = Tcp::new("x".repeat(64), address.port());
        assert!(unresolvable.dial().await.is_err(), "it was never found");
        let found = Tcp { known: Mutex::new(Some(address)), ..unresolvable };
        assert!(found.dial().await.is_ok());
    }

    #[tokio::test]
    async fn n10_address_is_remembered_once_a_connection_was_made() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dial = Tcp::new("localhost", address.port());
        assert!(dial.dial().await.is_ok());
        assert_eq!(*dial.known.lock().unwrap(), Some(address));
    }
}
