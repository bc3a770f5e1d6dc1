//! The table `secrets`.

use kymograph_app::kernel::secret::{SecretWrite, Secrets};
use kymograph_app::kernel::side_write::{OnFailure, SideWrite};
use kymograph_app::values;
use kymograph_domain::OrgId;

const KEEP: &str = "INSERT INTO secrets (org_id, key, value) VALUES ($1, $2, $3)
    ON CONFLICT (org_id, key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM secrets WHERE org_id = $1 AND key = $2";
const DELETE_ALL: &str = "DELETE FROM secrets WHERE org_id = $1";

/// Keeps secrets in the table `secrets`.
pub struct PgSecrets;

impl Secrets for PgSecrets {
    fn write(&self, secret: SecretWrite) -> SideWrite {
        let SecretWrite { org, key, value } = secret;
        let (sql, params) = match value {
            Some(value) => (KEEP, values![org.0, key, value]),
            None => (DELETE, values![org.0, key]),
        };
        SideWrite { org, sql, params, on_failure: OnFailure::Fault }
    }

    fn delete_all(&self, org: OrgId) -> SideWrite {
        SideWrite { org, sql: DELETE_ALL, params: values![org.0], on_failure: OnFailure::Fault }
    }
}
