//! The few operations of Grafana's HTTP API that prepare measurements.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::error::Result;
use crate::http::{Connection, render};

/// The header of the built-in admin for basic authentication: `admin:admin`.
pub(crate) const BASIC: (&str, &str) = ("authorization", "Basic YWRtaW46YWRtaW4=");

/// The path for saving dashboards.
pub(crate) const SAVE_PATH: &str = "/api/dashboards/db";

/// A session.
pub(crate) struct Api {
    connection: Connection,
    /// The value of the header `cookie`.
    pub(crate) cookie: String,
}

impl Api {
    /// Logs the built-in admin in.
    pub(crate) async fn log_in(address: SocketAddr) -> Result<Self> {
        Self::log_in_as(address, "admin", "admin").await
    }

    /// Logs a user in.
    pub(crate) async fn log_in_as(address: SocketAddr, login: &str, password: &str) -> Result<Self> {
        let mut connection = Connection::open(address).await?;
        let body = json!({"user": login, "password": password}).to_string();
        let response = connection.exchange(&render("POST", "/login", &[], body.as_bytes())).await?;
        let cookie = response
            .head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
            .filter_map(|(_, value)| value.trim().split(';').next())
            .find(|cookie| cookie.starts_with("grafana_session="))
            .ok_or_else(|| format!("the log-in gave no session: {}", response.head))?
            .to_owned();
        Ok(Self { connection, cookie })
    }

    /// Sends a request and returns the body of its response, which must have the status 200.
    pub(crate) async fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Vec<u8>> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = render(method, path, &[("cookie", &self.cookie)], body.as_bytes());
        self.send(&request).await
    }

    /// Sends a request that was rendered before.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Vec<u8>> {
        let response = self.connection.exchange(request).await?;
        if response.status != 200 {
            let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
            let text = String::from_utf8_lossy(response.body);
            return Err(format!("{line} gave {}: {text}", response.status).into());
        }
        Ok(response.body.to_vec())
    }

    /// Creates an org, of which the admin becomes a member, and returns its id.
    pub(crate) async fn create_org(&mut self, name: &str) -> Result<i64> {
        let created = self.call("POST", "/api/orgs", Some(&json!({"name": name}))).await?;
        let created: Value = serde_json::from_slice(&created)?;
        created["orgId"].as_i64().ok_or_else(|| format!("no org id in {created}").into())
    }

    /// Renders the request that saves a dashboard, overwriting any other.
    pub(crate) fn render_save(&self, dashboard: &Value) -> Vec<u8> {
        let body = json!({"dashboard": dashboard, "overwrite": true}).to_string();
        render("POST", SAVE_PATH, &[("cookie", &self.cookie)], body.as_bytes())
    }

    /// Tries to save a dashboard, overwriting any other.
    pub(crate) async fn try_save(&mut self, dashboard: &Value) -> Result<()> {
        let request = self.render_save(dashboard);
        self.connection.exchange(&request).await.map(drop)
    }

    /// Saves a dashboard, overwriting any other, and returns its version.
    pub(crate) async fn save(&mut self, dashboard: &Value) -> Result<i64> {
        let saved = self.send(&self.render_save(dashboard)).await?;
        let saved: Value = serde_json::from_slice(&saved)?;
        saved["version"].as_i64().ok_or_else(|| format!("no version in {saved}").into())
    }
}
