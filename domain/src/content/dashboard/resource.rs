//! Dashboards that are sent as Kubernetes-style resources, which wrap a specification and name its schema. A
//! specification of the classic schema is stored without its wrapper. Any other is stored as
//! `{"apiVersion": …, "spec": …}`, which cannot be mistaken for a classic dashboard, because that has a title.

use super::DashboardError;
use crate::kernel::json::{CanonicalJson, JsonValue, WriteError};

/// The group of APIs that dashboards belong to.
const GROUP: &str = "dashboard.grafana.app/";
/// The versions whose specifications are classic documents.
const CLASSIC: [&str; 5] = ["v0alpha1", "v1alpha1", "v1beta1", "v1", "v0"];
/// The other versions.
const OTHERS: [&str; 3] = ["v2alpha1", "v2beta1", "v2"];
/// The text between the version and the specification in the stored form.
const BEFORE_SPEC: &str = r#"","spec":"#;

/// A dashboard as a client sends it.
#[derive(Clone, Copy, Debug)]
pub struct SentDashboard<'a> {
    /// The specification, which is the whole document of a classic dashboard.
    pub spec: JsonValue<'a>,
    /// The uid outside of the specification.
    pub name: Option<&'a str>,
    /// The version of the schema, if it is not the classic one.
    schema: Option<&'a str>,
}

impl<'a> SentDashboard<'a> {
    /// Reads a classic document or a resource.
    pub fn try_new(document: JsonValue<'a>) -> Result<Self, DashboardError> {
        if !document.is_object() {
            return Err(DashboardError::NotAnObject);
        }
        let has = |name| document.get(name).is_some_and(|value| !value.is_null());
        let (has_metadata, has_spec) = (has("metadata"), has("spec"));
        let is_resource = if has("apiVersion") || has("kind") {
            has_metadata || has_spec
        } else {
            has_metadata && has_spec
        };
        if !is_resource {
            let is_object = |name| document.get(name).is_some_and(JsonValue::is_object);
            if is_object("elements") && is_object("layout") {
                return Err(DashboardError::SchemaUnnamed);
            }
            return Ok(Self { spec: document, name: None, schema: None });
        }
        let text = |value: JsonValue<'a>, name| value.get(name).and_then(JsonValue::as_str);
        let version = text(document, "apiVersion").ok_or(DashboardError::SchemaUnnamed)?;
        let version = version.strip_prefix(GROUP).ok_or(DashboardError::SchemaUnknown)?;
        if text(document, "kind").is_some_and(|kind| kind != "Dashboard") {
            return Err(DashboardError::SchemaUnknown);
        }
        if document.get("id").is_some_and(|id| !id.is_null()) {
            return Err(DashboardError::ResourceWithId);
        }
        let spec = document.get("spec").filter(|spec| spec.is_object()).ok_or(DashboardError::SpecMissing)?;
        let name = text(document, "uid").or_else(|| text(document.get("metadata")?, "name"));
        let schema = match version {
            classic if CLASSIC.contains(&classic) => None,
            other if OTHERS.contains(&other) => Some(other),
            _ => return Err(DashboardError::SchemaUnknown),
        };
        Ok(Self { spec, name: name.filter(|name| !name.is_empty()), schema })
    }

    /// The stored form, of at most `max_bytes` bytes and without the members that the server sets.
    pub fn kept(self, without: &[&str], max_bytes: usize) -> Result<CanonicalJson, WriteError> {
        let Some(schema) = self.schema else { return CanonicalJson::try_new(self.spec, without, max_bytes) };
        let mut text = format!(r#"{{"apiVersion":"{GROUP}{schema}{BEFORE_SPEC}"#);
        let room = max_bytes.saturating_sub(text.len() + 1);
        text.push_str(CanonicalJson::try_new(self.spec, without, room)?.as_str());
        text.push('}');
        Ok(CanonicalJson::of_canonical(text))
    }
}

/// The specification in the stored form of a dashboard.
#[must_use]
pub fn spec_of(kept: &CanonicalJson) -> &str {
    split(kept).map_or(kept.as_str(), |(_, spec)| spec)
}

/// The schema version of the stored form of a dashboard, if it is not the classic one.
#[must_use]
pub fn schema_of(kept: &CanonicalJson) -> Option<&str> {
    split(kept).map(|(schema, _)| schema)
}

/// Whether a version is one of the classic schema.
#[must_use]
pub fn is_classic(version: &str) -> bool {
    CLASSIC.contains(&version)
}

/// A version as clients name it, with or without its group.
#[must_use]
pub fn version_of(api_version: &str) -> &str {
    api_version.strip_prefix(GROUP).unwrap_or(api_version)
}

fn split(kept: &CanonicalJson) -> Option<(&str, &str)> {
    let inside = kept.as_str().strip_prefix(r#"{"apiVersion":""#)?.strip_prefix(GROUP)?;
    let (schema, spec) = inside.split_once(BEFORE_SPEC)?;
    let spec = spec.strip_suffix('}').filter(|spec| spec.ends_with('}'))?;
    OTHERS.contains(&schema).then_some((schema, spec))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::json::JsonDocument;

    const MAX_BYTES: usize = 1000;

    fn kept(text: &str, max_bytes: usize) -> Result<(Option<String>, String), String> {
        let mut text = text.as_bytes().to_vec();
        let document = JsonDocument::try_parse(&mut text).unwrap();
        let sent = SentDashboard::try_new(document.root()).map_err(|error| error.to_string())?;
        let kept = sent.kept(&["id"], max_bytes).map_err(|error| error.to_string())?;
        Ok((sent.name.map(str::to_owned), kept.as_str().to_owned()))
    }

    #[test]
    fn a_resource_is_kept_by_its_schema() {
        let resource = |version: &str| {
            format!(
                r#"{{"apiVersion":"dashboard.grafana.app/{version}","kind":"Dashboard","metadata":{{"name":"a"}},
                "spec":{{"title":"CPU","id":5}}}}"#
            )
        };
        assert_eq!(
            kept(&resource("v1beta1"), MAX_BYTES),
            Ok((Some("a".into()), r#"{"title":"CPU"}"#.into()))
        );
        let (name, text) = kept(&resource("v2beta1"), MAX_BYTES).unwrap();
        assert_eq!(name.as_deref(), Some("a"));
        assert_eq!(text, r#"{"apiVersion":"dashboard.grafana.app/v2beta1","spec":{"title":"CPU"}}"#);
        assert!(kept(&resource("v2beta1"), text.len()).is_ok());
        assert!(kept(&resource("v2beta1"), text.len() - 1).is_err());
        let kept = CanonicalJson::of_canonical(text);
        assert_eq!((schema_of(&kept), spec_of(&kept)), (Some("v2beta1"), r#"{"title":"CPU"}"#));
    }

    #[test]
    fn a_classic_document_is_no_resource() {
        for text in [
            r#"{"title":"CPU"}"#,
            r#"{"apiVersion":"dashboard.grafana.app/v2","title":"CPU"}"#,
            r#"{"spec":{},"title":"CPU"}"#,
            r#"{"elements":[],"layout":{},"title":"CPU"}"#,
        ] {
            assert_eq!(kept(text, MAX_BYTES), Ok((None, text.to_owned())));
            let stored = CanonicalJson::of_canonical(text.to_owned());
            assert_eq!((schema_of(&stored), spec_of(&stored)), (None, text));
        }
        let stored = r#"{"apiVersion":"dashboard.grafana.app/v2","spec":{},"title":"CPU"}"#;
        assert_eq!(schema_of(&CanonicalJson::of_canonical(stored.to_owned())), None);
    }

    #[test]
    fn what_is_wrong_with_a_resource_is_said() {
        let group = "dashboard.grafana.app/v2";
        for (text, error) in [
            (r#"{"kind":"Dashboard","spec":{}}"#.to_owned(), DashboardError::SchemaUnnamed),
            (r#"{"elements":{},"layout":{},"title":"a"}"#.to_owned(), DashboardError::SchemaUnnamed),
            (r#"{"apiVersion":"apps/v1","spec":{}}"#.to_owned(), DashboardError::SchemaUnknown),
            (format!(r#"{{"apiVersion":"{group}5","spec":{{}}}}"#), DashboardError::SchemaUnknown),
            (
                format!(r#"{{"apiVersion":"{group}","kind":"Folder","spec":{{}}}}"#),
                DashboardError::SchemaUnknown,
            ),
            (format!(r#"{{"apiVersion":"{group}","id":5,"spec":{{}}}}"#), DashboardError::ResourceWithId),
            (format!(r#"{{"apiVersion":"{group}","metadata":{{}}}}"#), DashboardError::SpecMissing),
            (format!(r#"{{"apiVersion":"{group}","spec":[]}}"#), DashboardError::SpecMissing),
            ("[]".to_owned(), DashboardError::NotAnObject),
        ] {
            assert_eq!(kept(&text, MAX_BYTES), Err(error.to_string()), "{text}");
        }
    }

    #[test]
    fn a_resource_is_told_by_any_two_of_its_members() {
        let v2 = r#""apiVersion":"dashboard.grafana.app/v2""#;
        for (text, is_resource) in [
            (format!(r#"{{{v2},"spec":{{}}}}"#), true),
            (format!(r#"{{{v2},"metadata":{{}},"spec":{{}}}}"#), true),
            (format!(r#"{{{v2},"metadata":null,"spec":null,"title":"a"}}"#), false),
            (format!(r#"{{{v2},"title":"a"}}"#), false),
            (r#"{"kind":"Dashboard","title":"a"}"#.to_owned(), false),
            (r#"{"metadata":{},"title":"a"}"#.to_owned(), false),
        ] {
            let kept = kept(&text, MAX_BYTES).unwrap().1;
            assert_eq!(schema_of(&CanonicalJson::of_canonical(kept)).is_some(), is_resource, "{text}");
        }
        let nameless = kept(r#"{"metadata":{},"spec":{}}"#, MAX_BYTES);
        assert_eq!(nameless, Err(DashboardError::SchemaUnnamed.to_string()));
    }

    #[test]
    fn the_uid_beside_the_specification_comes_before_the_name() {
        let named = |members: &str| {
            let text =
                format!(r#"{{"apiVersion":"dashboard.grafana.app/v1",{members},"spec":{{"uid":"s"}}}}"#);
            kept(&text, MAX_BYTES).unwrap().0
        };
        assert_eq!(named(r#""uid":"a","metadata":{"name":"b"}"#).as_deref(), Some("a"));
        assert_eq!(named(r#""metadata":{"name":"b"},"id":null"#).as_deref(), Some("b"));
        assert_eq!(named(r#""metadata":{"name":""}"#), None);
        assert_eq!(named(r#""metadata":{}"#), None);
    }

    #[test]
    fn versions_are_known_with_and_without_their_group() {
        assert_eq!(version_of("dashboard.grafana.app/v2"), "v2");
        assert_eq!(version_of("v1beta1"), "v1beta1");
        assert!(CLASSIC.into_iter().all(is_classic) && !OTHERS.into_iter().any(is_classic));
    }

    #[test]
    fn what_only_begins_like_a_resource_is_a_classic_document() {
        for stored in [
            r#"{"apiVersion":"dashboard.grafana.app/v7","spec":{}}"#,
            r#"{"apiVersion":"dashboard.grafana.app/v2","spec":5}"#,
            r#"{"apiVersion":"apps/v2","spec":{}}"#,
        ] {
            let kept = CanonicalJson::of_canonical(stored.to_owned());
            assert_eq!((schema_of(&kept), spec_of(&kept)), (None, stored));
        }
    }
}
