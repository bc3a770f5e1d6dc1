//! The addresses of pages and pictures in answers, which begin with the path that people find the server under.

use std::fmt::Arguments;
use std::sync::Arc;

use kymograph_app::kernel::random::hex;
use sha2::{Digest, Sha256};
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

/// The path under which people find the server, without a slash at the end.
pub(crate) fn sub_path(root_url: &str) -> &str {
    let after_scheme = root_url.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme.find('/').map_or("", |at| after_scheme[at..].trim_end_matches('/'))
}

/// Where the portal shows people their account, with a word on what became of their e-mail address.
pub(crate) fn profile_path(root_url: &str, email: &str) -> String {
    format!("{}/portal/profile?email={email}", sub_path(root_url))
}

/// The address of a user's picture.
pub(crate) fn avatar_url(email: &str) -> String {
    let digest = Sha256::digest(email.trim().to_lowercase());
    address(format_args!("/avatar/{}", hex(&digest[..16])))
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
