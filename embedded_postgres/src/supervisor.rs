//! Starts Postgres, and restarts it after a crash.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::connection::{self, answers};
use crate::error::EmbeddedError;
use crate::pid_file::Running;
use crate::postmaster::Postmaster;
use crate::server_log::ServerLog;

/// The polling interval for a starting server: short at first; later, while it recovers from a crash, long enough not
/// to slow it down.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(50));

/// How long the leftovers of a dead predecessor may prevent a start before that counts as a failure.
const HINDRANCE_LIMIT: Duration = Duration::from_secs(60);

/// A server that ran for this long is not in a crash loop.
const STEADY: Duration = Duration::from_secs(30);

/// Keeps one Postgres running.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) cluster: Cluster,
    /// Stored here from the moment of its launch, so that a stop during a start finds it.
    postmaster: Option<Postmaster>,
}

impl Supervisor {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster, postmaster: None }
    }

    /// Adopts the running server or starts one, until it accepts connections. The processes of a killed postmaster live
    /// on for a moment and hold its shared memory, so that a start fails: such starts are repeated.
    pub(crate) async fn bring_up(&mut self) -> Result<(), EmbeddedError> {
        let begun = Instant::now();
        let mut pause = Backoff::new(Duration::from_millis(20), Duration::from_millis(500));
        loop {
            let (postmaster, log) = match Running::find(&self.cluster.place.cluster)? {
                Some(running) => (self.cluster.adopt(running), None),
                None => self.cluster.launch().map(|(postmaster, log)| (postmaster, Some(log)))?,
            };
            let postmaster = self.postmaster.insert(postmaster);
            if becomes_ready(&self.cluster, postmaster).await? {
                let (pid, took_ms) = (postmaster.pid(), begun.elapsed().as_millis());
                tracing::info!(pid, took_ms, adopted = log.is_none(), "the embedded PostgreSQL is ready");
                return Ok(());
            }
            // An adopted server has finished its shutdown; one that we launched explains why it could not start.
            if let Some(reason) = log.as_ref().map(ServerLog::last_lines)
                && (!is_hindered(&reason) || begun.elapsed() > HINDRANCE_LIMIT)
            {
                return Err(EmbeddedError::Launch { log: self.cluster.place.log.clone(), reason });
            }
            pause.wait().await;
        }
    }

    /// Keeps Postgres running until the stop, or until the handle is dropped, which leaves it running.
    pub(crate) async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Result<(), EmbeddedError> {
        let asked = tokio::select! {
            asked = &mut stop => asked,
            never = self.keep_up() => match never {},
        };
        match self.postmaster {
            Some(mut postmaster) if asked.is_ok() => postmaster.stop().await,
            _ => Ok(()),
        }
    }

    async fn keep_up(&mut self) -> Infallible {
        let mut pause = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        loop {
            let since = Instant::now();
            if let Some(postmaster) = &mut self.postmaster {
                let status = postmaster.ended().await;
                tracing::error!(
                    pid = postmaster.pid(),
                    status,
                    "the embedded PostgreSQL exited unexpectedly: restarting it"
                );
            }
            if since.elapsed() > STEADY {
                pause.reset();
            }
            loop {
                pause.wait().await;
                match self.bring_up().await {
                    Ok(()) => break,
                    Err(error) => {
                        tracing::error!(%error, "could not start the embedded PostgreSQL: retrying");
                    }
                }
            }
        }
    }
}

/// Waits until the server accepts connections; false if it ended instead. There is no timeout, because it may have to
/// replay a long log.
async fn becomes_ready(cluster: &Cluster, postmaster: &mut Postmaster) -> Result<bool, EmbeddedError> {
    let begun = Instant::now();
    let mut next_notice = Duration::from_secs(5);
    loop {
        // Its own file is checked first: connecting too early would only fill its log with refusals.
        if let Some(running) = Running::find(&cluster.place.cluster)?
            && running.is_ready
            && running.pid == postmaster.pid()
            && answers(&connection::config(&cluster.socket, cluster.port)).await?
        {
            return Ok(true);
        }
        if postmaster.has_ended() {
            return Ok(false);
        }
        let waited = begun.elapsed();
        if waited > next_notice {
            tracing::warn!(waited_s = waited.as_secs(), "the embedded PostgreSQL is not ready yet");
            next_notice *= 2;
        }
        sleep(if waited < Duration::from_secs(1) { POLL.0 } else { POLL.1 }).await;
    }
}

/// Whether a start failed only because of a temporary leftover of a predecessor.
fn is_hindered(reason: &str) -> bool {
    reason.contains("pre-existing shared memory block")
        || (reason.contains("lock file \"") && reason.contains("already exists"))
}

/// Pauses between attempts: none before the first, then increasing ones up to a limit.
#[derive(Debug)]
struct Backoff {
    first: Duration,
    limit: Duration,
    next: Duration,
}

impl Backoff {
    fn new(first: Duration, limit: Duration) -> Self {
        Self { first, limit, next: Duration::ZERO }
    }

    fn reset(&mut self) {
        self.next = Duration::ZERO;
    }

    async fn wait(&mut self) {
        sleep(self.next).await;
        self.next = (self.next * 2).clamp(self.first, self.limit);
    }
}
