//! A route is one value: method, path, description and handler.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::{MethodFilter, MethodRouter, on};
use kymograph_app::kernel::history::HistoryOf;
use utoipa::openapi::path::Parameter;

use crate::kernel::openapi::parameter::Kind;
use crate::kernel::openapi::signature::{Content, SchemaOf};
use crate::kernel::openapi::status::OwnFailure;
use crate::kernel::openapi::{Describe, Signature};

/// A group of operations, under Grafana's name if it has one.
#[derive(Debug, PartialEq, Eq)]
pub struct Group {
    /// The name.
    pub name: &'static str,
    /// The description of the group.
    pub about: &'static str,
    /// A path segment and its noun, for the log of denied requests.
    pub noun: Option<(&'static str, &'static str)>,
}

impl Group {
    /// A group of this name.
    #[must_use]
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, noun: None }
    }

    /// The same group, with the noun of a path segment.
    #[must_use]
    pub const fn of_noun(self, segment: &'static str, noun: &'static str) -> Self {
        Self { noun: Some((segment, noun)), ..self }
    }
}

/// The group of a route before it is added to one.
const NO_GROUP: Group = Group::new("", "");

/// A route without its handler. It requires authentication unless it is [public](Self::public).
#[derive(Clone)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: &'static str,
    /// Whether it is served without authentication.
    pub is_public: bool,
    /// The group of operations that it belongs to.
    pub group: &'static Group,
    /// The parts derived from its handler's types.
    pub signature: fn() -> Signature,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    pub(super) details: Option<&'static str>,
    pub(super) query: Vec<Parameter>,
    pub(super) path_parameters: Vec<(&'static str, Kind, &'static str)>,
    pub(super) body: Option<SchemaOf>,
    pub(super) status: StatusCode,
    pub(super) answers: Vec<(u16, &'static str, Option<Content>)>,
    pub(super) failures: Vec<(u16, Option<OwnFailure>)>,
    pub(super) needs_permission: bool,
}

/// A route with its handler.
pub struct Endpoint {
    route: Route,
    handler: MethodRouter,
}

fn route(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Route {
    Route {
        method,
        path,
        is_public: false,
        group: &NO_GROUP,
        signature: Signature::default,
        id,
        summary,
        details: None,
        query: Vec::new(),
        path_parameters: Vec::new(),
        body: None,
        status: StatusCode::OK,
        answers: Vec::new(),
        failures: Vec::new(),
        needs_permission: true,
    }
}

/// A route for `GET`, with its operation id, which is Grafana's if it has one, and an imperative summary.
pub(crate) fn get(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    route(Method::GET, path, id, summary)
}

/// The same for `POST`.
pub(crate) fn post(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    route(Method::POST, path, id, summary)
}

/// The same for `PUT`.
pub(crate) fn put(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    route(Method::PUT, path, id, summary)
}

/// The same for `PATCH`.
pub(crate) fn patch(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    route(Method::PATCH, path, id, summary)
}

/// The same for `DELETE`.
pub(crate) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Route {
    route(Method::DELETE, path, id, summary)
}

impl Route {
    /// The same route without authentication.
    pub(crate) fn public(self) -> Self {
        Self { is_public: true, ..self }
    }

    /// The route with a handler, whose types complete the description.
    pub(crate) fn to<S, H, T, D>(self, state: &S, handler: H) -> Endpoint
    where
        S: Clone + Send + Sync + 'static,
        H: Handler<T, S, Future = Handling> + Describe<D>,
        T: 'static,
    {
        let filter = match self.method {
            Method::POST => MethodFilter::POST,
            Method::PUT => MethodFilter::PUT,
            Method::PATCH => MethodFilter::PATCH,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        let state = state.clone();
        let erased = ErasedHandler(Arc::new(move |request| handler.clone().call(request, state.clone())));
        Endpoint { route: Self { signature: H::signature, ..self }, handler: on(filter, erased) }
    }
}

/// The future of a handler function, which axum boxes.
type Handling = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A handler with its state, of one type for all routes: axum's routing is compiled for it once, and not for each handler.
#[derive(Clone)]
struct ErasedHandler(Arc<dyn Fn(Request) -> Handling + Send + Sync>);

impl Handler<(), ()> for ErasedHandler {
    type Future = Handling;

    fn call(self, request: Request, (): ()) -> Handling {
        (self.0)(request)
    }
}

/// The routes of a noun's history, without their handlers.
pub struct HistoryRoutes {
    /// The history.
    pub of: &'static HistoryOf,
    pub(crate) list: Route,
    pub(crate) compare: Route,
    pub(crate) restore: Route,
}

/// The routes of a history below the path of its object.
macro_rules! history {
    ($of:expr, $path:literal, $name:literal, $object:literal) => {
        $crate::kernel::routes::HistoryRoutes {
            of: &$of,
            list: $crate::kernel::routes::get(
                concat!($path, "/history"),
                concat!("get", $name, "History"),
                concat!("List the history of ", $object, ", newest first"),
            ),
            compare: $crate::kernel::routes::get(
                concat!($path, "/history/diff"),
                concat!("get", $name, "Diff"),
                concat!("Compare ", $object, " at two versions"),
            ),
            restore: $crate::kernel::routes::post(
                concat!($path, "/history/restore"),
                concat!("restore", $name, "HistoryVersion"),
                concat!("Restore ", $object, " to a version"),
            ),
        }
    };
}

pub(crate) use history;

/// The routes of slices.
pub struct Routes {
    group: &'static Group,
    routes: Vec<Route>,
    histories: Vec<HistoryRoutes>,
    public: Router,
    private: Router,
}

impl Default for Routes {
    fn default() -> Self {
        Self::of(&NO_GROUP)
    }
}

impl Routes {
    /// Routes of a group.
    pub(crate) fn of(group: &'static Group) -> Self {
        let (public, private) = (Router::new(), Router::new());
        Self { group, routes: Vec::new(), histories: Vec::new(), public, private }
    }

    /// Sets the group of the routes added after this.
    #[must_use]
    pub(crate) fn group(self, group: &'static Group) -> Self {
        Self { group, ..self }
    }

    /// Adds a route to the group.
    #[must_use]
    pub(crate) fn add(mut self, endpoint: Endpoint) -> Self {
        let Endpoint { route, handler } = endpoint;
        let route = Route { group: self.group, ..route };
        let router = if route.is_public { &mut self.public } else { &mut self.private };
        *router = std::mem::take(router).route(route.path, handler);
        self.routes.push(route);
        self
    }

    /// Adds the history of a noun.
    #[must_use]
    pub(crate) fn with_history(mut self, history: HistoryRoutes) -> Self {
        self.histories.push(history);
        self
    }

    /// Takes the added histories.
    pub(crate) fn take_histories(&mut self) -> Vec<HistoryRoutes> {
        std::mem::take(&mut self.histories)
    }

    /// Adds the routes of another slice, or of a part of this one.
    #[must_use]
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.routes.extend(other.routes);
        self.histories.extend(other.histories);
        self.public = self.public.merge(other.public);
        self.private = self.private.merge(other.private);
        self
    }

    /// The router of public routes, the router of authenticated ones, and all routes.
    pub(crate) fn into_routers(self) -> (Router, Router, Vec<Route>) {
        (self.public, self.private, self.routes)
    }
}
