//! Past states of an object: its state after some of its events.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::kernel::aggregate::Stream;
use crate::kernel::event::StoredEvent;
use crate::kernel::json::JsonValue;
use crate::kernel::json::changes::is_same;
use crate::kernel::text::shortened;

/// The image of an object that does not exist.
pub const NOTHING: &str = "null";

/// An object after some of its events.
#[derive(Debug)]
pub struct Past<A: Stream> {
    /// The folded state of the events.
    pub state: A,
    /// The events, from the first one or from one that contains all of the object.
    pub events: Vec<A::Event>,
}

impl<A: Stream> Default for Past<A> {
    fn default() -> Self {
        Self { state: A::default(), events: Vec::new() }
    }
}

/// The past of an object whose type is only known by name.
pub trait AnyPast: Send {
    /// Adds the next event, and returns whether it belongs to this type of object.
    fn push(&mut self, event: &dyn StoredEvent) -> bool;

    /// The image of the object, as people see it, as JSON text.
    fn image(&self) -> Result<String, serde_json::Error>;
}

impl<A: Stream> AnyPast for Past<A> {
    fn push(&mut self, event: &dyn StoredEvent) -> bool {
        let Some(event) = event.of::<A::Event>() else { return false };
        self.state.apply(event.clone());
        self.events.push(event.clone());
        true
    }

    fn image(&self) -> Result<String, serde_json::Error> {
        if self.events.is_empty() { Ok(NOTHING.to_owned()) } else { self.state.image(&self.events) }
    }
}

/// A description of the changes of a part of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// The kind of the part, like `panel`.
    pub subject: &'static str,
    /// The id of the part, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i64>,
    /// The title of the part.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// The kinds of its changes.
    pub changed: Vec<String>,
    /// The same as a sentence.
    pub text: String,
}

/// The maximum length of a description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 64 * 1024;

/// A description of the changes of an object in words, of limited length.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// A sentence for each part.
    pub sentences: Vec<Sentence>,
    /// Whether something was left out.
    pub is_cut: bool,
    bytes: usize,
}

impl Description {
    /// Adds a sentence, unless there is no room.
    pub(crate) fn push(&mut self, sentence: Sentence) {
        // The texts are repeated: in the sentences, and all of them together.
        let words: usize = sentence.changed.iter().map(String::len).sum();
        self.bytes += 2 * sentence.text.len() + sentence.title.len() + words;
        self.is_cut |= self.bytes > MAX_DESCRIPTION_BYTES;
        if !self.is_cut {
            self.sentences.push(sentence);
        }
    }
}

/// The maximum number of members of an object that a description lists.
const MAX_TOLD_MEMBERS: usize = 50;
/// The maximum number of characters of a value in a description.
const MAX_TOLD_VALUE: usize = 100;

/// Describes which members of an object are different in two images of it.
pub(crate) fn describe_members(
    noun: &'static str,
    before: JsonValue<'_>,
    after: JsonValue<'_>,
) -> Description {
    let mut description = Description::default();
    let name = format!("the {}", noun.replace('_', " "));
    let mut say = |changed: Vec<String>, phrases: &[String]| {
        let text = sentence_of(&name, phrases);
        description.push(Sentence { subject: noun, id: None, title: String::new(), changed, text });
    };
    match (before.is_null(), after.is_null()) {
        (true, true) => {}
        (true, false) => say(vec!["added".to_owned()], &["was created".to_owned()]),
        (false, true) => say(vec!["removed".to_owned()], &["was deleted".to_owned()]),
        (false, false) => {
            let differs = |(_, old, new): &(&str, Option<JsonValue<'_>>, Option<JsonValue<'_>>)| {
                !old.zip(*new).is_some_and(|(old, new)| is_same(old, new))
            };
            let mut members: Vec<_> = before.members_beside(after).filter(differs).collect();
            // The version counts changes, so it is described only if nothing else has changed.
            if members.len() > 1 {
                members.retain(|(member, ..)| *member != "version");
            }
            let rest = members.len().saturating_sub(MAX_TOLD_MEMBERS);
            members.truncate(MAX_TOLD_MEMBERS);
            let mut phrases: Vec<_> =
                members.iter().map(|(member, old, new)| phrase(member, *old, *new)).collect();
            if rest > 0 {
                phrases.push(format!("and {rest} more"));
            }
            if phrases.is_empty() && !is_same(before, after) {
                phrases.push("changed".to_owned());
            }
            if !phrases.is_empty() {
                say(members.iter().map(|(member, ..)| shortened(member, MAX_TOLD_VALUE)).collect(), &phrases);
            }
            description.is_cut |= rest > 0;
        }
    }
    description
}

/// The changes of a part, as a sentence.
pub(crate) fn sentence_of(name: &str, phrases: &[String]) -> String {
    let colon = if phrases.first().is_some_and(|phrase| phrase.starts_with("its ")) { ":" } else { "" };
    format!("{name}{colon} {}", phrases.join("; "))
}

/// The change of a member, with its values if they are texts.
fn phrase(member: &str, old: Option<JsonValue<'_>>, new: Option<JsonValue<'_>>) -> String {
    let member = shortened(member, MAX_TOLD_VALUE);
    let text = |value: Option<JsonValue<'_>>| value?.as_str().map(|text| shortened(text, MAX_TOLD_VALUE));
    match (text(old), text(new)) {
        (Some(old), Some(new)) => format!("its {member} changed from “{old}” to “{new}”"),
        _ => format!("its {member} changed"),
    }
}

/// The state of an existing object as people see it: with members named as in the API.
pub(crate) fn image_of(state: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(&members_of(state)?)
}

/// The members of such an image.
pub(crate) fn members_of(state: &impl Serialize) -> Result<Map<String, Value>, serde_json::Error> {
    let mut image = Map::new();
    if let Value::Object(members) = serde_json::to_value(state)? {
        // An object with an image always exists.
        let shown = members.into_iter().filter(|(name, _)| name != "exists");
        image.extend(shown.map(|(name, value)| (camel_case(&name), value)));
    }
    Ok(image)
}

/// `week_start` as `weekStart`. Only for the members of states: the keys of maps are chosen by people.
fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut text = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        text.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        text.push_str(letters.as_str());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UserId;
    use crate::account::membership::{Membership, MembershipAdded, MembershipEvent, MembershipRemoved};
    use crate::account::org::Org;
    use crate::kernel::json::tests::compared;
    use crate::kernel::role::OrgRole;

    #[test]
    fn an_image_is_the_state_while_the_object_is_there() {
        let mut past = Past::<Membership>::default();
        assert_eq!(past.image().unwrap(), "null");
        let user_id = UserId(5);
        let added: MembershipEvent = MembershipAdded { user_id, role: OrgRole::Editor }.into();
        assert!(past.push(&added));
        assert_eq!(past.image().unwrap(), r#"{"role":"Editor","userId":5}"#);
        assert!(Stream::exists(&past.state));
        let removed: MembershipEvent = MembershipRemoved { user_id }.into();
        assert!(past.push(&removed));
        assert_eq!(past.image().unwrap(), "null");
        assert!(!Stream::exists(&past.state));
    }

    #[test]
    fn whatever_changes_in_an_object_is_told() {
        let text = |before: &str, after: &str| {
            let say = |before: JsonValue<'_>, after: JsonValue<'_>| {
                describe_members("service_account", before, after)
            };
            let found = compared(before, after, say);
            found.sentences.into_iter().map(|sentence| sentence.text).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(text("null", r#"{"name":"ci"}"#), "the service account was created");
        assert_eq!(text(r#"{"name":"ci"}"#, "null"), "the service account was deleted");
        assert_eq!(
            text(
                r#"{"name":"ci","tokens":{},"version":1}"#,
                r#"{"name":"cd","tokens":{"1":"a"},"version":2}"#
            ),
            "the service account: its name changed from “ci” to “cd”; its tokens changed"
        );
        assert_eq!(text(r#"{"version":1}"#, r#"{"version":2}"#), "the service account: its version changed");
        assert_eq!(text("[1]", "[2]"), "the service account changed");
        assert_eq!(text(r#"{"a":1}"#, r#"{"a":1}"#), "");
    }

    #[test]
    fn members_are_named_as_in_the_api() {
        assert_eq!(camel_case("home_dashboard_uid"), "homeDashboardUid");
        assert_eq!(camel_case("name"), "name");
    }

    #[test]
    fn an_event_of_another_noun_is_no_part_of_a_past() {
        let mut past = Past::<Org>::default();
        let removed: MembershipEvent = MembershipRemoved { user_id: UserId(5) }.into();
        assert!(!past.push(&removed));
        assert!(past.events.is_empty());
    }

    fn sentence(text: usize, title: usize, changed: [usize; 2]) -> Sentence {
        let [text, title, one, other] =
            [text, title, changed[0], changed[1]].map(|length| "x".repeat(length));
        Sentence { subject: "panel", id: None, title, changed: vec![one, other], text }
    }

    #[test]
    fn a_description_has_so_many_bytes_with_each_text_counted_twice() {
        let told = |sentence: Sentence| {
            let mut description = Description::default();
            description.push(sentence);
            (description.sentences.len(), description.is_cut)
        };
        let half = 32 * 1024;
        assert_eq!(told(sentence(half - 10, 8, [7, 5])), (1, false));
        for longer in
            [sentence(half - 9, 8, [7, 5]), sentence(half - 10, 9, [7, 5]), sentence(half - 10, 8, [7, 6])]
        {
            assert_eq!(told(longer), (0, true));
        }
    }

    #[test]
    fn once_there_is_no_room_nothing_more_is_told() {
        let mut description = Description::default();
        for text in [MAX_DESCRIPTION_BYTES / 4, MAX_DESCRIPTION_BYTES / 2, 1, 1] {
            description.push(sentence(text, 0, [0, 0]));
        }
        assert_eq!((description.sentences.len(), description.is_cut), (1, true));
    }

    /// The description of objects of `count` members that all differ, with names and values that begin like these.
    fn told_of_members(count: usize, name: &str, value: &str) -> Description {
        let object = |last: &str| {
            let member = |index| format!(r#""{index:03}{name}":"{value}{last}""#);
            format!("{{{}}}", (0..count).map(member).collect::<Vec<_>>().join(","))
        };
        compared(&object("a"), &object("b"), |before, after| describe_members("org", before, after))
    }

    #[test]
    fn of_many_members_some_are_told_and_the_others_counted() {
        let most = told_of_members(MAX_TOLD_MEMBERS, "", "");
        assert_eq!((most.sentences[0].changed.len(), most.is_cut), (MAX_TOLD_MEMBERS, false));
        assert!(most.sentences[0].text.ends_with("; its 049 changed from “a” to “b”"));
        let more = told_of_members(MAX_TOLD_MEMBERS + 2, "", "");
        assert_eq!((more.sentences[0].changed.len(), more.is_cut), (MAX_TOLD_MEMBERS, true));
        assert!(more.sentences[0].text.ends_with("; its 049 changed from “a” to “b”; and 2 more"));
        // The listed members can be too long as well.
        let long = "\u{1F600}".repeat(MAX_TOLD_VALUE);
        let none = told_of_members(MAX_TOLD_MEMBERS + 1, &long, &long);
        assert_eq!((none.sentences.len(), none.is_cut), (0, true));
    }

    #[test]
    fn of_a_long_name_or_value_the_beginning_is_told() {
        let (name, value) = ("n".repeat(MAX_TOLD_VALUE), "v".repeat(MAX_TOLD_VALUE));
        let told = told_of_members(1, &name, &value).sentences.remove(0);
        let name = format!("000{}…", &name[3..]);
        assert_eq!(told.changed, [name.as_str()]);
        assert_eq!(told.text, format!("the org: its {name} changed from “{value}…” to “{value}…”"));
    }
}
