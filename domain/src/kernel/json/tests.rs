use super::*;

fn canonical(text: &str) -> CanonicalJson {
    let mut text = text.as_bytes().to_vec();
    CanonicalJson::try_new(JsonDocument::try_parse(&mut text).unwrap().root(), &[], usize::MAX).unwrap()
}

/// The result of comparing two documents, made canonical first like all stored ones.
pub(crate) fn compared<T>(
    before: &str,
    after: &str,
    compare: impl FnOnce(JsonValue<'_>, JsonValue<'_>) -> T,
) -> T {
    let [mut before, mut after] = [before, after].map(|text| canonical(text).as_str().as_bytes().to_vec());
    let [before, after] = [&mut before, &mut after].map(|text| JsonDocument::try_parse(text).unwrap());
    compare(before.root(), after.root())
}

#[test]
fn the_same_meaning_has_the_same_text() {
    let one = canonical(r#"{"b": [1, 2.50, -0.0], "a": {"y": null, "x": "é"}}"#);
    let other = canonical(r#"{"a":{"x":"\u00e9","y":null},"b":[1,2.5,-0.0]}"#);
    assert_eq!(one, other);
    assert_ne!(one, canonical("{}"));
    assert_eq!(one.as_str(), r#"{"a":{"x":"é","y":null},"b":[1,2.5,-0.0]}"#);
}

#[test]
fn of_repeated_members_the_last_counts() {
    assert_eq!(canonical(r#"{"b":1,"a":1,"b":2,"a":3}"#).as_str(), r#"{"a":3,"b":2}"#);
}

#[test]
fn numbers_and_texts_survive() {
    let text = r#"[18446744073709551615,-9223372036854775808,0.1,1e+300,true,null,"\n\"\\\u0000",{},[]]"#;
    assert_eq!(canonical(text).as_str(), text);
    assert_eq!(canonical("[123456789012345678901234567890]").as_str(), "[1.2345678901234568e+29]");
}

#[test]
fn members_are_found_and_left_out() {
    let mut text = br#"{"id":7,"uid":"x","a":-1,"tags":["b",["c"],"d"],"uid":"y"}"#.to_vec();
    let document = JsonDocument::try_parse(&mut text).unwrap();
    let root = document.root();
    assert_eq!(root.get("a").and_then(JsonValue::as_i64), Some(-1));
    assert_eq!(root.get("uid").and_then(JsonValue::as_str), Some("y"));
    assert!(root.get("b").is_none() && root.get("id").unwrap().get("x").is_none());
    let tags: Vec<_> = root.get("tags").unwrap().items().map(JsonValue::as_str).collect();
    assert_eq!(tags, [Some("b"), None, Some("d")]);
    let text = CanonicalJson::try_new(root, &["uid", "tags"], usize::MAX).unwrap();
    assert_eq!(text.as_str(), r#"{"a":-1,"id":7}"#);
}

#[test]
fn what_is_no_json_or_too_deep_is_refused() {
    for text in ["", "{", "[1,]", "{\"a\" 1}", "nul", "\"\u{1}\""] {
        assert!(JsonDocument::try_parse(&mut text.as_bytes().to_vec()).is_err(), "{text}");
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth)).into_bytes();
    assert!(JsonDocument::try_parse(&mut nested(MAX_DEPTH)).is_ok());
    assert!(matches!(JsonDocument::try_parse(&mut nested(MAX_DEPTH + 1)), Err(JsonError::TooDeep)));
    assert!(JsonDocument::try_parse_stored(&mut nested(MAX_STORED_DEPTH)).is_ok());
    assert!(JsonDocument::try_parse_stored(&mut nested(MAX_STORED_DEPTH + 1)).is_err());
    assert!(JsonDocument::try_parse_stored(&mut nested(100_000)).is_err());
}

#[test]
fn what_was_stored_deeper_than_may_be_is_known_to_be() {
    let stored = |depth: usize| {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        serde_json::from_str::<CanonicalJson>(&text).unwrap()
    };
    assert!(!stored(MAX_DEPTH).is_too_deep());
    assert!(stored(MAX_DEPTH + 1).is_too_deep());
    let mut text = stored(MAX_DEPTH + 1).as_str().as_bytes().to_vec();
    let document = JsonDocument::try_parse_stored(&mut text).unwrap();
    assert!(CanonicalJson::try_new(document.root(), &[], usize::MAX).unwrap().is_too_deep());
    let inner = document.root().items().next().unwrap();
    assert!(!CanonicalJson::try_new(inner, &[], usize::MAX).unwrap().is_too_deep());
}

#[test]
fn so_many_values_are_read_and_no_more() {
    for text in ["1", "[]", "[1]", "{}", r#"{"a":1}"#, r#"[[],{"x":[ ]}]"#, r#"["a,:[\"{",{"b":[1,2]}]"#] {
        let mut parsed = text.as_bytes().to_vec();
        let nodes = JsonDocument::try_parse(&mut parsed).unwrap().0.0.len();
        assert_eq!(count_nodes(text.as_bytes()), nodes, "{text}");
    }
    let list = |items: usize| format!("[{}0]", "0,".repeat(items - 1)).into_bytes();
    assert!(JsonDocument::try_parse(&mut list(MAX_NODES - 1)).is_ok());
    assert!(matches!(JsonDocument::try_parse(&mut list(MAX_NODES)), Err(JsonError::TooMany)));
    // Separators inside strings do not count.
    assert!(JsonDocument::try_parse(&mut format!("[\"{}\"]", ",[".repeat(MAX_NODES)).into_bytes()).is_ok());
}

#[test]
fn a_text_stops_at_its_limit() {
    let mut text = format!(r#"{{"a":"{}","b":[1,2,3]}}"#, "é".repeat(100)).into_bytes();
    let length = text.len();
    let document = JsonDocument::try_parse(&mut text).unwrap();
    let root = document.root();
    assert!(CanonicalJson::try_new(root, &[], length).is_ok());
    for max in [0, 1, 50, length - 1] {
        assert!(matches!(CanonicalJson::try_new(root, &[], max), Err(WriteError::TooLong)), "{max}");
    }
    assert!(!root.beginning(length).1);
    let (beginning, is_cut) = root.beginning(10);
    assert_eq!((beginning.as_str(), is_cut), (r#"{"a":"éé"#, true));
}

#[test]
fn numbers_that_grow_obey_the_limit_as_well() {
    let mut text = format!("[{}1e15]", "1e15,".repeat(99)).into_bytes();
    let length = text.len();
    let document = JsonDocument::try_parse(&mut text).unwrap();
    assert!(matches!(CanonicalJson::try_new(document.root(), &[], length), Err(WriteError::TooLong)));
}

#[test]
fn members_are_walked_side_by_side() {
    let names = |(name, left, right): (&str, Option<JsonValue<'_>>, Option<JsonValue<'_>>)| {
        (name.to_owned(), left.is_some(), right.is_some())
    };
    let members: Vec<_> = compared(r#"{"a":1,"c":1}"#, r#"{"b":2,"c":2}"#, |left, right| {
        left.members_beside(right).map(names).collect()
    });
    let expected = [("a", true, false), ("b", false, true), ("c", true, true)];
    assert_eq!(members, expected.map(|(name, left, right)| (name.to_owned(), left, right)));
}

#[test]
fn survives_an_event_payload() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Payload {
        data: CanonicalJson,
    }
    let payload = Payload { data: canonical(r#"{"z": 1, "a": [true]}"#) };
    let text = serde_json::to_string(&payload).unwrap();
    assert_eq!(text, r#"{"data":{"a":[true],"z":1}}"#);
    assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::from_value::<Payload>(value).unwrap(), payload);
}

#[test]
fn a_value_is_what_it_is_and_nothing_else() {
    let mut text = br#"["a",1.5,true,null,{"a":1,"b":[2]},[3]]"#.to_vec();
    let document = JsonDocument::try_parse(&mut text).unwrap();
    let values: Vec<_> = document.root().items().collect();
    let [text, number, truth, null, object, list] = values.as_slice() else { panic!() };
    for value in &values {
        let is = |other: &JsonValue<'_>| std::ptr::eq(value, other);
        assert_eq!(value.as_str(), is(text).then_some("a"));
        assert_eq!(value.as_f64(), is(number).then_some(1.5));
        assert_eq!(value.as_bool(), is(truth).then_some(true));
        assert_eq!((value.is_null(), value.is_object()), (is(null), is(object)));
        assert_eq!((value.is_list(), value.items().count()), (is(list), usize::from(is(list))));
        assert_eq!(value.members().count(), if is(object) { 2 } else { 0 });
    }
    let members: Vec<_> = object.members().map(|(name, value)| (name, value.is_list())).collect();
    assert_eq!(members, [("a", false), ("b", true)]);
}

#[test]
fn a_value_is_written_without_what_follows_it() {
    let mut text = br#"[{"b":[1,"x"],"a":2},3]"#.to_vec();
    let document = JsonDocument::try_parse(&mut text).unwrap();
    let first = document.root().items().next().unwrap();
    assert_eq!(serde_json::to_string(&[first]).unwrap(), r#"[{"a":2,"b":[1,"x"]}]"#);
    assert_eq!(first.own().len(), 7);
}

#[test]
fn texts_are_rewritten_and_names_are_not() {
    let mut text = br#"{"a":["a","b",{"b":"a"}],"x":"a"}"#.to_vec();
    let document = JsonDocument::try_parse(&mut text).unwrap();
    let rewrite = |text: &str, _: usize| match text {
        "a" => Rewritten::Text("\"long\"".to_owned()),
        _ => Rewritten::Same,
    };
    let rewritten = |max_bytes| document.root().rewritten(&["x"], &rewrite, max_bytes);
    let expected = r#"{"a":["\"long\"","b",{"b":"\"long\""}]}"#;
    assert_eq!(rewritten(expected.len()).unwrap(), expected.as_bytes());
    assert!(matches!(rewritten(expected.len() - 1), Err(WriteError::TooLong)));
    let refused = document.root().rewritten(&[], &|_, _| Rewritten::TooLong, 100);
    assert!(matches!(refused, Err(WriteError::TooLong)));
}

#[test]
fn who_rewrites_a_text_knows_how_much_room_there_is() {
    let mut text = br#"["a","b"]"#.to_vec();
    let document = JsonDocument::try_parse(&mut text).unwrap();
    let rooms = RefCell::new(Vec::new());
    let rewrite = |_: &str, room: usize| {
        rooms.borrow_mut().push(room);
        Rewritten::Same
    };
    document.root().rewritten(&[], &rewrite, 100).unwrap();
    assert_eq!(*rooms.borrow(), [99, 95]);
}

#[test]
fn the_fault_of_a_document_is_explained() {
    let explained = |text: &str| {
        let mut parsed = text.as_bytes().to_vec();
        JsonDocument::try_parse(&mut parsed).unwrap_err().explained(text.as_bytes())
    };
    assert_eq!(explained("[1,"), "invalid JSON: it ends too early");
    assert_eq!(explained(&"[".repeat(500)), "invalid JSON: it ends too early");
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    assert_eq!(explained(&deep), "invalid JSON: nested more than 100 levels deep");
    let many = format!("[{}0]", "0,".repeat(MAX_NODES));
    assert_eq!(explained(&many), "invalid JSON: more than 500000 values and member names");
}
