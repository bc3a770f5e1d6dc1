//! Data sources as objects that have permissions.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::source::data_source::{DataSource, DataSourceError};
use kymograph_domain::{OrgId, Uid};

use super::{DataSourceKey, DataSourceReader};
use crate::kernel::error::{Error, Result};
use crate::kernel::side_write::SideWrite;
use crate::rights::resource_permission::{GuardedKind, GuardedView};
use crate::{Scope, Unit};

/// Describes data sources to their permissions.
pub struct GuardedDataSources(Arc<dyn DataSourceReader>);

impl GuardedDataSources {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn DataSourceReader>) -> Self {
        Self(reader)
    }
}

#[async_trait]
impl GuardedKind for GuardedDataSources {
    fn kind(&self) -> ResourceKind {
        ResourceKind::DataSource
    }

    async fn find(&self, scope: &Scope, uid: &Uid) -> Result<Option<GuardedView>> {
        let source = self.0.find_data_source(scope, DataSourceKey::Uid(uid.as_str())).await?;
        Ok(source.map(|source| GuardedView {
            id: source.id,
            title: source.content.name,
            slug: String::new(),
            folder_uid: None,
        }))
    }

    async fn load(&self, unit: &Unit<'_>, uid: &Uid) -> Result<Option<(i64, Option<Uid>)>> {
        let source = unit.load::<DataSource>(uid).await?;
        Ok(source.exists.then_some((source.id, None)))
    }

    fn stays(&self, org: OrgId, uid: &Uid, id: i64, _: Option<&Uid>) -> SideWrite {
        self.0.stays(org, uid, id)
    }

    fn missing(&self) -> Error {
        DataSourceError::NotFound.into()
    }
}
