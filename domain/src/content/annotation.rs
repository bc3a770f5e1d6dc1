//! An annotation: a note on a point in time or a range of it, of an org or of one of its dashboards.

mod content;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use crate::content::dashboard::{Dashboard, DashboardError};
use crate::domain_events;
use crate::kernel::aggregate::{Stream, StreamId, decide};
use crate::kernel::effect::Effects;
use crate::kernel::id::{AnnotationId, UserId};
use crate::kernel::invariant::Invariant;
use crate::kernel::reason::{Reason, ReasonKind};
use crate::kernel::text::{MAX_NAME_BYTES, char_boundary};
use crate::kernel::uid::Uid;
use crate::kernel::undo::Undoing;

pub use content::{
    AnnotationChange, AnnotationContent, MAX_DATA_BYTES, MAX_TAG_CHARACTERS, MAX_TAGS, MAX_TEXT_BYTES,
    tidy_tag,
};

/// The dashboard that an annotation is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotatedDashboard {
    /// The uid.
    pub uid: Uid,
    /// The numeric id: a dashboard that is created again under the uid has a new one, and none of the old annotations.
    pub id: i64,
}

/// The state that decisions about an annotation need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// The numeric id.
    pub id: AnnotationId,
    /// The dashboard it is on; `None` for an annotation of the whole org.
    pub dashboard: Option<AnnotatedDashboard>,
    /// The content.
    pub content: AnnotationContent,
    /// Whether it was created, and not deleted since.
    pub exists: bool,
}

/// The commands of an annotation.
#[derive(Clone, Debug)]
pub enum AnnotationCommand {
    /// Creates it.
    Create(AnnotationCreated),
    /// Changes parts of its content.
    Change(AnnotationChange),
    /// Replaces its content.
    Replace(AnnotationContent),
    /// Deletes it.
    Delete,
}

/// An annotation was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnnotationCreated {
    /// The numeric id, unique in the org.
    pub id: AnnotationId,
    /// The dashboard it is on; `None` for an annotation of the whole org.
    pub dashboard: Option<AnnotatedDashboard>,
    /// The panel it is on, 0 for none.
    pub panel_id: i64,
    /// The user who owns it.
    pub user_id: UserId,
    /// The content.
    pub content: AnnotationContent,
}

/// An annotation was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnnotationChanged {
    /// The numeric id.
    pub id: AnnotationId,
    /// The numeric id of the dashboard it is on, 0 for none.
    pub dashboard_id: i64,
    /// The new content.
    pub content: AnnotationContent,
}

/// An annotation was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnnotationDeleted {
    /// The numeric id.
    pub id: AnnotationId,
}

domain_events! {
    /// The events of an annotation.
    pub enum AnnotationEvent {
        /// It was created.
        Created(AnnotationCreated) = "annotation.created", 1;
        /// It was changed.
        Changed(AnnotationChanged) = "annotation.changed", 1;
        /// It was deleted.
        Deleted(AnnotationDeleted) = "annotation.deleted", 1;
    }
}

impl Effects for AnnotationEvent {
    fn changes_only_itself(&self) -> bool {
        matches!(self, Self::Changed(_))
    }
}

/// The reason why an annotation rejects a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// The annotation does not exist.
    #[error("Annotation not found")]
    NotFound,
    /// An annotation with its id already exists.
    #[error("an annotation with this id exists")]
    Exists,
    /// The text is empty.
    #[error("text field should not be empty")]
    NoText,
    /// The text is too long or cannot be stored.
    #[error("the text of an annotation has at most {MAX_TEXT_BYTES} bytes, and no NUL characters")]
    BadText,
    /// It has too many tags, or one that is too long.
    #[error("an annotation has at most {MAX_TAGS} tags of {MAX_TAG_CHARACTERS} characters each")]
    BadTags,
    /// The additional data is too large.
    #[error("the data of an annotation has at most {MAX_DATA_BYTES} bytes")]
    DataTooLarge,
}

impl Reason for AnnotationError {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::NotFound => ReasonKind::Missing,
            Self::Exists => ReasonKind::Taken,
            Self::NoText | Self::BadText | Self::BadTags | Self::DataTooLarge => ReasonKind::Invalid,
        }
    }
}

impl Annotation {
    /// The dashboard of an annotation exists, and is not another one with its uid.
    pub const DASHBOARD_EXISTS: Invariant =
        Invariant::of_existence("annotated_dashboard_exists", || DashboardError::NotFound.into());

    fn decide(&self, command: AnnotationCommand) -> Result<Option<AnnotationEvent>, AnnotationError> {
        match command {
            AnnotationCommand::Create(_) if self.exists => Err(AnnotationError::Exists),
            AnnotationCommand::Create(created) => {
                let content = created.content.tidied()?;
                Ok(Some(AnnotationCreated { content, ..created }.into()))
            }
            _ if !self.exists => Err(AnnotationError::NotFound),
            AnnotationCommand::Change(change) => self.say(self.content.changed(change)),
            AnnotationCommand::Replace(content) => self.say(content),
            AnnotationCommand::Delete => Ok(Some(AnnotationDeleted { id: self.id }.into())),
        }
    }

    fn say(&self, content: AnnotationContent) -> Result<Option<AnnotationEvent>, AnnotationError> {
        let content = content.tidied()?;
        let dashboard_id = self.dashboard.as_ref().map_or(0, |dashboard| dashboard.id);
        let changed = || AnnotationChanged { id: self.id, dashboard_id, content: content.clone() };
        Ok((content != self.content).then(|| changed().into()))
    }
}

impl Stream for Annotation {
    type Key = AnnotationId;

    const UNDOINGS: &'static [(&'static str, Undoing)] = &[
        ("annotation.created", Undoing::Ended),
        ("annotation.changed", Undoing::Reverted),
        ("annotation.deleted", Undoing::Reverted),
    ];

    fn exists(&self) -> bool {
        self.exists
    }

    /// The beginning of its text, because lists repeat it.
    fn title(&self) -> Option<&str> {
        let text = &self.content.text;
        Some(&text[..char_boundary(text, MAX_NAME_BYTES)])
    }

    fn restoration(&self, past: &Self, events: &[AnnotationEvent], _: i64) -> Option<Vec<AnnotationCommand>> {
        let content = past.content.clone();
        if self.exists {
            return Some(vec![AnnotationCommand::Replace(content)]);
        }
        let AnnotationEvent::Created(created) = events.first()? else { return None };
        Some(vec![AnnotationCommand::Create(AnnotationCreated { content, ..created.clone() })])
    }

    fn ending(&self) -> Option<AnnotationCommand> {
        self.exists.then_some(AnnotationCommand::Delete)
    }

    fn references(&self) -> Vec<StreamId> {
        let dashboard = self.dashboard.as_ref().filter(|_| self.exists);
        dashboard.map(|dashboard| Dashboard::stream_id(&dashboard.uid)).into_iter().collect()
    }
}

impl Aggregate for Annotation {
    const TYPE: &'static str = "annotation";
    type Command = AnnotationCommand;
    type Event = AnnotationEvent;
    type Error = AnnotationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: AnnotationCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), AnnotationError> {
        if let Some(event) = self.decide(command)? {
            decide(self, sink, event).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: AnnotationEvent) {
        match event {
            AnnotationEvent::Created(AnnotationCreated { id, dashboard, content, .. }) => {
                *self = Self { id, dashboard, content, exists: true };
            }
            AnnotationEvent::Changed(changed) => self.content = changed.content,
            AnnotationEvent::Deleted(_) => self.exists = false,
        }
    }
}

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;

    use super::*;

    type Framework = TestFramework<Annotation>;

    fn content(text: &str) -> AnnotationContent {
        let tags = vec!["deploy".to_owned(), "team:web".to_owned()];
        AnnotationContent { time: 1000, time_end: 2000, text: text.to_owned(), tags, data: None }
    }

    fn dashboard() -> AnnotatedDashboard {
        AnnotatedDashboard { uid: Uid::try_new("cpu").unwrap(), id: 3 }
    }

    fn created(text: &str) -> AnnotationCreated {
        let (id, user_id) = (AnnotationId(7), UserId(9));
        AnnotationCreated { id, dashboard: Some(dashboard()), panel_id: 2, user_id, content: content(text) }
    }

    fn changed(content: AnnotationContent) -> AnnotationEvent {
        AnnotationChanged { id: AnnotationId(7), dashboard_id: 3, content }.into()
    }

    fn deleted() -> AnnotationEvent {
        AnnotationDeleted { id: AnnotationId(7) }.into()
    }

    fn fold(events: &[AnnotationEvent]) -> Annotation {
        events.iter().cloned().fold(Annotation::default(), |mut annotation, event| {
            annotation.apply(event);
            annotation
        })
    }

    fn text(text: &str) -> AnnotationCommand {
        let text = Some(text.to_owned());
        AnnotationCommand::Change(AnnotationChange { text, ..AnnotationChange::default() })
    }

    #[tokio::test]
    async fn is_created_changed_and_deleted_once() {
        let create = || AnnotationCommand::Create(created("v2"));
        Framework::with(())
            .given_no_previous_events()
            .when_async(create())
            .await
            .then_expect_events(vec![created("v2").into()]);
        let given = || Framework::with(()).given(vec![created("v2").into()]);
        given().when_async(create()).await.then_expect_error(AnnotationError::Exists);
        given().when_async(text("v3")).await.then_expect_events(vec![changed(content("v3"))]);
        given().when_async(text("v2")).await.then_expect_events(vec![]);
        let replace = |text| AnnotationCommand::Replace(content(text));
        given().when_async(replace("v3")).await.then_expect_events(vec![changed(content("v3"))]);
        given().when_async(replace("v2")).await.then_expect_events(vec![]);
        given().when_async(AnnotationCommand::Delete).await.then_expect_events(vec![deleted()]);
        for command in [text("v3"), replace("v3"), AnnotationCommand::Delete] {
            let gone = Framework::with(()).given(vec![created("v2").into(), deleted()]);
            gone.when_async(command).await.then_expect_error(AnnotationError::NotFound);
        }
        let gone = Framework::with(()).given(vec![created("v2").into(), deleted()]);
        gone.when_async(create()).await.then_expect_events(vec![created("v2").into()]);
    }

    #[tokio::test]
    async fn what_it_says_is_tidied_and_checked_whenever_it_is_said() {
        let untidy = AnnotationContent { time: 2000, time_end: 1000, ..content("v2") };
        let create =
            AnnotationCommand::Create(AnnotationCreated { content: untidy.clone(), ..created("v2") });
        let expected = vec![created("v2").into()];
        Framework::with(()).given_no_previous_events().when_async(create).await.then_expect_events(expected);
        let given = || Framework::with(()).given(vec![created("v2").into()]);
        given().when_async(AnnotationCommand::Replace(untidy)).await.then_expect_events(vec![]);
        let empty = AnnotationCommand::Create(created(""));
        let none = Framework::with(()).given_no_previous_events();
        none.when_async(empty).await.then_expect_error(AnnotationError::NoText);
        given().when_async(text(" ")).await.then_expect_error(AnnotationError::NoText);
        let empty = AnnotationCommand::Replace(content(""));
        given().when_async(empty).await.then_expect_error(AnnotationError::NoText);
    }

    #[tokio::test]
    async fn one_of_the_whole_org_is_on_no_dashboard() {
        let of_org = AnnotationCreated { dashboard: None, ..created("v2") };
        let expected = AnnotationChanged { id: AnnotationId(7), dashboard_id: 0, content: content("v3") };
        Framework::with(())
            .given(vec![of_org.clone().into()])
            .when_async(text("v3"))
            .await
            .then_expect_events(vec![expected.into()]);
        assert_eq!(fold(&[of_org.into()]).references(), []);
    }

    #[test]
    fn comes_back_as_it_was() {
        let events = [created("v2").into(), changed(content("v3"))];
        let (past, now) = (fold(&events[..1]), fold(&events));
        let back = now.restoration(&past, &events[..1], 0).unwrap();
        assert!(matches!(&back[..], [AnnotationCommand::Replace(was)] if *was == content("v2")));
        let gone = fold(&[created("v2").into(), deleted()]);
        let back = gone.restoration(&now, &events, 0).unwrap();
        assert!(matches!(&back[..], [AnnotationCommand::Create(anew)] if *anew == created("v3")));
        assert!(gone.restoration(&now, &events[1..], 0).is_none());
        assert!(gone.restoration(&now, &[], 0).is_none());
        assert!(matches!(now.ending(), Some(AnnotationCommand::Delete)) && gone.ending().is_none());
        assert_eq!((now.title(), now.exists(), gone.exists()), (Some("v3"), true, false));
    }

    #[test]
    fn refers_to_its_dashboard_as_long_as_it_is_there() {
        let expected = Dashboard::stream_id(&dashboard().uid);
        assert_eq!(fold(&[created("v2").into()]).references(), [expected]);
        assert_eq!(fold(&[created("v2").into(), deleted()]).references(), []);
    }

    #[test]
    fn is_called_by_the_beginning_of_its_text() {
        let long = fold(&[created(&"é".repeat(MAX_NAME_BYTES)).into()]);
        assert_eq!(long.title(), Some("é".repeat(MAX_NAME_BYTES / 2).as_str()));
    }

    #[test]
    fn only_a_change_concerns_nothing_else() {
        assert!(changed(content("v3")).changes_only_itself());
        assert!(!AnnotationEvent::from(created("v2")).changes_only_itself());
        assert!(!deleted().changes_only_itself());
    }

    #[test]
    fn each_refusal_is_of_its_kind() {
        assert_eq!(AnnotationError::NotFound.kind(), ReasonKind::Missing);
        assert_eq!(AnnotationError::Exists.kind(), ReasonKind::Taken);
        for error in [
            AnnotationError::NoText,
            AnnotationError::BadText,
            AnnotationError::BadTags,
            AnnotationError::DataTooLarge,
        ] {
            assert_eq!(error.kind(), ReasonKind::Invalid);
        }
        assert!(Annotation::DASHBOARD_EXISTS.is_existence());
    }
}
