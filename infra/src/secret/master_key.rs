//! Master keys, which encrypt the keys of orgs and are not in the database.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use argon2::Argon2;
use kymograph_app::kernel::random::hex;
use kymograph_app::{Error, Result};
use kymograph_domain::OrgId;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::sealing::{KeyBytes, SealingKey, draw_key};

/// The salt for deriving keys from texts. It is not secret: it makes tables precomputed for other programs useless.
const SALT: &[u8] = b"kymograph/security/secret_key";

/// The sources of master keys.
#[derive(Clone)]
pub struct MasterKeySettings {
    /// The text of the current key, and those of earlier ones.
    pub texts: Vec<Zeroizing<String>>,
    /// The file with one key per line in hexadecimal digits, the current one first. If there are texts, its keys are
    /// earlier ones.
    pub file: PathBuf,
}

/// A master key.
pub(crate) struct MasterKey {
    id: String,
    key: SealingKey,
}

impl MasterKey {
    fn new(bytes: &KeyBytes) -> Self {
        let id = hex(&Sha256::digest([b"id/", &bytes[..]].concat())[..8]);
        Self { id, key: SealingKey::new(bytes) }
    }

    /// The id under which the database refers to it.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts the key of an org.
    pub(crate) fn wrap(&self, org: OrgId, key: &KeyBytes) -> Result<Vec<u8>> {
        self.key.seal(&format!("key/{org}"), &key[..])
    }

    /// Decrypts the key of an org.
    pub(crate) fn unwrap(&self, org: OrgId, wrapped: &[u8]) -> Result<SealingKey> {
        Ok(SealingKey::new(&self.unwrap_bytes(org, wrapped)?))
    }

    pub(super) fn unwrap_bytes(&self, org: OrgId, wrapped: &[u8]) -> Result<KeyBytes> {
        let opened = self.key.open(&format!("key/{org}"), wrapped)?;
        let bytes = <[u8; 32]>::try_from(&opened[..]).map_err(Error::internal)?;
        Ok(Zeroizing::new(bytes))
    }
}

/// The master keys of a server, which are read on demand. The file is read again whenever a key is missing, because a
/// rotation adds one.
pub struct MasterKeys {
    settings: MasterKeySettings,
    keys: RwLock<Arc<[Arc<MasterKey>]>>,
}

impl MasterKeys {
    /// The keys of these settings.
    #[must_use]
    pub fn new(settings: MasterKeySettings) -> Self {
        Self { settings, keys: RwLock::new(Arc::new([])) }
    }

    /// The key that encrypts new keys of orgs.
    pub(crate) fn current(&self) -> Result<Arc<MasterKey>> {
        self.read_again()?;
        let missing =
            || Error::internal(format!("there is no master key in {}", self.settings.file.display()));
        self.known().first().cloned().ok_or_else(missing)
    }

    /// The same for a database without secrets: creates the first key if there is none.
    pub(crate) fn current_or_first(&self) -> Result<Arc<MasterKey>> {
        let file = &self.settings.file;
        if self.settings.texts.is_empty() && !file.exists() {
            write(file, &[draw_key()?]).map_err(|error| failed(file, &error))?;
            tracing::warn!(
                file = %file.display(),
                "made a master key for secrets: keep a copy apart from the database, without it no secret can be read"
            );
        }
        self.current()
    }

    /// The key with this id.
    pub(crate) fn find(&self, id: &str) -> Result<Arc<MasterKey>> {
        let known = |keys: Arc<[Arc<MasterKey>]>| keys.iter().find(|key| key.id == id).cloned();
        if let Some(key) = known(self.known()) {
            return Ok(key);
        }
        self.read_again()?;
        known(self.known()).ok_or_else(|| {
            Error::internal(format!(
                "the database has secrets under the master key {id}, which this server does not have: add its text to \
                [security] previous_secret_keys, or put back the key file {}",
                self.settings.file.display()
            ))
        })
    }

    /// Locks the file against other rotations until the result is dropped, because each replaces the whole file.
    pub(super) fn lock(&self) -> Result<Option<File>> {
        let Some(file) = self.file() else { return Ok(None) };
        let path = file.with_extension("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(|error| failed(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(lock)),
            Err(TryLockError::WouldBlock) => {
                Err(Error::internal("another rotation of the master key is running"))
            }
            Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
        }
    }

    /// Adds a new current key to the file, unless the keys are derived from texts.
    pub(super) fn add(&self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let mut keys = read_bytes(file)?.unwrap_or_default();
        keys.insert(0, draw_key()?);
        write(file, &keys).map_err(|error| failed(file, &error))?;
        self.read_again()
    }

    /// Removes the keys from the file that are not to be kept.
    pub(super) fn retain(&self, is_kept: impl Fn(&str) -> bool) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let mut keys = read_bytes(file)?.unwrap_or_default();
        keys.retain(|bytes| is_kept(MasterKey::new(bytes).id()));
        write(file, &keys).map_err(|error| failed(file, &error))?;
        self.read_again()
    }

    /// The ids, the current one first.
    pub(super) fn ids(&self) -> Vec<String> {
        self.known().iter().map(|key| key.id.clone()).collect()
    }

    fn known(&self) -> Arc<[Arc<MasterKey>]> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The file, unless the keys are derived from texts.
    fn file(&self) -> Option<&Path> {
        self.settings.texts.is_empty().then_some(&*self.settings.file)
    }

    fn read_again(&self) -> Result<()> {
        let texts = &self.settings.texts;
        let known = self.known();
        // Deriving a key from a text is slow, and its result does not change.
        let mut keys: Vec<_> = if known.is_empty() {
            texts.iter().map(|text| Ok(Arc::new(MasterKey::new(&key_of(text)?)))).collect::<Result<_>>()?
        } else {
            known.iter().take(texts.len()).cloned().collect()
        };
        // If the file is missing, the cached keys stay available.
        match read_bytes(&self.settings.file)? {
            Some(read) => keys.extend(read.iter().map(|bytes| Arc::new(MasterKey::new(bytes)))),
            None => keys.extend(known.iter().skip(texts.len()).cloned()),
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys.into();
        Ok(())
    }
}

fn key_of(text: &str) -> Result<KeyBytes> {
    let mut bytes = Zeroizing::new([0; 32]);
    let made = Argon2::default().hash_password_into(text.as_bytes(), SALT, &mut *bytes);
    made.map_err(Error::internal)?;
    Ok(bytes)
}

fn failed(file: &Path, error: &io::Error) -> Error {
    Error::internal(format!("the master keys in {} cannot be used: {error}", file.display()))
}

fn read_bytes(file: &Path) -> Result<Option<Vec<KeyBytes>>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(file, &error)),
    };
    let malformed = || failed(file, &io::Error::other("a line does not have 64 hexadecimal digits"));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let keys: Vec<_> = lines.map(|line| parse_key(line).ok_or_else(malformed)).collect::<Result<Vec<_>>>()?;
    if keys.is_empty() { Err(failed(file, &io::Error::other("it is empty"))) } else { Ok(Some(keys)) }
}

fn parse_key(line: &str) -> Option<KeyBytes> {
    let mut bytes = Zeroizing::new([0; 32]);
    if line.len() != 64 || !line.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(line.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Replaces the file atomically: a process killed in the middle leaves the old one.
fn write(file: &Path, keys: &[KeyBytes]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let text = Zeroizing::new(keys.iter().map(|bytes| hex(&bytes[..]) + "\n").collect::<String>());
    let beside = file.with_extension("new");
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&beside, file)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(file: PathBuf, texts: &[&str]) -> MasterKeySettings {
        let texts = texts.iter().map(|text| Zeroizing::new((*text).to_owned())).collect();
        MasterKeySettings { texts, file }
    }

    #[test]
    fn a_file_is_made_read_and_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/secret.key");
        let server = MasterKeys::new(settings(file.clone(), &[]));
        assert!(server.current().is_err() && !file.exists());
        let first = server.current_or_first().unwrap();
        let rotating = MasterKeys::new(settings(file.clone(), &[]));
        assert_eq!(rotating.current_or_first().unwrap().id(), first.id());
        let key = draw_key().unwrap();
        let wrapped = first.wrap(OrgId(7), &key).unwrap();
        assert!(first.unwrap(OrgId(8), &wrapped).is_err());

        let lock = rotating.lock().unwrap();
        assert!(lock.is_some() && server.lock().is_err());
        drop(lock);
        assert!(server.lock().unwrap().is_some());
        rotating.add().unwrap();
        let second = rotating.current().unwrap();
        assert_ne!(first.id(), second.id());
        // The server has not read the new key yet, and finds it nevertheless.
        assert_eq!(server.find(second.id()).unwrap().id(), second.id());
        assert_eq!(server.current().unwrap().id(), second.id());
        assert!(server.find(first.id()).unwrap().unwrap(OrgId(7), &wrapped).is_ok());
        rotating.retain(|id| id == second.id()).unwrap();
        assert_eq!(rotating.ids(), [second.id()]);
        assert!(rotating.find(first.id()).is_err());
    }

    #[test]
    fn damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        for text in ["", "\n", "abc", &"é".repeat(32), &"0".repeat(65), &"g".repeat(64)] {
            fs::write(&file, text).unwrap();
            assert!(MasterKeys::new(settings(file.clone(), &[])).current_or_first().is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_always_makes_the_same_key() {
        let file = PathBuf::from("none");
        let old = MasterKeys::new(settings(file.clone(), &["a secret key of before"]));
        let new = MasterKeys::new(settings(file, &["a secret key of now", "a secret key of before"]));
        let id = old.current().unwrap().id().to_owned();
        assert_eq!(new.find(&id).unwrap().id(), id);
        assert_ne!(new.current().unwrap().id(), id);
    }

    #[test]
    fn with_a_text_the_keys_of_the_file_are_earlier_ones() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret.key");
        let id = MasterKeys::new(settings(file.clone(), &[])).current_or_first().unwrap().id().to_owned();
        let keys = MasterKeys::new(settings(file.clone(), &["a secret key of now"]));
        assert_ne!(keys.current_or_first().unwrap().id(), id);
        assert_eq!(keys.find(&id).unwrap().id(), id);
        let written = fs::read(&file).unwrap();
        keys.add().unwrap();
        keys.retain(|_| false).unwrap();
        assert_eq!(fs::read(&file).unwrap(), written, "the file is not this server's to rotate");
        fs::remove_file(&file).unwrap();
        assert_eq!(keys.find(&id).unwrap().id(), id);
    }
}
