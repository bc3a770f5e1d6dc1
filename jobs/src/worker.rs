//! The worker of a server: claims due jobs and runs a limited number of them concurrently.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kymograph_app::kernel::job::NewJob;
use kymograph_app::kernel::log_limit::LogLimit;
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::handler::Handlers;
use crate::metrics::{JobMetrics, Outcome};
use crate::queue::{Claim, PgJobs, Settlement, Turn};
use crate::run::run;

/// How many jobs a server runs concurrently.
const MAX_RUNNING: usize = 8;
/// How many of them may belong to one org.
pub const MAX_RUNNING_OF_ORG: usize = 4;
/// The polling interval, without a notification: other servers write jobs, too.
const POLL: Duration = Duration::from_secs(1);
/// How long running jobs may continue at the stop of the server.
const DRAIN: Duration = Duration::from_secs(5);
/// Before all orgs.
const FIRST_TURN: OrgId = OrgId(-1);

/// A worker.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) queue: PgJobs,
    pub(crate) handlers: Handlers,
    pub(crate) metrics: JobMetrics,
    /// The standing jobs.
    pub(crate) standing: Vec<NewJob>,
    /// True if the worker is stopping.
    pub(crate) stop: watch::Receiver<bool>,
}

/// The running jobs.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Outcome>,
    claims: HashMap<Id, Claim>,
}

impl Running {
    /// The orgs that have reached their limit of running jobs.
    fn busy(&self) -> Vec<i64> {
        let mut counts = HashMap::<i64, usize>::new();
        for claim in self.claims.values() {
            *counts.entry(claim.org.0).or_default() += 1;
        }
        counts.into_iter().filter(|(_, count)| *count >= MAX_RUNNING_OF_ORG).map(|(org, _)| org).collect()
    }

    fn free(&self) -> usize {
        MAX_RUNNING.saturating_sub(self.claims.len())
    }
}

impl Worker {
    /// Runs jobs until the stop, and then releases unfinished ones.
    pub(crate) async fn run(mut self) {
        let mut running = Running::default();
        let mut last = FIRST_TURN;
        let mut has_standing = false;
        while !*self.stop.borrow() {
            if let Err(error) = self.claim_all(&mut running, &mut last, &mut has_standing).await {
                static LIMIT: LogLimit = LogLimit::new();
                if let Some(suppressed) = LIMIT.admit() {
                    tracing::warn!(%error, suppressed, "could not claim jobs");
                }
            }
            tokio::select! {
                Some(ended) = running.tasks.join_next_with_id() => self.ended(&mut running, ended),
                () = self.queue.woken() => {}
                () = sleep(POLL) => {}
                // The sender was dropped, which means the same.
                _ = self.stop.changed() => break,
            }
        }
        let drained = timeout(DRAIN, self.drain(&mut running)).await;
        if drained.is_err() {
            running.tasks.abort_all();
            self.drain(&mut running).await;
        }
    }

    /// Claims and starts jobs until the limit is reached or nothing else is due.
    async fn claim_all(
        &self,
        running: &mut Running,
        last: &mut OrgId,
        has_standing: &mut bool,
    ) -> Result<()> {
        if !*has_standing {
            for job in &self.standing {
                self.queue.ensure(job).await?;
            }
            *has_standing = true;
        }
        let kinds: Vec<_> = self.handlers.kinds().collect();
        while running.free() > 0 {
            let busy = running.busy();
            let turn = Turn { after: *last, orgs: running.free(), busy: &busy, kinds: &kinds };
            let claims = self.queue.claim(&turn).await?;
            match claims.iter().map(|claim| claim.org).max() {
                Some(org) => *last = org,
                None if *last == FIRST_TURN => break,
                None => *last = FIRST_TURN,
            }
            for claim in claims {
                self.start(running, claim)?;
            }
        }
        Ok(())
    }

    fn start(&self, running: &mut Running, claim: Claim) -> Result<()> {
        let handler = self.handlers.get(&claim.kind).cloned();
        let handler = handler.ok_or_else(|| Error::internal("claimed a job of an unknown kind"))?;
        let (queue, started) = (self.queue.clone(), Arc::new(claim.clone()));
        let task = running.tasks.spawn(async move { run(&queue, &*handler, &started).await });
        running.claims.insert(task.id(), claim);
        Ok(())
    }

    fn ended(&self, running: &mut Running, ended: Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            // A panic of a handler is caught in `run`, so this is a bug of the worker. The lease will expire.
            Err(error) => {
                tracing::error!(%error, "the task of a job crashed");
                (error.id(), Outcome::Lost)
            }
        };
        if let Some(claim) = running.claims.remove(&id) {
            self.metrics.count(&claim.kind, outcome);
        }
    }

    /// Waits for the running jobs. Aborted ones are released, so that another worker can claim them at once.
    async fn drain(&self, running: &mut Running) {
        while let Some(ended) = running.tasks.join_next_with_id().await {
            let aborted = ended.as_ref().err().filter(|error| error.is_cancelled()).map(JoinError::id);
            match aborted.and_then(|id| running.claims.remove(&id)) {
                Some(claim) => self.release(&claim).await,
                None => self.ended(running, ended),
            }
        }
    }

    async fn release(&self, claim: &Claim) {
        let released = self.queue.settle(claim, Settlement::Release).await;
        if let Err(error) = released {
            tracing::warn!(%error, job = claim.id, kind = claim.kind, "could not release a job");
        }
        self.metrics.count(&claim.kind, Outcome::Released);
    }
}
