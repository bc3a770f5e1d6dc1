//! The identity of the folders that have had a uid.

/// A creation of a folder under a uid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The numeric id.
    pub id: i64,
    /// The old numeric id of the folder that it restored, if any.
    pub restores: Option<i64>,
    /// The position in the org's log.
    pub position: i64,
}

/// The numeric id that a folder has now, if it is the same folder that had its uid before a position: unchanged, or
/// restored since. Takes the creations under the uid, the newest first.
#[must_use]
pub fn same_folder(births: &[Birth], position: i64) -> Option<i64> {
    let then = births.iter().find(|birth| birth.position < position)?.id;
    let now = births.first()?.id;
    let mut wanted = Some(now);
    for birth in births {
        if wanted == Some(then) {
            return Some(now);
        }
        if wanted == Some(birth.id) {
            wanted = birth.restores;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes creations as (id, id of the restored folder), the newest first, of which `after` are later than the
    /// position.
    fn same(births: &[(i64, Option<i64>)], after: usize) -> Option<i64> {
        let count = i64::try_from(births.len()).unwrap();
        let births: Vec<_> = (0..count)
            .zip(births)
            .map(|(index, (id, restores))| Birth { id: *id, restores: *restores, position: count - index })
            .collect();
        same_folder(&births, count - i64::try_from(after).unwrap() + 1)
    }

    #[test]
    fn it_stays_the_same_until_another_is_created() {
        assert_eq!(same(&[(1, None)], 0), Some(1));
        assert_eq!(same(&[(1, None)], 1), None);
        assert_eq!(same(&[(2, None), (1, None)], 1), None);
        assert_eq!(same(&[(2, None), (1, None)], 0), Some(2));
        assert_eq!(same(&[], 0), None);
    }

    #[test]
    fn what_came_back_is_the_same() {
        assert_eq!(same(&[(2, Some(1)), (1, None)], 1), Some(2));
        assert_eq!(same(&[(3, Some(2)), (2, Some(1)), (1, None)], 2), Some(3));
        // The first one is back, the second is gone.
        let births = [(3, Some(1)), (2, None), (1, None)];
        assert_eq!(same(&births, 2), Some(3));
        assert_eq!(same(&births, 1), None);
        assert_eq!(same(&[(3, Some(2)), (2, None), (1, None)], 2), None);
    }
}
