//! The URLs of pages and avatars in responses, which begin with the public path of the server.

use std::fmt::Arguments;
use std::sync::Arc;

use kymograph_app::kernel::random::hex;
use sha2::{Digest, Sha256};
use tokio::task::futures::TaskLocalFuture;

tokio::task_local! {
    /// The public path of the server, without a trailing slash. Every handler runs within it, because URLs are part of
    /// nearly every response.
    static SUB_PATH: Arc<str>;
}

/// Runs a request handler of a server under a path.
pub(crate) fn under<F: Future>(sub_path: Arc<str>, answer: F) -> TaskLocalFuture<Arc<str>, F> {
    SUB_PATH.scope(sub_path, answer)
}

/// The URL of a path of the server.
pub(crate) fn address(path: Arguments<'_>) -> String {
    SUB_PATH.try_with(|sub_path| format!("{sub_path}{path}")).unwrap_or_else(|_| path.to_string())
}

/// The public path of the server, without a trailing slash.
pub(crate) fn sub_path(root_url: &str) -> &str {
    let after_scheme = root_url.split_once("://").map_or("", |(_, rest)| rest);
    after_scheme.find('/').map_or("", |at| after_scheme[at..].trim_end_matches('/'))
}

/// The URL of the account page of the portal, with the result of a verification.
pub(crate) fn profile_path(root_url: &str, email: &str) -> String {
    format!("{}/portal/profile?email={email}", sub_path(root_url))
}

/// The URL of an avatar.
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
