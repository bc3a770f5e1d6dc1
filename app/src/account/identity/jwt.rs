//! Tokens of an identity provider (JWT): from a token to the user that its claims identify.
//!
//! A token is checked in the order of cost: first its signature, then its claims, then the database. Without a valid
//! signature, a token gets no further than the first check, whatever its claims.

mod attribute;
mod claims;
mod org_mapping;
mod provision;

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::{Timestamp, UserId};
use moka::sync::Cache;
use serde_json::{Map, Value};

use super::Identity;
use crate::account::membership::Memberships;
use crate::account::org::OrgReader;
use crate::account::session::{TokenHash, hash_token};
use crate::account::user::{DefaultMembership, UserReader, Users};
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::scope::RequestContext;

pub use attribute::Attribute;
pub use claims::{Expected, LEEWAY_SECONDS};
pub use org_mapping::{MappedOrg, OrgMapping};
pub(crate) use provision::MAX_MAPPED_ORGS;

/// The claims of a token, by name.
pub type Claims = Map<String, Value>;

/// How long the user of a token is cached, so that a client that sends the token with each request causes one signature
/// check and one check of its roles in that time. For as long, a token outlives the key that signed it.
pub(crate) const REMEMBERED_SECONDS: i64 = 60;

/// The maximum number of cached tokens.
const MAX_REMEMBERED: u64 = 20_000;

/// The reason why a token was not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JwtError {
    /// The token is invalid, for this reason, which is for the log only.
    Refused(&'static str),
    /// The keys are unavailable.
    Unavailable,
}

/// Verifies the signatures of tokens.
#[async_trait]
pub trait JwtVerifier: Send + Sync {
    /// The claims of a token that a trusted key has signed. The claims themselves are not checked.
    async fn verify(&self, token: &str) -> std::result::Result<Claims, JwtError>;
}

/// The requirements on a token, and the meaning of its claims.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The user's login.
    pub username: Option<Attribute>,
    /// The user's e-mail address.
    pub email: Option<Attribute>,
    /// The user's name.
    pub name: Attribute,
    /// The user's role in the default org, or `GrafanaAdmin`.
    pub role: Option<Attribute>,
    /// The groups that are mapped to orgs.
    pub orgs: Option<Attribute>,
    /// The required values of claims.
    pub expected: Expected,
    /// Whether a user without a valid role is refused.
    pub is_role_strict: bool,
    /// The mapping of groups to orgs.
    pub org_mapping: Vec<OrgMapping>,
    /// Whether missing users are created.
    pub signs_up: bool,
    /// Whether the role `GrafanaAdmin` makes a server admin.
    pub assigns_server_admin: bool,
    /// Whether roles in orgs are taken from tokens.
    pub syncs_org_roles: bool,
    /// The membership of users if tokens specify no other.
    pub default_membership: DefaultMembership,
}

/// The dependencies of log-ins with tokens.
pub struct JwtPorts {
    /// Checks signatures.
    pub verifier: Arc<dyn JwtVerifier>,
    /// Finds users.
    pub users: Arc<dyn UserReader>,
    /// Finds orgs.
    pub orgs: Arc<dyn OrgReader>,
    /// Creates and changes users.
    pub accounts: Arc<Users>,
    /// Changes memberships.
    pub memberships: Arc<Memberships>,
}

/// Log-ins with tokens of an identity provider.
pub struct JwtLogIn {
    ports: JwtPorts,
    settings: JwtSettings,
    remembered: Cache<TokenHash, Remembered>,
}

/// The user of a token.
#[derive(Clone, Copy)]
struct Remembered {
    user: UserId,
    expires: Timestamp,
}

/// The reason why a token does not log in.
enum Failure {
    /// It is refused: its user, if known; the reason, for the log only; and the error for the client.
    Refused { user: Option<UserId>, reason: &'static str, answer: Error },
    /// The check itself failed.
    Fault(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Fault(error)
    }
}

impl Failure {
    /// An invalid token. The error is always the same, so that clients learn nothing by trying.
    fn invalid(reason: &'static str) -> Self {
        Self::Refused { user: None, reason, answer: refused() }
    }
}

fn refused() -> Error {
    Error::unauthenticated("Failed to verify JWT").with_code("jwt.invalid")
}

impl JwtLogIn {
    /// Log-ins on these ports.
    #[must_use]
    pub fn new(ports: JwtPorts, settings: JwtSettings) -> Self {
        let remembered = Cache::builder().max_capacity(MAX_REMEMBERED).build();
        Self { ports, settings, remembered }
    }

    /// The user of a token, who is created or updated if necessary.
    async fn find_user(
        &self,
        identity: &Identity,
        token: &str,
        request: &RequestContext,
    ) -> std::result::Result<UserId, Failure> {
        let now = identity.clock.now();
        let hash = hash_token(token);
        if let Some(Remembered { user, expires }) = self.remembered.get(&hash)
            && now < expires
        {
            return Ok(user);
        }
        let claims = match self.ports.verifier.verify(token).await {
            Ok(claims) => claims,
            Err(JwtError::Refused(reason)) => return Err(Failure::invalid(reason)),
            Err(JwtError::Unavailable) => return Err(Failure::Fault(unavailable())),
        };
        let expires = claims::check_times(&claims, now).map_err(Failure::invalid)?;
        self.settings.expected.check(&claims).map_err(Failure::invalid)?;
        let expires = expires.min(now.plus_seconds(REMEMBERED_SECONDS));
        let user = self.provision(identity, &claims, request).await?;
        self.remembered.insert(hash, Remembered { user, expires });
        Ok(user)
    }
}

fn unavailable() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "The keys of the identity provider are not available, try again shortly",
    )
}

impl Identity {
    /// The user of a token of the identity provider.
    pub(super) async fn authenticate_jwt(&self, token: &str, request: &RequestContext) -> Result<UserId> {
        let Some(jwt) = &self.jwt else { return Err(refused()) };
        match jwt.find_user(self, token, request).await {
            Ok(user) => Ok(user),
            Err(Failure::Fault(error)) => Err(error),
            Err(Failure::Refused { user, reason, answer }) => {
                self.record_failure(user, reason, request).await;
                Err(answer)
            }
        }
    }

    /// Logs in with a token of the identity provider, and returns the token of a new session.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn log_in_with_jwt(&self, token: &str, request: &RequestContext) -> Result<String> {
        let request = &RequestContext { auth_method: "jwt", ..request.clone() };
        let user_id = self.authenticate_jwt(token, request).await?;
        let session = match self.identify(user_id).await? {
            Some(identified) => self.open_session(&identified, None, request).await?,
            None => None,
        };
        if session.is_none() {
            self.record_failure(Some(user_id), "the user is disabled", request).await;
        }
        session.ok_or_else(refused)
    }
}
