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
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::fold::{Attempt, CLASSES, Entry, Folds, MAX_KINDS_PER_ORG, What};
use super::{AccessLog, Counts};
use crate::kernel::clock::Clock;
use crate::kernel::error::Result;
use crate::kernel::log_limit::LogLimit;
use crate::{Commands, RequestContext, Scope, Unit};

/// The interval of the checks for windows that have ended.
const TICK: Duration = Duration::from_secs(1);

/// The maximum number of entries of an org that wait to be written. Each is a kind of attempt, and an org has at most
/// this many kinds within a minute.
const MAX_WAITING_OF_ORG: usize = CLASSES * MAX_KINDS_PER_ORG;

/// A request to write the attempts that were only counted so far. The sender is notified when that is done.
pub(super) type Flush = oneshot::Sender<()>;

/// Writes attempts into the log.
pub struct AccessRecorder {
    clock: Arc<dyn Clock>,
    flushes: mpsc::Receiver<Flush>,
    /// The number of unrecorded attempts that were logged.
    told: u64,
    folds: Arc<Mutex<Folds>>,
    writer: Arc<Writer>,
    /// The tasks that write, one for each org with entries.
    tasks: JoinSet<()>,
}

/// Writes entries, those of an org one after the other. An org whose log accepts no writes does not delay others.
pub(super) struct Writer {
    commands: Commands,
    counts: Arc<Counts>,
    waiting: Mutex<Waiting>,
    /// Notified when an org has entries and no task.
    has_work: Notify,
}

/// The entries that wait to be written.
#[derive(Default)]
struct Waiting {
    /// An org is in the map from its first entry until its task has written the last one.
    by_org: HashMap<OrgId, VecDeque<Entry>>,
    /// The orgs that have no task yet.
    without_task: Vec<OrgId>,
}

impl AccessRecorder {
    pub(super) fn new(log: &AccessLog, flushes: mpsc::Receiver<Flush>) -> Self {
        let (clock, folds, writer) = (log.clock.clone(), log.folds.clone(), log.writer.clone());
        Self { clock, flushes, told: 0, folds, writer, tasks: JoinSet::new() }
    }

    /// Records attempts until the log is dropped.
    pub async fn run(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.writer.has_work.notified() => self.start_tasks(),
                flush = self.flushes.recv() => match flush {
                    Some(done) => {
                        self.flush().await;
                        // The caller may have been dropped.
                        let _ = done.send(());
                    }
                    None => return,
                },
                _ = ticks.tick() => {
                    let now = self.clock.now();
                    self.write_ended(|folds| folds.ended(now));
                    self.tell_of_dropped();
                }
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    /// Writes everything, and waits until that is done.
    async fn flush(&mut self) {
        self.write_ended(Folds::all);
        self.start_tasks();
        while self.tasks.join_next().await.is_some() {}
    }

    fn write_ended(&self, take: impl FnOnce(&mut Folds) -> Vec<Entry>) {
        let entries = take(&mut self.folds.lock().unwrap_or_else(PoisonError::into_inner));
        self.writer.write_soon(entries);
    }

    fn start_tasks(&mut self) {
        for org in self.writer.take_without_task() {
            let writer = self.writer.clone();
            self.tasks.spawn(async move { writer.write_until_empty(org).await });
        }
    }

    fn tell_of_dropped(&mut self) {
        let unrecorded = self.writer.counts.unrecorded.load(Ordering::Relaxed);
        let dropped = unrecorded - self.told;
        self.told = unrecorded;
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "refused requests or queries were not recorded: there were too many kinds or the write failed"
            );
        }
    }
}

impl Writer {
    pub(super) fn new(commands: Commands, counts: Arc<Counts>) -> Self {
        Self { commands, counts, waiting: Mutex::default(), has_work: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues entries to be written by the recorder.
    pub(super) fn write_soon(&self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            self.enqueue(entry);
        }
    }

    fn enqueue(&self, entry: Entry) {
        let org = entry.attempt.org;
        let mut waiting = self.lock();
        if let Some(queue) = waiting.by_org.get_mut(&org) {
            if queue.len() < MAX_WAITING_OF_ORG {
                queue.push_back(entry);
            } else {
                self.count_unrecorded(entry.refusal.count);
            }
            return;
        }
        waiting.by_org.insert(org, VecDeque::from([entry]));
        waiting.without_task.push(org);
        self.has_work.notify_one();
    }

    fn take_without_task(&self) -> Vec<OrgId> {
        std::mem::take(&mut self.lock().without_task)
    }

    fn next(&self, org: OrgId) -> Option<Entry> {
        let mut waiting = self.lock();
        let next = waiting.by_org.get_mut(&org)?.pop_front();
        if next.is_none() {
            waiting.by_org.remove(&org);
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

    pub(super) fn count_unrecorded(&self, count: i64) {
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
