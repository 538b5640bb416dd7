//! A network namespace: another machine, as far as packets know, on the other end of a virtual cable.

use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::{find, run};

/// So many were made by this process.
static MADE: AtomicU32 = AtomicU32::new(0);

/// The other end. Dropping it removes it, with the cable.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    here: String,
    there: String,
}

impl Namespace {
    /// Lays the cable. Needs root.
    pub(crate) fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "this drill makes a network namespace: run it as root");
        // Addresses for documentation (RFC 5737): nobody routes to them. Names of links hold 15 characters.
        let count = MADE.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id();
        let name = format!("sb{id}-{count}");
        // A run that was killed may have left a cable.
        let is_free = |third: &u32| UdpSocket::bind(format!("203.0.113.{}:0", third + 1)).is_err();
        let third = (0..60).map(|more| 4 * ((id + count + more) % 60)).find(is_free).expect("a free address");
        let made = Self { name, here: format!("203.0.113.{}", third + 1), there: format!("203.0.113.{}", third + 2) };
        let (near, far) = (format!("sb{id}-{count}a"), format!("sb{id}-{count}b"));
        let (here, there) = (format!("{}/30", made.here), format!("{}/30", made.there));
        run("ip", &["netns", "add", &made.name]);
        run("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &made.name]);
        run("ip", &["addr", "add", &here, "dev", &near]);
        run("ip", &["link", "set", &near, "up"]);
        made.inside(&["addr", "add", &there, "dev", &far]);
        made.inside(&["link", "set", &far, "up"]);
        made.inside(&["link", "set", "lo", "up"]);
        made
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The address of our end.
    pub(crate) fn here(&self) -> &str {
        &self.here
    }

    /// The address of its end.
    pub(crate) fn there(&self) -> &str {
        &self.there
    }

    /// Swallows everything that it sends back, or no longer. This end sees silence: no reset, no unreachable.
    pub(crate) fn black_hole(&self, on: bool) {
        let route = format!("{}/32", self.here);
        self.inside(&["route", if on { "add" } else { "del" }, "blackhole", &route]);
    }

    fn inside(&self, arguments: &[&str]) {
        run("ip", &[&["-n", &self.name][..], arguments].concat());
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cable goes with it, once nothing runs in it any more.
        drop(Command::new(find("ip")).args(["netns", "del", &self.name]).status());
    }
}
