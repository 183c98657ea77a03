//! One task per host and port: it owns the connection and the sessions of all devices behind it, gives each its
//! turn, and reports what they learn. It never repeats an order by itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::desk::Desk;
pub use super::desk::Report;
use super::dial::Dial;
use super::link::{Link, LinkOptions};
use super::pacer::Pacer;
use super::state::LinkState;
use crate::device::order::DeviceOrder;
use crate::device::session::Session;

/// Orders that may wait for the endpoint to look; it looks also while it waits for an answer.
const QUEUE: usize = 64;

/// The task of one host and port.
#[derive(Debug)]
pub struct Endpoint {
    link: Link,
    desk: Desk,
    mail: Mail,
    reports: mpsc::Sender<Report>,
    pacer: Pacer,
}

/// How the daemon speaks to an endpoint's task. When the last one is dropped, the task ends.
#[derive(Clone, Debug)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    state: watch::Receiver<LinkState>,
}

#[derive(Debug)]
enum Message {
    Order(usize, DeviceOrder),
    Stop { releases: Vec<(usize, DeviceOrder)>, within: Duration },
}

/// The endpoint did not take an order: its queue is full, or it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint takes no more orders now")]
pub struct NotTaken;

impl Handle {
    /// Hands over an order without waiting.
    ///
    /// # Errors
    /// When the queue is full or the task has ended; the order is not kept.
    pub fn order(&self, device: usize, order: DeviceOrder) -> Result<(), NotTaken> {
        self.messages.try_send(Message::Order(device, order)).map_err(|_| NotTaken)
    }

    /// Ends the task: it works on these releases only, for at most this long in real time, then closes. The task
    /// goes on reporting meanwhile, and is over when its future is.
    pub async fn stop(&self, releases: Vec<(usize, DeviceOrder)>, within: Duration) {
        // When it has ended already, there is nothing to stop.
        let _ = self.messages.send(Message::Stop { releases, within }).await;
    }

    /// The connection's state; announced when it goes up or down, readable at any time.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }
}

impl Endpoint {
    /// An endpoint that is not running yet. Devices carry the site's numbers, which come back in the reports.
    #[must_use]
    pub fn new(
        options: LinkOptions,
        dial: Arc<dyn Dial>,
        sessions: Vec<(usize, Session)>,
        pacer: Pacer,
        reports: mpsc::Sender<Report>,
    ) -> (Self, Handle) {
        let link = Link::new(options, dial, pacer.clone());
        let (send, messages) = mpsc::channel(QUEUE);
        let handle = Handle { messages: send, state: link.state() };
        let mail = Mail { messages, pacer: pacer.clone(), open: true, until: None };
        (Self { link, desk: Desk::new(sessions), mail, reports, pacer }, handle)
    }

    /// Runs until it is stopped, nobody holds a [`Handle`], or nobody takes the reports.
    pub async fn run(mut self) {
        // Both ends of a task look alike from here: it has nothing left to do, or its time is over.
        let (Ok(()) | Err(Over)) = self.serve().await;
    }

    async fn serve(&mut self) -> Result<(), Over> {
        let Self { link, desk, mail, reports, pacer } = self;
        loop {
            while let Some(report) = desk.next_report() {
                mail.during(desk, reports.send(report)).await?.map_err(|_| Over)?;
            }
            if desk.done() {
                return Ok(());
            }
            if let Some(until) = link.shut_until() {
                mail.rest(desk, sleep_until(until)).await?;
            } else if !link.is_open() && desk.next_due() <= pacer.now() {
                // Before anything is asked: an order must not grow old while a connection is made.
                if mail.during(desk, link.open()).await?.is_err() {
                    desk.away(pacer.now());
                }
            } else if let Some(question) = desk.next(pacer.now()) {
                let exchange = link.exchange(&question.ask);
                let result = mail.during(desk, exchange).await?;
                desk.answered(&question, result, link.take_broke(), pacer.now());
            } else if !desk.has_reports() {
                let due = desk.next_due();
                mail.rest(desk, pacer.sleep_until(due)).await?;
            }
        }
    }
}

/// What the daemon sends, taken at once whatever the task is waiting for.
#[derive(Debug)]
struct Mail {
    messages: mpsc::Receiver<Message>,
    pacer: Pacer,
    /// Whether anybody can still send.
    open: bool,
    /// The deadline of a stop.
    until: Option<Instant>,
}

/// The time to stop is over, or nobody is left to serve.
struct Over;

impl Mail {
    /// Waits for this and nothing less; messages are taken meanwhile.
    async fn during<T>(&mut self, desk: &mut Desk, wait: impl Future<Output = T>) -> Result<T, Over> {
        tokio::pin!(wait);
        loop {
            tokio::select! {
                biased;
                done = &mut wait => return Ok(done),
                message = self.messages.recv(), if self.open && !desk.is_crowded() => self.take(desk, message)?,
                () = deadline(self.until) => return Err(Over),
            }
        }
    }

    /// Waits for this or a message, whichever is first.
    async fn rest(&mut self, desk: &mut Desk, wait: impl Future<Output = ()>) -> Result<(), Over> {
        tokio::select! {
            biased;
            message = self.messages.recv(), if self.open => self.take(desk, message),
            () = deadline(self.until) => Err(Over),
            () = wait => Ok(()),
        }
    }

    fn take(&mut self, desk: &mut Desk, message: Option<Message>) -> Result<(), Over> {
        let now = self.pacer.now();
        match message {
            // After a stop only its releases count, and nobody need wait for them.
            None if self.until.is_some() => self.open = false,
            None => return Err(Over),
            Some(Message::Order(..)) if self.until.is_some() => {}
            Some(Message::Order(device, order)) => desk.order(device, order, now),
            Some(Message::Stop { releases, within }) => {
                let until = Pacer::wire_now().checked_add(within);
                self.until = Some(until.unwrap_or_else(Pacer::wire_now));
                desk.stop(&releases, now);
            }
        }
        Ok(())
    }
}

async fn deadline(until: Option<Instant>) {
    match until {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
