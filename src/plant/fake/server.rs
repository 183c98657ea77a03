//! Serves fake devices over any byte stream: TCP on loopback, or an in-memory pipe on paused time.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::modbus::frame::Mbap;

use super::world::{Reply, Shared, open};

/// Connections that one device keeps at a time; more are closed at once.
const CONNECTIONS: usize = 16;

/// Answers one connection until it ends. Requests are answered one after another, late ones too, as in a device.
///
/// # Errors
/// When the stream breaks.
pub async fn converse<S>(mut stream: S, world: Shared, device: usize) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut head = [0; Mbap::LEN];
        match stream.read_exact(&mut head).await {
            Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        };
        let head = Mbap::parse(head);
        let (0, Some(len)) = (head.protocol, head.pdu_len()) else { return Ok(()) };
        let mut pdu = vec![0; len];
        stream.read_exact(&mut pdu).await?;
        let reply = open(&world).answer(device, head.transaction, head.unit, &pdu);
        match reply {
            Reply::Silence => {}
            Reply::Close => return Ok(()),
            Reply::Send { bytes, wait, split } => {
                if !wait.is_zero() {
                    sleep(wait).await;
                }
                let (first, second) =
                    bytes.split_at(if split.is_some() { bytes.len() / 2 } else { bytes.len() });
                stream.write_all(first).await?;
                if let Some(apart) = split {
                    stream.flush().await?;
                    sleep(apart).await;
                    stream.write_all(second).await?;
                }
                stream.flush().await?;
            }
        }
    }
}

/// Accepts connections for one device for ever.
pub async fn listen(listener: TcpListener, world: Shared, device: usize) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let (Ok((stream, _)), Ok(place)) = (accepted, Arc::clone(&places).try_acquire_owned()) else {
            continue;
        };
        let world = Arc::clone(&world);
        connections.spawn(async move {
            let _place = place;
            if stream.set_nodelay(true).is_ok() {
                // A client that goes away in mid-frame is its own affair.
                let _gone = converse(stream, world, device).await;
            }
        });
    }
}
