//! The mail that a change of address is confirmed by, as a job that is written with the change.

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

/// A mail to be sent. It names the change, and has neither the address nor the code: both are found out when it is sent.
#[derive(Serialize, Deserialize)]
pub struct ConfirmationMail {
    user: UserId,
    /// What tells the change from others of the user.
    expires_at: Timestamp,
}

impl Job for ConfirmationMail {
    const KIND: &'static str = "confirmation-mail";
}

impl ConfirmationMail {
    /// The mail to confirm a change. Users belong to no org, so it takes the server's turn.
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

    /// The change that a mail is about, if it still is under way. As a command that writes nothing it is read from the
    /// database: this server may not have heard yet of what another one has written.
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

    /// Has it in the log that the user gets no mail.
    async fn gave_up(&self, job: &ConfirmationMail, reason: &str) -> Result<()> {
        let Some(change) = self.find_change(job).await? else { return Ok(()) };
        let command = UserCommand::RecordEmailNotSent { email: change.email, reason: reason.to_owned() };
        tell_user(&self.commands, &Scope::of_server(), job.user, &command).await
    }
}
