//! All aggregates by name: the one place where a new aggregate is registered in the domain.

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;

use crate::kernel::aggregate::Stream;
use crate::kernel::event::{EventSet, StoredEvent};
use crate::kernel::json::JsonValue;
use crate::kernel::past::{AnyPast, Description, Past};
use crate::kernel::undo::Undoing;
use crate::kernel::upcast::{upcast, upcasters};

/// An operation on an aggregate type that is only known by name.
pub trait AggregateVisitor {
    /// The result.
    type Output;

    /// Runs the operation.
    fn visit<A: Stream>(self) -> Self::Output;
}

/// Passes all aggregate types to a macro. This is the only list of them.
#[macro_export]
macro_rules! with_aggregates {
    ($then:ident) => {
        $then! {
            $crate::account::access::Access,
            $crate::content::annotation::Annotation,
            $crate::source::correlation::Correlation,
            $crate::content::dashboard::Dashboard,
            $crate::source::data_source::DataSource,
            $crate::content::folder::Folder,
            $crate::account::invite::Invite,
            $crate::account::membership::Membership,
            $crate::account::org::Org,
            $crate::content::playlist::Playlist,
            $crate::content::preference::Preference,
            $crate::account::quota::Quota,
            $crate::rights::resource_permission::ResourcePermission,
            $crate::account::service_account::ServiceAccount,
            $crate::content::star::Star,
            $crate::account::team::Team,
            $crate::account::user::User,
        }
    };
}

macro_rules! aggregates {
    ($($aggregate:ty),+ $(,)?) => {
        /// The names of all aggregate types.
        pub const TYPES: &[&str] = &[$(<$aggregate as Aggregate>::TYPE),+];

        /// Runs an operation on the aggregate type of that name; `None` if it does not exist.
        pub fn visit<V: AggregateVisitor>(type_name: &str, visitor: V) -> Option<V::Output> {
            $(if type_name == <$aggregate as Aggregate>::TYPE {
                return Some(visitor.visit::<$aggregate>());
            })+
            None
        }
    };
}

with_aggregates!(aggregates);

/// The reason why a stored event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// No aggregate has an event of this name.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// No upcaster leads from the stored version of the payload to the current one.
    #[error("event type {0} is stored in version {1}, and no upcaster leads to version {2}")]
    UnknownVersion(String, i32, i32),
    /// The payload does not have the shape of its version.
    #[error("invalid payload of a {0} event: {1}")]
    Payload(String, serde_json::Error),
}

/// The type of the aggregates that have an event of this stored name.
#[must_use]
pub fn aggregate_type_of(stored_type: &str) -> &str {
    stored_type.split_once('.').map_or(stored_type, |(aggregate_type, _)| aggregate_type)
}

/// Reads a stored event, bringing its payload to the current version first.
pub fn decode(
    stored_type: &str,
    schema_version: i32,
    payload: &str,
) -> Result<Box<dyn StoredEvent>, DecodeError> {
    visit(aggregate_type_of(stored_type), Decode { stored_type, schema_version, payload })
        .unwrap_or_else(|| Err(DecodeError::UnknownType(stored_type.to_owned())))
}

/// The stored names and current versions of the events of all aggregates.
#[must_use]
pub fn event_types() -> Vec<(&'static str, i32)> {
    struct EventTypes;
    impl AggregateVisitor for EventTypes {
        type Output = &'static [(&'static str, i32)];
        fn visit<A: Stream>(self) -> Self::Output {
            A::Event::TYPES
        }
    }
    TYPES.iter().filter_map(|name| visit(name, EventTypes)).flatten().copied().collect()
}

/// Folds the events of one stream, one by one.
pub trait Fold: Send + Sync {
    /// Applies the next event and returns whether it is one of this aggregate's.
    fn apply(&mut self, event: &dyn StoredEvent) -> bool;

    /// The state as JSON text, as it is stored with the stream.
    fn state(&self) -> Result<String, serde_json::Error>;
}

impl<A: Stream> Fold for A {
    fn apply(&mut self, event: &dyn StoredEvent) -> bool {
        let event = event.of::<A::Event>();
        if let Some(event) = event {
            Aggregate::apply(self, event.clone());
        }
        event.is_some()
    }

    fn state(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

/// A fold for a stream of that aggregate type, before its first event; `None` if there is no such type.
#[must_use]
pub fn new_fold(type_name: &str) -> Option<Box<dyn Fold>> {
    struct NewFold;
    impl AggregateVisitor for NewFold {
        type Output = Box<dyn Fold>;
        fn visit<A: Stream>(self) -> Self::Output {
            Box::new(A::default())
        }
    }
    visit(type_name, NewFold)
}

/// The past of an object of that aggregate type, before its first event; `None` if there is no such type.
#[must_use]
pub fn new_past(type_name: &str) -> Option<Box<dyn AnyPast>> {
    struct NewPast;
    impl AggregateVisitor for NewPast {
        type Output = Box<dyn AnyPast>;
        fn visit<A: Stream>(self) -> Self::Output {
            Box::new(Past::<A>::default())
        }
    }
    visit(type_name, NewPast)
}

/// The stored names of events that contain all of an object of that aggregate type.
#[must_use]
pub fn complete_events(type_name: &str) -> &'static [&'static str] {
    struct Complete;
    impl AggregateVisitor for Complete {
        type Output = &'static [&'static str];
        fn visit<A: Stream>(self) -> Self::Output {
            A::COMPLETE
        }
    }
    visit(type_name, Complete).unwrap_or_default()
}

/// The stored names of events that begin a new object of that aggregate type, which has nothing to do with an earlier
/// object of the same key.
#[must_use]
pub fn beginnings(type_name: &str) -> &'static [&'static str] {
    struct Beginnings;
    impl AggregateVisitor for Beginnings {
        type Output = &'static [&'static str];
        fn visit<A: Stream>(self) -> Self::Output {
            A::BEGINNINGS
        }
    }
    visit(type_name, Beginnings).unwrap_or_default()
}

/// The stored names of events that end objects of any type for the objects that refer to them.
#[must_use]
pub fn endings() -> Vec<&'static str> {
    TYPES.iter().flat_map(|name| endings_of(name)).copied().collect()
}

fn endings_of(type_name: &str) -> &'static [&'static str] {
    struct Endings;
    impl AggregateVisitor for Endings {
        type Output = &'static [&'static str];
        fn visit<A: Stream>(self) -> Self::Output {
            A::ENDINGS
        }
    }
    visit(type_name, Endings).unwrap_or_default()
}

/// The ways to undo the events of all aggregates, by their stored names.
fn undoings() -> impl Iterator<Item = (&'static str, Undoing)> {
    struct Undoings;
    impl AggregateVisitor for Undoings {
        type Output = &'static [(&'static str, Undoing)];
        fn visit<A: Stream>(self) -> Self::Output {
            A::UNDOINGS
        }
    }
    TYPES.iter().filter_map(|name| visit(name, Undoings)).flatten().copied()
}

/// The way to undo an event of this type.
#[must_use]
pub fn undoing(stored_type: &str) -> Undoing {
    let found = undoings().find(|(name, _)| *name == stored_type);
    found.map_or(Undoing::Impossible("unknown event type"), |(_, undoing)| undoing)
}

/// The types of events that are reverted when an earlier state is restored.
pub fn reverted_types() -> impl Iterator<Item = &'static str> {
    let stays = |undoing: &Undoing| matches!(undoing, Undoing::Revoked | Undoing::Impossible(_));
    undoings().filter(move |(_, undoing)| !stays(undoing)).map(|(name, _)| name)
}

/// Describes in words the changes from one image of an object of that aggregate type to another.
#[must_use]
pub fn describe(type_name: &str, before: JsonValue<'_>, after: JsonValue<'_>) -> Description {
    struct Describe<'a>(JsonValue<'a>, JsonValue<'a>);
    impl AggregateVisitor for Describe<'_> {
        type Output = Description;
        fn visit<A: Stream>(self) -> Self::Output {
            A::describe(self.0, self.1)
        }
    }
    visit(type_name, Describe(before, after)).unwrap_or_default()
}

struct Decode<'a> {
    stored_type: &'a str,
    schema_version: i32,
    payload: &'a str,
}

impl AggregateVisitor for Decode<'_> {
    type Output = Result<Box<dyn StoredEvent>, DecodeError>;

    fn visit<A: Stream>(self) -> Self::Output {
        let unknown = || DecodeError::UnknownType(self.stored_type.to_owned());
        let (_, current) =
            *A::Event::TYPES.iter().find(|(name, _)| *name == self.stored_type).ok_or_else(unknown)?;
        let upcasted;
        let payload = if self.schema_version == current {
            self.payload
        } else {
            upcasted = self.upcast(A::TYPE, current)?;
            &upcasted
        };
        let event = A::Event::decode(self.stored_type, payload)
            .ok_or_else(unknown)?
            .map_err(|error| DecodeError::Payload(self.stored_type.to_owned(), error))?;
        Ok(Box::new(event))
    }
}

impl Decode<'_> {
    fn upcast(&self, aggregate_type: &str, current: i32) -> Result<String, DecodeError> {
        let payload = serde_json::from_str(self.payload)
            .map_err(|error| DecodeError::Payload(self.stored_type.to_owned(), error))?;
        let event = SerializedEvent::new(
            String::new(),
            0,
            aggregate_type.to_owned(),
            self.stored_type.to_owned(),
            self.schema_version.to_string(),
            payload,
            serde_json::Value::Null,
        );
        let event = upcast(event, &upcasters());
        if event.event_version != current.to_string() {
            return Err(DecodeError::UnknownVersion(
                self.stored_type.to_owned(),
                self.schema_version,
                current,
            ));
        }
        Ok(event.payload.to_string())
    }
}

#[cfg(test)]
mod tests;
