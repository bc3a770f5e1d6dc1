//! Data sources.

mod change;
mod guarded;

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::source::data_source::{DataSource, DataSourceContent, DataSourceError};
use kymograph_domain::{AccessLevel, OrgId, Timestamp, Uid};
use serde::{Deserialize, Serialize};

use crate::kernel::ending::Endings;
use crate::kernel::error::Result;
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::IdAllocator;
use crate::kernel::noun::Noun;
use crate::kernel::side_write::SideWrite;
use crate::rights::authorization::{Authorization, ContentFilter, Guarded};
use crate::source::backend::SourceSecrets;
use crate::{Commands, Permission, Scope, Unit};

pub use change::{DataSourceChange, NewDataSource};
pub use guarded::GuardedDataSources;

/// The maximum number of data sources in a list.
pub const MAX_LISTED: i64 = 5000;

/// A data source as it is read, and as it is after a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataSourceView {
    /// The uid.
    pub uid: Uid,
    /// The numeric id.
    pub id: i64,
    /// Its settings.
    pub content: DataSourceContent,
    /// The names of the secrets that are set.
    pub secrets: Vec<String>,
    /// The number of changes, including its creation.
    pub version: i64,
    /// Whether it can be changed only at its origin.
    pub read_only: bool,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// The name of a data source in a request.
#[derive(Clone, Copy, Debug)]
pub enum DataSourceKey<'a> {
    /// The uid.
    Uid(&'a str),
    /// The numeric id.
    Id(i64),
    /// The name.
    Name(&'a str),
}

/// Reads data sources.
#[async_trait]
pub trait DataSourceReader: Send + Sync {
    /// A data source of the scope's org.
    async fn find_data_source(&self, scope: &Scope, key: DataSourceKey<'_>)
    -> Result<Option<DataSourceView>>;
    /// Those that pass a filter, by name; at most `limit`.
    async fn list_data_sources(
        &self,
        scope: &Scope,
        filter: &ContentFilter,
        limit: i64,
    ) -> Result<Vec<DataSourceView>>;
    /// The default data source.
    async fn find_default(&self, scope: &Scope) -> Result<Option<Uid>>;
    /// A check at commit that no data source other than this one, if any, is the default.
    fn is_only_default(&self, org: OrgId, uid: Option<&Uid>) -> SideWrite;
    /// A check at commit that a uid still belongs to a numeric id.
    fn stays(&self, org: OrgId, uid: &Uid, id: i64) -> SideWrite;
    /// The same, and that the data source can be changed here.
    fn stays_writable(&self, org: OrgId, uid: &Uid, id: i64) -> SideWrite;
    /// The secrets of a data source.
    async fn read_secrets(&self, scope: &Scope, id: i64) -> Result<SourceSecrets>;
}

/// The history of data sources.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: DataSource::TYPE,
    missing: "Data source not found",
    key: KeyOf::Uid,
    read: Some(Permission::DATA_SOURCES_WRITE),
    write: Some(Permission::DATA_SOURCES_WRITE),
    create: Some(Permission::DATA_SOURCES_CREATE),
};

#[async_trait]
impl Noun for DataSource {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require_administers_content(Permission::DATA_SOURCES_WRITE)
    }

    /// An undo of the creation ends the objects that refer to the data source, and its secrets.
    async fn follow_return(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &Endings) -> Result<()> {
        if self.exists {
            return Ok(());
        }
        change::delete_secrets(unit, self.id);
        endings.tell(unit, scope, &[Ending::DataSource(&self.uid)]).await
    }
}

/// The use cases of data sources.
pub struct DataSources {
    commands: Commands,
    reader: Arc<dyn DataSourceReader>,
    authorization: Arc<Authorization>,
    ids: Arc<dyn IdAllocator>,
    endings: Endings,
}

impl DataSources {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn DataSourceReader>,
        authorization: Arc<Authorization>,
        ids: Arc<dyn IdAllocator>,
        endings: Endings,
    ) -> Self {
        Self { commands, reader, authorization, ids, endings }
    }

    /// Lists the data sources that the actor may query.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_data_sources(&self, scope: &Scope) -> Result<Vec<DataSourceView>> {
        let filter = ContentFilter::of(scope, AccessLevel::View);
        self.reader.list_data_sources(scope, &filter, MAX_LISTED).await
    }

    /// Reads a data source.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_data_source(&self, scope: &Scope, key: DataSourceKey<'_>) -> Result<DataSourceView> {
        self.find(scope, key, Permission::DATA_SOURCES_READ).await
    }

    /// A data source on which the actor has a permission.
    pub(crate) async fn find(
        &self,
        scope: &Scope,
        key: DataSourceKey<'_>,
        permission: Permission,
    ) -> Result<DataSourceView> {
        let found = self.reader.find_data_source(scope, key).await?.ok_or(DataSourceError::NotFound)?;
        self.authorization.require(scope, Guarded::DataSource(found.id), permission).await?;
        Ok(found)
    }
}

/// The name under which a secret of a data source is kept.
#[must_use]
pub fn secret_key(id: i64, name: &str) -> String {
    format!("data_source/{id}/{name}")
}
