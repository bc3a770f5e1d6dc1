//! Tokens of service accounts: from a token to the scope of its account.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::{OrgId, OrgRole, Timestamp, UserId};

use super::Identity;
use crate::account::session::{TokenHash, hash_token};
use crate::account::token::is_well_formed;
use crate::kernel::error::{Error, Result};
use crate::kernel::log_limit::LogLimit;
use crate::kernel::scope::{Actor, RequestContext, Scope};
use crate::kernel::side_write::SideWrite;

/// The owner of a token. It never changes: a deleted token is only removed from its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenOwner {
    /// The org of the service account.
    pub org: OrgId,
    /// The service account.
    pub service_account_id: UserId,
    /// The token.
    pub token_id: i64,
}

/// Stores the hashes of tokens outside the log, so that a token's owner is found before the org is known.
pub trait TokenHashes: Send + Sync {
    /// Stores the hash of a new token.
    fn keep_hash(&self, hash: &TokenHash, owner: &TokenOwner) -> SideWrite;
}

/// The properties of a service account that each request needs.
#[derive(Clone, Debug)]
pub struct IdentifiedAccount {
    /// The service account as an actor.
    pub actor: Arc<Actor>,
    /// Its role in its org.
    pub role: OrgRole,
    /// Whether its tokens are refused.
    pub is_disabled: bool,
    /// Its tokens by id, with their expiry, if any.
    pub tokens: HashMap<i64, Option<Timestamp>>,
}

/// Reads the properties of service accounts that requests need.
#[async_trait]
pub trait TokenReader: Send + Sync {
    /// The owner of the token with this hash.
    async fn find_token_owner(&self, hash: &TokenHash) -> Result<Option<TokenOwner>>;
    /// The properties of a service account.
    async fn identify_account(&self, org: OrgId, id: UserId) -> Result<Option<IdentifiedAccount>>;
    /// Records the use of a token.
    async fn touch_token(&self, owner: &TokenOwner, now: Timestamp) -> Result<()>;
}

/// The same error for all invalid tokens, so that clients learn nothing by trying.
fn refused() -> Error {
    Error::unauthenticated("Invalid API key")
}

impl Identity {
    /// The scope of a request with a token. It is limited to the token's org.
    pub(super) async fn authenticate_token(
        &self,
        token: &str,
        wanted_org: Option<OrgId>,
        mut request: RequestContext,
    ) -> Result<Scope> {
        request.auth_method = "token";
        let Some(owner) = self.find_owner(token).await? else {
            self.access.token_refused(None, "unknown token", &request);
            return Err(refused());
        };
        request.token_id = Some(owner.token_id);
        let key = (owner.org, owner.service_account_id);
        let account = async { Ok(self.tokens.identify_account(key.0, key.1).await?.map(Arc::new)) };
        let account = self.cache.accounts.get_or_fetch(&key, account).await?;
        let now = self.clock.now();
        let account = match usable(account, &owner, now) {
            Ok(account) => account,
            Err(reason) => {
                self.access.token_refused(Some(key), reason, &request);
                return Err(refused());
            }
        };
        if let Some(wanted) = wanted_org.filter(|wanted| *wanted != owner.org) {
            self.access.org_denied(&account.actor, wanted, &request);
            return Err(Error::unauthenticated("Unauthorized"));
        }
        self.note_used(&owner, now).await;
        // No other account ever has its id, so it has created all its objects as a member.
        let since = Some(Timestamp(0));
        Ok(Scope::of_member(owner.org, account.role, account.actor.clone(), Arc::new(request)).since(since))
    }

    async fn find_owner(&self, token: &str) -> Result<Option<TokenOwner>> {
        // The checksum saves a database query for texts that were never tokens.
        if !is_well_formed(token) {
            return Ok(None);
        }
        let hash = hash_token(token);
        let owner = async { self.tokens.find_token_owner(&hash).await };
        self.cache.token_owners.get_or_fetch(&hash, owner).await
    }

    async fn note_used(&self, owner: &TokenOwner, now: Timestamp) {
        static LIMIT: LogLimit = LogLimit::new();
        if self.cache.tokens_seen.is_recent(&(owner.org, owner.token_id), now) {
            return;
        }
        // A request does not fail because the use of its token could not be recorded.
        if let Err(error) = self.tokens.touch_token(owner, now).await
            && let Some(suppressed) = LIMIT.admit()
        {
            tracing::warn!(%error, suppressed, token = owner.token_id, "could not update the last use of a token");
        }
    }
}

/// The account of a valid token, or the reason why the token is invalid, for the log only.
fn usable(
    account: Option<Arc<IdentifiedAccount>>,
    owner: &TokenOwner,
    now: Timestamp,
) -> Result<Arc<IdentifiedAccount>, &'static str> {
    let account = account.ok_or("the service account was deleted")?;
    let expires = account.tokens.get(&owner.token_id).ok_or("the token was deleted")?;
    if account.is_disabled {
        return Err("the service account is disabled");
    }
    if expires.is_some_and(|expires| expires <= now) {
        return Err("the token has expired");
    }
    Ok(account)
}
