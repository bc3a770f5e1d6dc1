//! JSON documents that are stored as a whole.

pub mod changes;
pub mod diff;
mod fault;
mod fingerprint;
mod kind;
mod measure;
mod write;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::Arc;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use simd_json::tape::{Node, Tape};
use simd_json::{Buffers, StaticNode};

use measure::{count_nodes, depth};

pub use kind::JsonKind;
pub use measure::depth_of_text;
pub use write::{WriteError, push_string};

/// The maximum nesting depth of lists and objects in received documents. Events, responses and exports put a document
/// inside of some more levels, and must be readable by parsers that read 127 levels, such as `serde_json`.
pub const MAX_DEPTH: usize = 100;

/// The maximum nesting depth in stored documents: documents of 127 levels were accepted once, and are shown inside of
/// others.
const MAX_STORED_DEPTH: usize = 130;

/// The maximum number of values and member names of a document. Each takes more memory than two bytes of text, which is
/// all that a number in a list needs.
pub const MAX_NODES: usize = 500_000;

/// The maximum length of a text whose parser buffers are kept, in bytes: each thread has its own.
const MAX_KEPT_BYTES: usize = 1024 * 1024;

/// A JSON document as canonical text: no insignificant white space, the members of objects sorted by name, and only the
/// last of repeated members. Cloning it copies a pointer, never the text.
#[derive(Clone, Debug)]
pub struct CanonicalJson {
    text: Arc<String>,
    /// Whether it is known to be nested no deeper than [`MAX_DEPTH`].
    is_shallow: bool,
}

impl CanonicalJson {
    /// The canonical text of a value, of at most `max_bytes` bytes. If it is an object, the members `without` are left
    /// out.
    pub fn try_new(value: JsonValue<'_>, without: &[&str], max_bytes: usize) -> Result<Self, WriteError> {
        let text = Arc::new(write::canonical(value, without, None, max_bytes)?);
        Ok(Self { text, is_shallow: depth(&value.0[..write::nodes_of(value.0)]) <= MAX_DEPTH })
    }

    /// Whether it is nested deeper than received documents may be.
    #[must_use]
    pub fn is_too_deep(&self) -> bool {
        !self.is_shallow && depth_of_text(&self.text) > MAX_DEPTH
    }

    /// A text that was composed of canonical texts and is canonical itself.
    pub(crate) fn of_canonical(text: String) -> Self {
        Self { text: Arc::new(text), is_shallow: false }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for CanonicalJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// The name of the struct whose only member `serde_json` writes as it is. Its own `RawValue` is written so, but one
/// could be made of our text only by parsing the text again.
const VERBATIM: &str = "$serde_json::private::RawValue";

fn serialize_verbatim<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut verbatim = serializer.serialize_struct(VERBATIM, 1)?;
    verbatim.serialize_field(VERBATIM, text)?;
    verbatim.end()
}

impl Serialize for CanonicalJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_verbatim(self.as_str(), serializer)
    }
}

impl<'de> Deserialize<'de> for CanonicalJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self { text: Arc::new(Box::<str>::from(raw).into()), is_shallow: false })
    }
}

thread_local! {
    /// The buffers of the parser, kept because allocating them costs as much as parsing a small text.
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// The number of bytes of padding after a text that is parsed, because the parser reads it in blocks. A text with
/// capacity for them is not copied.
pub const PADDING: usize = simd_json::INPUT_PADDING;

/// A parsed JSON document that is only read and written again.
///
/// It is one flat list of nodes that borrow their texts from what was parsed, so that parsing takes a fifth of the
/// time of building a tree, which is most of the work of saving a dashboard.
#[derive(Debug)]
pub struct JsonDocument<'a>(Tape<'a>);

/// The reason why a text is not a JSON document.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON.
    #[error("invalid JSON: {0}")]
    Invalid(simd_json::Error),
    /// It is nested too deep.
    #[error("invalid JSON: nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// It has too many values.
    #[error("invalid JSON: more than {MAX_NODES} values and member names")]
    TooMany,
}

impl JsonError {
    /// The error message with the place of the error in the text that was parsed.
    #[must_use]
    pub fn explained(&self, text: &[u8]) -> String {
        match self {
            Self::Invalid(error) => format!("invalid JSON: {}", fault::explain(text, error)),
            Self::TooDeep | Self::TooMany => self.to_string(),
        }
    }
}

impl<'a> JsonDocument<'a> {
    /// Parses a text, whose escapes are resolved in place.
    pub fn try_parse(text: &'a mut Vec<u8>) -> Result<Self, JsonError> {
        Self::try_parse_within(text, MAX_DEPTH)
    }

    /// Parses a stored text, which may have been accepted when documents could be nested deeper.
    pub fn try_parse_stored(text: &'a mut Vec<u8>) -> Result<Self, JsonError> {
        Self::try_parse_within(text, MAX_STORED_DEPTH)
    }

    fn try_parse_within(text: &'a mut Vec<u8>, max_depth: usize) -> Result<Self, JsonError> {
        if has_more_nodes(text, MAX_NODES) {
            return Err(JsonError::TooMany);
        }
        let mut tape = Tape(Vec::new());
        let length = text.len();
        text.resize(length + PADDING, 0);
        BUFFERS
            .with_borrow_mut(|buffers| {
                let filled = simd_json::fill_tape_padded(text, length, buffers, &mut tape);
                if length > MAX_KEPT_BYTES {
                    *buffers = Buffers::default();
                }
                filled
            })
            .map_err(JsonError::Invalid)?;
        if depth(&tape.0) > max_depth { Err(JsonError::TooDeep) } else { Ok(Self(tape)) }
    }

    /// The root value of the document.
    #[must_use]
    pub fn root(&self) -> JsonValue<'_> {
        JsonValue(&self.0.0)
    }
}

/// Whether a text has more than `most` values and member names. It need not be JSON.
#[must_use]
pub fn has_more_nodes(text: &[u8], most: usize) -> bool {
    // Each value takes at least two bytes, including its separator from the next one.
    text.len() / 2 >= most && count_nodes(text) > most
}

/// A value inside a document: the nodes from its own on.
#[derive(Clone, Copy, Debug)]
pub struct JsonValue<'a>(&'a [Node<'a>]);

/// Rewrites a text to a new one of at most so many bytes.
pub type Rewrite<'a> = &'a dyn Fn(&str, usize) -> Rewritten;

/// The result of rewriting a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Rewritten {
    /// The text is unchanged.
    Same,
    /// The new text.
    Text(String),
    /// The new text would be too long.
    TooLong,
}

impl<'a> JsonValue<'a> {
    /// The last member of that name, if the value is an object that has one.
    #[must_use]
    pub fn get(self, name: &str) -> Option<JsonValue<'a>> {
        self.members().filter(|(member, _)| *member == name).last().map(|(_, value)| value)
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        match self.0.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one that fits. Some clients write whole numbers as `39.0`.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self.kind() {
            JsonKind::Whole(number) => Some(number),
            _ => None,
        }
    }

    /// The number, if it is one that is written with a point or an exponent.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        match self.0.first() {
            Some(Node::Static(StaticNode::F64(number))) => Some(*number),
            _ => None,
        }
    }

    /// Whether it is `true` or `false`, if it is one of them.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.0.first() {
            Some(Node::Static(StaticNode::Bool(value))) => Some(*value),
            _ => None,
        }
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.0.first(), Some(Node::Static(StaticNode::Null)))
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        matches!(self.0.first(), Some(Node::Object { .. }))
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(self.0.first(), Some(Node::Array { .. }))
    }

    /// The canonical text of the value, of at most `max_bytes` bytes, with its texts rewritten, but not the names of
    /// members.
    pub fn rewritten(
        self,
        without: &[&str],
        rewrite: Rewrite<'_>,
        max_bytes: usize,
    ) -> Result<Vec<u8>, WriteError> {
        write::canonical(self, without, Some(rewrite), max_bytes).map(String::into_bytes)
    }

    /// The first bytes of the canonical text, and whether there are more.
    #[must_use]
    pub fn beginning(self, max_bytes: usize) -> (String, bool) {
        write::beginning(self, max_bytes)
    }

    /// The items, if it is a list; nothing if not.
    pub fn items(self) -> impl Iterator<Item = JsonValue<'a>> {
        let length = if let Some(Node::Array { len, .. }) = self.0.first() { *len } else { 0 };
        let mut rest = &self.0[1.min(self.0.len())..];
        (0..length).map(move |_| take_value(&mut rest))
    }

    /// The members of two canonical objects by name, each with its value in either object. Members of canonical objects
    /// are sorted, so both are walked side by side.
    pub fn members_beside(
        self,
        other: JsonValue<'a>,
    ) -> impl Iterator<Item = (&'a str, Option<JsonValue<'a>>, Option<JsonValue<'a>>)> {
        let (mut left, mut right) = (self.members().peekable(), other.members().peekable());
        std::iter::from_fn(move || {
            let order = match (left.peek(), right.peek()) {
                (Some((left, _)), Some((right, _))) => left.cmp(right),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            let left = if order.is_le() { left.next() } else { None };
            let right = if order.is_ge() { right.next() } else { None };
            let (name, _) = left.or(right)?;
            Some((name, left.map(|(_, value)| value), right.map(|(_, value)| value)))
        })
    }

    /// The members in the order in which they were written, if it is an object; nothing if not.
    pub fn members(self) -> impl Iterator<Item = (&'a str, JsonValue<'a>)> {
        let length = if let Some(Node::Object { len, .. }) = self.0.first() { *len } else { 0 };
        let mut rest = &self.0[1.min(self.0.len())..];
        (0..length).map(move |_| {
            let name = take_value(&mut rest).as_str().unwrap_or_default();
            (name, take_value(&mut rest))
        })
    }
}

/// Takes the first value off a list of nodes.
fn take_value<'a>(rest: &mut &'a [Node<'a>]) -> JsonValue<'a> {
    let value = JsonValue(rest);
    *rest = &rest[value.own().len()..];
    value
}

impl<'a> JsonValue<'a> {
    /// The nodes of the value without those that follow it.
    fn own(self) -> &'a [Node<'a>] {
        self.0.get(..write::nodes_of(self.0)).unwrap_or(self.0)
    }
}

impl Serialize for JsonValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = write::canonical(*self, &[], None, usize::MAX).map_err(serde::ser::Error::custom)?;
        serialize_verbatim(&text, serializer)
    }
}

#[cfg(test)]
pub(crate) mod tests;
