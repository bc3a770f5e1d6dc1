//! Creating, changing and deleting annotations.

use kymograph_domain::content::annotation::{
    AnnotatedDashboard, Annotation, AnnotationChange, AnnotationCommand, AnnotationContent,
    AnnotationCreated, AnnotationError,
};
use kymograph_domain::content::dashboard::{Dashboard, DashboardError};
use kymograph_domain::kernel::id::AnnotationId;
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{CanonicalJson, Uid};

use super::{Annotations, NamedDashboard, TidyAnnotations};
use crate::content::dashboard::parse_uid;
use crate::kernel::error::{Error, Result};
use crate::kernel::id_allocator::IdKind;
use crate::rights::authorization::Guarded;
use crate::{Permission, Scope, Unit};

/// The maximum number of annotations of a panel that are deleted at once; an undo has the same limit.
pub(crate) const MAX_DELETED: i64 = 5000;

/// An annotation to create.
#[derive(Clone, Debug, Default)]
pub struct NewAnnotation {
    /// The dashboard it is on, if it is not of the whole org.
    pub dashboard: Option<NamedDashboard>,
    /// The panel it is on, 0 for none.
    pub panel_id: i64,
    /// The start of the annotated time, in milliseconds since the epoch; by default now.
    pub time: Option<i64>,
    /// The end of the annotated time; by default the start, which makes it a point.
    pub time_end: Option<i64>,
    /// The text.
    pub text: String,
    /// The tags.
    pub tags: Vec<String>,
    /// Custom data of API clients.
    pub data: Option<CanonicalJson>,
}

/// Annotations that are deleted together.
#[derive(Clone, Debug)]
pub enum AnnotationPlace {
    /// A single one.
    Single(AnnotationId),
    /// All of a panel of a dashboard.
    Panel(NamedDashboard, i64),
}

impl Annotations {
    /// Creates an annotation and returns its id.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn create_annotation(&self, scope: &Scope, new: NewAnnotation) -> Result<AnnotationId> {
        let permission = Permission::ANNOTATIONS_CREATE;
        match new.dashboard {
            Some(_) => scope.require_member(permission)?,
            None => scope.require(permission)?,
        }
        let uid = &match &new.dashboard {
            Some(named) => Some(self.uid_of(scope, named).await?),
            None => None,
        };
        let time = new.time.unwrap_or(self.clock.now().0.div_euclid(1000));
        let time_end = new.time_end.unwrap_or(time);
        let NewAnnotation { text, tags, data, panel_id, .. } = new;
        let content = &AnnotationContent { time, time_end, text, tags, data };
        self.commands
            .run(scope, |mut unit| async move {
                let dashboard = match uid {
                    Some(uid) => Some(self.require_on(scope, &mut unit, uid, permission).await?),
                    None => None,
                };
                let id = AnnotationId(self.ids.next_id(scope.org(), IdKind::Object).await?);
                let mut annotation = unit.load::<Annotation>(&id).await?;
                let (user_id, content) = (scope.actor().user_id, content.clone());
                let created = AnnotationCreated { id, dashboard, panel_id, user_id, content };
                annotation.tell(AnnotationCommand::Create(created)).await?;
                unit.record(annotation)?;
                if self.rules.delete_anything() {
                    unit.start_job(TidyAnnotations::of_new(scope.org())?);
                }
                Ok(unit.decided(id))
            })
            .await
    }

    /// Changes parts of the content of an annotation.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn change_annotation(
        &self,
        scope: &Scope,
        id: AnnotationId,
        change: AnnotationChange,
    ) -> Result<()> {
        self.tell(scope, id, AnnotationCommand::Change(change), Permission::ANNOTATIONS_WRITE).await
    }

    /// Deletes an annotation.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_annotation(&self, scope: &Scope, id: AnnotationId) -> Result<()> {
        self.tell(scope, id, AnnotationCommand::Delete, Permission::ANNOTATIONS_DELETE).await
    }

    /// Deletes annotations together, all or none of them.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn delete_annotations(&self, scope: &Scope, place: &AnnotationPlace) -> Result<()> {
        let permission = Permission::ANNOTATIONS_DELETE;
        scope.require_member(permission)?;
        let (named, panel_id) = match place {
            AnnotationPlace::Single(id) => return self.delete_annotation(scope, *id).await,
            AnnotationPlace::Panel(named, panel_id) => (named, *panel_id),
        };
        let uid = &self.uid_of(scope, named).await?;
        self.commands
            .run(scope, |mut unit| async move {
                let dashboard = self.require_on(scope, &mut unit, uid, permission).await?;
                let most = MAX_DELETED + 1;
                let ids = self.reader.list_ids_on(scope, dashboard.id, Some(panel_id), most).await?;
                if ids.len() > usize::try_from(MAX_DELETED).map_err(Error::internal)? {
                    let message = format!(
                        "The panel has more than {MAX_DELETED} annotations, which is as many as are deleted at a time: delete some by their ids first"
                    );
                    return Err(Error::too_large(message));
                }
                delete(&mut unit, &ids).await?;
                Ok(unit.decided(()))
            })
            .await
    }

    async fn tell(
        &self,
        scope: &Scope,
        id: AnnotationId,
        command: AnnotationCommand,
        permission: Permission,
    ) -> Result<()> {
        scope.require_member(permission)?;
        let command = &command;
        self.commands
            .run(scope, |mut unit| async move {
                let mut annotation = unit.load::<Annotation>(&id).await?;
                if !annotation.exists {
                    return Err(AnnotationError::NotFound.into());
                }
                match annotation.dashboard.clone() {
                    None => scope.require(permission)?,
                    Some(on) => {
                        let now = self.require_on(scope, &mut unit, &on.uid, permission).await;
                        // An annotation is not found if its dashboard is in the trash or gone.
                        if now.map_err(not_found)?.id != on.id {
                            return Err(AnnotationError::NotFound.into());
                        }
                    }
                }
                annotation.tell(command.clone()).await?;
                unit.record(annotation)?;
                Ok(unit.decided(()))
            })
            .await
    }

    /// The existing dashboard with a uid. Fails unless the actor has a permission on it, now and at commit.
    async fn require_on(
        &self,
        scope: &Scope,
        unit: &mut Unit<'_>,
        uid: &Uid,
        permission: Permission,
    ) -> Result<AnnotatedDashboard> {
        let dashboard = unit.load::<Dashboard>(uid).await?;
        if !dashboard.exists {
            return Err(DashboardError::NotFound.into());
        }
        let guarded = Guarded::Dashboard { id: dashboard.id, folder: dashboard.folder_uid.as_ref() };
        self.authorization.require(scope, guarded, permission).await?;
        self.authorization.rest_on_right(scope, unit, ResourceKind::Dashboard, uid, permission)?;
        Ok(AnnotatedDashboard { uid: uid.clone(), id: dashboard.id })
    }

    async fn uid_of(&self, scope: &Scope, named: &NamedDashboard) -> Result<Uid> {
        match named {
            NamedDashboard::Uid(uid) => parse_uid(uid),
            NamedDashboard::Id(id) => {
                let uid = self.dashboards.find_uid_by_id(scope, *id).await?;
                uid.ok_or_else(|| DashboardError::NotFound.into())
            }
        }
    }
}

/// Maps the error that the dashboard is missing to one that the annotation is missing.
fn not_found(error: Error) -> Error {
    let missing = Error::from(DashboardError::NotFound);
    if error.kind() == missing.kind() { AnnotationError::NotFound.into() } else { error }
}

/// Deletes those of some annotations that still exist, and returns their number.
pub(super) async fn delete(unit: &mut Unit<'_>, ids: &[AnnotationId]) -> Result<usize> {
    let (keys, mut deleted): (Vec<_>, _) = (ids.iter().collect(), 0);
    for mut annotation in unit.load_many::<Annotation>(&keys).await? {
        if annotation.exists {
            annotation.tell(AnnotationCommand::Delete).await?;
            unit.record(annotation)?;
            deleted += 1;
        }
    }
    Ok(deleted)
}
