//! Past states of a dashboard: its state after some of its events.

use serde::Serialize;

use super::{Dashboard, DashboardCommand, DashboardContent, DashboardEvent};
use crate::kernel::json::CanonicalJson;
use crate::kernel::past::NOTHING;
use crate::kernel::uid::Uid;

/// The image of a dashboard after these events, as people see it in its history.
pub(super) fn image(events: &[DashboardEvent]) -> Result<String, serde_json::Error> {
    let last = LastContent::of(events);
    let Some(content) = last.content.filter(|_| last.exists) else { return Ok(NOTHING.to_owned()) };
    let folder_uid = last.folder_uid.map(Uid::as_str).unwrap_or_default();
    serde_json::to_string(&Image { dashboard: &content.data, folder_uid })
}

/// The commands that restore the state of a dashboard after these events. A deleted dashboard is restored with its
/// history if it is in the trash, and created anew otherwise. An existing dashboard stays in its folder, unless it
/// `goes_back` to its former one.
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

/// The content of a dashboard after its events: later events override earlier ones.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::dashboard::{
        DashboardCreated, DashboardDeleted, DashboardError, DashboardPurged, DashboardRestored,
        DashboardUpdated, DashboardVersionRestored,
    };
    use crate::kernel::aggregate::Stream;
    use crate::kernel::testing::{decided, folded};

    fn uid(text: &str) -> Uid {
        Uid::try_new(text).unwrap()
    }

    fn content(title: &str, folder: Option<&str>) -> DashboardContent {
        DashboardContent {
            uid: uid("d1"),
            title: title.into(),
            tags: Vec::new(),
            folder_uid: folder.map(uid),
            message: String::new(),
            data: serde_json::from_str(&format!(r#"{{"title":"{title}"}}"#)).unwrap(),
        }
    }

    fn created(generation: i64) -> DashboardEvent {
        DashboardCreated { id: 3, generation, content: content("CPU", None) }.into()
    }

    fn updated(version: i64, title: &str, folder: Option<&str>) -> DashboardEvent {
        DashboardUpdated { generation: 1, version, content: content(title, folder) }.into()
    }

    fn deleted() -> DashboardEvent {
        DashboardDeleted { uid: uid("d1"), in_trash: true }.into()
    }

    fn restored(folder: Option<&str>) -> DashboardEvent {
        DashboardRestored { uid: uid("d1"), folder_uid: folder.map(uid) }.into()
    }

    fn purged() -> DashboardEvent {
        DashboardPurged { uid: uid("d1") }.into()
    }

    /// The restoration of an older version as the newest one, with the message of the server.
    fn version_restored(version: i64, from: i64, title: &str, folder: Option<&str>) -> DashboardEvent {
        let message = format!("Restored from version {from}");
        let content = DashboardContent { message, ..content(title, folder) };
        DashboardVersionRestored { generation: 1, version, restored_from: from, content }.into()
    }

    /// The events that restore the state of a dashboard after `count` events: in its current folder, and in its former
    /// folder.
    async fn come_back(
        events: &[DashboardEvent],
        count: usize,
    ) -> [Option<Result<Vec<DashboardEvent>, DashboardError>>; 2] {
        let (now, past): (Dashboard, Dashboard) = (folded(events), folded(&events[..count]));
        let mut back = [None, None];
        let ways = [now.restoration(&past, &events[..count], 9), now.reversal(&past, &events[..count], 9)];
        for (back, commands) in back.iter_mut().zip(ways) {
            if let Some(commands) = commands {
                *back = Some(decided::<Dashboard>(events, commands).await);
            }
        }
        back
    }

    #[test]
    fn people_see_the_last_version_and_its_folder() {
        let events =
            [created(1), updated(2, "Memory", Some("ops")), deleted(), restored(Some("net")), purged()];
        let images = [0, 1, 2, 3, 4, 5].map(|count| image(&events[..count]).unwrap());
        let expected = [
            "null",
            r#"{"dashboard":{"title":"CPU"},"folderUid":""}"#,
            r#"{"dashboard":{"title":"Memory"},"folderUid":"ops"}"#,
            "null",
            r#"{"dashboard":{"title":"Memory"},"folderUid":"net"}"#,
            "null",
        ];
        assert_eq!(images, expected);
        assert_eq!(folded::<Dashboard>(&events[..1]).image(&events[..1]).unwrap(), expected[1]);
        let again = [&events[..2], &[version_restored(3, 1, "CPU", None)]].concat();
        assert_eq!(image(&again).unwrap(), expected[1]);
    }

    #[tokio::test]
    async fn an_older_version_becomes_the_newest() {
        let events = [created(1), updated(2, "Memory", Some("ops"))];
        let [stays, goes_back] = come_back(&events, 1).await;
        assert_eq!(stays, Some(Ok(vec![version_restored(3, 1, "CPU", Some("ops"))])));
        assert_eq!(goes_back, Some(Ok(vec![version_restored(3, 1, "CPU", None)])));
        assert_eq!(come_back(&events, 2).await, [Some(Ok(vec![])), Some(Ok(vec![]))]);
        assert_eq!(come_back(&events, 0).await, [None, None]);
        let newest = [&events[..], &[version_restored(3, 1, "CPU", None)]].concat();
        let [stays, _] = come_back(&newest, 2).await;
        assert_eq!(stays, Some(Ok(vec![version_restored(4, 2, "Memory", None)])));
    }

    #[tokio::test]
    async fn one_in_the_trash_comes_back_with_its_history() {
        let events = [created(1), updated(2, "Memory", Some("ops")), deleted()];
        for back in come_back(&events, 2).await {
            assert_eq!(back, Some(Ok(vec![restored(Some("ops"))])));
        }
        for back in come_back(&events, 1).await {
            assert_eq!(back, Some(Ok(vec![restored(None), version_restored(3, 1, "CPU", None)])));
        }
        assert_eq!(come_back(&events, 3).await, [None, None]);
    }

    #[tokio::test]
    async fn one_that_was_purged_comes_back_as_a_new_one() {
        let events = [created(1), updated(2, "Memory", Some("ops")), deleted(), purged()];
        let message = "Restored from version 2".to_owned();
        let content = DashboardContent { message, ..content("Memory", Some("ops")) };
        let anew = DashboardCreated { id: 9, generation: 2, content };
        for back in come_back(&events, 2).await {
            assert_eq!(back, Some(Ok(vec![anew.clone().into()])));
        }
    }

    #[tokio::test]
    async fn a_version_of_an_earlier_one_of_the_uid_has_no_number_in_this_one() {
        let events = [created(1), updated(2, "Memory", None), deleted(), created(2)];
        let message = "Restored from version 1".to_owned();
        let content = DashboardContent { message, ..content("CPU", None) };
        let anew = DashboardVersionRestored { generation: 2, version: 2, restored_from: 0, content };
        for back in come_back(&events, 1).await {
            assert_eq!(back, Some(Ok(vec![anew.clone().into()])));
        }
    }
}
