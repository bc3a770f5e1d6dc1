//! The course of a command: its decisions so far, and the state that the next is made on.

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
    /// Whether it is decided on what commits come to that are yet to be written, because one of them was faster. Others
    /// are not: they need no turn, and what refuses them is written.
    is_ahead: bool,
    /// The turn of the org's commands that were too slow.
    turn: Option<OwnedMutexGuard<()>>,
    /// Whether all it was decided on was read from the database once.
    is_fresh: bool,
    /// Whether another commit was written before its own.
    has_lost: bool,
    /// Whether something was gone that it refers to.
    is_gone: bool,
}

impl<'a> Course<'a> {
    /// The course of a command in an org that is yet to be decided.
    pub(super) fn new(commands: &'a Commands, org: OrgId) -> Self {
        Self { commands, org, is_ahead: false, turn: None, is_fresh: false, has_lost: false, is_gone: false }
    }

    /// Begins a decision, which has to wait for its turn if others were faster before.
    pub(super) async fn begin(&mut self) -> Loaded {
        if self.is_ahead && self.turn.is_none() {
            self.turn = Some(self.commands.turns.get_or(self.org, Default::default).lock_owned().await);
        }
        Loaded::new(self.is_ahead)
    }

    /// Whether a decision that writes nothing has to be made again on what the database says. It is answered only if it
    /// was made on nothing else: what is yet to be written may fail, and what is remembered be old.
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

    /// Takes that a commit which is yet to be written was faster.
    pub(super) fn is_behind(&mut self) {
        self.is_ahead = true;
    }

    /// Waits until what was decided is written. It is the next one's turn as soon as that can be decided on this one.
    pub(super) async fn written(&mut self, queued: Queued) -> Result<Committed, CommitError> {
        if queued.is_ground {
            self.turn = None;
        }
        queued.written().await
    }

    /// Takes that a commit was written before its own.
    pub(super) async fn lost(&mut self, attempt: u32, loaded: &Loaded) {
        tracing::debug!(attempt, "optimistic concurrency conflict: retrying the command");
        if self.has_lost {
            // Another server may have changed streams that the decision only looked at.
            self.commands.stores.events.forget(&loaded.take().streams);
            tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await;
        }
        (self.has_lost, self.is_ahead) = (true, true);
    }

    /// Whether something was gone for the first time that it refers to, which may only be remembered wrongly.
    pub(super) fn misses(&mut self, loaded: &Loaded) -> bool {
        if self.is_gone {
            return false;
        }
        self.is_gone = true;
        self.commands.stores.events.forget(&loaded.take().streams);
        true
    }
}
