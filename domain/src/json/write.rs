//! Writes canonical JSON.
//!
//! A dashboard has thousands of nodes, so this writes straight into one text: no call through a serializer for each
//! node, and no list of its own for the members of each object.

use serde::Serialize;
use simd_json::StaticNode;
use simd_json::tape::Node;

use super::JsonValue;

/// How many bytes a node has on the average, for the first size of the text.
const BYTES_OF_NODE: usize = 10;

/// The canonical text of a value, which leaves out some members of it if it is an object.
pub(super) fn canonical(value: JsonValue<'_>, without: &[&str]) -> Result<String, serde_json::Error> {
    let nodes = match value.0.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => *count,
        _ => 1,
    };
    let mut writer = Writer { text: String::with_capacity(nodes * BYTES_OF_NODE), members: Vec::new() };
    writer.value(value, without)?;
    Ok(writer.text)
}

struct Writer<'a> {
    text: String,
    /// The members of the objects that are being written, those of the innermost last.
    members: Vec<(&'a str, JsonValue<'a>)>,
}

impl<'a> Writer<'a> {
    fn value(&mut self, value: JsonValue<'a>, without: &[&str]) -> Result<(), serde_json::Error> {
        match value.0.first() {
            None | Some(Node::Static(StaticNode::Null)) => self.text.push_str("null"),
            Some(Node::Static(StaticNode::Bool(true))) => self.text.push_str("true"),
            Some(Node::Static(StaticNode::Bool(false))) => self.text.push_str("false"),
            Some(Node::Static(StaticNode::U64(number))) => self.plain(number)?,
            Some(Node::Static(StaticNode::I64(number))) => self.plain(number)?,
            Some(Node::Static(StaticNode::F64(number))) => self.plain(number)?,
            Some(Node::String(text)) => self.string(text)?,
            Some(Node::Array { .. }) => {
                self.text.push('[');
                for (index, item) in value.items().enumerate() {
                    if index > 0 {
                        self.text.push(',');
                    }
                    self.value(item, &[])?;
                }
                self.text.push(']');
            }
            Some(Node::Object { .. }) => self.object(value, without)?,
        }
        Ok(())
    }

    fn object(&mut self, object: JsonValue<'a>, without: &[&str]) -> Result<(), serde_json::Error> {
        let first = self.members.len();
        self.members.extend(object.members().filter(|(name, _)| !without.contains(name)));
        // A stable sort keeps repeated members in order, so that the last of them can be kept.
        self.members[first..].sort_by_key(|(name, _)| *name);
        let end = self.members.len();
        self.text.push('{');
        let mut is_first = true;
        for index in first..end {
            let (name, value) = self.members[index];
            // What follows the members of this object belongs to objects inside of it, which have ended.
            if index + 1 < end && self.members[index + 1].0 == name {
                continue;
            }
            if !is_first {
                self.text.push(',');
            }
            is_first = false;
            self.string(name)?;
            self.text.push(':');
            self.value(value, &[])?;
        }
        self.text.push('}');
        self.members.truncate(first);
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), serde_json::Error> {
        if needs_escapes(text) {
            return self.plain(text);
        }
        self.text.push('"');
        self.text.push_str(text);
        self.text.push('"');
        Ok(())
    }

    /// Writes what needs no care of ours, as all other JSON is written.
    fn plain<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), serde_json::Error> {
        self.text.push_str(&serde_json::to_string(value)?);
        Ok(())
    }
}

/// Whether a text has characters that cannot stand for themselves. Looks at blocks without leaving early, which the
/// compiler turns into a few instructions for a block.
fn needs_escapes(text: &str) -> bool {
    text.as_bytes().chunks(32).any(|block| {
        block.iter().fold(false, |found, byte| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\'))
    })
}
