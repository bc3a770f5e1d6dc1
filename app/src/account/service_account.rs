//! Service accounts: creating, changing, deleting and reading them, and their tokens.

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::account::service_account::{
    ServiceAccount, ServiceAccountCommand, ServiceAccountCreated, ServiceAccountError, token_expiry,
};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::kernel::slug::slugify;
use kymograph_domain::{OrgId, OrgRole, Timestamp, Uid, UserId};
use serde::{Deserialize, Serialize};

use crate::account::identity::{TokenHashes, TokenOwner};
use crate::account::token::NewApiToken;
use crate::kernel::clock::Clock;
use crate::kernel::ending::Endings;
use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::{IdAllocator, IdKind};
use crate::kernel::noun::Noun;
use crate::kernel::random::random_uid;
use crate::{Commands, Page, Permission, Scope};

/// A service account as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccountView {
    /// The org that owns it.
    pub org_id: OrgId,
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: String,
    /// The login.
    pub login: String,
    /// The name.
    pub name: String,
    /// The role in the org.
    pub role: OrgRole,
    /// Whether its tokens are refused.
    pub is_disabled: bool,
    /// The number of its tokens.
    pub token_count: i64,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A token as it is read, without the secret text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenView {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// Its expiry, if any.
    pub expires: Option<Timestamp>,
    /// When it was last used, if ever, with an accuracy of some minutes.
    pub last_used: Option<Timestamp>,
}

/// The filter of a search for service accounts.
#[derive(Clone, Debug, Default)]
pub struct ServiceAccountFilter {
    /// With this text in their name or login, in any case.
    pub query: String,
    /// Only disabled ones.
    pub is_disabled: bool,
    /// Only those with a token that expired before this time.
    pub expired_before: Option<Timestamp>,
}

/// Reads service accounts.
#[async_trait]
pub trait ServiceAccountReader: Send + Sync {
    /// The service account of that id.
    async fn find_service_account(&self, scope: &Scope, id: UserId) -> Result<Option<ServiceAccountView>>;
    /// The id of the service account of that uid.
    async fn find_service_account_id(&self, scope: &Scope, uid: &Uid) -> Result<Option<UserId>>;
    /// The service accounts that match a filter, by login.
    async fn search_service_accounts(
        &self,
        scope: &Scope,
        filter: &ServiceAccountFilter,
        page: Page,
    ) -> Result<Vec<ServiceAccountView>>;
    /// The total number of service accounts that match a filter.
    async fn count_service_accounts(&self, scope: &Scope, filter: &ServiceAccountFilter) -> Result<i64>;
    /// The tokens of a service account, by id.
    async fn list_tokens(&self, scope: &Scope, id: UserId) -> Result<Vec<TokenView>>;
}

/// A service account to create.
#[derive(Clone, Debug)]
pub struct NewServiceAccount {
    /// The name.
    pub name: String,
    /// The role in the org.
    pub role: OrgRole,
    /// Whether its tokens are refused.
    pub is_disabled: bool,
}

/// A change of a service account; `None` keeps a value.
#[derive(Clone, Debug)]
pub struct ServiceAccountChange {
    /// The new name.
    pub name: Option<String>,
    /// The new role.
    pub role: Option<OrgRole>,
    /// Whether its tokens shall be refused.
    pub is_disabled: Option<bool>,
}

/// A token that was created.
#[derive(Serialize, Deserialize)]
pub struct CreatedToken {
    /// The id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The token. It is not stored, so a repeated request gets none.
    #[serde(skip)]
    key: Option<String>,
}

impl CreatedToken {
    /// The token, which is returned only once.
    pub fn key(self) -> Result<String> {
        let message =
            "the token was created by the first request with this Idempotency-Key and is shown once";
        self.key.ok_or_else(|| Error::new(ErrorKind::Taken, message))
    }
}

/// The history of service accounts.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: ServiceAccount::TYPE,
    missing: "service account not found",
    key: KeyOf::Number,
    read: Some(Permission::SERVICE_ACCOUNTS_READ),
    write: Some(Permission::SERVICE_ACCOUNTS_WRITE),
    create: None,
};

impl Noun for ServiceAccount {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require(Permission::SERVICE_ACCOUNTS_WRITE)
    }
}

/// The use cases of service accounts.
pub struct ServiceAccounts {
    commands: Commands,
    reader: Arc<dyn ServiceAccountReader>,
    hashes: Arc<dyn TokenHashes>,
    endings: Endings,
    ids: Arc<dyn IdAllocator>,
    clock: Arc<dyn Clock>,
}

impl ServiceAccounts {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn ServiceAccountReader>,
        hashes: Arc<dyn TokenHashes>,
        endings: Endings,
        ids: Arc<dyn IdAllocator>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { commands, reader, hashes, endings, ids, clock }
    }

    /// Creates a service account and returns it.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_service_account(
        &self,
        scope: &Scope,
        new: &NewServiceAccount,
    ) -> Result<ServiceAccountView> {
        scope.require(Permission::SERVICE_ACCOUNTS_CREATE)?;
        let uid = &random_uid()?;
        let name = new.name.trim();
        let slug = slugify(name);
        // Without any character that is valid in a login, the uid replaces the name.
        let login = &format!("sa-{}-{}", scope.org(), if slug == "-" { uid.as_str() } else { &slug });
        let id = self
            .commands
            .run(scope, |mut unit| async move {
                // Numbered with the users, so that the ids of actors in the log are unambiguous.
                let id = UserId(self.ids.next_id(OrgId::SERVER, IdKind::User).await?);
                let mut account = unit.load::<ServiceAccount>(&id).await?;
                account
                    .tell(ServiceAccountCommand::Create(ServiceAccountCreated {
                        id,
                        uid: uid.clone(),
                        login: login.clone(),
                        name: name.to_owned(),
                        role: new.role,
                        is_disabled: new.is_disabled,
                    }))
                    .await?;
                unit.record(account)?;
                Ok(unit.decided(id))
            })
            .await?;
        let now = self.clock.now();
        // It can be deleted, alone or with its org, before it is read.
        Ok(self.reader.find_service_account(scope, id).await?.unwrap_or_else(|| ServiceAccountView {
            org_id: scope.org(),
            id,
            uid: uid.to_string(),
            login: login.clone(),
            name: name.to_owned(),
            role: new.role,
            is_disabled: new.is_disabled,
            token_count: 0,
            created: now,
            updated: now,
        }))
    }

    /// Changes a service account.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_service_account(
        &self,
        scope: &Scope,
        id: UserId,
        change: &ServiceAccountChange,
    ) -> Result<()> {
        scope.require(Permission::SERVICE_ACCOUNTS_WRITE)?;
        let name = change.name.as_deref().map(|name| name.trim().to_owned());
        let (role, is_disabled) = (change.role, change.is_disabled);
        self.tell(scope, id, ServiceAccountCommand::Update { name, role, is_disabled }).await
    }

    /// Deletes a service account with its tokens and its grants.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_service_account(&self, scope: &Scope, id: UserId) -> Result<()> {
        scope.require(Permission::SERVICE_ACCOUNTS_DELETE)?;
        self.commands
            .run(scope, |mut unit| async move {
                let mut account = unit.load::<ServiceAccount>(&id).await?;
                account.tell(ServiceAccountCommand::Delete).await?;
                self.endings.tell(&mut unit, scope, &[Ending::ServiceAccount(id)]).await?;
                unit.record(account)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// Creates a token for a service account, which is returned only once.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_token(
        &self,
        scope: &Scope,
        id: UserId,
        name: &str,
        seconds_to_live: Option<i64>,
    ) -> Result<CreatedToken> {
        scope.require(Permission::SERVICE_ACCOUNTS_WRITE)?;
        let expires = token_expiry(self.clock.now(), seconds_to_live)?;
        let new = &NewApiToken::try_random()?;
        let name = name.trim();
        self.commands
            .run(scope, |mut unit| async move {
                let mut account = unit.load::<ServiceAccount>(&id).await?;
                let token_id = self.ids.next_id(scope.org(), IdKind::Object).await?;
                let add = ServiceAccountCommand::AddToken { token_id, name: name.to_owned(), expires };
                account.tell(add).await?;
                unit.record(account)?;
                let owner = TokenOwner { org: scope.org(), service_account_id: id, token_id };
                unit.write(self.hashes.keep_hash(&new.hash, &owner));
                let key = Some(new.token.clone());
                Ok(unit.decided(CreatedToken { id: token_id, name: name.to_owned(), key }))
            })
            .await
    }

    /// Deletes a token of a service account.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_token(&self, scope: &Scope, id: UserId, token_id: i64) -> Result<()> {
        scope.require(Permission::SERVICE_ACCOUNTS_WRITE)?;
        self.tell(scope, id, ServiceAccountCommand::DeleteToken(token_id)).await
    }

    async fn tell(&self, scope: &Scope, id: UserId, command: ServiceAccountCommand) -> Result<()> {
        let command = &command;
        self.commands
            .run(scope, |mut unit| async move {
                let mut account = unit.load::<ServiceAccount>(&id).await?;
                account.tell(command.clone()).await?;
                unit.record(account)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// The service account that a client identifies by id or by uid. An id is not checked.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn resolve_service_account(&self, scope: &Scope, name: &str) -> Result<UserId> {
        if let Ok(id) = name.parse() {
            return Ok(UserId(id));
        }
        scope.require(Permission::SERVICE_ACCOUNTS_READ)?;
        let uid = Uid::try_new(name).map_err(|_| ServiceAccountError::NotFound)?;
        let id = self.reader.find_service_account_id(scope, &uid).await?;
        id.ok_or_else(|| ServiceAccountError::NotFound.into())
    }

    /// Reads a service account.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_service_account(&self, scope: &Scope, id: UserId) -> Result<ServiceAccountView> {
        scope.require(Permission::SERVICE_ACCOUNTS_READ)?;
        let account = self.reader.find_service_account(scope, id).await?;
        account.ok_or_else(|| ServiceAccountError::NotFound.into())
    }

    /// Searches the service accounts of the org; returns a page of them with their total number.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn search_service_accounts(
        &self,
        scope: &Scope,
        query: &str,
        is_disabled: bool,
        has_expired_tokens: bool,
        page: Page,
    ) -> Result<(Vec<ServiceAccountView>, i64)> {
        scope.require(Permission::SERVICE_ACCOUNTS_READ)?;
        let expired_before = has_expired_tokens.then(|| self.clock.now());
        let filter = ServiceAccountFilter { query: query.to_owned(), is_disabled, expired_before };
        let accounts = self.reader.search_service_accounts(scope, &filter, page).await?;
        Ok((accounts, self.reader.count_service_accounts(scope, &filter).await?))
    }

    /// Lists the tokens of a service account, with the time of the read. A missing account has none.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_tokens(&self, scope: &Scope, id: UserId) -> Result<(Vec<TokenView>, Timestamp)> {
        scope.require(Permission::SERVICE_ACCOUNTS_READ)?;
        Ok((self.reader.list_tokens(scope, id).await?, self.clock.now()))
    }
}
