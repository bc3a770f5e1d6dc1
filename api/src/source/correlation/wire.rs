//! The forms and bodies of correlations.

use axum::http::StatusCode;
use kymograph_app::Scope;
use kymograph_app::source::correlation::{CorrelationPage, CorrelationView, NewCorrelation};
use kymograph_domain::source::correlation::{
    CorrelationChange, CorrelationConfig, CorrelationContent, CorrelationKind, Transformation,
    TransformationKind,
};
use kymograph_domain::{CanonicalJson, OrgId, Uid};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::kernel::body::form::Verbatim;
use crate::kernel::error::{ApiError, ApiResult};
use crate::kernel::openapi::text::{LongText, Name, ShortText};

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CorrelationForm {
    /// The data source that a correlation of the type `query` leads to.
    #[serde(rename = "targetUID")]
    #[schema(value_type = Option<Uid>)]
    target_uid: Option<String>,
    #[schema(value_type = Option<ShortText>)]
    label: Option<String>,
    #[schema(value_type = Option<LongText>)]
    description: Option<String>,
    /// By default `query`.
    r#type: Option<CorrelationKind>,
    #[schema(value_type = CorrelationConfigForm, required)]
    config: Option<CorrelationConfigForm>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CorrelationConfigForm {
    /// The type, if it is not given outside of the config. Deprecated.
    r#type: Option<CorrelationKind>,
    /// The field whose values become links.
    #[schema(value_type = Name, required)]
    field: Option<String>,
    /// The query, or an object with the `url` of a web page.
    #[schema(value_type = Object, required)]
    target: Option<Verbatim>,
    transformations: Option<Vec<TransformationForm>>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TransformationForm {
    #[schema(value_type = TransformationKind, required)]
    r#type: Option<TransformationKind>,
    /// The regular expression of the type `regex`.
    expression: Option<String>,
    /// The field that is transformed, if it is not the one of the correlation.
    field: Option<String>,
    /// The name of the variable.
    map_value: Option<String>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CorrelationChangeForm {
    #[schema(value_type = Option<ShortText>)]
    label: Option<String>,
    #[schema(value_type = Option<LongText>)]
    description: Option<String>,
    r#type: Option<CorrelationKind>,
    config: Option<CorrelationConfigChangeForm>,
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CorrelationConfigChangeForm {
    /// The field whose values become links.
    #[schema(value_type = Option<Name>)]
    field: Option<String>,
    /// The query, or an object with the `url` of a web page.
    #[schema(value_type = Option<Object>)]
    target: Option<Verbatim>,
    transformations: Option<Vec<TransformationForm>>,
}

fn transformations(forms: Vec<TransformationForm>) -> ApiResult<Vec<Transformation>> {
    let transformation = |TransformationForm { r#type, expression, field, map_value }| {
        let missing = || ApiError::new(StatusCode::BAD_REQUEST, "a transformation must have a type");
        Ok(Transformation {
            kind: r#type.ok_or_else(missing)?,
            expression: expression.unwrap_or_default(),
            field: field.unwrap_or_default(),
            map_value: map_value.unwrap_or_default(),
        })
    };
    forms.into_iter().map(transformation).collect()
}

impl CorrelationForm {
    pub(super) fn into_new(self) -> ApiResult<NewCorrelation> {
        let Self { target_uid, label, description, r#type, config } = self;
        let config = config.unwrap_or_default();
        let missing = || ApiError::new(StatusCode::BAD_REQUEST, "config.target is missing");
        let Verbatim(target) = config.target.ok_or_else(missing)?;
        let content = CorrelationContent {
            label: label.unwrap_or_default(),
            description: description.unwrap_or_default(),
            kind: r#type.or(config.r#type).unwrap_or_default(),
            config: CorrelationConfig {
                field: config.field.unwrap_or_default(),
                target,
                transformations: transformations(config.transformations.unwrap_or_default())?,
            },
        };
        Ok(NewCorrelation { target_uid: target_uid.filter(|uid| !uid.is_empty()), content })
    }
}

impl CorrelationChangeForm {
    pub(super) fn into_change(self) -> ApiResult<CorrelationChange> {
        let Self { label, description, r#type, config } = self;
        let config = config.unwrap_or_default();
        Ok(CorrelationChange {
            label,
            description,
            kind: r#type,
            field: config.field,
            target: config.target.map(|Verbatim(target)| target),
            transformations: config.transformations.map(transformations).transpose()?,
        })
    }
}

/// A correlation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CorrelationBody {
    uid: Uid,
    org_id: OrgId,
    #[serde(rename = "sourceUID")]
    source_uid: Uid,
    #[serde(rename = "targetUID", skip_serializing_if = "Option::is_none")]
    target_uid: Option<Uid>,
    label: String,
    description: String,
    r#type: CorrelationKind,
    config: CorrelationConfigBody,
    /// Whether it can be changed only at its origin.
    provisioned: bool,
}

#[derive(Serialize, ToSchema)]
struct CorrelationConfigBody {
    field: String,
    #[schema(value_type = Object)]
    target: CanonicalJson,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    transformations: Vec<Transformation>,
}

impl CorrelationBody {
    pub(super) fn of(scope: &Scope, correlation: CorrelationView) -> Self {
        let CorrelationView { uid, source_uid, target_uid, content } = correlation;
        let CorrelationConfig { field, target, transformations } = content.config;
        Self {
            uid,
            org_id: scope.org(),
            source_uid,
            target_uid,
            label: content.label,
            description: content.description,
            r#type: content.kind,
            config: CorrelationConfigBody { field, target, transformations },
            provisioned: false,
        }
    }
}

/// A page of correlations.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CorrelationsBody {
    correlations: Vec<CorrelationBody>,
    /// The number of correlations of all pages.
    total_count: i64,
    page: i64,
    limit: i64,
}

impl CorrelationsBody {
    pub(super) fn of(scope: &Scope, listed: CorrelationPage) -> Self {
        let CorrelationPage { correlations, total, page } = listed;
        let body = |correlation| CorrelationBody::of(scope, correlation);
        let correlations = correlations.into_iter().map(body).collect();
        Self { correlations, total_count: total, page: page.number, limit: page.size }
    }
}

/// A correlation that was created or changed.
#[derive(Serialize, ToSchema)]
pub(super) struct SavedCorrelationBody {
    result: CorrelationBody,
    message: &'static str,
}

impl SavedCorrelationBody {
    pub(super) fn of(scope: &Scope, correlation: CorrelationView, message: &'static str) -> Self {
        Self { result: CorrelationBody::of(scope, correlation), message }
    }
}
