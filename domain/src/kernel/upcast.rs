//! Bridges from older shapes of event payloads to the current ones.

use cqrs_es::persist::{EventUpcaster, SerializedEvent};
use serde_json::Value;

/// The upcasters of all aggregates, in the order in which they are applied.
#[must_use]
pub fn upcasters() -> Vec<Box<dyn EventUpcaster>> {
    vec![Box::new(Upcaster {
        event_type: "dashboard.deleted",
        from: 1,
        // There was no trash at that time, so these dashboards are not in it.
        change: |payload| payload["in_trash"] = Value::Bool(false),
    })]
}

/// Raises the payload of one type of event from one version to the next.
struct Upcaster {
    event_type: &'static str,
    from: i32,
    change: fn(&mut Value),
}

impl EventUpcaster for Upcaster {
    fn can_upcast(&self, event_type: &str, event_version: &str) -> bool {
        event_type == self.event_type && event_version.parse() == Ok(self.from)
    }

    fn upcast(&self, mut event: SerializedEvent) -> SerializedEvent {
        // A payload that is not an object is invalid, and is rejected when it is read.
        if event.payload.is_object() {
            (self.change)(&mut event.payload);
        }
        event.event_version = (self.from + 1).to_string();
        event
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The version and the payload of an event once all upcasters have seen it.
    fn upcasted(event_type: &str, version: &str, payload: Value) -> (String, Value) {
        let (event_type, version) = (event_type.to_owned(), version.to_owned());
        let (id, noun) = (String::new(), "dashboard".to_owned());
        let event = SerializedEvent::new(id, 0, noun, event_type, version, payload, Value::Null);
        let event = upcast(event, &upcasters());
        (event.event_version, event.payload)
    }

    #[test]
    fn what_was_deleted_before_there_was_a_trash_is_not_in_it() {
        let raised = upcasted("dashboard.deleted", "1", json!({"uid": "cpu"}));
        assert_eq!(raised, ("2".to_owned(), json!({"uid": "cpu", "in_trash": false})));
    }

    #[test]
    fn what_is_current_or_has_no_members_is_not_changed() {
        for (event_type, version) in [("dashboard.deleted", "2"), ("dashboard.purged", "1")] {
            let kept = upcasted(event_type, version, json!({"uid": "cpu"}));
            assert_eq!(kept, (version.to_owned(), json!({"uid": "cpu"})), "{event_type}");
        }
        assert_eq!(upcasted("dashboard.deleted", "1", json!([])).1, json!([]));
    }
}
