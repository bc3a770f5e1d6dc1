//! Annotations: notes on points and ranges of time, of an org or of one of its dashboards.
//!
//! Annotations of the org are for callers with the permission by their role. Annotations of a dashboard are visible to
//! those who may view it, and are written by those who may edit it. While a dashboard is in the trash its annotations
//! are kept, but not found.

mod cleanup;
mod ending;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use cqrs_es::Aggregate;
use kymograph_domain::content::annotation::{
    AnnotatedDashboard, Annotation, AnnotationContent, AnnotationError,
};
use kymograph_domain::kernel::id::AnnotationId;
use kymograph_domain::{AccessLevel, Timestamp, Uid, UserId};

use crate::content::dashboard::DashboardReader;
use crate::kernel::clock::Clock;
use crate::kernel::error::{Error, Result};
use crate::kernel::history::{HistoryOf, KeyOf};
use crate::kernel::id_allocator::IdAllocator;
use crate::kernel::noun::Noun;
use crate::kernel::scope::denied;
use crate::rights::authorization::ContentFilter;
use crate::{Authorization, Commands, Permission, Scope};

pub use cleanup::{
    AnnotationCleanup, CleanupPorts, Retention, RetentionRules, SweepAnnotations, TidyAnnotations,
};
pub use ending::{AnnotationEndings, EndAnnotations, EndedAnnotations};
pub(crate) use write::MAX_DELETED;
pub use write::{AnnotationPlace, NewAnnotation};

/// The maximum number of tags in a query: each is looked up separately.
pub(crate) const MAX_ASKED_TAGS: usize = 20;

/// An annotation as it is read.
#[derive(Clone, Debug)]
pub struct AnnotationView {
    /// The numeric id.
    pub id: AnnotationId,
    /// The dashboard it is on; `None` if it belongs to the whole org.
    pub dashboard: Option<AnnotatedDashboard>,
    /// The panel it is on, 0 for none.
    pub panel_id: i64,
    /// The author.
    pub author: AnnotationAuthor,
    /// The content.
    pub content: AnnotationContent,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// The author of an annotation. Of a deleted user only the id is left.
#[derive(Clone, Debug)]
pub struct AnnotationAuthor {
    /// The id.
    pub id: UserId,
    /// The uid.
    pub uid: String,
    /// The login.
    pub login: String,
    /// The e-mail address, which service accounts do not have.
    pub email: String,
}

/// A query for annotations.
#[derive(Clone, Debug, Default)]
pub struct AnnotationQuery {
    /// Whether only annotations of alerts are wanted; there are none.
    pub of_alerts: bool,
    /// The dashboard they are on, if one is named.
    pub dashboard: Option<NamedDashboard>,
    /// The panel they are on.
    pub panel_id: Option<i64>,
    /// The id of their author.
    pub user_id: Option<i64>,
    /// The time range that they begin in, end in, or overlap, in milliseconds since the epoch.
    pub range: Option<(i64, i64)>,
    /// The tags they have, normalized. The key of a pair stands for all pairs that begin with it.
    pub tags: Vec<String>,
    /// Whether one of the tags is enough.
    pub any_tag: bool,
    /// The maximum number of annotations, the latest first.
    pub limit: i64,
}

/// A dashboard as a client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedDashboard {
    /// By its uid.
    Uid(String),
    /// By its numeric id.
    Id(i64),
}

/// The annotations that an actor may see.
#[derive(Clone, Debug)]
pub struct VisibleAnnotations {
    /// Whether it may see the annotations of the whole org.
    pub of_org: bool,
    /// The dashboards that it may see.
    pub dashboards: ContentFilter,
}

impl VisibleAnnotations {
    fn of(scope: &Scope) -> Self {
        let dashboards = ContentFilter::of(scope, AccessLevel::View);
        Self { of_org: scope.allows(Permission::ANNOTATIONS_READ), dashboards }
    }
}

/// A tag and how many annotations have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnnotationTag {
    /// The tag.
    pub tag: String,
    /// The number of annotations.
    pub count: i64,
}

/// Annotations with the same retention rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotationKind {
    /// Those on dashboards.
    OfDashboards,
    /// Those of the whole org, most of which are created by the API.
    OfOrg,
}

/// The number of annotations of a kind in an org, and when the oldest was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptAnnotations {
    /// Their number.
    pub count: i64,
    /// The time at which the oldest of them was created.
    pub oldest: Option<Timestamp>,
}

/// Reads annotations. Those of a dashboard that is in the trash or gone are found only where documented.
#[async_trait]
pub trait AnnotationReader: Send + Sync {
    /// An annotation of the scope's org, and whether it is visible.
    async fn find_annotation(
        &self,
        scope: &Scope,
        id: AnnotationId,
        visible: &VisibleAnnotations,
    ) -> Result<Option<(AnnotationView, bool)>>;
    /// The visible annotations that match the query, by their end times, the latest first.
    async fn list_annotations(
        &self,
        scope: &Scope,
        query: &AnnotationQuery,
        visible: &VisibleAnnotations,
    ) -> Result<Vec<AnnotationView>>;
    /// Up to `limit` tags of the visible annotations, in order, that contain a text.
    async fn count_tags(
        &self,
        scope: &Scope,
        text: &str,
        limit: i64,
        visible: &VisibleAnnotations,
    ) -> Result<Vec<AnnotationTag>>;
    /// Up to `limit` annotations of a dashboard, even of a deleted one, and of one panel of it if one is named.
    async fn list_ids_on(
        &self,
        scope: &Scope,
        dashboard_id: i64,
        panel_id: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AnnotationId>>;
    /// The `limit` oldest annotations of a kind; if a time is given, only those created before it.
    async fn list_oldest(
        &self,
        scope: &Scope,
        kind: AnnotationKind,
        before: Option<Timestamp>,
        limit: i64,
    ) -> Result<Vec<AnnotationId>>;
    /// The number and the oldest of the annotations of a kind.
    async fn measure(&self, scope: &Scope, kind: AnnotationKind) -> Result<KeptAnnotations>;
}

/// The history of annotations. An annotation may have been written in a place that its reader could not see then, so
/// the history is for those who administer all content.
pub const HISTORY: HistoryOf = HistoryOf {
    noun: Annotation::TYPE,
    missing: "Annotation not found",
    key: KeyOf::NumberOfContent,
    read: Some(Permission::ANNOTATIONS_WRITE),
    write: Some(Permission::ANNOTATIONS_WRITE),
    create: Some(Permission::ANNOTATIONS_CREATE),
};

impl Noun for Annotation {
    fn require_undo(scope: &Scope, _: &str, _: bool) -> Result<()> {
        scope.require_administers_content(Permission::ANNOTATIONS_WRITE)
    }
}

/// The ports of [`Annotations`].
pub struct AnnotationPorts {
    /// Reads annotations.
    pub reader: Arc<dyn AnnotationReader>,
    /// Reads dashboards.
    pub dashboards: Arc<dyn DashboardReader>,
    /// Decides who may do what with dashboards.
    pub authorization: Arc<Authorization>,
    /// Allocates numeric ids.
    pub ids: Arc<dyn IdAllocator>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// The use cases of annotations.
pub struct Annotations {
    commands: Commands,
    reader: Arc<dyn AnnotationReader>,
    dashboards: Arc<dyn DashboardReader>,
    authorization: Arc<Authorization>,
    ids: Arc<dyn IdAllocator>,
    clock: Arc<dyn Clock>,
    rules: RetentionRules,
}

impl Annotations {
    /// Creates the use cases on these ports, with these retention rules.
    #[must_use]
    pub fn new(commands: Commands, ports: AnnotationPorts, rules: RetentionRules) -> Self {
        let AnnotationPorts { reader, dashboards, authorization, ids, clock } = ports;
        Self { commands, reader, dashboards, authorization, ids, clock, rules }
    }

    /// Lists the matching annotations that the actor may see: none of a dashboard that it may not see.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_annotations(
        &self,
        scope: &Scope,
        query: &AnnotationQuery,
    ) -> Result<Vec<AnnotationView>> {
        scope.require_member(Permission::ANNOTATIONS_READ)?;
        if query.tags.len() > MAX_ASKED_TAGS {
            return Err(Error::invalid(format!("at most {MAX_ASKED_TAGS} tags can be asked for")));
        }
        let names_nothing =
            matches!(&query.dashboard, Some(NamedDashboard::Uid(uid)) if Uid::try_new(uid).is_err());
        if query.of_alerts || names_nothing {
            return Ok(Vec::new());
        }
        self.reader.list_annotations(scope, query, &VisibleAnnotations::of(scope)).await
    }

    /// Lists the tags that contain a text, of all annotations that the actor may see, with the number of annotations of
    /// each.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn list_tags(&self, scope: &Scope, text: &str, limit: i64) -> Result<Vec<AnnotationTag>> {
        scope.require_member(Permission::ANNOTATIONS_READ)?;
        self.reader.count_tags(scope, text, limit, &VisibleAnnotations::of(scope)).await
    }

    /// Reads an annotation.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn get_annotation(&self, scope: &Scope, id: AnnotationId) -> Result<AnnotationView> {
        let permission = Permission::ANNOTATIONS_READ;
        scope.require_member(permission)?;
        match self.reader.find_annotation(scope, id, &VisibleAnnotations::of(scope)).await? {
            Some((annotation, true)) => Ok(annotation),
            Some((_, false)) => Err(denied(permission)),
            None => Err(AnnotationError::NotFound.into()),
        }
    }
}
