//! Checks every request and response of the tests against the document of the API.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::{Registry, Validator};
use kymograph_server::config::{Config, Sources};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value, json};

const ADDRESS: &str = "https://kymograph.example/openapi.json";

/// The document, and its compiled validators.
pub struct Contract {
    document: Value,
    registry: Registry<'static>,
    /// By the location of the schema in the document.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An exchange between a client and a server.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) request_body: Option<&'a [u8]>,
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) text: &'a str,
}

impl Contract {
    /// The document of a server with default settings.
    pub fn get() -> &'static Self {
        static CONTRACT: OnceLock<Contract> = OnceLock::new();
        CONTRACT.get_or_init(|| {
            let nowhere = PathBuf::from("/nonexistent");
            let sources =
                Sources { config_file: None, env: Vec::new(), overrides: Vec::new(), working_dir: nowhere };
            let config = Config::load(&sources).unwrap();
            let document = kymograph_server::openapi::document(&config).unwrap();
            let registry = Registry::new().add(ADDRESS, closed(&document)).unwrap().prepare().unwrap();
            Self { document, registry, validators: Mutex::default() }
        })
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Fails unless the document allows the response, and the request if it succeeded. The portal's files are not
    /// operations.
    pub(crate) fn check(&self, exchange: &Exchange<'_>) {
        if exchange.path.starts_with("/portal") {
            return;
        }
        let Some((template, operation)) = self.operation(exchange) else {
            assert_eq!(exchange.status, 404, "{exchange} is not in the OpenAPI document");
            return;
        };
        let method = exchange.method.to_lowercase();
        let place = format!("/paths/{}/{method}", template.replace('/', "~1"));
        self.check_answer(exchange, operation, &place);
        let body = exchange.request_body.and_then(|body| serde_json::from_slice(body).ok());
        if let Some(body) = body.filter(|_| exchange.status < 400) {
            let schema = format!("{place}/requestBody/content/application~1json/schema");
            if self.document.pointer(&schema).is_some() {
                self.check_value(&schema, &body, &format!("the body that {exchange} took"));
            }
        }
    }

    fn check_answer(&self, exchange: &Exchange<'_>, operation: &Value, place: &str) {
        let status = exchange.status.to_string();
        let response = operation["responses"].get(&status);
        let response = response.unwrap_or_else(|| {
            panic!("{exchange} is a status that the OpenAPI document does not name: {}", exchange.text)
        });
        // If Grafana responds with 500, the message distinguishes that from a fault. Other messages violate the schema.
        let says_fault = || exchange.text.contains(kymograph_app::kernel::error::FAULT);
        let is_fault = exchange.status == 500 && (response.get("$ref").is_some() || says_fault());
        assert!(!is_fault, "{exchange} is a fault of the server's: {}", exchange.text);
        let place = match response["$ref"].as_str() {
            Some(reference) => reference.trim_start_matches('#').to_owned(),
            None => format!("{place}/responses/{status}"),
        };
        let Some(content) =
            self.document.pointer(&place).and_then(|response| response["content"].as_object())
        else {
            assert!(exchange.text.is_empty(), "{exchange} has a body, the OpenAPI document knows none");
            return;
        };
        let content_type = exchange.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type =
            content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        assert!(content.contains_key(&media_type), "{exchange} is of the type {media_type:?}");
        if media_type == "application/json" {
            let body = serde_json::from_str(exchange.text).unwrap();
            let schema = format!("{place}/content/application~1json/schema");
            self.check_value(&schema, &body, &format!("what {exchange} answered with"));
        }
    }

    fn check_value(&self, schema: &str, value: &Value, what: &str) {
        let errors: Vec<_> = self
            .validator(schema)
            .iter_errors(value)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{what} breaks the schema {schema}: {}\n{value}", errors.join("; "));
    }

    fn validator(&self, schema: &str) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = validators.entry(schema.to_owned()).or_insert_with(|| {
            let fragment = schema.replace('{', "%7B").replace('}', "%7D");
            let schema = json!({"$ref": format!("{ADDRESS}#{fragment}")});
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.with_registry(&self.registry).build(&schema).unwrap())
        });
        validator.clone()
    }

    /// The path template and the operation of a request. Templates with fewer parameters come first.
    fn operation(&self, exchange: &Exchange<'_>) -> Option<(&str, &Value)> {
        let path = exchange.path.trim_end_matches('/');
        let templates = self.document["paths"].as_object().unwrap();
        templates
            .iter()
            .filter(|(template, _)| fits(template, path))
            .min_by_key(|(template, _)| template.matches('{').count())
            .and_then(|(template, item)| Some((&**template, item.get(exchange.method.to_lowercase())?)))
    }
}

impl std::fmt::Display for Exchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} -> {}", self.method, self.path, self.status)
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) | (Some("{source_path}"), Some(_)) => return true,
            (Some(expected), Some(given)) => {
                let is_parameter = expected.starts_with('{') && !given.is_empty();
                if !is_parameter && expected != given {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

/// The document with all response objects closed: members that it allows servers to add some day must fail the tests
/// today.
fn closed(document: &Value) -> Value {
    let mut open = BTreeSet::new();
    // A part of an `allOf` cannot be closed by itself.
    for schema in document["components"]["schemas"].as_object().unwrap().values() {
        named_in(&schema["allOf"], document, &mut open);
    }
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            named_in(&operation["requestBody"], document, &mut open);
        }
    }
    let mut document = document.clone();
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    for (_, schema) in schemas.iter_mut().filter(|(name, _)| !open.contains(*name)) {
        close(schema);
    }
    document
}

/// Collects the names of the schemas that a part of the document consists of.
fn named_in(part: &Value, document: &Value, names: &mut BTreeSet<String>) {
    match part {
        Value::Object(members) => {
            if let Some(name) =
                part["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components/schemas/"))
                && names.insert(name.to_owned())
            {
                named_in(&document["components"]["schemas"][name], document, names);
            }
            members.values().for_each(|member| named_in(member, document, names));
        }
        Value::Array(items) => items.iter().for_each(|item| named_in(item, document, names)),
        _ => {}
    }
}

fn close(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else { return };
    for alternatives in ["oneOf", "anyOf"] {
        let alternatives = members.get_mut(alternatives).and_then(Value::as_array_mut);
        alternatives.into_iter().flatten().for_each(close);
    }
    let has = |members: &Map<String, Value>, name| members.contains_key(name);
    if (has(members, "properties") || has(members, "allOf")) && !has(members, "additionalProperties") {
        members.insert("unevaluatedProperties".to_owned(), json!(false));
    }
}
