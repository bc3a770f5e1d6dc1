//! What was changed in a dashboard, in words: panel by panel, then variables and what belongs to the dashboard as a whole.

mod panel;

use std::collections::{BTreeMap, HashMap};

use crate::kernel::json::JsonValue;
use crate::kernel::json::changes::is_same;
use crate::kernel::past::{Description, Sentence};
use crate::kernel::text::shortened;
use panel::{Panel, PanelName, Panels};

/// How many characters of a title or name are told.
const MAX_NAME: usize = 200;
/// How many changes of one part are told.
const MAX_CHANGES_OF_PART: usize = 50;

/// Describes what was changed from one image of a dashboard to another. Of a panel it says `added`, `removed`, `moved`,
/// `resized`, `title`, `type`, `query`, `datasource` or `options`. Whatever is different, it says something.
#[must_use]
pub fn summarize(before: JsonValue<'_>, after: JsonValue<'_>) -> Description {
    let mut description = Description::default();
    match (before.get("dashboard"), after.get("dashboard")) {
        (Some(old), Some(new)) => {
            let is_told = Told {
                panels: describe_panels(old, new, &mut description),
                variables: describe_variables(old, new, &mut description),
            };
            describe_rest((before, after), (old, new), &is_told, &mut description);
        }
        (None, Some(new)) => describe_whole("added", "was created", new, &mut description),
        (Some(old), None) => describe_whole("removed", "was deleted", old, &mut description),
        (None, None) => {}
    }
    if description.sentences.is_empty() && !description.is_cut && !is_same(before, after) {
        describe_whole("changed", "changed", after, &mut description);
    }
    description
}

/// Whether something was said of what a dashboard has many of.
struct Told {
    panels: bool,
    variables: bool,
}

fn describe_whole(word: &str, phrase: &str, document: JsonValue<'_>, description: &mut Description) {
    let changes = vec![(word.to_owned(), phrase.to_owned())];
    describe("dashboard", None, &told(document, "title"), "the dashboard", changes, description);
}

/// Members of a panel that have words of their own, beside "options changed". Panels inside a row are told of themselves.
const TOLD_OF_PANELS: [&str; 6] = ["gridPos", "title", "type", "targets", "datasource", "panels"];

fn text_of<'a>(value: JsonValue<'a>, member: &str) -> &'a str {
    value.get(member).and_then(JsonValue::as_str).unwrap_or_default()
}

/// A text of a document as it is told.
fn told(value: JsonValue<'_>, member: &str) -> String {
    shortened(text_of(value, member), MAX_NAME)
}

fn differs(old: JsonValue<'_>, new: JsonValue<'_>, member: &str) -> bool {
    match (old.get(member), new.get(member)) {
        (Some(old), Some(new)) => !is_same(old, new),
        (None, None) => false,
        _ => true,
    }
}

/// Describes what became of panels, and returns whether it said anything.
fn describe_panels(old: JsonValue<'_>, new: JsonValue<'_>, description: &mut Description) -> bool {
    if !differs(old, new, "panels") && !differs(old, new, "rows") {
        return false;
    }
    let (old, new) = (Panels::of(old), Panels::of(new));
    let said = description.sentences.len();
    for (key, panel) in &new.by_key {
        if description.is_cut {
            return true;
        }
        let changes = match old.by_key.get(key) {
            None => vec![("added".to_owned(), "was added".to_owned())],
            Some(before) => describe_panel(*before, *panel),
        };
        describe_changed_panel(key.0, panel.value, changes, description);
    }
    for (key, panel) in old.by_key.iter().filter(|(key, _)| !new.by_key.contains_key(*key)) {
        let removed = vec![("removed".to_owned(), "was removed".to_owned())];
        describe_changed_panel(key.0, panel.value, removed, description);
    }
    if description.sentences.len() == said && !old.order_beside(&new).eq(new.order_beside(&old)) {
        let changes = vec![("order".to_owned(), "its panels were put in another order".to_owned())];
        describe("dashboard", None, "", "the dashboard", changes, description);
    }
    description.sentences.len() > said || description.is_cut
}

/// What became of a panel: a word and a phrase for each change.
fn describe_panel(before: Panel<'_>, after: Panel<'_>) -> Vec<(String, String)> {
    let (old, new) = (before.value, after.value);
    let place = |panel: JsonValue<'_>, members: [&str; 2]| {
        let grid = panel.get("gridPos");
        members.map(|member| grid.and_then(|grid| grid.get(member)).and_then(JsonValue::as_i64))
    };
    let mut changes = Vec::new();
    let mut note = |word: &str, phrase: String| changes.push((word.to_owned(), phrase));
    let has_moved = before.place != after.place || place(old, ["x", "y"]) != place(new, ["x", "y"]);
    let is_resized = place(old, ["w", "h"]) != place(new, ["w", "h"]);
    if has_moved {
        note("moved", "moved".into());
    }
    if is_resized {
        note("resized", "was resized".into());
    }
    if !has_moved && !is_resized && differs(old, new, "gridPos") {
        note("moved", "its place changed".into());
    }
    if differs(old, new, "title") {
        note("title", format!("was called “{}” before", told(old, "title")));
    }
    if differs(old, new, "type") {
        note("type", format!("its type changed from {} to {}", told(old, "type"), told(new, "type")));
    }
    if differs(old, new, "targets") {
        note("query", "its query changed".into());
    }
    if differs(old, new, "datasource") {
        note("datasource", "its data source changed".into());
    }
    let are_objects = old.is_object() && new.is_object();
    if !are_objects && !is_same(old, new)
        || members_that_differ(old, new).any(|member| !TOLD_OF_PANELS.contains(&member))
    {
        note("options", "its options changed".into());
    }
    changes
}

/// The names of the members that are not the same in both.
fn members_that_differ<'a>(old: JsonValue<'a>, new: JsonValue<'a>) -> impl Iterator<Item = &'a str> {
    let differs = |(name, old, new): (&'a str, Option<JsonValue<'a>>, Option<JsonValue<'a>>)| {
        let is_kept = old.zip(new).is_some_and(|(old, new)| is_same(old, new));
        (!is_kept).then_some(name)
    };
    old.members_beside(new).filter_map(differs)
}

fn describe_changed_panel(
    name: PanelName<'_>,
    panel: JsonValue<'_>,
    changes: Vec<(String, String)>,
    description: &mut Description,
) {
    let title = told(panel, "title");
    let id = match name {
        PanelName::Number(id) => Some(id),
        PanelName::Text(_) | PanelName::Title(_) => None,
    };
    let name = match (title.as_str(), name) {
        ("", PanelName::Number(id)) => format!("panel {id}"),
        ("", PanelName::Text(id)) => format!("panel {}", shortened(id, MAX_NAME)),
        ("", PanelName::Title(_)) => "a panel without a title".to_owned(),
        (title, _) => format!("panel “{title}”"),
    };
    describe("panel", id, &title, &name, changes, description);
}

fn describe(
    subject: &'static str,
    id: Option<i64>,
    title: &str,
    name: &str,
    mut changes: Vec<(String, String)>,
    description: &mut Description,
) {
    if changes.is_empty() {
        return;
    }
    let rest = changes.len().saturating_sub(MAX_CHANGES_OF_PART);
    changes.truncate(MAX_CHANGES_OF_PART);
    let (changed, mut phrases): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
    if rest > 0 {
        phrases.push(format!("and {rest} more"));
    }
    let text = format!("{name} {}", phrases.join("; "));
    description.push(Sentence { subject, id, title: title.to_owned(), changed, text });
    description.is_cut |= rest > 0;
}

/// A variable by its name, among those of that name.
type VariableKey<'a> = (&'a str, usize);

/// Describes what became of variables, and returns whether it said anything.
fn describe_variables(old: JsonValue<'_>, new: JsonValue<'_>, description: &mut Description) -> bool {
    fn variables(dashboard: JsonValue<'_>) -> BTreeMap<VariableKey<'_>, JsonValue<'_>> {
        let list = dashboard.get("templating").and_then(|templating| templating.get("list"));
        let mut counts = HashMap::<&str, usize>::new();
        let mut keyed = |variable| {
            let name = text_of(variable, "name");
            let count = counts.entry(name).or_default();
            *count += 1;
            ((name, *count), variable)
        };
        list.into_iter().flat_map(JsonValue::items).map(&mut keyed).collect()
    }
    let (old, new) = (variables(old), variables(new));
    let mut names: Vec<_> = old.keys().chain(new.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    let said = description.sentences.len();
    for name in names {
        let (word, phrase) = match (old.get(&name), new.get(&name)) {
            (None, _) => ("added", "was added"),
            (_, None) => ("removed", "was removed"),
            (Some(old), Some(new)) if is_same(*old, *new) => continue,
            _ => ("changed", "changed"),
        };
        let changes = vec![(word.to_owned(), phrase.to_owned())];
        let name = shortened(name.0, MAX_NAME);
        describe("variable", None, &name, &format!("variable “{name}”"), changes, description);
        if description.is_cut {
            return true;
        }
    }
    description.sentences.len() > said
}

/// What belongs to the dashboard as a whole, of its images and of the documents in them.
fn describe_rest(
    (before, after): (JsonValue<'_>, JsonValue<'_>),
    (old, new): (JsonValue<'_>, JsonValue<'_>),
    is_told: &Told,
    description: &mut Description,
) {
    let mut changes = Vec::new();
    if differs(before, after, "folderUid") {
        changes.push(("folder".to_owned(), "moved to another folder".to_owned()));
    }
    let is_new = |member: &&str| match *member {
        "panels" | "rows" => !is_told.panels,
        "templating" => !is_told.variables,
        _ => true,
    };
    for member in members_that_differ(old, new).filter(is_new) {
        let name = shortened(member, MAX_NAME);
        let phrase = match member {
            "title" => format!("was called “{}” before", told(old, "title")),
            "time" => "its time range changed".to_owned(),
            "templating" => "its variables changed".to_owned(),
            _ => format!("its {name} changed"),
        };
        changes.push((name, phrase));
    }
    describe("dashboard", None, "", "the dashboard", changes, description);
}

#[cfg(test)]
mod tests {
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
            "panel “Net” its options changed",
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
            let panels: Vec<_> =
                (0..count).map(|id| format!(r#"{{"id":{id},"title":"{id}{title}"}}"#)).collect();
            format!(r#"{{"dashboard":{{"panels":[{}]}}}}"#, panels.join(","))
        };
        let few = compared(&panels(10, ""), &panels(10, &"x".repeat(MAX_NAME)), summarize);
        assert_eq!((few.sentences.len(), few.is_cut), (10, false));
        assert_eq!(few.sentences[9].title, format!("9{}…", "x".repeat(MAX_NAME - 1)));
        let many = compared(&panels(10_000, ""), &panels(10_000, &"x".repeat(1000)), summarize);
        let bytes: usize =
            many.sentences.iter().map(|sentence| sentence.title.len() + sentence.text.len()).sum();
        assert!(many.is_cut && !many.sentences.is_empty() && bytes < MAX_DESCRIPTION_BYTES, "{bytes}");
    }

    #[test]
    fn panels_are_known_by_whatever_their_ids_are() {
        let dashboard = |panels: &str| format!(r#"{{"dashboard":{{"panels":[{panels}]}}}}"#);
        let told = |before: &str, after: &str| texts(&dashboard(before), &dashboard(after));
        let changed = |id: &str| {
            told(&format!(r#"{{{id}"title":"A","x":1}}"#), &format!(r#"{{{id}"title":"A","x":2}}"#))
        };
        for id in [
            "",
            r#""id":0,"#,
            r#""id":null,"#,
            r#""id":"a","#,
            r#""id":1.0,"#,
            r#""id":[],"#,
            r#""id":9e99,"#,
        ] {
            assert_eq!(changed(id), ["panel “A” its options changed"], "{id}");
        }
        assert_eq!(
            told(
                r#"{"id":1,"title":"A"},{"id":1,"title":"B"}"#,
                r#"{"id":1,"title":"A"},{"id":1,"title":"C"}"#
            ),
            ["panel “C” was called “B” before"]
        );
        assert_eq!(told("{},{}", "{}"), ["a panel without a title was removed"]);
        assert_eq!(told(r#"{"id":"x"}"#, ""), ["panel x was removed"]);
        assert_eq!(told("1", "2"), ["a panel without a title its options changed"]);
        assert_eq!(
            told(r#"{"id":1},{"id":2}"#, r#"{"id":2},{"id":1}"#),
            ["the dashboard its panels were put in another order"]
        );
        let row = |inner: &str| format!(r#"{{"id":1,"panels":[{{"id":2,"panels":[{{"id":3,{inner}}}]}}]}}"#);
        assert_eq!(told(&row(r#""title":"A""#), &row(r#""title":"B""#)), ["panel “B” was called “A” before"]);
    }

    /// Numbers that look random and are the same each time.
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
            let id =
                self.pick(&["", r#""id":0,"#, r#""id":1,"#, r#""id":1.0,"#, r#""id":"1","#, r#""id":2,"#]);
            let grid =
                self.pick(&["", r#""gridPos":{"x":0},"#, r#""gridPos":{"x":0.5},"#, r#""gridPos":7,"#]);
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
        let mut images: Vec<_> = (0..300).map(|_| numbers.image()).collect();
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
}
