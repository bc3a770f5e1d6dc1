//! Changes of one's own e-mail address, which take effect once they are confirmed by a mail to the new address.
//!
//! The code in the mail is a MAC of the pending change, made with a key of the server. So nothing has to be stored that
//! could leak, and the code is invalid once another change, or none, is pending.

mod mail;

use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use kymograph_domain::UserId;
use kymograph_domain::account::user::{EmailChange, User, UserCommand, UserError};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::{ProfileChange, Users};
use crate::kernel::clock::Clock;
use crate::kernel::error::{Error, Result, overload};
use crate::kernel::mail::{Mail, MailBudget, RequestedMail};
use crate::kernel::random::hex;
use crate::kernel::server_key::{ServerKey, ServerKeys};
use crate::{Permission, Scope};

use mail::ConfirmationMail;
pub use mail::ConfirmationMails;

/// Requests the confirmation of new addresses.
pub struct EmailVerification {
    keys: Arc<dyn ServerKeys>,
    budget: Arc<dyn MailBudget>,
    clock: Arc<dyn Clock>,
    lifetime_seconds: i64,
    root_url: String,
    key: OnceCell<ServerKey>,
}

/// The result of a change of one's own profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProfileUpdate {
    /// The profile was changed.
    Done,
    /// The profile was changed except for the address, to which a mail will be sent.
    EmailToConfirm,
}

impl EmailVerification {
    /// Confirmation within `lifetime_seconds`. `root_url` is the public URL of the server; it ends in a slash.
    #[must_use]
    pub fn new(
        keys: Arc<dyn ServerKeys>,
        budget: Arc<dyn MailBudget>,
        clock: Arc<dyn Clock>,
        lifetime_seconds: i64,
        root_url: &str,
    ) -> Self {
        let (root_url, key) = (root_url.to_owned(), OnceCell::new());
        Self { keys, budget, clock, lifetime_seconds, root_url, key }
    }

    /// The code that confirms a change.
    async fn code(&self, id: UserId, change: &EmailChange) -> Result<String> {
        let key = self.key.get_or_try_init(|| self.keys.server_key("email-change")).await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(Error::internal)?;
        mac.update(format!("{id} {} {}", change.expires_at.0, change.email).as_bytes());
        Ok(hex(&mac.finalize().into_bytes()))
    }

    /// The mail with a code. It contains no text chosen by a user: anyone can make the server send it to anyone.
    fn mail(&self, change: &EmailChange, code: &str) -> Mail {
        let link = format!("{}user/email/update?code={code}", self.root_url);
        let text = format!(
            "A user of {} asked to use this e-mail address.\n\n\
             If that was you, log in and open this link before {}:\n\n{link}\n\n\
             Otherwise, ignore this mail: nothing will change.\n",
            self.root_url,
            change.expires_at.rfc3339(),
        );
        Mail { to: change.email.clone(), subject: "Confirm your e-mail address".to_owned(), text }
    }
}

impl Users {
    /// Changes the actor's profile. If addresses must be confirmed, a new one is only requested.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_own_profile(&self, scope: &Scope, change: &ProfileChange) -> Result<ProfileUpdate> {
        let id = scope.actor().user_id;
        // A server admin, who may change all users' names, may vouch for its own.
        let may_vouch = scope.require_on_server(Permission::USERS_WRITE).is_ok();
        let command = if may_vouch { UserCommand::ChangeProfile } else { UserCommand::ChangeOwnProfile };
        let Some(verification) = &self.verification else {
            self.change_profile(scope, id, change, command).await?;
            return Ok(ProfileUpdate::Done);
        };
        if let Some(email) = change.email.as_deref().map(str::trim).filter(|email| !email.is_empty()) {
            self.admit_address(verification, id, email).await?;
        }
        let requested: Option<EmailChange> = self
            .commands
            .run(scope, |mut unit| async move {
                let mut user = unit.load_from_server::<User>(&id).await?;
                let profile = change.applied_to(&user.profile);
                let (profile, email) = profile.keeping_email_of(&user.profile);
                let is_other = email.is_some();
                user.tell(command(profile)).await?;
                if let Some(email) = email {
                    let expires_at = verification.clock.now().plus_seconds(verification.lifetime_seconds);
                    user.tell(UserCommand::RequestEmailChange(EmailChange { email, expires_at })).await?;
                }
                let requested = user.email_change.clone().filter(|_| is_other);
                if let Some(change) = &requested {
                    unit.start_job(ConfirmationMail::job(id, change)?);
                }
                unit.record(user)?;
                Ok(unit.decided(requested))
            })
            .await?;
        Ok(if requested.is_some() { ProfileUpdate::EmailToConfirm } else { ProfileUpdate::Done })
    }

    /// Refuses another user's address. This is checked again at the confirmation, but here the client is notified
    /// without a mail. A new address counts towards the limit of mails.
    async fn admit_address(&self, verification: &EmailVerification, id: UserId, email: &str) -> Result<()> {
        let holder = self.reader.find_user_by_login(email).await?;
        if holder.is_some_and(|holder| holder.id != id && holder.profile.is_own(&holder.claims, email)) {
            return Err(UserError::Taken.into());
        }
        if self.find(id).await?.profile.email == email {
            return Ok(());
        }
        let mail = RequestedMail::new(id, email, verification.clock.now());
        if verification.budget.take(&mail).await? {
            Ok(())
        } else {
            Err(Error::overloaded(overload::MAILS, "Too many verification mails, try again in an hour"))
        }
    }

    /// Applies the change of the actor's address that a code confirms.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn confirm_email(&self, scope: &Scope, code: &str) -> Result<()> {
        let Some(verification) = &self.verification else { return Err(UserError::EmailCodeInvalid.into()) };
        let id = scope.actor().user_id;
        self.commands
            .run(scope, |mut unit| async move {
                let mut user = unit.load_from_server::<User>(&id).await?;
                let change = user.email_change.as_ref().ok_or(UserError::EmailCodeInvalid)?;
                // Hashes are compared, so that the duration reveals nothing.
                if Sha256::digest(verification.code(id, change).await?) != Sha256::digest(code) {
                    return Err(UserError::EmailCodeInvalid.into());
                }
                user.tell(UserCommand::ConfirmEmail { now: verification.clock.now() }).await?;
                self.take_names(&mut unit, id, &user.profile).await?;
                unit.record(user)?;
                Ok(unit.decided(()))
            })
            .await
    }
}
