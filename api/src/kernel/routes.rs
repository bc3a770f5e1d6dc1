//! A router that knows its routes.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::kernel::openapi::{Describe, Operation, Signature};

/// One route, as it is matched.
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Whether it is served without credentials.
    pub is_public: bool,
    /// The group of operations that it belongs to.
    pub group: &'static str,
    /// What it does.
    pub operation: Option<Operation>,
    /// What the types of its handler say of it.
    pub signature: fn() -> Signature,
}

/// Collects the routes of slices. A route needs credentials unless it is added with [`Routes::public`].
#[derive(Default)]
pub struct Routes {
    group: &'static str,
    routes: Vec<Route>,
    public: Router,
    private: Router,
}

impl Routes {
    /// Puts the routes that are added from here on into a group.
    #[must_use]
    pub fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Says what the route does that was added last.
    #[must_use]
    pub fn describe(mut self, operation: Operation) -> Self {
        if let Some(route) = self.routes.last_mut() {
            route.operation = Some(operation);
        }
        self
    }

    /// Adds a route that needs credentials.
    #[must_use]
    pub fn private<S, H, T, D>(mut self, method: Method, path: &'static str, state: &S, handler: H) -> Self
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, S> + Describe<D>,
        T: 'static,
    {
        self.private = self.private.route(path, method_router(&method, handler, state));
        self.record(method, path, false, H::signature)
    }

    /// Adds a route that is served to anybody.
    #[must_use]
    pub fn public<S, H, T, D>(mut self, method: Method, path: &'static str, state: &S, handler: H) -> Self
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, S> + Describe<D>,
        T: 'static,
    {
        self.public = self.public.route(path, method_router(&method, handler, state));
        self.record(method, path, true, H::signature)
    }

    fn record(
        mut self,
        method: Method,
        path: &'static str,
        is_public: bool,
        signature: fn() -> Signature,
    ) -> Self {
        let group = self.group;
        self.routes.push(Route { method, path, is_public, group, operation: None, signature });
        self
    }

    /// Adds the routes of another slice, or of a part of this one, which belong to its group unless they name another.
    #[must_use]
    pub fn merge(mut self, mut other: Self) -> Self {
        let group = self.group;
        other.routes.iter_mut().filter(|route| route.group.is_empty()).for_each(|route| route.group = group);
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
