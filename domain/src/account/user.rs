//! A user of the server. Users belong to no org; their role in an org is part of a [`crate::account::membership`].

mod claim;
mod effect;
mod email;
mod error;
mod password;
mod profile;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::id::{OrgId, UserId};
use crate::kernel::invariant::Invariant;
use crate::kernel::timestamp::Timestamp;
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

pub use claim::{Claims, UserEmailClaimed, UserLoginClaimed};
use email::check_email;
pub use email::{EmailChange, UserEmailChangeRequested, UserEmailNotSent};
pub use error::UserError;
pub use password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARACTERS, check_password};
pub use profile::{Profile, UserName};

/// The state that decisions about a user need. Passwords are not in the log: their hashes are secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: Uid,
    /// The login, e-mail address, name and theme.
    pub profile: Profile,
    /// Whether the user administers the server.
    pub is_server_admin: bool,
    /// Whether the user is disabled and cannot log in.
    pub is_disabled: bool,
    /// The hints that the user has seen, one bit each. A state that was stored before help flags existed has none.
    #[serde(default)]
    pub help_flags: i64,
    /// The requested change of the e-mail address, which is not confirmed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_change: Option<EmailChange>,
    /// The names that are only claimed, not confirmed.
    #[serde(default, skip_serializing_if = "Claims::is_empty")]
    pub claims: Claims,
    /// Whether the user exists: created and not deleted since.
    pub exists: bool,
}

/// The commands of a user.
#[derive(Clone, Debug)]
pub enum UserCommand {
    /// Creates it.
    Create(UserCreated),
    /// Changes the profile.
    ChangeProfile(Profile),
    /// Changes the profile on the user's own request: a new login or e-mail address is only claimed.
    ChangeOwnProfile(Profile),
    /// Records that an invited guest chose its names itself.
    ClaimNames {
        /// The org whose admin invited the address.
        vouched_by: OrgId,
    },
    /// Gives up the names of another user, for whom they are confirmed, if this user only claims them.
    YieldNames {
        /// The names of the other user.
        owner: Profile,
        /// The replacement for a name that is given up.
        stand_in: String,
    },
    /// Requests a change of the e-mail address, which has to be confirmed. It replaces an earlier request.
    RequestEmailChange(EmailChange),
    /// Makes the requested change of the e-mail address.
    ConfirmEmail {
        /// The current time.
        now: Timestamp,
    },
    /// Records that a mail could not be sent.
    RecordEmailNotSent {
        /// The address.
        email: String,
        /// The reason.
        reason: String,
    },
    /// Records that the password was changed.
    ChangePassword,
    /// Grants or revokes the rights of a server admin.
    SetServerAdmin(bool),
    /// Disables the user, so that it cannot log in, or enables it again.
    SetDisabled(bool),
    /// Switches the user to another org.
    SwitchOrg(OrgId),
    /// Adds bits to the help flags.
    AddHelpFlags(i64),
    /// Clears all help flags.
    ClearHelpFlags,
    /// Ends one of its sessions.
    RevokeSession(i64),
    /// Ends all its sessions.
    LogOut,
    /// Deletes it.
    Delete,
}

/// A user was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserCreated {
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: Uid,
    /// The profile.
    pub profile: Profile,
    /// Whether the user administers the server.
    pub is_server_admin: bool,
    /// The org that the user works in at first.
    pub org_id: OrgId,
}

/// A user's profile was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserProfileChanged {
    /// The user.
    pub id: UserId,
    /// The profile from now on.
    pub profile: Profile,
}

/// A user's password was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserPasswordChanged {
    /// The user.
    pub id: UserId,
}

/// A user became a server admin, or stopped being one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserServerAdminChanged {
    /// The user.
    pub id: UserId,
    /// Whether the user administers the server from now on.
    pub is_server_admin: bool,
}

/// A user was disabled and cannot log in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDisabled {
    /// The user.
    pub id: UserId,
}

/// A user was enabled and can log in again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserEnabled {
    /// The user.
    pub id: UserId,
}

/// A user switched to another org.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserOrgSwitched {
    /// The user.
    pub id: UserId,
    /// The org from now on.
    pub org_id: OrgId,
}

/// The help flags of a user were changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserHelpFlagsChanged {
    /// The user.
    pub id: UserId,
    /// The help flags from now on, one bit each.
    pub help_flags: i64,
}

/// One of a user's sessions was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserSessionRevoked {
    /// The user.
    pub id: UserId,
    /// The session.
    pub session_id: i64,
}

/// All of a user's sessions were ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserLoggedOut {
    /// The user.
    pub id: UserId,
}

/// A user was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDeleted {
    /// The user.
    pub id: UserId,
}

domain_events! {
    /// The events of a user.
    pub enum UserEvent {
        /// It was created.
        Created(UserCreated) = "user.created", 1;
        /// Its profile was changed.
        ProfileChanged(UserProfileChanged) = "user.profile_changed", 1;
        /// It claimed an e-mail address that is not confirmed.
        EmailClaimed(UserEmailClaimed) = "user.email_claimed", 1;
        /// It chose its own login.
        LoginClaimed(UserLoginClaimed) = "user.login_claimed", 1;
        /// It requested another e-mail address.
        EmailChangeRequested(UserEmailChangeRequested) = "user.email_change_requested", 1;
        /// A mail to it could not be sent.
        EmailNotSent(UserEmailNotSent) = "user.email_not_sent", 1;
        /// Its password was changed.
        PasswordChanged(UserPasswordChanged) = "user.password_changed", 1;
        /// It became a server admin, or stopped being one.
        ServerAdminChanged(UserServerAdminChanged) = "user.server_admin_changed", 1;
        /// It was disabled and cannot log in.
        Disabled(UserDisabled) = "user.disabled", 1;
        /// It was enabled and can log in again.
        Enabled(UserEnabled) = "user.enabled", 1;
        /// It switched to another org.
        OrgSwitched(UserOrgSwitched) = "user.org_switched", 1;
        /// Its help flags were changed.
        HelpFlagsChanged(UserHelpFlagsChanged) = "user.help_flags_changed", 1;
        /// One of its sessions was ended.
        SessionRevoked(UserSessionRevoked) = "user.session_revoked", 1;
        /// All its sessions were ended.
        LoggedOut(UserLoggedOut) = "user.logged_out", 1;
        /// It was deleted.
        Deleted(UserDeleted) = "user.deleted", 1;
    }
}

impl User {
    /// The logins and e-mail addresses of users are unique.
    pub const NAMES_UNIQUE: Invariant = Invariant::new("user_names_unique", || UserError::Taken.into());
    /// The server always has an enabled server admin.
    pub const SERVER_ADMIN_KEPT: Invariant =
        Invariant::new("server_admin_kept", || UserError::LastServerAdmin.into());
    /// A member of an org is an existing user.
    pub const EXISTS: Invariant = Invariant::of_existence("user_exists", || UserError::NotFound.into());
}

const PASSED: Undoing = Undoing::Impossible("a revoked session cannot be restored: log in again");

impl Stream for User {
    type Key = UserId;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("user.created", Undoing::Impossible("disable or delete the user")),
        ("user.profile_changed", Undoing::Reverted),
        ("user.email_claimed", Undoing::Reverted),
        ("user.login_claimed", Undoing::Reverted),
        ("user.email_change_requested", Undoing::Impossible("the link in the mail will expire")),
        ("user.email_not_sent", Undoing::ATTEMPT),
        ("user.password_changed", Undoing::Impossible("passwords are not in the log: set another password")),
        (
            "user.server_admin_changed",
            Undoing::Impossible("server permissions must be set explicitly: set the former ones"),
        ),
        ("user.disabled", Undoing::Impossible("enable the user")),
        ("user.enabled", Undoing::Impossible("disable the user")),
        ("user.org_switched", Undoing::OWN_CHOICE),
        ("user.help_flags_changed", Undoing::OWN_CHOICE),
        ("user.session_revoked", PASSED),
        ("user.logged_out", PASSED),
        (
            "user.deleted",
            Undoing::Impossible("the user's password and memberships were deleted: create another user"),
        ),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.profile.login)
    }

    /// Restores only the profile: nobody should regain rights or passwords by a restoration. Restored names are only
    /// claimed, as they may have been at that time.
    fn restoration(&self, past: &Self, _: &[UserEvent], _: i64) -> Option<Vec<UserCommand>> {
        self.exists.then(|| vec![UserCommand::ChangeOwnProfile(past.profile.clone())])
    }
}

impl User {
    async fn decide_all(&mut self, sink: &EventSink<Self>, events: Vec<UserEvent>) -> Result<(), UserError> {
        for event in events {
            decide(self, sink, event).await;
        }
        Ok(())
    }
}

impl Aggregate for User {
    const TYPE: &'static str = "user";
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;
    type Services = ();

    async fn handle(
        &mut self,
        command: UserCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), UserError> {
        if !self.exists && !matches!(command, UserCommand::Create(_)) {
            return Err(UserError::NotFound);
        }
        let id = self.id;
        let event: UserEvent = match command {
            UserCommand::Create(_) if self.exists => return Err(UserError::Taken),
            UserCommand::Create(mut created) => {
                created.profile = created.profile.completed()?;
                created.into()
            }
            UserCommand::ChangeOwnProfile(profile) => {
                let events = self.change_own_profile(profile)?;
                return self.decide_all(sink, events).await;
            }
            UserCommand::ClaimNames { vouched_by } => {
                let events = self.claim_names(vouched_by);
                return self.decide_all(sink, events).await;
            }
            UserCommand::YieldNames { owner, stand_in } => {
                let events = self.yield_names(&owner, &stand_in)?;
                return self.decide_all(sink, events).await;
            }
            UserCommand::ChangeProfile(profile) => {
                let profile = profile.following(&self.profile)?;
                if profile == self.profile {
                    return Ok(());
                }
                UserProfileChanged { id, profile }.into()
            }
            UserCommand::RequestEmailChange(change) => {
                check_email(&change.email)?;
                UserEmailChangeRequested { id, change }.into()
            }
            UserCommand::ConfirmEmail { now } => {
                let change = self.email_change.as_ref().filter(|change| now < change.expires_at);
                let email = change.ok_or(UserError::EmailCodeInvalid)?.email.clone();
                let profile = Profile { email, ..self.profile.clone() }.following(&self.profile)?;
                UserProfileChanged { id, profile }.into()
            }
            UserCommand::RecordEmailNotSent { email, reason } => {
                UserEmailNotSent { id, email, reason }.into()
            }
            UserCommand::ChangePassword => UserPasswordChanged { id }.into(),
            UserCommand::SetServerAdmin(is_server_admin) if is_server_admin == self.is_server_admin => {
                return Ok(());
            }
            UserCommand::SetServerAdmin(is_server_admin) => {
                UserServerAdminChanged { id, is_server_admin }.into()
            }
            UserCommand::SetDisabled(is_disabled) if is_disabled == self.is_disabled => return Ok(()),
            UserCommand::SetDisabled(true) => UserDisabled { id }.into(),
            UserCommand::SetDisabled(false) => UserEnabled { id }.into(),
            UserCommand::SwitchOrg(org_id) => UserOrgSwitched { id, org_id }.into(),
            UserCommand::AddHelpFlags(flags) if flags < 0 => return Err(UserError::HelpFlagsInvalid),
            UserCommand::AddHelpFlags(flags) if flags | self.help_flags == self.help_flags => return Ok(()),
            UserCommand::AddHelpFlags(flags) => {
                UserHelpFlagsChanged { id, help_flags: flags | self.help_flags }.into()
            }
            UserCommand::ClearHelpFlags if self.help_flags == 0 => return Ok(()),
            UserCommand::ClearHelpFlags => UserHelpFlagsChanged { id, help_flags: 0 }.into(),
            UserCommand::RevokeSession(session_id) => UserSessionRevoked { id, session_id }.into(),
            UserCommand::LogOut => UserLoggedOut { id }.into(),
            UserCommand::Delete => UserDeleted { id }.into(),
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: UserEvent) {
        match event {
            UserEvent::Created(created) => {
                *self = Self {
                    id: created.id,
                    uid: created.uid,
                    profile: created.profile,
                    is_server_admin: created.is_server_admin,
                    is_disabled: false,
                    help_flags: 0,
                    email_change: None,
                    claims: Claims::default(),
                    exists: true,
                };
            }
            UserEvent::ProfileChanged(changed) => {
                // The change is deliberate; the confirmation of an earlier request must not undo it.
                if changed.profile.email != self.profile.email {
                    self.email_change = None;
                    self.claims = Claims { login: self.claims.login, ..Claims::default() };
                }
                self.claims.login &= changed.profile.login == self.profile.login;
                self.profile = changed.profile;
            }
            UserEvent::EmailClaimed(claimed) => {
                self.claims.email = true;
                self.claims.email_vouched_by = claimed.vouched_by;
            }
            UserEvent::LoginClaimed(_) => self.claims.login = true,
            UserEvent::EmailChangeRequested(requested) => self.email_change = Some(requested.change),
            UserEvent::ServerAdminChanged(changed) => self.is_server_admin = changed.is_server_admin,
            UserEvent::Disabled(_) => self.is_disabled = true,
            UserEvent::Enabled(_) => self.is_disabled = false,
            UserEvent::HelpFlagsChanged(changed) => self.help_flags = changed.help_flags,
            UserEvent::EmailNotSent(_)
            | UserEvent::PasswordChanged(_)
            | UserEvent::OrgSwitched(_)
            | UserEvent::SessionRevoked(_)
            | UserEvent::LoggedOut(_) => {}
            UserEvent::Deleted(_) => self.exists = false,
        }
    }
}

#[cfg(test)]
mod tests;
