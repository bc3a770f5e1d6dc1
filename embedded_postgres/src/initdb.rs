//! Creates a new cluster, completely or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::account::Account;
use crate::binaries::Binaries;
use crate::connection::NAME;
use crate::error::EmbeddedError;
use crate::place::Place;

/// The prefix of the folder names of unfinished clusters, followed by numbers.
const DRAFT: &str = "postgres.new-";

/// Text is compared by bytes, which is fast and the same on every machine, while upper and lower case are defined for
/// all of Unicode. Systems without the locale C.UTF-8 get plain C.
const LOCALES: [&[&str]; 2] = [&["--locale=C.UTF-8", "--lc-collate=C", "--lc-messages=C"], &["--locale=C"]];

/// Creates the cluster in a folder next to its place and renames it when it is complete and on the disk, so that a kill
/// at any moment leaves either no cluster or a complete one.
pub(crate) async fn make_if_missing(
    place: &Place,
    binaries: &Binaries,
    account: &Account,
) -> Result<(), EmbeddedError> {
    remove_drafts(place);
    let cluster = &place.cluster;
    if cluster.join("PG_VERSION").is_file() {
        return Ok(());
    }
    // An empty folder may exist, and is replaced by the rename.
    if fs::read_dir(cluster).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(EmbeddedError::NotACluster(cluster.clone()));
    }
    let draft = begin_draft(place)?;
    account.take(&draft)?;
    tracing::info!(cluster = %cluster.display(), "creating the embedded database");
    if let Err(error) = fill(&draft, binaries, account).await {
        remove_drafts(place);
        return Err(error);
    }
    fs::rename(&draft, cluster).map_err(EmbeddedError::io("create", cluster))?;
    File::open(&place.data).and_then(|data| data.sync_all()).map_err(EmbeddedError::io("sync", &place.data))
}

/// A folder with an unused name, not even used by an `initdb` that outlived its killed server and still writes by name
/// into a folder that we have just removed.
fn begin_draft(place: &Place) -> Result<PathBuf, EmbeddedError> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let draft = place.data.join(format!("{DRAFT}{}-{number}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&draft) {
            Ok(()) => return Ok(draft),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(EmbeddedError::io("create", &draft)(error)),
        }
    }
}

/// Removes the leftovers of killed servers. A folder that cannot be removed, perhaps because an `initdb` still writes
/// there, only takes up space, and is tried again by the next start.
fn remove_drafts(place: &Place) {
    for entry in fs::read_dir(&place.data).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(DRAFT)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(draft = %entry.path().display(), %error, "could not remove an incomplete database");
        }
    }
}

async fn fill(draft: &Path, binaries: &Binaries, account: &Account) -> Result<(), EmbeddedError> {
    let mut made = Ok(());
    for locale in LOCALES {
        made = run_initdb(draft, locale, binaries, account).await;
        if !matches!(made, Err(EmbeddedError::Init(_))) {
            break;
        }
    }
    made?;
    if knows_lz4(draft, binaries, account).await? {
        let path = draft.join("postgresql.conf");
        let mut conf =
            OpenOptions::new().append(true).open(&path).map_err(EmbeddedError::io("write", &path))?;
        let written = conf.write_all(b"\nwal_compression = lz4\n").and_then(|()| conf.sync_all());
        written.map_err(EmbeddedError::io("write", &path))?;
    }
    Ok(())
}

async fn run_initdb(
    draft: &Path,
    locale: &[&str],
    binaries: &Binaries,
    account: &Account,
) -> Result<(), EmbeddedError> {
    let program = binaries.initdb();
    let mut command = account.command(&program, draft);
    command.arg("--pgdata").arg(draft).args(["--username", NAME, "--encoding=UTF8"]).args(locale);
    // Every client of the socket, in a folder closed to all others, is trusted; connections over the network are
    // rejected.
    command.args(["--auth-local=trust", "--auth-host=reject"]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let done = command.output().await.map_err(|error| account.why_not(&program, draft, error))?;
    if done.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Err(EmbeddedError::Init(if complaint.is_empty() { done.status.to_string() } else { complaint }))
}

/// Whether this Postgres was built with LZ4, which only the program can tell. It is checked once, here, because that
/// takes as long as a tenth of a start.
async fn knows_lz4(draft: &Path, binaries: &Binaries, account: &Account) -> Result<bool, EmbeddedError> {
    let program = binaries.postgres();
    let mut command = account.command(&program, draft);
    command.args(["-C", "wal_compression", "-c", "wal_compression=lz4", "-D"]).arg(draft);
    command.stdin(Stdio::null()).kill_on_drop(true);
    let told = command.output().await.map_err(|error| account.why_not(&program, draft, error))?;
    Ok(told.status.success())
}
