//! A page to browse the document: HTML without script, generated from the document.

use serde_json::{Map, Value};

/// The style of the page, which its Content-Security-Policy allows by hash.
pub(super) const STYLE: &str = include_str!("page.css");

/// The page of a document.
pub(super) fn page(document: &Value) -> String {
    let info = &document["info"];
    let root = text(&document["servers"][0], "url").trim_end_matches('/');
    let groups = members_of(&document["tags"]);
    let navigation: String = groups.iter().map(|group| group_links(document, group)).collect();
    let sections: String = groups.iter().map(|group| group_section(document, group)).collect();
    let schemas: String = members(&document["components"]["schemas"]).map(schema_section).collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width\"><title>{title} API</title>\
        <style>{STYLE}</style></head><body>\
        <nav><h1>{title} API</h1><p>Version {version} · <a href=\"{root}/api/openapi.json\">openapi.json</a></p>\
        {navigation}<h2><a href=\"#schemas\">Schemas</a></h2></nav>\
        <main><header>{introduction}</header>{sections}\
        <section id=\"schemas\"><h2>Schemas</h2>{schemas}</section></main></body></html>",
        title = escape(text(info, "title")),
        version = escape(text(info, "version")),
        introduction = paragraphs(text(info, "description")),
    )
}

/// Path, method and operation of all operations in a group.
fn operations<'a>(
    document: &'a Value,
    group: &'a Value,
) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    members(&document["paths"])
        .flat_map(|(path, item)| {
            members(item).map(move |(method, operation)| (&**path, &**method, operation))
        })
        .filter(move |(_, _, operation)| operation["tags"][0] == group["name"])
}

fn group_links(document: &Value, group: &Value) -> String {
    let name = escape(text(group, "name"));
    let link = |(path, method, operation): (&str, &str, &Value)| {
        let id = escape(text(operation, "operationId"));
        format!("<li><a href=\"#{id}\">{}{}</a></li>", method_mark(method), escape(path))
    };
    let links: String = operations(document, group).map(link).collect();
    format!("<details><summary>{name}</summary><ul>{links}</ul></details>")
}

fn group_section(document: &Value, group: &Value) -> String {
    let name = escape(text(group, "name"));
    let operations: String = operations(document, group)
        .map(|(path, method, described)| operation(document, path, method, described))
        .collect();
    let description = inline(text(group, "description"));
    format!("<section id=\"group-{name}\"><h2>{name}</h2><p>{description}</p>{operations}</section>")
}

fn operation(document: &Value, path: &str, method: &str, operation: &Value) -> String {
    let summary = format!(
        "<summary>{}<code>{}</code><span>{}</span></summary>",
        method_mark(method),
        escape(path),
        inline(text(operation, "summary")),
    );
    let parameters: String = members_of(&operation["parameters"])
        .iter()
        .map(|parameter| parameter_row(resolve(document, parameter)))
        .collect();
    let body = content(&operation["requestBody"]);
    let answers: String = members(&operation["responses"])
        .map(|(status, answer)| answer_row(status, resolve(document, answer)))
        .collect();
    let access = if operation["security"].is_array() { "" } else { "<p>Needs no credentials.</p>" };
    format!(
        "<details>{summary}<div id=\"{id}\">{details}{access}{parameters}{body}{answers}</div></details>",
        id = escape(text(operation, "operationId")),
        details = paragraphs(text(operation, "description")),
        parameters = table("Parameters", &parameters),
        body = if body.is_empty() { body } else { format!("<h4>Body</h4><p>{body}</p>") },
        answers = table("Answers", &answers),
    )
}

fn parameter_row(parameter: &Value) -> String {
    let required = if parameter["required"] == true { "<sup>required</sup>" } else { "" };
    format!(
        "<tr><td><code>{}</code>{required}<td>{}<td>{}<td>{}",
        escape(text(parameter, "name")),
        escape(text(parameter, "in")),
        type_of(&parameter["schema"]),
        inline(text(parameter, "description")),
    )
}

fn answer_row(status: &str, answer: &Value) -> String {
    let kind = if status.starts_with(['2', '3']) { "good" } else { "bad" };
    format!(
        "<tr class=\"{kind}\"><td><b>{}</b><td>{}<td>{}",
        escape(status),
        content(answer),
        inline(text(answer, "description")),
    )
}

/// The types of a body.
fn content(body: &Value) -> String {
    let types = members(&body["content"]).map(|(media_type, content)| match media_type.as_str() {
        "application/json" => type_of(&content["schema"]),
        other => format!("<code>{}</code>", escape(other)),
    });
    types.collect::<Vec<_>>().join(" or ")
}

fn schema_section((name, schema): (&String, &Value)) -> String {
    let parts = members_of(&schema["allOf"]);
    let rows: String = std::iter::once(schema).chain(parts).map(member_rows).collect();
    let extends: Vec<_> = parts
        .iter()
        .filter(|part| part["$ref"].is_string())
        .map(|part| format!(" + {}", type_of(part)))
        .collect();
    let kind = if rows.is_empty() { type_of(schema) } else { extends.concat() };
    let name = escape(name);
    let description = paragraphs(text(schema, "description"));
    let members = table("", &rows);
    format!(
        "<details><summary><code>{name}</code></summary>\
        <div id=\"schema-{name}\">{description}<p>{kind}</p>{members}</div></details>"
    )
}

fn member_rows(schema: &Value) -> String {
    let required = members_of(&schema["required"]);
    let row = |(name, member): (&String, &Value)| {
        let mark = if required.iter().any(|required| required == name) { "<sup>required</sup>" } else { "" };
        let description = inline(text(member, "description"));
        format!("<tr><td><code>{}</code>{mark}<td>{}<td>{description}", escape(name), type_of(member))
    };
    members(&schema["properties"]).map(row).collect()
}

/// The type that a schema describes, in a few words.
fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    let alternatives = members_of(&schema["oneOf"]);
    if !alternatives.is_empty() {
        return alternatives.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    let words = members_of(&schema["enum"]);
    if !words.is_empty() {
        let words = words.iter().map(|word| format!("<code>{}</code>", escape(&word.to_string())));
        return words.collect::<Vec<_>>().join(", ");
    }
    let name = match &schema["type"] {
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        Value::String(name) if name == "array" => return format!("list of {}", type_of(&schema["items"])),
        Value::String(name) => name.clone(),
        _ if schema["properties"].is_object() => "object".to_owned(),
        _ => "anything".to_owned(),
    };
    format!("{}{}", escape(&name), limits(schema))
}

/// The constraints of a type.
fn limits(schema: &Value) -> String {
    const LIMITS: [(&str, &str); 7] = [
        ("format", ""),
        ("default", "default "),
        ("minimum", "from "),
        ("maximum", "to "),
        ("minLength", "at least "),
        ("maxLength", "at most "),
        ("pattern", "like "),
    ];
    let told = LIMITS.iter().filter_map(|(keyword, words)| {
        let value = schema.get(keyword)?;
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some(format!("{words}{}", escape(&value)))
    });
    let told = told.collect::<Vec<_>>().join(", ");
    if told.is_empty() { told } else { format!(" <small>{told}</small>") }
}

fn method_mark(method: &str) -> String {
    format!("<b class=\"method {0}\">{0}</b>", escape(method))
}

fn table(title: &str, rows: &str) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let title = if title.is_empty() { String::new() } else { format!("<h4>{title}</h4>") };
    format!("{title}<table>{rows}</table>")
}

/// Resolves a reference.
fn resolve<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let place = part["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    place.and_then(|place| document.pointer(place)).unwrap_or(part)
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn members_of(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn paragraphs(text: &str) -> String {
    let told = text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty());
    told.map(|paragraph| format!("<p>{}</p>", inline(paragraph))).collect::<Vec<_>>().concat()
}

/// The subset of Markdown in the document: code and bold text.
fn inline(text: &str) -> String {
    let marked = |text: &str, mark: &str, tag: &str| {
        let parts = text.split(mark).enumerate().map(|(number, part)| match number % 2 {
            0 => part.to_owned(),
            _ => format!("<{tag}>{part}</{tag}>"),
        });
        parts.collect::<String>()
    };
    marked(&marked(&escape(text), "`", "code"), "**", "b")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_cannot_be_markup() {
        assert_eq!(inline("a `<b>` & **c**"), "a <code>&lt;b&gt;</code> &amp; <b>c</b>");
        let parameter = json!({"name": "\"><script>", "in": "query", "schema": {"type": "string"}});
        assert!(!parameter_row(&parameter).contains("<script>"));
    }

    #[test]
    fn types_are_told_in_a_few_words() {
        let schema = json!({"oneOf": [{"$ref": "#/components/schemas/Uid"}, {"type": "null"}]});
        assert_eq!(type_of(&schema), "<a href=\"#schema-Uid\">Uid</a> or null");
        let schema = json!({"type": "array", "items": {"type": "integer", "minimum": 1}});
        assert_eq!(type_of(&schema), "list of integer <small>from 1</small>");
    }
}
