use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::effect::{Counted, Effects, Ending, QuotaTarget};
use crate::kernel::json::tests::compared;
use crate::kernel::json::{CanonicalJson, JsonDocument};
use crate::kernel::testing::{decided, folded};

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

fn ops() -> Uid {
    Uid::try_new("ops").unwrap()
}

fn updated(version: i64, title: &str) -> DashboardEvent {
    DashboardUpdated { generation: 1, version, content: content(title) }.into()
}

fn version_restored(version: i64, restored_from: i64, title: &str) -> DashboardEvent {
    DashboardVersionRestored { generation: 1, version, restored_from, content: content(title) }.into()
}

fn restored(folder_uid: Option<Uid>) -> DashboardEvent {
    DashboardRestored { uid: uid(), folder_uid }.into()
}

fn purged() -> DashboardEvent {
    DashboardPurged { uid: uid() }.into()
}

#[tokio::test]
async fn what_is_there_is_moved_to_the_trash_once() {
    let delete = || vec![DashboardCommand::Delete];
    assert_eq!(decided::<Dashboard>(&[created()], delete()).await, Ok(vec![deleted(true)]));
    for given in [vec![], vec![created(), deleted(true)]] {
        let version = DashboardCommand::RestoreVersion { from: 1, content: content("CPU") };
        for commands in [delete(), vec![version]] {
            assert_eq!(decided::<Dashboard>(&given, commands).await, Err(DashboardError::NotFound));
        }
    }
}

#[tokio::test]
async fn a_save_without_a_version_overwrites() {
    let given = [created(), updated(2, "Memory")];
    for (expected_version, outcome) in
        [(None, Ok(vec![updated(3, "CPU")])), (Some(1), Err(DashboardError::VersionMismatch))]
    {
        let save = save("CPU", expected_version);
        assert_eq!(decided::<Dashboard>(&given, vec![save]).await, outcome);
    }
}

#[tokio::test]
async fn an_old_version_that_could_not_be_saved_does_not_come_back() {
    let content = DashboardContent { title: " ".into(), ..content("CPU") };
    let command = DashboardCommand::RestoreVersion { from: 1, content };
    let refused = decided::<Dashboard>(&[created()], vec![command]).await;
    assert_eq!(refused, Err(DashboardError::TitleEmpty));
}

#[test]
fn the_state_follows_the_last_version() {
    let in_ops = DashboardContent { folder_uid: Some(ops()), ..content("Memory") };
    let events = [
        created(),
        DashboardUpdated { generation: 1, version: 2, content: in_ops }.into(),
        version_restored(3, 1, "CPU"),
        deleted(true),
        restored(Some(ops())),
        deleted(true),
        purged(),
    ];
    let states: Vec<Dashboard> = (1..=7).map(|count| folded(&events[..count])).collect();
    let versions: Vec<_> = states.iter().map(|state| state.version).collect();
    assert_eq!(versions, [1, 2, 3, 3, 3, 3, 3]);
    let titles: Vec<_> = states.iter().map(|state| state.title().unwrap()).collect();
    assert_eq!(titles, ["CPU", "Memory", "CPU", "CPU", "CPU", "CPU", "CPU"]);
    let places: Vec<_> = states.iter().map(|state| state.place().unwrap().is_some()).collect();
    assert_eq!(places, [false, true, false, false, true, true, true]);
    let there: Vec<_> = states.iter().map(|state| (state.exists(), state.holds_key())).collect();
    let (is, trash, gone) = ((true, true), (false, true), (false, false));
    assert_eq!(there, [is, is, is, trash, is, trash, gone]);
    assert_eq!((states[0].guarded(), states[0].generation), (Some((&uid(), 3)), 1));
    assert!(!folded::<Dashboard>(&[created(), deleted(true), created_again(2)]).in_trash);
}

#[test]
fn the_trash_is_mentioned_only_in_the_state_of_what_is_in_it() {
    let kept = |events: &[DashboardEvent]| {
        serde_json::to_value(folded::<Dashboard>(events)).unwrap().get("in_trash").cloned()
    };
    assert_eq!(kept(&[created()]), None);
    assert_eq!(kept(&[created(), deleted(true)]), Some(true.into()));
}

#[test]
fn one_that_may_come_back_has_not_ended() {
    let ended = uid();
    for (event, ends, change) in [
        (created(), false, 1),
        (created_again(2), true, 1),
        (updated(2, "CPU"), false, 0),
        (version_restored(2, 1, "CPU"), false, 0),
        (deleted(true), false, -1),
        (deleted(false), true, -1),
        (restored(None), false, 1),
        (purged(), true, 0),
    ] {
        assert_eq!(event.ending(), ends.then_some(Ending::Dashboard(&ended)), "{event:?}");
        assert_eq!(event.counted(), Some(Counted { target: QuotaTarget::Dashboard, change }), "{event:?}");
        let is_version = matches!(event, DashboardEvent::Updated(_) | DashboardEvent::VersionRestored(_));
        assert_eq!(event.changes_only_itself(), is_version, "{event:?}");
    }
}

#[tokio::test]
async fn one_is_ended_and_brought_back_by_the_trash() {
    let there: Dashboard = folded(&[created()]);
    assert!(there.undeletion(9).is_none());
    let ended = decided::<Dashboard>(&[created()], vec![there.ending().unwrap()]).await;
    assert_eq!(ended, Ok(vec![deleted(true)]));
    let given = [created(), deleted(true), restored(Some(ops())), deleted(true)];
    let in_trash: Dashboard = folded(&given);
    assert!(in_trash.ending().is_none());
    let back = decided::<Dashboard>(&given, in_trash.undeletion(9).unwrap()).await;
    assert_eq!(back, Ok(vec![restored(Some(ops()))]));
}

#[test]
fn a_change_is_told_in_the_words_of_dashboards() {
    let (before, after) = (r#"{"dashboard":{"title":"A"}}"#, r#"{"dashboard":{"title":"B"}}"#);
    let told = compared(before, after, Dashboard::describe);
    assert_eq!(told.sentences[0].text, "the dashboard was called “A” before");
}
