//! Paging by number, as Grafana's lists do it.

/// The maximum size of a page.
pub const MAX_PER_PAGE: i64 = 5000;

/// One page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The page's number, from 1.
    pub number: i64,
    /// The number of entries per page.
    pub size: i64,
}

impl Page {
    /// The page that a client requests; missing, zero and negative numbers mean the first page and the default size.
    #[must_use]
    pub fn of(number: Option<i64>, size: Option<i64>, default_size: i64) -> Self {
        Self {
            number: number.filter(|number| *number > 0).unwrap_or(1),
            size: size.filter(|size| *size > 0).unwrap_or(default_size).min(MAX_PER_PAGE),
        }
    }

    /// The number of entries before the page.
    #[must_use]
    pub fn offset(&self) -> i64 {
        (self.number - 1).saturating_mul(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_default() {
        assert_eq!(Page::of(Some(0), Some(0), 100), Page { number: 1, size: 100 });
        assert_eq!(Page::of(Some(3), Some(10), 100).offset(), 20);
    }

    #[test]
    fn is_bounded() {
        assert_eq!(Page::of(None, Some(i64::MAX), 100).size, MAX_PER_PAGE);
        assert_eq!(Page::of(Some(i64::MAX), None, 100).offset(), i64::MAX);
    }
}
