//! A real Prometheus on a free port.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A Prometheus that scrapes itself. When it is dropped, it is killed, and its folder removed.
pub struct PrometheusServer {
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl PrometheusServer {
    /// Starts a server that also scrapes these targets, like `127.0.0.1:3000`, as the job `test`, and waits until it has
    /// scraped itself. Its own metrics have the labels of one with the default configuration.
    pub async fn start(name: &str, targets: &[String]) -> Self {
        let folder = std::env::temp_dir().join(format!("kymograph-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let own = format!("127.0.0.1:{port}");
        let targets = targets.iter().map(|target| format!("'{target}'")).collect::<Vec<_>>();
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
             scrape_configs:\n\
             - {{job_name: test, static_configs: [{{targets: [{}]}}]}}\n\
             - {{job_name: prometheus, static_configs: [{{targets: ['{own}'], labels: {{instance: 'localhost:9090'}}}}]}}\n",
            targets.join(", ")
        );
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let child = Command::new(program())
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={own}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("prometheus.log")).unwrap())
            .spawn()
            .unwrap();
        let server = Self { folder, port, child };
        server.wait_until_scraped().await;
        server
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn wait_until_scraped(&self) {
        let url = format!("{}/api/v1/query?query=up%7Bjob%3D%22prometheus%22%7D%3D%3D1", self.url());
        for _ in 0..600 {
            if let Ok(answer) = reqwest::get(&url).await
                && answer.text().await.is_ok_and(|text| text.contains("instance"))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the Prometheus in {} was not ready in time", self.folder.display());
    }
}

impl Drop for PrometheusServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The program: that of the machine, or the one that `scripts/install-dependencies` installed next to the builds.
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tests = std::env::current_exe().unwrap();
    let target = tests.ancestors().nth(3).map(Path::to_owned).unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain([target.join("prometheus/usr/bin")]);
    let found = places.find_map(|place| Some(place.join("prometheus")).filter(|program| program.is_file()));
    found.expect("there is no Prometheus: run `make test`, which installs it")
}
