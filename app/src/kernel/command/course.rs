//! The course of a command: its decisions so far, and the state that the next decision is based on.

use std::time::Duration;

use kymograph_domain::OrgId;
use tokio::sync::OwnedMutexGuard;

use super::Commands;
use crate::kernel::event_store::{CommitError, Committed, Queued};
use crate::kernel::unit::Loaded;

/// The course of a command from its first decision to its end.
pub(super) struct Course<'a> {
    commands: &'a Commands,
    org: OrgId,
    /// Whether it is decided on top of pending commits, because one of them was faster. Other commands are not: they
    /// need no turn, and are refused only by state that is written.
    is_ahead: bool,
    /// The turn of one of the org's commands that lost a race.
    turn: Option<OwnedMutexGuard<()>>,
    /// Whether a decision has been repeated on state read from the database only.
    is_fresh: bool,
    /// Whether its commit has failed before, because another one was written first.
    has_lost: bool,
    /// Whether an object that it refers to was missing before.
    is_gone: bool,
}

impl<'a> Course<'a> {
    /// The course of a command in an org, before its first decision.
    pub(super) fn new(commands: &'a Commands, org: OrgId) -> Self {
        Self { commands, org, is_ahead: false, turn: None, is_fresh: false, has_lost: false, is_gone: false }
    }

    /// Begins a decision. It first waits for its turn if other commands were faster.
    pub(super) async fn begin(&mut self) -> Loaded {
        if self.is_ahead && self.turn.is_none() {
            self.turn = Some(self.commands.turns.get_or(self.org, Default::default).lock_owned().await);
        }
        Loaded::new(self.is_ahead)
    }

    /// Whether a decision without events must be repeated on state read from the database. The client gets its result
    /// only if it depends on nothing else: pending commits may fail, and cached state may be stale.
    pub(super) async fn must_decide_on_stored(&mut self, loaded: &Loaded) -> bool {
        if self.is_fresh && !self.is_ahead {
            return false;
        }
        let noted = loaded.take();
        (self.is_fresh, self.is_ahead, self.turn) = (true, false, None);
        for fate in &noted.fates {
            fate.settled().await;
        }
        self.commands.stores.events.forget(&noted.streams);
        !noted.streams.is_empty()
    }

    /// Notes that a pending commit was faster.
    pub(super) fn is_behind(&mut self) {
        self.is_ahead = true;
    }

    /// Waits until the decision is written. The turn passes on as soon as the next command can be decided on this one.
    pub(super) async fn written(&mut self, queued: Queued) -> Result<Committed, CommitError> {
        if queued.is_ground {
            self.turn = None;
        }
        queued.written().await
    }

    /// Notes that another commit was written first.
    pub(super) async fn lost(&mut self, attempt: u32, loaded: &Loaded) {
        tracing::debug!(attempt, "optimistic concurrency conflict: retrying the command");
        if self.has_lost {
            // Another server may have changed streams that the decision only read.
            self.commands.stores.events.forget(&loaded.take().streams);
            tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await;
        }
        (self.has_lost, self.is_ahead) = (true, true);
    }

    /// Notes that an object that it refers to is missing. True for the first time, when the cached state may be wrong.
    pub(super) fn misses(&mut self, loaded: &Loaded) -> bool {
        if self.is_gone {
            return false;
        }
        self.is_gone = true;
        self.commands.stores.events.forget(&loaded.take().streams);
        true
    }
}
