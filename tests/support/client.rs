//! An HTTP client with readable calls: `client.get("/api/org").await.expect(200)`.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;

use crate::contract::ContractTable;
use crate::openapi::{Contract, Exchange};

/// A client with credentials, or without.
#[derive(Clone)]
pub struct Client {
    url: String,
    http: reqwest::Client,
    basic: Option<(String, String)>,
    headers: Vec<(String, String)>,
}

/// The response of the server.
#[derive(Debug)]
pub struct Answer {
    /// The request, for messages.
    pub request: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body, `null` if it is not JSON.
    pub body: Value,
    /// The body as text.
    pub text: String,
}

impl Client {
    /// A client of a server, without credentials.
    pub fn new(url: String) -> Self {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        Self { url, http, basic: None, headers: Vec::new() }
    }

    /// The same client with a login and password.
    pub fn with_basic(mut self, login: &str, password: &str) -> Self {
        self.basic = Some((login.to_owned(), password.to_owned()));
        self
    }

    /// The same client with a header on each request.
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same client acting for another org.
    pub fn in_org(self, org: i64) -> Self {
        self.with_header("X-Grafana-Org-Id", &org.to_string())
    }

    /// A request builder.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if let Some((login, password)) = &self.basic {
            request = request.basic_auth(login, Some(password));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    /// Sends a request and reads the response.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let described = format!("{} {}", request.method(), request.url());
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let request_body = request.body().and_then(|body| body.as_bytes()).map(<[u8]>::to_vec);
        let response = self.http.execute(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Contract::get().check(&Exchange {
            method: method.as_str(),
            path: &path,
            request_body: request_body.as_deref(),
            status,
            headers: &headers,
            text: &text,
        });
        if let Err(error) = ContractTable::get().check(method.as_str(), &path, status, &text) {
            panic!("{described} breaks Grafana's contract: {error}: {text}");
        }
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { request: described, status, headers, body, text }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body)).await
    }
}

impl Answer {
    /// Returns the response if it has this status; otherwise the test fails.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let name = StatusCode::from_u16(status).unwrap();
        assert_eq!(self.status, status, "{} should be {name}: {}", self.request, self.text);
        self
    }

    /// The same, also checking the message of the body.
    #[track_caller]
    pub fn expect_message(self, status: u16, message: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.body["message"], message, "{}", answer.request);
        answer
    }
}
