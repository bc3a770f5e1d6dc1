//! Authentication: from credentials to a [`Scope`].

mod cache;
mod jwt;
mod login;
mod token;
mod turn;

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::{Invariant, OrgId, OrgRole, Timestamp, UserId};

use crate::account::access::AccessLog;
use crate::account::login_attempt::LoginAttempts;
use crate::account::password::PasswordHasher;
use crate::account::session::{NewToken, Session, SessionLifetimes, SessionStore, TokenHash, hash_token};
use crate::account::user::Users;
use crate::kernel::clock::Clock;
use crate::kernel::credential::Credentials;
use crate::kernel::error::{Error, Result};
use crate::kernel::log_limit::LogLimit;
use crate::kernel::scope::{Actor, RequestContext, Scope};

pub use cache::IdentityCache;
use cache::KnownSession;
pub use jwt::{
    Attribute, Claims, Expected, JwtError, JwtLogIn, JwtPorts, JwtSettings, JwtVerifier, LEEWAY_SECONDS,
    MappedOrg, OrgMapping,
};
pub(crate) use jwt::{MAX_MAPPED_ORGS, REMEMBERED_SECONDS};
use login::OnSuccess;
use turn::Turns;

pub use token::{IdentifiedAccount, TokenHashes, TokenOwner, TokenReader};

/// The interval, in seconds, between updates of the last activity of a user or session.
const SEEN_INTERVAL_SECONDS: i64 = 5 * 60;

/// The properties of a user that each request needs.
#[derive(Clone, Debug)]
pub struct Identified {
    /// The user.
    pub actor: Arc<Actor>,
    /// The login and the e-mail address, folded.
    pub names: [Arc<str>; 2],
    /// Whether the user is disabled.
    pub is_disabled: bool,
    /// The hash of the user's password.
    pub password_hash: Arc<str>,
    /// The same hash as it is stored, sealed: it differs each time the password is set.
    pub password_seal: Arc<[u8]>,
    /// The user's current org.
    pub org_id: OrgId,
    /// The orgs the user is a member of, by id.
    pub memberships: Vec<IdentifiedMembership>,
}

/// The properties of a user's membership that each request needs.
#[derive(Clone, Copy, Debug)]
pub struct IdentifiedMembership {
    /// The org.
    pub org: OrgId,
    /// The user's role there.
    pub role: OrgRole,
    /// When the user became a member.
    pub since: Timestamp,
}

/// Reads the properties of users that requests need.
#[async_trait]
pub trait IdentityReader: Send + Sync {
    /// The user with this folded login or e-mail address.
    async fn find_user_id(&self, login: &str) -> Result<Option<UserId>>;
    /// The properties of a user.
    async fn identify(&self, user: UserId) -> Result<Option<Identified>>;
    /// Records the activity of a user.
    async fn touch_user(&self, user: UserId, now: Timestamp) -> Result<()>;
}

/// An authenticated request.
pub struct Authenticated {
    /// The scope of the caller.
    pub scope: Scope,
    /// The session's new token, if it was replaced.
    pub new_token: Option<String>,
}

/// The protection against password guessing.
#[derive(Clone, Copy, Debug)]
pub struct LockOut {
    /// The number of failures within [`crate::account::login_attempt::WINDOW_SECONDS`] that locks; `None` never locks.
    pub max_failures: Option<i64>,
}

/// The use cases of identity.
pub struct Identity {
    reader: Arc<dyn IdentityReader>,
    tokens: Arc<dyn TokenReader>,
    sessions: Arc<dyn SessionStore>,
    attempts: Arc<dyn LoginAttempts>,
    passwords: Arc<dyn PasswordHasher>,
    users: Arc<Users>,
    jwt: Option<JwtLogIn>,
    clock: Arc<dyn Clock>,
    cache: Arc<IdentityCache>,
    access: AccessLog,
    lifetimes: SessionLifetimes,
    lock_out: LockOut,
    turns: Turns,
}

/// The dependencies of [`Identity`].
pub struct IdentityPorts {
    /// Reads users.
    pub reader: Arc<dyn IdentityReader>,
    /// Reads service accounts.
    pub tokens: Arc<dyn TokenReader>,
    /// Stores sessions.
    pub sessions: Arc<dyn SessionStore>,
    /// Counts failed log-ins.
    pub attempts: Arc<dyn LoginAttempts>,
    /// Checks passwords.
    pub passwords: Arc<dyn PasswordHasher>,
    /// Changes passwords.
    pub users: Arc<Users>,
    /// Log-ins with tokens of an identity provider, if there is one.
    pub jwt: Option<JwtLogIn>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Caches identified users and service accounts.
    pub cache: Arc<IdentityCache>,
    /// Records refusals and log-ins.
    pub access: AccessLog,
}

impl Identity {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(ports: IdentityPorts, lifetimes: SessionLifetimes, lock_out: LockOut) -> Self {
        let IdentityPorts { reader, tokens, sessions, attempts, passwords, users, jwt, clock, cache, access } =
            ports;
        Self {
            reader,
            tokens,
            sessions,
            attempts,
            passwords,
            users,
            jwt,
            clock,
            cache,
            access,
            lifetimes,
            lock_out,
            turns: Turns::default(),
        }
    }

    /// Authenticates a request, and chooses its org: the one it names, otherwise the user's current one.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
        wanted_org: Option<OrgId>,
        mut request: RequestContext,
    ) -> Result<Authenticated> {
        let (identified, new_token) = match credentials {
            Credentials::Basic { login, password } => {
                request.auth_method = "basic";
                let proven = self.check_password(login, password, &request, OnSuccess::Withdraw).await?;
                (self.identify(proven.user_id).await?, None)
            }
            Credentials::Session(token) => {
                request.auth_method = "session";
                let (known, new_token) = self.check_session(token, &request).await?;
                request.token_id = Some(known.session.id);
                (Some(known.user), new_token)
            }
            Credentials::Jwt(token) => {
                request.auth_method = "jwt";
                let user_id = Box::pin(self.authenticate_jwt(token, &request)).await?;
                (self.identify(user_id).await?, None)
            }
            Credentials::Token(token) => {
                let scope = self.authenticate_token(token, wanted_org, request).await?;
                return Ok(Authenticated { scope, new_token: None });
            }
        };
        let scope = self.scope_of(identified, wanted_org, request)?;
        self.note_seen(scope.actor().user_id).await;
        Ok(Authenticated { scope, new_token })
    }

    /// Checks again that a request still has the rights of its scope, after a wait or during a long response:
    /// credentials or rights may have been revoked in the meantime.
    pub async fn reauthenticate(&self, credentials: &Credentials, scope: &Scope) -> Result<()> {
        let wanted_org = Some(scope.home()).filter(|home| *home != NO_ORG);
        let request = scope.request().clone();
        let now = match credentials {
            Credentials::Session(token) => {
                let user = self.user_of_session(token, scope).await?;
                self.scope_of(user, wanted_org, request)?
            }
            credentials => self.authenticate(credentials, wanted_org, request).await?.scope,
        };
        if now.has_rights_of(scope) { Ok(()) } else { Err(Error::broken(Invariant::ACTOR_KEEPS_RIGHTS)) }
    }

    /// The scope of a user, in the org that the request names, otherwise in the user's current one.
    fn scope_of(
        &self,
        identified: Option<Arc<Identified>>,
        wanted_org: Option<OrgId>,
        request: RequestContext,
    ) -> Result<Scope> {
        let identified = identified.filter(|identified| !identified.is_disabled);
        let identified = identified.ok_or_else(|| Error::unauthenticated("Unauthorized"))?;
        let Ok((org, membership)) = identified.choose_org(wanted_org) else {
            self.access.org_denied(&identified.actor, wanted_org.unwrap_or_default(), &request);
            return Err(Error::unauthenticated("Unauthorized"));
        };
        let role = membership.map_or(OrgRole::None, |membership| membership.role);
        Ok(Scope::of_member(org, role, identified.actor.clone(), Arc::new(request))
            .since(membership.map(|membership| membership.since)))
    }

    async fn identify(&self, user_id: UserId) -> Result<Option<Arc<Identified>>> {
        self.cache
            .users
            .get_or_fetch(&user_id, async { Ok(self.reader.identify(user_id).await?.map(Arc::new)) })
            .await
    }

    async fn check_session(
        &self,
        token: &str,
        request: &RequestContext,
    ) -> Result<(KnownSession, Option<String>)> {
        let (hash, now) = (hash_token(token), self.clock.now());
        let known = self.find_session(&hash).await?;
        let session = &known.session;
        let mut new_token = None;
        // Only the current token is replaced: a client with the previous one already has a newer one.
        if session.token == hash && session.rotated.plus_seconds(self.lifetimes.rotation_seconds) <= now {
            new_token = Box::pin(self.rotate(session, request, now)).await.unwrap_or_else(|error| {
                static LIMIT: LogLimit = LogLimit::new();
                if let Some(suppressed) = LIMIT.admit() {
                    let session = session.id;
                    tracing::warn!(%error, suppressed, session, "could not rotate the token of a session");
                }
                None
            });
        } else if session.seen.plus_seconds(SEEN_INTERVAL_SECONDS) <= now {
            // A session stays valid while the database accepts no writes.
            match self.sessions.touch_session(session.id, session.user_id, now).await {
                Ok(true) => self.cache.forget_token(&hash),
                Ok(false) => {
                    self.cache.forget_session(session);
                    return Err(Error::unauthenticated("Unauthorized"));
                }
                Err(error) => {
                    static LIMIT: LogLimit = LogLimit::new();
                    if let Some(suppressed) = LIMIT.admit() {
                        let session = session.id;
                        tracing::warn!(%error, suppressed, session, "could not update the last use of a session");
                    }
                }
            }
        }
        Ok((known, new_token))
    }

    async fn find_session(&self, hash: &TokenHash) -> Result<KnownSession> {
        let known = match self.cache.session(hash) {
            Some(known) => Some(known),
            None => Box::pin(self.read_session(hash)).await?,
        };
        let known = known.filter(|known| self.lifetimes.is_alive(&known.session, self.clock.now()));
        known.ok_or_else(|| Error::unauthenticated("Unauthorized"))
    }

    /// The user of a session that a scope was authenticated by. The token may have been replaced twice since.
    async fn user_of_session(&self, token: &str, scope: &Scope) -> Result<Option<Arc<Identified>>> {
        let refused = match self.find_session(&hash_token(token)).await {
            Ok(known) => return Ok(Some(known.user)),
            Err(error) => error,
        };
        let user = scope.actor().user_id;
        match scope.request().token_id {
            Some(id) if self.sessions.has_session(user, id).await? => self.identify(user).await,
            _ => Err(refused),
        }
    }

    async fn read_session(&self, hash: &TokenHash) -> Result<Option<KnownSession>> {
        let before = self.cache.before_session();
        let Some(session) = self.sessions.find_session(hash).await? else { return Ok(None) };
        let Some(user) = self.identify(session.user_id).await? else { return Ok(None) };
        let known = KnownSession { session: Arc::new(session), user };
        self.cache.keep_session(&before, hash, &known);
        Ok(Some(known))
    }

    async fn rotate(
        &self,
        session: &Session,
        request: &RequestContext,
        now: Timestamp,
    ) -> Result<Option<String>> {
        let new = NewToken::try_random()?;
        let replaced = self.sessions.rotate_token(session, &new.hash, request, now).await?;
        self.cache.forget_session(session);
        Ok(replaced.then_some(new.token))
    }

    /// Replaces the token of a session at the client's request.
    pub async fn rotate_session(&self, token: &str, request: &RequestContext) -> Result<Option<String>> {
        let hash = hash_token(token);
        let session = self.sessions.find_session(&hash).await?;
        let now = self.clock.now();
        let session = session.filter(|session| self.lifetimes.is_alive(session, now));
        let session = session.ok_or_else(|| Error::unauthenticated("Unauthorized"))?;
        if session.token == hash { self.rotate(&session, request, now).await } else { Ok(None) }
    }

    async fn note_seen(&self, user: UserId) {
        static LIMIT: LogLimit = LogLimit::new();
        let now = self.clock.now();
        if self.cache.users_seen.is_recent(&user, now) {
            return;
        }
        // A request does not fail because its activity could not be recorded.
        if let Err(error) = self.reader.touch_user(user, now).await
            && let Some(suppressed) = LIMIT.admit()
        {
            tracing::warn!(%error, suppressed, user = user.0, "could not update the last activity of a user");
        }
    }
}

impl Identified {
    /// The org that a log-in leads to; `None` without a membership.
    fn own_org(&self) -> Option<OrgId> {
        self.choose_org(None).ok().and_then(|(org, membership)| membership.map(|_| org))
    }

    /// The org to act for, and the membership there. Server admins may name any org, even without a membership.
    fn choose_org(&self, wanted: Option<OrgId>) -> Result<(OrgId, Option<IdentifiedMembership>)> {
        let find = |org: OrgId| self.memberships.iter().find(|membership| membership.org == org).copied();
        if let Some(wanted) = wanted {
            return match find(wanted) {
                Some(membership) => Ok((wanted, Some(membership))),
                None if self.actor.is_server_admin && wanted.0 > 0 => Ok((wanted, None)),
                None => Err(Error::unauthenticated("Unauthorized")),
            };
        }
        // A user removed from their current org continues in another one of theirs, or in none.
        let membership = find(self.org_id).or_else(|| self.memberships.first().copied());
        Ok((membership.map_or(NO_ORG, |membership| membership.org), membership))
    }
}

/// The org of a user without memberships. No org has this id, so nothing can be read with it.
const NO_ORG: OrgId = OrgId(-1);
