//! An event on a line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// An event of `postgres-es`, in the format of `row_to_json`.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) aggregate_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) aggregate_id: Cow<'a, str>,
    pub(super) sequence: i64,
    #[serde(borrow)]
    pub(super) event_type: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) event_version: Cow<'a, str>,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(default)]
    pub(super) metadata: Value,
}

impl<'a> Line<'a> {
    /// Parses an event.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The content of the payload, without the outer member that repeats the type.
    pub(super) fn inner_payload(&self) -> Result<&'a str, String> {
        let members: Option<BTreeMap<String, &'a RawValue>> = serde_json::from_str(self.payload.get()).ok();
        let members = members.filter(|members| members.len() == 1);
        let inner = members.and_then(|members| members.get(&*self.event_type).copied());
        inner
            .map(RawValue::get)
            .ok_or_else(|| format!("payload is not an object with the one member {}", self.event_type))
    }
}
