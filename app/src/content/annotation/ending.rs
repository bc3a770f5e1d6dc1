//! The deletion of the annotations of a dashboard that is gone for good. Their number is unlimited, so they are deleted
//! in batches after the commit that ends the dashboard; from that commit on they are not found.

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

/// The number of annotations that one commit deletes, small enough to keep the commit short.
pub(super) const BATCH: i64 = 500;
/// The maximum duration of one run. The next run deletes the rest.
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

/// Schedules the deletion of the annotations of dashboards that end.
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
            // A dashboard ends from the trash, where no annotation can be added to it.
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
