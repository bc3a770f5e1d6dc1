//! The checks of the claims of a token, before its user is looked up.

use kymograph_domain::Timestamp;
use serde_json::Value;

use super::Claims;

/// The tolerance for the clock of the identity provider, in seconds.
pub const LEEWAY_SECONDS: i64 = 60;

/// The maximum of a time in a token, in seconds; later ones count as this one.
const LAST_SECOND: f64 = 1e12;

/// The expiry of a token. A token needs an expiry that has not passed, and must not be issued or start in the future.
pub(super) fn check_times(claims: &Claims, now: Timestamp) -> Result<Timestamp, &'static str> {
    let seconds = now.seconds();
    let end = time(claims, "exp")?.ok_or("the token never expires")?.saturating_add(LEEWAY_SECONDS);
    if seconds >= end {
        return Err("the token has expired");
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|begin| begin > seconds + LEEWAY_SECONDS) {
            return Err("the token is not valid yet");
        }
    }
    Ok(Timestamp(end.saturating_mul(1_000_000)))
}

/// A claim in whole seconds since the epoch.
#[expect(clippy::cast_possible_truncation, reason = "it is cut to a range that fits")]
fn time(claims: &Claims, name: &str) -> Result<Option<i64>, &'static str> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().ok_or("a time in the token is not a number")?;
            Ok(Some(seconds.clamp(-LAST_SECOND, LAST_SECOND).floor() as i64))
        }
    }
}

/// The required values of claims: an issuer, an audience, and any other claim.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    audiences: Vec<String>,
    others: Claims,
}

impl Expected {
    /// Reads `expect_claims`. `aud` is a text or a list, of which the token must name one; `iss` and `sub` are texts.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        let mut others: Claims = serde_json::from_str(json).ok()?;
        let audiences = match others.remove("aud") {
            None => Vec::new(),
            Some(audience) => texts(&audience).filter(|audiences| !audiences.is_empty())?,
        };
        let is_text = |name| others.get(name).is_none_or(Value::is_string);
        (is_text("iss") && is_text("sub")).then_some(Self { audiences, others })
    }

    /// Whether tokens for any audience are accepted.
    #[must_use]
    pub fn takes_any_audience(&self) -> bool {
        self.audiences.is_empty()
    }

    pub(super) fn check(&self, claims: &Claims) -> Result<(), &'static str> {
        if !self.audiences.is_empty() {
            let named = claims.get("aud").and_then(texts).unwrap_or_default();
            if !named.iter().any(|audience| self.audiences.contains(audience)) {
                return Err("the token is for another audience");
            }
        }
        if self.others.iter().all(|(name, expected)| claims.get(name) == Some(expected)) {
            Ok(())
        } else {
            Err("a claim has an unexpected value")
        }
    }
}

/// A text, or a list of nothing but texts.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(list) => list.iter().map(|text| text.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    fn times(value: Value) -> Result<Timestamp, &'static str> {
        check_times(&claims(value), Timestamp(NOW * 1_000_000))
    }

    #[test]
    fn times_count_to_the_second_with_the_leeway() {
        let end = |seconds: i64| Ok(Timestamp((seconds + LEEWAY_SECONDS) * 1_000_000));
        assert_eq!(times(json!({"exp": NOW + 1})), end(NOW + 1));
        assert_eq!(times(json!({"exp": NOW - LEEWAY_SECONDS + 1})), end(NOW - LEEWAY_SECONDS + 1));
        assert_eq!(times(json!({"exp": NOW - LEEWAY_SECONDS})), Err("the token has expired"));
        for name in ["nbf", "iat"] {
            let begins = |seconds: i64| times(json!({"exp": NOW + 900, name: seconds}));
            assert!(begins(NOW + LEEWAY_SECONDS).is_ok());
            assert_eq!(begins(NOW + LEEWAY_SECONDS + 1), Err("the token is not valid yet"));
        }
    }

    #[test]
    fn times_must_be_numbers_and_there_must_be_an_end() {
        for endless in [json!({}), json!({"exp": null})] {
            assert_eq!(times(endless), Err("the token never expires"));
        }
        for wrong in [json!({"exp": "9999999999"}), json!({"exp": [1]}), json!({"exp": true})] {
            assert_eq!(times(wrong), Err("a time in the token is not a number"));
        }
        assert!(times(json!({"exp": NOW + 9, "nbf": "now"})).is_err());
        assert!(times(json!({"exp": 1e300})).is_ok());
        assert_eq!(times(json!({"exp": -1e300})), Err("the token has expired"));
        assert!(times(json!({"exp": NOW + 9, "iat": 1e300})).is_err());
    }

    #[test]
    fn one_audience_is_enough_and_everything_else_must_be_equal() {
        let expected = Expected::parse(r#"{"aud": ["a", "b"], "iss": "i", "tier": ["x", 1]}"#).unwrap();
        let check = |value: Value| expected.check(&claims(value)).is_ok();
        assert!(check(json!({"aud": "b", "iss": "i", "tier": ["x", 1]})));
        assert!(check(json!({"aud": ["z", "a"], "iss": "i", "tier": ["x", 1], "more": true})));
        for wrong in [
            json!({"iss": "i", "tier": ["x", 1]}),
            json!({"aud": "ab", "iss": "i", "tier": ["x", 1]}),
            json!({"aud": ["a", 1], "iss": "i", "tier": ["x", 1]}),
            json!({"aud": {"a": "a"}, "iss": "i", "tier": ["x", 1]}),
            json!({"aud": "a", "iss": ["i"], "tier": ["x", 1]}),
            json!({"aud": "a", "iss": "j", "tier": ["x", 1]}),
            json!({"aud": "a", "iss": "i", "tier": ["x"]}),
            json!({"aud": "a", "iss": "i", "tier": "x"}),
            json!({"aud": "a", "iss": "i"}),
        ] {
            assert!(!check(wrong.clone()), "{wrong}");
        }
    }

    #[test]
    fn expectations_that_no_token_could_meet_are_refused() {
        assert!(Expected::parse("{}").unwrap().takes_any_audience());
        for wrong in ["", "[]", r#"{"aud": 1}"#, r#"{"aud": []}"#, r#"{"iss": ["a"]}"#, r#"{"sub": 1}"#] {
            assert!(Expected::parse(wrong).is_none(), "{wrong}");
        }
    }
}
