//! Parameters: path parameters by name, with the same meaning in all paths, and the types of query parameters.

use kymograph_app::kernel::page::MAX_PER_PAGE;
use kymograph_domain::Uid;
use serde_json::{Value, json};
use utoipa::PartialSchema;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{
    ArrayBuilder, KnownFormat, ObjectBuilder, RefOr, Required, Schema, SchemaFormat, Type,
};

/// The type of a parameter.
#[derive(Clone)]
pub(crate) struct Kind(RefOr<Schema>);

/// Any text.
pub(crate) fn text() -> Kind {
    Kind(ObjectBuilder::new().schema_type(Type::String).into())
}

/// A text that matches a regular expression.
pub(crate) fn matching(pattern: &str) -> Kind {
    Kind(ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into())
}

/// The uid of an object.
pub(crate) fn uid() -> Kind {
    Kind(Uid::schema())
}

/// An enumeration.
pub(crate) fn one_of(words: &[&str]) -> Kind {
    Kind(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words.iter().copied())).into())
}

/// `true` or `false`.
pub(crate) fn flag() -> Kind {
    Kind(ObjectBuilder::new().schema_type(Type::Boolean).into())
}

/// A number with a minimum.
pub(crate) fn number(minimum: i64) -> Kind {
    Kind(integer(minimum).into())
}

/// A repeatable parameter.
pub(crate) fn many(kind: Kind) -> Kind {
    Kind(ArrayBuilder::new().items(kind.0).into())
}

/// The size of a page. Zero means the default; it is capped at the maximum.
fn page_size(default: i64) -> Kind {
    Kind(integer(0).maximum(Some(MAX_PER_PAGE)).default(Some(json!(default))).into())
}

fn integer(minimum: i64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .minimum(Some(minimum))
}

/// An optional query parameter.
pub(super) fn query(name: &str, kind: Kind, description: &str) -> Parameter {
    parameter(name, ParameterIn::Query, kind, description, Required::False)
}

/// A required query parameter.
pub(super) fn required_query(name: &str, kind: Kind, description: &str) -> Parameter {
    parameter(name, ParameterIn::Query, kind, description, Required::True)
}

/// The number and the size of a page, with the number of the first page.
pub(super) fn page(size: &str, default_size: i64, first: i64) -> [Parameter; 2] {
    let number = Kind(integer(0).default(Some(Value::from(first))).into());
    [query("page", number, "The number of the page"), self::size(size, default_size)]
}

/// The size of a page.
pub(super) fn size(name: &str, default_size: i64) -> Parameter {
    query(name, page_size(default_size), "The size of a page")
}

/// A path parameter, by default with the type and description of its name.
pub(super) fn path(name: &str, own: Option<&(&'static str, Kind, &'static str)>) -> Parameter {
    let (kind, description) = match own {
        Some((_, kind, description)) => (kind.clone(), *description),
        None => of_name(name).unwrap_or((text(), "")),
    };
    parameter(name, ParameterIn::Path, kind, description, Required::True)
}

/// A header.
pub(super) fn header(name: &str, kind: Kind, description: &str) -> Parameter {
    parameter(name, ParameterIn::Header, kind, description, Required::False)
}

fn parameter(name: &str, place: ParameterIn, kind: Kind, description: &str, required: Required) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(description).filter(|text| !text.is_empty()))
        .schema(Some(kind.0))
        .build()
}

/// The meaning of a name in any path.
fn of_name(name: &str) -> Option<(Kind, &'static str)> {
    Some(match name {
        "annotation_id" => (number(1), "The id of an annotation"),
        "correlation_uid" => (uid(), "The uid of a correlation"),
        "code" | "invitation_code" => (text(), "The code of an invite"),
        "hash" => (text(), "The hash of the avatar"),
        "dashboard_uid" | "uid" => (uid(), "The uid of a dashboard"),
        "data_source_id" => (number(1), "The numeric id of a data source"),
        "data_source_name" => (text(), "The name of a data source"),
        "data_source_uid" => (uid(), "The uid of a data source"),
        "event_id" => (number(1), "The id of an audit event"),
        "flag_id" => (number(0), "The bits of the hints"),
        "folder_id" => (number(1), "The numeric id of a folder"),
        "folder_uid" => (uid(), "The uid of a folder"),
        "job_id" => (text(), "The id of a job"),
        "org_id" => (number(1), "The id of an org"),
        "org_name" => (text(), "The name of an org"),
        "role" => (one_of(&["Viewer", "Editor", "Admin"]), "A role"),
        "service_account_id" => (number(1), "The id of a service account"),
        "source_path" => (text(), "The path of the request to the data source"),
        "team_id" => (uid(), "The id or uid of a team"),
        "token_id" => (number(1), "The id of a token"),
        "user_id" => (number(1), "The id of a user"),
        "version" => (number(1), "A version"),
        _ => return None,
    })
}
