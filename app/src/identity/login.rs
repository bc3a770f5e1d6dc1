//! Passwords: checking them, logging in with them and changing one's own.

use std::sync::Arc;

use kymograph_domain::UserId;
use sha2::{Digest, Sha256};

use super::Identity;
use crate::error::{Error, Result};
use crate::login_attempt::WINDOW_SECONDS;
use crate::scope::{RequestContext, Scope};
use crate::session::{NewToken, Session};

/// One answer for a wrong login, a wrong password and a disabled user, so that none can be told from another.
fn refused() -> Error {
    Error::unauthenticated("Invalid username or password").with_code("password-auth.failed")
}

fn locked() -> Error {
    Error::unauthenticated("Invalid username or password").with_code("login-attempt.blocked")
}

/// The user and the stored hash that a password is right for; or whose it is not, and why, for the log only.
type Verified = Result<(UserId, Arc<str>), (Option<UserId>, &'static str)>;

impl Identity {
    /// Logs in and returns the token of a new session.
    pub async fn log_in(&self, login: &str, password: &str, request: &RequestContext) -> Result<String> {
        let request = &RequestContext { auth_method: "password", ..request.clone() };
        let user_id = self.check_password(login, password, request).await?;
        let identified = self.identify(user_id).await?.ok_or_else(refused)?;
        let token = NewToken::try_random()?;
        let now = self.clock.now();
        let session_id = self
            .sessions
            .insert_session(&Session {
                id: 0,
                user_id,
                token: token.hash,
                previous_token: token.hash,
                created: now,
                rotated: now,
                seen: now,
                client_ip: request.ip.clone(),
                user_agent: request.user_agent.clone(),
            })
            .await?;
        // Nobody gets a session of which the log knows nothing.
        self.access.logged_in(&identified.actor, session_id, request).await?;
        Ok(token.token)
    }

    /// Changes the actor's own password, which needs the old one.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_own_password(&self, scope: &Scope, old: &str, new: &str) -> Result<()> {
        let user_id = scope.actor().user_id;
        let identified = self.identify(user_id).await?.ok_or_else(refused)?;
        if !self.passwords.verify(old, &identified.password_hash).await? {
            return Err(Error::invalid("Invalid old password"));
        }
        self.users.replace_password(scope, user_id, new).await
    }

    /// The user of a login and password, if they are right.
    ///
    /// A pair that was right before is recognised by its keyed hash and costs no password hashing, as long as
    /// the user's stored hash is the one it was right for.
    pub(super) async fn check_password(
        &self,
        login: &str,
        password: &str,
        request: &RequestContext,
    ) -> Result<UserId> {
        let key = self.credential_key(login, password);
        if let Some((user_id, right_for)) = self.cache.passwords.get(&key) {
            if let Some(identified) = self.identify(user_id).await?
                && !identified.is_disabled
                && identified.password_hash == right_for
            {
                return Ok(user_id);
            }
            self.cache.passwords.invalidate(&key);
        }
        let login = login.trim().to_lowercase();
        if self.is_locked(&login).await? {
            let user = self.reader.find_user_id(&login).await?;
            self.access.login_failed(user, "too many failed log-ins", request);
            return Err(locked());
        }
        match self.verify(&login, password).await? {
            Ok((user_id, right_for)) => {
                self.attempts.clear(&login).await?;
                self.cache.passwords.insert(key, (user_id, right_for));
                Ok(user_id)
            }
            Err((user, reason)) => {
                self.access.login_failed(user, reason, request);
                self.attempts.record_failure(&login, self.clock.now(), &request.ip).await?;
                Err(refused())
            }
        }
    }

    async fn verify(&self, login: &str, password: &str) -> Result<Verified> {
        let identified = match self.reader.find_user_id(login).await? {
            Some(user_id) => self.identify(user_id).await?,
            None => None,
        };
        let Some(identified) = identified else {
            self.passwords.verify_nothing(password).await?;
            return Ok(Err((None, "unknown login")));
        };
        let user_id = identified.actor.user_id;
        Ok(if !self.passwords.verify(password, &identified.password_hash).await? {
            Err((Some(user_id), "wrong password"))
        } else if identified.is_disabled {
            Err((Some(user_id), "the user is disabled"))
        } else {
            Ok((user_id, identified.password_hash.clone()))
        })
    }

    async fn is_locked(&self, login: &str) -> Result<bool> {
        let Some(max) = self.lock_out.max_failures else { return Ok(false) };
        let since = self.clock.now().plus_seconds(-WINDOW_SECONDS);
        Ok(self.attempts.failures_since(login, since).await? >= max)
    }

    fn credential_key(&self, login: &str, password: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.cache.key);
        hash.update(login.len().to_le_bytes());
        hash.update(login);
        hash.update(password);
        hash.finalize().into()
    }
}
