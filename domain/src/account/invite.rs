//! An invite: the holder of its code may create a user who is a member of the org.
//!
//! The code itself is in no event, because the log is shown to people: it is a secret that is stored outside of the
//! log.

use std::fmt;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::Effects;
use crate::kernel::id::UserId;
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::role::OrgRole;
use crate::kernel::text::{MAX_NAME_BYTES, fold, has_hidden_characters, is_storable};
use crate::kernel::timestamp::Timestamp;
use crate::kernel::undo::Undoing;

/// The lifetime of an invite, in seconds.
pub const LIFETIME_SECONDS: i64 = 24 * 60 * 60;

/// The maximum number of open invites of an org. Their list is not paginated.
pub const MAX_OPEN_INVITES: i64 = 1000;

/// The id of an invite, unique in the org.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct InviteId(pub i64);

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The state that decisions about an invite need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Invite {
    /// The id.
    pub id: InviteId,
    /// The role of the user who accepts it.
    pub role: OrgRole,
    /// The time at which it expires.
    pub expires_at: Timestamp,
    /// Whether it was created, and neither revoked nor accepted since.
    pub is_open: bool,
}

/// The commands of an invite.
#[derive(Clone, Debug)]
pub enum InviteCommand {
    /// Creates it.
    Create {
        /// The id.
        id: InviteId,
        /// The invited person.
        guest: Guest,
        /// The user who invites.
        invited_by: UserId,
        /// The current time.
        now: Timestamp,
    },
    /// Revokes it, so that its code is no longer valid.
    Revoke,
    /// Ends it if it has expired.
    Expire {
        /// The current time.
        now: Timestamp,
    },
    /// Accepts it, so that its code is no longer valid.
    Accept {
        /// The user who was created with it.
        user_id: UserId,
        /// The current time.
        now: Timestamp,
    },
}

/// The invited person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// The e-mail address or login.
    pub email: String,
    /// The name.
    pub name: String,
    /// The role in the org.
    pub role: OrgRole,
}

/// An invite was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InviteCreated {
    /// The id.
    pub id: InviteId,
    /// The invited person.
    pub guest: Guest,
    /// The user who invites.
    pub invited_by: UserId,
    /// The time at which it expires.
    pub expires_at: Timestamp,
}

/// An invite was revoked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InviteRevoked {
    /// The id.
    pub id: InviteId,
}

/// An invite was accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InviteAccepted {
    /// The id.
    pub id: InviteId,
    /// The user who was created with it.
    pub user_id: UserId,
}

/// An invite expired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InviteExpired {
    /// The id.
    pub id: InviteId,
}

domain_events! {
    /// The events of an invite.
    pub enum InviteEvent {
        /// It was created.
        Created(InviteCreated) = "invite.created", 1;
        /// It was revoked.
        Revoked(InviteRevoked) = "invite.revoked", 1;
        /// It was accepted.
        Accepted(InviteAccepted) = "invite.accepted", 1;
        /// It expired.
        Expired(InviteExpired) = "invite.expired", 1;
    }
}

impl Effects for InviteEvent {}

/// The reason why an invite rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// The e-mail address or login is empty.
    #[error("loginOrEmail cannot be empty")]
    GuestEmpty,
    /// A text is too long or cannot be stored.
    #[error("loginOrEmail or name is too long")]
    TextTooLong,
    /// A text has control or invisible characters.
    #[error("loginOrEmail or name has control or invisible characters")]
    TextHidden,
    /// The invite is for another e-mail address.
    #[error("The invite is for another e-mail address")]
    OtherEmail,
    /// An open invite with this id already exists.
    #[error("the invite exists already")]
    Exists,
    /// The org has the maximum number of open invites.
    #[error("an organization can have at most {MAX_OPEN_INVITES} open invites: revoke some")]
    TooMany,
    /// It does not exist, is no longer open, or has expired: a client that tries codes cannot tell the difference.
    #[error("Invite not found")]
    NotFound,
}

impl Reason for InviteError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::GuestEmpty | Self::TextTooLong | Self::TextHidden | Self::OtherEmail => ReasonKind::Invalid,
            Self::Exists => ReasonKind::Taken,
            Self::TooMany => ReasonKind::Exhausted,
            Self::NotFound => ReasonKind::Missing,
        }
    }
}

impl Invite {
    /// The user who created an accepted invite is still allowed to invite.
    pub const MAKER_MAY_INVITE: Invariant =
        Invariant::new("invite_maker_may_invite", || InviteError::NotFound.into());
    /// An org has at most [`MAX_OPEN_INVITES`] open invites.
    pub const FEW: Invariant = Invariant::new("invite_few", || InviteError::TooMany.into());
}

const INVITE_ENDED: Undoing =
    Undoing::Impossible("the code of the invite was deleted: create another invite");

impl Stream for Invite {
    type Key = InviteId;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("invite.created", Undoing::Ended),
        ("invite.revoked", INVITE_ENDED),
        ("invite.accepted", Undoing::Impossible("the invited user is a member now: remove the member")),
        ("invite.expired", INVITE_ENDED),
    ];

    fn ending(&self) -> Option<InviteCommand> {
        self.is_open.then_some(InviteCommand::Revoke)
    }
}

impl Aggregate for Invite {
    const TYPE: &'static str = "invite";
    type Command = InviteCommand;
    type Event = InviteEvent;
    type Error = InviteError;
    type Services = ();

    async fn handle(
        &mut self,
        command: InviteCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), InviteError> {
        let event: InviteEvent = match command {
            InviteCommand::Create { .. } if self.is_open => return Err(InviteError::Exists),
            InviteCommand::Create { id, guest, invited_by, now } => {
                guest.check()?;
                InviteCreated { id, guest, invited_by, expires_at: now.plus_seconds(LIFETIME_SECONDS) }.into()
            }
            _ if !self.is_open => return Err(InviteError::NotFound),
            InviteCommand::Revoke => InviteRevoked { id: self.id }.into(),
            InviteCommand::Expire { now } if now < self.expires_at => return Ok(()),
            InviteCommand::Expire { .. } => InviteExpired { id: self.id }.into(),
            InviteCommand::Accept { now, .. } if now >= self.expires_at => return Err(InviteError::NotFound),
            InviteCommand::Accept { user_id, .. } => InviteAccepted { id: self.id, user_id }.into(),
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: InviteEvent) {
        match event {
            InviteEvent::Created(created) => {
                *self = Self {
                    id: created.id,
                    role: created.guest.role,
                    expires_at: created.expires_at,
                    is_open: true,
                };
            }
            InviteEvent::Revoked(_) | InviteEvent::Accepted(_) | InviteEvent::Expired(_) => {
                self.is_open = false;
            }
        }
    }
}

impl Guest {
    /// Checks that an e-mail address is the invited one, or empty.
    pub fn check_is(&self, email: &str) -> Result<(), InviteError> {
        if email.is_empty() || fold(email) == fold(&self.email) {
            Ok(())
        } else {
            Err(InviteError::OtherEmail)
        }
    }

    /// Checks that the e-mail address or login is not empty, and that all texts can be stored.
    pub fn check(&self) -> Result<(), InviteError> {
        if self.email.trim().is_empty() {
            return Err(InviteError::GuestEmpty);
        }
        if ![&self.email, &self.name].iter().all(|text| is_storable(text, MAX_NAME_BYTES)) {
            return Err(InviteError::TextTooLong);
        }
        if [&self.email, &self.name].iter().any(|text| has_hidden_characters(text)) {
            return Err(InviteError::TextHidden);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
