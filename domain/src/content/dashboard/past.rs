//! What a dashboard was after some of its events.

use serde::Serialize;

use super::{Dashboard, DashboardCommand, DashboardContent, DashboardEvent};
use crate::kernel::json::CanonicalJson;
use crate::kernel::past::NOTHING;
use crate::kernel::uid::Uid;

/// What people see of a dashboard after these events.
pub(super) fn image(events: &[DashboardEvent]) -> Result<String, serde_json::Error> {
    let last = LastContent::of(events);
    let Some(content) = last.content.filter(|_| last.exists) else { return Ok(NOTHING.to_owned()) };
    let folder_uid = last.folder_uid.map(Uid::as_str).unwrap_or_default();
    serde_json::to_string(&Image { dashboard: &content.data, folder_uid })
}

/// The commands that bring back what a dashboard was after these events. One that was deleted comes back with its
/// history if it is in the trash, and else as a new one. One that is there goes back to its folder, or stays in the one it is in.
pub(super) fn restoration(
    now: &Dashboard,
    events: &[DashboardEvent],
    new_id: i64,
    goes_back: bool,
) -> Option<Vec<DashboardCommand>> {
    let last = LastContent::of(events);
    let content = last.content.filter(|_| last.exists)?;
    let is_own = last.generation == now.generation;
    let stays = now.exists && !goes_back;
    let folder_uid = if stays { now.folder_uid.clone() } else { last.folder_uid.cloned() };
    let content = DashboardContent {
        folder_uid: folder_uid.clone(),
        message: format!("Restored from version {}", last.version),
        ..content.clone()
    };
    if !now.exists && !now.in_trash {
        return Some(vec![DashboardCommand::Save { content, new_id, expected_version: None }]);
    }
    let mut commands = Vec::new();
    if !now.exists {
        commands.push(DashboardCommand::RestoreDeleted { folder_uid });
    }
    if !is_own || last.version != now.version {
        let from = if is_own { last.version } else { 0 };
        commands.push(DashboardCommand::RestoreVersion { from, content });
    }
    Some(commands)
}

/// A dashboard as people see it in its history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image<'a> {
    dashboard: &'a CanonicalJson,
    folder_uid: &'a str,
}

/// What events say of the content of a dashboard, the last of them first.
#[derive(Default)]
struct LastContent<'a> {
    content: Option<&'a DashboardContent>,
    folder_uid: Option<&'a Uid>,
    version: i64,
    generation: i64,
    exists: bool,
}

impl<'a> LastContent<'a> {
    fn of(events: &'a [DashboardEvent]) -> Self {
        let mut last = Self::default();
        for event in events {
            match event {
                DashboardEvent::Created(created) => last.take(1, created.generation, &created.content),
                DashboardEvent::Updated(updated) => {
                    last.take(updated.version, updated.generation, &updated.content);
                }
                DashboardEvent::VersionRestored(restored) => {
                    last.take(restored.version, restored.generation, &restored.content);
                }
                DashboardEvent::Deleted(_) | DashboardEvent::Purged(_) => last.exists = false,
                DashboardEvent::Restored(restored) => {
                    last.exists = true;
                    last.folder_uid = restored.folder_uid.as_ref();
                }
            }
        }
        last
    }

    fn take(&mut self, version: i64, generation: i64, content: &'a DashboardContent) {
        let folder_uid = content.folder_uid.as_ref();
        *self = Self { content: Some(content), folder_uid, version, generation, exists: true };
    }
}
