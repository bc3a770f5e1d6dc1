use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::reason::Refusal;
use crate::kernel::testing::{decided, folded};

fn uid(text: &str) -> Uid {
    Uid::try_new(text).unwrap()
}

fn created(title: &str) -> FolderCreated {
    FolderCreated {
        id: 7,
        uid: uid("f1"),
        title: title.into(),
        description: String::new(),
        parent_uid: None,
        restores: None,
    }
}

fn rename(expected_version: Option<i64>) -> FolderCommand {
    FolderCommand::Update { title: Some("Net".into()), description: None, expected_version }
}

type Framework = TestFramework<Folder>;

#[tokio::test]
async fn creates() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(FolderCommand::Create(created("Ops")))
        .await
        .then_expect_events(vec![created("Ops").into()]);
}

#[tokio::test]
async fn refuses_a_second_one_and_a_blank_title() {
    Framework::with(())
        .given(vec![created("Ops").into()])
        .when_async(FolderCommand::Create(created("Ops")))
        .await
        .then_expect_error(FolderError::UidTaken);
    Framework::with(())
        .given_no_previous_events()
        .when_async(FolderCommand::Create(created(" ")))
        .await
        .then_expect_error(FolderError::TitleEmpty);
}

#[tokio::test]
async fn a_stale_version_is_refused_and_none_overwrites() {
    let updated = FolderUpdated { uid: uid("f1"), title: "Net".into(), description: String::new() };
    Framework::with(())
        .given(vec![created("Ops").into(), updated.clone().into()])
        .when_async(rename(Some(1)))
        .await
        .then_expect_error(FolderError::VersionMismatch);
    Framework::with(())
        .given(vec![created("Ops").into(), updated.clone().into()])
        .when_async(rename(None))
        .await
        .then_expect_events(vec![updated.into()]);
}

#[tokio::test]
async fn cannot_be_put_into_itself() {
    Framework::with(())
        .given(vec![created("Ops").into()])
        .when_async(FolderCommand::Move { parent_uid: Some(uid("f1")) })
        .await
        .then_expect_error(FolderError::OwnAncestor);
}

#[tokio::test]
async fn a_deleted_one_is_gone_and_its_uid_is_free() {
    let deleted = FolderDeleted { uid: uid("f1") };
    Framework::with(())
        .given(vec![created("Ops").into(), deleted.clone().into()])
        .when_async(FolderCommand::Delete)
        .await
        .then_expect_error(FolderError::NotFound);
    Framework::with(())
        .given(vec![created("Ops").into(), deleted.into()])
        .when_async(FolderCommand::Create(created("Again")))
        .await
        .then_expect_events(vec![created("Again").into()]);
}

fn deleted() -> FolderEvent {
    FolderDeleted { uid: uid("f1") }.into()
}

fn updated(title: &str, description: &str) -> FolderEvent {
    FolderUpdated { uid: uid("f1"), title: title.into(), description: description.into() }.into()
}

fn moved(parent: Option<&str>) -> FolderEvent {
    FolderMoved { uid: uid("f1"), parent_uid: parent.map(uid) }.into()
}

fn update(title: Option<&str>, description: Option<&str>) -> FolderCommand {
    let [title, description] = [title, description].map(|text| text.map(str::to_owned));
    FolderCommand::Update { title, description, expected_version: None }
}

#[tokio::test]
async fn what_is_left_out_of_an_update_stays() {
    let given = [created("Ops").into(), updated("Ops", "for operators")];
    for (command, event) in [
        (update(Some("Net"), None), updated("Net", "for operators")),
        (update(None, Some("for all")), updated("Ops", "for all")),
        (rename(Some(2)), updated("Net", "for operators")),
    ] {
        assert_eq!(decided::<Folder>(&given, vec![command]).await, Ok(vec![event]));
    }
}

#[tokio::test]
async fn texts_have_limits() {
    let (title, description) = ("x".repeat(MAX_NAME_BYTES), "x".repeat(MAX_DESCRIPTION_BYTES));
    let (long_title, long_description) = (format!("{title}x"), format!("{description}x"));
    for (title, description, expected) in [
        (title.as_str(), description.as_str(), Ok(())),
        (" ", "", Err(FolderError::TitleEmpty)),
        (&long_title, "", Err(FolderError::TextTooLong)),
        ("Ops", &long_description, Err(FolderError::TextTooLong)),
        ("O\0", "", Err(FolderError::TextTooLong)),
    ] {
        let create =
            FolderCommand::Create(FolderCreated { description: description.into(), ..created(title) });
        let given = [created("Ops").into()];
        assert_eq!(decided::<Folder>(&[], vec![create]).await.map(drop), expected);
        let update = update(Some(title), Some(description));
        assert_eq!(decided::<Folder>(&given, vec![update]).await.map(drop), expected);
    }
}

#[tokio::test]
async fn neither_names_the_root_nor_begins_inside_of_itself() {
    for (folder, error) in [
        (FolderCreated { uid: uid(GENERAL_UID), ..created("Ops") }, FolderError::UidReserved),
        (FolderCreated { parent_uid: Some(uid("f1")), ..created("Ops") }, FolderError::OwnAncestor),
    ] {
        assert_eq!(decided::<Folder>(&[], vec![FolderCommand::Create(folder)]).await, Err(error));
    }
}

#[tokio::test]
async fn is_moved_to_where_it_is_not_yet() {
    let to = |parent: Option<&str>| FolderCommand::Move { parent_uid: parent.map(uid) };
    for (given, command, events) in [
        (vec![], to(Some("net")), vec![moved(Some("net"))]),
        (vec![], to(None), vec![]),
        (vec![moved(Some("net"))], to(Some("net")), vec![]),
        (vec![moved(Some("net"))], to(None), vec![moved(None)]),
    ] {
        let given = [vec![created("Ops").into()], given].concat();
        assert_eq!(decided::<Folder>(&given, vec![command]).await, Ok(events));
    }
}

#[tokio::test]
async fn one_that_is_not_there_takes_no_commands() {
    for given in [vec![], vec![created("Ops").into(), deleted()]] {
        for command in [rename(None), FolderCommand::Move { parent_uid: None }, FolderCommand::Delete] {
            assert_eq!(decided::<Folder>(&given, vec![command]).await, Err(FolderError::NotFound));
        }
    }
}

#[test]
fn every_change_counts_the_version_up() {
    let events = [created("Ops").into(), updated("Net", "d"), moved(Some("net")), deleted()];
    let versions = [1, 2, 3, 4].map(|count| folded::<Folder>(&events[..count]).version);
    assert_eq!(versions, [1, 2, 3, 3]);
    let expected = Folder {
        uid: uid("f1"),
        id: 7,
        title: "Net".into(),
        description: "d".into(),
        parent_uid: Some(uid("net")),
        version: 3,
        exists: true,
    };
    let folder: Folder = folded(&events[..3]);
    assert_eq!(folder, expected);
    assert_eq!((folder.title(), folder.guarded()), (Some("Net"), Some((&uid("f1"), 7))));
    assert_eq!(folder.place(), Some(Some(&uid("net"))));
    assert_eq!(folded::<Folder>(&events[..1]).place(), Some(None));
    assert!(folder.exists() && folder.holds_key() && !folded::<Folder>(&events).exists());
}

#[test]
fn it_counts_from_its_creation_to_its_deletion() {
    for (event, change) in
        [(created("Ops").into(), 1), (updated("Net", ""), 0), (moved(None), 0), (deleted(), -1)]
    {
        assert_eq!(event.counted(), Some(Counted { target: QuotaTarget::Folder, change }));
        let ending = (change == -1).then_some(uid("f1"));
        assert_eq!(event.ending(), ending.as_ref().map(Ending::Folder));
    }
}

#[tokio::test]
async fn what_differs_comes_back() {
    let events = [created("Ops").into(), updated("Net", "d"), moved(Some("net"))];
    let [past, renamed, now] = [1, 2, 3].map(|count| folded::<Folder>(&events[..count]));
    let commands = now.restoration(&past, &events[..1], 9).unwrap();
    let back = decided::<Folder>(&events, commands).await;
    assert_eq!(back, Ok(vec![updated("Ops", ""), moved(None)]));
    let commands = now.reversal(&renamed, &events[..2], 9).unwrap();
    assert_eq!(decided::<Folder>(&events, commands).await, Ok(vec![moved(None)]));
    let other_description = [&events[..2], &[updated("Net", "e")]].concat();
    let commands = folded::<Folder>(&other_description).restoration(&renamed, &[], 9).unwrap();
    assert_eq!(decided::<Folder>(&other_description, commands).await, Ok(vec![updated("Net", "d")]));
    assert!(now.undeletion(9).is_none());
}

#[tokio::test]
async fn a_deleted_one_comes_back_under_a_new_id() {
    let events = [created("Ops").into(), updated("Net", "d"), moved(Some("net")), deleted()];
    let anew = FolderCreated {
        id: 9,
        uid: uid("f1"),
        title: "Net".into(),
        description: "d".into(),
        parent_uid: Some(uid("net")),
        restores: Some(7),
    };
    let [now, gone] = [3, 4].map(|count| folded::<Folder>(&events[..count]));
    for commands in [gone.restoration(&now, &events[..3], 9), gone.undeletion(9)] {
        let back = decided::<Folder>(&events, commands.unwrap()).await;
        assert_eq!(back, Ok(vec![anew.clone().into()]));
    }
    let ended = decided::<Folder>(&events[..3], vec![now.ending().unwrap()]).await;
    assert_eq!(ended, Ok(vec![deleted()]));
    assert!(gone.ending().is_none());
}

#[test]
fn only_a_move_is_one() {
    assert!(Folder::is_move(&FolderCommand::Move { parent_uid: None }));
    assert!(!Folder::is_move(&FolderCommand::Delete) && !Folder::is_move(&rename(None)));
}

#[test]
fn what_somebody_else_has_changed_has_a_code() {
    for error in [FolderError::UidTaken, FolderError::VersionMismatch] {
        assert_eq!((error.kind(), error.code()), (ReasonKind::Stale, Some("version-mismatch")));
        assert_eq!(Refusal::from(error).code, Some("version-mismatch"));
    }
    assert_eq!((FolderError::TooDeep.kind(), FolderError::TooDeep.code()), (ReasonKind::Invalid, None));
}
