//! The numbered SQL migrations, embedded in the binary.
//!
//! A migration that was released is never changed: its checksum is kept in the database and compared. The
//! first one runs as whoever runs the migrations, because it makes the roles; all others run as the owner.

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number, from 1 without a gap.
    pub version: i32,
    /// What it is about.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

macro_rules! migrations {
    ($($version:literal $name:literal;)+) => {
        /// All migrations in the order in which they run.
        pub const MIGRATIONS: &[Migration] = &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../sql/", $name, ".sql")),
        }),+];
    };
}

migrations! {
    1 "0001_roles";
    2 "0002_event_store";
    3 "0003_identity";
    4 "0004_folder";
    5 "0005_dashboard";
    6 "0006_preference";
    7 "0007_star";
    8 "0008_invite";
    9 "0009_team";
    10 "0010_service_account";
    11 "0011_trash";
    12 "0012_quota";
    13 "0013_audit";
    14 "0014_search";
    15 "0015_resource_permission";
    16 "0016_history";
    17 "0017_search_plan";
    18 "0018_search_parts";
    19 "0019_user_names";
    20 "0020_allowed_contents";
    21 "0021_undo";
    22 "0022_service_account_uid";
    23 "0023_job";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_numbered_without_a_gap() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(migration.version), Ok(index + 1), "{}", migration.name);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.version)), "{}", migration.name);
        }
    }
}
