//! Requests of clients that detect the version of Grafana, and of crawlers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::account::avatar::FRONTEND;
use crate::kernel::routes::{Routes, get};
use crate::kernel::url::address;

/// The routes of front ends.
pub fn routes(grafana_version: &str) -> Routes {
    let version: Arc<str> = grafana_version.into();
    Routes::of(&FRONTEND)
        .add(
            get("/api/frontend/settings", "getFrontendSettings", "Read the settings for front ends")
                .public()
                .to(&version, get_frontend_settings),
        )
        .add(
            get("/bootdata", "getBootData", "Read the boot data of Grafana's own front end")
                .public()
                .to(&version, get_boot_data),
        )
        .add(get("/robots.txt", "robotsTxt", "Disallow all crawlers").public().to(&(), robots_txt))
}

fn settings(version: &str) -> Value {
    json!({
        "appSubUrl": address(format_args!("")),
        "buildInfo": {
            "version": version,
            "versionString": format!("Kymograph v{} (compatible with Grafana v{version})", env!("CARGO_PKG_VERSION")),
            "commit": "kymograph",
            "edition": "Open Source",
            "env": "production",
            "grafanaUrl": "",
            "kymograph": env!("CARGO_PKG_VERSION"),
        },
        "namespace": "default",
        "datasources": {},
        "featureToggles": {},
        "anonymousEnabled": false,
        "disableLoginForm": false,
        "pluginAdminEnabled": false,
    })
}

async fn get_frontend_settings(State(version): State<Arc<str>>) -> Json<Value> {
    Json(settings(&version))
}

/// Clients without a front end read the settings here, without credentials.
async fn get_boot_data(State(version): State<Arc<str>>) -> Json<Value> {
    Json(json!({"settings": settings(&version), "user": {"isSignedIn": false}, "navTree": []}))
}

/// An API has nothing for crawlers.
async fn robots_txt() -> &'static str {
    "User-agent: *\nDisallow: /\n"
}
