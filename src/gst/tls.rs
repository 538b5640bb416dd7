//! Which certificates RTMPS trusts: the system's, and one more authority where the operator names it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use gio::prelude::TlsBackendExt;
use rustix::fs::MemfdFlags;

use super::GstError;

/// Where distributions keep the bundle of all authorities: Debian and Alpine, Fedora, openSUSE.
const SYSTEM_BUNDLES: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// A bundle of authorities is about 200 kB; more than this is not one.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Lets every later RTMPS connection of this process trust the authorities in `ca_file` (PEM) beside the system's.
///
/// The sink has no property for it, and GLib replaces the system's store by the one it is given: so it is given both
/// in one file.
///
/// # Errors
/// [`GstError::Failed`] when the file cannot be read, holds no certificate, or there is no TLS backend.
pub fn trust_also(ca_file: &Path) -> Result<(), GstError> {
    let failed = |reason: String| GstError::Failed { name: "tls", reason };
    let shown = ca_file.display();
    let length = fs::metadata(ca_file).map_err(|error| failed(format!("cannot read {shown}: {error}")))?.len();
    if length > MAX_BYTES {
        return Err(failed(format!("{shown} is too large for a file of certificates ({length} bytes)")));
    }
    match gio::TlsCertificate::list_new_from_file(ca_file) {
        Ok(list) if !list.is_empty() => {}
        Ok(_) => return Err(failed(format!("{shown} holds no certificate: it must be a PEM file"))),
        Err(error) => return Err(failed(format!("{shown} holds no readable certificate: {error}"))),
    }
    let mut bundle = fs::read(ca_file).map_err(|error| failed(format!("cannot read {shown}: {error}")))?;
    if let Some(system) = SYSTEM_BUNDLES.iter().find_map(|path| fs::read(path).ok()) {
        bundle.push(b'\n');
        bundle.extend(system);
    }
    let path = keep_in_memory(&bundle).map_err(|error| failed(format!("cannot keep {shown} in memory: {error}")))?;
    let database = gio::TlsFileDatabase::new(&path).map_err(|error| {
        failed(format!(
            "cannot use {shown}: {error} (without a TLS backend install the Debian package glib-networking)"
        ))
    })?;
    gio::TlsBackend::default().set_default_database(Some(&database));
    Ok(())
}

/// Makes a file of `bytes` that only this process has, and that lives as long as it does: the TLS backend reads it again
/// for every connection (seen with glib-networking 2.74, whose handshakes failed once it was gone).
fn keep_in_memory(bytes: &[u8]) -> std::io::Result<PathBuf> {
    static KEPT: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let mut file = File::from(rustix::fs::memfd_create("spacebridge-ca", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(file);
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_by_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("not-a-ca.pem");
        fs::write(&path, "hello").expect("a file");
        for path in [&path, &folder.path().join("absent.pem")] {
            let error = trust_also(path).expect_err("nothing to trust").to_string();
            assert!(error.contains(&*path.display().to_string()), "{error}");
        }
    }
}
