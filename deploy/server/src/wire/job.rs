//! Background jobs.

use std::sync::Arc;

use kymograph_app::account::housekeeping::{Housekeeping, HousekeepingPorts, TidyOrg, TidyServer};
use kymograph_app::account::user::ConfirmationMails;
use kymograph_app::content::annotation::{
    AnnotationCleanup, CleanupPorts, EndedAnnotations, SweepAnnotations, TidyAnnotations,
};
use kymograph_app::{Error, Result};
use kymograph_infra::mail::SmtpMailer;
use kymograph_jobs::{Handlers, JobMetrics, JobRunner};

use super::account::{AccountReaders, Accounts};
use super::content::ContentReaders;
use super::kernel::{Kernel, Log};
use super::settings::session_lifetimes;

/// Starts the worker with the handlers of all kinds of jobs.
pub(super) fn start(
    kernel: &Kernel<'_>,
    log: &Log,
    (readers, content): (&AccountReaders, &ContentReaders),
    accounts: &Accounts,
) -> Result<JobRunner> {
    let ports = HousekeepingPorts {
        store: log.store.clone(),
        jobs: Arc::new(kernel.jobs.clone()),
        invites: accounts.services.invites.clone(),
        sessions: readers.sessions.clone(),
        attempts: readers.attempts.clone(),
        mails: kernel.mails.clone(),
        clock: kernel.clock.clone(),
    };
    let housekeeping = Arc::new(Housekeeping::new(ports, session_lifetimes(kernel.config)));
    let mut handlers =
        Handlers::default().with::<TidyServer>(housekeeping.clone()).with::<TidyOrg>(housekeeping);
    let mut first = vec![TidyServer::job()?];
    let (commands, annotations, rules) = (&log.commands, &content.annotations, kernel.config.annotations);
    let ports = CleanupPorts {
        reader: annotations.clone(),
        orgs: readers.orgs.clone(),
        jobs: Arc::new(kernel.jobs.clone()),
        clock: kernel.clock.clone(),
    };
    let cleanup = Arc::new(AnnotationCleanup::new(commands.clone(), ports, rules));
    handlers = handlers
        .with(Arc::new(EndedAnnotations::new(commands.clone(), annotations.clone())))
        .with::<TidyAnnotations>(cleanup.clone())
        .with::<SweepAnnotations>(cleanup);
    if rules.delete_anything() {
        first.push(SweepAnnotations::job()?);
    }
    if let Some(verification) = accounts.identities.verification.clone() {
        let mailer = Arc::new(SmtpMailer::new(&kernel.config.smtp.settings())?);
        let mails = ConfirmationMails::new(log.commands.clone(), verification, mailer);
        handlers = handlers.with(Arc::new(mails));
    }
    let metrics = JobMetrics::try_new(&kernel.registry, &handlers).map_err(Error::internal)?;
    Ok(JobRunner::start(kernel.jobs.clone(), handlers, metrics, first))
}
