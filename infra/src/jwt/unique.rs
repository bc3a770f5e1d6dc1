//! Claims without duplicates: parsers that disagree on which one counts could be exploited.

use std::fmt;

use kymograph_app::account::identity::Claims;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Claims with unique names.
#[derive(Debug)]
pub(super) struct UniqueClaims(pub(super) Claims);

impl<'de> Deserialize<'de> for UniqueClaims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Claims;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Claims, A::Error> {
        let mut claims = Claims::new();
        while let Some((name, value)) = access.next_entry()? {
            if claims.insert(name, value).is_some() {
                return Err(A::Error::custom("a claim is there twice"));
            }
        }
        Ok(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::UniqueClaims;

    #[test]
    fn a_claim_that_is_there_twice_is_refused() {
        let read = serde_json::from_str::<UniqueClaims>;
        assert_eq!(read(r#"{"role": "Viewer", "sub": "a"}"#).unwrap().0.len(), 2);
        assert!(read(r#"{"role": "Viewer", "role": "Admin"}"#).is_err());
        assert!(read(r#"{"role": "Viewer", "r\u006fle": "Viewer"}"#).is_err());
        assert!(read("[]").is_err());
    }
}
