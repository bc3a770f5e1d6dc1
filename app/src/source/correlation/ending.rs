//! The end of the correlations of data sources that end.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::Stream;
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::source::correlation::{Correlation, CorrelationCommand};

use super::CorrelationReader;
use crate::kernel::ending::EndingListener;
use crate::kernel::error::Result;
use crate::{Scope, Unit};

/// Deletes the correlations that start from data sources that end, or lead to them.
pub struct CorrelationEndings(Arc<dyn CorrelationReader>);

impl CorrelationEndings {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn CorrelationReader>) -> Self {
        Self(reader)
    }
}

#[async_trait]
impl EndingListener for CorrelationEndings {
    async fn on_endings(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &[Ending<'_>]) -> Result<()> {
        for ending in endings {
            let Ending::DataSource(data_source) = *ending else { continue };
            // An undo deletes the correlations of the undone request before their data source.
            let mut uids = self.0.list_uids_of(scope, data_source).await?;
            uids.retain(|uid| !unit.has(scope, &Correlation::stream_id(uid)));
            let keys: Vec<_> = uids.iter().collect();
            for mut correlation in unit.load_many_in::<Correlation>(scope, &keys).await? {
                // The log is authoritative: one that was deleted since it was listed stays deleted.
                if correlation.is_of(data_source) {
                    correlation.tell(CorrelationCommand::Delete).await?;
                    unit.record(correlation)?;
                }
            }
        }
        Ok(())
    }
}
