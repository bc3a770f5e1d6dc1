//! Notifies other servers on the same database of changed streams, and receives their notifications.
//!
//! Changes are batched for some milliseconds and sent over a separate connection, after the commits: `NOTIFY` inside a
//! commit takes a lock on the whole database and costs nine tenths of the throughput.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kymograph_app::kernel::change::ChangeListener;
use kymograph_app::kernel::feed_health::{BEAT_INTERVAL, FeedHealth, MAX_SILENCE};
use kymograph_app::kernel::random::{hex, random_bytes};
use kymograph_app::{Error, Result};
use kymograph_domain::{OrgId, StreamId};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_postgres::{AsyncMessage, Client};

use crate::database_server::DatabaseServer;

const CHANNEL: &str = "kymograph_changes";
/// How long changes are batched.
const GATHER: Duration = Duration::from_millis(20);
/// The pause before a reconnection.
const RECONNECT: Duration = Duration::from_secs(1);
/// The timeout of a connection attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many changes can be queued. Beyond that, listeners are notified that anything may have changed.
const MAX_WAITING: usize = 10_000;
/// PostgreSQL refuses messages of 8,000 bytes and more.
const MAX_MESSAGE_BYTES: usize = 7_500;

/// The statement by which a command notifies all servers, in its transaction, that anything may have changed.
pub(crate) const EVERYTHING_CHANGED: &str =
    r#"SELECT pg_notify('kymograph_changes', '{"server": "command", "changes": null}')"#;

/// An announcement.
enum Announcement {
    /// Streams of an org have changed.
    Change(OrgId, Vec<StreamId>),
    /// A flush: all earlier announcements have been sent.
    Flush(oneshot::Sender<()>),
}

/// A notification.
#[derive(Serialize, Deserialize)]
struct Message {
    /// The sending server.
    server: String,
    /// The streams that changed, by org; `None` if anything may have changed.
    changes: Option<Changes>,
    /// The heartbeat to itself, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beat: Option<u64>,
}

/// The streams that changed, by org.
type Changes = BTreeMap<i64, BTreeSet<StreamId>>;

/// The sender of announcements.
#[derive(Clone)]
pub struct ChangeFeed {
    sender: mpsc::Sender<Announcement>,
    is_overrun: Arc<AtomicBool>,
}

/// A message of the feed.
pub struct Announcements {
    receiver: mpsc::Receiver<Announcement>,
    /// Whether the queue was full.
    is_overrun: Arc<AtomicBool>,
}

impl ChangeFeed {
    /// A feed with the receiver of its announcements.
    #[must_use]
    pub fn new() -> (Self, Announcements) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        let is_overrun = Arc::<AtomicBool>::default();
        (Self { sender, is_overrun: is_overrun.clone() }, Announcements { receiver, is_overrun })
    }

    /// The number of queued changes.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// Waits until all queued changes have been sent.
    pub async fn flush(&self) {
        loop {
            let (done, is_done) = oneshot::channel();
            // A feed that ended sends nothing more. One that lost its connection during a notification announces that
            // anything may have changed after it has reconnected.
            if self.sender.send(Announcement::Flush(done)).await.is_err() || is_done.await.is_ok() {
                return;
            }
        }
    }

    /// Announces that streams of an org have changed. Never waits.
    pub fn publish(&self, org: OrgId, streams: Vec<StreamId>) {
        if self.sender.try_send(Announcement::Change(org, streams)).is_err() {
            self.is_overrun.store(true, Ordering::Release);
        }
    }
}

/// Runs the feed until the task is aborted: sends announcements, and passes notifications of other servers to the
/// listeners.
pub fn run(
    database: DatabaseServer,
    mut changes: Announcements,
    listeners: Vec<Arc<dyn ChangeListener>>,
    health: Arc<FeedHealth>,
) -> Result<JoinHandle<()>> {
    let feed = Feed { server: hex(&random_bytes::<8>()?), listeners, health };
    Ok(tokio::spawn(async move {
        loop {
            if let Err(error) = feed.run_connected(&database, &mut changes).await {
                tracing::warn!(%error, "the change feed lost its connection: caches are disabled until it reconnects");
            }
            feed.health.lost();
            tokio::time::sleep(RECONNECT).await;
            feed.everything_changed();
        }
    }))
}

/// The feed of one server.
struct Feed {
    /// The sending server.
    server: String,
    listeners: Vec<Arc<dyn ChangeListener>>,
    health: Arc<FeedHealth>,
}

impl Feed {
    fn everything_changed(&self) {
        self.listeners.iter().for_each(|listener| listener.everything_changed());
    }

    async fn run_connected(&self, database: &DatabaseServer, changes: &mut Announcements) -> Result<()> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, database.connect()).await;
        let (client, mut connection) =
            connected.map_err(|_| Error::unavailable("connecting timed out"))??;
        let receiving = async {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        self.receive(notification.payload());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(Error::unavailable(error)),
                    None => return Err(Error::unavailable("the connection was closed")),
                }
            }
        };
        let telling = async {
            let listen = format!("SET synchronous_commit = off; LISTEN {CHANNEL}");
            client.batch_execute(&listen).await.map_err(Error::unavailable)?;
            // Changes committed while the connection was down are not sent again, in either direction.
            self.everything_changed();
            self.notify(&client, None).await?;
            let mut beats = tokio::time::interval(BEAT_INTERVAL);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = beats.tick() => self.beat(&client).await?,
                    first = changes.receiver.recv() => {
                        let Some(first) = first else { return Ok(()) };
                        tokio::time::sleep(GATHER).await;
                        self.tell(&client, first, changes).await?;
                    }
                }
            }
        };
        tokio::select! {
            result = receiving => result,
            result = telling => result,
            () = self.silence() => Err(Error::unavailable("it stopped responding")),
        }
    }

    /// Waits until a new connection has been silent for too long.
    async fn silence(&self) {
        tokio::time::sleep(MAX_SILENCE).await;
        while self.health.is_live() {
            tokio::time::sleep(BEAT_INTERVAL / 2).await;
        }
    }

    /// Sends a heartbeat that this server must receive itself. Earlier notifications arrive before it, because the
    /// database delivers in order.
    async fn beat(&self, client: &Client) -> Result<()> {
        let (server, changes) = (self.server.clone(), Some(Changes::new()));
        self.send(client, &Message { server, changes, beat: Some(self.health.now()) }).await
    }

    /// Sends a change with all queued ones.
    async fn tell(&self, client: &Client, first: Announcement, changes: &mut Announcements) -> Result<()> {
        let (mut gathered, mut waiting) = (Changes::new(), Vec::new());
        let mut next = Some(first);
        while let Some(announcement) = next {
            match announcement {
                Announcement::Change(org, streams) => gathered.entry(org.0).or_default().extend(streams),
                Announcement::Flush(done) => waiting.push(done),
            }
            next = changes.receiver.try_recv().ok();
        }
        if changes.is_overrun.swap(false, Ordering::AcqRel) {
            self.notify(client, None).await?;
        } else if !gathered.is_empty() {
            self.notify(client, Some(gathered)).await?;
        }
        // The receiver may have been dropped.
        waiting.into_iter().for_each(|done| {
            let _ = done.send(());
        });
        Ok(())
    }

    /// Sends the changed streams; `None`, or too many for a message, means that anything may have changed.
    async fn notify(&self, client: &Client, changes: Option<Changes>) -> Result<()> {
        self.send(client, &Message { server: self.server.clone(), changes, beat: None }).await
    }

    async fn send(&self, client: &Client, message: &Message) -> Result<()> {
        let mut text = serde_json::to_string(message).map_err(Error::internal)?;
        if text.len() > MAX_MESSAGE_BYTES {
            let everything = Message { server: message.server.clone(), changes: None, beat: message.beat };
            text = serde_json::to_string(&everything).map_err(Error::internal)?;
        }
        client.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &text]).await.map_err(Error::unavailable)?;
        Ok(())
    }

    fn receive(&self, payload: &str) {
        let listeners = &self.listeners;
        match serde_json::from_str::<Message>(payload) {
            Ok(message) if message.server == self.server => {
                if let Some(sent_at) = message.beat {
                    self.health.heard(sent_at);
                }
            }
            Ok(Message { changes: Some(changes), .. }) => {
                for (org, streams) in changes {
                    let streams: Vec<_> = streams.into_iter().collect();
                    listeners.iter().for_each(|listener| listener.streams_changed(OrgId(org), &streams));
                }
            }
            Ok(Message { changes: None, .. }) => {
                self.everything_changed();
            }
            Err(error) => {
                tracing::warn!(%error, "ignored a change notification of another server in an unknown format");
                self.everything_changed();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_wait_is_told_as_anything() {
        let (feed, announcements) = ChangeFeed::new();
        for _ in 0..MAX_WAITING {
            feed.publish(OrgId(1), Vec::new());
        }
        assert!(!announcements.is_overrun.load(Ordering::Acquire));
        assert_eq!(feed.waiting(), MAX_WAITING);
        feed.publish(OrgId(1), Vec::new());
        assert!(announcements.is_overrun.load(Ordering::Acquire));
    }
}
