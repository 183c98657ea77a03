//! Asking the running daemon, over loopback HTTP.

use std::borrow::Cow;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde::de::DeserializeOwned;

/// Where the daemon is.
#[derive(Debug, clap::Args)]
pub struct DaemonArgs {
    /// Where the daemon serves its page and API
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8437", value_parser = address)]
    pub daemon: SocketAddr,
}

/// An address with its port; `localhost` and other names that this machine knows count.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || "write ADDRESS:PORT, for example 127.0.0.1:8437".to_owned();
    let mut all = text.to_socket_addrs().map_err(|_| wrong())?;
    // A daemon listens on 127.0.0.1 unless told otherwise, and `localhost` often means ::1 first.
    let first = all.next().ok_or_else(wrong)?;
    Ok(if first.is_ipv4() { first } else { all.find(SocketAddr::is_ipv4).unwrap_or(first) })
}

/// Why the daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers there.
    #[error(
        "no daemon answers at {0} ({1}). Is `wattkeeper run` or `wattkeeper demo` running? If it prints another address, name it with --daemon"
    )]
    Nobody(SocketAddr, std::io::Error),
    /// Something else answers there.
    #[error("what answers at {0} is no Wattkeeper of this version: {1}")]
    Strange(SocketAddr, String),
    /// The daemon says no.
    #[error("the daemon refuses: {0}")]
    Refused(String),
}

const PATIENCE: Duration = Duration::from_secs(5);
/// No answer of ours is longer.
const LONGEST: u64 = 4 << 20;

/// The JSON at a path of the API.
pub fn get<T: DeserializeOwned>(daemon: SocketAddr, path: &str) -> Result<T, AskError> {
    decoded(&fetch(daemon, path, "application/json")?).map_err(|strange| AskError::Strange(daemon, strange))
}

/// The JSON in a whole answer.
///
/// # Errors
/// What is strange about it.
pub fn decoded<T: DeserializeOwned>(answer: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body(answer)?).map_err(|error| error.to_string())
}

/// The same for a person.
pub fn get_text(daemon: SocketAddr, path: &str) -> Result<String, AskError> {
    let answer = fetch(daemon, path, "text/plain")?;
    let text = body(&answer).map(|body| String::from_utf8_lossy(body).into_owned());
    text.map_err(|strange| AskError::Strange(daemon, strange))
}

/// Sends JSON to a path of the API, with the operator's token; the answer in words.
///
/// # Errors
/// When nobody answers, or with what the daemon says against it.
pub fn post(daemon: SocketAddr, path: &str, token: &str, body: &str) -> Result<String, AskError> {
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {daemon}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(daemon, &head)?;
    let (head, words) = parts(&answer).map_err(|strange| AskError::Strange(daemon, strange))?;
    let words = String::from_utf8_lossy(words);
    match head.split_whitespace().nth(1) {
        Some("202") => Ok(words.into_owned()),
        Some("404" | "405") => Err(AskError::Strange(daemon, "it takes no orders".to_owned())),
        _ => Err(AskError::Refused(words.trim().to_owned())),
    }
}

fn fetch(daemon: SocketAddr, path: &str, accept: &str) -> Result<Vec<u8>, AskError> {
    exchange(daemon, &format!("GET {path} HTTP/1.0\r\nHost: {daemon}\r\nAccept: {accept}\r\n\r\n"))
}

/// One request in HTTP/1.0: the answer ends with the connection, in one piece.
fn exchange(daemon: SocketAddr, request: &str) -> Result<Vec<u8>, AskError> {
    let nobody = |error| AskError::Nobody(daemon, error);
    let mut stream = TcpStream::connect_timeout(&daemon, PATIENCE).map_err(nobody)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(nobody)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(nobody)?;
    stream.write_all(request.as_bytes()).map_err(nobody)?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer).map_err(nobody)?;
    Ok(answer)
}

/// What stands below the head of an answer; one that says no is strange.
fn body(answer: &[u8]) -> Result<&[u8], String> {
    let (head, body) = parts(answer)?;
    if head.split_whitespace().nth(1) != Some("200") {
        return Err(head.lines().find(|line| !line.is_empty()).unwrap_or("no status line").to_owned());
    }
    Ok(body)
}

/// Head and body of an answer.
fn parts(answer: &[u8]) -> Result<(Cow<'_, str>, &[u8]), String> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no HTTP answer")?;
    let head = String::from_utf8_lossy(answer.get(..end).unwrap_or_default());
    Ok((head, answer.get(end.saturating_add(4)..).unwrap_or_default()))
}
