//! RTMPS for tests: an authority of our own, and stunnel in front of a plain server.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{self, Process};
use super::{eventually, free_port};

/// A certificate authority with one certificate, for `localhost` and 127.0.0.1.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    /// Makes both with openssl.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let (ca, ca_key) = (path("ca.pem"), path("ca.key"));
        let subject = ["-days", "2", "-subj", "/CN=Test authority", "-keyout", &ca_key, "-out", &ca];
        process::run("openssl", &[&["req", "-x509"], &curve[..], &subject[..]].concat());
        let (key, request, extensions) = (path("server.key"), path("server.csr"), path("extensions"));
        let subject = ["-subj", "/CN=localhost", "-keyout", &key, "-out", &request];
        process::run("openssl", &[&["req"], &curve[..], &subject[..]].concat());
        fs::write(&extensions, "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
        let sign = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial", "-days", "2"];
        let out = path("server.pem");
        process::run("openssl", &[&sign[..], &["-extfile", &extensions, "-out", &out]].concat());
        Self { folder }
    }

    /// The authority's own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// stunnel in front of a local port.
#[derive(Debug)]
pub(crate) struct Tunnel {
    _process: Process,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Tunnel {
    /// Takes TLS with the authority's certificate and hands it on to `to`.
    pub(crate) async fn start(authority: &Authority, to: u16) -> Self {
        let (folder, port) = (authority.folder(), free_port());
        let config = format!(
            "foreground = yes\npid =\nsyslog = no\n[rtmps]\naccept = 127.0.0.1:{port}\nconnect = 127.0.0.1:{to}\n\
             cert = {0}/server.pem\nkey = {0}/server.key\n",
            folder.display()
        );
        let path = folder.join("stunnel.conf");
        fs::write(&path, config).expect("a configuration");
        let mut process = Process::start("stunnel4", &[path.to_str().expect("a path")], folder);
        eventually("stunnel listens", Duration::from_secs(10), || {
            assert!(process.is_running(), "stunnel ended; see stunnel4.log");
            TcpStream::connect(("127.0.0.1", port)).ok()
        })
        .await;
        Self { _process: process, port }
    }
}
