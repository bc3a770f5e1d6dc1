//! The rules of imports.

use super::*;
use crate::kernel::json::MAX_DEPTH;

fn folder<'a>(sequence: i64, event_type: &'a str, payload: &'a str) -> ForeignEvent<'a> {
    ForeignEvent {
        aggregate_type: "folder",
        aggregate_id: "folder-ops",
        sequence,
        event_type,
        schema_version: 1,
        payload,
    }
}

const MAX_DOCUMENT_BYTES: usize = 100;

const CREATED: &str = r#"{"id":7,"uid":"ops","title":"Ops","description":"","parent_uid":null}"#;

#[test]
fn an_object_gets_an_id_of_its_new_org() {
    let mut import = Import::new(40, MAX_DOCUMENT_BYTES);
    let imported = import.take(1, &folder(1, "folder.created", CREATED)).unwrap();
    assert_eq!(imported.stream.as_str(), "folder-ops");
    assert!(imported.event.payload().unwrap().contains("\"id\":41"));
    assert!(import.state(&imported.stream).unwrap().contains("\"id\":41"));
    assert_eq!(import.last_id(), 41);
}

#[test]
fn a_history_that_could_not_be_is_refused() {
    let updated = r#"{"uid":"ops","title":"Ops 2","description":""}"#;
    let mut import = Import::new(0, MAX_DOCUMENT_BYTES);
    let first = import.take(1, &folder(1, "folder.updated", updated));
    assert!(matches!(first, Err(ImportError::Impossible(..))));
    let mut import = Import::new(0, MAX_DOCUMENT_BYTES);
    import.take(1, &folder(1, "folder.created", CREATED)).unwrap();
    let again = import.take(2, &folder(1, "folder.created", CREATED));
    assert!(matches!(again, Err(ImportError::Duplicate(1))));
    let hole = import.take(2, &folder(3, "folder.updated", updated));
    assert!(matches!(hole, Err(ImportError::Hole { found: 3, last: 1 })));
    let other = import.take(2, &folder(2, "dashboard.purged", r#"{"uid":"ops"}"#));
    assert!(matches!(other, Err(ImportError::WrongType(..))));
    let another = ForeignEvent { aggregate_id: "net", ..folder(2, "folder.updated", updated) };
    assert!(matches!(import.take(2, &another), Err(ImportError::OtherAggregate(..))));
    let user = ForeignEvent { aggregate_type: "user", ..folder(1, "user.deleted", "{}") };
    assert!(matches!(import.take(2, &user), Err(ImportError::NotImportable(_))));
    import.take(2, &folder(2, "folder.updated", updated)).unwrap();
}

#[test]
fn what_is_in_no_folder_is_misplaced() {
    let mut import = Import::new(0, MAX_DOCUMENT_BYTES);
    let inside = r#"{"id":7,"uid":"ops","title":"Ops","description":"","parent_uid":"gone"}"#;
    import.take(1, &folder(1, "folder.created", inside)).unwrap();
    assert_eq!(import.check_places(&BTreeMap::new()).unwrap_err().folder.as_str(), "gone");
    let moved = r#"{"uid":"ops","parent_uid":"ops"}"#;
    import.take(2, &folder(2, "folder.moved", moved)).unwrap();
    assert_eq!(import.check_places(&BTreeMap::new()).unwrap_err().number, 2);
    import.take(3, &folder(3, "folder.moved", r#"{"uid":"ops","parent_uid":null}"#)).unwrap();
    import.check_places(&BTreeMap::new()).unwrap();
}

#[test]
fn folders_that_are_there_count_with_those_that_are_imported() {
    let mut import = Import::new(0, MAX_DOCUMENT_BYTES);
    let top = r#"{"id":7,"uid":"ops","title":"Ops","description":"","parent_uid":"there"}"#;
    let inner = r#"{"id":8,"uid":"disks","title":"Disks","description":"","parent_uid":"ops"}"#;
    let inside = ForeignEvent { aggregate_id: "disks", ..folder(1, "folder.created", inner) };
    assert_eq!(import.take(1, &inside).unwrap().object, 0);
    assert_eq!(import.take(2, &folder(1, "folder.created", top)).unwrap().object, 1);
    let elsewhere: Vec<_> = import.folders_elsewhere().into_iter().cloned().collect();
    assert_eq!(elsewhere.iter().map(Uid::as_str).collect::<Vec<_>>(), ["there"]);
    let depth = |depth| BTreeMap::from([(elsewhere[0].clone(), depth)]);
    import.check_places(&depth(3)).unwrap();
    let misplaced = import.check_places(&depth(4)).unwrap_err();
    assert_eq!((misplaced.number, misplaced.stream.as_str()), (1, "folder-disks"));
    assert!(import.check_places(&BTreeMap::new()).is_err());
    let ranks: BTreeMap<_, _> =
        import.objects().map(|object| (object.stream.as_str(), (object.rank, object.object))).collect();
    assert_eq!(ranks, BTreeMap::from([("folder-ops", (0, 1)), ("folder-disks", (1, 0))]));
    let ops = BTreeSet::from([Folder::stream_id(&Uid::try_new("ops").unwrap())]);
    import.leave_out(&ops);
    assert_eq!(import.folders_elsewhere().into_iter().map(Uid::as_str).collect::<Vec<_>>(), ["ops"]);
    assert_eq!(import.added(), BTreeMap::from([(QuotaTarget::Folder, 1)]));
}

fn created(data: &str) -> String {
    format!(
        r#"{{"id":1,"generation":1,"content":{{"uid":"cpu","title":"CPU","tags":[],"folder_uid":null,
        "message":"","data":{data}}}}}"#
    )
}

fn take(data: &str, max_bytes: usize) -> Result<Imported, ImportError> {
    let payload = created(data);
    let folder = folder(1, "dashboard.created", &payload);
    let event = ForeignEvent { aggregate_type: "dashboard", aggregate_id: "cpu", ..folder };
    Import::new(0, max_bytes).take(1, &event)
}

#[test]
fn a_document_is_written_as_ours_are() {
    let imported = take(r#"{"title": "CPU", "uid": "cpu", "a": 1.0}"#, MAX_DOCUMENT_BYTES).unwrap();
    assert!(imported.event.payload().unwrap().ends_with(r#""data":{"a":1.0,"title":"CPU"}}}"#));
}

#[test]
fn a_document_is_bounded() {
    let document = r#"{"a":1}"#;
    assert!(take(document, document.len()).is_ok());
    assert!(matches!(take(document, document.len() - 1), Err(ImportError::Content(_))));
}

#[test]
fn a_document_is_nested_no_deeper_than_one_that_is_saved() {
    let nested = |depth: usize| format!("{}0{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    assert!(take(&nested(MAX_DEPTH), 10_000).is_ok());
    assert!(matches!(take(&nested(MAX_DEPTH + 1), 10_000), Err(ImportError::Content(_))));
}

fn new() -> Import {
    Import::new(0, MAX_DOCUMENT_BYTES)
}

/// An import of events of one folder.
fn imported(events: &[(&str, &str)]) -> Result<Import, ImportError> {
    let mut import = new();
    for (sequence, (event_type, payload)) in (1_i64..).zip(events) {
        import.take(sequence.unsigned_abs(), &folder(sequence, event_type, payload))?;
    }
    Ok(import)
}

const DELETED: &str = r#"{"uid":"ops"}"#;

#[test]
fn only_folders_and_dashboards_are_taken_over() {
    let comet = ForeignEvent { aggregate_type: "comet", ..folder(1, "comet.seen", "{}") };
    assert!(matches!(new().take(1, &comet), Err(ImportError::UnknownAggregate(_))));
    let unknown = new().take(1, &folder(1, "folder.seen", "{}"));
    assert!(matches!(unknown, Err(ImportError::Decode(registry::DecodeError::UnknownType(_)))));
}

#[test]
fn an_aggregate_is_named_by_its_uid_with_its_type_or_without() {
    let named = |aggregate_id| {
        let event = ForeignEvent { aggregate_id, ..folder(1, "folder.created", CREATED) };
        new().take(1, &event).map(|imported| imported.stream.to_string())
    };
    assert_eq!(named("ops").unwrap(), "folder-ops");
    assert_eq!(named("folder-ops").unwrap(), "folder-ops");
    for other in ["folderops", "dashboard-ops", "folder-", "folder-ops2", ""] {
        assert!(matches!(named(other), Err(ImportError::OtherAggregate(..))), "{other}");
    }
    let slash = CREATED.replace(r#""uid":"ops""#, r#""uid":"a/b""#);
    let event = ForeignEvent { aggregate_id: "a/b", ..folder(1, "folder.created", &slash) };
    assert!(matches!(new().take(1, &event), Err(ImportError::Uid(..))));
}

#[test]
fn a_folder_is_what_it_could_be_here() {
    let described = |title: &str, description: &str| {
        let members = format!(r#""uid":"ops","title":"{title}","description":"{description}""#);
        let created = format!(r#"{{"id":7,{members},"parent_uid":null}}"#);
        let updated = format!("{{{members}}}");
        let first = imported(&[("folder.created", &created)]).map(drop);
        let later = imported(&[("folder.created", CREATED), ("folder.updated", &updated)]).map(drop);
        [first, later].map(|outcome| outcome.map_err(|error| error.to_string()))
    };
    let (title, description) = ("x".repeat(MAX_NAME_BYTES), "x".repeat(MAX_DESCRIPTION_BYTES));
    assert_eq!(described(&title, &description), [Ok(()), Ok(())]);
    let (long_title, long_description) = (format!("{title}x"), format!("{description}x"));
    let long = "a text is too long, or has a character that cannot be stored";
    for (title, description, error) in [
        ("", "", "the title is empty"),
        (&long_title, "", long),
        ("Ops", &long_description, long),
        ("O\\u0000", "", long),
    ] {
        let refused = [Err(error.to_owned()), Err(error.to_owned())];
        assert_eq!(described(title, description), refused);
    }
    let root = CREATED.replace("ops", "general");
    let event = ForeignEvent { aggregate_id: "general", ..folder(1, "folder.created", &root) };
    assert!(matches!(new().take(1, &event), Err(ImportError::Content(_))));
}

#[test]
fn a_folder_has_the_history_that_it_could_have() {
    let moved = r#"{"uid":"ops","parent_uid":null}"#;
    let created = ("folder.created", CREATED);
    for events in [
        &[created, created][..],
        &[("folder.moved", moved)],
        &[created, ("folder.deleted", DELETED), ("folder.moved", moved)],
        &[created, ("folder.deleted", DELETED), ("folder.deleted", DELETED)],
    ] {
        let refused = imported(events).unwrap_err();
        assert!(matches!(refused, ImportError::Impossible(..)), "{refused}");
    }
    imported(&[created, ("folder.moved", moved), ("folder.deleted", DELETED), created]).unwrap();
}

#[test]
fn an_object_takes_an_id_each_time_that_it_is_created() {
    let restored = CREATED.replace("null}", r#"null,"restores":7}"#);
    let mut import = imported(&[("folder.created", CREATED), ("folder.deleted", DELETED)]).unwrap();
    assert_eq!(import.added(), BTreeMap::new());
    let again = import.take(7, &folder(3, "folder.created", &restored)).unwrap();
    // The folder that it restores had its id on the other server.
    assert!(!again.event.payload().unwrap().contains("restores"));
    assert_eq!((import.last_id(), again.object, again.stream_type), (2, 0, "folder"));
    assert_eq!(import.added(), BTreeMap::from([(QuotaTarget::Folder, 1)]));
    let object = import.objects().next().unwrap();
    assert_eq!((object.number, object.events, object.ids, object.rank), (7, 3, 2, 0));
    assert_eq!(import.state(&StreamId::from_stored("folder-net".into())).unwrap(), "");
}

fn cpu<'a>(sequence: i64, event_type: &'a str, payload: &'a str) -> ForeignEvent<'a> {
    let aggregate_type = "dashboard";
    ForeignEvent { aggregate_type, aggregate_id: "cpu", ..folder(sequence, event_type, payload) }
}

/// The payload of an event of a dashboard version, with these members of the content.
fn version(event: &str, content: &str) -> String {
    format!(r#"{{{event},"content":{{"uid":"cpu","folder_uid":null,{content}}}}}"#)
}

const CONTENT: &str = r#""title":"CPU","tags":[],"message":"","data":{"uid":"x","a":1}"#;

/// An import of events of one dashboard.
fn imported_dashboard(events: &[(&str, &str)]) -> Result<Import, ImportError> {
    let mut import = new();
    for (sequence, (event_type, payload)) in (1_i64..).zip(events) {
        let schema_version = if *event_type == "dashboard.deleted" { 2 } else { 1 };
        let event = ForeignEvent { schema_version, ..cpu(sequence, event_type, payload) };
        import.take(sequence.unsigned_abs(), &event)?;
    }
    Ok(import)
}

#[test]
fn a_dashboard_has_the_history_that_it_could_have() {
    let of = |event: &str| version(event, CONTENT);
    let [first, second, again] =
        [1, 2, 3].map(|generation| of(&format!(r#""id":5,"generation":{generation}"#)));
    let [created, recreated, early] =
        [&first, &second, &again].map(|payload| ("dashboard.created", payload.as_str()));
    let [next, later, other] = [(1, 2), (1, 3), (2, 2)]
        .map(|(generation, version)| of(&format!(r#""generation":{generation},"version":{version}"#)));
    let [next, later, other] = [&next, &later, &other].map(|payload| ("dashboard.updated", payload.as_str()));
    let [back, too_far_back] =
        [3, 4].map(|version| of(&format!(r#""generation":1,"restored_from":1,"version":{version}"#)));
    let [back, too_far_back] =
        [&back, &too_far_back].map(|payload| ("dashboard.version_restored", payload.as_str()));
    let deleted = ("dashboard.deleted", r#"{"uid":"cpu","in_trash":true}"#);
    let restored = ("dashboard.restored", r#"{"uid":"cpu","folder_uid":null}"#);
    let purged = ("dashboard.purged", r#"{"uid":"cpu"}"#);
    for events in [
        &[created, created][..],
        &[created, recreated],
        &[recreated],
        &[created, deleted, early],
        &[next],
        &[created, later],
        &[created, other],
        &[created, next, too_far_back],
        &[created, restored],
        &[created, purged],
        &[created, deleted, next],
        &[created, deleted, deleted],
        &[created, deleted, purged, restored],
    ] {
        let refused = imported_dashboard(events).unwrap_err();
        assert!(matches!(refused, ImportError::Impossible(..)), "{refused}");
    }
    let history = [created, next, back, deleted, restored, deleted, recreated];
    let import = imported_dashboard(&history).unwrap();
    assert_eq!((import.last_id(), import.added()), (2, BTreeMap::from([(QuotaTarget::Dashboard, 1)])));
    let object = import.objects().next().unwrap();
    let counts = (object.number, object.events, object.ids, object.rank);
    assert_eq!(counts, (7, 7, 2, crate::content::folder::MAX_DEPTH));
    assert!(import.state(object.stream).unwrap().contains(r#""id":2"#));
    let gone = imported_dashboard(&[created, deleted, purged]).unwrap();
    assert_eq!(gone.added(), BTreeMap::new());
}

#[test]
fn every_version_of_a_dashboard_is_checked_and_written_as_ours_are() {
    let events = |content: &str| {
        [
            ("dashboard.created", version(r#""id":5,"generation":1"#, content)),
            ("dashboard.updated", version(r#""generation":1,"version":2"#, content)),
            (
                "dashboard.version_restored",
                version(r#""generation":1,"version":2,"restored_from":1"#, content),
            ),
        ]
    };
    let taken = |content: &str| {
        events(content).map(|(event_type, payload)| {
            let mut import = new();
            if event_type != "dashboard.created" {
                import.take(1, &cpu(1, "dashboard.created", &events(CONTENT)[0].1)).unwrap();
            }
            let sequence = import.objects().next().map_or(1, |object| object.events + 1);
            let imported = import.take(2, &cpu(sequence, event_type, &payload));
            imported.map(|imported| imported.event.payload().unwrap()).map_err(|error| error.to_string())
        })
    };
    for payload in taken(CONTENT) {
        assert!(payload.as_ref().unwrap().ends_with(r#""data":{"a":1}}}"#), "{payload:?}");
    }
    let of = |title: &str, tags: &str, message: &str, data: &str| {
        format!(r#""title":"{title}","tags":[{tags}],"message":"{message}","data":{data}"#)
    };
    let longest = "é".repeat(MAX_TITLE_CHARACTERS);
    assert!(taken(&of(&longest, "", "", "{}")).iter().all(Result::is_ok));
    for (content, error) in [
        (of("", "", "", "{}"), "the title is empty"),
        (of(&format!("{longest}é"), "", "", "{}"), "the title is too long"),
        (of(&format!("{longest}\\u0000"), "", "", "{}"), "the title is too long"),
        (of(&format!("{}\\u0000", "x".repeat(MAX_NAME_BYTES)), "", "", "{}"), "the title is too long"),
        (of("CPU", "", &"x".repeat(MAX_DESCRIPTION_BYTES + 1), "{}"), "a text is too long"),
        (of("CPU", r#""a\u0000""#, "", "{}"), "there are too many tags"),
        (of("CPU", "", "", "[]"), "the document is not a JSON object"),
        (
            of("CPU", "", "", &format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_DOCUMENT_BYTES))),
            "the document is not",
        ),
    ] {
        for refused in taken(&content) {
            assert!(refused.as_ref().unwrap_err().starts_with(error), "{refused:?}");
        }
    }
}

#[test]
fn what_is_deleted_is_in_no_folder() {
    let inside = CREATED.replace("null", r#""gone""#);
    let import = imported(&[("folder.created", &inside), ("folder.deleted", DELETED)]).unwrap();
    import.check_places(&BTreeMap::new()).unwrap();
    assert!(import.folders_elsewhere().is_empty());
    let object = import.objects().next().unwrap();
    assert_eq!(object.rank, crate::content::folder::MAX_DEPTH);
}

#[test]
fn a_dashboard_can_be_in_the_deepest_folder() {
    let mut import = new();
    let in_ops = version(r#""id":5,"generation":1"#, CONTENT).replace("null", r#""ops""#);
    import.take(1, &cpu(1, "dashboard.created", &in_ops)).unwrap();
    let misplaced = import.check_places(&BTreeMap::new()).unwrap_err();
    assert_eq!((misplaced.stream.as_str(), misplaced.folder.as_str()), ("dashboard-cpu", "ops"));
    let inside = CREATED.replace("null", r#""there""#);
    import.take(2, &folder(1, "folder.created", &inside)).unwrap();
    let elsewhere = |depth| BTreeMap::from([(Uid::try_new("there").unwrap(), depth)]);
    import.check_places(&elsewhere(4)).unwrap();
    assert!(import.check_places(&elsewhere(5)).is_err());
}

#[test]
fn nothing_can_be_in_a_folder_that_is_deleted() {
    let mut import = imported(&[("folder.created", CREATED), ("folder.deleted", DELETED)]).unwrap();
    let in_ops = version(r#""id":5,"generation":1"#, CONTENT).replace("null", r#""ops""#);
    import.take(3, &cpu(1, "dashboard.created", &in_ops)).unwrap();
    assert_eq!(import.folders_elsewhere().into_iter().map(Uid::as_str).collect::<Vec<_>>(), ["ops"]);
    assert_eq!(import.check_places(&BTreeMap::new()).unwrap_err().why, "which does not exist");
    let deleted =
        ForeignEvent { schema_version: 2, ..cpu(2, "dashboard.deleted", r#"{"uid":"cpu","in_trash":true}"#) };
    import.take(4, &deleted).unwrap();
    assert!(import.folders_elsewhere().is_empty() && import.check_places(&BTreeMap::new()).is_ok());
}
