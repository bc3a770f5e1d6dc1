//! Saving a dashboard.

use std::collections::HashSet;

use kymograph_domain::content::dashboard::resource::SentDashboard;
use kymograph_domain::content::dashboard::{
    Dashboard, DashboardCommand, DashboardContent, DashboardError, MAX_TAGS,
};
use kymograph_domain::content::folder::{Folder, GENERAL_UID};
use kymograph_domain::kernel::effect::Ending;
use kymograph_domain::kernel::json::{JsonValue, WriteError};
use kymograph_domain::rights::resource_permission::ResourceKind;
use kymograph_domain::{CanonicalJson, Uid};

use super::{Dashboards, SavedDashboard};
use crate::kernel::error::{Error, Result};
use crate::kernel::id_allocator::IdKind;
use crate::kernel::random::random_uid;
use crate::{Permission, Scope, Unit};

/// A dashboard to save, as clients send it.
#[derive(Clone, Debug)]
pub struct SaveDashboard {
    /// The document. Its `uid` or `id` identifies the dashboard, its `version` is the one that the client has seen.
    pub dashboard: ParsedDashboard,
    /// The folder to put it in; `None` and an empty text mean the root.
    pub folder_uid: Option<String>,
    /// The folder to put it in by numeric id, for older clients; 0 means the root.
    pub folder_id: Option<i64>,
    /// The author's message about this version.
    pub message: String,
    /// Whether to overwrite whatever version exists.
    pub overwrite: bool,
}

/// The members of a client's document that describe the dashboard, and the rest of the document.
#[derive(Clone, Debug)]
pub struct ParsedDashboard {
    uid: Option<Uid>,
    id: Option<i64>,
    version: i64,
    title: String,
    tags: Vec<String>,
    data: CanonicalJson,
}

impl Dashboards {
    /// Creates a dashboard, or saves a new version of it.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn save_dashboard(&self, scope: &Scope, save: SaveDashboard) -> Result<SavedDashboard> {
        let parsed = save.dashboard;
        let folder_uid = self.resolve_folder(scope, save.folder_uid.as_deref(), save.folder_id).await?;
        let uid = match (parsed.uid, parsed.id) {
            (Some(uid), _) => Some(uid),
            (None, Some(id)) => {
                Some(self.reader.find_uid_by_id(scope, id).await?.ok_or(DashboardError::NotFound)?)
            }
            (None, None) => None,
        };
        let is_named = uid.is_some();
        let uid = match uid {
            Some(uid) => uid,
            None => random_uid()?,
        };
        let expected_version = (!save.overwrite).then_some(parsed.version);
        let content = DashboardContent {
            uid,
            title: parsed.title,
            tags: parsed.tags,
            folder_uid,
            message: save.message,
            data: parsed.data,
        };
        let content = &content;
        self.commands
            .run(scope, |unit| async move {
                self.decide_save(scope, unit, content, is_named, expected_version).await
            })
            .await
    }

    async fn decide_save<'s>(
        &self,
        scope: &'s Scope,
        mut unit: Unit<'s>,
        content: &DashboardContent,
        is_named: bool,
        expected_version: Option<i64>,
    ) -> Result<crate::kernel::unit::Decided<'s, SavedDashboard>> {
        let mut dashboard = unit.load::<Dashboard>(&content.uid).await?;
        let is_new = !(is_named && dashboard.exists);
        if !is_new {
            self.require_edit(scope, &dashboard, Permission::DASHBOARDS_WRITE).await?;
        }
        if is_new && dashboard.in_trash {
            // The dashboard in the trash with this uid is replaced.
            let permission = Permission::DASHBOARDS_WRITE;
            self.require_edit_in_trash(scope, &mut unit, &content.uid, &dashboard, permission).await?;
            self.endings.tell(&mut unit, scope, &[Ending::Dashboard(&content.uid)]).await?;
        }
        let moves = is_new || dashboard.folder_uid != content.folder_uid;
        if let Some(folder) = content.folder_uid.as_ref().filter(|_| moves)
            && !unit.load::<Folder>(folder).await?.exists
        {
            return Err(DashboardError::FolderNotFound.into());
        }
        if moves {
            let (folder, permission) = (content.folder_uid.as_ref(), Permission::DASHBOARDS_CREATE);
            self.authorization.require_place_in(scope, &mut unit, folder, permission).await?;
            if !is_new {
                // An actor whose right is revoked meanwhile must not move the dashboard away.
                let (kind, permission) = (ResourceKind::Dashboard, Permission::DASHBOARDS_WRITE);
                self.authorization.rest_on_right(scope, &mut unit, kind, &content.uid, permission)?;
            }
        }
        let new_id = if is_new { self.ids.next_id(scope.org(), IdKind::Object).await? } else { dashboard.id };
        dashboard.tell(DashboardCommand::Save { content: content.clone(), new_id, expected_version }).await?;
        let saved = SavedDashboard {
            id: dashboard.id,
            uid: dashboard.uid.clone(),
            title: dashboard.title.clone(),
            folder_uid: dashboard.folder_uid.clone(),
            version: dashboard.version,
        };
        unit.record(dashboard)?;
        Ok(unit.decided(saved))
    }

    pub(super) async fn resolve_folder(
        &self,
        scope: &Scope,
        uid: Option<&str>,
        id: Option<i64>,
    ) -> Result<Option<Uid>> {
        match (uid.filter(|uid| !uid.is_empty()), id.unwrap_or_default()) {
            (Some(GENERAL_UID), _) | (None, ..=0) => Ok(None),
            (Some(uid), _) => {
                Uid::try_new(uid).map(Some).map_err(|_| Error::from(DashboardError::FolderNotFound))
            }
            (None, id) => match self.reader.find_folder_uid_by_id(scope, id).await? {
                Some(uid) => Ok(Some(uid)),
                None => Err(DashboardError::FolderNotFound.into()),
            },
        }
    }
}

impl ParsedDashboard {
    /// Takes a document of at most `max_bytes`, without `id`, `uid` and `version`, which the server sets.
    pub fn try_new(document: JsonValue<'_>, max_bytes: usize) -> Result<Self> {
        let sent = SentDashboard::try_new(document)?;
        let spec = sent.spec;
        let uid = member(spec, "uid", "a text", JsonValue::as_str)?;
        let uid = sent.name.or(uid).filter(|uid| !uid.is_empty());
        let id = member(spec, "id", "a whole number", JsonValue::as_i64)?;
        let version = member(spec, "version", "a whole number", JsonValue::as_i64)?;
        let title = member(spec, "title", "a text", JsonValue::as_str)?.unwrap_or_default();
        Ok(Self {
            uid: uid.map(Uid::try_new).transpose()?,
            id: id.filter(|id| *id > 0),
            version: version.unwrap_or_default(),
            title: title.trim().to_owned(),
            tags: member(spec, "tags", "a list of texts", tags)?.unwrap_or_default(),
            data: sent.kept(&["id", "uid", "version"], max_bytes).map_err(unwritten)?,
        })
    }
}

/// Reads a member of a document, if it is present and not `null`.
fn member<'a, T>(
    document: JsonValue<'a>,
    name: &str,
    expected: &str,
    read: impl FnOnce(JsonValue<'a>) -> Option<T>,
) -> Result<Option<T>> {
    let Some(value) = document.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let read = read(value).ok_or_else(|| Error::invalid(format!("dashboard {name} must be {expected}")));
    read.map(Some)
}

/// A list of tags without duplicates. One more than the maximum is enough to reject them.
fn tags(tags: JsonValue<'_>) -> Option<Vec<String>> {
    if !tags.is_list() || tags.items().any(|tag| tag.as_str().is_none()) {
        return None;
    }
    let mut seen = HashSet::new();
    let tags = tags.items().filter_map(JsonValue::as_str).filter(|tag| seen.insert(*tag));
    Some(tags.map(str::to_owned).take(MAX_TAGS + 1).collect())
}

/// Maps the reason that a document was not written to an error.
pub(super) fn unwritten(error: WriteError) -> Error {
    match error {
        WriteError::TooLong => Error::too_large("the dashboard exceeds [server] max_body"),
        WriteError::Json(error) => Error::internal(error),
    }
}
