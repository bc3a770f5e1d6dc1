//! One run of a claimed job.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use kymograph_app::kernel::job::{JobError, Then};
use tokio::time::{Instant, sleep, timeout};

use crate::backoff::wait_after;
use crate::handler::Handler;
use crate::metrics::Outcome;
use crate::queue::{Claim, LEASE, PgJobs, Settlement};

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(5);

/// Runs a job while the claim is valid, and settles it.
pub(crate) async fn run(queue: &PgJobs, handler: &dyn Handler, claim: &Claim) -> Outcome {
    let (outcome, settlement) = tokio::select! {
        ended = work(handler, claim) => ended,
        () = keep_lease(queue, claim) => return lost(claim),
    };
    match queue.settle(claim, settlement).await {
        Ok(true) => outcome,
        Ok(false) => lost(claim),
        Err(error) => {
            tracing::warn!(%error, job = claim.id, kind = claim.kind, "could not record the outcome of a job");
            Outcome::Lost
        }
    }
}

fn lost(claim: &Claim) -> Outcome {
    tracing::info!(job = claim.id, kind = claim.kind, "lost a job to another worker: its lease had expired");
    Outcome::Lost
}

/// Renews the lease until it is lost.
async fn keep_lease(queue: &PgJobs, claim: &Claim) {
    let mut held_at = Instant::now();
    loop {
        sleep(RENEWAL).await;
        let asked_at = Instant::now();
        match queue.renew(claim).await {
            Ok(true) => held_at = asked_at,
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, job = claim.id, kind = claim.kind, "could not renew the lease of a job");
            }
        }
        if held_at.elapsed() >= LEASE {
            return;
        }
    }
}

/// Runs the handler, unless the job has used up its attempts: then every worker that ran it crashed.
async fn work(handler: &dyn Handler, claim: &Claim) -> (Outcome, Settlement) {
    let is_over = |tries: u32| handler.max_attempts().is_some_and(|max| tries >= max);
    let failure = if is_over(claim.attempts - 1) {
        JobError::GiveUp("every worker that ran it crashed".to_owned())
    } else {
        match attempt(handler, claim).await {
            Ok(Then::Done) => return (Outcome::Done, Settlement::Done),
            Ok(Then::Again(wait)) => return (Outcome::Done, Settlement::Again(wait)),
            Err(failure) => failure,
        }
    };
    let (job, kind, attempts) = (&claim.id, &claim.kind, claim.attempts);
    match failure {
        JobError::Retry(reason) if !is_over(attempts) => {
            let wait = wait_after(attempts);
            tracing::warn!(job, kind, attempts, ?wait, reason, "a job failed and will be retried");
            (Outcome::Retried, Settlement::Retry(wait, reason))
        }
        JobError::Retry(reason) | JobError::GiveUp(reason) => {
            tracing::error!(job, kind, attempts, reason, "a job failed for good and is now dead");
            tell_of_death(handler, claim, &reason).await;
            (Outcome::Dead, Settlement::Dead(reason))
        }
    }
}

/// Runs the handler once, and catches panics and timeouts.
async fn attempt(handler: &dyn Handler, claim: &Claim) -> Result<Then, JobError> {
    let limit = handler.time_limit();
    let run = AssertUnwindSafe(handler.run(&claim.payload)).catch_unwind();
    match timeout(limit, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(JobError::Retry(format!("panicked: {}", message(&*panic)))),
        Err(_) => Err(JobError::Retry(format!("timed out after {limit:?}"))),
    }
}

async fn tell_of_death(handler: &dyn Handler, claim: &Claim, reason: &str) {
    let telling = AssertUnwindSafe(handler.gave_up(&claim.payload, reason)).catch_unwind();
    let failure = match timeout(handler.time_limit(), telling).await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(panic)) => message(&*panic).to_owned(),
        Err(_) => "it took too long".to_owned(),
    };
    tracing::warn!(job = claim.id, kind = claim.kind, failure, "the failure handler of a dead job failed");
}

/// The text of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}
