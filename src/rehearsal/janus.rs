//! A real Janus gateway for a rehearsal from a speaker's seat: Debian's package with a configuration of its own in the
//! rehearsal's folder, as a child process.
//!
//! Media need an address of this machine that is not loopback: neither side of ICE looks at loopback.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::Instant;
use url::Url;

use super::RehearsalError;
use super::children::environment;

/// Time for its first answer.
const START: Duration = Duration::from_secs(15);
/// Time for its end.
const END: Duration = Duration::from_secs(5);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Ports for media: two for each connection.
const MEDIA_PORTS: u16 = 400;
/// Plugins and transports that a rehearsal does not need.
const OFF: [&str; 11] = [
    "audiobridge",
    "duktape",
    "echotest",
    "lua",
    "nosip",
    "recordplay",
    "sip",
    "streaming",
    "textroom",
    "videocall",
    "voicemail",
];

/// A running gateway.
#[derive(Debug)]
pub(super) struct JanusChild {
    process: Child,
    /// Where it is.
    pub(super) url: Url,
}

impl JanusChild {
    /// Starts one; its configuration and its log go to `folder`.
    ///
    /// # Errors
    /// When the package or an address is missing, or it does not start.
    pub(super) async fn start(folder: &Path) -> Result<Self, RehearsalError> {
        let (program, lib) = installed()?;
        let address = address()?;
        let folder = folder.join("janus");
        std::fs::create_dir_all(&folder).map_err(RehearsalError::io("the gateway's folder cannot be made"))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = port.map_err(RehearsalError::io("the gateway found no port"))?.port();
        configure(&folder, &lib, address, port).map_err(RehearsalError::io("the gateway cannot be configured"))?;
        let log = std::fs::File::create(folder.join("janus.log"));
        let log = log.map_err(RehearsalError::io("the gateway's log cannot be written"))?;
        let again = log.try_clone().map_err(RehearsalError::io("the gateway's log cannot be written"))?;
        let mut command = Command::new(program);
        command.arg("-F").arg(&folder).stdin(Stdio::null()).stdout(log).stderr(again).kill_on_drop(true);
        command.env_clear().envs(environment());
        let process = command.spawn().map_err(RehearsalError::io("the gateway did not start"))?;
        let url = format!("http://127.0.0.1:{port}/janus").parse().map_err(|_| fault("has no address"))?;
        let janus = Self { process, url };
        janus.answers().await?;
        Ok(janus)
    }

    async fn answers(&self) -> Result<(), RehearsalError> {
        let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2));
        let client = builder.build().map_err(|error| RehearsalError::Options(format!("no HTTP client: {error}")))?;
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            let answer = client.get(format!("{}/info", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(fault("did not answer; janus/janus.log in the rehearsal's folder says why"))
    }

    /// Ends it.
    pub(super) async fn end(mut self) {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let asked = pid.is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        let ended = asked && tokio::time::timeout(END, self.process.wait()).await.is_ok();
        if !ended && self.process.kill().await.is_err() {
            tracing::warn!("The gateway of the rehearsal could not be ended.");
        }
    }
}

fn fault(reason: &str) -> RehearsalError {
    RehearsalError::Child { child: "media gateway".to_owned(), reason: reason.to_owned() }
}

/// The program, and the folder of its plugins.
fn installed() -> Result<(PathBuf, PathBuf), RehearsalError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = std::env::split_paths(&path).map(|folder| folder.join("janus")).find(|program| program.is_file());
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let lib = folders.map(|folder| folder.join("janus")).find(|lib| lib.join("plugins").is_dir());
    let missing = || {
        RehearsalError::Options(
            "a speaker's seat is rehearsed with a real media gateway, which is not here: install Debian's package janus"
                .to_owned(),
        )
    };
    program.zip(lib).ok_or_else(missing)
}

/// An address of this machine that is not loopback. Nothing is sent to find it.
fn address() -> Result<IpAddr, RehearsalError> {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    // Where a packet to anywhere would leave, then to each network that is known.
    let targets = std::iter::once(Ipv4Addr::new(192, 0, 2, 1)).chain(routes.lines().filter_map(neighbour));
    let own = |target| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((target, 9)).ok()?;
        let own = socket.local_addr().ok()?.ip();
        (!own.is_loopback() && !own.is_unspecified()).then_some(own)
    };
    targets.filter_map(own).next().ok_or_else(|| {
        RehearsalError::Options(
            "this machine has no address but loopback, over which WebRTC finds no way: connect it to a network, or \
             rehearse with --seat listener"
                .to_owned(),
        )
    })
}

/// The first address of the network in a line of `/proc/net/route` (its numbers are those of this machine's byte order).
fn neighbour(line: &str) -> Option<Ipv4Addr> {
    let network = u32::from_str_radix(line.split_whitespace().nth(1)?, 16).ok().filter(|network| *network != 0)?;
    Some(Ipv4Addr::from(u32::from_be_bytes(network.to_ne_bytes()) | 1))
}

fn configure(folder: &Path, lib: &Path, address: IpAddr, port: u16) -> std::io::Result<()> {
    let (place, lib) = (folder.display(), lib.display());
    let first = fastrand::u16(30_000..60_000);
    let last = first + MEDIA_PORTS;
    let off = OFF.map(|name| format!("libjanus_{name}.so")).join(",");
    let files = [
        (
            "janus.jcfg",
            format!(
                "general: {{\n configs_folder = \"{place}\"\n plugins_folder = \"{lib}/plugins\"\n \
                 transports_folder = \"{lib}/transports\"\n events_folder = \"/nonexistent\"\n \
                 loggers_folder = \"/nonexistent\"\n debug_level = 4\n interface = \"{address}\"\n}}\n\
                 media: {{\n rtp_port_range = \"{first}-{last}\"\n}}\n\
                 nat: {{\n ice_lite = true\n full_trickle = false\n ignore_mdns = true\n}}\n\
                 plugins: {{\n disable = \"{off}\"\n}}\n\
                 transports: {{\n disable = \"libjanus_websockets.so,libjanus_pfunix.so,libjanus_rabbitmq.so,\
                 libjanus_mqtt.so,libjanus_nanomsg.so\"\n}}\n"
            ),
        ),
        (
            "janus.transport.http.jcfg",
            format!(
                "general: {{\n json = \"plain\"\n base_path = \"/janus\"\n http = true\n port = {port}\n \
                 ip = \"127.0.0.1\"\n https = false\n}}\n"
            ),
        ),
        // The platform's rooms have names.
        ("janus.plugin.videoroom.jcfg", "general: {\n string_ids = true\n}\n".to_owned()),
    ];
    files.into_iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_names_a_neighbour_and_the_default_route_none() {
        let line = |network: u32| format!("eth0\t{network:08X}\t00000000\t0001");
        let network = u32::from_ne_bytes([192, 0, 2, 4]);
        assert_eq!(neighbour(&line(network)), Some(Ipv4Addr::new(192, 0, 2, 5)));
        assert_eq!(neighbour(&line(0)), None);
        assert_eq!(neighbour("Iface\tDestination\tGateway"), None);
    }
}
