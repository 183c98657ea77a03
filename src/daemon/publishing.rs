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

#[cfg(test)]
mod tests {
    use super::super::moment::Frame;
    use super::*;
    use crate::control::units::Mono;
    use crate::profile::{Overrides, load_shipped};

    fn publishing() -> (Publishing, watch::Receiver<Arc<Published>>) {
        let checked = load_shipped("demo", &Overrides::default()).unwrap();
        let carriers = vec![None; checked.devices.len()];
        let frame = Frame { checked: Arc::new(checked), lines: Vec::new(), carriers };
        let (publish, published) = watch::channel(Arc::default());
        (Publishing::start(publish, Moment::blank(Arc::new(frame))).unwrap(), published)
    }

    #[tokio::test]
    async fn a_slow_publisher_gets_no_moment_before_it_gave_the_last_one_back() {
        let (mut publishing, published) = publishing();
        // The sheet is away, as with a thread that has not finished.
        let sheet = publishing.back.recv().await.unwrap();
        assert!(!publishing.publish(|_| unreachable!("nothing is copied")));
        publishing.away.send(sheet).await.unwrap();
        publishing.finish(|moment| moment.now = Mono(7_000)).await;
        assert_eq!(published.borrow().now_ms, 7_000, "the newest one is published");
    }

    #[tokio::test]
    async fn the_thread_that_publishes_ends_with_its_owner_and_is_missed_when_it_ends_by_itself() {
        let (mut publishing, mut published) = publishing();
        assert!(!publishing.ended());
        // A sheet that nobody can publish any more.
        let (away, _) = mpsc::channel(1);
        publishing.away = away;
        while published.changed().await.is_ok() {}
        wait_for_end(&publishing).await;
        assert!(!publishing.publish(|_| ()));
    }

    async fn wait_for_end(publishing: &Publishing) {
        while !publishing.ended() {
            tokio::task::yield_now().await;
        }
    }
}
