use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::json::{CanonicalJson, JsonDocument};

type Framework = TestFramework<Dashboard>;

fn content(title: &str) -> DashboardContent {
    let mut data = format!(r#"{{"title":"{title}","tags":["ops"]}}"#).into_bytes();
    let document = JsonDocument::try_parse(&mut data).unwrap();
    DashboardContent {
        uid: Uid::try_new("d1").unwrap(),
        title: title.into(),
        tags: vec!["ops".into()],
        folder_uid: None,
        message: String::new(),
        data: CanonicalJson::try_new(document.root(), &[], usize::MAX).unwrap(),
    }
}

fn created() -> DashboardEvent {
    created_again(1)
}

fn created_again(generation: i64) -> DashboardEvent {
    DashboardCreated { id: 3, generation, content: content("CPU") }.into()
}

fn save(title: &str, expected_version: Option<i64>) -> DashboardCommand {
    DashboardCommand::Save { content: content(title), new_id: 3, expected_version }
}

#[tokio::test]
async fn the_first_save_creates() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(save("CPU", Some(0)))
        .await
        .then_expect_events(vec![created()]);
}

#[tokio::test]
async fn a_later_save_counts_the_version_up() {
    Framework::with(())
        .given(vec![created()])
        .when_async(save("CPU load", Some(1)))
        .await
        .then_expect_events(vec![
            DashboardUpdated { generation: 1, version: 2, content: content("CPU load") }.into(),
        ]);
}

#[tokio::test]
async fn a_stale_version_is_refused() {
    Framework::with(())
        .given(vec![created()])
        .when_async(save("CPU", Some(0)))
        .await
        .then_expect_error(DashboardError::VersionMismatch);
}

#[tokio::test]
async fn an_empty_title_is_refused() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(save("  ", None))
        .await
        .then_expect_error(DashboardError::TitleEmpty);
}

#[tokio::test]
async fn restores_as_a_new_version() {
    let updated = DashboardUpdated { generation: 1, version: 2, content: content("Memory") };
    Framework::with(())
        .given(vec![created(), updated.into()])
        .when_async(DashboardCommand::RestoreVersion { from: 1, content: content("CPU") })
        .await
        .then_expect_events(vec![
            DashboardVersionRestored { generation: 1, version: 3, restored_from: 1, content: content("CPU") }
                .into(),
        ]);
}

#[tokio::test]
async fn a_recreated_one_starts_again_at_version_one() {
    Framework::with(())
        .given(vec![created(), deleted(true)])
        .when_async(save("CPU", Some(0)))
        .await
        .then_expect_events(vec![created_again(2)]);
}

fn uid() -> Uid {
    Uid::try_new("d1").unwrap()
}

fn deleted(in_trash: bool) -> DashboardEvent {
    DashboardDeleted { uid: uid(), in_trash }.into()
}

#[tokio::test]
async fn what_is_in_the_trash_comes_back_or_is_purged() {
    let folder_uid = Some(Uid::try_new("ops").unwrap());
    Framework::with(())
        .given(vec![created(), deleted(true)])
        .when_async(DashboardCommand::RestoreDeleted { folder_uid: folder_uid.clone() })
        .await
        .then_expect_events(vec![DashboardRestored { uid: uid(), folder_uid }.into()]);
    Framework::with(())
        .given(vec![created(), deleted(true)])
        .when_async(DashboardCommand::Purge)
        .await
        .then_expect_events(vec![DashboardPurged { uid: uid() }.into()]);
}

#[tokio::test]
async fn nothing_else_comes_back() {
    let purged = vec![created(), deleted(true), DashboardPurged { uid: uid() }.into()];
    let restored = vec![created(), deleted(true), DashboardRestored { uid: uid(), folder_uid: None }.into()];
    let recreated = vec![created(), deleted(true), created_again(2)];
    for events in [vec![], vec![created()], vec![created(), deleted(false)], purged, restored, recreated] {
        for command in [DashboardCommand::RestoreDeleted { folder_uid: None }, DashboardCommand::Purge] {
            Framework::with(())
                .given(events.clone())
                .when_async(command)
                .await
                .then_expect_error(DashboardError::NotFound);
        }
    }
}
