//! Parses forms from JSON like Go's `encoding/json`, which Grafana's clients expect: member names in any case, the last
//! of repeated members, `null` as absent, and no value of a wrong type. Unlike there, an integer may be written as
//! `39.0`.

use std::fmt;

use kymograph_domain::CanonicalJson;
use kymograph_domain::kernel::json::{JsonKind, JsonValue};
use serde::Deserialize;
use serde::de::value::BorrowedStrDeserializer;

/// The error of a form.
pub(crate) use serde::de::value::Error as Fault;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

/// Reads a form, of which all members have a default.
pub(crate) fn read<'a, T: Deserialize<'a>>(value: JsonValue<'a>) -> Result<T, Fault> {
    T::deserialize(Member(value))
}

/// Reads one member of an object, unless it is absent or `null`.
pub(crate) fn read_member<'a, T: Deserialize<'a>>(
    object: JsonValue<'a>,
    name: &str,
) -> Result<Option<T>, Fault> {
    member(object, name).map(|value| read(value).map_err(|error| within(name, &error))).transpose()
}

/// The raw member of a form, unless it is absent or `null`.
pub(crate) fn member<'a>(object: JsonValue<'a>, name: &str) -> Option<JsonValue<'a>> {
    let members =
        object.members().filter(|(member, value)| member.eq_ignore_ascii_case(name) && !value.is_null());
    members.last().map(|(_, value)| value)
}

/// How many characters of a text an error contains.
const MAX_SHOWN: usize = 100;

/// The error of a member, with its path.
fn within(name: &str, error: &Fault) -> Fault {
    Fault::custom(format_args!("{name}: {error}"))
}

/// The value of a wrong type in an error; a text is cut, since serde escapes it and each level copies the error.
fn unexpected(value: JsonValue<'_>) -> Unexpected<'_> {
    match value.kind() {
        JsonKind::Null => Unexpected::Unit,
        JsonKind::Bool(value) => Unexpected::Bool(value),
        JsonKind::Whole(number) => Unexpected::Signed(number),
        JsonKind::Number(number) => Unexpected::Float(number),
        JsonKind::Text(text) => Unexpected::Str(beginning(text)),
        JsonKind::List => Unexpected::Seq,
        JsonKind::Object => Unexpected::Map,
    }
}

/// The first characters of a text, more than any variant has.
fn beginning(text: &str) -> &str {
    text.char_indices().nth(MAX_SHOWN).map_or(text, |(end, _)| &text[..end])
}

/// Deserializes values of types other than texts: the error for a text contains its beginning.
macro_rules! deserialize_no_text {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.kind() {
                JsonKind::Text(_) => Err(Fault::invalid_type(unexpected(self.0), &visitor)),
                _ => self.deserialize_any(visitor),
            }
        })*
    };
}

/// The name of the newtype whose value is kept as it is.
const VERBATIM: &str = "$verbatim";

/// A member of a form that is kept as it is, whatever it is.
#[derive(Debug)]
pub(crate) struct Verbatim(pub(crate) CanonicalJson);

impl<'de> Deserialize<'de> for Verbatim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(VERBATIM, CanonicalText)
    }
}

/// Takes the canonical text of a value.
struct CanonicalText;

impl Visitor<'_> for CanonicalText {
    type Value = Verbatim;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member of a form")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Verbatim, E> {
        serde_json::from_str(text).map(Verbatim).map_err(E::custom)
    }
}

/// A typed value.
struct Member<'a>(JsonValue<'a>);

impl<'de> Deserializer<'de> for Member<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.kind() {
            JsonKind::Null => visitor.visit_unit(),
            JsonKind::Bool(value) => visitor.visit_bool(value),
            JsonKind::Whole(number) => visitor.visit_i64(number),
            JsonKind::Number(number) => visitor.visit_f64(number),
            // Texts with NUL cannot be stored.
            JsonKind::Text(text) if text.contains('\0') => {
                Err(Fault::custom("a text cannot have NUL characters"))
            }
            JsonKind::Text(text) => visitor.visit_borrowed_str(text),
            JsonKind::List => {
                let items = self.0.items().collect::<Vec<_>>().into_iter();
                visitor.visit_seq(Items { items, index: 0 })
            }
            // Only what is kept as it is takes an object here: the members of forms are known by name.
            JsonKind::Object => {
                let members = self.0.members().collect::<Vec<_>>().into_iter();
                visitor.visit_map(Entries { members, current: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == VERBATIM {
            let value = CanonicalJson::try_new(self.0, &[], usize::MAX).map_err(Fault::custom)?;
            return visitor.visit_str(value.as_str());
        }
        visitor.visit_newtype_struct(self)
    }

    /// A list is not a form, although serde could read its items as members.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if !self.0.is_object() && !self.0.is_null() {
            return Err(Fault::invalid_type(unexpected(self.0), &"an object"));
        }
        let mut members = vec![None; names.len()];
        for (name, value) in self.0.members().filter(|(_, value)| !value.is_null()) {
            if let Some(index) = names.iter().position(|known| known.eq_ignore_ascii_case(name)) {
                members[index] = Some((names[index], value));
            }
        }
        visitor.visit_map(Members { members: members.into_iter(), current: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0.kind() {
            JsonKind::Text(text) => visitor.visit_enum(Variant(beginning(text))),
            _ => Err(Fault::invalid_type(unexpected(self.0), &"a text")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    deserialize_no_text! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_unit deserialize_seq deserialize_map
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit_struct tuple tuple_struct identifier
    }
}

/// A text that names a variant.
struct Variant<'a>(&'a str);

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = <BorrowedStrDeserializer<'de, Fault> as EnumAccess<'de>>::Variant;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self::Variant), Fault> {
        BorrowedStrDeserializer::new(self.0).variant_seed(seed)
    }
}

/// The members of an object that its form knows.
struct Members<'a> {
    members: std::vec::IntoIter<Option<(&'static str, JsonValue<'a>)>>,
    current: Option<(&'static str, JsonValue<'a>)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.members.by_ref().flatten().next();
        let name = self.current.map(|(name, _)| seed.deserialize(name.into_deserializer()));
        name.transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.current.take().ok_or_else(|| Fault::custom("a member without a name"))?;
        seed.deserialize(Member(value)).map_err(|error| within(name, &error))
    }
}

/// The members of an object, whatever they are.
struct Entries<'a> {
    members: std::vec::IntoIter<(&'a str, JsonValue<'a>)>,
    current: Option<(&'a str, JsonValue<'a>)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.members.next();
        self.current.map(|(name, _)| seed.deserialize(BorrowedStrDeserializer::new(name))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.current.take().ok_or_else(|| Fault::custom("a member without a name"))?;
        let within = |error| within(&beginning(name).replace('\0', ""), &error);
        seed.deserialize(Member(value)).map_err(within)
    }
}

/// The items of a list.
struct Items<'a> {
    items: std::vec::IntoIter<JsonValue<'a>>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let index = self.index;
        self.index += 1;
        let item = self.items.next().map(|item| seed.deserialize(Member(item)));
        item.transpose().map_err(|error| within(&format!("item {index}"), &error))
    }
}

#[cfg(test)]
mod tests {
    use kymograph_domain::kernel::json::JsonDocument;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Form {
        folder_uid: Option<String>,
        version: Option<i64>,
        overwrite: bool,
        #[serde(rename = "homeDashboardUID")]
        home: Option<String>,
        items: Option<Vec<Item>>,
        kind: Option<Kind>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Item {
        id: i64,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Basic,
    }

    fn form(text: &str) -> Result<Form, String> {
        let mut text = text.as_bytes().to_vec();
        let document = JsonDocument::try_parse(&mut text).unwrap();
        read(document.root()).map_err(|error: Fault| error.to_string())
    }

    #[test]
    fn names_are_read_in_any_case_and_the_last_counts() {
        let read = form(
            r#"{"FolderUID":"a","folderuid":"b","version":39.0,"Overwrite":true,"homedashboarduid":"h",
            "Items":[{"ID":1},{}],"KIND":"basic","other":[{}]}"#,
        );
        let expected = Form {
            folder_uid: Some("b".to_owned()),
            version: Some(39),
            overwrite: true,
            home: Some("h".to_owned()),
            items: Some(vec![Item { id: 1 }, Item { id: 0 }]),
            kind: Some(Kind::Basic),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn what_is_kept_as_it_is_can_be_anything() {
        #[derive(Debug, Deserialize)]
        struct Kept {
            data: Option<Verbatim>,
        }
        for (text, kept) in [
            (
                r#"{"data":{"b":[1,2.50,{"a":null}],"a":"\u0000"}}"#,
                Some(r#"{"a":"\u0000","b":[1,2.5,{"a":null}]}"#),
            ),
            (r#"{"DATA":"text","other":1}"#, Some(r#""text""#)),
            (r#"{"data":[]}"#, Some("[]")),
            (r#"{"data":false}"#, Some("false")),
            (r#"{"data":null}"#, None),
            ("{}", None),
        ] {
            let mut form = text.as_bytes().to_vec();
            let document = JsonDocument::try_parse(&mut form).unwrap();
            let read: Kept = read(document.root()).unwrap();
            assert_eq!(read.data.as_ref().map(|Verbatim(data)| data.as_str()), kept, "{text}");
        }
    }

    #[test]
    fn null_is_nothing() {
        let null = r#"{"folderUid":null,"version":null,"overwrite":null,"items":null,"kind":null}"#;
        assert_eq!(form(null), Ok(Form::default()));
        assert_eq!(form("null"), Ok(Form::default()));
        assert_eq!(form(r#"{"version":1,"version":null}"#).unwrap().version, Some(1));
    }

    #[test]
    fn no_value_stands_for_one_of_another_type() {
        for (text, fault) in [
            (r#"{"folderUid":5}"#, "folderUid: invalid type: integer `5`, expected a string"),
            (r#"{"version":"1"}"#, "version: invalid type: string \"1\", expected i64"),
            (r#"{"version":1.5}"#, "version: invalid type: floating point `1.5`, expected i64"),
            (r#"{"OVERWRITE":"true"}"#, "overwrite: invalid type: string \"true\", expected a boolean"),
            (r#"{"overwrite":1}"#, "overwrite: invalid type: integer `1`, expected a boolean"),
            (r#"{"items":{}}"#, "items: invalid type: map, expected a sequence"),
            (r#"{"items":[{"id":1},[1]]}"#, "items: item 1: invalid type: sequence, expected an object"),
            (r#"{"items":[{"id":"1"}]}"#, "items: item 0: id: invalid type: string \"1\", expected i64"),
            (r#"{"kind":["basic"]}"#, "kind: invalid type: sequence, expected a text"),
            (r#"{"folderUid":{"a":1}}"#, "folderUid: invalid type: map, expected a string"),
            (r#"["u","T"]"#, "invalid type: sequence, expected an object"),
            ("5", "invalid type: integer `5`, expected an object"),
        ] {
            assert_eq!(form(text), Err(fault.to_owned()), "{text}");
        }
        let long = "\u{7F}".repeat(100_000);
        for member in ["overwrite", "version", "items", "kind"] {
            let fault = form(&json!({member: long}).to_string()).unwrap_err();
            assert!(fault.len() < 1000, "{member}: {}", fault.len());
        }
    }
}
