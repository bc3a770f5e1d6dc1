//! Sessions: created by a log-in, so that requests need no password.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::account::user::{UserCommand, UserError};
use kymograph_domain::{Timestamp, UserId};
use sha2::{Digest, Sha256};

use crate::account::user::{UserReader, tell_user};
use crate::kernel::error::{Error, Result};
use crate::kernel::random::{hex, random_bytes};
use crate::{Commands, Permission, RequestContext, Scope};

/// The maximum number of sessions of a user; another log-in ends the least recently used one.
pub const MAX_SESSIONS: usize = 100;

/// The hash of a session token; the token itself is not stored.
pub type TokenHash = [u8; 32];

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The id.
    pub id: i64,
    /// The user.
    pub user_id: UserId,
    /// The hash of the current token.
    pub token: TokenHash,
    /// The hash of the previous token, which is accepted until the next rotation, because requests in progress carry
    /// it.
    pub previous_token: TokenHash,
    /// When it was created.
    pub created: Timestamp,
    /// When the token was last replaced.
    pub rotated: Timestamp,
    /// When it was last used, with an accuracy of some minutes.
    pub seen: Timestamp,
    /// The address it was last rotated from.
    pub client_ip: String,
    /// The client it was last rotated by.
    pub user_agent: String,
}

/// The lifetimes of sessions and their tokens, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct SessionLifetimes {
    /// The maximum time without activity.
    pub inactive_seconds: i64,
    /// The maximum lifetime.
    pub total_seconds: i64,
    /// The time until the token is rotated.
    pub rotation_seconds: i64,
}

impl SessionLifetimes {
    /// Whether a session is still valid.
    #[must_use]
    pub fn is_alive(&self, session: &Session, now: Timestamp) -> bool {
        session.seen.max(session.rotated).plus_seconds(self.inactive_seconds) > now
            && session.created.plus_seconds(self.total_seconds) > now
    }
}

/// Stores sessions. They are not events: rotated tokens need no history.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a new session and returns its id; `None` if its user does not exist or is disabled, or if the user's
    /// password has another seal than this one. The oldest sessions beyond [`MAX_SESSIONS`] end.
    async fn insert_session(&self, session: &Session, password_seal: Option<&[u8]>) -> Result<Option<i64>>;
    /// The session that has this current or previous token.
    async fn find_session(&self, token: &TokenHash) -> Result<Option<Session>>;
    /// Replaces the token if it is still the given one. Returns whether it was.
    async fn rotate_token(
        &self,
        session: &Session,
        new: &TokenHash,
        request: &RequestContext,
        now: Timestamp,
    ) -> Result<bool>;
    /// Records the use of a session. Returns false if it no longer exists.
    async fn touch_session(&self, id: i64, user: UserId, now: Timestamp) -> Result<bool>;
    /// Deletes expired sessions.
    async fn forget_sessions(&self, lifetimes: &SessionLifetimes, now: Timestamp) -> Result<()>;
    /// Whether a user has a session of that id.
    async fn has_session(&self, user: UserId, id: i64) -> Result<bool>;
    /// The sessions of a user, the last used first.
    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>>;
}

/// A new token for the client, and its hash, which is stored.
#[must_use = "an unsent token is of no use"]
pub struct NewToken {
    /// The token.
    pub token: String,
    /// Its hash.
    pub hash: TokenHash,
}

impl NewToken {
    /// Generates a token.
    pub fn try_random() -> Result<Self> {
        let token = hex(&random_bytes::<16>()?);
        let hash = hash_token(&token);
        Ok(Self { token, hash })
    }
}

/// The hash that is stored of a token.
#[must_use]
pub fn hash_token(token: &str) -> TokenHash {
    Sha256::digest(token.as_bytes()).into()
}

/// The use cases of sessions, except for logging in, which is in [`crate::account::identity`].
pub struct Sessions {
    commands: Commands,
    store: Arc<dyn SessionStore>,
    users: Arc<dyn UserReader>,
}

impl Sessions {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(commands: Commands, store: Arc<dyn SessionStore>, users: Arc<dyn UserReader>) -> Self {
        Self { commands, store, users }
    }

    /// Lists the actor's sessions.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_own_sessions(&self, scope: &Scope) -> Result<Vec<Session>> {
        self.store.list_sessions(scope.actor().user_id).await
    }

    /// Lists any user's sessions.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_sessions(&self, scope: &Scope, user: UserId) -> Result<Vec<Session>> {
        scope.require_on_server(Permission::USERS_AUTH_TOKEN_READ)?;
        self.users.find_user(user).await?.ok_or(UserError::NotFound)?;
        self.store.list_sessions(user).await
    }

    /// Ends one of the actor's other sessions.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn revoke_own_session(&self, scope: &Scope, id: i64) -> Result<()> {
        if scope.request().token_id == Some(id) {
            return Err(Error::invalid("Cannot revoke active user auth token"));
        }
        self.revoke(scope, scope.actor().user_id, id).await
    }

    /// Ends one of any user's sessions.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn revoke_session(&self, scope: &Scope, user: UserId, id: i64) -> Result<()> {
        scope.require_on_server(Permission::USERS_AUTH_TOKEN_WRITE)?;
        if scope.request().token_id == Some(id) {
            return Err(Error::invalid("Cannot revoke active user auth token"));
        }
        self.revoke(scope, user, id).await
    }

    /// Ends all sessions of another user.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn log_user_out(&self, scope: &Scope, user: UserId) -> Result<()> {
        scope.require_on_server(Permission::USERS_LOGOUT)?;
        if user == scope.actor().user_id {
            return Err(Error::invalid("You cannot logout yourself"));
        }
        self.tell(scope, user, UserCommand::LogOut).await
    }

    /// Ends the session of the request, if it has one.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn log_out(&self, scope: &Scope) -> Result<()> {
        match scope.request().token_id {
            Some(id) => self.revoke(scope, scope.actor().user_id, id).await,
            None => Ok(()),
        }
    }

    async fn revoke(&self, scope: &Scope, user: UserId, id: i64) -> Result<()> {
        if !self.store.has_session(user, id).await? {
            return Err(Error::missing("User auth token not found"));
        }
        self.tell(scope, user, UserCommand::RevokeSession(id)).await
    }

    async fn tell(&self, scope: &Scope, id: UserId, command: UserCommand) -> Result<()> {
        tell_user(&self.commands, scope, id, &command).await
    }
}
