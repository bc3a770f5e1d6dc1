//! The rules for what may be taken over.

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
