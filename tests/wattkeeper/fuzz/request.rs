//! Whatever a client sends to page, API and metrics: it is answered or the connection ends.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use wattkeeper::services::Face;
use wattkeeper::services::inbox::Inbox;

use super::state::site;

/// What answers, and the clock it answers by.
struct Served {
    face: Face,
    runtime: Runtime,
}

thread_local! {
    static SERVED: Served = Served {
        face: Face::new(watch::channel(site().into()).1, Inbox::default()).unwrap(),
        runtime: Builder::new_current_thread().enable_time().start_paused(true).build().unwrap(),
    };
}

/// One connection that sends these bytes and then says nothing more.
pub fn request(bytes: &[u8]) {
    SERVED.with(|served| {
        served.runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(bytes.len().max(1));
            client.write_all(bytes).await.unwrap();
            served.face.clone().converse(tokio::io::join(server, tokio::io::sink())).await;
        });
    });
}

/// Requests as browsers, scrapers and proxies send them, and some as nobody should.
pub fn seeds() -> Vec<Vec<u8>> {
    let paths = [
        "/",
        "/live",
        "/page.css",
        "/metrics",
        "/healthz",
        "/readyz",
        "/api/v1/state",
        "/api/v1/events",
        "/x?a=%20",
    ];
    let mut seeds: Vec<String> =
        paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: hut.local:8437\r\n\r\n")).collect();
    seeds.extend(
        [
            "GET /api/v1/explain HTTP/1.0\r\nAccept: text/plain\r\nHost: [::1]:80\r\n\r\n",
            "GET /api/v1/explain HTTP/1.1\r\nHost: 192.0.2.7\r\nAccept: application/json;q=0.9\r\nConnection: close\r\n\r\n",
            "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nGET /live HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: hut\r\nContent-Length: 5\r\n\r\nhello",
            "PUT /live HTTP/1.1\r\nHost: hut\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "GET http://evil.example.com/ HTTP/1.1\r\nHost: evil.example.com\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ]
        .map(str::to_owned),
    );
    seeds.into_iter().map(String::into_bytes).collect()
}

#[test]
fn whoever_asks_for_a_page_is_answered_and_sent_away_when_nothing_more_comes() {
    SERVED.with(|served| {
        served.runtime.block_on(async {
            for seed in seeds().into_iter().take(9) {
                let (mut client, server) = tokio::io::duplex(1 << 18);
                client.write_all(&seed).await.unwrap();
                served.face.clone().converse(server).await;
                let mut answer = Vec::new();
                client.read_to_end(&mut answer).await.unwrap();
                assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&seed));
            }
        });
    });
}
