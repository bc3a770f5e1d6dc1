use super::*;
use crate::kernel::json::tests::compared;
use crate::kernel::past::MAX_DESCRIPTION_BYTES;

fn sentences(before: &str, after: &str) -> Vec<Sentence> {
    compared(before, after, summarize).sentences
}

fn texts(before: &str, after: &str) -> Vec<String> {
    sentences(before, after).into_iter().map(|sentence| sentence.text).collect()
}

#[test]
fn panels_are_followed_by_id() {
    let before = r#"{"dashboard":{"panels":[
            {"id":1,"title":"CPU","type":"graph","gridPos":{"x":0,"y":0,"w":12,"h":8},"targets":[{"expr":"a"}]},
            {"id":2,"title":"RAM"}, {"id":4,"title":"Net","fieldConfig":{}}]}}"#;
    let after = r#"{"dashboard":{"panels":[
            {"id":4,"title":"Net","fieldConfig":{"x":1}}, {"id":3},
            {"id":1,"title":"CPU","type":"graph","gridPos":{"x":12,"y":0,"w":12,"h":8},"targets":[{"expr":"b"}]}]}}"#;
    let found = sentences(before, after);
    let expected = [
        "panel “CPU” moved; its query changed",
        "panel 3 was added",
        "panel “Net”: its options changed",
        "panel “RAM” was removed",
    ];
    assert_eq!(found.iter().map(|sentence| sentence.text.as_str()).collect::<Vec<_>>(), expected);
    assert_eq!(
        (found[0].id, found[0].changed.as_slice()),
        (Some(1), ["moved", "query"].map(String::from).as_slice())
    );
}

#[test]
fn a_panel_put_into_a_row_has_moved() {
    let before = r#"{"dashboard":{"panels":[{"id":1,"title":"CPU"},{"id":9,"type":"row","panels":[]}]}}"#;
    let after = r#"{"dashboard":{"panels":[{"id":9,"type":"row","panels":[{"id":1,"title":"CPU"}]}]}}"#;
    assert_eq!(texts(before, after), ["panel “CPU” moved"]);
}

#[test]
fn titles_types_variables_and_settings_are_told() {
    let before = r#"{"folderUid":"a","dashboard":{"title":"Old","panels":[{"id":1,"title":"A","type":"graph"}],
            "templating":{"list":[{"name":"job"},{"name":"host","q":1}]},"time":{"from":"now-1h"}}}"#;
    let after = r#"{"folderUid":"b","dashboard":{"title":"New","panels":[{"id":1,"title":"B","type":"stat"}],
            "templating":{"list":[{"name":"host","q":2},{"name":"dc"}]},"time":{"from":"now-6h"},"refresh":"5s"}}"#;
    assert_eq!(
        texts(before, after),
        [
            "panel “B” was called “A” before; its type changed from graph to stat",
            "variable “dc” was added",
            "variable “host” changed",
            "variable “job” was removed",
            "the dashboard moved to another folder; its refresh changed; its time range changed; was called “Old” before",
        ]
    );
}

#[test]
fn a_dashboard_that_comes_or_goes_is_told() {
    assert_eq!(texts("null", r#"{"dashboard":{}}"#), ["the dashboard was created"]);
    assert_eq!(texts(r#"{"dashboard":{}}"#, "null"), ["the dashboard was deleted"]);
    assert!(texts("null", "null").is_empty());
    assert!(texts(r#"{"dashboard":{"panels":7}}"#, r#"{"dashboard":{"panels":7}}"#).is_empty());
}

#[test]
fn a_description_is_bounded() {
    let members = |value: u8| {
        let members: Vec<_> = (0..100_000).map(|member| format!("\"{member}\":{value}")).collect();
        format!(r#"{{"dashboard":{{{}}}}}"#, members.join(","))
    };
    let description = compared(&members(0), &members(1), summarize);
    let sentence = &description.sentences[0];
    assert_eq!((sentence.changed.len(), description.is_cut), (MAX_CHANGES_OF_PART, true));
    assert!(sentence.text.ends_with("; and 99950 more"), "{}", sentence.text);

    let panels = |count: usize, title: &str| {
        let panels: Vec<_> = (0..count).map(|id| format!(r#"{{"id":{id},"title":"{id}{title}"}}"#)).collect();
        format!(r#"{{"dashboard":{{"panels":[{}]}}}}"#, panels.join(","))
    };
    let few = compared(&panels(10, ""), &panels(10, &"x".repeat(MAX_NAME)), summarize);
    assert_eq!((few.sentences.len(), few.is_cut), (10, false));
    assert_eq!(few.sentences[9].title, format!("9{}…", "x".repeat(MAX_NAME - 1)));
    let many = compared(&panels(10_000, ""), &panels(10_000, &"x".repeat(1000)), summarize);
    let bytes: usize = many.sentences.iter().map(|sentence| sentence.title.len() + sentence.text.len()).sum();
    assert!(many.is_cut && !many.sentences.is_empty() && bytes < MAX_DESCRIPTION_BYTES, "{bytes}");
}

#[test]
fn panels_are_known_by_whatever_their_ids_are() {
    let dashboard = |panels: &str| format!(r#"{{"dashboard":{{"panels":[{panels}]}}}}"#);
    let told = |before: &str, after: &str| texts(&dashboard(before), &dashboard(after));
    let changed =
        |id: &str| told(&format!(r#"{{{id}"title":"A","x":1}}"#), &format!(r#"{{{id}"title":"A","x":2}}"#));
    for id in
        ["", r#""id":0,"#, r#""id":null,"#, r#""id":"a","#, r#""id":1.0,"#, r#""id":[],"#, r#""id":9e99,"#]
    {
        assert_eq!(changed(id), ["panel “A”: its options changed"], "{id}");
    }
    assert_eq!(
        told(r#"{"id":1,"title":"A"},{"id":1,"title":"B"}"#, r#"{"id":1,"title":"A"},{"id":1,"title":"C"}"#),
        ["panel “C” was called “B” before"]
    );
    assert_eq!(told("{},{}", "{}"), ["a panel without a title was removed"]);
    assert_eq!(told(r#"{"id":"x"}"#, ""), ["panel x was removed"]);
    for (before, after) in [("1", "2"), ("1", "{}"), ("{}", "1")] {
        assert_eq!(told(before, after), ["a panel without a title: its options changed"]);
    }
    assert_eq!(
        told(r#"{"id":1},{"id":2}"#, r#"{"id":2},{"id":1}"#),
        ["the dashboard: its panels were put in another order"]
    );
    let row = |inner: &str| format!(r#"{{"id":1,"panels":[{{"id":2,"panels":[{{"id":3,{inner}}}]}}]}}"#);
    assert_eq!(told(&row(r#""title":"A""#), &row(r#""title":"B""#)), ["panel “B” was called “A” before"]);
}

/// Pseudorandom numbers, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[usize::try_from(self.below(texts.len() as u64)).unwrap()]
    }

    fn panel(&mut self, depth: u64) -> String {
        let id = self.pick(&["", r#""id":0,"#, r#""id":1,"#, r#""id":1.0,"#, r#""id":"1","#, r#""id":2,"#]);
        let grid = self.pick(&["", r#""gridPos":{"x":0},"#, r#""gridPos":{"x":0.5},"#, r#""gridPos":7,"#]);
        let title = self.pick(&["", "A", "B"]);
        let inner = match self.below(4) {
            0 if depth < 3 => format!(r#","panels":{}"#, self.list(depth + 1)),
            1 => r#","panels":7"#.to_owned(),
            _ => String::new(),
        };
        if self.below(20) == 0 {
            "7".to_owned()
        } else {
            format!(r#"{{{id}{grid}"title":"{title}"{inner}}}"#)
        }
    }

    fn list(&mut self, depth: u64) -> String {
        let panels: Vec<_> = (0..self.below(4)).map(|_| self.panel(depth)).collect();
        format!("[{}]", panels.join(","))
    }

    fn image(&mut self) -> String {
        let lists = (self.list(0), if self.below(3) == 0 { self.list(2) } else { "7".to_owned() });
        let variables =
            self.pick(&["7", "[]", r#"[{"name":"a"},{"name":"a"}]"#, r#"[{"name":"b"},{"name":"a"}]"#]);
        let folder = self.pick(&["", "ops"]);
        let templating = format!(r#"{{"list":{variables}}}"#);
        format!(
            r#"{{"dashboard":{{"panels":{},"rows":{},"templating":{templating}}},"folderUid":"{folder}"}}"#,
            lists.0, lists.1
        )
    }
}

#[test]
fn whenever_anything_changes_something_is_told() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut images: Vec<_> = (0..100).map(|_| numbers.image()).collect();
    images.push("null".to_owned());
    for before in &images {
        for after in images.iter().rev().take(40) {
            let is_changed = compared(before, after, |before, after| !is_same(before, after));
            let told = texts(before, after);
            assert_eq!(!told.is_empty(), is_changed, "{before}\n{after}\n{told:?}");
            assert!(told.iter().all(|text| !text.trim().is_empty()));
        }
    }
}

/// The description of the change of the only panel of a dashboard.
fn told_of_panel(before: &str, after: &str) -> (String, Vec<String>) {
    let dashboard = |panel: &str| format!(r#"{{"dashboard":{{"panels":[{{"id":1,{panel}}}]}}}}"#);
    let mut found = sentences(&dashboard(before), &dashboard(after));
    assert_eq!(found.len(), 1, "{found:?}");
    let sentence = found.remove(0);
    (sentence.text, sentence.changed)
}

#[test]
fn each_change_of_a_panel_has_a_word() {
    let grid = |members: &str| format!(r#""gridPos":{{{members}}}"#);
    let place = |x: u8, y: u8, w: u8, h: u8| grid(&format!(r#""x":{x},"y":{y},"w":{w},"h":{h}"#));
    for (before, after, words) in [
        (place(0, 0, 4, 4), place(1, 0, 4, 4), &["moved"][..]),
        (place(0, 0, 4, 4), place(0, 1, 4, 4), &["moved"]),
        (place(0, 0, 4, 4), place(0, 0, 5, 4), &["resized"]),
        (place(0, 0, 4, 4), place(0, 0, 4, 5), &["resized"]),
        (place(0, 0, 4, 4), place(1, 0, 5, 4), &["moved", "resized"]),
        (grid(r#""static":true"#), grid(r#""static":false"#), &["moved"]),
        (grid(r#""x":0,"static":true"#), grid(r#""x":1,"static":false"#), &["moved"]),
        (grid(r#""w":0,"static":true"#), grid(r#""w":1,"static":false"#), &["resized"]),
        (r#""title":"A""#.into(), r#""title":"B""#.into(), &["title"]),
        (r#""type":"a""#.into(), r#""type":"b""#.into(), &["type"]),
        (r#""targets":[]"#.into(), r#""targets":[1]"#.into(), &["query"]),
        (r#""datasource":"a""#.into(), r#""datasource":"b""#.into(), &["datasource"]),
        (r#""options":1"#.into(), r#""options":2"#.into(), &["options"]),
        (r#""a":1"#.into(), r#""b":1"#.into(), &["options"]),
        (r#""title":"A","x":1"#.into(), r#""title":"B","x":2"#.into(), &["title", "options"]),
    ] {
        assert_eq!(told_of_panel(&before, &after).1, words, "{before} {after}");
    }
    let text = told_of_panel(&grid(r#""static":true"#), &grid(r#""static":false"#)).0;
    assert_eq!(text, "panel 1: its place changed");
    let text = told_of_panel(&place(0, 0, 4, 4), &place(1, 0, 5, 4)).0;
    assert_eq!(text, "panel 1 moved; was resized");
}

#[test]
fn a_panel_in_both_lists_is_looked_for_in_both() {
    let rows = |rows: &str| format!(r#"{{"dashboard":{{"panels":[{{"id":1}}],"rows":[{rows}]}}}}"#);
    assert_eq!(texts(&rows(""), &rows(r#"{"id":2}"#)), ["panel 2 was added"]);
    let row = |panel: &str| rows(&format!(r#"{{"id":9,"panels":[{panel}]}}"#));
    assert_eq!(texts(&row(r#"{"id":2}"#), &row(r#"{"id":2,"x":1}"#)), ["panel 2: its options changed"]);
}

#[test]
fn what_has_no_words_of_its_own_is_named() {
    let dashboard = |member: &str| format!(r#"{{"dashboard":{{{member}}}}}"#);
    for (before, after, text) in [
        (r#""panels":7"#, r#""panels":8"#, "the dashboard: its panels changed"),
        (r#""rows":7"#, r#""rows":8"#, "the dashboard: its rows changed"),
        (r#""templating":7"#, r#""templating":8"#, "the dashboard: its variables changed"),
        (
            r#""templating":{"list":[],"x":1}"#,
            r#""templating":{"list":[],"x":2}"#,
            "the dashboard: its variables changed",
        ),
        (r#""a":1"#, r#""b":1"#, "the dashboard: its a changed; its b changed"),
    ] {
        assert_eq!(texts(&dashboard(before), &dashboard(after)), [text]);
    }
    let beside = |number: u8| format!(r#"{{"dashboard":{{}},"x":{number}}}"#);
    assert_eq!(texts(&beside(1), &beside(2)), ["the dashboard changed"]);
    // Changes that are described for the parts are not repeated for the whole dashboard.
    let parts = |number: u8| {
        format!(
            r#"{{"panels":[{{"id":1,"x":{number}}}],"rows":[],"templating":{{"list":[{{"name":"a","x":{number}}}]}}}}"#
        )
    };
    let image = |number: u8| format!(r#"{{"dashboard":{}}}"#, parts(number));
    assert_eq!(texts(&image(1), &image(2)), ["panel 1: its options changed", "variable “a” changed"]);
}

#[test]
fn variables_of_the_same_name_are_counted() {
    let variables = |second: &str| {
        format!(r#"{{"dashboard":{{"templating":{{"list":[{{"name":"a"}},{{"name":"a"{second}}}]}}}}}}"#)
    };
    assert_eq!(texts(&variables(""), &variables(r#","x":1"#)), ["variable “a” changed"]);
    let one = r#"{"dashboard":{"templating":{"list":[{"name":"a"}]}}}"#;
    assert_eq!(texts(&variables(""), one), ["variable “a” was removed"]);
    assert_eq!(texts(one, &variables("")), ["variable “a” was added"]);
}

#[test]
fn a_dashboard_that_comes_or_goes_is_named() {
    let image = r#"{"dashboard":{"title":"CPU"}}"#;
    for (before, after, word) in [("null", image, "added"), (image, "null", "removed")] {
        let found = sentences(before, after);
        assert_eq!((found.len(), found[0].title.as_str(), found[0].subject), (1, "CPU", "dashboard"));
        assert_eq!(found[0].changed, [word]);
    }
}

#[test]
fn names_are_told_up_to_their_limit() {
    let (most, long) = ("n".repeat(MAX_NAME), "n".repeat(MAX_NAME + 1));
    for (name, told) in [(&most, most.clone()), (&long, format!("{most}…"))] {
        let variables = format!(r#"{{"dashboard":{{"templating":{{"list":[{{"name":"{name}"}}]}}}}}}"#);
        assert_eq!(texts(r#"{"dashboard":{}}"#, &variables)[0], format!("variable “{told}” was added"));
        let member = format!(r#"{{"dashboard":{{"{name}":1}}}}"#);
        let found = sentences(r#"{"dashboard":{}}"#, &member);
        assert_eq!(found[0].changed, [told]);
    }
}

#[test]
fn what_cannot_be_told_for_its_length_is_cut() {
    let image = |count: usize, value: u8| {
        let name = "\u{1F600}".repeat(MAX_NAME);
        let members: Vec<_> = (0..count).map(|member| format!(r#""{member:02}{name}":{value}"#)).collect();
        format!(r#"{{"dashboard":{{{}}}}}"#, members.join(","))
    };
    for count in [MAX_CHANGES_OF_PART, MAX_CHANGES_OF_PART + 1] {
        let description = compared(&image(count, 0), &image(count, 1), summarize);
        assert_eq!((description.sentences.len(), description.is_cut), (0, true));
    }
    let plain = |value: u8| {
        let members: Vec<_> =
            (0..MAX_CHANGES_OF_PART).map(|member| format!(r#""{member}":{value}"#)).collect();
        format!(r#"{{"dashboard":{{{}}}}}"#, members.join(","))
    };
    let most = compared(&plain(0), &plain(1), summarize);
    assert_eq!((most.sentences[0].changed.len(), most.is_cut), (MAX_CHANGES_OF_PART, false));
    assert!(!most.sentences[0].text.contains("more"), "{}", most.sentences[0].text);
}
