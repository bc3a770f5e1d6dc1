//! The code of an invite, which a guest presents.

use kymograph_domain::OrgId;
use kymograph_domain::account::invite::InviteId;

use crate::account::session::hash_token;
use crate::kernel::error::Result;
use crate::kernel::random::{hex, random_bytes};
use crate::kernel::secret::SecretWrite;

/// The code of an invite, which identifies the invite: `<org>-<id>-<32 hexadecimal digits>`.
///
/// A guest with a code is not authenticated, so the org is unknown. A table of all codes would belong to no tenant;
/// since the code contains its org, it is looked up under that org's row level security like everything else. Org and
/// id are not secret; the 128 random bits after them are.
pub(super) struct InviteCode {
    pub(super) org: OrgId,
    pub(super) id: InviteId,
    pub(super) text: String,
}

impl InviteCode {
    /// Generates the code of a new invite.
    pub(super) fn try_random(org: OrgId, id: InviteId) -> Result<Self> {
        let random = hex(&random_bytes::<16>()?);
        Ok(Self { org, id, text: format!("{org}-{id}-{random}") })
    }

    /// Parses the org and id of a code. [`InviteCode::is`] checks whether the code is correct.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '-');
        let org = OrgId(parts.next()?.parse().ok().filter(|org| *org > 0)?);
        let id = InviteId(parts.next()?.parse().ok()?);
        parts.next().map(|_| Self { org, id, text: text.to_owned() })
    }

    /// Whether it is the stored code. Hashes are compared, so that the duration reveals nothing.
    pub(super) fn is(&self, kept: &str) -> bool {
        hash_token(&self.text) == hash_token(kept)
    }

    /// The secret that holds the code.
    pub(super) fn secret(self) -> SecretWrite {
        code_secret(self.org, self.id, Some(self.text))
    }
}

/// The secret that holds the code of an invite, `None` to delete it.
#[must_use]
pub fn code_secret(org: OrgId, id: InviteId, code: Option<String>) -> SecretWrite {
    SecretWrite { org, key: format!("invite/{id}/code"), value: code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_says_where_its_invite_is() {
        let code = InviteCode::try_random(OrgId(3), InviteId(14)).unwrap();
        let parsed = InviteCode::parse(&code.text).unwrap();
        assert_eq!((parsed.org, parsed.id), (OrgId(3), InviteId(14)));
        assert!(parsed.is(&code.text));
        assert!(!parsed.is("3-14-0"));
        assert_eq!(code.text.rsplit('-').next().unwrap().len(), 32);
    }

    #[test]
    fn other_texts_are_no_codes() {
        for text in ["", "x", "1-2", "0-1-abc", "-1-1-abc", "1-x-abc"] {
            assert!(InviteCode::parse(text).is_none(), "{text}");
        }
    }
}
