//! A `User-Agent` in words, for lists of sessions.

use serde::Serialize;
use utoipa::ToSchema;

/// The client of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SessionClientBody {
    device: &'static str,
    os: &'static str,
    os_version: String,
    browser: String,
    browser_version: String,
}

impl SessionClientBody {
    /// Reads a `User-Agent`.
    pub(super) fn of(user_agent: &str) -> Self {
        let (browser, browser_version) = browser(user_agent);
        let (os, os_version) = os(user_agent);
        let device = if ["iPhone", "Android"].iter().any(|name| user_agent.contains(name)) {
            "Mobile"
        } else {
            "Other"
        };
        Self { device, os, os_version, browser, browser_version }
    }
}

/// Browsers include each other's names, so the more specific ones are matched first. Other clients begin with their own
/// name, like `curl/8.0`.
fn browser(user_agent: &str) -> (String, String) {
    const BROWSERS: [(&str, &str); 5] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Version/", "Safari"),
    ];
    for (token, name) in BROWSERS {
        if let Some((_, rest)) = user_agent.split_once(token) {
            return (name.to_owned(), version(rest));
        }
    }
    let (name, rest) = user_agent.split_once('/').unwrap_or((user_agent, ""));
    (name.chars().take(60).collect(), version(rest))
}

fn os(user_agent: &str) -> (&'static str, String) {
    const SYSTEMS: [(&str, &str); 6] = [
        ("Windows NT ", "Windows"),
        ("iPhone OS ", "iOS"),
        ("Android ", "Android"),
        ("Mac OS X ", "macOS"),
        ("CrOS ", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    SYSTEMS
        .iter()
        .find_map(|(token, name)| user_agent.split_once(token).map(|(_, rest)| (*name, version(rest))))
        .unwrap_or(("Other", String::new()))
}

fn version(text: &str) -> String {
    let is_part = |character: &char| character.is_ascii_digit() || ['.', '_'].contains(character);
    text.chars()
        .take_while(is_part)
        .take(20)
        .map(|character| if character == '_' { '.' } else { character })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_browsers_apart() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        let client = SessionClientBody::of(chrome);
        assert_eq!(
            (client.browser.as_str(), client.browser_version.as_str(), client.os),
            ("Chrome", "140.0.0.0", "Linux")
        );
        let safari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 (KHTML, like Gecko) Version/17.1 Safari/605";
        let client = SessionClientBody::of(safari);
        assert_eq!(
            (client.browser.as_str(), client.os, client.os_version.as_str()),
            ("Safari", "macOS", "10.15.7")
        );
        assert_eq!(SessionClientBody::of("curl/8.5.0").browser, "curl");
        assert_eq!(SessionClientBody::of("").browser, "");
    }
}
