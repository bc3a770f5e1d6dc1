//! Levels of access.

use serde::{Deserialize, Serialize};

/// A level of access to a folder or dashboard, and to all that is inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AccessLevel {
    /// Read it.
    View,
    /// Change, move and delete it, and create in it.
    Edit,
    /// Change the permissions on it.
    Admin,
}

impl AccessLevel {
    /// All levels, from the lowest.
    pub const ALL: [Self; 3] = [Self::View, Self::Edit, Self::Admin];

    /// The name of the level.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::View => "View",
            Self::Edit => "Edit",
            Self::Admin => "Admin",
        }
    }

    /// The number by which older operations name the level. A higher level has a higher number.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::View => 1,
            Self::Edit => 2,
            Self::Admin => 4,
        }
    }

    /// The level of that name, case-sensitively.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// The level of that number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| i64::from(level.number()) == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_a_name_and_a_number() {
        let names = ["View", "Edit", "Admin"];
        for ((level, name), number) in AccessLevel::ALL.into_iter().zip(names).zip([1, 2, 4]) {
            assert_eq!((level.as_str(), level.number()), (name, number));
            assert_eq!(AccessLevel::parse(name), Some(level));
            assert_eq!(AccessLevel::from_number(number.into()), Some(level));
            assert_eq!(AccessLevel::parse(&name.to_lowercase()), None);
        }
        assert!(AccessLevel::ALL.is_sorted());
        assert!(
            [0, 3, 5, 4 + (1 << 16)].into_iter().all(|number| AccessLevel::from_number(number).is_none())
        );
    }
}
