use cqrs_es::test::TestFramework;

use super::*;

type Framework = TestFramework<Org>;

fn created() -> OrgCreated {
    OrgCreated { id: OrgId(4), name: "Acme".into() }
}

#[tokio::test]
async fn is_created_and_renamed() {
    Framework::with(())
        .given_no_previous_events()
        .when_async(OrgCommand::Create(created()))
        .await
        .then_expect_events(vec![created().into()]);
    Framework::with(())
        .given(vec![created().into()])
        .when_async(OrgCommand::Rename("Acme Inc.".into()))
        .await
        .then_expect_events(vec![OrgRenamed { name: "Acme Inc.".into() }.into()]);
}

#[tokio::test]
async fn needs_a_name() {
    Framework::with(())
        .given(vec![created().into()])
        .when_async(OrgCommand::Rename(String::new()))
        .await
        .then_expect_error(OrgError::NameEmpty);
}

#[tokio::test]
async fn a_deleted_org_takes_no_commands() {
    Framework::with(())
        .given(vec![created().into(), OrgDeleted { id: OrgId(4) }.into()])
        .when_async(OrgCommand::Rename("Acme".into()))
        .await
        .then_expect_error(OrgError::NotFound);
}
