//! The cluster of a data folder: its owner, its configuration, and the launch of its server.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::EmbeddedSettings;
use crate::account::Account;
use crate::binaries::Binaries;
use crate::error::EmbeddedError;
use crate::initdb;
use crate::pid_file::{self, Running};
use crate::place::{PORT, Place};
use crate::postmaster::Postmaster;
use crate::server_log::ServerLog;

/// The defaults for a small machine, which the caller's settings override.
const DEFAULTS: [(&str, &str); 8] = [
    ("shared_buffers", "128MB"),
    ("max_connections", "200"),
    ("max_wal_size", "2GB"),
    // Our statements are short; compiling one takes longer than running it.
    ("jit", "off"),
    // A plan made while a table was empty can read all of an org's rows, until the table is analyzed.
    ("autovacuum_naptime", "10s"),
    ("log_checkpoints", "off"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// The settings that the safety of the data and this module rely on; nothing overrides them.
const FIXED: [(&str, &str); 6] = [
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("listen_addresses", ""),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
    ("lc_messages", "C"),
];

/// Everything needed to launch the server of a cluster, and to launch it again.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) place: Place,
    pub(crate) socket: PathBuf,
    pub(crate) port: u16,
    binaries: Binaries,
    account: Account,
    extra: Vec<(String, String)>,
}

impl Cluster {
    /// Opens the cluster of a data folder, creating it first if there is none. The caller holds the lock.
    pub(crate) async fn open(place: Place, settings: EmbeddedSettings) -> Result<Self, EmbeddedError> {
        let binaries = Binaries::find(&place.cluster)?;
        let account = Account::choose(settings.run_as.as_deref(), &place.cluster)?;
        initdb::make_if_missing(&place, &binaries, &account).await?;
        Ok(Self {
            socket: place.socket_folder(),
            port: PORT,
            place,
            binaries,
            account,
            extra: settings.extra,
        })
    }

    /// Takes over the server that a killed predecessor left running, wherever its socket is.
    pub(crate) fn adopt(&mut self, running: Running) -> Postmaster {
        if let Some(socket) = running.socket {
            (self.socket, self.port) = (socket, running.port);
        }
        Postmaster::Adopted { pid: running.pid, cluster: self.place.cluster.clone() }
    }

    /// Starts the server. It is our own child instead of `pg_ctl`'s, so that we notice its end at once.
    pub(crate) fn launch(&self) -> Result<(Postmaster, ServerLog), EmbeddedError> {
        let cluster = &self.place.cluster;
        self.account.take_cluster(cluster)?;
        self.place.make_socket_folder(&self.socket, &self.account)?;
        pid_file::disown(cluster, &self.socket, &self.account)?;
        let (log, file) = ServerLog::open(&self.place.log)?;
        let program = self.binaries.postgres();
        let mut command = self.account.command(&program, cluster);
        command.arg("-D").arg(cluster).args(self.arguments());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        // In its own process group: Ctrl-C in a terminal must reach only us, who then stop it properly.
        command.process_group(0).kill_on_drop(false);
        let child = command.spawn().map_err(|error| self.account.why_not(&program, cluster, error))?;
        let pid = child.id().and_then(|pid| pid.try_into().ok()).unwrap_or_default();
        Ok((Postmaster::Child { child, pid }, log))
    }

    fn arguments(&self) -> Vec<String> {
        let defaults = DEFAULTS.into_iter();
        let extra = self.extra.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let (port, folders) = (self.port.to_string(), quoted(&self.socket));
        let socket = [("port", port.as_str()), ("unix_socket_directories", folders.as_str())];
        // The last setting of a name takes effect.
        let settings = defaults.chain(extra).chain(FIXED).chain(socket);
        settings.flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect()
    }
}

/// A folder as an element of a list setting, in which an unquoted comma or space is a separator.
fn quoted(folder: &Path) -> String {
    format!("\"{}\"", folder.display().to_string().replace('"', "\"\""))
}
