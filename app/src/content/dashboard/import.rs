//! Importing a dashboard that was exported for other servers: values that differ from server to server, such as its
//! data sources, are placeholders `${NAME}` in it and are passed as inputs.

use std::collections::HashMap;

use kymograph_domain::content::dashboard::DashboardError;
use kymograph_domain::kernel::json::{JsonDocument, JsonValue, Rewritten};
use kymograph_domain::kernel::text::shortened;

use super::save::unwritten;
use super::{Dashboards, ParsedDashboard, SaveDashboard, SavedDashboard};
use crate::kernel::error::{Error, Result};
use crate::{Permission, Scope};

/// Members that are for the import only. A numeric id means nothing on another server.
const NOT_STORED: &[&str] = &["__elements", "__inputs", "__requires", "id"];

/// The name of an input that stands for all inputs of its type.
const ANY_NAME: &str = "*";

/// The maximum number of characters of the name of an input in a message.
const MAX_NAME: usize = 200;

/// The value of an input of a dashboard on this server.
#[derive(Clone, Debug, Default)]
pub struct ImportInput {
    /// The name of the input.
    pub name: String,
    /// The type of the input, like `datasource`.
    pub kind: String,
    /// The value that replaces its placeholders.
    pub value: String,
}

/// A dashboard to import, with its inputs filled in.
#[derive(Clone, Debug)]
pub struct ImportDashboard {
    /// The dashboard to save.
    pub save: SaveDashboard,
    /// The revision stated in the document, 0 if there is none.
    pub revision: i64,
}

impl ImportDashboard {
    /// Takes the text of a document whose inputs are filled in, of at most `max_bytes` without the members that the
    /// server sets.
    pub fn try_new(
        mut filled_in: Vec<u8>,
        folder_uid: Option<String>,
        folder_id: Option<i64>,
        overwrite: bool,
        max_bytes: usize,
    ) -> Result<Self> {
        let document = JsonDocument::try_parse(&mut filled_in).map_err(Error::internal)?;
        let revision = document.root().get("revision").and_then(JsonValue::as_i64).unwrap_or_default();
        let dashboard = ParsedDashboard::try_new(document.root(), max_bytes)?;
        let message = String::new();
        Ok(Self { save: SaveDashboard { dashboard, folder_uid, folder_id, message, overwrite }, revision })
    }
}

/// The result of an import.
#[derive(Clone, Debug)]
pub struct ImportedDashboard {
    /// The dashboard as it was saved.
    pub saved: SavedDashboard,
    /// The revision stated in the document, 0 if there is none.
    pub revision: i64,
}

impl Dashboards {
    /// Saves a dashboard with its inputs filled in.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn import_dashboard(
        &self,
        scope: &Scope,
        import: ImportDashboard,
    ) -> Result<ImportedDashboard> {
        let saved = self.save_dashboard(scope, import.save).await?;
        Ok(ImportedDashboard { saved, revision: import.revision })
    }

    /// Fails unless the actor could import into a folder.
    pub async fn require_import(
        &self,
        scope: &Scope,
        folder_uid: Option<&str>,
        folder_id: Option<i64>,
    ) -> Result<()> {
        let folder = self.resolve_folder(scope, folder_uid, folder_id).await?;
        self.authorization
            .require_place(scope, folder.as_ref(), Permission::DASHBOARDS_CREATE)
            .await
            .map(drop)
    }
}

/// The text of a document, of at most `max_bytes`, in which `${NAME}` is replaced wherever an input of that name is
/// declared.
pub fn interpolate(dashboard: JsonValue<'_>, inputs: &[ImportInput], max_bytes: usize) -> Result<Vec<u8>> {
    if !dashboard.is_object() {
        return Err(DashboardError::NotAnObject.into());
    }
    check_elements(dashboard)?;
    let values = declared_values(dashboard, inputs)?;
    dashboard.rewritten(NOT_STORED, &|text, left| fill_in(text, &values, left), max_bytes).map_err(unwritten)
}

/// Rejects dashboards with library panels, which would have to be created from the elements in the export: without them
/// a panel is empty.
fn check_elements(dashboard: JsonValue<'_>) -> Result<()> {
    let elements = dashboard.get("__elements");
    let named = elements.into_iter().flat_map(JsonValue::members).map(|(_, element)| element);
    let listed = elements.into_iter().flat_map(JsonValue::items);
    let Some(element) = named.chain(listed).next() else { return Ok(()) };
    let name = shortened(element.get("name").and_then(JsonValue::as_str).unwrap_or_default(), MAX_NAME);
    Err(Error::invalid(format!(
        "library panels are not supported, and the dashboard uses {name:?}: unlink its library panels and export it again"
    )))
}

fn declared_values<'a>(
    dashboard: JsonValue<'a>,
    inputs: &'a [ImportInput],
) -> Result<HashMap<&'a str, &'a str>> {
    // The first input of a type with the same name, or with the name that stands for all.
    let mut given = HashMap::new();
    for (place, input) in inputs.iter().enumerate() {
        given.entry((input.kind.as_str(), input.name.as_str())).or_insert((place, input.value.as_str()));
    }
    let declared = dashboard.get("__inputs").into_iter().flat_map(JsonValue::items);
    declared
        .map(|declared| {
            let text = |member| declared.get(member).and_then(JsonValue::as_str);
            let (name, kind) = (text("name").unwrap_or_default(), text("type").unwrap_or_default());
            let given = [name, ANY_NAME].into_iter().filter_map(|name| given.get(&(kind, name))).min();
            // A constant brings a default value for when no input is given.
            let value = given.map(|(_, value)| *value).or_else(|| text("value"));
            let value = value.ok_or_else(|| {
                let name = shortened(name, MAX_NAME);
                Error::invalid(format!("the input {name} of the dashboard is missing"))
            });
            Ok((name, value?))
        })
        .collect()
}

/// Replaces each `${NAME}` in a text that has a value. A name ends before the next `${`, so one pass over the text is
/// enough.
fn fill_in(text: &str, values: &HashMap<&str, &str>, max_bytes: usize) -> Rewritten {
    if values.is_empty() || !text.contains("${") {
        return Rewritten::Same;
    }
    let mut filled = String::with_capacity(text.len().min(max_bytes));
    let mut parts = text.split("${");
    filled.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let value = part.split_once('}').and_then(|(name, tail)| Some((*values.get(name)?, tail)));
        let (value, tail) = value.unwrap_or(("${", part));
        if filled.len() + value.len() + tail.len() > max_bytes {
            return Rewritten::TooLong;
        }
        filled.push_str(value);
        filled.push_str(tail);
    }
    Rewritten::Text(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::error::ErrorKind;

    fn interpolated(document: &str, inputs: &[(&str, &str, &str)]) -> Result<String> {
        let inputs: Vec<_> = inputs
            .iter()
            .map(|(name, kind, value)| ImportInput {
                name: (*name).into(),
                kind: (*kind).into(),
                value: (*value).into(),
            })
            .collect();
        let mut text = document.as_bytes().to_vec();
        let document = JsonDocument::try_parse(&mut text).unwrap();
        interpolate(document.root(), &inputs, MAX_BYTES).map(|text| String::from_utf8(text).unwrap())
    }

    const MAX_BYTES: usize = 100;

    const DECLARED: &str = r#"{"__inputs":[{"name":"DS","type":"datasource"}],"id":7,"a":["${DS}","${DS}/${x}${DS}"],"${DS}":"$${"}"#;

    #[test]
    fn replaces_what_is_declared_and_nothing_else() {
        let expected = r#"{"${DS}":"$${","a":["p\"1","p\"1/${x}p\"1"]}"#;
        for name in ["DS", "*"] {
            assert_eq!(interpolated(DECLARED, &[(name, "datasource", "p\"1")]).unwrap(), expected);
        }
        let undeclared = interpolated(r#"{"a":"${DS}"}"#, &[("DS", "datasource", "p1")]).unwrap();
        assert_eq!(undeclared, r#"{"a":"${DS}"}"#);
    }

    #[test]
    fn library_panels_are_refused_by_name() {
        for elements in [r#"{"lib-1":{"name":"CPU","kind":1}}"#, r#"[{"name":"CPU"}]"#] {
            let error = interpolated(&format!(r#"{{"__elements":{elements}}}"#), &[]).unwrap_err();
            assert!(error.message().contains(r#"the dashboard uses "CPU""#), "{}", error.message());
        }
        for none in ["{}", "[]", "null"] {
            assert_eq!(interpolated(&format!(r#"{{"__elements":{none}}}"#), &[]).unwrap(), "{}");
        }
    }

    #[test]
    fn an_input_without_a_value_is_named() {
        for inputs in [&[][..], &[("DS", "constant", "x")], &[("OTHER", "datasource", "x")]] {
            let error = interpolated(DECLARED, inputs).unwrap_err();
            assert_eq!(error.message(), "the input DS of the dashboard is missing");
        }
    }

    #[test]
    fn a_constant_has_a_value_of_its_own() {
        let document = r#"{"__inputs":[{"name":"C","type":"constant","value":"5"}],"a":"${C}"}"#;
        assert_eq!(interpolated(document, &[]).unwrap(), r#"{"a":"5"}"#);
        assert_eq!(interpolated(document, &[("C", "constant", "6")]).unwrap(), r#"{"a":"6"}"#);
    }

    #[test]
    fn the_first_input_that_fits_counts() {
        let document = r#"{"__inputs":[{"name":"DS","type":"datasource"}],"a":"${DS}"}"#;
        let (own, any) = (("DS", "datasource", "own"), ("*", "datasource", "any"));
        assert_eq!(interpolated(document, &[own, any]).unwrap(), r#"{"a":"own"}"#);
        assert_eq!(interpolated(document, &[any, own]).unwrap(), r#"{"a":"any"}"#);
    }

    #[test]
    fn names_end_before_the_next_one_begins() {
        let document = r#"{"__inputs":[{"name":"A","type":"x","value":"1"}],"a":"${${A}${A ${A}}$${A}"}"#;
        assert_eq!(interpolated(document, &[]).unwrap(), r#"{"a":"${1${A 1}$1"}"#);
    }

    #[test]
    fn what_is_filled_in_is_bounded() {
        let filled = |copies: usize, length: usize| {
            let document = format!(
                r#"{{"__inputs":[{{"name":"A","type":"x","value":"{}"}}],"a":"{}"}}"#,
                "v".repeat(length),
                "${A}".repeat(copies)
            );
            interpolated(&document, &[])
        };
        let frame = r#"{"a":""}"#.len();
        assert_eq!(filled(1, MAX_BYTES - frame).unwrap().len(), MAX_BYTES);
        for (copies, length) in [(1, MAX_BYTES - frame + 1), (1_000_000, 1), (1000, 1_000_000)] {
            assert_eq!(filled(copies, length).unwrap_err().kind(), ErrorKind::TooLarge);
        }
    }
}
