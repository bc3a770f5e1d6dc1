//! The traits of stored events, and the macro that implements them.

use std::any::Any;
use std::fmt;

use crate::kernel::effect::Effects;

/// An event of any aggregate, as the event store and the projections handle it.
pub trait StoredEvent: Effects + Any + fmt::Debug + Send + Sync {
    /// The frozen name under which the event is stored, like `folder.created`.
    fn stored_type(&self) -> &'static str;

    /// The version of the payload's shape, from 1.
    fn schema_version(&self) -> i32;

    /// The payload as canonical JSON text.
    fn payload(&self) -> Result<String, serde_json::Error>;
}

impl dyn StoredEvent {
    /// The event as the enum of one aggregate, if it is of that aggregate.
    #[must_use]
    pub fn of<E: StoredEvent>(&self) -> Option<&E> {
        (self as &dyn Any).downcast_ref()
    }
}

/// The events of one aggregate.
pub trait EventSet: StoredEvent + Sized {
    /// The stored names and current versions of these events.
    const TYPES: &'static [(&'static str, i32)];

    /// Reads the payload of a stored event of the current version. `None` if the name is not of this aggregate.
    fn decode(stored_type: &str, payload: &str) -> Option<Result<Self, serde_json::Error>>;
}

/// Declares the events of one aggregate: `Variant(Payload) = "stored.name", version;`.
///
/// The stored names are frozen: to change the shape of a payload, raise its version and add an upcaster in
/// [`crate::kernel::upcast`].
#[macro_export]
macro_rules! domain_events {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident($payload:ty) = $stored:literal, $version:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $stored)] $variant($payload),)+
        }

        impl $crate::kernel::event::EventSet for $name {
            const TYPES: &'static [(&'static str, i32)] = &[$(($stored, $version)),+];

            fn decode(stored_type: &str, payload: &str) -> Option<Result<Self, serde_json::Error>> {
                match stored_type {
                    $($stored => Some(serde_json::from_str(payload).map(Self::$variant)),)+
                    _ => None,
                }
            }
        }

        impl $crate::kernel::event::StoredEvent for $name {
            fn stored_type(&self) -> &'static str {
                match self { $(Self::$variant(_) => $stored,)+ }
            }

            fn schema_version(&self) -> i32 {
                match self { $(Self::$variant(_) => $version,)+ }
            }

            fn payload(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$variant(payload) => serde_json::to_string(payload),)+ }
            }
        }

        impl cqrs_es::DomainEvent for $name {
            fn event_type(&self) -> String {
                $crate::kernel::event::StoredEvent::stored_type(self).to_owned()
            }

            fn event_version(&self) -> String {
                $crate::kernel::event::StoredEvent::schema_version(self).to_string()
            }
        }

        $(impl From<$payload> for $name {
            fn from(payload: $payload) -> Self {
                Self::$variant(payload)
            }
        })+
    };
}
