use cqrs_es::test::TestFramework;

use super::*;

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
