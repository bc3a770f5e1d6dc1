//! Bridges from older shapes of event payloads to the current ones.

use cqrs_es::persist::{EventUpcaster, SerializedEvent};

/// The upcasters of all aggregates, in the order in which they are applied.
///
/// No shape has changed since the first release, so there is none yet. One that raises `folder.updated` from
/// version 1 to 2 takes the payload as JSON, returns the new payload and sets `event_version` to `"2"`.
#[must_use]
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    Vec::new()
}

/// Applies to an event every upcaster that knows its type and version.
#[must_use]
pub fn upcast(event: SerializedEvent, upcasters: &[Box<dyn EventUpcaster>]) -> SerializedEvent {
    upcasters.iter().fold(event, |event, upcaster| {
        if upcaster.can_upcast(&event.event_type, &event.event_version) {
            upcaster.upcast(event)
        } else {
            event
        }
    })
}
