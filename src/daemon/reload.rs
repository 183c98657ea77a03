//! Reads the profile again when its files change or somebody asks, on a thread of its own: a slow disk must not
//! stall control. What comes out has passed the whole check or names every mistake.

use std::path::PathBuf;
use std::sync::mpsc as calls;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;

use crate::device::mistake::Mistake;
use crate::profile::{Checked, Laid};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A change counts once it has held still for so long: editors and copies write in pieces.
const SETTLED: Duration = Duration::from_secs(1);

/// Reads and checks the profile as it is now, with these overlays and everything else laid over it.
pub type Load = Arc<dyn Fn(&[Laid]) -> Result<Checked, Vec<Mistake>> + Send + Sync>;

/// What a new look at the profile gave.
pub(super) type News = Result<Box<Checked>, Vec<Mistake>>;

/// The thread that reads the profile again. It ends by itself when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    ask: calls::SyncSender<()>,
    /// Overlays that are on.
    laid: Arc<Mutex<Vec<Laid>>>,
    news: mpsc::Receiver<News>,
    thread: std::thread::JoinHandle<()>,
}

impl Watcher {
    /// Watches the files that the profile in force was read from.
    pub fn start(load: Load, files: Vec<PathBuf>) -> std::io::Result<Self> {
        let (ask, asked) = calls::sync_channel(1);
        let (tell, news) = mpsc::channel(1);
        // Not on the thread: what changes before that has its first turn would never be seen.
        let seen = sign(&files);
        let laid = Arc::<Mutex<Vec<Laid>>>::default();
        let lies = Arc::clone(&laid);
        let load = move || {
            let lies = lies.lock().unwrap_or_else(PoisonError::into_inner).clone();
            load(&lies)
        };
        let thread = std::thread::Builder::new()
            .name("profile".to_owned())
            .spawn(move || watch(&load, files, seen, &asked, &tell))?;
        Ok(Self { ask, laid, news, thread })
    }

    /// Reads the profile again, changed or not.
    pub fn ask(&self) {
        // When one look is asked for already, that one will do.
        let _ = self.ask.try_send(());
    }

    /// Reads the profile again with these overlays over it, and from now on always.
    pub fn lay(&self, laid: Vec<Laid>) {
        *self.laid.lock().unwrap_or_else(PoisonError::into_inner) = laid;
        self.ask();
    }

    /// The next news; never any when the thread has ended.
    pub async fn next(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Whether the thread has ended: our own bug.
    pub fn ended(&self) -> bool {
        self.thread.is_finished()
    }
}

fn watch(
    load: &dyn Fn() -> Result<Checked, Vec<Mistake>>,
    mut files: Vec<PathBuf>,
    mut seen: Vec<Sign>,
    asked: &calls::Receiver<()>,
    tell: &mpsc::Sender<News>,
) {
    loop {
        match asked.recv_timeout(LOOK_EVERY) {
            Ok(()) => seen = sign(&files),
            Err(calls::RecvTimeoutError::Disconnected) => return,
            Err(calls::RecvTimeoutError::Timeout) => {
                let mut now = sign(&files);
                if now == seen {
                    continue;
                }
                while let Err(calls::RecvTimeoutError::Timeout) = asked.recv_timeout(SETTLED) {
                    let before = std::mem::replace(&mut now, sign(&files));
                    if before == now {
                        break;
                    }
                }
                seen = now;
            }
        }
        let news = load().map(Box::new);
        if let Ok(checked) = &news
            && checked.files != files
        {
            files.clone_from(&checked.files);
            seen = sign(&files);
        }
        if tell.blocking_send(news).is_err() {
            return;
        }
    }
}

/// What a file looks like from outside: its length and when it was last written; none while it is not there.
type Sign = Option<(u64, Option<SystemTime>)>;

fn sign(files: &[PathBuf]) -> Vec<Sign> {
    let one = |file: &PathBuf| {
        let about = std::fs::metadata(file).ok()?;
        Some((about.len(), about.modified().ok()))
    };
    files.iter().map(one).collect()
}
