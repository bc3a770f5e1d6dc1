//! Endings: when an object ends, every slice ends its references to it in the same commit.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_domain::kernel::effect::Ending;

use crate::kernel::error::Result;
use crate::{Scope, Unit};

/// A slice that refers to objects of others.
#[async_trait]
pub trait EndingListener: Send + Sync {
    /// Ends the references to objects of the scope's org that end. Called before the last events of these objects.
    async fn on_endings(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &[Ending<'_>]) -> Result<()>;
}

/// All slices that refer to objects of others, in the order of notification.
#[derive(Clone)]
pub struct Endings(Arc<[Arc<dyn EndingListener>]>);

impl Endings {
    /// These listeners.
    #[must_use]
    pub fn new(listeners: Vec<Arc<dyn EndingListener>>) -> Self {
        Self(listeners.into())
    }

    /// Notifies every slice that objects of the scope's org end.
    pub(crate) async fn tell(
        &self,
        unit: &mut Unit<'_>,
        scope: &Scope,
        endings: &[Ending<'_>],
    ) -> Result<()> {
        for listener in &*self.0 {
            listener.on_endings(unit, scope, endings).await?;
        }
        Ok(())
    }
}
