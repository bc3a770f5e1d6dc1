//! The kinds of JSON values.

use simd_json::StaticNode;
use simd_json::tape::Node;

use super::JsonValue;

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum JsonKind<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, which some clients write as `39.0`.
    Whole(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(&'a str),
    /// A list.
    List,
    /// An object.
    Object,
}

impl<'a> JsonValue<'a> {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> JsonKind<'a> {
        match self.0.first() {
            None | Some(Node::Static(StaticNode::Null)) => JsonKind::Null,
            Some(Node::Static(StaticNode::Bool(value))) => JsonKind::Bool(*value),
            Some(Node::Static(StaticNode::I64(number))) => JsonKind::Whole(*number),
            #[expect(clippy::cast_precision_loss, reason = "it is only told of")]
            Some(Node::Static(StaticNode::U64(number))) => match i64::try_from(*number) {
                Ok(number) => JsonKind::Whole(number),
                Err(_) => JsonKind::Number(*number as f64),
            },
            Some(Node::Static(StaticNode::F64(number))) => match whole(*number) {
                Some(number) => JsonKind::Whole(number),
                None => JsonKind::Number(*number),
            },
            Some(Node::String(text)) => JsonKind::Text(text),
            Some(Node::Array { .. }) => JsonKind::List,
            Some(Node::Object { .. }) => JsonKind::Object,
        }
    }
}

/// A number that was written with a point or an exponent, if it is whole and exact.
#[expect(clippy::cast_possible_truncation, reason = "it has no fraction, and fits")]
fn whole(number: f64) -> Option<i64> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::json::JsonDocument;

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        let mut text = b"[39.0,1e3,-0.0,1.5,1e300,9007199254740994.0,18446744073709551615,7]".to_vec();
        let document = JsonDocument::try_parse(&mut text).unwrap();
        let numbers: Vec<_> = document.root().items().map(JsonValue::as_i64).collect();
        assert_eq!(numbers, [Some(39), Some(1000), Some(0), None, None, None, None, Some(7)]);
    }

    #[test]
    fn every_value_has_a_kind() {
        let mut text = b"[null,false,-7,18446744073709551615,0.5,\"a\",[],{}]".to_vec();
        let document = JsonDocument::try_parse(&mut text).unwrap();
        let kinds: Vec<_> = document.root().items().map(JsonValue::kind).collect();
        let expected = [
            JsonKind::Null,
            JsonKind::Bool(false),
            JsonKind::Whole(-7),
            JsonKind::Number(18_446_744_073_709_551_615.0),
            JsonKind::Number(0.5),
            JsonKind::Text("a"),
            JsonKind::List,
            JsonKind::Object,
        ];
        assert_eq!(kinds, expected);
        assert_eq!(JsonValue(&[]).kind(), JsonKind::Null);
    }

    #[test]
    fn the_largest_number_that_is_exact_is_whole() {
        let most = 9_007_199_254_740_992_i64;
        assert_eq!(
            (whole(9_007_199_254_740_992.0), whole(-9_007_199_254_740_992.0)),
            (Some(most), Some(-most))
        );
        assert_eq!(whole(f64::INFINITY), None);
    }
}
