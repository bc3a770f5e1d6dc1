//! The contract table: the operations of Grafana's API, which of them are served, and their possible responses.
//!
//! `contract/operations.tsv` has one operation per line, `contract/schemas.json` the models that they name, as in
//! Grafana's own OpenAPI document, and `contract/deviations.tsv` additional responses, with the reason.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::{Value, json};

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name.
    pub id: &'static str,
    /// The method, or `ANY`.
    pub method: &'static str,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Whether it is served; otherwise it is not served yet.
    pub is_served: bool,
    /// The possible statuses, each with the model of the body.
    answers: Vec<(u16, &'static str)>,
}

/// All operations.
pub struct ContractTable {
    /// The operations.
    pub operations: Vec<Operation>,
    definitions: Value,
    validators: Mutex<HashMap<&'static str, Arc<Validator>>>,
}

/// The name for all operations in the list of deviations.
const EVERY: &str = "*";

impl ContractTable {
    /// The table, which is read on first use.
    pub fn get() -> &'static Self {
        static TABLE: LazyLock<ContractTable> = LazyLock::new(ContractTable::read);
        &TABLE
    }

    fn read() -> Self {
        let mut operations: Vec<_> =
            rows(include_str!("../contract/operations.tsv")).map(|row| operation(&row)).collect();
        for row in rows(include_str!("../contract/deviations.tsv")) {
            let [id, status, model, reason] = row[..] else { panic!("{row:?} is no deviation") };
            assert!(!reason.is_empty(), "{id} deviates without a reason");
            let status = status.parse().unwrap();
            let mut deviating =
                operations.iter_mut().filter(|operation| [operation.id, EVERY].contains(&id)).peekable();
            assert!(deviating.peek().is_some(), "{id} is no operation");
            deviating.for_each(|operation| operation.allow(status, model));
        }
        let schemas: Value = serde_json::from_str(include_str!("../contract/schemas.json")).unwrap();
        Self { operations, definitions: schemas["$defs"].clone(), validators: Mutex::default() }
    }

    /// The operation of a request: of those whose path matches, the most specific one.
    pub fn find(&self, method: &str, path: &str) -> Option<&Operation> {
        let fitting = self.operations.iter().filter(|operation| operation.fits(method, path));
        fitting.min_by_key(|operation| operation.path.split('/').map(is_parameter).collect::<Vec<_>>())
    }

    /// Describes the violations in a response to a request, if the operation of the request is served.
    pub fn check(&self, method: &str, path: &str, status: u16, body: &str) -> Result<(), String> {
        let Some(operation) = self.find(method, path).filter(|operation| operation.is_served) else {
            return Ok(());
        };
        let id = operation.id;
        let models: Vec<_> = operation.models(status).collect();
        if models.is_empty() {
            return Err(format!("{id} may not answer {status}"));
        }
        let mut wrong = Vec::new();
        for model in models {
            match self.check_body(model, body) {
                Ok(()) => return Ok(()),
                Err(error) => wrong.push(format!("{id} may not answer {status} with this body: {error}")),
            }
        }
        Err(wrong.join("; "))
    }

    fn check_body(&self, model: &'static str, body: &str) -> Result<(), String> {
        // Pages, pictures and the like are not JSON, and a response without a model is not checked.
        if matches!(model, "" | "html" | "text" | "bytes") {
            return Ok(());
        }
        let body: Value = serde_json::from_str(body).map_err(|error| format!("it is no JSON: {error}"))?;
        let errors: Vec<_> = self
            .validator(model)
            .iter_errors(&body)
            .map(|error| format!("{} at {}", error, error.instance_path()))
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(format!("no {model}: {}", errors.join(", "))) }
    }

    fn validator(&self, model: &'static str) -> Arc<Validator> {
        let mut validators = self.validators.lock().unwrap();
        let compile = || {
            let schema = json!({"$defs": self.definitions, "allOf": [Notation(model).whole()]});
            let options = jsonschema::draft202012::options().should_validate_formats(true);
            Arc::new(options.build(&schema).unwrap_or_else(|error| panic!("{model}: {error}")))
        };
        validators.entry(model).or_insert_with(compile).clone()
    }
}

impl Operation {
    /// Whether it is called with a method.
    pub fn has_method(&self, method: &str) -> bool {
        self.method == method || self.method == "ANY"
    }

    /// Whether a route has a parameter where the path of the operation has a literal.
    pub fn is_shadowed_by(&self, method: &str, path: &str) -> bool {
        let pairs = || self.path.split('/').zip(path.split('/'));
        self.has_method(method)
            && self.path.split('/').count() == path.split('/').count()
            && pairs().all(|(own, routes)| own == routes || is_parameter(routes))
            && pairs().any(|(own, routes)| !is_parameter(own) && is_parameter(routes))
    }

    /// Whether a status is a possible response.
    pub fn allows(&self, status: u16) -> bool {
        self.models(status).next().is_some()
    }

    fn allow(&mut self, status: u16, model: &'static str) {
        self.answers.push((status, model));
    }

    fn models(&self, status: u16) -> impl Iterator<Item = &'static str> {
        self.answers.iter().filter(move |(allowed, _)| *allowed == status).map(|(_, model)| *model)
    }

    fn fits(&self, method: &str, path: &str) -> bool {
        let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
        let (mut wanted, mut given) = (self.path.trim_end_matches('/').split('/'), path.split('/'));
        self.has_method(method)
            && loop {
                match (wanted.next(), given.next()) {
                    (None, None) => break true,
                    (Some(wanted), Some(given)) if is_parameter(wanted) || wanted == given => {}
                    _ => break false,
                }
            }
    }
}

fn is_parameter(segment: &str) -> bool {
    segment.starts_with('{')
}

/// The lines of a table after its first, split at the tabs.
fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().skip(1).map(|line| line.split('\t').collect())
}

fn operation(row: &[&'static str]) -> Operation {
    let [_, id, method, path, answers, state] = row[..] else { panic!("{row:?} is no operation") };
    let answers = answers.split(';').filter_map(|answer| {
        let (status, model) = answer.split_once(':')?;
        Some((status.parse().ok()?, model))
    });
    let is_served = match state {
        "served" => true,
        "not_yet" => false,
        _ => panic!("{id} is neither served nor not"),
    };
    Operation { id, method, path, is_served, answers: answers.collect() }
}

/// A model in the notation of the table: the name of a schema, a plain type, `array<…>`, `map<…>` or
/// `object{name:…,…}`. The value is the unread rest.
struct Notation<'a>(&'a str);

impl Notation<'_> {
    fn whole(mut self) -> Value {
        let schema = self.schema();
        assert_eq!(self.0, "", "the model is longer than it should be");
        schema
    }

    fn schema(&mut self) -> Value {
        let end = self.0.find(['<', '{', '}', '>', ',']).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        match name {
            "any" => json!(true),
            "string" | "duration" => json!({"type": "string"}),
            "date-time" => json!({"type": "string", "format": "date-time"}),
            "boolean" => json!({"type": "boolean"}),
            "int64" | "integer" => json!({"type": "integer"}),
            "double" => json!({"type": "number"}),
            "array" => json!({"type": "array", "items": self.bracketed()}),
            "map" => json!({"type": "object", "additionalProperties": self.bracketed()}),
            "object" => self.members(),
            model => json!({"$ref": format!("#/$defs/{model}")}),
        }
    }

    fn expect(&mut self, text: &str) {
        self.0 = self.0.strip_prefix(text).unwrap_or_else(|| panic!("{text} is missing before {}", self.0));
    }

    fn bracketed(&mut self) -> Value {
        self.expect("<");
        let schema = self.schema();
        self.expect(">");
        schema
    }

    /// All members of an object in the table are required.
    fn members(&mut self) -> Value {
        let mut members = serde_json::Map::new();
        self.expect("{");
        loop {
            let (name, rest) = self.0.split_once(':').unwrap();
            self.0 = rest;
            members.insert(name.to_owned(), self.schema());
            let Some(rest) = self.0.strip_prefix(',') else { break };
            self.0 = rest;
        }
        self.expect("}");
        let required: Vec<_> = members.keys().cloned().collect();
        json!({"type": "object", "properties": members, "required": required})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, path: &str, status: u16, body: &str) -> Result<(), String> {
        ContractTable::get().check(method, path, status, body)
    }

    #[test]
    fn what_the_contract_allows_passes() {
        assert_eq!(check("GET", "/api/health", 200, r#"{"database":"ok"}"#), Ok(()));
        assert_eq!(check("GET", "/api/org/", 401, r#"{"message":"Unauthorized"}"#), Ok(()));
        assert_eq!(check("GET", "/api/search?query=x", 200, "[]"), Ok(()));
        assert_eq!(check("GET", "/nowhere", 599, ""), Ok(()));
    }

    #[test]
    fn what_it_does_not_allow_is_told() {
        for (path, status, body, what) in [
            ("/api/health", 201, "{}", "may not answer 201"),
            ("/api/health", 200, r#"{"database":1}"#, "at /database"),
            ("/api/search", 200, r#"[{"tags":[null]}]"#, "at /0/tags/0"),
            ("/api/org", 401, "{}", "\"message\" is a required property"),
            ("/api/org", 401, "gone", "it is no JSON"),
            ("/api/folders/x", 200, r#"{"created":"today"}"#, "at /created"),
        ] {
            let error = check("GET", path, status, body).unwrap_err();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn the_operation_that_says_most_is_meant() {
        let find = |path| ContractTable::get().find("GET", path).map(|operation| operation.id);
        assert_eq!(find("/api/teams/search"), Some("searchTeams"));
        assert_eq!(find("/api/teams/7?x=search"), Some("getTeamByID"));
        assert_eq!(find("/api/teams/7/x"), None);
    }

    #[test]
    fn what_a_route_takes_for_a_parameter_is_told_from_what_it_serves() {
        let shadowed = |id: &str, path| {
            let mut operations = ContractTable::get().operations.iter();
            operations.find(|operation| operation.id == id).unwrap().is_shadowed_by("GET", path)
        };
        assert!(shadowed("searchTeams", "/api/teams/{team}"));
        assert!(!shadowed("searchTeams", "/api/teams/search"));
        assert!(!shadowed("getTeamByID", "/api/teams/{team}"));
        assert!(!shadowed("searchTeams", "/api/{all}"));
    }

    #[test]
    fn only_models_that_are_named_are_kept() {
        fn references<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
            match schema {
                Value::Object(members) => {
                    let reference = schema["$ref"].as_str();
                    found.extend(reference.and_then(|reference| reference.strip_prefix("#/$defs/")));
                    members.values().for_each(|member| references(member, found));
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let table = ContractTable::get();
        let definitions = table.definitions.as_object().unwrap();
        let models = table.operations.iter().flat_map(|operation| &operation.answers);
        let is_delimiter = |character: char| !character.is_alphanumeric() && character != '_';
        let mut open: Vec<&str> = models.flat_map(|(_, model)| model.split(is_delimiter)).collect();
        let mut named = std::collections::BTreeSet::new();
        while let Some(name) = open.pop() {
            if let Some(schema) = definitions.get(name)
                && named.insert(name)
            {
                references(schema, &mut open);
            }
        }
        let kept: std::collections::BTreeSet<_> = definitions.keys().map(String::as_str).collect();
        assert_eq!(kept, named);
    }

    #[test]
    fn notations_are_read() {
        let schema = Notation("object{a:array<map<int64>>,b:object{c:any},d:Hit}").whole();
        assert_eq!(schema["properties"]["a"]["items"]["additionalProperties"]["type"], "integer");
        assert_eq!(schema["properties"]["b"]["required"], json!(["c"]));
        assert_eq!(schema["properties"]["d"]["$ref"], "#/$defs/Hit");
    }
}
