//! A playlist: dashboards that are shown one after another.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::domain_events;
use crate::kernel::aggregate::{Stream, decide};
use crate::kernel::effect::Effects;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::{MAX_NAME_BYTES, is_storable};
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

/// The maximum number of items of a playlist, so that the state stays small.
pub const MAX_ITEMS: usize = 100;

/// How an item selects its dashboards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlaylistItemKind {
    /// The dashboard of a uid.
    DashboardByUid,
    /// All dashboards with a tag.
    DashboardByTag,
    /// The dashboard of a numeric id.
    DashboardById,
}

/// An item of a playlist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PlaylistItem {
    /// The kind of its value.
    #[serde(rename = "type")]
    pub kind: PlaylistItemKind,
    /// The uid, tag or id.
    pub value: String,
    /// The title, often empty.
    pub title: String,
}

/// The content of a playlist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaylistContent {
    /// The name.
    pub name: String,
    /// The time for which each dashboard is shown, like `5m`.
    pub interval: String,
    /// The items in the order in which they are shown.
    pub items: Vec<PlaylistItem>,
}

/// The state that decisions about a playlist need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Playlist {
    /// The numeric id.
    pub id: i64,
    /// The content.
    #[serde(flatten)]
    pub content: PlaylistContent,
    /// Whether it was created, and not deleted since.
    pub exists: bool,
}

/// The commands of a playlist.
#[derive(Clone, Debug)]
pub enum PlaylistCommand {
    /// Creates it.
    Create(PlaylistCreated),
    /// Replaces its content.
    Change(PlaylistContent),
    /// Deletes it.
    Delete,
}

/// A playlist was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaylistCreated {
    /// The uid.
    pub uid: Uid,
    /// The numeric id, unique in the org.
    pub id: i64,
    /// The content.
    #[serde(flatten)]
    pub content: PlaylistContent,
}

/// A playlist was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaylistChanged {
    /// The numeric id.
    pub id: i64,
    /// The new content.
    #[serde(flatten)]
    pub content: PlaylistContent,
}

/// A playlist was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaylistDeleted {
    /// The numeric id.
    pub id: i64,
}

domain_events! {
    /// The events of a playlist.
    pub enum PlaylistEvent {
        /// It was created.
        Created(PlaylistCreated) = "playlist.created", 1;
        /// It was changed.
        Changed(PlaylistChanged) = "playlist.changed", 1;
        /// It was deleted.
        Deleted(PlaylistDeleted) = "playlist.deleted", 1;
    }
}

impl Effects for PlaylistEvent {}

/// The reason why a playlist rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaylistError {
    /// The playlist does not exist.
    #[error("Playlist not found")]
    NotFound,
    /// A playlist with its uid already exists.
    #[error("a playlist with this uid already exists")]
    Exists,
    /// It has no name, or one that is too long.
    #[error("a playlist name must have 1 to {MAX_NAME_BYTES} bytes")]
    InvalidName,
    /// The interval or an item is too long, or an item has no value.
    #[error("a playlist item must have a value, and texts of at most {MAX_NAME_BYTES} bytes")]
    InvalidItem,
    /// It has too many items.
    #[error("a playlist can have at most {MAX_ITEMS} items")]
    TooManyItems,
}

impl Reason for PlaylistError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::NotFound => ReasonKind::Missing,
            Self::Exists => ReasonKind::Taken,
            Self::InvalidName | Self::InvalidItem | Self::TooManyItems => ReasonKind::Invalid,
        }
    }
}

impl PlaylistContent {
    fn check(&self) -> Result<(), PlaylistError> {
        if self.name.trim().is_empty() || !is_storable(&self.name, MAX_NAME_BYTES) {
            return Err(PlaylistError::InvalidName);
        }
        if self.items.len() > MAX_ITEMS {
            return Err(PlaylistError::TooManyItems);
        }
        let mut texts = self.items.iter().flat_map(|item| [&item.value, &item.title]).chain([&self.interval]);
        let is_valid = texts.all(|text| is_storable(text, MAX_NAME_BYTES));
        let names_all = self.items.iter().all(|item| !item.value.is_empty());
        if is_valid && names_all { Ok(()) } else { Err(PlaylistError::InvalidItem) }
    }
}

impl Playlist {
    fn decide(&self, command: PlaylistCommand) -> Result<Option<PlaylistEvent>, PlaylistError> {
        let id = self.id;
        match command {
            PlaylistCommand::Create(_) if self.exists => Err(PlaylistError::Exists),
            PlaylistCommand::Create(created) => {
                created.content.check()?;
                Ok(Some(created.into()))
            }
            PlaylistCommand::Change(_) | PlaylistCommand::Delete if !self.exists => {
                Err(PlaylistError::NotFound)
            }
            PlaylistCommand::Change(content) => {
                content.check()?;
                Ok((content != self.content).then(|| PlaylistChanged { id, content }.into()))
            }
            PlaylistCommand::Delete => Ok(Some(PlaylistDeleted { id }.into())),
        }
    }
}

impl Stream for Playlist {
    type Key = Uid;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("playlist.created", Undoing::Ended),
        ("playlist.changed", Undoing::Reverted),
        ("playlist.deleted", Undoing::Reverted),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    fn title(&self) -> Option<&str> {
        Some(&self.content.name)
    }

    fn restoration(&self, past: &Self, events: &[PlaylistEvent], _: i64) -> Option<Vec<PlaylistCommand>> {
        let content = past.content.clone();
        if self.exists {
            return Some(vec![PlaylistCommand::Change(content)]);
        }
        let PlaylistEvent::Created(created) = events.first()? else { return None };
        Some(vec![PlaylistCommand::Create(PlaylistCreated { content, ..created.clone() })])
    }

    fn ending(&self) -> Option<PlaylistCommand> {
        self.exists.then_some(PlaylistCommand::Delete)
    }
}

impl Aggregate for Playlist {
    const TYPE: &'static str = "playlist";
    type Command = PlaylistCommand;
    type Event = PlaylistEvent;
    type Error = PlaylistError;
    type Services = ();

    async fn handle(
        &mut self,
        command: PlaylistCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), PlaylistError> {
        if let Some(event) = self.decide(command)? {
            decide(self, sink, event).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: PlaylistEvent) {
        match event {
            PlaylistEvent::Created(PlaylistCreated { id, content, .. }) => {
                *self = Self { id, content, exists: true };
            }
            PlaylistEvent::Changed(changed) => self.content = changed.content,
            PlaylistEvent::Deleted(_) => self.exists = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;
    use crate::kernel::testing::folded;

    type Framework = TestFramework<Playlist>;

    fn content(name: &str) -> PlaylistContent {
        let item = PlaylistItem {
            kind: PlaylistItemKind::DashboardByTag,
            value: "prod".to_owned(),
            title: String::new(),
        };
        PlaylistContent { name: name.to_owned(), interval: "1h30m".to_owned(), items: vec![item] }
    }

    fn created(name: &str) -> PlaylistCreated {
        PlaylistCreated { uid: Uid::try_new("tv").unwrap(), id: 7, content: content(name) }
    }

    fn changed(name: &str) -> PlaylistEvent {
        PlaylistChanged { id: 7, content: content(name) }.into()
    }

    fn deleted() -> PlaylistEvent {
        PlaylistDeleted { id: 7 }.into()
    }

    #[tokio::test]
    async fn is_created_changed_and_deleted_once() {
        let create = || PlaylistCommand::Create(created("TV"));
        Framework::with(())
            .given_no_previous_events()
            .when_async(create())
            .await
            .then_expect_events(vec![created("TV").into()]);
        let given = || Framework::with(()).given(vec![created("TV").into()]);
        given().when_async(create()).await.then_expect_error(PlaylistError::Exists);
        let change = |name| PlaylistCommand::Change(content(name));
        given().when_async(change("Lobby")).await.then_expect_events(vec![changed("Lobby")]);
        given().when_async(change("TV")).await.then_expect_events(vec![]);
        given().when_async(PlaylistCommand::Delete).await.then_expect_events(vec![deleted()]);
        for command in [change("Lobby"), PlaylistCommand::Delete] {
            let gone = Framework::with(()).given(vec![created("TV").into(), deleted()]);
            gone.when_async(command).await.then_expect_error(PlaylistError::NotFound);
        }
    }

    #[test]
    fn what_it_is_made_of_is_checked() {
        let plain = || content("TV");
        let item = |value: &str, title: &str| PlaylistItem {
            value: value.to_owned(),
            title: title.to_owned(),
            ..plain().items[0].clone()
        };
        let longest = "a".repeat(MAX_NAME_BYTES);
        let too_long = format!("{longest}a");
        let with_items = |items| PlaylistContent { items, ..plain() };
        let cases = [
            (PlaylistContent { name: longest.clone(), ..plain() }, Ok(())),
            (PlaylistContent { name: too_long.clone(), ..plain() }, Err(PlaylistError::InvalidName)),
            (PlaylistContent { name: " ".to_owned(), ..plain() }, Err(PlaylistError::InvalidName)),
            (with_items(vec![item("prod", ""); MAX_ITEMS]), Ok(())),
            (with_items(vec![item("prod", ""); MAX_ITEMS + 1]), Err(PlaylistError::TooManyItems)),
            (with_items(vec![item(&longest, &longest)]), Ok(())),
            (with_items(vec![item("", "")]), Err(PlaylistError::InvalidItem)),
            (with_items(vec![item(&too_long, "")]), Err(PlaylistError::InvalidItem)),
            (with_items(vec![item("prod", &too_long)]), Err(PlaylistError::InvalidItem)),
            (PlaylistContent { interval: too_long.clone(), ..plain() }, Err(PlaylistError::InvalidItem)),
        ];
        for (content, expected) in cases {
            assert_eq!(content.check(), expected, "{content:?}");
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let events = [created("TV").into(), changed("Lobby")];
        let (past, now) = (folded::<Playlist>(&events[..1]), folded::<Playlist>(&events));
        let back = now.restoration(&past, &events[..1], 0).unwrap();
        assert!(matches!(&back[..], [PlaylistCommand::Change(was)] if *was == content("TV")));
        let gone = folded::<Playlist>(&[created("TV").into(), deleted()]);
        let back = gone.restoration(&now, &events, 0).unwrap();
        let expected = created("Lobby");
        assert!(matches!(&back[..], [PlaylistCommand::Create(anew)] if *anew == expected));
        assert!(now.ending().is_some() && gone.ending().is_none());
        assert_eq!((now.title(), now.exists(), gone.exists()), (Some("Lobby"), true, false));
    }
}
