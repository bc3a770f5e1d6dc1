//! The parts of data sources.

use std::sync::Arc;

use kymograph_app::Commands;
use kymograph_app::rights::resource_permission::GuardedKind;
use kymograph_app::source::SourceServices;
use kymograph_app::source::data_source::{DataSources, GuardedDataSources};
use kymograph_projections::source::data_source::PgDataSourceReader;

use super::kernel::Kernel;
use super::rights::RightsReaders;

/// What reads data sources.
pub(super) struct SourceReaders {
    data_sources: Arc<PgDataSourceReader>,
}

impl SourceReaders {
    pub(super) fn new(kernel: &Kernel<'_>) -> Self {
        let data_sources = PgDataSourceReader::new(kernel.database.clone(), kernel.secrets.clone());
        Self { data_sources: Arc::new(data_sources) }
    }

    /// The kind of what has permissions here.
    pub(super) fn guarded(&self) -> Vec<Arc<dyn GuardedKind>> {
        vec![Arc::new(GuardedDataSources::new(self.data_sources.clone()))]
    }

    pub(super) fn services(
        &self,
        kernel: &Kernel<'_>,
        commands: &Commands,
        rights: &RightsReaders,
    ) -> SourceServices {
        let data_sources = DataSources::new(
            commands.clone(),
            self.data_sources.clone(),
            rights.authorization.clone(),
            kernel.ids.clone(),
        );
        SourceServices { data_sources: Arc::new(data_sources) }
    }
}
