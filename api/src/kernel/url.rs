//! The addresses of pages and pictures in answers, which begin with the path that people find the server under.

use std::fmt::Arguments;
use std::sync::Arc;

use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    /// The path that people find the server under, without a slash at its end. Every handler runs within it, because an
    /// address is part of nearly every answer.
    static SUB_PATH: Arc<str>;
}

/// Answers a request of a server under a path.
pub(crate) fn under<F: Future>(sub_path: Arc<str>, answer: F) -> TaskLocalFuture<Arc<str>, F> {
    SUB_PATH.scope(sub_path, answer)
}

/// The address of a path of the server.
pub(crate) fn address(path: Arguments<'_>) -> String {
    SUB_PATH.try_with(|sub_path| format!("{sub_path}{path}")).unwrap_or_else(|_| path.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_begins_with_the_sub_path() {
        let address_under =
            async |sub_path: &str| under(sub_path.into(), async { address(format_args!("/d/a")) }).await;
        assert_eq!(address_under("/kymo").await, "/kymo/d/a");
        assert_eq!(address_under("").await, "/d/a");
    }
}
