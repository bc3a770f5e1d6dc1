//! The size and the depth of JSON documents.

use simd_json::tape::Node;

/// How deep lists and objects are nested in a JSON text.
#[must_use]
pub fn depth_of_text(text: &str) -> usize {
    let (mut depth, mut deepest, mut is_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        if is_text {
            (is_text, is_escaped) = (is_escaped || byte != b'"', !is_escaped && byte == b'\\');
            continue;
        }
        match byte {
            b'"' => is_text = true,
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The number of values and names in a JSON text, counted by their separators.
pub(super) fn count_nodes(text: &[u8]) -> usize {
    let (mut nodes, mut is_text, mut is_escaped, mut is_opened) = (1, false, false, false);
    for byte in text {
        if is_text {
            (is_text, is_escaped) = (is_escaped || *byte != b'"', !is_escaped && *byte == b'\\');
            continue;
        }
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'"' => is_text = true,
            _ => {}
        }
        let is_first = is_opened && !matches!(byte, b']' | b'}');
        nodes += usize::from(is_first) + usize::from(matches!(byte, b',' | b':'));
        is_opened = matches!(byte, b'[' | b'{');
    }
    nodes
}

/// How deep lists and objects are nested.
pub(super) fn depth(nodes: &[Node<'_>]) -> usize {
    let mut deepest = 0;
    // The ends of the lists and objects that are open.
    let mut ends = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        while ends.last().is_some_and(|end| *end <= index) {
            ends.pop();
        }
        if let Node::Object { count, .. } | Node::Array { count, .. } = node {
            ends.push(index + 1 + count);
            deepest = deepest.max(ends.len());
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::json::JsonDocument;

    #[test]
    fn the_depth_of_a_text_is_that_of_its_values() {
        for (text, expected) in [
            ("1", 0),
            ("[]", 1),
            ("[[[]],[],[[]]]", 3),
            (r#"{"a":[1,{}],"b":[[]]}"#, 3),
            (r#"["[[\"[","\\",{"[":1}]"#, 2),
            (r#"["\\\"[[["]"#, 1),
        ] {
            assert_eq!(depth_of_text(text), expected, "{text}");
            let mut parsed = text.as_bytes().to_vec();
            assert_eq!(depth(&JsonDocument::try_parse(&mut parsed).unwrap().0.0), expected, "{text}");
        }
    }

    #[test]
    fn a_text_that_closes_more_than_it_opens_has_a_depth_too() {
        assert_eq!((depth_of_text("]]}[]"), depth_of_text("]")), (1, 0));
    }

    #[test]
    fn values_and_names_are_counted_by_what_separates_them() {
        for (text, expected) in [
            ("1", 1),
            ("[ ]", 1),
            ("[\t\n\r 1]", 2),
            (r#"{"a" : [1, "x"], "b": {}}"#, 7),
            (r#"["\",:[{\\",2]"#, 3),
            (r#"["\\",2]"#, 3),
            ("[[],{}]", 3),
        ] {
            assert_eq!(count_nodes(text.as_bytes()), expected, "{text}");
        }
    }
}
