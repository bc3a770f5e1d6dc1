//! Equality of parts of two documents, without comparing each part again for every list and object around it.

use std::hash::{DefaultHasher, Hasher};

use simd_json::StaticNode;
use simd_json::tape::Node;

use super::JsonValue;
use super::write::nodes_of;

/// Two canonical documents, with a hash of each value in them.
pub(super) struct Fingerprints {
    old: Hashes,
    new: Hashes,
}

/// The hashes of the values of a document by their nodes.
struct Hashes {
    /// How many nodes there are from the root on.
    nodes: usize,
    hashes: Vec<u64>,
}

impl Fingerprints {
    pub(super) fn of(old: JsonValue<'_>, new: JsonValue<'_>) -> Self {
        Self { old: Hashes::of(old), new: Hashes::of(new) }
    }

    /// Whether a value of the old document is the same as one of the new. Values that differ almost never have the same
    /// hash, so only values that are the same are looked at, and what is inside of those is not compared again.
    pub(super) fn is_same(&self, old: JsonValue<'_>, new: JsonValue<'_>) -> bool {
        self.old.get(old) == self.new.get(new) && old.own() == new.own()
    }
}

impl Hashes {
    /// From the last node to the first, so that the hash of a list or object is made of those of the values in it.
    fn of(root: JsonValue<'_>) -> Self {
        let own = root.own();
        let mut hashes = vec![0; own.len()];
        for (index, node) in own.iter().enumerate().rev() {
            let mut hasher = DefaultHasher::new();
            match node {
                Node::String(text) => hasher.write(text.as_bytes()),
                Node::Static(StaticNode::U64(number)) => hasher.write_u64(*number),
                Node::Static(StaticNode::I64(number)) => hasher.write_i64(*number),
                Node::Static(StaticNode::F64(number)) => hasher.write_u64(number.to_bits()),
                Node::Static(StaticNode::Bool(value)) => hasher.write_u8(u8::from(*value)),
                Node::Static(StaticNode::Null) => {}
                Node::Array { .. } | Node::Object { .. } => {
                    let (mut inner, end) = (index + 1, index + nodes_of(&own[index..]));
                    while inner < end {
                        hasher.write_u64(hashes[inner]);
                        inner += nodes_of(&own[inner..]);
                    }
                }
            }
            hashes[index] = hasher.finish();
        }
        Self { nodes: root.0.len(), hashes }
    }

    fn get(&self, value: JsonValue<'_>) -> Option<u64> {
        self.hashes.get(self.nodes.checked_sub(value.0.len())?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::compared;
    use super::*;

    #[test]
    fn values_are_told_apart_wherever_they_are() {
        let same: Vec<bool> =
            compared(r#"[1,[1,{"a":[]}],"x",null,[]]"#, r#"[1,[1,{"a":[]}],"y",false,{}]"#, |old, new| {
                let fingerprints = Fingerprints::of(old, new);
                assert!(!fingerprints.is_same(old, new));
                old.items().zip(new.items()).map(|(old, new)| fingerprints.is_same(old, new)).collect()
            });
        assert_eq!(same, [true, true, false, false, false]);
    }

    /// Equal values have the same hash, and other values have different ones.
    #[test]
    fn a_value_has_the_same_hash_in_both_documents_and_another_than_its_neighbours() {
        let text = r#"["",1,-1,1.5,true,false,[1],[1,2],{"a":1},{"b":1},["a"]]"#;
        compared(text, text, |old, new| {
            let fingerprints = Fingerprints::of(old, new);
            let hashes = |hashes: &Hashes, root: JsonValue<'_>| -> Vec<_> {
                root.items().map(|item| hashes.get(item).unwrap()).collect()
            };
            let (of_old, of_new) = (hashes(&fingerprints.old, old), hashes(&fingerprints.new, new));
            assert_eq!(of_old, of_new);
            let different: std::collections::HashSet<_> = of_old.iter().collect();
            assert_eq!(different.len(), of_old.len());
            assert!(fingerprints.is_same(old, new));
        });
    }
}
