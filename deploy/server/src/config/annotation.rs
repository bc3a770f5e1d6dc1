//! `[annotations.dashboard]` and `[annotations.api]`: the maximum age and number of annotations.

use std::time::Duration;

use kymograph_app::content::annotation::{Retention, RetentionRules};

use super::ConfigError;
use super::value::{self, Parsed};
use super::values::Values;

pub(super) fn read(values: &Values) -> Result<RetentionRules, ConfigError> {
    let retention = |section| {
        let max_age = values.get(section, "max_age", age)?;
        let max_count = values.get(section, "max_annotations_to_keep", value::count::<u32>)?;
        let max_count = Some(i64::from(max_count)).filter(|count| *count > 0);
        Ok::<_, ConfigError>(Retention { max_age, max_count })
    };
    Ok(RetentionRules {
        of_dashboards: retention("annotations.dashboard")?,
        of_org: retention("annotations.api")?,
    })
}

/// The empty text and zero mean no limit of age.
fn age(text: &str) -> Parsed<Option<Duration>> {
    let age = if text.is_empty() { Duration::ZERO } else { value::duration(text)? };
    Ok(Some(age).filter(|age| !age.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Directory;
    use super::*;

    #[test]
    fn annotations_are_kept_unless_it_is_said() {
        assert_eq!(Directory::new().load(&[], &[]).unwrap().annotations, RetentionRules::default());
        let zero = ("GF_ANNOTATIONS_DASHBOARD_MAX_AGE", "0");
        assert_eq!(Directory::new().load(&[zero], &[]).unwrap().annotations, RetentionRules::default());
        let age = ("GF_ANNOTATIONS_DASHBOARD_MAX_AGE", "7d");
        let count = "cfg:annotations.api.max_annotations_to_keep=10";
        let rules = Directory::new().load(&[age], &[count]).unwrap().annotations;
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(rules.of_dashboards, Retention { max_age: Some(week), max_count: None });
        assert_eq!(rules.of_org, Retention { max_age: None, max_count: Some(10) });
        assert!(rules.delete_anything());
    }

    #[test]
    fn what_is_no_age_and_no_number_is_refused() {
        for argument in ["annotations.api.max_age=soon", "annotations.dashboard.max_annotations_to_keep=-1"] {
            assert!(Directory::new().load(&[], &[&format!("cfg:{argument}")]).is_err(), "{argument}");
        }
    }
}
