//! The main process of Postgres, whether we started it or found it running.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use crate::error::EmbeddedError;
use crate::pid_file::is_postmaster;

/// How often a process that is not our child is checked.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// The steps of stopping Postgres: first fast (clients are disconnected, everything is written to the tables), then
/// immediate (the next start replays the log). Neither loses acknowledged writes.
const STOPS: [(Signal, Duration); 2] =
    [(Signal::INT, Duration::from_secs(20)), (Signal::QUIT, Duration::from_secs(10))];

/// A running Postgres.
#[derive(Debug)]
pub(crate) enum Postmaster {
    /// We started it.
    Child { child: Child, pid: i32 },
    /// A previous server started it, and was killed.
    Adopted { pid: i32, cluster: PathBuf },
}

impl Postmaster {
    pub(crate) fn pid(&self) -> i32 {
        match self {
            Self::Child { pid, .. } | Self::Adopted { pid, .. } => *pid,
        }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        match self {
            Self::Child { child, .. } => !matches!(child.try_wait(), Ok(None)),
            Self::Adopted { pid, cluster } => !is_postmaster(*pid, cluster),
        }
    }

    /// Waits for its end, and returns how it ended if that is known.
    pub(crate) async fn ended(&mut self) -> String {
        if let Self::Child { child, .. } = self {
            return child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
        }
        while !self.has_ended() {
            sleep(WATCH_INTERVAL).await;
        }
        "not our child".to_owned()
    }

    pub(crate) async fn stop(&mut self) -> Result<(), EmbeddedError> {
        for (signal, patience) in STOPS {
            // Also for a child: after it was waited for, its number may belong to another process.
            if self.has_ended() {
                return Ok(());
            }
            if let Some(pid) = Pid::from_raw(self.pid()) {
                // It may have ended meanwhile; then the wait below returns at once.
                let _ = kill_process(pid, signal);
            }
            if timeout(patience, self.ended()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(pid = self.pid(), ?signal, "PostgreSQL does not stop");
        }
        Err(EmbeddedError::StillRunning(self.pid()))
    }
}
