//! The task that writes attempts into the log.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kymograph_domain::account::access::{
    Access, AccessCommand, AccessDenied, AccessLoginFailed, AccessQueried, AccessTarget, AccessTokenRefused,
};
use kymograph_domain::account::org::Org;
use kymograph_domain::kernel::text::MAX_NAME_BYTES;
use kymograph_domain::{OrgId, OrgRole, StreamId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::fold::{Attempt, Entry, Folds, MAX_KINDS_PER_ORG, What};
use super::{Counts, Message};
use crate::kernel::clock::Clock;
use crate::kernel::error::Result;
use crate::kernel::log_limit::LogLimit;
use crate::{Commands, RequestContext, Scope, Unit};

/// The interval of the checks for windows that have ended.
const TICK: Duration = Duration::from_secs(1);

/// The maximum number of entries of an org that wait to be written. Each is a kind of attempt, and an org has at most
/// this many kinds within a minute.
const MAX_WAITING_OF_ORG: usize = MAX_KINDS_PER_ORG;

/// Decides which attempts are written into the log.
pub struct AccessRecorder {
    clock: Arc<dyn Clock>,
    messages: mpsc::Receiver<Message>,
    /// The number of unrecorded attempts that were logged.
    told: u64,
    folds: Folds,
    writer: Arc<Writer>,
    /// The tasks that write, one for each org with entries.
    tasks: JoinSet<()>,
}

/// Writes entries, those of an org one after the other. An org whose log accepts no writes does not delay others.
struct Writer {
    commands: Commands,
    counts: Arc<Counts>,
    /// An org is in the map while a task writes for it.
    waiting: Mutex<HashMap<OrgId, VecDeque<Entry>>>,
}

impl AccessRecorder {
    pub(super) fn new(
        commands: Commands,
        clock: Arc<dyn Clock>,
        messages: mpsc::Receiver<Message>,
        counts: Arc<Counts>,
    ) -> Self {
        let writer = Arc::new(Writer { commands, counts, waiting: Mutex::default() });
        Self { clock, messages, told: 0, folds: Folds::default(), writer, tasks: JoinSet::new() }
    }

    /// Records attempts until all senders are dropped.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(Message::Attempted(attempt)) => self.take(*attempt),
                    Some(Message::Flush(done)) => {
                        let entries = self.folds.all();
                        self.write_all(entries);
                        while self.tasks.join_next().await.is_some() {}
                        // The caller may have been dropped.
                        let _ = done.send(());
                    }
                    None => return,
                },
                _ = ticks.tick() => {
                    let entries = self.folds.ended(self.clock.now());
                    self.write_all(entries);
                    self.tell_of_dropped();
                }
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn take(&mut self, attempt: Attempt) {
        match self.folds.take(attempt, self.clock.now()) {
            Ok(entry) => self.write_all(entry),
            Err(()) => self.writer.count_unrecorded(1),
        }
    }

    fn write_all(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            let org = entry.attempt.org;
            if self.writer.enqueue(org, entry) {
                let writer = self.writer.clone();
                self.tasks.spawn(async move { writer.write_until_empty(org).await });
            }
        }
    }

    fn tell_of_dropped(&mut self) {
        let unrecorded = self.writer.counts.unrecorded.load(Ordering::Relaxed);
        let dropped = unrecorded - self.told;
        self.told = unrecorded;
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "refused requests or queries were not recorded: the queue was full or the write failed"
            );
        }
    }
}

impl Writer {
    fn lock(&self) -> MutexGuard<'_, HashMap<OrgId, VecDeque<Entry>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an entry. Returns true if a task has to be started for its org.
    fn enqueue(&self, org: OrgId, entry: Entry) -> bool {
        let mut waiting = self.lock();
        let is_new = !waiting.contains_key(&org);
        let queue = waiting.entry(org).or_default();
        if queue.len() >= MAX_WAITING_OF_ORG {
            self.count_unrecorded(entry.refusal.count);
            return false;
        }
        queue.push_back(entry);
        is_new
    }

    fn next(&self, org: OrgId) -> Option<Entry> {
        let mut waiting = self.lock();
        let next = waiting.get_mut(&org)?.pop_front();
        if next.is_none() {
            waiting.remove(&org);
        }
        next
    }

    async fn write_until_empty(&self, org: OrgId) {
        while let Some(entry) = self.next(org) {
            let count = entry.refusal.count;
            if let Err(error) = self.write(entry).await {
                static LIMIT: LogLimit = LogLimit::new();
                if let Some(suppressed) = LIMIT.admit() {
                    tracing::warn!(%error, suppressed, "could not record a refused request or a query");
                }
                self.count_unrecorded(count);
            }
        }
    }

    fn count_unrecorded(&self, count: i64) {
        self.counts.unrecorded.fetch_add(count.unsigned_abs(), Ordering::Relaxed);
    }

    async fn write(&self, entry: Entry) -> Result<()> {
        let is_query = matches!(entry.attempt.what, What::Queried { .. });
        // Refusals in no org, or in one that does not exist, are recorded for the server; what a deleted org queried is
        // not its concern.
        if self.write_in(entry.attempt.org, &entry).await? || is_query {
            return Ok(());
        }
        self.write_in(OrgId::SERVER, &entry).await.map(drop)
    }

    /// Writes into the log of an org. Returns false if there is no such org.
    async fn write_in(&self, org: OrgId, entry: &Entry) -> Result<bool> {
        let Attempt { actor, request, .. } = &entry.attempt;
        let request = RequestContext { idempotency: None, ..request.clone() };
        let (actor, request) = (Arc::new(actor.clone()), Arc::new(request));
        let scope = &Scope::of_member(org, OrgRole::None, actor, request).without_standing();
        self.commands
            .run(scope, |mut unit| async move {
                if org != OrgId::SERVER && !unit.load::<Org>(&org).await?.exists {
                    return Ok(unit.decided(false));
                }
                let target = known_target(&unit, &entry.attempt.target).await?;
                let mut access = unit.load::<Access>(&target).await?;
                access.tell(command(entry, target)).await?;
                unit.record(access)?;
                Ok(unit.decided(true))
            })
            .await
    }
}

/// The target, with its uid only if such an object exists or existed: otherwise clients could create any number of
/// streams by texts of their choice.
async fn known_target(unit: &Unit<'_>, target: &AccessTarget) -> Result<AccessTarget> {
    let stream = StreamId::from_stored(target.to_string());
    let is_nameable = !target.uid.is_empty() && target.to_string().len() <= MAX_NAME_BYTES;
    let is_known = is_nameable && !target.uid.contains('\0') && unit.is_known(&stream).await?;
    Ok(if is_known { target.clone() } else { AccessTarget { uid: String::new(), ..target.clone() } })
}

fn command(entry: &Entry, target: AccessTarget) -> AccessCommand {
    let mut refusal = entry.refusal.clone();
    // A character has four bytes at most.
    refusal.reason = refusal.reason.chars().take(MAX_NAME_BYTES / 4).collect();
    match &entry.attempt.what {
        What::Denied { method, route } => {
            let (method, route) = (method.clone(), route.clone());
            AccessCommand::Deny(AccessDenied { target, method, route, refusal })
        }
        What::LoginFailed => AccessCommand::FailLogin(AccessLoginFailed { target, refusal }),
        What::TokenRefused => AccessCommand::RefuseToken(AccessTokenRefused { target, refusal }),
        What::Queried { query } => {
            let (query, count, since) = (query.clone(), refusal.count, refusal.since);
            AccessCommand::Query(AccessQueried { target, query, count, since })
        }
    }
}
