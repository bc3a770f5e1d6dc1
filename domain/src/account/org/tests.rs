use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::testing::{decided, folded};

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

#[tokio::test]
async fn there_is_one_of_an_id() {
    let again = decided::<Org>(&[created().into()], vec![OrgCommand::Create(created())]).await;
    assert_eq!(again, Err(OrgError::NameTaken));
}

#[tokio::test]
async fn a_name_can_be_seen_and_has_a_limit() {
    for (name, expected) in [
        ("é".repeat(MAX_NAME_BYTES / 2), Ok(())),
        ("x".repeat(MAX_NAME_BYTES + 1), Err(OrgError::TextTooLong)),
        (" ".to_owned(), Err(OrgError::NameEmpty)),
        ("Ac\u{200B}me".to_owned(), Err(OrgError::NameHidden)),
    ] {
        let create = OrgCommand::Create(OrgCreated { name: name.clone(), ..created() });
        let rename = OrgCommand::Rename(name);
        assert_eq!(decided::<Org>(&[], vec![create]).await.map(drop), expected);
        assert_eq!(decided::<Org>(&[created().into()], vec![rename]).await.map(drop), expected);
    }
}

#[tokio::test]
async fn each_line_of_an_address_has_a_limit() {
    let address = |length: usize, place: usize| {
        let mut lines = [const { String::new() }; 6];
        lines[place] = "x".repeat(length);
        let [address1, address2, city, zip_code, state, country] = lines;
        Address { address1, address2, city, zip_code, state, country }
    };
    for place in 0..6 {
        let address = |length| address(length, place);
        let change = |length| vec![OrgCommand::ChangeAddress(address(length))];
        let changed = OrgAddressChanged { address: address(MAX_NAME_BYTES) };
        let given = [created().into()];
        assert_eq!(decided::<Org>(&given, change(MAX_NAME_BYTES)).await, Ok(vec![changed.into()]));
        assert_eq!(decided::<Org>(&given, change(MAX_NAME_BYTES + 1)).await, Err(OrgError::TextTooLong));
    }
}

fn renamed() -> OrgEvent {
    OrgRenamed { name: "Acme Inc.".into() }.into()
}

fn audited() -> OrgEvent {
    OrgAuditChanged { audit: AuditSettings { queries: true } }.into()
}

#[tokio::test]
async fn audits_queries_only_if_told_to() {
    let set = |queries| OrgCommand::SetAudit(AuditSettings { queries });
    let commands = vec![set(false), set(true), set(true)];
    assert_eq!(decided::<Org>(&[created().into()], commands).await.unwrap(), [audited()]);
    let stored = |events: &[OrgEvent]| serde_json::to_string(&folded::<Org>(events)).unwrap();
    // The stored state of an org from before the setting existed is still the one of its events.
    assert!(!stored(&[created().into()]).contains("audit"));
    assert!(stored(&[created().into(), audited()]).contains(r#""audit":{"queries":true}"#));
}

fn moved() -> OrgEvent {
    OrgAddressChanged { address: Address { city: "Ulm".into(), ..Address::default() } }.into()
}

#[tokio::test]
async fn ends_with_all_it_owns_when_it_is_deleted() {
    let deleted = decided::<Org>(&[created().into()], vec![OrgCommand::Delete]).await.unwrap();
    assert_eq!(deleted, [OrgDeleted { id: OrgId(4) }.into()]);
    assert_eq!(deleted[0].ending(), Some(Ending::Org));
    for event in [created().into(), renamed(), moved(), audited()] {
        assert_eq!(event.ending(), None);
    }
}

#[tokio::test]
async fn what_differs_comes_back_unless_the_org_is_gone() {
    let events = [created().into(), renamed(), moved(), audited(), OrgDeleted { id: OrgId(4) }.into()];
    let [past, other_name, now, gone] = [1, 2, 4, 5].map(|count| folded::<Org>(&events[..count]));
    assert_eq!((past.title(), now.title()), (Some("Acme"), Some("Acme Inc.")));
    assert!(now.exists() && !gone.exists());
    let commands = now.restoration(&past, &events[..1], 1).unwrap();
    let back = decided::<Org>(&events[..4], commands).await.unwrap();
    let old = [
        OrgRenamed { name: "Acme".into() }.into(),
        OrgAddressChanged { address: Address::default() }.into(),
        OrgAuditChanged { audit: AuditSettings::default() }.into(),
    ];
    assert_eq!(back, old);
    let commands = now.reversal(&other_name, &events[..2], 1).unwrap();
    assert_eq!(decided::<Org>(&events[..4], commands).await.unwrap(), old[1..]);
    assert!(now.restoration(&now, &events[..4], 1).unwrap().is_empty());
    assert!(gone.restoration(&now, &events[..4], 1).is_none());
}
