//! JSON documents that are kept whole.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// A JSON document as canonical text: no insignificant white space, the members of objects sorted by name,
/// of repeated members the last. Cloning it copies a pointer, never the text.
#[derive(Clone, Debug)]
pub struct CanonicalJson(Arc<RawValue>);

impl CanonicalJson {
    /// The canonical text of a value.
    pub fn try_new(value: &Value) -> Result<Self, serde_json::Error> {
        // `serde_json::Map` is ordered by key, which is what makes the text canonical.
        serde_json::value::to_raw_value(value).map(|raw| Self(raw.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Parses the text.
    pub fn value(&self) -> Result<Value, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }
}

impl PartialEq for CanonicalJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for CanonicalJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CanonicalJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_meaning_has_the_same_text() {
        let one: Value =
            serde_json::from_str(r#"{"b": [1, 2.50, -0.0], "a": {"y": null, "x": "é"}}"#).unwrap();
        let other: Value = serde_json::from_str(r#"{"a":{"x":"\u00e9","y":null},"b":[1,2.5,-0.0]}"#).unwrap();
        let text = CanonicalJson::try_new(&one).unwrap();
        assert_eq!(text, CanonicalJson::try_new(&other).unwrap());
        assert_eq!(text.as_str(), r#"{"a":{"x":"é","y":null},"b":[1,2.5,-0.0]}"#);
        assert_eq!(text.value().unwrap(), one);
    }

    #[test]
    fn survives_an_event_payload() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Payload {
            data: CanonicalJson,
        }
        let payload =
            Payload { data: CanonicalJson::try_new(&serde_json::json!({"z": 1, "a": [true]})).unwrap() };
        let text = serde_json::to_string(&payload).unwrap();
        assert_eq!(text, r#"{"data":{"a":[true],"z":1}}"#);
        assert_eq!(serde_json::from_str::<Payload>(&text).unwrap(), payload);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::from_value::<Payload>(value).unwrap(), payload);
    }
}
