//! A real nginx-rtmp that records what it is sent, in one process of its own.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use super::process::{Process, find};
use super::{eventually, free_port};

const MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// An ingest with one application.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Option<Process>,
    folder: tempfile::TempDir,
    application: String,
    /// The address that it listens at.
    host: String,
    namespace: Option<String>,
    /// The port it listens on, also while it is down.
    pub(crate) port: u16,
}

impl Nginx {
    /// An ingest that takes every key of `application`.
    pub(crate) async fn start(application: &str) -> Self {
        let mut nginx = Self::down(application);
        nginx.up(None).await;
        nginx
    }

    /// An ingest that asks `url` whether a key may publish.
    pub(crate) async fn start_asking(application: &str, url: &str) -> Self {
        let mut nginx = Self::down(application);
        nginx.up(Some(url)).await;
        nginx
    }

    /// An ingest that is not there yet.
    pub(crate) fn down(application: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("rec")).expect("a folder");
        let (application, host) = (application.to_owned(), "127.0.0.1".to_owned());
        Self { process: None, folder, application, host, namespace: None, port: free_port() }
    }

    /// An ingest that takes every key, at `host` in a network namespace.
    pub(crate) async fn start_in(namespace: &str, host: &str, application: &str) -> Self {
        let mut nginx = Self::down(application);
        (nginx.host, nginx.namespace) = (host.to_owned(), Some(namespace.to_owned()));
        nginx.up(None).await;
        nginx
    }

    /// Where to publish.
    pub(crate) fn url(&self) -> String {
        format!("rtmp://{}:{}/{}", self.host, self.port, self.application)
    }

    /// Starts it, or starts it again.
    pub(crate) async fn up(&mut self, on_publish: Option<&str>) {
        assert!(Path::new(MODULE).exists(), "this test needs nginx-rtmp: install the Debian package libnginx-mod-rtmp");
        let folder = self.folder.path();
        let config = folder.join("nginx.conf");
        fs::write(&config, self.config(on_publish)).expect("a configuration");
        let prefix = format!("{}/", folder.display());
        let log = format!("{prefix}error.log");
        let arguments = ["-p", &prefix, "-c", config.to_str().expect("a path"), "-e", &log];
        let mut process = match &self.namespace {
            None => Process::start("nginx", &arguments, folder),
            Some(namespace) => {
                let nginx = find("nginx");
                let inside = ["netns", "exec", namespace, nginx.to_str().expect("a path")];
                Process::start("ip", &[&inside[..], &arguments[..]].concat(), folder)
            }
        };
        let (host, port) = (self.host.as_str(), self.port);
        eventually("nginx listens", Duration::from_secs(10), || {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            assert!(process.is_running(), "nginx ended: {}", said());
            TcpStream::connect((host, port)).ok()
        })
        .await;
        self.process = Some(process);
    }

    /// Kills it, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// Stops it in its tracks: the kernel keeps its sockets open.
    pub(crate) fn freeze(&self) {
        self.process.as_ref().expect("a running nginx").signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.process.as_ref().expect("a running nginx").signal(Signal::CONT);
    }

    /// Where it records.
    pub(crate) fn recordings_folder(&self) -> PathBuf {
        self.folder.path().join("rec")
    }

    /// What it recorded, oldest first: one file for each time somebody published.
    pub(crate) fn recordings(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.folder.path().join("rec")).expect("a folder");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        files.sort_by_key(|path| fs::metadata(path).and_then(|data| data.created()).expect("a creation time"));
        files
    }

    /// Waits until its newest recording holds `bytes` more than when asked.
    pub(crate) async fn grows(&self, bytes: u64) {
        let size = || self.recordings().last().map_or(0, |path| fs::metadata(path).map_or(0, |data| data.len()));
        let (before, count) = (size(), self.recordings().len());
        eventually("the recording grows", Duration::from_secs(30), || {
            let more = if self.recordings().len() > count { size() } else { size().saturating_sub(before) };
            (more >= bytes).then_some(())
        })
        .await;
    }

    /// One process instead of master and worker: a signal to it is a signal to the whole server.
    fn config(&self, on_publish: Option<&str>) -> String {
        let mut text = format!("load_module {MODULE};\ndaemon off;\nmaster_process off;\npid nginx.pid;\n");
        let folder = self.folder.path().display();
        let ask = on_publish.map(|url| format!("on_publish {url};")).unwrap_or_default();
        write!(
            text,
            "error_log {folder}/error.log notice;\nevents {{ worker_connections 64; }}\n\
             rtmp {{ access_log off; server {{ listen {}:{}; chunk_size 4096;\n\
             application {} {{ live on; record all; record_path {folder}/rec; record_unique on;\n\
             record_suffix -%s.flv; {ask} }} }} }}\n",
            self.host, self.port, self.application
        )
        .expect("writing to a string");
        text
    }
}
