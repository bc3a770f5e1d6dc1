//! A router that knows its routes.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

/// One route, as it is matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Whether it is served without credentials.
    pub is_public: bool,
}

/// Collects the routes of slices. A route needs credentials unless it is added with [`Routes::public`].
#[derive(Default)]
pub struct Routes {
    routes: Vec<Route>,
    public: Router,
    private: Router,
}

impl Routes {
    /// Adds a route that needs credentials.
    #[must_use]
    pub fn private<S, H, T>(mut self, method: Method, path: &'static str, state: &S, handler: H) -> Self
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, S>,
        T: 'static,
    {
        self.private = self.private.route(path, method_router(&method, handler, state));
        self.routes.push(Route { method, path, is_public: false });
        self
    }

    /// Adds a route that is served to anybody.
    #[must_use]
    pub fn public<S, H, T>(mut self, method: Method, path: &'static str, state: &S, handler: H) -> Self
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, S>,
        T: 'static,
    {
        self.public = self.public.route(path, method_router(&method, handler, state));
        self.routes.push(Route { method, path, is_public: true });
        self
    }

    /// Adds the routes of another slice.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.routes.extend(other.routes);
        self.public = self.public.merge(other.public);
        self.private = self.private.merge(other.private);
        self
    }

    /// The router of what is public, the router of what needs credentials, and all routes.
    pub fn into_routers(self) -> (Router, Router, Vec<Route>) {
        (self.public, self.private, self.routes)
    }
}

fn method_router<S, H, T>(method: &Method, handler: H, state: &S) -> MethodRouter
where
    S: Clone + Send + Sync + 'static,
    H: Handler<T, S>,
    T: 'static,
{
    let filter = match *method {
        Method::POST => MethodFilter::POST,
        Method::PUT => MethodFilter::PUT,
        Method::PATCH => MethodFilter::PATCH,
        Method::DELETE => MethodFilter::DELETE,
        _ => MethodFilter::GET,
    };
    on(filter, handler).with_state(state.clone())
}
