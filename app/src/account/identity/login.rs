//! Passwords: checking them, logging in with them and changing one's own.

use std::sync::Arc;

use kymograph_domain::UserId;
use kymograph_domain::account::user::MAX_PASSWORD_BYTES;
use kymograph_domain::kernel::text::{MAX_NAME_BYTES, fold};
use sha2::{Digest, Sha256};

use super::{Identified, Identity};
use crate::account::login_attempt::{LoginAttempt, account};
use crate::account::session::{MAX_SESSIONS, NewToken, Session};
use crate::kernel::client_network::network_of_client_at;
use crate::kernel::error::{Error, Result};
use crate::kernel::scope::{RequestContext, Scope};

/// The same error for a wrong login, a wrong password and a disabled user, so that clients cannot distinguish them.
fn refused() -> Error {
    Error::unauthenticated("Invalid username or password").with_code("password-auth.failed")
}

/// The reason why a password was not accepted, for the log only.
#[derive(Clone, Copy)]
enum Unproven {
    TooManyAttempts,
    UnknownLogin,
    WrongPassword,
    Disabled,
}

impl Unproven {
    fn of_log_in(self) -> &'static str {
        match self {
            Self::TooManyAttempts => "too many failed log-ins",
            Self::UnknownLogin => "unknown login",
            Self::WrongPassword => "wrong password",
            Self::Disabled => "the user is disabled",
        }
    }

    /// The same for the old password, which a user needs to change their own.
    fn of_old_password(self) -> &'static str {
        match self {
            Self::TooManyAttempts => "too many failed log-ins, at a change of the password",
            _ => "wrong old password",
        }
    }
}

fn locked() -> Error {
    Error::unauthenticated("Invalid username or password").with_code("login-attempt.blocked")
}

/// A user with a correct password, and the stored hash that it matched.
pub(super) struct Proven {
    pub(super) user_id: UserId,
    pub(super) hash: Arc<str>,
}

/// A login and password from a request.
struct Given<'a> {
    /// The folded login or e-mail address.
    name: String,
    password: &'a str,
    /// The keyed hash of the name and the client's network.
    sender: [u8; 32],
    /// The keyed hash of name, network and password.
    key: [u8; 32],
}

/// The effect of the right password on the attempts on an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnSuccess {
    /// All are deleted: the user has logged in.
    Clear,
    /// Only the correct one is deleted. A script sends its password with each request, and must not reset the count of
    /// guesses.
    Withdraw,
}

impl Identity {
    /// Logs in and returns the token of a new session. Fails if the password was changed or the user disabled since the
    /// password was checked.
    pub async fn log_in(&self, login: &str, password: &str, request: &RequestContext) -> Result<String> {
        let request = &RequestContext { auth_method: "password", ..request.clone() };
        let Proven { user_id, hash } =
            self.check_password(login, password, request, OnSuccess::Clear).await?;
        let identified = self.identify(user_id).await?.filter(|user| user.password_hash == hash);
        let identified = identified.ok_or_else(refused)?;
        self.open_session(&identified, Some(&identified.password_seal), request).await?.ok_or_else(refused)
    }

    /// Creates a session for an authenticated user, by a password with this seal if it was by a password. `None` if the
    /// user has been disabled or the password changed in the meantime.
    pub(super) async fn open_session(
        &self,
        identified: &Identified,
        password_seal: Option<&[u8]>,
        request: &RequestContext,
    ) -> Result<Option<String>> {
        let actor = &identified.actor;
        let user_id = actor.user_id;
        // Log-ins of a user run one at a time, so that each knows which sessions it ends.
        let _turn = self.turns.take(&format!("session/{user_id}")).await;
        let token = NewToken::try_random()?;
        let now = self.clock.now();
        let oldest = self.sessions.list_sessions(user_id).await?.into_iter().skip(MAX_SESSIONS - 1);
        let session = Session {
            id: 0,
            user_id,
            token: token.hash,
            previous_token: token.hash,
            created: now,
            rotated: now,
            seen: now,
            client_ip: request.ip.clone(),
            user_agent: request.user_agent.clone(),
        };
        let Some(session_id) = self.sessions.insert_session(&session, password_seal).await? else {
            return Ok(None);
        };
        oldest.for_each(|ended| self.cache.forget_session(&ended));
        // A session is returned only if the log has recorded it.
        self.access.logged_in(actor, identified.own_org(), session_id, request).await?;
        Ok(Some(token.token))
    }

    /// Changes the actor's own password, which needs the old one.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_own_password(&self, scope: &Scope, old: &str, new: &str) -> Result<()> {
        let wrong = || Error::invalid("Invalid old password");
        let user_id = scope.actor().user_id;
        let account = account(Some(user_id), "");
        let _turn = self.turns.take(&account).await;
        let request = scope.request();
        match self.prove(&account, Some(user_id), old, request, OnSuccess::Clear).await? {
            Ok(Proven { hash, .. }) => {
                self.users.replace_own_password(scope, new, &hash).await?.then_some(()).ok_or_else(wrong)
            }
            // A service account has no password.
            Err(Unproven::UnknownLogin) => Err(refused()),
            Err(reason) => {
                self.record_failure(Some(user_id), reason.of_old_password(), request).await;
                Err(wrong())
            }
        }
    }

    /// The user with a login and password, if they are correct.
    ///
    /// A pair that was correct before is recognised by its keyed hash and costs no password hashing, as long as the
    /// user has that name, the stored hash is the same, and the request comes from the same network, unless that has
    /// sent other passwords since.
    pub(super) async fn check_password(
        &self,
        login: &str,
        password: &str,
        request: &RequestContext,
        success: OnSuccess,
    ) -> Result<Proven> {
        if login.len() > MAX_NAME_BYTES || password.len() > MAX_PASSWORD_BYTES {
            self.record_failure(None, "the login or password is too long", request).await;
            return Err(refused());
        }
        let name = fold(login);
        let network = network_of_client_at(&request.ip).to_string();
        let sender = self.keyed_hash(&[&name, &network]);
        let key = self.keyed_hash(&[&name, &network, password]);
        let given = Given { name, password, sender, key };
        match self.remembered(&given).await? {
            Some(proven) => Ok(proven),
            // On the heap: hardly any request needs it.
            None => Box::pin(self.check_anew(given, request, success)).await,
        }
    }

    /// The user with a login and password that are not cached, if they are correct.
    async fn check_anew(
        &self,
        given: Given<'_>,
        request: &RequestContext,
        success: OnSuccess,
    ) -> Result<Proven> {
        // Before the first await, so that only the first of concurrent guesses is compared with the cache.
        self.cache.guessed.insert(given.sender, ());
        let user = self.reader.find_user_id(&given.name).await?;
        let account = account(user, &given.name);
        let _turn = self.turns.take(&account).await;
        // A concurrent request with the same credentials may have been checked in the meantime.
        if let Some(proven) = self.remembered(&given).await? {
            return Ok(proven);
        }
        self.cache.guessed.insert(given.sender, ());
        match self.prove(&account, user, given.password, request, success).await? {
            Ok(proven) => {
                self.cache.passwords.insert(given.key, (proven.user_id, proven.hash.clone()));
                self.cache.guessed.invalidate(&given.sender);
                Ok(proven)
            }
            Err(reason) => {
                self.record_failure(user, reason.of_log_in(), request).await;
                Err(if matches!(reason, Unproven::TooManyAttempts) { locked() } else { refused() })
            }
        }
    }

    /// Records a failed log-in, for the server and for the org that it would have led to.
    pub(super) async fn record_failure(&self, user: Option<UserId>, reason: &str, request: &RequestContext) {
        let identified = match user {
            Some(user_id) => self.identify(user_id).await.ok().flatten(),
            None => None,
        };
        let org = identified.and_then(|identified| identified.own_org());
        self.access.login_failed(user, org, reason, request);
    }

    async fn remembered(&self, given: &Given<'_>) -> Result<Option<Proven>> {
        let Given { name, sender, key, .. } = given;
        if self.cache.guessed.contains_key(sender) {
            return Ok(None);
        }
        let Some((user_id, hash)) = self.cache.passwords.get(key) else { return Ok(None) };
        if let Some(identified) = self.identify(user_id).await?
            && !identified.is_disabled
            && identified.password_hash == hash
            && identified.names.iter().any(|own| **own == **name)
        {
            return Ok(Some(Proven { user_id, hash }));
        }
        self.cache.passwords.invalidate(key);
        Ok(None)
    }

    /// Checks a password of an account whose turn the caller holds. The attempt is counted before the check.
    async fn prove(
        &self,
        account: &str,
        user: Option<UserId>,
        password: &str,
        request: &RequestContext,
        success: OnSuccess,
    ) -> Result<Result<Proven, Unproven>> {
        let attempt =
            LoginAttempt { account: account.to_owned(), at: self.clock.now(), ip: request.ip.clone() };
        if let Some(max) = self.lock_out.max_failures
            && !self.attempts.begin(&attempt, max).await?
        {
            return Ok(Err(Unproven::TooManyAttempts));
        }
        let proven = self.verify(user, password, &request.ip).await;
        match &proven {
            Ok(Ok(_)) if success == OnSuccess::Clear => self.attempts.clear(account).await?,
            Ok(Ok(_)) | Err(_) => self.attempts.withdraw(&attempt).await?,
            Ok(Err(_)) => {}
        }
        proven
    }

    async fn verify(
        &self,
        user: Option<UserId>,
        password: &str,
        ip: &str,
    ) -> Result<Result<Proven, Unproven>> {
        let identified = match user {
            Some(user_id) => self.identify(user_id).await?,
            None => None,
        };
        let Some(identified) = identified else {
            self.passwords.verify_nothing(password, ip).await?;
            return Ok(Err(Unproven::UnknownLogin));
        };
        let user_id = identified.actor.user_id;
        let hash = identified.password_hash.clone();
        if password.len() > MAX_PASSWORD_BYTES || !self.passwords.verify(password, &hash, ip).await? {
            return Ok(Err(Unproven::WrongPassword));
        }
        // The check took time: the password may have been changed, or the user disabled, in the meantime.
        let identified = self.identify(user_id).await?.filter(|identified| identified.password_hash == hash);
        Ok(match identified {
            None => Err(Unproven::WrongPassword),
            Some(identified) if identified.is_disabled => Err(Unproven::Disabled),
            Some(_) => Ok(Proven { user_id, hash }),
        })
    }

    /// A hash of texts that is useless outside this process.
    fn keyed_hash(&self, texts: &[&str]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.cache.key);
        for text in texts {
            hash.update(text.len().to_le_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}
