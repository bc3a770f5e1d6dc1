//! `[quota]`: the quotas of orgs, users and the server.

use kymograph_app::account::quota::QuotaLimits;

use super::ConfigError;
use super::value::{self, Parsed};
use super::values::Values;

/// The quotas.
#[derive(Clone, Debug)]
pub struct QuotaConfig {
    /// The quotas of orgs, users and the server; `None` if quotas are disabled.
    pub limits: Option<QuotaLimits>,
    /// The maximum number of sessions, if limited.
    pub max_sessions: Option<i64>,
}

impl QuotaConfig {
    pub(super) fn read(values: &Values) -> Result<Self, ConfigError> {
        let limit = |name| values.get("quota", name, limit);
        // All are parsed, so that errors show before quotas are enabled.
        let limits = QuotaLimits {
            org_user: limit("org_user")?,
            org_dashboard: limit("org_dashboard")?,
            org_folder: limit("org_folder")?,
            org_data_source: limit("org_data_source")?,
            org_api_key: limit("org_api_key")?,
            org_alert_rule: limit("org_alert_rule")?,
            user_org: limit("user_org")?,
            global_org: limit("global_org")?,
            global_user: limit("global_user")?,
            global_dashboard: limit("global_dashboard")?,
            global_api_key: limit("global_api_key")?,
        };
        let max_sessions = Some(limit("global_session")?).filter(|limit| *limit >= 0);
        let is_enabled = values.get("quota", "enabled", value::flag)?;
        Ok(if is_enabled {
            Self { limits: Some(limits), max_sessions }
        } else {
            Self { limits: None, max_sessions: None }
        })
    }
}

/// Every negative number means unlimited, as in Grafana.
fn limit(text: &str) -> Parsed<i64> {
    text.parse().map(|limit: i64| limit.max(-1)).map_err(|_| "a whole number, -1 for no limit")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;

    #[test]
    fn limits_hold_once_they_are_enabled() {
        let limit = ("GF_QUOTA_ORG_DASHBOARD", "5");
        let sessions = ("GF_QUOTA_GLOBAL_SESSION", "-7");
        let off = Directory::new().load(&[limit, sessions], &[]).unwrap().quota;
        assert!(off.limits.is_none() && off.max_sessions.is_none());
        let env = [limit, sessions, ("GF_QUOTA_ENABLED", "true")];
        let on = Directory::new().load(&env, &["cfg:quota.global_session=0"]).unwrap().quota;
        assert_eq!(on.limits.map(|limits| (limits.org_dashboard, limits.org_user)), Some((5, -1)));
        assert_eq!(on.max_sessions, Some(0));
        assert!(Directory::new().load(&[("GF_QUOTA_ORG_USER", "many")], &[]).is_err());
    }
}
