//! The content of a correlation, and its limits.

use serde::{Deserialize, Serialize};

use super::CorrelationError;
use crate::kernel::json::CanonicalJson;
use crate::kernel::text::{MAX_DESCRIPTION_BYTES, MAX_NAME_BYTES, is_storable};

/// The maximum length of a config as JSON, in bytes: it is part of the state.
pub const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// The kind of destination of a correlation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum CorrelationKind {
    /// A query of a data source.
    #[default]
    Query,
    /// A web page.
    External,
}

/// The way in which a transformation finds variables in the value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum TransformationKind {
    /// By a regular expression.
    Regex,
    /// As pairs in the format logfmt.
    Logfmt,
}

/// A transformation of a field into variables. It is applied by clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct Transformation {
    /// The kind.
    #[serde(rename = "type")]
    pub kind: TransformationKind,
    /// The regular expression.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expression: String,
    /// The field that is transformed, if it is not the one of the correlation.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// The name of the variable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub map_value: String,
}

/// The link of a correlation: the field that shows it, and its destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CorrelationConfig {
    /// The field whose values become links.
    pub field: String,
    /// The query, or the web page: an object whose members depend on the type of the data source.
    pub target: CanonicalJson,
    /// The transformations of the field.
    pub transformations: Vec<Transformation>,
}

impl Default for CorrelationConfig {
    fn default() -> Self {
        let target = CanonicalJson::of_canonical("{}".to_owned());
        Self { field: String::new(), target, transformations: Vec::new() }
    }
}

/// The content of a correlation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CorrelationContent {
    /// The label, often empty.
    pub label: String,
    /// The description, often empty.
    pub description: String,
    /// The kind of destination.
    #[serde(rename = "type")]
    pub kind: CorrelationKind,
    /// The field that shows it, and its destination.
    pub config: CorrelationConfig,
}

/// A change of the content of a correlation. `None` keeps the current value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorrelationChange {
    /// The label.
    pub label: Option<String>,
    /// The description.
    pub description: Option<String>,
    /// The kind of destination.
    pub kind: Option<CorrelationKind>,
    /// The field whose values become links.
    pub field: Option<String>,
    /// The query, or the web page.
    pub target: Option<CanonicalJson>,
    /// The transformations of the field.
    pub transformations: Option<Vec<Transformation>>,
}

/// The target of a correlation that leads to a web page.
#[derive(Deserialize)]
struct WebPage {
    url: String,
}

impl CorrelationContent {
    /// The content after a change.
    pub(super) fn changed(&self, change: CorrelationChange) -> Self {
        let CorrelationChange { label, description, kind, field, target, transformations } = change;
        let config = &self.config;
        Self {
            label: label.unwrap_or_else(|| self.label.clone()),
            description: description.unwrap_or_else(|| self.description.clone()),
            kind: kind.unwrap_or(self.kind),
            config: CorrelationConfig {
                field: field.unwrap_or_else(|| config.field.clone()),
                target: target.unwrap_or_else(|| config.target.clone()),
                transformations: transformations.unwrap_or_else(|| config.transformations.clone()),
            },
        }
    }

    /// Fails if a part is missing or too large.
    pub(super) fn check(&self, has_target: bool) -> Result<(), CorrelationError> {
        let Self { label, description, kind, config } = self;
        if config.field.trim().is_empty() {
            return Err(CorrelationError::NoField);
        }
        let texts = [("label", label), ("config.field", &config.field)];
        if let Some((member, _)) = texts.iter().find(|(_, text)| !is_storable(text, MAX_NAME_BYTES)) {
            return Err(CorrelationError::InvalidText(member));
        }
        if !is_storable(description, MAX_DESCRIPTION_BYTES) {
            return Err(CorrelationError::InvalidDescription);
        }
        config.check()?;
        match kind {
            CorrelationKind::Query if !has_target => Err(CorrelationError::NoTarget),
            CorrelationKind::External if !config.has_url() => Err(CorrelationError::NoUrl),
            CorrelationKind::Query | CorrelationKind::External => Ok(()),
        }
    }
}

impl CorrelationConfig {
    fn check(&self) -> Result<(), CorrelationError> {
        let target = self.target.as_str();
        if !target.starts_with('{') || target.contains("\\u0000") {
            return Err(CorrelationError::InvalidTarget);
        }
        let lacks_expression = |transformation: &Transformation| {
            transformation.kind == TransformationKind::Regex && transformation.expression.is_empty()
        };
        if self.transformations.iter().any(lacks_expression) {
            return Err(CorrelationError::NoExpression);
        }
        let json = serde_json::to_string(self).unwrap_or_default();
        let is_storable = json.len() <= MAX_CONFIG_BYTES && !json.contains("\\u0000");
        if is_storable { Ok(()) } else { Err(CorrelationError::InvalidConfig) }
    }

    /// Whether the target is a web page with an address.
    fn has_url(&self) -> bool {
        let page = serde_json::from_str::<WebPage>(self.target.as_str());
        page.is_ok_and(|page| !page.url.trim().is_empty())
    }
}
