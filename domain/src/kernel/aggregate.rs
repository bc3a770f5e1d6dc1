//! Aggregates with a stream of events: their names, their images, and the commands that restore or undo them.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::kernel::event::EventSet;
use crate::kernel::json::JsonValue;
use crate::kernel::past::{Description, NOTHING, describe_members, image_of};
use crate::kernel::reason::Reason;
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

/// The name of a stream inside an org: the aggregate's type and its key, like `folder-abc`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamId(String);

impl StreamId {
    /// A stream's name as it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The name as it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The type of the aggregate.
    #[must_use]
    pub fn noun(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(noun, _)| noun)
    }

    /// The key of the aggregate, if it is one of that type.
    #[must_use]
    pub fn key_of<A: Stream, K: FromStr>(&self) -> Option<K> {
        let (noun, key) = self.0.split_once('-')?;
        if noun == A::TYPE { key.parse().ok() } else { None }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An aggregate whose events are stored in a stream of its own, and whose state is stored with them.
///
/// The state must stay small, since it is written with each event: documents belong into events only.
pub trait Stream:
    Aggregate<Command: Send, Event: EventSet, Error: Reason + Send + Sync + 'static, Services = ()> + 'static
{
    /// The key of an aggregate, unique among those of this type inside an org.
    type Key: fmt::Display + ?Sized;

    /// The stored names of events that contain all of the object, so that its history need not be read from the start.
    const COMPLETE: &'static [&'static str] = &[];

    /// The stored names of events that begin a new object, which has nothing to do with an earlier object of the same
    /// key. Empty for nouns whose keys are never used again.
    const BEGINNINGS: &'static [&'static str] = &[];

    /// The stored names of events that end an object for all others that refer to it: their references do not apply to
    /// a later object of the same key. Empty for nouns that nothing refers to by key.
    const ENDINGS: &'static [&'static str] = &[];

    /// The way to undo each of its events, by stored name.
    const UNDOINGS: &'static [(&'static str, Undoing)];

    /// For people: the parts of an object that neither a restoration nor an undo restores.
    const NOT_RESTORED: Option<&'static str> = None;

    /// The name of the stream of the aggregate with this key.
    #[must_use]
    fn stream_id(key: &Self::Key) -> StreamId {
        StreamId(format!("{}-{key}", Self::TYPE))
    }

    /// True if the object exists. One without a beginning or an end always exists.
    fn exists(&self) -> bool {
        true
    }

    /// True if no other object can have its key.
    fn holds_key(&self) -> bool {
        self.exists()
    }

    /// The name by which people know the object.
    fn title(&self) -> Option<&str> {
        None
    }

    /// The uid and the numeric id of an object that permissions can be granted on.
    fn guarded(&self) -> Option<(&Uid, i64)> {
        None
    }

    /// The folder that the object is in, `Some(None)` at the root; `None` if it is in no folder at all.
    fn place(&self) -> Option<Option<&Uid>> {
        None
    }

    /// The image of the object, as people see it in its history, as JSON text: `null` if it does not exist.
    ///
    /// `self` is the folded state of the events: of all events up to then, or of those from the last one that contains
    /// all of the object. By default the image is the state.
    fn image(&self, events: &[Self::Event]) -> Result<String, serde_json::Error> {
        let _ = events;
        if self.exists() { image_of(self) } else { Ok(NOTHING.to_owned()) }
    }

    /// The commands that restore the current object to `past`, the folded state of `events`. Whether each is accepted
    /// is decided when it is handled. `None` if the object cannot be restored.
    ///
    /// An object that has to be created anew gets the number `new_id`, if it has a number that is not its key: objects
    /// that ended with the old number have not ended for those that still refer to it.
    fn restoration(&self, past: &Self, events: &[Self::Event], new_id: i64) -> Option<Vec<Self::Command>> {
        let _ = (past, events, new_id);
        None
    }

    /// The commands that undo the changes of the object from `past` to its current state. By default those that restore
    /// `past`; a noun that can only be restored by undoing its end overrides this.
    fn reversal(&self, past: &Self, events: &[Self::Event], new_id: i64) -> Option<Vec<Self::Command>> {
        self.restoration(past, events, new_id)
    }

    /// The commands that restore the object if its last event was its deletion, without reading its past. `None` if the
    /// state does not contain enough.
    fn undeletion(&self, new_id: i64) -> Option<Vec<Self::Command>> {
        let _ = new_id;
        None
    }

    /// The command that ends the object, if undoing its beginning ends it.
    fn ending(&self) -> Option<Self::Command> {
        None
    }

    /// The command that revokes what an event has granted, if the object still has it.
    fn revocation(&self, event: &Self::Event) -> Option<Self::Command> {
        let _ = event;
        None
    }

    /// True for a command that puts an object into another folder.
    fn is_move(command: &Self::Command) -> bool {
        let _ = command;
        false
    }

    /// The streams of other objects that the object refers to and that may end before it.
    fn references(&self) -> Vec<StreamId> {
        Vec::new()
    }

    /// The streams of other objects to which these commands would change its references.
    fn changed_references(&self, commands: &[Self::Command]) -> Vec<StreamId> {
        let _ = commands;
        Vec::new()
    }

    /// Removes from commands their changes of references to these streams.
    fn leave_out(&self, commands: &mut [Self::Command], streams: &HashSet<StreamId>) {
        let _ = (commands, streams);
    }

    /// Describes in words the changes from one image to another. Any difference results in a description.
    #[must_use]
    fn describe(before: JsonValue<'_>, after: JsonValue<'_>) -> Description {
        describe_members(Self::TYPE, before, after)
    }
}

/// Writes one decided event, applying it to the aggregate. Aggregates use it to end a command.
pub(crate) async fn decide<A: Aggregate>(aggregate: &mut A, sink: &EventSink<A>, event: impl Into<A::Event>) {
    sink.write(event.into(), aggregate).await;
}

/// Whether a member of a state has its default. Such a member is left out of the stored text if it was added later, so
/// that older stored states remain the ones of their events.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::membership::{Membership, MembershipAdded};
    use crate::account::org::Org;
    use crate::account::service_account::ServiceAccount;
    use crate::content::folder::Folder;
    use crate::content::star::{Star, StarCommand, StarRemoved};
    use crate::kernel::id::UserId;
    use crate::kernel::json::tests::compared;
    use crate::kernel::role::OrgRole;

    #[test]
    fn a_stream_is_named_by_the_type_and_key_of_its_aggregate() {
        let uid = Uid::try_new("a-b").unwrap();
        let stream = Folder::stream_id(&uid);
        assert_eq!((stream.as_str(), stream.noun()), ("folder-a-b", "folder"));
        assert_eq!(stream.to_string(), "folder-a-b");
        assert_eq!(stream.key_of::<Folder, Uid>(), Some(uid));
        assert_eq!(stream.key_of::<Org, Uid>(), None);
        assert_eq!(stream.key_of::<Folder, UserId>(), None);
        let stream = ServiceAccount::stream_id(&UserId(5));
        assert_eq!(stream.key_of::<ServiceAccount, UserId>(), Some(UserId(5)));
        let stream = StreamId::from_stored("folder".to_owned());
        assert_eq!((stream.noun(), stream.key_of::<Folder, Uid>()), ("folder", None));
    }

    #[test]
    fn a_noun_that_says_nothing_of_itself_is_there_without_a_name_or_place() {
        let star = Star::default();
        assert!(star.exists() && star.holds_key());
        assert_eq!((star.title(), star.guarded(), star.place()), (None, None, None));
        assert!(star.references().is_empty());
        assert_eq!(star.image(&[]).unwrap(), r#"{"dashboards":{}}"#);
    }

    #[test]
    fn a_noun_that_says_nothing_of_undoing_cannot_be_undone() {
        let (star, removed) =
            (Star::default(), StarRemoved { user_id: UserId(1), dashboard_uid: Uid::default() });
        assert!(star.restoration(&star, &[], 1).is_none() && star.reversal(&star, &[], 1).is_none());
        assert!(star.undeletion(1).is_none() && star.ending().is_none());
        assert!(star.revocation(&removed.clone().into()).is_none());
        let command = StarCommand::Remove(removed);
        assert!(!Star::is_move(&command) && star.changed_references(&[command]).is_empty());
    }

    #[test]
    fn what_is_not_there_holds_no_key_and_has_no_image() {
        let mut membership = Membership::default();
        assert!(!membership.holds_key());
        assert_eq!(membership.image(&[]).unwrap(), NOTHING);
        membership.apply(MembershipAdded { user_id: UserId(5), role: OrgRole::Viewer }.into());
        assert!(membership.holds_key());
        assert_eq!(membership.image(&[]).unwrap(), r#"{"role":"Viewer","userId":5}"#);
    }

    #[test]
    fn a_change_is_told_by_members_unless_the_noun_knows_better_words() {
        let told = compared(r#"{"name":"a"}"#, r#"{"name":"b"}"#, Org::describe);
        assert_eq!(told.sentences[0].text, "the org: its name changed from “a” to “b”");
    }
}
