//! Descriptions of the changes of a dashboard, in words: panel by panel, then variables and the dashboard as a whole.

mod panel;

use std::collections::{BTreeMap, HashMap};

use crate::kernel::json::JsonValue;
use crate::kernel::json::changes::is_same;
use crate::kernel::past::{Description, Sentence, sentence_of};
use crate::kernel::text::shortened;
use panel::{Panel, PanelName, Panels};

/// The maximum number of characters of a title or name in a description.
const MAX_NAME: usize = 200;
/// The maximum number of changes of one part in a description.
const MAX_CHANGES_OF_PART: usize = 50;

/// Describes the changes from one image of a dashboard to another. The changes of a panel are `added`, `removed`,
/// `moved`, `resized`, `title`, `type`, `query`, `datasource` or `options`. Any difference results in a description.
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

/// Whether changes of panels and of variables were described.
struct Told {
    panels: bool,
    variables: bool,
}

fn describe_whole(word: &str, phrase: &str, document: JsonValue<'_>, description: &mut Description) {
    let changes = vec![(word.to_owned(), phrase.to_owned())];
    describe("dashboard", None, &told(document, "title"), "the dashboard", changes, description);
}

/// Members of a panel that are not described as "options changed", but in words of their own. Panels inside a row are
/// described separately.
const TOLD_OF_PANELS: [&str; 6] = ["gridPos", "title", "type", "targets", "datasource", "panels"];

fn text_of<'a>(value: JsonValue<'a>, member: &str) -> &'a str {
    value.get(member).and_then(JsonValue::as_str).unwrap_or_default()
}

/// A text of a document, shortened for a description.
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

/// Describes the changes of panels, and returns whether it described any.
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

/// The changes of a panel: a word and a phrase for each.
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
    let text = sentence_of(name, &phrases);
    description.push(Sentence { subject, id, title: title.to_owned(), changed, text });
    description.is_cut |= rest > 0;
}

/// The key of a variable: its name, and its number among the variables of that name.
type VariableKey<'a> = (&'a str, usize);

/// Describes the changes of variables, and returns whether it described any.
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

/// Describes the changes of the dashboard as a whole, in its images and in the documents in them.
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
mod tests;
