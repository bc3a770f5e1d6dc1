//! Simplifies derived schemas.

use std::collections::BTreeSet;

use serde_json::Value;

const SCHEMAS: &str = "#/components/schemas/";

/// Removes parts that are irrelevant to clients: trivial defaults, and `null` of response members that are omitted
/// instead.
pub(super) fn simplify(document: &mut Value) {
    without_empty_defaults(document);
    let mut sent = BTreeSet::new();
    for operation in operations(document) {
        if let Some(body) = operation.get("requestBody") {
            gather_names(body, document, &mut sent);
        }
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    let answered = schemas.into_iter().flatten().filter(|(name, _)| !sent.contains(*name));
    answered.for_each(|(_, schema)| without_nulls(schema));
}

fn operations(document: &Value) -> impl Iterator<Item = &Value> {
    let paths = document.get("paths").and_then(Value::as_object);
    paths.into_iter().flatten().filter_map(|(_, item)| item.as_object()).flat_map(serde_json::Map::values)
}

/// Removes the defaults `null` and `false`, which are implied and which some generators take for a required member, and
/// any default of required members.
fn without_empty_defaults(value: &mut Value) {
    match value {
        Value::Object(keywords) => {
            keywords.retain(|name, keyword| name != "default" || !(keyword.is_null() || *keyword == false));
            let required = keywords.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
            for name in required.iter().filter_map(Value::as_str) {
                let members = keywords.get_mut("properties").and_then(Value::as_object_mut);
                let member = members.and_then(|members| members.get_mut(name)?.as_object_mut());
                member.map(|member| member.remove("default"));
            }
            keywords.values_mut().for_each(without_empty_defaults);
        }
        Value::Array(items) => items.iter_mut().for_each(without_empty_defaults),
        _ => {}
    }
}

/// Collects the names of the schemas in a part of the document.
fn gather_names(part: &Value, document: &Value, names: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            let reference = members.get("$ref").and_then(Value::as_str);
            if let Some(name) = reference.and_then(|reference| reference.strip_prefix(SCHEMAS))
                && names.insert(name.to_owned())
                && let Some(schema) = document.pointer(&format!("/components/schemas/{name}"))
            {
                gather_names(schema, document, names);
            }
            members.values().for_each(|member| gather_names(member, document, names));
        }
        Value::Array(items) => items.iter().for_each(|item| gather_names(item, document, names)),
        _ => {}
    }
}

/// Removes `null` from the optional members of an object.
fn without_nulls(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    for combined in ["allOf", "oneOf"] {
        let parts = keywords.get_mut(combined).and_then(Value::as_array_mut);
        parts.into_iter().flatten().for_each(without_nulls);
    }
    let required = keywords.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let members = keywords.get_mut("properties").and_then(Value::as_object_mut);
    let members = members.into_iter().flatten();
    for (_, member) in members.filter(|(name, _)| !required.iter().any(|required| required == *name)) {
        without_null(member);
    }
}

fn without_null(member: &mut Value) {
    let Value::Object(keywords) = member else { return };
    if let Some(Value::Array(types)) = keywords.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            keywords.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(alternatives)) = keywords.get_mut("oneOf") {
        alternatives.retain(|alternative| alternative.get("type").is_none_or(|name| name != "null"));
        if let [only] = alternatives.as_slice() {
            let only = only.clone();
            keywords.remove("oneOf");
            keywords.extend(only.as_object().cloned().unwrap_or_default());
        }
    }
}
