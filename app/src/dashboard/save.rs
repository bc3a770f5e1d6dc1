//! Saving a dashboard.

use std::collections::HashSet;

use kymograph_domain::dashboard::{Dashboard, DashboardCommand, DashboardContent, DashboardError, MAX_TAGS};
use kymograph_domain::folder::{Folder, GENERAL_UID};
use kymograph_domain::json::{JsonValue, WriteError};
use kymograph_domain::{CanonicalJson, Uid};

use super::{Dashboards, SavedDashboard};
use crate::error::{Error, Result};
use crate::id_allocator::IdKind;
use crate::random::random_uid;
use crate::{Permission, Scope, Unit};

/// A dashboard to save, as clients send it.
#[derive(Clone, Debug)]
pub struct SaveDashboard {
    /// The document. Its `uid` or `id` says which dashboard it is, its `version` which one the client has seen.
    pub dashboard: ParsedDashboard,
    /// The folder to put it in; `None` and an empty text mean the root.
    pub folder_uid: Option<String>,
    /// The folder to put it in by numeric id, for older clients; 0 means the root.
    pub folder_id: Option<i64>,
    /// What the author says of this version.
    pub message: String,
    /// Whether to replace whatever is there.
    pub overwrite: bool,
}

/// What a client's document says of the dashboard, and the rest of the document.
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
    ) -> Result<crate::unit::Decided<'s, SavedDashboard>> {
        let mut dashboard = unit.load::<Dashboard>(&content.uid).await?;
        let is_new = !(is_named && dashboard.exists);
        if !is_new {
            self.require_edit(scope, &dashboard, Permission::DashboardsWrite).await?;
        }
        if is_new && dashboard.in_trash {
            // What is in the trash under this uid would be gone.
            self.require_edit_in_trash(scope, &dashboard, Permission::DashboardsWrite).await?;
        }
        let moves = is_new || dashboard.folder_uid != content.folder_uid;
        if let Some(folder) = content.folder_uid.as_ref().filter(|_| moves)
            && !unit.load::<Folder>(folder).await?.exists
        {
            return Err(DashboardError::FolderNotFound.into());
        }
        if moves {
            let (folder, permission) = (content.folder_uid.as_ref(), Permission::DashboardsCreate);
            self.authorization.require_place(scope, folder, permission).await?;
        }
        if expected_version.is_some() && (moves || dashboard.title != content.title) {
            self.title_must_be_free(scope, content).await?;
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

    async fn title_must_be_free(&self, scope: &Scope, content: &DashboardContent) -> Result<()> {
        let holder =
            self.reader.find_uid_by_title(scope, content.folder_uid.as_ref(), &content.title).await?;
        match holder {
            Some(holder) if holder != content.uid => Err(DashboardError::NameExists.into()),
            _ => Ok(()),
        }
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
    /// Takes a document of at most so many bytes, of which it leaves out `id`, `uid` and `version`: they are the server's
    /// to say.
    pub fn try_new(document: JsonValue<'_>, max_bytes: usize) -> Result<Self> {
        if !document.is_object() {
            return Err(DashboardError::NotAnObject.into());
        }
        let uid = match document.get("uid").filter(|uid| !uid.is_null()) {
            Some(uid) => {
                let uid = uid.as_str().ok_or_else(|| Error::invalid("dashboard uid must be a text"))?;
                if uid.is_empty() { None } else { Some(Uid::try_new(uid)?) }
            }
            None => None,
        };
        let title = document.get("title").and_then(JsonValue::as_str).unwrap_or_default();
        Ok(Self {
            uid,
            id: document.get("id").and_then(JsonValue::as_i64).filter(|id| *id > 0),
            version: document.get("version").and_then(JsonValue::as_i64).unwrap_or_default(),
            title: title.trim().to_owned(),
            tags: tags(document),
            data: CanonicalJson::try_new(document, &["id", "uid", "version"], max_bytes)
                .map_err(unwritten)?,
        })
    }
}

/// The tags of a document, each once. One more than there may be is enough to refuse them.
fn tags(document: JsonValue<'_>) -> Vec<String> {
    let mut seen = HashSet::new();
    let tags = document.get("tags").into_iter().flat_map(JsonValue::items).filter_map(JsonValue::as_str);
    tags.filter(|tag| seen.insert(*tag)).map(str::to_owned).take(MAX_TAGS + 1).collect()
}

/// Says why a document is not written.
pub(super) fn unwritten(error: WriteError) -> Error {
    match error {
        WriteError::TooLong => Error::too_large("the dashboard is larger than a request may be"),
        WriteError::Json(error) => Error::internal(error),
    }
}
