use cqrs_es::test::TestFramework;

use super::*;
use crate::kernel::json::CanonicalJson;
use crate::kernel::testing::folded;

type Framework = TestFramework<Correlation>;

fn uid(text: &str) -> Uid {
    Uid::try_new(text).unwrap()
}

fn json(text: &str) -> CanonicalJson {
    serde_json::from_str(text).unwrap()
}

fn transformation(kind: TransformationKind, expression: &str) -> Transformation {
    let expression = expression.to_owned();
    Transformation { kind, expression, field: "line".to_owned(), map_value: "host".to_owned() }
}

fn content(label: &str) -> CorrelationContent {
    CorrelationContent {
        label: label.to_owned(),
        description: "Logs to traces".to_owned(),
        kind: CorrelationKind::Query,
        config: CorrelationConfig {
            field: "message".to_owned(),
            target: json(r#"{"expr":"up"}"#),
            transformations: vec![transformation(TransformationKind::Regex, "host=(.*)")],
        },
    }
}

fn external(target: &str) -> CorrelationContent {
    let plain = content("Wiki");
    let config = CorrelationConfig { target: json(target), ..plain.config };
    CorrelationContent { kind: CorrelationKind::External, config, ..plain }
}

fn created(label: &str) -> CorrelationCreated {
    let (source_uid, target_uid) = (uid("loki"), Some(uid("tempo")));
    CorrelationCreated { uid: uid("c1"), source_uid, target_uid, content: content(label) }
}

fn changed(content: CorrelationContent) -> CorrelationEvent {
    let (source_uid, target_uid) = (uid("loki"), Some(uid("tempo")));
    CorrelationChanged { uid: uid("c1"), source_uid, target_uid, content }.into()
}

fn deleted() -> CorrelationEvent {
    CorrelationDeleted { uid: uid("c1") }.into()
}

fn label(label: &str) -> CorrelationCommand {
    let label = Some(label.to_owned());
    CorrelationCommand::Change(CorrelationChange { label, ..CorrelationChange::default() })
}

fn restore(has_lost_source: bool) -> CorrelationCommand {
    CorrelationCommand::Restore { created: created("a"), has_lost_source }
}

fn given() -> cqrs_es::test::AggregateTestExecutor<Correlation> {
    Framework::with(()).given(vec![created("a").into()])
}

fn gone() -> cqrs_es::test::AggregateTestExecutor<Correlation> {
    Framework::with(()).given(vec![created("a").into(), deleted()])
}

#[tokio::test]
async fn is_created_changed_and_deleted_once() {
    let create = || CorrelationCommand::Create(created("a"));
    let none = Framework::with(()).given_no_previous_events();
    none.when_async(create()).await.then_expect_events(vec![created("a").into()]);
    for command in [create(), restore(false), restore(true)] {
        given().when_async(command).await.then_expect_error(CorrelationError::Exists);
    }
    let replace = |label| CorrelationCommand::Replace(content(label));
    for command in [label("b"), replace("b")] {
        given().when_async(command).await.then_expect_events(vec![changed(content("b"))]);
    }
    for command in [label("a"), replace("a")] {
        given().when_async(command).await.then_expect_events(vec![]);
    }
    given().when_async(CorrelationCommand::Delete).await.then_expect_events(vec![deleted()]);
    let nothing = || CorrelationCommand::Change(CorrelationChange::default());
    given().when_async(nothing()).await.then_expect_error(CorrelationError::NothingToChange);
    for command in [label("b"), nothing(), replace("b"), CorrelationCommand::Delete] {
        gone().when_async(command).await.then_expect_error(CorrelationError::NotFound);
    }
    gone().when_async(restore(false)).await.then_expect_events(vec![created("a").into()]);
    gone().when_async(restore(true)).await.then_expect_error(CorrelationError::SourceLost);
}

#[tokio::test]
async fn content_is_checked_whenever_it_is_set() {
    let without_target = |content| CorrelationCreated { target_uid: None, content, ..created("a") };
    let create = CorrelationCommand::Create(without_target(content("a")));
    let none = || Framework::with(()).given_no_previous_events();
    none().when_async(create).await.then_expect_error(CorrelationError::NoTarget);
    let page = without_target(external(r#"{"url":"https://wiki"}"#));
    let create = CorrelationCommand::Create(page.clone());
    none().when_async(create).await.then_expect_events(vec![page.clone().into()]);
    let query = || {
        let kind = Some(CorrelationKind::Query);
        CorrelationCommand::Change(CorrelationChange { kind, ..CorrelationChange::default() })
    };
    let of_page = Framework::with(()).given(vec![page.into()]);
    of_page.when_async(query()).await.then_expect_error(CorrelationError::NoTarget);
    let with_target = CorrelationCreated { content: external(r#"{"url":"/a"}"#), ..created("a") };
    let expected = CorrelationContent { kind: CorrelationKind::Query, ..with_target.content.clone() };
    let of_page = Framework::with(()).given(vec![with_target.into()]);
    of_page.when_async(query()).await.then_expect_events(vec![changed(expected)]);
    let replace = CorrelationCommand::Replace(external("{}"));
    given().when_async(replace).await.then_expect_error(CorrelationError::NoUrl);
}

#[test]
fn each_part_has_its_limits() {
    let plain = || content("a");
    let with = |config: CorrelationConfig| CorrelationContent { config, ..plain() };
    let field = |field: &str| with(CorrelationConfig { field: field.to_owned(), ..plain().config });
    let target = |text: &str| with(CorrelationConfig { target: json(text), ..plain().config });
    let transformed =
        |transformation| with(CorrelationConfig { transformations: vec![transformation], ..plain().config });
    let (longest, long) = ("a".repeat(MAX_NAME_BYTES), "a".repeat(MAX_NAME_BYTES + 1));
    let described = |bytes| CorrelationContent { description: "a".repeat(bytes), ..plain() };
    let labelled = |label: &str| CorrelationContent { label: label.to_owned(), ..plain() };
    let regex = |expression| transformed(transformation(TransformationKind::Regex, expression));
    let logfmt = |expression| transformed(transformation(TransformationKind::Logfmt, expression));
    let cases = [
        (labelled(""), Ok(())),
        (labelled(&longest), Ok(())),
        (labelled(&long), Err(CorrelationError::InvalidText("label"))),
        (labelled("\0"), Err(CorrelationError::InvalidText("label"))),
        (described(MAX_DESCRIPTION_BYTES), Ok(())),
        (described(MAX_DESCRIPTION_BYTES + 1), Err(CorrelationError::InvalidDescription)),
        (field(&longest), Ok(())),
        (field(&long), Err(CorrelationError::InvalidText("config.field"))),
        (field(" "), Err(CorrelationError::NoField)),
        (target("{}"), Ok(())),
        (target("[]"), Err(CorrelationError::InvalidTarget)),
        (target(r#"{"a":"\u0000"}"#), Err(CorrelationError::InvalidTarget)),
        (regex("a"), Ok(())),
        (regex(""), Err(CorrelationError::NoExpression)),
        (regex("\0"), Err(CorrelationError::InvalidConfig)),
        (logfmt(""), Ok(())),
        (external(r#"{"url":"https://wiki"}"#), Ok(())),
        (external(r#"{"url":" "}"#), Err(CorrelationError::NoUrl)),
        (external(r#"{"url":5}"#), Err(CorrelationError::NoUrl)),
        (external("{}"), Err(CorrelationError::NoUrl)),
    ];
    for (content, expected) in cases {
        assert_eq!(content.check(true), expected, "{content:?}");
    }
    assert_eq!(plain().check(false), Err(CorrelationError::NoTarget));
    assert_eq!(external(r#"{"url":"/a"}"#).check(false), Ok(()));
}

#[test]
fn a_config_is_as_long_as_its_json() {
    let with_query = |bytes: usize| {
        let target = json(&format!(r#"{{"expr":"{}"}}"#, "a".repeat(bytes)));
        let config = CorrelationConfig { target, ..content("a").config };
        CorrelationContent { config, ..content("a") }
    };
    let empty = serde_json::to_string(&with_query(0).config).unwrap().len();
    assert_eq!(with_query(MAX_CONFIG_BYTES - empty).check(true), Ok(()));
    assert_eq!(with_query(MAX_CONFIG_BYTES - empty + 1).check(true), Err(CorrelationError::InvalidConfig));
}

#[test]
fn a_change_keeps_what_it_does_not_name() {
    let plain = content("a");
    let unnamed = CorrelationChange::default();
    assert_eq!(plain.changed(unnamed.clone()), plain);
    let target = json(r#"{"url":"/b"}"#);
    let all = CorrelationChange {
        label: Some("b".to_owned()),
        description: Some(String::new()),
        kind: Some(CorrelationKind::External),
        field: Some("line".to_owned()),
        target: Some(target.clone()),
        transformations: Some(Vec::new()),
    };
    let config = CorrelationConfig { field: "line".to_owned(), target, transformations: Vec::new() };
    let (label, kind) = ("b".to_owned(), CorrelationKind::External);
    let expected = CorrelationContent { label, description: String::new(), kind, config };
    assert_eq!(plain.changed(all), expected);
    let field = CorrelationChange { field: Some("line".to_owned()), ..unnamed };
    assert_eq!(plain.changed(field).config, CorrelationConfig { field: "line".to_owned(), ..plain.config });
}

#[test]
fn comes_back_as_it_was_unless_a_data_source_is_lost() {
    let events = [created("a").into(), changed(content("b"))];
    let (past, now) = (folded::<Correlation>(&events[..1]), folded::<Correlation>(&events));
    let back = now.restoration(&past, &events[..1], 0).unwrap();
    assert!(matches!(&back[..], [CorrelationCommand::Replace(was)] if *was == content("a")));
    assert_eq!(now.changed_references(&back), []);
    let gone = folded::<Correlation>(&[created("a").into(), changed(content("b")), deleted()]);
    let is_restored = |back: &[CorrelationCommand], label: &str, is_lost: bool| match back {
        [CorrelationCommand::Restore { created: anew, has_lost_source }] => {
            *anew == created(label) && *has_lost_source == is_lost
        }
        _ => false,
    };
    let mut back = gone.restoration(&past, &events[..1], 0).unwrap();
    assert!(is_restored(&back, "a", false) && is_restored(&gone.undeletion(0).unwrap(), "b", false));
    let streams = [DataSource::stream_id(&uid("loki")), DataSource::stream_id(&uid("tempo"))];
    assert_eq!(gone.changed_references(&back), streams);
    gone.leave_out(&mut back, &HashSet::new());
    assert!(is_restored(&back, "a", false));
    gone.leave_out(&mut back, &HashSet::from([streams[1].clone()]));
    assert!(is_restored(&back, "a", true));
    gone.leave_out(&mut back, &HashSet::new());
    assert!(is_restored(&back, "a", true));
    let mut others = [CorrelationCommand::Delete];
    gone.leave_out(&mut others, &HashSet::from(streams));
    assert!(matches!(others, [CorrelationCommand::Delete]));
    assert!(matches!(now.ending(), Some(CorrelationCommand::Delete)) && gone.ending().is_none());
    assert_eq!((now.title(), Stream::exists(&now), Stream::exists(&gone)), (Some("b"), true, false));
}

#[test]
fn refers_to_its_data_sources_as_long_as_it_exists() {
    let correlation = folded::<Correlation>(&[created("a").into()]);
    let [loki, tempo] = ["loki", "tempo"].map(|name| DataSource::stream_id(&uid(name)));
    assert_eq!(correlation.references(), [loki.clone(), tempo]);
    let to_itself = CorrelationCreated { target_uid: Some(uid("loki")), ..created("a") };
    assert_eq!(folded::<Correlation>(&[to_itself.into()]).references(), std::slice::from_ref(&loki));
    let of_page = CorrelationCreated { target_uid: None, ..created("a") };
    assert_eq!(folded::<Correlation>(&[of_page.into()]).references(), [loki]);
    let gone = folded::<Correlation>(&[created("a").into(), deleted()]);
    assert_eq!(gone.references(), []);
    assert!(correlation.is_of(&uid("loki")) && correlation.is_of(&uid("tempo")));
    assert!(!correlation.is_of(&uid("mimir")) && !gone.is_of(&uid("loki")) && !gone.is_of(&uid("tempo")));
}

#[test]
fn a_source_must_exist_and_be_writable() {
    let source = |exists, read_only| DataSource { read_only, exists, ..DataSource::default() };
    assert_eq!(Correlation::check_source(&source(true, false)), Ok(()));
    assert_eq!(Correlation::check_source(&source(true, true)), Err(CorrelationError::SourceReadOnly));
    for read_only in [false, true] {
        let missing = Correlation::check_source(&source(false, read_only));
        assert_eq!(missing, Err(CorrelationError::SourceNotFound));
    }
}

#[test]
fn each_refusal_is_of_its_kind() {
    assert_eq!(CorrelationError::NotFound.kind(), ReasonKind::Missing);
    assert_eq!(CorrelationError::SourceNotFound.kind(), ReasonKind::Missing);
    assert_eq!(CorrelationError::SourceReadOnly.kind(), ReasonKind::Forbidden);
    assert_eq!(CorrelationError::Exists.kind(), ReasonKind::Taken);
    for error in [CorrelationError::SourceLost, CorrelationError::NoTarget, CorrelationError::InvalidConfig] {
        assert_eq!(error.kind(), ReasonKind::Invalid);
    }
    assert!(Correlation::DATA_SOURCES_EXIST.is_existence() && !Correlation::FEW_OF_SOURCE.is_existence());
    assert_eq!(Correlation::DATA_SOURCES_EXIST.refusal().kind, ReasonKind::Missing);
    let refusal = Correlation::FEW_OF_SOURCE.refusal();
    assert_eq!((refusal.kind, refusal.message.contains("1000")), (ReasonKind::Invalid, true));
}
