//! A proxy that forwards requests unchanged, for clients that speak a source's own API.

use std::sync::Arc;

use async_trait::async_trait;
use kymograph_app::source::backend::{
    QueryError, ResourceRequest, ResourceResponse, SourceContext, SourceProxy,
};

use crate::client::{HttpClients, header_value, refused};
use crate::prometheus;
use crate::text::shown;

/// Credentials for the source that the caller provides; the credentials for this server are not forwarded.
const OWN_AUTHORIZATION: &str = "x-ds-authorization";

/// A reverse proxy to sources that speak HTTP.
pub struct HttpProxy {
    clients: Arc<HttpClients>,
}

impl HttpProxy {
    /// A proxy with these clients.
    #[must_use]
    pub fn new(clients: Arc<HttpClients>) -> Self {
        Self { clients }
    }
}

#[async_trait]
impl SourceProxy for HttpProxy {
    async fn forward(
        &self,
        context: &SourceContext,
        request: ResourceRequest,
    ) -> Result<ResourceResponse, QueryError> {
        let source = &context.source;
        if source.content.kind == prometheus::KIND && !prometheus::is_reading(&request.method, &request.path)
        {
            let why =
                format!("requests to it that are not queries cannot be sent with {}", shown(&request.method));
            return Err(refused(source, why));
        }
        let authorization = header_value(&request.headers, OWN_AUTHORIZATION).map(str::to_owned);
        let mut response = self.clients.of(source)?.open(context, request, authorization.as_deref()).await?;
        // The caller would take a 401 for a missing login at this server.
        if response.status == 401 {
            response.status = 400;
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests;
