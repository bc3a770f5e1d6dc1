//! The confirmation mail for a change of address, as a job that is written with the change.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::account::user::{EmailChange, User, UserCommand};
use kymograph_domain::{OrgId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::EmailVerification;
use crate::account::user::tell_user;
use crate::kernel::error::Result;
use crate::kernel::job::{Job, JobError, JobHandler, NewJob, Then};
use crate::kernel::mail::Mailer;
use crate::{Commands, Scope};

/// A mail to be sent. It identifies the change, without the address and the code: both are determined when it is sent.
#[derive(Serialize, Deserialize)]
pub struct ConfirmationMail {
    user: UserId,
    /// Distinguishes the change from others of the user.
    expires_at: Timestamp,
}

impl Job for ConfirmationMail {
    const KIND: &'static str = "confirmation-mail";
}

impl ConfirmationMail {
    /// The mail to confirm a change. Users belong to no org, so it uses the server's share of the workers.
    pub(super) fn job(user: UserId, change: &EmailChange) -> Result<NewJob> {
        NewJob::once(OrgId::SERVER, &Self { user, expires_at: change.expires_at })
    }
}

/// Sends mails to confirm addresses.
pub struct ConfirmationMails {
    commands: Commands,
    verification: Arc<EmailVerification>,
    mailer: Arc<dyn Mailer>,
}

impl ConfirmationMails {
    /// Mails that this mailer sends.
    #[must_use]
    pub fn new(commands: Commands, verification: Arc<EmailVerification>, mailer: Arc<dyn Mailer>) -> Self {
        Self { commands, verification, mailer }
    }

    /// The change that a mail is about, if it is still pending. Read by a command without events, and so from the
    /// database: this server may not have been notified yet of the writes of others.
    async fn find_change(&self, mail: &ConfirmationMail) -> Result<Option<EmailChange>> {
        let scope = Scope::of_server();
        self.commands
            .run(&scope, |unit| async move {
                let user = unit.load_from_server::<User>(&mail.user).await?;
                let change = user.email_change.clone().filter(|_| user.exists);
                Ok(unit.decided(change.filter(|change| change.expires_at == mail.expires_at)))
            })
            .await
    }
}

#[async_trait]
impl JobHandler<ConfirmationMail> for ConfirmationMails {
    async fn run(&self, job: &ConfirmationMail) -> Result<Then, JobError> {
        let Some(change) = self.find_change(job).await? else { return Ok(Then::Done) };
        if change.expires_at <= self.verification.clock.now() {
            return Err(JobError::GiveUp("not sent before its link expired".to_owned()));
        }
        let code = self.verification.code(job.user, &change).await?;
        match self.mailer.send(&self.verification.mail(&change, &code)).await {
            Ok(()) => {
                tracing::info!("sent a mail to verify an e-mail address");
                Ok(Then::Done)
            }
            Err(error) if error.is_final() => Err(JobError::GiveUp(error.to_string())),
            Err(error) => Err(JobError::Retry(error.to_string())),
        }
    }

    /// Records in the log that the mail to the user was not sent.
    async fn gave_up(&self, job: &ConfirmationMail, reason: &str) -> Result<()> {
        let Some(change) = self.find_change(job).await? else { return Ok(()) };
        let command = UserCommand::RecordEmailNotSent { email: change.email, reason: reason.to_owned() };
        tell_user(&self.commands, &Scope::of_server(), job.user, &command).await
    }
}
