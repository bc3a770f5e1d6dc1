//! The location of an attribute in a token.

use jmespath::{Expression, Variable};
use serde_json::Value;

use super::Claims;

/// The location of an attribute in a token: a claim, or the result of a JMESPath expression.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// A claim by its name.
    Claim(String),
    /// An expression.
    Path(Expression<'static>),
}

impl Attribute {
    /// Reads a JMESPath expression.
    #[must_use]
    pub fn path(expression: &str) -> Option<Self> {
        jmespath::compile(expression).ok().map(Self::Path)
    }

    /// The text of the attribute, trimmed; empty if there is none.
    pub(super) fn text(&self, claims: &Claims) -> String {
        let text = match self {
            Self::Claim(name) => claims.get(name).and_then(Value::as_str).map(str::to_owned),
            Self::Path(path) => path.search(claims).ok().and_then(|found| found.as_string().cloned()),
        };
        text.map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// The texts of the attribute, if it is a list, or its one text.
    pub(super) fn texts(&self, claims: &Claims) -> Vec<String> {
        let found = match self {
            Self::Claim(name) => Variable::from_serializable(claims.get(name)).ok(),
            Self::Path(path) => path.search(claims).ok().map(|found| (*found).clone()),
        };
        match found {
            Some(Variable::String(text)) => vec![text],
            Some(Variable::Array(list)) => list.iter().filter_map(|text| text.as_string().cloned()).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> Claims {
        let claims = json!({
            "sub": " ann ", "groups": ["ops", 7, "admins"], "one": "ops",
            "realm": {"email": "ann@example.org", "roles": ["editor"]},
        });
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn texts_are_found_in_claims_and_by_expression() {
        let path = |expression: &str| Attribute::path(expression).unwrap();
        let claims = &claims();
        assert_eq!(Attribute::Claim("sub".into()).text(claims), "ann");
        assert_eq!(Attribute::Claim("realm.email".into()).text(claims), "");
        assert_eq!(path("realm.email").text(claims), "ann@example.org");
        assert_eq!(path("contains(groups[*], 'admins') && 'Admin' || 'Viewer'").text(claims), "Admin");
        assert_eq!(path("groups").text(claims), "");
        assert_eq!(path("length(sub, sub)").text(claims), "");
        assert_eq!(path("groups").texts(claims), ["ops", "admins"]);
        assert_eq!(path("one").texts(claims), ["ops"]);
        assert_eq!(Attribute::Claim("groups".into()).texts(claims), ["ops", "admins"]);
        assert!(path("nothing").texts(claims).is_empty());
        assert!(Attribute::path("realm.").is_none());
    }
}
