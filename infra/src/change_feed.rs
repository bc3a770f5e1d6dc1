//! Tells other servers on the same database which streams have changed, and listens to what they tell.
//!
//! Changes are gathered for some milliseconds and told over a connection of their own, after the commits:
//! `NOTIFY` inside a commit takes a lock on the whole database and costs nine tenths of the throughput.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use kymograph_app::change::ChangeListener;
use kymograph_app::random::{hex, random_bytes};
use kymograph_app::{Error, Result};
use kymograph_domain::{OrgId, StreamId};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client};

use crate::database_server::DatabaseServer;

const CHANNEL: &str = "kymograph_changes";
/// How long changes are gathered before they are told.
const GATHER: Duration = Duration::from_millis(20);
/// How long to wait before connecting again.
const RECONNECT: Duration = Duration::from_secs(1);
/// How many changes may wait to be told. Beyond that, listeners are told that anything may have changed.
const MAX_WAITING: usize = 10_000;
/// PostgreSQL refuses messages of 8,000 bytes and more.
const MAX_MESSAGE_BYTES: usize = 7_500;

/// What a command says in its transaction to tell all servers that anything may have changed.
pub(crate) const EVERYTHING_CHANGED: &str =
    r#"SELECT pg_notify('kymograph_changes', '{"server": "command", "changes": null}')"#;

/// What is announced.
pub enum Announcement {
    /// Streams of an org have changed.
    Change(OrgId, Vec<StreamId>),
    /// Somebody waits until all that was announced before has been told.
    Flush(oneshot::Sender<()>),
}

/// What one server tells the others.
#[derive(Serialize, Deserialize)]
struct Message {
    /// Which server it is.
    server: String,
    /// The streams that changed, by org; `None` if anything may have changed.
    changes: Option<Changes>,
}

/// The streams that changed, by org.
type Changes = BTreeMap<i64, BTreeSet<StreamId>>;

/// Where commits are announced.
#[derive(Clone)]
pub struct ChangeFeed(mpsc::Sender<Announcement>);

impl ChangeFeed {
    /// A feed, and what arrives through it.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Announcement>) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self(sender), receiver)
    }

    /// How many changes wait to be told to other servers.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }

    /// Waits until other servers have been told what was announced so far.
    pub async fn flush(&self) {
        let (done, is_done) = oneshot::channel();
        if self.0.send(Announcement::Flush(done)).await.is_ok() {
            // A feed that ended tells nothing any more.
            let _ = is_done.await;
        }
    }

    /// Announces that streams of an org have changed. Never waits.
    pub fn publish(&self, org: OrgId, streams: Vec<StreamId>) {
        // When the database is away longer than changes can be kept, the connection is lost too, and everybody
        // forgets everything when it is back.
        if self.0.try_send(Announcement::Change(org, streams)).is_err() {
            tracing::debug!(org = org.0, "a change could not be announced");
        }
    }
}

/// Runs the feed until the task is aborted: tells what arrives, and tells listeners what others say.
pub fn run(
    database: DatabaseServer,
    mut changes: mpsc::Receiver<Announcement>,
    listeners: Vec<Arc<dyn ChangeListener>>,
) -> Result<JoinHandle<()>> {
    let server = hex(&random_bytes::<8>()?);
    Ok(tokio::spawn(async move {
        loop {
            if let Err(error) = run_connected(&database, &server, &mut changes, &listeners).await {
                tracing::warn!(%error, "the change feed lost its connection");
            }
            tokio::time::sleep(RECONNECT).await;
            listeners.iter().for_each(|listener| listener.everything_changed());
        }
    }))
}

async fn run_connected(
    database: &DatabaseServer,
    server: &str,
    changes: &mut mpsc::Receiver<Announcement>,
    listeners: &[Arc<dyn ChangeListener>],
) -> Result<()> {
    let (client, mut connection) = database.connect().await?;
    let receiving = async {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    receive(server, notification.payload(), listeners);
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
        // Changes committed while the connection was down are not repeated, in either direction.
        listeners.iter().for_each(|listener| listener.everything_changed());
        notify(&client, server, None).await?;
        while let Some(first) = changes.recv().await {
            tokio::time::sleep(GATHER).await;
            tell(&client, server, first, changes).await?;
        }
        Ok(())
    };
    tokio::select! {
        result = receiving => result,
        result = telling => result,
    }
}

/// Tells a change with all that have gathered behind it.
async fn tell(
    client: &Client,
    server: &str,
    first: Announcement,
    changes: &mut mpsc::Receiver<Announcement>,
) -> Result<()> {
    let (mut gathered, mut waiting) = (Changes::new(), Vec::new());
    let mut next = Some(first);
    while let Some(announcement) = next {
        match announcement {
            Announcement::Change(org, streams) => gathered.entry(org.0).or_default().extend(streams),
            Announcement::Flush(done) => waiting.push(done),
        }
        next = changes.try_recv().ok();
    }
    if !gathered.is_empty() {
        notify(client, server, Some(gathered)).await?;
    }
    // Whoever waits may have given up.
    waiting.into_iter().for_each(|done| {
        let _ = done.send(());
    });
    Ok(())
}

/// Tells what changed; `None`, or too much to say, means that anything may have.
async fn notify(client: &Client, server: &str, changes: Option<Changes>) -> Result<()> {
    let encode = |changes| serde_json::to_string(&Message { server: server.to_owned(), changes });
    let mut message = encode(changes).map_err(Error::internal)?;
    if message.len() > MAX_MESSAGE_BYTES {
        message = encode(None).map_err(Error::internal)?;
    }
    client.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &message]).await.map_err(Error::unavailable)?;
    Ok(())
}

fn receive(server: &str, payload: &str, listeners: &[Arc<dyn ChangeListener>]) {
    match serde_json::from_str::<Message>(payload) {
        Ok(message) if message.server == server => {}
        Ok(Message { changes: Some(changes), .. }) => {
            for (org, streams) in changes {
                let streams: Vec<_> = streams.into_iter().collect();
                listeners.iter().for_each(|listener| listener.streams_changed(OrgId(org), &streams));
            }
        }
        Ok(Message { changes: None, .. }) => {
            listeners.iter().for_each(|listener| listener.everything_changed());
        }
        Err(error) => {
            tracing::warn!(%error, "another server told of a change in words this one does not know");
            listeners.iter().for_each(|listener| listener.everything_changed());
        }
    }
}
