//! The HTTP server: routes that read, and one that takes orders, on limits that hold against slow and hostile clients.
//!
//! Everything is bounded: connections, header size and time, the life of a connection. Only an order has a body, a small
//! one; nothing is written anywhere, and only names that a public name server cannot hand out are answered to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::inbox::{Inbox, PATHS};
use super::metrics::Exposition;
use super::published::Published;
use super::view::View;
use super::{explain, orders, overlays, page, plans};

/// Connections served at the same time; the next ones wait in the system's queue. Fifty browser tabs fit.
const MAX_CONNECTIONS: usize = 128;
/// A request's head must be complete this soon after the connection is ready for it.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// An answer must be made and taken within this time after a connection was asked to end.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// No connection lives longer; a client that comes back gets a new one.
const LIFE: Duration = Duration::from_secs(60);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// No script, style or picture but our own, in no frame, and nothing sent anywhere else.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Why the services cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {listen} for page and metrics: {cause}. Is another program, or a second wattkeeper, \
         using it? Choose another address with --listen, port 0 for any free one"
    )]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The system gives no thread or no event loop.
    #[error("cannot start the thread of page and metrics: {0}")]
    Thread(std::io::Error),
    /// The metrics table contradicts itself.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The running services. Dropping it stops them.
#[derive(Debug)]
pub struct Handle {
    stop: Option<watch::Sender<bool>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Handle {
    /// Closes the listener and every connection, and waits for the thread's end: at most a moment.
    pub fn stop(mut self) {
        self.end();
    }

    /// Whether the thread has ended although nobody stopped it: our own bug.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.thread.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Serves page, API and metrics on `listen` from a thread of their own until the handle is dropped. The sender of
/// `published` should speak after each decision and at least once a second; its silence makes the site not ready.
///
/// # Errors
/// When the address cannot be bound or the system has no thread left.
pub fn start(
    listen: SocketAddr,
    published: watch::Receiver<Arc<Published>>,
    inbox: Inbox,
) -> Result<(SocketAddr, Handle), StartError> {
    let refused = |cause| StartError::Listen { listen, cause };
    let listener = std::net::TcpListener::bind(listen).map_err(refused)?;
    listener.set_nonblocking(true).map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let view = View::new(published);
    let face = Face::of(view.clone(), inbox)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(StartError::Thread)?;
    let (stop, stopped) = watch::channel(false);
    let thread = std::thread::Builder::new()
        .name("services".to_owned())
        .spawn(move || {
            super::stand_back();
            let served = runtime.block_on(serve(listener, view, face, stopped));
            if let Err(error) = served {
                tracing::error!(%error, "page and metrics have stopped");
            }
        })
        .map_err(StartError::Thread)?;
    Ok((bound, Handle { stop: Some(stop), thread: Some(thread) }))
}

async fn serve(
    listener: std::net::TcpListener,
    view: View,
    face: Face,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    tokio::spawn(view.listen());
    let seats = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The handle holds the only sender: its end is the order to stop.
        tokio::select! {
            biased;
            _ended = stopped.changed() => return Ok(()),
            Some(accepted) = accept(&listener, &seats) => {
                let (stream, seat) = accepted;
                let _without_delay = stream.set_nodelay(true);
                let face = face.clone();
                tokio::spawn(async move {
                    face.converse(stream).await;
                    drop(seat);
                });
            }
        }
    }
}

/// The next connection, once there is a seat for it; none after a failure to accept.
async fn accept(listener: &TcpListener, seats: &Arc<Semaphore>) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let seat = Arc::clone(seats).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _from)) => Some((stream, seat)),
        Err(error) => {
            // Out of file descriptors, usually: accepting again at once would spin.
            tracing::warn!(%error, "a connection to page or metrics could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Page, API and metrics, for connections that were accepted already.
#[derive(Clone, Debug)]
pub struct Face {
    routes: Router,
}

impl Face {
    /// Answers from the newest of these, and passes orders on.
    ///
    /// # Errors
    /// When the metrics table contradicts itself.
    pub fn new(published: watch::Receiver<Arc<Published>>, inbox: Inbox) -> Result<Self, StartError> {
        Self::of(View::new(published), inbox)
    }

    fn of(view: View, inbox: Inbox) -> Result<Self, StartError> {
        let exposition = Arc::new(Exposition::new()?);
        Ok(Self { routes: routes(Site { view, exposition, inbox }) })
    }

    /// Answers one connection until it ends or has lived too long.
    pub async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WITHIN)
            .max_buf_size(HEAD_BYTES)
            .max_headers(64);
        let service = TowerToHyperService::new(self.routes);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::time::timeout(LIFE, connection.as_mut()).await;
        if ended.is_err() {
            connection.as_mut().graceful_shutdown();
            let _cut = tokio::time::timeout(ANSWER_WITHIN, connection).await;
        }
    }
}

/// What the routes answer from.
#[derive(Clone)]
struct Site {
    view: View,
    exposition: Arc<Exposition>,
    inbox: Inbox,
}

fn routes(site: Site) -> Router {
    Router::new()
        .route("/", get(page_whole))
        .route("/live", get(page_live))
        .route("/page.css", get(|| async { text("text/css; charset=utf-8", page::STYLE) }))
        .route("/page.js", get(|| async { text("text/javascript; charset=utf-8", page::SCRIPT) }))
        .route("/icon.svg", get(|| async { text("image/svg+xml", page::ICON) }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { text("text/plain; charset=utf-8", "alive\n") }))
        .route("/readyz", get(ready))
        .route("/api/v1/state", get(state))
        .route("/api/v1/explain", get(explained))
        .route("/api/v1/events", get(events))
        .route(orders::PATH, post(asked))
        .route(overlays::PATH, post(asked))
        .route(plans::PATH, post(asked))
        .fallback(nowhere)
        .layer(middleware::from_fn(manners))
        .with_state(site)
}

async fn page_whole(State(site): State<Site>) -> Response {
    text("text/html; charset=utf-8", page::whole(&site.view.now()))
}

async fn page_live(State(site): State<Site>) -> Response {
    text("text/html; charset=utf-8", page::live(&site.view.now()))
}

async fn metrics(State(site): State<Site>) -> Response {
    match site.exposition.text(&site.view.now().published) {
        Ok(body) => text(prometheus::TEXT_FORMAT, body),
        Err(error) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics could not be written: {error}\n"))
                .into_response()
        }
    }
}

async fn ready(State(site): State<Site>) -> Response {
    match site.view.now().fresh() {
        Ok(words) => (StatusCode::OK, format!("ready: {words}\n")).into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")).into_response(),
    }
}

async fn state(State(site): State<Site>) -> Response {
    axum::Json(&*site.view.now().published).into_response()
}

async fn events(State(site): State<Site>) -> Response {
    axum::Json(&site.view.now().published.events).into_response()
}

async fn asked(State(site): State<Site>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    site.inbox.take(uri.path(), &headers, &body).into_response()
}

async fn explained(State(site): State<Site>, headers: HeaderMap) -> Response {
    let now = site.view.now();
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/plain") {
        return text("text/plain; charset=utf-8", explain::words(&now.published));
    }
    axum::Json(explain::answer(&now.published)).into_response()
}

async fn nowhere(request: Request) -> Response {
    let hint = format!(
        "nothing at {}\nthere is: /  /metrics  /healthz  /readyz  /api/v1/state  /api/v1/explain  /api/v1/events, and POST {}\n",
        request.uri().path(),
        PATHS.map(|(path, _)| path).join("  ")
    );
    (StatusCode::NOT_FOUND, hint).into_response()
}

fn text(kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body.into()).into_response()
}

/// What holds for every request and every answer.
async fn manners(request: Request, next: Next) -> Response {
    let mut response = match refusal(&request) {
        Some((status, why)) => (status, why).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why a request is not served.
fn refusal(request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let said = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = said(header::HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    if !host.is_none_or(private) {
        let why = "this name is public, so a foreign page could have pointed it here: \
                   use the IP address, or a name ending in .local, .lan, .internal or .home.arpa\n";
        return Some((StatusCode::MISDIRECTED_REQUEST, why));
    }
    let path = request.uri().path();
    let most = PATHS.iter().find(|(known, _)| *known == path).map_or(0, |(_, most)| *most);
    let fits = said(header::CONTENT_LENGTH)
        .is_none_or(|length| length.parse::<u64>().is_ok_and(|length| length <= most));
    if !fits || headers.contains_key(header::TRANSFER_ENCODING) {
        let why = "only what asks for something has a body, in one piece: an order or overlay of at most 1024 bytes, a plan of at most 65536\n";
        return Some((StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    None
}

/// Whether a `Host` is one that no public name server answers for: an address, or a local name. A page from the
/// internet can point its own name at this machine (DNS rebinding), but then the browser still says that name.
fn private(host: &str) -> bool {
    let name = if host.starts_with('[') {
        host.split_once(']').map_or(host, |(inside, _port)| inside).trim_start_matches('[')
    } else {
        host.rsplit_once(':').map_or(host, |(name, _port)| name)
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name.parse::<std::net::IpAddr>().is_ok()
        || !name.contains('.')
        || [".localhost", ".local", ".lan", ".internal", ".home.arpa"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::private;

    #[test]
    fn a_public_name_is_not_served_while_addresses_and_local_names_are() {
        for host in ["127.0.0.1:8437", "[::1]:8437", "localhost", "hut:8437", "hut.local", "192.0.2.7"] {
            assert!(private(host), "{host}");
        }
        for host in ["evil.example.com", "evil.example.com:8437", "127.0.0.1.evil.example.com:80"] {
            assert!(!private(host), "{host}");
        }
    }
}
