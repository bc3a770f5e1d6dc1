//! Deleting annotations that are too old or too many. An org that gets no annotations has no cleanup job.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kymograph_domain::kernel::id::AnnotationId;
use kymograph_domain::{OrgId, Timestamp};
use serde::{Deserialize, Serialize};

use super::ending::{BATCH, TIME_LIMIT};
use super::write::delete;
use super::{AnnotationKind, AnnotationReader};
use crate::account::org::{OrgReader, OrgView};
use crate::kernel::clock::Clock;
use crate::kernel::error::{Error, Result};
use crate::kernel::job::{Job, JobError, JobHandler, JobWriter, NewJob, Then};
use crate::kernel::page::MAX_PER_PAGE;
use crate::{Commands, Page, Permission, Scope};

/// The minimum delay before the next cleanup of an org that gets annotations.
const INTERVAL: Duration = Duration::from_secs(10 * 60);

/// The maximum age and number of the annotations of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The maximum age since their creation; `None` for no limit.
    pub max_age: Option<Duration>,
    /// The maximum number per org; `None` for no limit.
    pub max_count: Option<i64>,
}

impl Retention {
    fn deletes_anything(self) -> bool {
        self != Self::default()
    }
}

/// The retention rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetentionRules {
    /// Those on dashboards.
    pub of_dashboards: Retention,
    /// Those of whole orgs.
    pub of_org: Retention,
}

impl RetentionRules {
    /// Whether any annotation is deleted by them.
    #[must_use]
    pub fn delete_anything(&self) -> bool {
        self.of_dashboards.deletes_anything() || self.of_org.deletes_anything()
    }
}

/// Deletes the annotations of an org that are too old or too many.
#[derive(Serialize, Deserialize)]
pub struct TidyAnnotations {
    org: OrgId,
}

impl Job for TidyAnnotations {
    const KIND: &'static str = "tidy-annotations";
    const MAX_ATTEMPTS: Option<u32> = None;
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

impl TidyAnnotations {
    /// The job of an org that gets an annotation.
    pub(super) fn of_new(org: OrgId) -> Result<NewJob> {
        NewJob::of_org(org, &Self { org }, INTERVAL)
    }
}

/// Finds the orgs that had annotations before there were retention rules, once after each start of a server.
#[derive(Serialize, Deserialize)]
pub struct SweepAnnotations {}

impl Job for SweepAnnotations {
    const KIND: &'static str = "sweep-annotations";
    const MAX_ATTEMPTS: Option<u32> = None;
    const TIME_LIMIT: Duration = TIME_LIMIT;
}

impl SweepAnnotations {
    /// The single such job of all servers on a database.
    pub fn job() -> Result<NewJob> {
        NewJob::of_org(OrgId::SERVER, &Self {}, Duration::ZERO)
    }
}

/// The ports of [`AnnotationCleanup`].
pub struct CleanupPorts {
    /// Reads annotations.
    pub reader: Arc<dyn AnnotationReader>,
    /// Lists orgs.
    pub orgs: Arc<dyn OrgReader>,
    /// Writes the jobs of orgs.
    pub jobs: Arc<dyn JobWriter>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// Deletes annotations that are too old or too many.
pub struct AnnotationCleanup {
    commands: Commands,
    ports: CleanupPorts,
    rules: RetentionRules,
}

impl AnnotationCleanup {
    /// Creates the cleanup on these ports, with these rules.
    #[must_use]
    pub fn new(commands: Commands, ports: CleanupPorts, rules: RetentionRules) -> Self {
        Self { commands, ports, rules }
    }

    /// Deletes the excess annotations of a kind, and returns when the next one expires.
    async fn tidy(
        &self,
        scope: &Scope,
        kind: AnnotationKind,
        retention: Retention,
    ) -> Result<Option<Timestamp>> {
        if !retention.deletes_anything() {
            return Ok(None);
        }
        let max_age = retention.max_age.and_then(|age| i64::try_from(age.as_micros()).ok());
        if let Some(max_age) = max_age {
            let before = Some(Timestamp(self.ports.clock.now().0.saturating_sub(max_age)));
            loop {
                let ids = self.ports.reader.list_oldest(scope, kind, before, BATCH).await?;
                if ids.is_empty() {
                    break;
                }
                delete_some(&self.commands, scope, &ids).await?;
            }
        }
        let mut kept = self.ports.reader.measure(scope, kind).await?;
        let mut surplus = retention.max_count.map_or(0, |most| kept.count - most);
        if surplus > 0 {
            while surplus > 0 {
                let ids = self.ports.reader.list_oldest(scope, kind, None, surplus.min(BATCH)).await?;
                if ids.is_empty() {
                    break;
                }
                delete_some(&self.commands, scope, &ids).await?;
                surplus -= BATCH;
            }
            kept = self.ports.reader.measure(scope, kind).await?;
        }
        Ok(kept.oldest.zip(max_age).map(|(oldest, max_age)| Timestamp(oldest.0.saturating_add(max_age))))
    }
}

#[async_trait]
impl JobHandler<TidyAnnotations> for AnnotationCleanup {
    async fn run(&self, TidyAnnotations { org }: &TidyAnnotations) -> Result<Then, JobError> {
        let scope = Scope::of_server().in_org(*org, Permission::ORGS_WRITE)?;
        let rules = self.rules;
        let of_dashboards = self.tidy(&scope, AnnotationKind::OfDashboards, rules.of_dashboards).await?;
        let of_org = self.tidy(&scope, AnnotationKind::OfOrg, rules.of_org).await?;
        let Some(due) = of_dashboards.into_iter().chain(of_org).min() else { return Ok(Then::Done) };
        let wait = u64::try_from(due.0.saturating_sub(self.ports.clock.now().0)).unwrap_or_default();
        Ok(Then::Again(Duration::from_micros(wait).max(INTERVAL)))
    }
}

#[async_trait]
impl JobHandler<SweepAnnotations> for AnnotationCleanup {
    async fn run(&self, _: &SweepAnnotations) -> Result<Then, JobError> {
        if !self.rules.delete_anything() {
            return Ok(Then::Done);
        }
        for number in 1.. {
            let page = Page { number, size: MAX_PER_PAGE };
            let orgs = self.ports.orgs.search_orgs("", "", page).await?;
            for OrgView { id, .. } in &orgs {
                let scope = Scope::of_server().in_org(*id, Permission::ORGS_WRITE)?;
                for kind in [AnnotationKind::OfDashboards, AnnotationKind::OfOrg] {
                    if !self.ports.reader.list_oldest(&scope, kind, None, 1).await?.is_empty() {
                        self.ports.jobs.write_alone(TidyAnnotations::of_new(*id)?).await?;
                    }
                }
            }
            if orgs.is_empty() {
                break;
            }
        }
        Ok(Then::Done)
    }
}

/// Deletes some annotations in one commit. Fails if none of them exists, to avoid listing the same ones again and
/// again.
pub(super) async fn delete_some(commands: &Commands, scope: &Scope, ids: &[AnnotationId]) -> Result<()> {
    let deleted: usize = commands
        .run(scope, |mut unit| async move {
            let deleted = delete(&mut unit, ids).await?;
            Ok(unit.decided(deleted))
        })
        .await?;
    if deleted == 0 { Err(Error::internal("no annotation that was listed is there")) } else { Ok(()) }
}
