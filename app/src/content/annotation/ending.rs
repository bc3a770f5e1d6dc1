//! The end of the annotations of a dashboard that does not come back. There can be any number of them, so they are deleted
//! after the commit that ends it, some at a time; nobody finds them from that commit on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kymograph_domain::OrgId;
use kymograph_domain::content::dashboard::Dashboard;
use kymograph_domain::kernel::effect::Ending;
use serde::{Deserialize, Serialize};

use super::AnnotationReader;
use super::cleanup::delete_some;
use crate::kernel::ending::EndingListener;
use crate::kernel::error::Result;
use crate::kernel::job::{Job, JobError, JobHandler, NewJob, Then};
use crate::{Commands, Permission, Scope, Unit};

/// How many annotations one commit deletes: few enough that it is short.
pub(super) const BATCH: i64 = 500;
/// How long it may take at a time. What is left is deleted the next time.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Deletes the annotations of a dashboard that ended.
#[derive(Serialize, Deserialize)]
pub struct EndAnnotations {
    org: OrgId,
    dashboard_id: i64,
}

impl Job for EndAnnotations {
    const KIND: &'static str = "end-annotations";
    const MAX_ATTEMPTS: Option<u32> = None;
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

/// Has the annotations of dashboards that end deleted.
pub struct AnnotationEndings(Arc<dyn AnnotationReader>);

impl AnnotationEndings {
    /// On this reader.
    #[must_use]
    pub fn new(reader: Arc<dyn AnnotationReader>) -> Self {
        Self(reader)
    }
}

#[async_trait]
impl EndingListener for AnnotationEndings {
    async fn on_endings(&self, unit: &mut Unit<'_>, scope: &Scope, endings: &[Ending<'_>]) -> Result<()> {
        for ending in endings {
            let Ending::Dashboard(uid) = ending else { continue };
            let dashboard_id = unit.load_in::<Dashboard>(scope, *uid).await?.id;
            // None is added to a dashboard that is in the trash, from where it ends.
            if !self.0.list_ids_on(scope, dashboard_id, None, 1).await?.is_empty() {
                let org = scope.org();
                unit.start_job(NewJob::once(org, &EndAnnotations { org, dashboard_id })?);
            }
        }
        Ok(())
    }
}

/// Deletes the annotations of dashboards that ended.
pub struct EndedAnnotations {
    commands: Commands,
    reader: Arc<dyn AnnotationReader>,
}

impl EndedAnnotations {
    /// On these ports.
    #[must_use]
    pub fn new(commands: Commands, reader: Arc<dyn AnnotationReader>) -> Self {
        Self { commands, reader }
    }
}

#[async_trait]
impl JobHandler<EndAnnotations> for EndedAnnotations {
    async fn run(&self, job: &EndAnnotations) -> Result<Then, JobError> {
        let scope = Scope::of_server().in_org(job.org, Permission::ORGS_WRITE)?;
        loop {
            let ids = self.reader.list_ids_on(&scope, job.dashboard_id, None, BATCH).await?;
            if ids.is_empty() {
                return Ok(Then::Done);
            }
            delete_some(&self.commands, &scope, &ids).await?;
        }
    }
}
