//! URLs below the base URL of a source.

use percent_encoding::percent_decode_str;
use url::Url;

/// How many levels of percent-encoding a path may have.
const MAX_ENCODINGS: usize = 4;

/// The URL of a percent-encoded path below a base; `None` if it could lead out of the base, however the source decodes
/// it.
pub(super) fn below(base: &Url, path: &str, query: &str) -> Option<Url> {
    if !stays_below(path) {
        return None;
    }
    let mut url = base.clone();
    let root = base.path().trim_end_matches('/');
    if !path.is_empty() {
        url.set_path(&format!("{root}/{path}"));
    }
    let all = match base.query() {
        Some(own) if !own.is_empty() && !query.is_empty() => format!("{own}&{query}"),
        Some(own) if query.is_empty() => own.to_owned(),
        _ => query.to_owned(),
    };
    url.set_query(Some(all.as_str()).filter(|all| !all.is_empty()));
    let is_same_host = url.host() == base.host() && url.port() == base.port();
    (is_same_host && url.path().starts_with(root)).then_some(url)
}

/// Whether no segment of a path means the parent folder, at any level of encoding.
fn stays_below(path: &str) -> bool {
    let mut text = path.to_owned();
    for _ in 0..MAX_ENCODINGS {
        let leaves = text.split(['/', '\\']).any(|part| {
            // Some servers cut off parameters before they interpret a segment.
            let name = part.split(';').next().unwrap_or_default().trim();
            name == ".." || name == "."
        });
        if leaves || text.contains('\0') {
            return false;
        }
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            return true;
        }
        text = decoded;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base: &str, path: &str, query: &str) -> Option<String> {
        below(&Url::parse(base).unwrap(), path, query).map(String::from)
    }

    #[test]
    fn paths_are_appended() {
        let cases = [
            ("http://h:1", "api/v1/query", "a=b%20c", "http://h:1/api/v1/query?a=b%20c"),
            ("http://h:1/prom/", "api/v1/query", "", "http://h:1/prom/api/v1/query"),
            ("http://h:1/prom", "", "", "http://h:1/prom"),
            ("http://h:1/prom?key=1", "x", "a=1", "http://h:1/prom/x?key=1&a=1"),
            ("http://h:1/prom?key=1", "x", "", "http://h:1/prom/x?key=1"),
            ("http://h:1/prom", "label/a%2Fb/values", "", "http://h:1/prom/label/a%2Fb/values"),
            ("http://h:1/prom", "a..b/c...", "", "http://h:1/prom/a..b/c..."),
            ("http://h:1/prom", "/evil.example/x", "", "http://h:1/prom//evil.example/x"),
            ("http://h:1/prom", "a?b#c", "", "http://h:1/prom/a%3Fb%23c"),
        ];
        for (base, path, query, expected) in cases {
            assert_eq!(at(base, path, query).as_deref(), Some(expected), "{base} {path}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for path in [
            "..",
            "../admin",
            "a/../../admin",
            "%2e%2e/admin",
            "%2E./admin",
            "..%2fadmin",
            "a%2f..%2f..%2fadmin",
            "..\\admin",
            "..%5cadmin",
            "%252e%252e/admin",
            "%25252e%25252e/admin",
            "%2525252525252e/x",
            "..;/admin",
            "a/./b",
            "a%00b",
        ] {
            assert_eq!(at("http://h:1/prom", path, ""), None, "{path}");
        }
    }
}
