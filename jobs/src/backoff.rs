//! The backoff before a failed job is retried.

use std::time::Duration;

use kymograph_app::kernel::random::random_bytes;

/// The backoff after the first attempt.
const FIRST: Duration = Duration::from_secs(2);
/// The maximum backoff.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The backoff after this many attempts. It doubles with each attempt, minus a random part of up to a half, so that
/// jobs that failed together are not retried together.
pub(crate) fn wait_after(attempts: u32) -> Duration {
    // Without randomness all jobs wait for the maximum.
    let random = random_bytes().map_or(u32::MAX, u32::from_le_bytes);
    wait(attempts, f64::from(random) / f64::from(u32::MAX))
}

fn wait(attempts: u32, random: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled.min(LONGEST).mul_f64(0.5 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use kymograph_app::kernel::job::MAX_ATTEMPTS;

    use super::*;

    #[test]
    fn the_last_of_all_attempts_is_about_an_hour_after_the_first() {
        let total = |random: f64| (1..MAX_ATTEMPTS).map(|attempts| wait(attempts, random)).sum::<Duration>();
        assert!(total(0.0) > Duration::from_secs(30 * 60), "{:?}", total(0.0));
        assert!(total(1.0) < Duration::from_secs(70 * 60), "{:?}", total(1.0));
    }

    #[test]
    fn a_wait_is_bounded_however_often_it_failed() {
        assert_eq!(wait(1, 0.0), FIRST / 2);
        assert_eq!(wait(2, 1.0), FIRST * 2);
        assert_eq!(wait(u32::MAX, 1.0), LONGEST);
        assert_eq!(wait(0, 1.0), FIRST);
    }
}
