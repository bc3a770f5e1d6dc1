//! Secrets, which are kept outside the log, because the log is shown, exported and never forgets.

use std::fmt;

use kymograph_domain::OrgId;

use crate::kernel::side_write::SideWrite;

/// A secret to be kept, or deleted.
#[derive(Clone)]
pub struct SecretWrite {
    /// The org that owns it.
    pub org: OrgId,
    /// Its name, like `user/1/password`.
    pub key: String,
    /// Its value, `None` to delete it.
    pub value: Option<String>,
}

impl fmt::Debug for SecretWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretWrite").field("org", &self.org).field("key", &self.key).finish_non_exhaustive()
    }
}

/// Writes secrets as parts of commits.
pub trait Secrets: Send + Sync {
    /// Keeps a secret, or deletes it.
    fn write(&self, secret: SecretWrite) -> SideWrite;
    /// Deletes all secrets of an org, which ends.
    fn delete_all(&self, org: OrgId) -> SideWrite;
}
