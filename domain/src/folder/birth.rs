//! Which of the folders that have had a uid is which.

use super::FolderCreated;

/// A creation of a folder under a uid.
#[derive(Clone, Debug)]
pub struct Birth {
    /// What was created.
    pub created: FolderCreated,
    /// Whether it was there before the time that is asked about.
    pub is_before: bool,
}

/// Whether the folder that has a uid now is the one that had it at a time: that very one, or that one as it came back since.
/// Takes the creations under the uid, the newest first.
#[must_use]
pub fn is_same_folder(births: &[Birth]) -> bool {
    let Some(then) = births.iter().find(|birth| birth.is_before).map(|birth| birth.created.id) else {
        return false;
    };
    let mut wanted = births.first().map(|birth| birth.created.id);
    for birth in births {
        if wanted == Some(then) {
            return true;
        }
        if wanted == Some(birth.created.id) {
            wanted = birth.created.restores;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uid::Uid;

    /// Creations as (id, id of what comes back), the newest first, of which so many were after the time.
    fn is_same(births: &[(i64, Option<i64>)], after: usize) -> bool {
        let birth = |(index, (id, restores)): (usize, &(i64, Option<i64>))| Birth {
            created: FolderCreated {
                id: *id,
                uid: Uid::try_new("f1").unwrap(),
                title: "Ops".into(),
                description: String::new(),
                parent_uid: None,
                restores: *restores,
            },
            is_before: index >= after,
        };
        is_same_folder(&births.iter().enumerate().map(birth).collect::<Vec<_>>())
    }

    #[test]
    fn it_stays_the_same_until_another_is_created() {
        assert!(is_same(&[(1, None)], 0));
        assert!(!is_same(&[(1, None)], 1));
        assert!(!is_same(&[(2, None), (1, None)], 1));
        assert!(is_same(&[(2, None), (1, None)], 0));
        assert!(!is_same(&[], 0));
    }

    #[test]
    fn what_came_back_is_the_same() {
        assert!(is_same(&[(2, Some(1)), (1, None)], 1));
        assert!(is_same(&[(3, Some(2)), (2, Some(1)), (1, None)], 2));
        // The first one is back, the second is gone.
        let births = [(3, Some(1)), (2, None), (1, None)];
        assert!(is_same(&births, 2));
        assert!(!is_same(&births, 1));
        assert!(!is_same(&[(3, Some(2)), (2, None), (1, None)], 2));
    }
}
