//! What was changed in a dashboard, in words: panel by panel, then variables and what belongs to the dashboard as a whole.

use std::collections::BTreeMap;

use crate::json::JsonValue;
use crate::json::changes::is_same;
use crate::past::{Description, Sentence};
use crate::text::shortened;

/// How many characters of a title or name are told.
const MAX_NAME: usize = 200;
/// How many changes of one part are told.
const MAX_CHANGES_OF_PART: usize = 50;

/// Describes what was changed from one image of a dashboard to another; nothing for one that is not there. Of a panel it
/// says `added`, `removed`, `moved`, `resized`, `title`, `type`, `query`, `datasource` or `options`.
#[must_use]
pub fn summarize(before: JsonValue<'_>, after: JsonValue<'_>) -> Description {
    let mut description = Description::default();
    if let (Some(old), Some(new)) = (before.get("dashboard"), after.get("dashboard")) {
        describe_panels(old, new, &mut description);
        describe_variables(old, new, &mut description);
        describe_rest((before, after), (old, new), &mut description);
    }
    description
}

/// What is said of a panel in other words than that its options changed. What is inside a row is told of itself.
const TOLD_OF_PANELS: [&str; 6] = ["gridPos", "title", "type", "targets", "datasource", "panels"];

/// A panel, and the row it is in.
#[derive(Clone, Copy)]
struct Panel<'a> {
    value: JsonValue<'a>,
    row: Option<i64>,
}

/// All panels by id, those inside rows too. A panel without an id cannot be followed.
fn panels<'a>(dashboard: JsonValue<'a>) -> BTreeMap<i64, Panel<'a>> {
    let mut panels = BTreeMap::new();
    let mut add = |value: JsonValue<'a>, row| {
        if let Some(id) = id_of(value) {
            panels.insert(id, Panel { value, row });
        }
    };
    let lists = [dashboard.get("panels"), dashboard.get("rows")];
    for value in lists.into_iter().flatten().flat_map(JsonValue::items) {
        add(value, None);
        value.get("panels").into_iter().flat_map(JsonValue::items).for_each(|inner| add(inner, id_of(value)));
    }
    panels
}

fn id_of(value: JsonValue<'_>) -> Option<i64> {
    value.get("id").and_then(JsonValue::as_i64)
}

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

fn describe_panels(old: JsonValue<'_>, new: JsonValue<'_>, description: &mut Description) {
    let (old, new) = (panels(old), panels(new));
    for (id, panel) in &new {
        if description.is_cut {
            return;
        }
        let changes = match old.get(id) {
            None => vec![("added".to_owned(), "was added".to_owned())],
            Some(before) => describe_panel(*before, *panel),
        };
        describe_changed_panel(*id, panel.value, changes, description);
    }
    for (id, panel) in old.iter().filter(|(id, _)| !new.contains_key(id)) {
        let removed = vec![("removed".to_owned(), "was removed".to_owned())];
        describe_changed_panel(*id, panel.value, removed, description);
    }
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
    if before.row != after.row || place(old, ["x", "y"]) != place(new, ["x", "y"]) {
        note("moved", "moved".into());
    }
    if place(old, ["w", "h"]) != place(new, ["w", "h"]) {
        note("resized", "was resized".into());
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
    if members_that_differ(old, new).any(|member| !TOLD_OF_PANELS.contains(&member)) {
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
    id: i64,
    panel: JsonValue<'_>,
    changes: Vec<(String, String)>,
    description: &mut Description,
) {
    let title = told(panel, "title");
    let name = if title.is_empty() { format!("panel {id}") } else { format!("panel “{title}”") };
    describe("panel", Some(id), &title, &name, changes, description);
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

fn describe_variables(old: JsonValue<'_>, new: JsonValue<'_>, description: &mut Description) {
    fn variables(dashboard: JsonValue<'_>) -> BTreeMap<&str, JsonValue<'_>> {
        let list = dashboard.get("templating").and_then(|templating| templating.get("list"));
        list.into_iter()
            .flat_map(JsonValue::items)
            .map(|variable| (text_of(variable, "name"), variable))
            .collect()
    }
    let (old, new) = (variables(old), variables(new));
    let mut names: Vec<_> = old.keys().chain(new.keys()).copied().collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (word, phrase) = match (old.get(name), new.get(name)) {
            (None, _) => ("added", "was added"),
            (_, None) => ("removed", "was removed"),
            (Some(old), Some(new)) if is_same(*old, *new) => continue,
            _ => ("changed", "changed"),
        };
        let changes = vec![(word.to_owned(), phrase.to_owned())];
        let name = shortened(name, MAX_NAME);
        describe("variable", None, &name, &format!("variable “{name}”"), changes, description);
        if description.is_cut {
            return;
        }
    }
}

/// What belongs to the dashboard as a whole, of its images and of the documents in them.
fn describe_rest(
    (before, after): (JsonValue<'_>, JsonValue<'_>),
    (old, new): (JsonValue<'_>, JsonValue<'_>),
    description: &mut Description,
) {
    const TOLD: [&str; 3] = ["panels", "rows", "templating"];
    let mut changes = Vec::new();
    if differs(before, after, "folderUid") {
        changes.push(("folder".to_owned(), "moved to another folder".to_owned()));
    }
    for member in members_that_differ(old, new).filter(|member| !TOLD.contains(member)) {
        let name = shortened(member, MAX_NAME);
        let phrase = match member {
            "title" => format!("was called “{}” before", told(old, "title")),
            "time" => "its time range changed".to_owned(),
            _ => format!("its {name} changed"),
        };
        changes.push((name, phrase));
    }
    describe("dashboard", None, "", "the dashboard", changes, description);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::tests::compared;
    use crate::past::MAX_DESCRIPTION_BYTES;

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
    fn what_is_not_there_is_not_described() {
        assert!(texts("null", r#"{"dashboard":{}}"#).is_empty());
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
}
