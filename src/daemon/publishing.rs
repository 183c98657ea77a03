//! The thread on which what services may see is made: with thousands of signals that takes milliseconds, which no
//! order should wait for.
//!
//! One sheet goes to and fro. The control thread writes the newest moment on it when it is at hand and goes on at
//! once; while it is away, nothing is copied. So nothing piles up, and what is published is the newest there was.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use tokio::sync::{mpsc, watch};

use crate::services;
use crate::services::published::Published;

use super::moment::Moment;
use super::publish::Publisher;

/// The publishing thread. It ends by itself when this is dropped.
#[derive(Debug)]
pub struct Publishing {
    away: mpsc::Sender<Box<Moment>>,
    back: mpsc::Receiver<Box<Moment>>,
    thread: JoinHandle<()>,
}

impl Publishing {
    /// Publishes there from now on, on this sheet.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(publish: watch::Sender<Arc<Published>>, sheet: Moment) -> io::Result<Self> {
        let (away, mut arrived) = mpsc::channel::<Box<Moment>>(1);
        let (done, back) = mpsc::channel(1);
        // There is room for the only sheet.
        let _ = done.try_send(Box::new(sheet));
        let thread = Builder::new().name("publish".to_owned()).spawn(move || {
            services::stand_back();
            let mut publisher = Publisher::default();
            while let Some(moment) = arrived.blocking_recv() {
                publish.send_replace(Arc::new(publisher.published(&moment)));
                if done.blocking_send(moment).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { away, back, thread })
    }

    /// Publishes this moment unless the last one is still being published. Never waits; says whether it did.
    pub fn publish(&mut self, copy: impl FnOnce(&mut Moment)) -> bool {
        let sheet = self.back.try_recv();
        sheet.is_ok_and(|mut sheet| {
            copy(&mut sheet);
            self.away.try_send(sheet).is_ok()
        })
    }

    /// Whether the thread has ended: our own bug.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Publishes a last moment, and comes back when that is done.
    pub async fn finish(&mut self, copy: impl FnOnce(&mut Moment)) {
        if let Some(mut sheet) = self.back.recv().await {
            copy(&mut sheet);
            let _gone = self.away.try_send(sheet);
            let _published = self.back.recv().await;
        }
    }
}
