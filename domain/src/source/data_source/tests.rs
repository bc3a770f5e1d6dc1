use cqrs_es::test::TestFramework;
use serde_json::{Map, Value};

use super::*;

type Framework = TestFramework<DataSource>;

fn content(name: &str) -> DataSourceContent {
    DataSourceContent { name: name.to_owned(), kind: "prometheus".to_owned(), ..DataSourceContent::default() }
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn created(content: DataSourceContent) -> DataSourceCreated {
    let uid = Uid::try_new("prom").unwrap();
    DataSourceCreated { uid, id: 7, content, secrets: names(&["password"]), read_only: false }
}

fn changed(content: DataSourceContent, set: &[&str], removed: &[&str]) -> DataSourceEvent {
    DataSourceChanged { id: 7, content, secrets_set: names(set), secrets_removed: names(removed) }.into()
}

fn change(content: DataSourceContent, set: &[&str], removed: &[&str], version: i64) -> DataSourceCommand {
    let secrets = SecretChange { set: names(set), removed: names(removed) };
    DataSourceCommand::Change { content, secrets, expected_version: Some(version).filter(|at| *at > 0) }
}

fn deleted() -> DataSourceEvent {
    DataSourceDeleted { uid: Uid::try_new("prom").unwrap(), id: 7 }.into()
}

fn fold(events: &[DataSourceEvent]) -> DataSource {
    events.iter().cloned().fold(DataSource::default(), |mut source, event| {
        source.apply(event);
        source
    })
}

async fn expect(
    given: Vec<DataSourceEvent>,
    when: DataSourceCommand,
    then: Result<Vec<DataSourceEvent>, DataSourceError>,
) {
    let result = Framework::with(()).given(given).when_async(when).await;
    match then {
        Ok(events) => result.then_expect_events(events),
        Err(error) => result.then_expect_error(error),
    }
}

#[tokio::test]
async fn is_created_changed_and_deleted_once() {
    let given = || vec![created(content("a")).into()];
    let create = || DataSourceCommand::Create(created(content("a")));
    expect(vec![], create(), Ok(given())).await;
    expect(given(), create(), Err(DataSourceError::UidTaken)).await;
    expect(given(), change(content("b"), &[], &[], 1), Ok(vec![changed(content("b"), &[], &[])])).await;
    expect(given(), change(content("a"), &[], &[], 1), Ok(vec![])).await;
    expect(given(), change(content("b"), &[], &[], 2), Err(DataSourceError::Stale)).await;
    expect(given(), DataSourceCommand::Delete, Ok(vec![deleted()])).await;
    for command in
        [change(content("b"), &[], &[], 0), DataSourceCommand::Delete, DataSourceCommand::ClearDefault]
    {
        expect(vec![], command.clone(), Err(DataSourceError::NotFound)).await;
        let gone = vec![created(content("a")).into(), deleted()];
        expect(gone, command, Err(DataSourceError::NotFound)).await;
    }
    expect(vec![created(content("a")).into(), deleted()], create(), Ok(given())).await;
}

#[tokio::test]
async fn secrets_are_known_by_name() {
    let given = || vec![created(content("a")).into()];
    let set = changed(content("a"), &["token"], &[]);
    expect(given(), change(content("a"), &["token"], &[], 0), Ok(vec![set.clone()])).await;
    expect(given(), change(content("a"), &[], &["token"], 0), Ok(vec![])).await;
    let removed = changed(content("a"), &[], &["password"]);
    expect(given(), change(content("a"), &[], &["password", "other"], 0), Ok(vec![removed.clone()])).await;
    let state = fold(&[created(content("a")).into(), set, removed]);
    assert_eq!((state.secrets, state.version), (names(&["token"]), 3));
    assert!(fold(&[created(content("a")).into(), deleted()]).secrets.is_empty());

    let many: Vec<_> = (0..MAX_SECRETS).map(|at| format!("s{at}")).collect();
    let mut many: Vec<_> = many.iter().map(String::as_str).collect();
    let too_many = change(content("a"), &many, &[], 0);
    expect(given(), too_many, Err(DataSourceError::InvalidSecrets)).await;
    let replaced = change(content("a"), &many, &["password"], 0);
    expect(given(), replaced, Ok(vec![changed(content("a"), &many, &["password"])])).await;
    let with = |secrets| DataSourceCreated { secrets, ..created(content("a")) };
    let most = with(names(&many));
    expect(vec![], DataSourceCommand::Create(most.clone()), Ok(vec![most.into()])).await;
    many.push("one more");
    let more = DataSourceCommand::Create(with(names(&many)));
    expect(vec![], more, Err(DataSourceError::InvalidSecrets)).await;
}

#[tokio::test]
async fn what_is_read_only_stays() {
    let given = || vec![DataSourceCreated { read_only: true, ..created(content("a")) }.into()];
    expect(given(), change(content("b"), &[], &[], 0), Err(DataSourceError::ReadOnly)).await;
    expect(given(), DataSourceCommand::Delete, Err(DataSourceError::ReadOnlyDeletion)).await;
}

#[tokio::test]
async fn another_default_clears_it() {
    let default = || DataSourceContent { is_default: true, ..content("a") };
    let cleared = DataSourceDefaultCleared { id: 7 };
    let given = || vec![created(default()).into()];
    expect(given(), DataSourceCommand::ClearDefault, Ok(vec![cleared.clone().into()])).await;
    expect(vec![created(content("a")).into()], DataSourceCommand::ClearDefault, Ok(vec![])).await;
    let state = fold(&[created(default()).into(), cleared.into()]);
    assert_eq!((state.content.is_default, state.version), (false, 1));
}

#[test]
fn settings_are_checked() {
    let longest = |bytes: usize| "a".repeat(bytes);
    let plain = || content("a");
    let json = |bytes: usize| Map::from_iter([("k".to_owned(), Value::from("v".repeat(bytes - 8)))]);
    let cases = [
        (plain(), Ok(())),
        (DataSourceContent { name: longest(MAX_TEXT_BYTES), ..plain() }, Ok(())),
        (
            DataSourceContent { name: longest(MAX_TEXT_BYTES + 1), ..plain() },
            Err(DataSourceError::InvalidText("name")),
        ),
        (DataSourceContent { name: " ".to_owned(), ..plain() }, Err(DataSourceError::NameMissing)),
        (DataSourceContent { kind: String::new(), ..plain() }, Err(DataSourceError::TypeMissing)),
        (DataSourceContent { user: "\0".to_owned(), ..plain() }, Err(DataSourceError::InvalidText("user"))),
        (
            DataSourceContent { database: longest(MAX_TEXT_BYTES + 1), ..plain() },
            Err(DataSourceError::InvalidText("database")),
        ),
        (
            DataSourceContent { basic_auth_user: longest(MAX_TEXT_BYTES + 1), ..plain() },
            Err(DataSourceError::InvalidText("basicAuthUser")),
        ),
        (DataSourceContent { url: longest(MAX_URL_BYTES), ..plain() }, Ok(())),
        (DataSourceContent { url: longest(MAX_URL_BYTES + 1), ..plain() }, Err(DataSourceError::InvalidUrl)),
        (DataSourceContent { url: "http://a b".to_owned(), ..plain() }, Err(DataSourceError::InvalidUrl)),
        (DataSourceContent { url: "http://a\u{7}".to_owned(), ..plain() }, Err(DataSourceError::InvalidUrl)),
        (
            DataSourceContent { url: "http://ann:secret@a/".to_owned(), ..plain() },
            Err(DataSourceError::PasswordInUrl),
        ),
        (
            DataSourceContent { url: "ann:secret@a".to_owned(), ..plain() },
            Err(DataSourceError::PasswordInUrl),
        ),
        (
            DataSourceContent { url: r"http:\/ann:secret@a".to_owned(), ..plain() },
            Err(DataSourceError::PasswordInUrl),
        ),
        (
            DataSourceContent { url: "http:///ann:secret@a".to_owned(), ..plain() },
            Err(DataSourceError::PasswordInUrl),
        ),
        (DataSourceContent { url: "http://ann:@a:1/b:c@d".to_owned(), ..plain() }, Ok(())),
        (DataSourceContent { json_data: json(MAX_JSON_DATA_BYTES), ..plain() }, Ok(())),
        (
            DataSourceContent { json_data: json(MAX_JSON_DATA_BYTES + 1), ..plain() },
            Err(DataSourceError::JsonDataTooLong),
        ),
    ];
    for (content, expected) in cases {
        assert_eq!(content.check(), expected, "{}", content.name);
    }
    let nul = Map::from_iter([("k".to_owned(), Value::from("\0"))]);
    assert!(DataSourceContent { json_data: nul, ..plain() }.check().is_err());
}

#[test]
fn secrets_are_checked() {
    let one = |name: &str, bytes: usize| BTreeMap::from([(name.to_owned(), Some("v".repeat(bytes)))]);
    assert_eq!(check_secrets(&one("httpHeaderValue1", MAX_SECRET_BYTES)), Ok(()));
    assert_eq!(check_secrets(&BTreeMap::from([("a-b_c.d".to_owned(), None)])), Ok(()));
    for (name, bytes) in [("a", MAX_SECRET_BYTES + 1), ("", 1), ("a/b", 1), ("ä", 1), ("a b", 1)] {
        assert_eq!(check_secrets(&one(name, bytes)), Err(DataSourceError::InvalidSecrets), "{name}");
    }
    assert!(check_secrets(&one(&"n".repeat(MAX_TEXT_BYTES), 1)).is_ok());
    assert!(check_secrets(&one(&"n".repeat(MAX_TEXT_BYTES + 1), 1)).is_err());
    let many = |count: usize| (0..count).map(|at| (format!("s{at}"), None)).collect();
    assert!(check_secrets(&many(MAX_SECRETS)).is_ok() && check_secrets(&many(MAX_SECRETS + 1)).is_err());
    let large =
        |count: usize| (0..count).map(|at| (format!("s{at}"), Some("v".repeat(MAX_SECRET_BYTES)))).collect();
    let most = MAX_SECRETS_BYTES / MAX_SECRET_BYTES;
    assert!(check_secrets(&large(most)).is_ok() && check_secrets(&large(most + 1)).is_err());
    let values = [("a", Some("x")), ("b", Some("")), ("c", None)];
    let values = values.map(|(name, value)| (name.to_owned(), value.map(str::to_owned)));
    let change = SecretChange::of(&BTreeMap::from(values));
    assert_eq!(change, SecretChange { set: names(&["a"]), removed: names(&["b", "c"]) });
}

#[test]
fn settings_come_back_without_secrets_and_without_being_the_default() {
    let default = DataSourceContent { is_default: true, ..content("a") };
    let events = [created(default.clone()).into(), changed(content("b"), &["token"], &[]), deleted()];
    let (past, now, gone) = (fold(&events[..1]), fold(&events[..2]), fold(&events));
    let back = now.restoration(&past, &events[..1], 9).unwrap();
    let [DataSourceCommand::Change { content: settings, secrets, expected_version: None }] = &back[..] else {
        panic!("{back:?}");
    };
    assert_eq!((settings, secrets), (&content("a"), &SecretChange::default()));
    let back = gone.restoration(&now, &events[..2], 9).unwrap();
    let [DataSourceCommand::Create(anew)] = &back[..] else { panic!("{back:?}") };
    assert_eq!((anew.id, &anew.content, anew.secrets.len()), (9, &content("b"), 0));
    assert!(gone.restoration(&DataSource::default(), &[], 9).is_none());
    let still = fold(&events[..1]).restoration(&past, &events[..1], 9).unwrap();
    assert!(matches!(&still[..], [DataSourceCommand::Change { content, .. }] if *content == default));
    assert!(matches!(now.ending(), Some(DataSourceCommand::Delete)) && gone.ending().is_none());
    assert_eq!((now.title(), now.guarded().map(|(_, id)| id)), (Some("b"), Some(7)));
    assert!(Stream::exists(&now) && !Stream::exists(&gone));
}

#[test]
fn tells_what_ends_and_counts() {
    let uid = Uid::try_new("prom").unwrap();
    let counted = |event: DataSourceEvent| event.counted().map(|counted| (counted.target, counted.change));
    assert_eq!(counted(created(content("a")).into()), Some((QuotaTarget::DataSource, 1)));
    assert_eq!(counted(changed(content("a"), &[], &[])), Some((QuotaTarget::DataSource, 0)));
    assert_eq!(counted(deleted()), Some((QuotaTarget::DataSource, -1)));
    assert_eq!(deleted().ending(), Some(Ending::DataSource(&uid)));
    assert!(changed(content("a"), &[], &[]).ending().is_none());
}

#[test]
fn an_image_says_when_each_secret_was_set() {
    let events = [
        created(content("a")).into(),
        changed(content("a"), &["token"], &[]),
        changed(content("a"), &["password"], &[]),
        DataSourceDefaultCleared { id: 7 }.into(),
        changed(content("a"), &["token"], &["password"]),
        deleted(),
        created(content("a")).into(),
    ];
    let secrets = |count: usize| {
        let image: Value =
            serde_json::from_str(&fold(&events[..count]).image(&events[..count]).unwrap()).unwrap();
        image["secrets"].to_string()
    };
    assert_eq!(secrets(1), r#"{"password":1}"#);
    assert_eq!(secrets(2), r#"{"password":1,"token":2}"#);
    assert_eq!(secrets(3), r#"{"password":3,"token":2}"#);
    assert_eq!(secrets(5), r#"{"token":4}"#);
    assert_eq!(fold(&events[..6]).image(&events[..6]).unwrap(), NOTHING);
    assert_eq!(secrets(7), r#"{"password":1}"#);
}
