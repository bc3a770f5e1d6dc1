//! Reads the members of an expression.

use serde_json::{Map, Value};

/// The members of an object.
pub(super) type Members = Map<String, Value>;

/// A text; empty if it is missing.
pub(super) fn text<'a>(members: &'a Members, name: &str) -> Result<&'a str, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("`{name}` must be a text")),
    }
}

/// A number; `None` if it is missing. Some clients send it as a text.
pub(super) fn number(members: &Members, name: &str) -> Result<Option<f64>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match as_number(value) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("`{name}` must be a number")),
        },
    }
}

/// The number of a value; `None` if it is not a number.
pub(super) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

/// An object; `None` if it is missing.
pub(super) fn object<'a>(members: &'a Members, name: &str) -> Result<Option<&'a Members>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(format!("`{name}` must be an object")),
    }
}

/// A list; empty if it is missing.
pub(super) fn list<'a>(members: &'a Members, name: &str) -> Result<&'a [Value], String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("`{name}` must be a list")),
    }
}

/// The objects of a list of 1 to `max` objects.
pub(super) fn objects<'a>(members: &'a Members, name: &str, max: usize) -> Result<Vec<&'a Members>, String> {
    let list = list(members, name)?;
    if list.is_empty() || list.len() > max {
        return Err(format!("`{name}` must be a list of 1 to {max} objects"));
    }
    list.iter()
        .map(|value| value.as_object().ok_or_else(|| format!("`{name}` must have objects only")))
        .collect()
}

/// The name of an input as people write it: `A`, `$A` or `${A}`.
pub(super) fn input(text: &str) -> Result<String, String> {
    let name = text.trim();
    let name = name.strip_prefix('$').unwrap_or(name);
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    if name.is_empty() { Err("it names no input".to_owned()) } else { Ok(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_have_types() {
        let value = json!({
            "text": "a", "number": 1.5, "numberText": " 2 ", "list": [{}, {}], "mixed": [1], "object": {}, "null": null,
        });
        let members = value.as_object().unwrap();
        assert_eq!(
            (text(members, "text"), text(members, "null"), text(members, "none")),
            (Ok("a"), Ok(""), Ok(""))
        );
        assert_eq!(text(members, "number"), Err("`number` must be a text".to_owned()));
        assert_eq!(number(members, "number"), Ok(Some(1.5)));
        assert_eq!(number(members, "numberText"), Ok(Some(2.0)));
        assert_eq!((number(members, "null"), number(members, "none")), (Ok(None), Ok(None)));
        assert_eq!(number(members, "text"), Err("`text` must be a number".to_owned()));
        assert_eq!(as_number(&json!("inf")), None);
        assert!(object(members, "object").unwrap().is_some() && object(members, "null").unwrap().is_none());
        assert!(object(members, "none").unwrap().is_none());
        assert_eq!(object(members, "text"), Err("`text` must be an object".to_owned()));
        assert_eq!(list(members, "list").unwrap().len(), 2);
        assert!(list(members, "none").unwrap().is_empty() && list(members, "null").unwrap().is_empty());
        assert_eq!(list(members, "text"), Err("`text` must be a list".to_owned()));
        assert_eq!(objects(members, "list", 2).unwrap().len(), 2);
        assert_eq!(objects(members, "list", 1), Err("`list` must be a list of 1 to 1 objects".to_owned()));
        assert!(objects(members, "none", 1).is_err());
        assert_eq!(objects(members, "mixed", 1), Err("`mixed` must have objects only".to_owned()));
    }

    #[test]
    fn inputs_are_named_as_people_do() {
        for text in ["A", "$A", "${A}", " $A "] {
            assert_eq!(input(text).as_deref(), Ok("A"));
        }
        assert_eq!(input("${my query}").as_deref(), Ok("my query"));
        assert!(input(" $").is_err() && input("${}").is_err());
    }
}
