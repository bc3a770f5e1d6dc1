//! A service account: a member of an org that is a program and authenticates with tokens.

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::{Effects, Ending};
use crate::kernel::id::UserId;
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::role::OrgRole;
use crate::kernel::text::{MAX_NAME_BYTES, has_hidden_characters, is_storable};
use crate::kernel::timestamp::Timestamp;
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

/// The maximum number of tokens of an account. They are part of the state, which is written with each event.
pub const MAX_TOKENS: usize = 1000;

/// The maximum lifetime of a token that expires, in seconds: a hundred years.
const MAX_SECONDS_TO_LIVE: i64 = 100 * 366 * 24 * 3600;

/// The state that decisions about a service account need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccount {
    /// The id, which is unique among service accounts and users.
    pub id: UserId,
    /// The name.
    pub name: String,
    /// The role in the org.
    pub role: OrgRole,
    /// Whether it is disabled, so that its tokens are refused.
    pub is_disabled: bool,
    /// The names of its tokens, by id.
    pub tokens: BTreeMap<i64, String>,
    /// Whether it exists: created and not deleted since.
    pub exists: bool,
}

/// The commands of a service account.
#[derive(Clone, Debug)]
pub enum ServiceAccountCommand {
    /// Creates it.
    Create(ServiceAccountCreated),
    /// Changes the name, the role or whether it is disabled; `None` keeps the current value.
    Update {
        /// The new name.
        name: Option<String>,
        /// The new role.
        role: Option<OrgRole>,
        /// Whether it is to be disabled.
        is_disabled: Option<bool>,
    },
    /// Adds a token.
    AddToken {
        /// The token's id.
        token_id: i64,
        /// The token's name.
        name: String,
        /// When the token expires; `None` if it does not.
        expires: Option<Timestamp>,
    },
    /// Deletes a token.
    DeleteToken(i64),
    /// Deletes it with its tokens.
    Delete,
}

/// A service account was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccountCreated {
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: Uid,
    /// The login, under which its actions are recorded.
    pub login: String,
    /// The name.
    pub name: String,
    /// The role in the org.
    pub role: OrgRole,
    /// Whether it is disabled, so that its tokens are refused.
    pub is_disabled: bool,
}

/// A service account's name or role was changed, or it was disabled or enabled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccountUpdated {
    /// The account.
    pub id: UserId,
    /// The name from now on.
    pub name: String,
    /// The role from now on.
    pub role: OrgRole,
    /// Whether it is disabled from now on.
    pub is_disabled: bool,
}

/// A token was added to a service account. The token itself is not in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccountTokenAdded {
    /// The account.
    pub id: UserId,
    /// The token.
    pub token_id: i64,
    /// The token's name.
    pub name: String,
    /// When the token expires; `None` if it does not.
    pub expires: Option<Timestamp>,
}

/// A token of a service account was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccountTokenDeleted {
    /// The account.
    pub id: UserId,
    /// The token.
    pub token_id: i64,
}

/// A service account was deleted with its tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceAccountDeleted {
    /// The account.
    pub id: UserId,
}

domain_events! {
    /// The events of a service account.
    pub enum ServiceAccountEvent {
        /// It was created.
        Created(ServiceAccountCreated) = "service_account.created", 1;
        /// Its name or role was changed, or it was disabled or enabled.
        Updated(ServiceAccountUpdated) = "service_account.updated", 1;
        /// A token was added.
        TokenAdded(ServiceAccountTokenAdded) = "service_account.token_added", 1;
        /// A token was deleted.
        TokenDeleted(ServiceAccountTokenDeleted) = "service_account.token_deleted", 1;
        /// It was deleted.
        Deleted(ServiceAccountDeleted) = "service_account.deleted", 1;
    }
}

impl Effects for ServiceAccountEvent {
    fn ending(&self) -> Option<Ending<'_>> {
        match self {
            Self::Deleted(deleted) => Some(Ending::ServiceAccount(deleted.id)),
            _ => None,
        }
    }
}

/// The reason why a service account rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceAccountError {
    /// It has no name.
    #[error("service account name cannot be empty")]
    NameEmpty,
    /// The name of the account or token is too long or cannot be stored.
    #[error("service account or token name is too long")]
    TextTooLong,
    /// The name of the account or token has control or invisible characters.
    #[error("service account or token name has control or invisible characters")]
    TextHidden,
    /// Another service account of the org has the login that follows from the name.
    #[error("service account already exists")]
    Taken,
    /// It does not exist.
    #[error("service account not found")]
    NotFound,
    /// The token has no name.
    #[error("service account token name cannot be empty")]
    TokenNameEmpty,
    /// Another token of the org has the name.
    #[error("service account token with given name already exists in the organization")]
    TokenNameTaken,
    /// The lifetime of the token is negative or too long.
    #[error("invalid SecondsToLive value")]
    SecondsToLiveInvalid,
    /// It would have too many tokens.
    #[error("a service account can have at most {MAX_TOKENS} tokens")]
    TooManyTokens,
    /// It has no such token.
    #[error("service account token not found")]
    TokenNotFound,
}

impl Reason for ServiceAccountError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::NotFound | Self::TokenNotFound => ReasonKind::Missing,
            // Grafana answers a taken name with 400, not with 409.
            _ => ReasonKind::Invalid,
        }
    }

    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Taken => Some("serviceaccounts.ErrAlreadyExists"),
            Self::NotFound => Some("serviceaccounts.ErrNotFound"),
            Self::TokenNameTaken => Some("serviceaccounts.ErrTokenAlreadyExists"),
            Self::TokenNotFound => Some("serviceaccounts.ErrTokenNotFound"),
            Self::SecondsToLiveInvalid => Some("serviceaccounts.ErrInvalidInput"),
            _ => None,
        }
    }
}

/// The expiry of a token that is created now with this lifetime; `None` and zero stand for a token that does not
/// expire.
pub fn token_expiry(
    now: Timestamp,
    seconds_to_live: Option<i64>,
) -> Result<Option<Timestamp>, ServiceAccountError> {
    match seconds_to_live {
        None | Some(0) => Ok(None),
        Some(seconds @ 1..=MAX_SECONDS_TO_LIVE) => Ok(Some(now.plus_seconds(seconds))),
        Some(_) => Err(ServiceAccountError::SecondsToLiveInvalid),
    }
}

impl ServiceAccount {
    /// The logins of the service accounts of an org are unique.
    pub const LOGIN_UNIQUE: Invariant =
        Invariant::new("service_account_login_unique", || ServiceAccountError::Taken.into());
    /// The names of the tokens of an org are unique.
    pub const TOKEN_NAME_UNIQUE: Invariant =
        Invariant::new("token_name_unique", || ServiceAccountError::TokenNameTaken.into());
}

impl Stream for ServiceAccount {
    type Key = UserId;

    const ENDINGS: &'static [&'static str] = &["service_account.deleted"];
    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("service_account.created", Undoing::Impossible("disable or delete the service account")),
        ("service_account.updated", Undoing::Reverted),
        ("service_account.token_added", Undoing::Revoked),
        ("service_account.token_deleted", Undoing::Impossible("tokens are not stored: create another token")),
        (
            "service_account.deleted",
            Undoing::Impossible("its tokens are not stored: create another service account"),
        ),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.name)
    }

    /// Tokens cannot be restored, and so neither can a deleted account, which is of no use without its tokens.
    fn restoration(
        &self,
        past: &Self,
        _: &[ServiceAccountEvent],
        _: i64,
    ) -> Option<Vec<ServiceAccountCommand>> {
        self.exists.then(|| {
            vec![ServiceAccountCommand::Update {
                name: Some(past.name.clone()),
                role: Some(past.role),
                is_disabled: Some(past.is_disabled),
            }]
        })
    }

    fn revocation(&self, event: &ServiceAccountEvent) -> Option<ServiceAccountCommand> {
        let ServiceAccountEvent::TokenAdded(added) = event else { return None };
        let has_it = self.tokens.contains_key(&added.token_id);
        has_it.then_some(ServiceAccountCommand::DeleteToken(added.token_id))
    }
}

impl Aggregate for ServiceAccount {
    const TYPE: &'static str = "service_account";
    type Command = ServiceAccountCommand;
    type Event = ServiceAccountEvent;
    type Error = ServiceAccountError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ServiceAccountCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ServiceAccountError> {
        if !self.exists && !matches!(command, ServiceAccountCommand::Create(_)) {
            return Err(ServiceAccountError::NotFound);
        }
        let id = self.id;
        let event: ServiceAccountEvent = match command {
            ServiceAccountCommand::Create(_) if self.exists => return Err(ServiceAccountError::Taken),
            ServiceAccountCommand::Create(created) => {
                check_name(&created.name, ServiceAccountError::NameEmpty)?;
                created.into()
            }
            ServiceAccountCommand::Update { name, role, is_disabled } => {
                let name = name.unwrap_or_else(|| self.name.clone());
                check_name(&name, ServiceAccountError::NameEmpty)?;
                let role = role.unwrap_or(self.role);
                let is_disabled = is_disabled.unwrap_or(self.is_disabled);
                if (&name, role, is_disabled) == (&self.name, self.role, self.is_disabled) {
                    return Ok(());
                }
                ServiceAccountUpdated { id, name, role, is_disabled }.into()
            }
            ServiceAccountCommand::AddToken { .. } if self.tokens.len() >= MAX_TOKENS => {
                return Err(ServiceAccountError::TooManyTokens);
            }
            ServiceAccountCommand::AddToken { token_id, name, expires } => {
                check_name(&name, ServiceAccountError::TokenNameEmpty)?;
                ServiceAccountTokenAdded { id, token_id, name, expires }.into()
            }
            ServiceAccountCommand::DeleteToken(token_id) if !self.tokens.contains_key(&token_id) => {
                return Err(ServiceAccountError::TokenNotFound);
            }
            ServiceAccountCommand::DeleteToken(token_id) => {
                ServiceAccountTokenDeleted { id, token_id }.into()
            }
            ServiceAccountCommand::Delete => ServiceAccountDeleted { id }.into(),
        };
        decide(self, sink, event).await;
        Ok(())
    }

    fn apply(&mut self, event: ServiceAccountEvent) {
        match event {
            ServiceAccountEvent::Created(created) => {
                *self = Self {
                    id: created.id,
                    name: created.name,
                    role: created.role,
                    is_disabled: created.is_disabled,
                    tokens: BTreeMap::new(),
                    exists: true,
                };
            }
            ServiceAccountEvent::Updated(updated) => {
                self.name = updated.name;
                self.role = updated.role;
                self.is_disabled = updated.is_disabled;
            }
            ServiceAccountEvent::TokenAdded(added) => {
                self.tokens.insert(added.token_id, added.name);
            }
            ServiceAccountEvent::TokenDeleted(deleted) => {
                self.tokens.remove(&deleted.token_id);
            }
            ServiceAccountEvent::Deleted(_) => {
                self.tokens.clear();
                self.exists = false;
            }
        }
    }
}

fn check_name(name: &str, empty: ServiceAccountError) -> Result<(), ServiceAccountError> {
    if name.trim().is_empty() {
        return Err(empty);
    }
    if has_hidden_characters(name) {
        return Err(ServiceAccountError::TextHidden);
    }
    if is_storable(name, MAX_NAME_BYTES) { Ok(()) } else { Err(ServiceAccountError::TextTooLong) }
}

#[cfg(test)]
mod tests;
