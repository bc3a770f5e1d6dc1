//! Correlations between data sources. The permissions on a data source apply to the correlations that start from it.

mod ending;

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::source::correlation::{
    Correlation, CorrelationChange, CorrelationCommand, CorrelationContent, CorrelationCreated,
    CorrelationError,
};
use kymograph_domain::source::data_source::{DataSource, DataSourceError};
use kymograph_domain::{AccessLevel, Uid};
use serde::{Deserialize, Serialize};

use crate::kernel::error::{Error, ErrorKind, Result};
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::noun::Noun;
use crate::kernel::random::random_uid;
use crate::rights::authorization::ContentFilter;
use crate::source::data_source::{DataSourceKey, DataSources};
use crate::{Commands, Page, Permission, Scope, Unit};

pub use ending::CorrelationEndings;

/// The maximum number of correlations of a page.
pub(crate) const MAX_PAGE: i64 = 1000;

/// A correlation as it is read, and as it is after a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CorrelationView {
    /// The uid.
    pub uid: Uid,
    /// The uid of the data source that it starts from.
    pub source_uid: Uid,
    /// The uid of the data source that it leads to.
    pub target_uid: Option<Uid>,
    /// The content.
    pub content: CorrelationContent,
}

/// A page of correlations.
#[derive(Clone, Debug)]
pub struct CorrelationPage {
    /// The correlations.
    pub correlations: Vec<CorrelationView>,
    /// The number of correlations of all pages.
    pub total: i64,
    /// The page, whose size is limited.
    pub page: Page,
}

/// A correlation to create.
#[derive(Clone, Debug)]
pub struct NewCorrelation {
    /// The uid of the data source that it leads to, if it leads to one.
    pub target_uid: Option<String>,
    /// The content.
    pub content: CorrelationContent,
}

/// Reads correlations.
#[async_trait]
pub trait CorrelationReader: Send + Sync {
    /// A correlation that starts from a data source of the scope's org.
    async fn find_correlation(
        &self,
        scope: &Scope,
        source: &Uid,
        uid: &Uid,
    ) -> Result<Option<CorrelationView>>;
    /// All correlations that start from a data source, by uid.
    async fn list_correlations_from(&self, scope: &Scope, source: &Uid) -> Result<Vec<CorrelationView>>;
    /// A page of the correlations that start from data sources that pass a filter, and from one of `sources` if any are
    /// given; by their sources and uids. The second value is the number of correlations of all pages.
    async fn list_correlations(
        &self,
        scope: &Scope,
        sources: Option<Vec<String>>,
        filter: &ContentFilter,
        page: Page,
    ) -> Result<(Vec<CorrelationView>, i64)>;
    /// The uids of the correlations that start from a data source or lead to it.
    async fn list_uids_of(&self, scope: &Scope, data_source: &Uid) -> Result<Vec<Uid>>;
}

/// The history of correlations. It includes deleted ones, which may have lost their data sources, so it requires the
/// permission on all data sources.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Correlation::TYPE,
    missing: "Correlation not found",
    key: KeyOf::Uid,
    read: Some(Permission::DATA_SOURCES_WRITE),
    write: Some(Permission::DATA_SOURCES_WRITE),
    create: Some(Permission::DATA_SOURCES_WRITE),
};

impl Noun for Correlation {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require_administers_content(Permission::DATA_SOURCES_WRITE)
    }
}

/// The use cases of correlations.
pub struct Correlations {
    commands: Commands,
    reader: Arc<dyn CorrelationReader>,
    data_sources: Arc<DataSources>,
}

impl Correlations {
    /// The use cases on these ports.
    #[must_use]
    pub fn new(
        commands: Commands,
        reader: Arc<dyn CorrelationReader>,
        data_sources: Arc<DataSources>,
    ) -> Self {
        Self { commands, reader, data_sources }
    }

    /// Lists the correlations that start from data sources that the actor may read; only from `sources` if any are
    /// given.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_correlations(
        &self,
        scope: &Scope,
        sources: Vec<String>,
        page: Page,
    ) -> Result<CorrelationPage> {
        let filter = ContentFilter::of(scope, AccessLevel::View);
        let page = Page { size: page.size.min(MAX_PAGE), ..page };
        // Text that is not a valid uid names no data source.
        let is_uid = |source: &String| Uid::try_new(source).is_ok();
        let sources = (!sources.is_empty()).then(|| sources.into_iter().filter(is_uid).collect::<Vec<_>>());
        let (correlations, total) = self.reader.list_correlations(scope, sources, &filter, page).await?;
        Ok(CorrelationPage { correlations, total, page })
    }

    /// Lists the correlations that start from a data source.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_correlations_from(&self, scope: &Scope, source: &str) -> Result<Vec<CorrelationView>> {
        let source = self.find_source(scope, source).await?;
        self.reader.list_correlations_from(scope, &source).await
    }

    /// Reads a correlation.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_correlation(&self, scope: &Scope, source: &str, uid: &str) -> Result<CorrelationView> {
        let source = self.find_source(scope, source).await?;
        let found = self.reader.find_correlation(scope, &source, &parse_uid(uid)?).await?;
        found.ok_or_else(|| CorrelationError::NotFound.into())
    }

    /// Creates a correlation that starts from a data source.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_correlation(
        &self,
        scope: &Scope,
        source: &str,
        new: &NewCorrelation,
    ) -> Result<CorrelationView> {
        let source = &self.find_writable(scope, source).await?;
        let target = new.target_uid.as_deref().map(Uid::try_new).transpose();
        let (uid, target) = (&random_uid()?, &target.map_err(|_| DataSourceError::NotFound)?);
        self.commands
            .run(scope, |mut unit| async move {
                self.require_writable(scope, &mut unit, source).await?;
                if let Some(target) = target
                    && !unit.load::<DataSource>(target).await?.exists
                {
                    return Err(DataSourceError::NotFound.into());
                }
                let mut correlation = unit.load::<Correlation>(uid).await?;
                let created = CorrelationCreated {
                    uid: uid.clone(),
                    source_uid: source.clone(),
                    target_uid: target.clone(),
                    content: new.content.clone(),
                };
                correlation.tell(CorrelationCommand::Create(created)).await?;
                let view = view_of(&correlation);
                unit.record(correlation)?;
                Ok(unit.decided(view))
            })
            .await
    }

    /// Changes parts of a correlation.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn update_correlation(
        &self,
        scope: &Scope,
        source: &str,
        uid: &str,
        change: CorrelationChange,
    ) -> Result<CorrelationView> {
        self.tell(scope, source, uid, CorrelationCommand::Change(change)).await
    }

    /// Deletes a correlation.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_correlation(&self, scope: &Scope, source: &str, uid: &str) -> Result<()> {
        self.tell(scope, source, uid, CorrelationCommand::Delete).await.map(drop)
    }

    async fn tell(
        &self,
        scope: &Scope,
        source: &str,
        uid: &str,
        command: CorrelationCommand,
    ) -> Result<CorrelationView> {
        let source = &self.find_writable(scope, source).await?;
        let (uid, command) = (&parse_uid(uid)?, &command);
        self.commands
            .run(scope, |mut unit| async move {
                self.require_writable(scope, &mut unit, source).await?;
                let mut correlation = unit.load::<Correlation>(uid).await?;
                if correlation.source_uid != *source {
                    return Err(CorrelationError::NotFound.into());
                }
                correlation.tell(command.clone()).await?;
                let view = view_of(&correlation);
                unit.record(correlation)?;
                Ok(unit.decided(view))
            })
            .await
    }

    /// The uid of a data source that the actor may read.
    async fn find_source(&self, scope: &Scope, uid: &str) -> Result<Uid> {
        let found = self.data_sources.get_data_source(scope, DataSourceKey::Uid(uid)).await;
        let missing = |error: Error| match error.kind() {
            ErrorKind::Missing => CorrelationError::SourceNotFound.into(),
            _ => error,
        };
        found.map(|found| found.uid).map_err(missing)
    }

    /// The uid of a data source that the actor may change.
    async fn find_writable(&self, scope: &Scope, uid: &str) -> Result<Uid> {
        let key = DataSourceKey::Uid(uid);
        Ok(self.data_sources.find(scope, key, Permission::DATA_SOURCES_WRITE).await?.uid)
    }

    /// Fails unless a data source exists, may be changed here and by the actor, now and at commit.
    async fn require_writable(&self, scope: &Scope, unit: &mut Unit<'_>, source: &Uid) -> Result<()> {
        let permission = Permission::DATA_SOURCES_WRITE;
        let source = self.data_sources.load(scope, unit, source, permission).await?;
        Correlation::check_source(&source)?;
        self.data_sources.rest_on_writable(scope, unit, &source);
        Ok(())
    }
}

fn view_of(correlation: &Correlation) -> CorrelationView {
    let Correlation { uid, source_uid, target_uid, content, .. } = correlation.clone();
    CorrelationView { uid, source_uid, target_uid, content }
}

/// Parses a uid in a path. Text that is not a valid uid is reported as not found.
fn parse_uid(uid: &str) -> Result<Uid> {
    Uid::try_new(uid).map_err(|_| CorrelationError::NotFound.into())
}
