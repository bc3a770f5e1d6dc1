use super::*;

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
        for event in complete_events(name).iter().chain(beginnings(name)) {
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
