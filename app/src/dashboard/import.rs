//! Importing a dashboard that was exported for other servers: what differs from server to server, such as its data
//! sources, stands in it as `${NAME}` and comes as an input.

use std::collections::HashMap;

use kymograph_domain::dashboard::DashboardError;
use kymograph_domain::json::{JsonDocument, JsonValue};

use super::{Dashboards, SaveDashboard, SavedDashboard};
use crate::error::{Error, Result};
use crate::{Permission, Scope};

/// Members that are for the import only. A numeric id means nothing on another server.
const NOT_STORED: &[&str] = &["__elements", "__inputs", "__requires", "id"];

/// The name by which one input stands for all of its type.
const ANY_NAME: &str = "*";

/// A dashboard to import, as clients send it.
#[derive(Clone, Debug)]
pub struct ImportDashboard<'a> {
    /// The document.
    pub dashboard: JsonValue<'a>,
    /// What to put in the places of the inputs that it declares.
    pub inputs: Vec<ImportInput>,
    /// The folder to put it in; `None` and an empty text mean the root.
    pub folder_uid: Option<String>,
    /// The folder to put it in by numeric id, for older clients; 0 means the root.
    pub folder_id: Option<i64>,
    /// Whether to replace whatever is there.
    pub overwrite: bool,
}

/// What stands for an input of a dashboard on this server.
#[derive(Clone, Debug, Default)]
pub struct ImportInput {
    /// The name of the input.
    pub name: String,
    /// The type of the input, like `datasource`.
    pub kind: String,
    /// What to put in its places.
    pub value: String,
}

/// What an import came to.
#[derive(Clone, Debug)]
pub struct ImportedDashboard {
    /// The dashboard as it was saved.
    pub saved: SavedDashboard,
    /// The revision that the document says it is, 0 if it does not.
    pub revision: i64,
}

impl Dashboards {
    /// Saves a dashboard with its inputs filled in.
    #[tracing::instrument(level = "trace", target = "kymograph_trace", skip_all)]
    pub async fn import_dashboard(
        &self,
        scope: &Scope,
        import: ImportDashboard<'_>,
    ) -> Result<ImportedDashboard> {
        let mut text = interpolate(import.dashboard, &import.inputs)?;
        let document = JsonDocument::try_parse(&mut text).map_err(Error::internal)?;
        let revision = document.root().get("revision").and_then(JsonValue::as_i64).unwrap_or_default();
        let save = SaveDashboard {
            dashboard: document.root(),
            folder_uid: import.folder_uid,
            folder_id: import.folder_id,
            message: String::new(),
            overwrite: import.overwrite,
        };
        let saved = self.save_dashboard(scope, save).await?;
        Ok(ImportedDashboard { saved, revision })
    }

    /// The text of the document that an import would save.
    pub async fn interpolate_dashboard(
        &self,
        scope: &Scope,
        import: &ImportDashboard<'_>,
    ) -> Result<Vec<u8>> {
        let folder = self.resolve_folder(scope, import.folder_uid.as_deref(), import.folder_id).await?;
        self.authorization.require_place(scope, folder.as_ref(), Permission::DashboardsCreate).await?;
        interpolate(import.dashboard, &import.inputs)
    }
}

/// The text of a document in which `${NAME}` is replaced wherever an input of that name is declared.
fn interpolate(dashboard: JsonValue<'_>, inputs: &[ImportInput]) -> Result<Vec<u8>> {
    if !dashboard.is_object() {
        return Err(DashboardError::NotAnObject.into());
    }
    let values = declared_values(dashboard, inputs)?;
    let text = dashboard.rewritten(NOT_STORED, &|text| fill_in(text, &values));
    text.map_err(Error::internal)
}

fn declared_values<'a>(
    dashboard: JsonValue<'a>,
    inputs: &'a [ImportInput],
) -> Result<HashMap<&'a str, &'a str>> {
    let declared = dashboard.get("__inputs").into_iter().flat_map(JsonValue::items);
    declared
        .map(|declared| {
            let text = |member| declared.get(member).and_then(JsonValue::as_str);
            let (name, kind) = (text("name").unwrap_or_default(), text("type").unwrap_or_default());
            let given = inputs
                .iter()
                .find(|input| input.kind == kind && (input.name == name || input.name == ANY_NAME))
                .map(|input| input.value.as_str());
            // A constant brings the value along that it has where nothing else is given.
            let value = given.or_else(|| text("value"));
            let value =
                value.ok_or_else(|| Error::invalid(format!("the input {name} of the dashboard is missing")));
            Ok((name, value?))
        })
        .collect()
}

/// The text with each `${NAME}` replaced that has a value, or nothing if there is none to replace.
fn fill_in(text: &str, values: &HashMap<&str, &str>) -> Option<String> {
    if values.is_empty() || !text.contains("${") {
        return None;
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let value = after.split_once('}').and_then(|(name, tail)| Some((*values.get(name)?, tail)));
        let (value, tail) = value.unwrap_or(("${", after));
        filled.push_str(value);
        rest = tail;
    }
    filled.push_str(rest);
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        interpolate(document.root(), &inputs).map(|text| String::from_utf8(text).unwrap())
    }

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
}
