//! The mapping of groups of the identity provider to orgs.

use kymograph_domain::{OrgId, OrgRole};

/// Stands for all users, or for all orgs.
const ALL: &str = "*";

/// A group, the org that its users are members of, and their role there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrgMapping {
    /// The name of the group; `None` for all users.
    pub group: Option<String>,
    /// The org.
    pub org: MappedOrg,
    /// The role.
    pub role: OrgRole,
}

/// The org of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappedOrg {
    /// All orgs.
    All,
    /// The org with this id.
    Id(OrgId),
    /// The org with this name.
    Name(String),
}

impl OrgMapping {
    /// Parses `<group>:<org>` or `<group>:<org>:<role>`, where the role defaults to `Viewer`, and `\:` is a colon.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parts = split(text);
        let (group, org, role) = match &parts[..] {
            [group, org] => (group, org, OrgRole::Viewer),
            [group, org, role] => (group, org, OrgRole::try_parse(role).ok()?),
            _ => return None,
        };
        if group.is_empty() || org.is_empty() {
            return None;
        }
        let org = match org.parse() {
            Ok(id) => MappedOrg::Id(OrgId(id)),
            Err(_) if org == ALL => MappedOrg::All,
            Err(_) => MappedOrg::Name(org.clone()),
        };
        Some(Self { group: Some(group.clone()).filter(|group| group != ALL), org, role })
    }

    /// Whether it applies to a user in these groups.
    pub(super) fn applies_to(&self, groups: &[String]) -> bool {
        self.group.as_ref().is_none_or(|group| groups.contains(group))
    }
}

fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let character = match character {
            ':' => {
                parts.push(String::new());
                continue;
            }
            '\\' => characters.next_if_eq(&':').unwrap_or('\\'),
            character => character,
        };
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(group: Option<&str>, org: MappedOrg, role: OrgRole) -> OrgMapping {
        OrgMapping { group: group.map(str::to_owned), org, role }
    }

    #[test]
    fn mappings_are_read_as_grafana_reads_them() {
        let name = |name: &str| MappedOrg::Name(name.to_owned());
        let one = MappedOrg::Id(OrgId(1));
        let cases = [
            ("ops:1:Editor", mapping(Some("ops"), one.clone(), OrgRole::Editor)),
            ("ops:Main Org.", mapping(Some("ops"), name("Main Org."), OrgRole::Viewer)),
            ("*:1:None", mapping(None, one.clone(), OrgRole::None)),
            ("ops:*:Admin", mapping(Some("ops"), MappedOrg::All, OrgRole::Admin)),
            (r"urn\:ops:a\:b", mapping(Some("urn:ops"), name("a:b"), OrgRole::Viewer)),
            (r"corp\ops:1", mapping(Some(r"corp\ops"), one, OrgRole::Viewer)),
        ];
        for (text, expected) in cases {
            assert_eq!(OrgMapping::parse(text), Some(expected), "{text}");
        }
        for wrong in ["", "ops", ":1", "ops:", "ops:1:", "ops:1:admin", "ops:1:Admin:x"] {
            assert_eq!(OrgMapping::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_mapping_is_for_its_group_or_for_everybody() {
        let groups = ["ops".to_owned()];
        assert!(OrgMapping::parse("ops:1").unwrap().applies_to(&groups));
        assert!(!OrgMapping::parse("op:1").unwrap().applies_to(&groups));
        assert!(OrgMapping::parse("*:1").unwrap().applies_to(&[]));
    }
}
