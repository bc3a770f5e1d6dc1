use super::*;
use crate::kernel::json::tests::compared;

#[test]
fn an_event_type_begins_with_the_name_of_its_aggregate() {
    for (event_type, _) in event_types() {
        let (aggregate, verb) = event_type.split_once('.').unwrap();
        assert!(TYPES.contains(&aggregate) && !verb.is_empty(), "{event_type}");
    }
}

#[test]
fn what_tells_all_of_an_object_or_begins_it_is_an_event_of_it() {
    for name in TYPES {
        for event in complete_events(name).iter().chain(beginnings(name)).chain(endings_of(name)) {
            assert!(event_types().iter().any(|(known, _)| known == event), "{event}");
            assert!(event.starts_with(&format!("{name}.")), "{event}");
        }
    }
}

#[test]
fn each_type_of_event_has_exactly_one_way_to_undo_it() {
    let mut known: Vec<_> = event_types().into_iter().map(|(name, _)| name).collect();
    let mut decided: Vec<_> = undoings().map(|(name, _)| name).collect();
    known.sort_unstable();
    decided.sort_unstable();
    assert_eq!(decided, known);
}

#[test]
fn events_that_cannot_be_undone_say_why_or_what_else_to_do() {
    for (name, undoing) in undoings() {
        if let Undoing::Impossible(reason) = undoing {
            assert!(reason.len() > 10 && !reason.ends_with('.'), "{name}: {reason}");
        }
    }
}

#[test]
fn unknown_types_and_versions_are_refused() {
    assert!(matches!(decode("comet.seen", 1, "{}"), Err(DecodeError::UnknownType(_))));
    assert!(matches!(decode("folder.seen", 1, "{}"), Err(DecodeError::UnknownType(_))));
    assert!(matches!(decode("folder.deleted", 99, "{}"), Err(DecodeError::UnknownVersion(_, 99, _))));
    assert!(matches!(decode("folder.created", 1, "[]"), Err(DecodeError::Payload(..))));
}

fn renamed() -> Box<dyn StoredEvent> {
    decode("org.renamed", 1, r#"{"name":"Acme"}"#).unwrap()
}

fn unstarred() -> Box<dyn StoredEvent> {
    decode("star.removed", 1, r#"{"user_id":1,"dashboard_uid":"cpu"}"#).unwrap()
}

#[test]
fn an_event_is_read_as_it_was_stored() {
    let event = renamed();
    assert_eq!((event.stored_type(), event.schema_version()), ("org.renamed", 1));
    assert_eq!(event.payload().unwrap(), r#"{"name":"Acme"}"#);
    assert!(event_types().contains(&("org.renamed", 1)));
}

#[test]
fn an_event_of_an_older_version_is_read_as_one_of_the_current() {
    let event = decode("dashboard.deleted", 1, r#"{"uid":"cpu"}"#).unwrap();
    assert_eq!(event.schema_version(), 2);
    assert_eq!(event.payload().unwrap(), r#"{"uid":"cpu","in_trash":false}"#);
    assert!(matches!(decode("dashboard.deleted", 1, "[]"), Err(DecodeError::Payload(..))));
    assert!(matches!(decode("dashboard.deleted", 1, "{"), Err(DecodeError::Payload(..))));
    assert!(matches!(decode("dashboard.deleted", 0, "{}"), Err(DecodeError::UnknownVersion(_, 0, 2))));
}

#[test]
fn the_events_of_a_stream_fold_to_its_state() {
    let mut fold = new_fold("org").unwrap();
    assert!(fold.apply(&*renamed()) && !fold.apply(&*unstarred()));
    assert!(fold.state().unwrap().contains(r#""name":"Acme""#), "{}", fold.state().unwrap());
    assert!(new_fold("comet").is_none());
}

#[test]
fn the_past_of_an_object_is_made_of_its_events() {
    let mut past = new_past("star").unwrap();
    assert_eq!(past.image().unwrap(), "null");
    assert!(!past.push(&*renamed()) && past.push(&*unstarred()));
    assert_eq!(past.image().unwrap(), r#"{"dashboards":{}}"#);
    assert!(new_past("comet").is_none());
}

#[test]
fn an_event_names_its_aggregate() {
    for (event, aggregate) in [("service_account.token_added", "service_account"), ("comet", "comet")] {
        assert_eq!(aggregate_type_of(event), aggregate);
    }
}

#[test]
fn a_noun_says_which_events_tell_all_of_it_and_begin_it() {
    let complete = ["dashboard.created", "dashboard.updated", "dashboard.version_restored"];
    assert_eq!(complete_events("dashboard"), complete);
    assert_eq!(beginnings("folder"), ["folder.created"]);
    assert!(complete_events("comet").is_empty() && beginnings("comet").is_empty());
}

#[test]
fn an_earlier_state_takes_back_what_is_neither_a_grant_nor_final() {
    for (event, expected) in [
        ("folder.created", Undoing::Ended),
        ("folder.updated", Undoing::Reverted),
        ("service_account.token_added", Undoing::Revoked),
        ("star.added", Undoing::OWN_CHOICE),
        ("comet.seen", Undoing::Impossible("unknown event type")),
    ] {
        assert_eq!(undoing(event), expected);
        let is_reverted = matches!(expected, Undoing::Ended | Undoing::Reverted);
        assert_eq!(reverted_types().any(|reverted| reverted == event), is_reverted, "{event}");
    }
}

#[test]
fn a_change_is_told_as_its_noun_tells_it() {
    let told = |noun: &str| {
        let (before, after) = (r#"{"dashboard":{"title":"A"}}"#, r#"{"dashboard":{"title":"B"}}"#);
        let description = compared(before, after, |before, after| describe(noun, before, after));
        description.sentences.into_iter().map(|sentence| sentence.text).collect::<Vec<_>>()
    };
    assert_eq!(told("dashboard"), ["the dashboard was called “A” before"]);
    assert_eq!(told("org"), ["the org: its dashboard changed"]);
    assert!(told("comet").is_empty());
}
