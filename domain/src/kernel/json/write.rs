//! Writes canonical JSON.
//!
//! A dashboard has thousands of nodes, so this writes straight into one text: no call through a serializer for each
//! node, and no list of its own for the members of each object.

use std::io;

use serde::ser::Error;
use simd_json::StaticNode;
use simd_json::tape::Node;

use super::{JsonValue, Rewrite, Rewritten};
use crate::kernel::text::char_boundary;

/// The average number of bytes of a node, for the initial capacity of the text.
const BYTES_OF_NODE: usize = 10;

/// The reason why a value is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Its text would be too long.
    #[error("the text of the value is too long")]
    TooLong,
    /// It cannot be serialized.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The canonical text of a value, of at most `max_bytes` bytes. If it is an object, some members are left out; texts
/// are rewritten if a rewrite is given.
pub(super) fn canonical(
    value: JsonValue<'_>,
    without: &[&str],
    rewrite: Option<Rewrite<'_>>,
    max_bytes: usize,
) -> Result<String, WriteError> {
    let mut writer = Writer::new(value, rewrite, max_bytes);
    writer.value(value.0, without)?;
    writer.must_fit()?;
    Ok(String::from_utf8(writer.text).map_err(serde_json::Error::custom)?)
}

/// The first bytes of the canonical text of a value, and whether there are more.
pub(super) fn beginning(value: JsonValue<'_>, max_bytes: usize) -> (String, bool) {
    let mut writer = Writer::new(value, None, max_bytes);
    let written = writer.value(value.0, &[]).map(drop).and_then(|()| writer.must_fit());
    let mut text = String::from_utf8(writer.text).unwrap_or_default();
    text.truncate(char_boundary(&text, max_bytes));
    (text, written.is_err())
}

/// How many nodes the first value of a list has.
pub(super) fn nodes_of(nodes: &[Node<'_>]) -> usize {
    match nodes.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => count + 1,
        Some(_) => 1,
        None => 0,
    }
}

/// A member of an object: its name, and the nodes from its value on.
type Member<'a> = (&'a str, &'a [Node<'a>]);

struct Writer<'a, 'r> {
    text: Vec<u8>,
    max_bytes: usize,
    rewrite: Option<Rewrite<'r>>,
    /// The members of the objects that are being written, those of the innermost last.
    members: Vec<Member<'a>>,
}

impl<'a, 'r> Writer<'a, 'r> {
    fn new(value: JsonValue<'_>, rewrite: Option<Rewrite<'r>>, max_bytes: usize) -> Self {
        let text = Vec::with_capacity((nodes_of(value.0) * BYTES_OF_NODE).min(max_bytes));
        Self { text, max_bytes, rewrite, members: Vec::new() }
    }

    fn must_fit(&self) -> Result<(), WriteError> {
        if self.text.len() > self.max_bytes { Err(WriteError::TooLong) } else { Ok(()) }
    }

    /// Writes a text, or as much of it as there is room for.
    fn string(&mut self, text: &str) -> Result<(), WriteError> {
        let left = self.max_bytes.saturating_sub(self.text.len());
        if text.len() > left {
            push_string(&mut self.text, &text[..char_boundary(text, left)])?;
            return Err(WriteError::TooLong);
        }
        if !needs_escapes(text.as_bytes()) {
            return Ok(push_string(&mut self.text, text)?);
        }
        // Escapes can make a text six times as long.
        let limited = Limited { text: &mut self.text, max_bytes: self.max_bytes };
        serde_json::to_writer(limited, text).map_err(|_| WriteError::TooLong)
    }

    /// Writes the first value of a list, and returns what follows it.
    fn value(&mut self, nodes: &'a [Node<'a>], without: &[&str]) -> Result<&'a [Node<'a>], WriteError> {
        let Some((node, rest)) = nodes.split_first() else { return Ok(nodes) };
        self.must_fit()?;
        match node {
            Node::String(text) => {
                let left = self.max_bytes.saturating_sub(self.text.len());
                match self.rewrite.map_or(Rewritten::Same, |rewrite| rewrite(text, left)) {
                    Rewritten::Same => self.string(text)?,
                    Rewritten::Text(rewritten) => self.string(&rewritten)?,
                    Rewritten::TooLong => return Err(WriteError::TooLong),
                }
            }
            Node::Static(StaticNode::U64(number)) => serde_json::to_writer(&mut self.text, number)?,
            Node::Static(StaticNode::I64(number)) => serde_json::to_writer(&mut self.text, number)?,
            Node::Static(StaticNode::F64(number)) => serde_json::to_writer(&mut self.text, number)?,
            Node::Static(StaticNode::Null) => self.text.extend_from_slice(b"null"),
            Node::Static(StaticNode::Bool(true)) => self.text.extend_from_slice(b"true"),
            Node::Static(StaticNode::Bool(false)) => self.text.extend_from_slice(b"false"),
            Node::Array { len, .. } => return self.array(*len, rest),
            Node::Object { len, .. } => return self.object(*len, rest, without),
        }
        Ok(rest)
    }

    fn array(&mut self, length: usize, mut rest: &'a [Node<'a>]) -> Result<&'a [Node<'a>], WriteError> {
        self.text.push(b'[');
        for index in 0..length {
            if index > 0 {
                self.text.push(b',');
            }
            rest = self.value(rest, &[])?;
        }
        self.text.push(b']');
        Ok(rest)
    }

    fn object(
        &mut self,
        length: usize,
        mut rest: &'a [Node<'a>],
        without: &[&str],
    ) -> Result<&'a [Node<'a>], WriteError> {
        let first = self.members.len();
        for _ in 0..length {
            let Some((Node::String(name), value)) = rest.split_first() else { break };
            if !without.contains(name) {
                self.members.push((name, value));
            }
            rest = value.get(nodes_of(value)..).unwrap_or_default();
        }
        // A stable sort keeps repeated members in order, so that the last of them can be kept.
        self.members[first..].sort_by_key(|(name, _)| *name);
        let end = self.members.len();
        let mut separator = b'{';
        for index in first..end {
            let (name, value) = self.members[index];
            if index + 1 < end && self.members[index + 1].0 == name {
                continue;
            }
            self.text.push(separator);
            separator = b',';
            self.string(name)?;
            self.text.push(b':');
            self.value(value, &[])?;
        }
        if separator == b'{' {
            self.text.push(b'{');
        }
        self.text.push(b'}');
        self.members.truncate(first);
        Ok(rest)
    }
}

/// Accepts bytes up to a maximum.
struct Limited<'a> {
    text: &'a mut Vec<u8>,
    max_bytes: usize,
}

impl io::Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.text.len() + bytes.len() > self.max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes a text as a JSON string.
pub fn push_string(out: &mut Vec<u8>, text: &str) -> Result<(), serde_json::Error> {
    if needs_escapes(text.as_bytes()) {
        return serde_json::to_writer(out, text);
    }
    out.reserve(text.len() + 2);
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
    Ok(())
}

/// Whether a text has bytes that must be escaped: control characters, quotes and backslashes. It checks eight bytes at
/// once, because most texts are short and a loop over bytes is a tenth of the work of writing.
fn needs_escapes(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().any(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\');
    };
    let (blocks, _) = text.as_chunks::<BLOCK>();
    blocks.iter().chain([last]).fold(0, |found, block| found | special_bytes(u64::from_ne_bytes(*block))) != 0
}

const BLOCK: usize = 8;

/// Eight bytes of which at least one has its highest bit set if a byte of a block is special; none if not. See "Determine if
/// a word has a byte less than n" in Anderson's Bit Twiddling Hacks.
fn special_bytes(block: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; BLOCK]);
    const HIGHEST: u64 = ONES << 7;
    let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
    let is_control = block.wrapping_sub(ONES * 0x20) & !block;
    let is_quote = is_zero(block ^ (ONES * u64::from(b'"')));
    let is_backslash = is_zero(block ^ (ONES * u64::from(b'\\')));
    (is_control | is_quote | is_backslash) & HIGHEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::json::{CanonicalJson, JsonDocument};

    #[test]
    fn a_text_needs_escapes_if_any_byte_of_it_does() {
        for byte in u8::MIN..=u8::MAX {
            let is_special = byte < 0x20 || byte == b'"' || byte == b'\\';
            for length in 1..=2 * BLOCK + 1 {
                for place in 0..length {
                    for around in [b'a', 0xFF, b' ', b'!', b'#', b'['] {
                        let mut text = vec![around; length];
                        text[place] = byte;
                        assert_eq!(needs_escapes(&text), is_special, "{text:?}");
                    }
                }
            }
        }
        assert!(!needs_escapes(b""));
    }

    #[test]
    fn a_text_is_written_as_json_has_it() {
        for text in ["", "plain", "é", "a \"quoted\" text", "back\\slash", "\u{1}\n", "eight b\ttes"] {
            let mut written = b"x".to_vec();
            push_string(&mut written, text).unwrap();
            let expected = format!("x{}", serde_json::to_string(text).unwrap());
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
    }

    #[test]
    fn a_value_is_written_whole_or_up_to_where_it_has_to_end() {
        let canonical =
            r#"{"a\n":[],"b":["é",{"c":"0\"123456789"},{}],"c":[-1,1,1.5,true,false,null,"long text"]}"#;
        let mut text = canonical.as_bytes().to_vec();
        let document = JsonDocument::try_parse(&mut text).unwrap();
        for max_bytes in 0..canonical.len() + 2 {
            let written = CanonicalJson::try_new(document.root(), &[], max_bytes);
            let (beginning, is_cut) = document.root().beginning(max_bytes);
            assert!(canonical.starts_with(&beginning) && beginning.len() <= max_bytes, "{beginning}");
            if max_bytes < canonical.len() {
                assert!(matches!(written, Err(WriteError::TooLong)) && is_cut, "{max_bytes}");
            } else {
                assert_eq!(written.unwrap().as_str(), canonical);
                assert_eq!((beginning.as_str(), is_cut), (canonical, false));
            }
        }
    }

    #[test]
    fn of_a_value_that_is_too_long_as_much_is_told_as_there_is_room_for() {
        let canonical = r#"["four",["é",10],{"name":"a longer text"}]"#;
        let mut text = canonical.as_bytes().to_vec();
        let document = JsonDocument::try_parse(&mut text).unwrap();
        for max_bytes in 0..canonical.len() {
            let whole = char_boundary(canonical, max_bytes);
            let (beginning, _) = document.root().beginning(max_bytes);
            assert_eq!(beginning, canonical[..whole], "{max_bytes}");
        }
    }

    /// A writer accepts the bytes that it reports as written, so that nothing is written twice or lost.
    #[test]
    fn bytes_are_taken_as_long_as_there_is_room() {
        use io::Write;

        let mut text = b"[".to_vec();
        let mut limited = Limited { text: &mut text, max_bytes: 4 };
        assert_eq!(limited.write(b"ab").unwrap(), 2);
        assert_eq!(limited.write(b"cd").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(limited.write(b"c").unwrap(), 1);
        limited.flush().unwrap();
        assert_eq!(text, b"[abc");
    }

    #[test]
    fn a_value_has_as_many_nodes_as_it_has_values_and_names() {
        for (text, expected) in [("1", 1), ("[]", 1), ("[1,[2]]", 4), (r#"{"a":{"b":1}}"#, 5)] {
            let mut parsed = text.as_bytes().to_vec();
            assert_eq!(nodes_of(JsonDocument::try_parse(&mut parsed).unwrap().root().0), expected, "{text}");
        }
        assert_eq!(nodes_of(&[]), 0);
    }
}
