//! The permissions on the audit log, one per row.

use kymograph_domain::OrgRole;

use crate::permissions;

permissions! {
    /// Read the audit log of the org.
    AUDIT_READ = { action: "audit:read", role: Some(OrgRole::Admin) };
    /// Read the audit log of the server, which belongs to no org.
    SERVER_AUDIT_READ = { action: "server.audit:read", is_server: true };
}
