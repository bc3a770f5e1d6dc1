//! The target of a denied request, for the audit log.

use axum::extract::MatchedPath;
use kymograph_app::account::access::DeniedRequest;
use kymograph_domain::account::access::AccessTarget;
use kymograph_domain::kernel::text::MAX_NAME_BYTES;

use crate::kernel::layer::Asked;
use crate::kernel::routes::Route;

/// The nouns of path segments, as declared by the groups of routes.
pub struct Nouns(Vec<(&'static str, &'static str)>);

impl Nouns {
    /// The nouns of these routes.
    pub(crate) fn of(routes: &[Route]) -> Self {
        let mut nouns: Vec<_> = routes.iter().filter_map(|route| route.group.noun).collect();
        nouns.sort_unstable();
        nouns.dedup();
        Self(nouns)
    }

    /// The audit event of a denied request.
    pub(super) fn denied_request(&self, asked: Asked, reason: &str) -> DeniedRequest {
        let route = asked.route.as_ref().map_or("", MatchedPath::as_str);
        DeniedRequest {
            method: asked.method.to_string(),
            target: self.target(route, asked.uri.path()),
            route: route.to_owned(),
            reason: reason.to_owned(),
        }
    }

    /// The object that a path names: the noun before the first parameter of the route, and that parameter's value.
    fn target(&self, route: &str, path: &str) -> AccessTarget {
        let segments: Vec<_> = route.split('/').collect();
        let noun = |segment: &&str| self.0.iter().find(|(name, _)| name == segment).map(|(_, noun)| *noun);
        let parameter = segments.iter().position(|segment| segment.starts_with('{'));
        let before = &segments[..parameter.unwrap_or(segments.len())];
        let kind = before.iter().rev().find_map(noun).unwrap_or("request").to_owned();
        // Counted from `api`, because a server under a sub-path matches routes with it and paths without.
        let base = before.iter().rposition(|segment| *segment == "api").unwrap_or(1);
        let uid = parameter.and_then(|index| path.split('/').nth(1 + index - base));
        // No uid is longer, and queued events use memory.
        let uid = uid.filter(|uid| uid.len() <= MAX_NAME_BYTES);
        AccessTarget { kind, uid: uid.unwrap_or_default().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(route: &str, path: &str) -> String {
        let nouns = ["dashboards-dashboard", "folders-folder", "teams-team", "users-user"];
        let nouns = Nouns(nouns.iter().filter_map(|noun| noun.split_once('-')).collect());
        nouns.target(route, path).to_string()
    }

    #[test]
    fn the_first_parameter_names_the_object() {
        let versions = "/api/dashboards/uid/{uid}/versions/{version}";
        assert_eq!(named(versions, "/api/dashboards/uid/cpu/versions/3"), "dashboard-cpu");
        assert_eq!(named("/api/teams/{team_id}/members/{user_id}", "/api/teams/7/members/5"), "team-7");
        assert_eq!(named("/api/org/users/{user_id}", "/api/org/users/5"), "user-5");
        assert_eq!(named("/grafana/api/folders/{folder_uid}", "/api/folders/ops"), "folder-ops");
        let rest = "/api/folders/{folder_uid}/files/{*path}";
        assert_eq!(named(rest, "/api/folders/ops/files/a/b/c"), "folder-ops");
    }

    #[test]
    fn without_a_parameter_only_the_noun_is_known() {
        assert_eq!(named("/api/dashboards/db", "/api/dashboards/db"), "dashboard");
        assert_eq!(named("/api/search", "/api/search"), "request");
        assert_eq!(named("", "/"), "request");
        let longest = format!("/api/folders/{}", "a".repeat(MAX_NAME_BYTES));
        assert!(named("/api/folders/{folder_uid}", &longest).ends_with('a'));
        assert_eq!(named("/api/folders/{folder_uid}", &(longest + "a")), "folder");
    }
}
