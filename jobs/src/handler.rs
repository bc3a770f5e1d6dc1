//! The handlers of all kinds of jobs, by the stored names of the kinds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kymograph_app::Result;
use kymograph_app::kernel::job::{Job, JobError, JobHandler, Then};

/// A handler that reads the payload itself.
#[async_trait]
pub(crate) trait Handler: Send + Sync {
    async fn run(&self, payload: &str) -> Result<Then, JobError>;
    async fn gave_up(&self, payload: &str, reason: &str) -> Result<()>;
    fn max_attempts(&self) -> Option<u32>;
    fn time_limit(&self) -> Duration;
}

struct Typed<J>(Arc<dyn JobHandler<J>>);

fn read<J: Job>(payload: &str) -> Result<J, JobError> {
    serde_json::from_str(payload).map_err(|error| JobError::GiveUp(format!("invalid payload: {error}")))
}

#[async_trait]
impl<J: Job> Handler for Typed<J> {
    async fn run(&self, payload: &str) -> Result<Then, JobError> {
        self.0.run(&read::<J>(payload)?).await
    }

    async fn gave_up(&self, payload: &str, reason: &str) -> Result<()> {
        match read::<J>(payload) {
            Ok(job) => self.0.gave_up(&job, reason).await,
            // No handler can be notified of an invalid payload.
            Err(_) => Ok(()),
        }
    }

    fn max_attempts(&self) -> Option<u32> {
        J::MAX_ATTEMPTS
    }

    fn time_limit(&self) -> Duration {
        J::TIME_LIMIT
    }
}

/// The handlers of a worker. It does not claim jobs of other kinds, which may be of a newer server.
#[derive(Clone, Default)]
pub struct Handlers(BTreeMap<&'static str, Arc<dyn Handler>>);

impl Handlers {
    /// Adds the handler of a kind.
    #[must_use]
    pub fn with<J: Job>(mut self, handler: Arc<dyn JobHandler<J>>) -> Self {
        self.0.insert(J::KIND, Arc::new(Typed(handler)));
        self
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(crate) fn get(&self, kind: &str) -> Option<&Arc<dyn Handler>> {
        self.0.get(kind)
    }
}
