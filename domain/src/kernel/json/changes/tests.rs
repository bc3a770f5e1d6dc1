use super::super::tests::compared;
use super::*;

const ENOUGH: usize = 16 * 1024 * 1024;

/// The changes as texts: `op path` or `op from>path`, and `before>after`.
fn changes(before: &str, after: &str) -> Vec<String> {
    let line = |change: &Change| {
        let from = change.from.as_ref().map(|from| format!("{from}>")).unwrap_or_default();
        let text =
            |value: &Option<CanonicalJson>| value.as_ref().map_or(String::new(), |text| text.as_str().into());
        let (before, after) = (text(&change.before), text(&change.after));
        format!("{:?} {from}{} {before}>{after}", change.op, change.path).trim_end_matches(" >").to_owned()
    };
    compared(before, after, |before, after| {
        list_changes(before, after, ENOUGH).list.iter().map(line).collect()
    })
}

#[test]
fn members_are_added_removed_and_replaced() {
    assert_eq!(
        changes(r#"{"a":1,"b":{"x":[],"y":2},"d/e~":0}"#, r#"{"b":{"y":"2","x":[]},"c":null,"d/e~":1}"#),
        ["Remove /a 1>", "Replace /b/y 2>\"2\"", "Add /c >null", "Replace /d~1e~0 0>1"]
    );
    assert_eq!(changes(r#"{"b":1,"a":1.5}"#, r#"{"a":1.5,"b":1}"#), Vec::<String>::new());
    assert_eq!(changes("1", "{}"), ["Replace  1>{}"]);
    assert_eq!(changes("[1]", "5"), ["Replace  [1]>5"]);
    assert_eq!(changes("{}", "[1]"), ["Replace  {}>[1]"]);
}

#[test]
fn named_items_are_known_again_wherever_they_are() {
    let before = r#"[{"id":1,"t":"a"},{"id":2,"t":"b"},{"id":3,"t":"c"}]"#;
    assert_eq!(
        changes(before, r#"[{"id":3,"t":"c"},{"id":1,"t":"a"},{"id":2,"t":"B"}]"#),
        ["Move /2>/0", "Replace /1>/2/t \"b\">\"B\""].map(|line| line.replace("/1>/2/t", "/1/t>/2/t"))
    );
    assert_eq!(
        changes(before, r#"[{"id":4},{"id":1,"t":"a"},{"id":3,"t":"c"}]"#),
        [r#"Remove /1 {"id":2,"t":"b"}>"#, r#"Add /0 >{"id":4}"#]
    );
    assert_eq!(
        changes(r#"[{"refId":"A","q":1}]"#, r#"[{"refId":"B"},{"refId":"A","q":2}]"#),
        [r#"Add /0 >{"refId":"B"}"#, "Replace /0/q>/1/q 1>2"]
    );
    assert_eq!(changes("[]", r#"[{"id":1}]"#), [r#"Add /0 >{"id":1}"#]);
}

#[test]
fn items_without_names_keep_their_places() {
    assert_eq!(changes("[1,2,3]", "[1,9,2,3]"), ["Add /1 >9"]);
    assert_eq!(changes("[1,2,3,4]", "[1,4]"), ["Remove /1 2>", "Remove /2 3>"]);
    assert_eq!(changes(r#"["a","b"]"#, r#"["b"]"#), ["Remove /0 \"a\">"]);
    // Two items of the same name are not identified by it.
    assert_eq!(changes(r#"[{"id":1},{"id":1}]"#, r#"[{"id":1},{"id":2}]"#), ["Replace /1/id 1>2"]);
    assert_eq!(changes("[[1]]", "[[2]]"), ["Replace /0/0 1>2"]);
}

#[test]
fn the_fewest_are_said_to_have_moved() {
    let list = |ids: &[i32]| {
        let items: Vec<_> = ids.iter().map(|id| format!("{{\"id\":{id}}}")).collect();
        format!("[{}]", items.join(","))
    };
    assert_eq!(changes(&list(&[1, 2, 3, 4, 5]), &list(&[2, 3, 4, 5, 1])), ["Move /0>/4"]);
    assert_eq!(changes(&list(&[1, 2, 3, 4, 5]), &list(&[5, 1, 2, 3, 4])), ["Move /4>/0"]);
    assert_eq!(changes(&list(&[1, 2, 3]), &list(&[3, 2, 1])).len(), 2);
}

#[test]
fn the_list_is_bounded() {
    let list = |first: usize| {
        let items: Vec<_> = (first..first + 20_000).map(|number| number.to_string()).collect();
        format!("[{}]", items.join(","))
    };
    compared(&list(0), &list(30_000), |before, after| {
        let changes = list_changes(before, after, ENOUGH);
        assert_eq!((changes.list.len(), changes.is_cut), (MAX_CHANGES, true));
    });
}

/// The result of a comparison as JSON, whether it is cut, and the number of changes with values.
fn listed(before: &str, after: &str, max_bytes: usize) -> (String, bool, usize) {
    compared(before, after, |before, after| {
        let changes = list_changes(before, after, max_bytes);
        let told = changes.list.iter().filter(|change| change.after.is_some()).count();
        (serde_json::to_string(&changes).unwrap(), changes.is_cut, told)
    })
}

#[test]
fn a_long_name_is_not_repeated_with_each_change() {
    let document = |value: u8| {
        let members: Vec<_> = (0..10_000).map(|member| format!("\"{member}\":{value}")).collect();
        format!(r#"{{"{}":{{{}}}}}"#, "n".repeat(40_000), members.join(","))
    };
    let (text, is_cut, _) = listed(&document(0), &document(1), ENOUGH);
    assert!(!is_cut && text.len() < 10_000 * (MAX_SEGMENT + 100), "{}", text.len());
    let name = |length: usize| format!(r#"{{"{}":1}}"#, "é".repeat(length));
    let path = |length: usize| format!("\"/{}", "é".repeat(length));
    assert!(listed("{}", &name(MAX_SEGMENT), ENOUGH).0.contains(&format!("{}\"", path(MAX_SEGMENT))));
    assert!(listed("{}", &name(MAX_SEGMENT + 1), ENOUGH).0.contains(&format!("{}…\"", path(MAX_SEGMENT))));
}

#[test]
fn the_text_is_bounded() {
    let document = |text: &str| {
        let members: Vec<_> = (0..1000).map(|member| format!("\"{member}\\u0001\":\"{text}\"")).collect();
        format!("{{{}}}", members.join(","))
    };
    let (before, after) = (document("a"), document(&"b".repeat(100)));
    let (whole, is_cut, told) = listed(&before, &after, ENOUGH);
    assert!(!is_cut && told == 1000, "{told}");
    for max_bytes in [100, 1000, 10_000, 100_000, whole.len()] {
        let (text, is_cut, told) = listed(&before, &after, max_bytes);
        assert!(is_cut && told < 1000 && text.len() <= max_bytes, "{max_bytes}: {}", text.len());
    }
    // Without room for values the change itself is still listed.
    let (text, is_cut, told) = listed("null", &after, 10_000);
    assert_eq!((text.as_str(), is_cut, told), (r#"[{"op":"replace","path":"","before":null}]"#, true, 0));
}

/// If each list and object around a value compared it once more, the maximum depth would take minutes.
#[test]
fn what_is_deep_is_compared_once() {
    let nested = |last: u8| {
        let depth = super::super::MAX_DEPTH - 2;
        let wide = "0,".repeat(super::super::MAX_NODES - 2 * depth - 10);
        format!("{}[{wide}{last}]{}", "[[],".repeat(depth), "]".repeat(depth))
    };
    let found = changes(&nested(1), &nested(2));
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("Replace /1/1/") && found[0].ends_with(" 1>2"), "{}", found[0]);
}

#[test]
fn items_are_named_by_the_first_member_that_names_them_all() {
    for name in NAMES {
        let list = |first: &str, second: &str| format!(r#"[{{"{name}":{first}}},{{"{name}":{second}}}]"#);
        assert_eq!(changes(&list("1", "2"), &list("2", "1")), ["Move /1>/0"], "{name}");
    }
    // The id identifies another item than the name would.
    let (before, after) = (r#"[{"id":1,"name":"a"},{"id":2,"name":"b"}]"#, r#"[{"id":2,"name":"a"}]"#);
    let expected = [r#"Remove /0 {"id":1,"name":"a"}>"#, r#"Replace /1/name>/0/name "b">"a""#];
    assert_eq!(changes(before, after), expected);
}

#[test]
fn items_are_without_names_unless_all_have_one_that_is_a_text_or_a_number() {
    for (before, after, expected) in [
        (r#"[{"id":1},{}]"#, r#"[{"id":1}]"#, "Remove /1 {}>"),
        (r#"[{"id":true}]"#, r#"[{"id":false}]"#, "Replace /0/id true>false"),
        (r#"[{"id":1.5}]"#, r#"[{"id":2.5}]"#, "Replace /0/id 1.5>2.5"),
        (r#"[{"id":1},{"id":1}]"#, r#"[{"id":1}]"#, r#"Remove /1 {"id":1}>"#),
    ] {
        assert_eq!(changes(before, after), [expected]);
    }
    let (number, text) = (r#"[{"id":1}]"#, r#"[{"id":"1"}]"#);
    assert_eq!(changes(number, text), [r#"Remove /0 {"id":1}>"#, r#"Add /0 >{"id":"1"}"#]);
}

#[test]
fn what_stays_in_order_has_not_moved() {
    let places =
        |places: &[i64]| moved(&places.iter().map(|was| usize::try_from(*was).ok()).collect::<Vec<_>>());
    assert_eq!(places(&[]), [false; 0]);
    assert_eq!(places(&[-1, 0, -1, 1]), [false; 4]);
    assert_eq!(places(&[2, 0, 1]), [true, false, false]);
    assert_eq!(places(&[1, 2, 0]), [false, false, true]);
    assert_eq!(places(&[0, 3, -1, 1, 2]), [false, true, false, false, false]);
    assert_eq!(places(&[4, 1, 5, 2, 3]), [true, false, true, false, false]);
}

#[test]
fn a_path_is_as_long_as_it_is_written() {
    for path in ["", "/plain", "/é", "/a\"b\\", "/\u{1}\u{1f}x"] {
        // JSON has shorter escapes for some control characters.
        assert_eq!(written_length(path) + 2, serde_json::to_string(path).unwrap().len(), "{path}");
    }
    assert_eq!(written_length("\n"), r"\u000a".len());
}

#[test]
fn names_in_a_path_are_escaped() {
    let mut pointer = "/a".to_owned();
    push_segment(&mut pointer, "b/c~d");
    assert_eq!(pointer, "/a/b~1c~0d");
}

#[test]
fn changes_are_written_with_what_there_is_of_them() {
    let (before, after) = (r#"{"a":1,"l":[{"id":1},{"id":2}]}"#, r#"{"b":2,"l":[{"id":2,"x":1},{"id":1}]}"#);
    let expected = concat!(
        r#"[{"op":"remove","path":"/a","before":1},{"op":"add","path":"/b","after":2},"#,
        r#"{"op":"move","path":"/l/0","from":"/l/1"},{"op":"add","path":"/l/0/x","after":1}]"#
    );
    assert_eq!(listed(before, after, ENOUGH), (expected.to_owned(), false, 2));
}

#[test]
fn one_half_of_the_room_is_for_paths_and_the_other_for_values() {
    let (before, after) = (r#"{"a":1,"b":1}"#, r#"{"a":234,"b":567}"#);
    let path = CHANGE_BYTES + "/a".len();
    let told = |max_bytes| {
        compared(before, after, |before, after| {
            let changes = list_changes(before, after, max_bytes);
            let values = changes.list.iter().flat_map(|change| [&change.before, &change.after]);
            (changes.list.len(), values.flatten().count(), changes.is_cut)
        })
    };
    assert_eq!(told(2 * 2 * path), (2, 4, false));
    assert_eq!(told(2 * 2 * path - 1), (1, 2, true));
    assert_eq!(told(2 * path), (1, 2, true));
    assert_eq!(told(2 * path - 2), (0, 0, true));
}

#[test]
fn values_are_told_as_long_as_they_fit() {
    let value = |letter: &str| letter.repeat(CHANGE_BYTES);
    let document = |letter: &str| {
        let members = ["a", "b", "c"].map(|name| format!(r#""{name}":"{}""#, value(letter)));
        format!("{{{}}}", members.join(","))
    };
    compared(&document("x"), &document("y"), |before, after| {
        let length = CHANGE_BYTES + 2;
        for (room, expected) in [(6 * length, 6), (6 * length - 1, 5), (4 * length, 4), (3 * length, 3)] {
            let changes = list_changes(before, after, 2 * room);
            let told = changes.list.iter().flat_map(|change| [&change.before, &change.after]).flatten();
            assert_eq!((changes.list.len(), told.count(), changes.is_cut), (3, expected, expected < 6));
        }
    });
}

#[test]
fn two_values_are_the_same_or_not() {
    assert!(compared(r#"{"a":[1]}"#, r#"{"a":[1]}"#, is_same));
    assert!(!compared(r#"{"a":[1]}"#, r#"{"a":[2]}"#, is_same));
}

#[test]
fn where_a_value_was_counts_as_well_as_where_it_is() {
    let (before, after) = (r#"{"list":[{"id":1},{"id":2}]}"#, r#"{"list":[{"id":2},{"id":1}]}"#);
    let room = CHANGE_BYTES + "/list/1".len() + "/list/0".len();
    for (room, count) in [(room, 1), (room - 1, 0)] {
        let found = compared(before, after, |before, after| list_changes(before, after, 2 * room));
        assert_eq!((found.list.len(), found.is_cut), (count, count == 0));
    }
}
