//! Stands between a client's media and the gateway's: every address that the gateway names is replaced by one of ours,
//! and what goes through it can be cut without a word, as a relay on the way (TURN) does.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;

/// Largest packet.
const PACKET_MAX: usize = 2048;
/// Relays that are kept: two or three for each connection.
const RELAYS_MAX: usize = 256;

/// All relays, by the address that each leads to.
#[derive(Debug, Default)]
pub(super) struct Relays {
    all: HashMap<SocketAddr, Relay>,
}

#[derive(Debug)]
struct Relay {
    here: SocketAddr,
    cut: Arc<AtomicBool>,
    _work: AbortOnDropHandle<()>,
}

impl Relays {
    /// The description with our addresses in the place of the gateway's. A relay that is new lasts for `lasting`.
    pub(super) async fn replace(&mut self, sdp: &str, lasting: Option<Duration>) -> String {
        let mut lines = Vec::new();
        for line in sdp.lines() {
            lines.push(match candidate(line) {
                Some(there) => match self.to(there, lasting).await {
                    Ok(here) => moved(line, here),
                    Err(error) => {
                        tracing::warn!(%error, "No relay for an address of the gateway.");
                        line.to_owned()
                    }
                },
                None => line.to_owned(),
            });
        }
        lines.join("\r\n") + "\r\n"
    }

    /// Cuts what there is.
    pub(super) fn cut(&self) {
        self.all.values().for_each(|relay| relay.cut.store(true, Ordering::Relaxed));
    }

    async fn to(&mut self, there: SocketAddr, lasting: Option<Duration>) -> std::io::Result<SocketAddr> {
        if let Some(relay) = self.all.get(&there) {
            return Ok(relay.here);
        }
        if self.all.len() >= RELAYS_MAX {
            return Err(std::io::Error::other("there are too many relays"));
        }
        let far = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        far.connect(there).await?;
        let near = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
        // The address of this machine on the way to the gateway: a client finds no media on loopback.
        let here = SocketAddr::new(far.local_addr()?.ip(), near.local_addr()?.port());
        let cut = Arc::new(AtomicBool::new(false));
        let work = tokio::spawn(carry(near, far, cut.clone(), lasting));
        self.all.insert(there, Relay { here, cut, _work: AbortOnDropHandle::new(work) });
        Ok(here)
    }
}

/// Carries packets both ways until it is cut.
async fn carry(near: UdpSocket, far: UdpSocket, cut: Arc<AtomicBool>, lasting: Option<Duration>) {
    let began = tokio::time::Instant::now();
    let (mut from_near, mut from_far) = ([0; PACKET_MAX], [0; PACKET_MAX]);
    let mut client: Option<SocketAddr> = None;
    loop {
        let is_cut = || cut.load(Ordering::Relaxed) || lasting.is_some_and(|lasting| began.elapsed() > lasting);
        let sent = tokio::select! {
            packet = near.recv_from(&mut from_near) => match packet {
                Ok((size, from)) => {
                    client = Some(from);
                    if is_cut() { Ok(0) } else { far.send(&from_near[..size]).await }
                }
                Err(error) => Err(error),
            },
            packet = far.recv(&mut from_far) => match (packet, client) {
                (Ok(size), Some(client)) if !is_cut() => near.send_to(&from_far[..size], client).await,
                (packet, _) => packet,
            },
        };
        if let Err(error) = sent {
            // A port that is closed for a moment answers so; the next packet may find it open.
            tracing::trace!(%error, "A packet was lost.");
        }
    }
}

/// A client's description without its addresses: a gateway that knows them would find a way past the relay.
pub(super) fn hidden(sdp: &str) -> String {
    let kept = |line: &&str| !line.starts_with("a=candidate:");
    sdp.lines().filter(kept).flat_map(|line| [line, "\r\n"]).collect()
}

/// The address in a line such as `a=candidate:1 1 udp 2015363327 192.0.2.2 20001 typ host`.
fn candidate(line: &str) -> Option<SocketAddr> {
    let fields: Vec<&str> = line.strip_prefix("a=candidate:")?.split(' ').collect();
    if !fields.get(2)?.eq_ignore_ascii_case("udp") {
        return None;
    }
    let address: IpAddr = fields.get(4)?.parse().ok()?;
    address.is_ipv4().then_some(SocketAddr::new(address, fields.get(5)?.parse().ok()?))
}

fn moved(line: &str, here: SocketAddr) -> String {
    let mut fields: Vec<String> = line.split(' ').map(str::to_owned).collect();
    (fields[4], fields[5]) = (here.ip().to_string(), here.port().to_string());
    fields.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_can_be_relayed_are_replaced() {
        let line = "a=candidate:1 1 udp 2015363327 192.0.2.2 20001 typ host";
        assert_eq!(candidate(line), Some("192.0.2.2:20001".parse().expect("an address")));
        let here = "198.51.100.1:5".parse().expect("an address");
        assert_eq!(moved(line, here), "a=candidate:1 1 udp 2015363327 198.51.100.1 5 typ host");
        for other in [
            "a=candidate:1 1 tcp 2015363327 192.0.2.2 9 typ host",
            "a=candidate:1 1 udp 1 fe80::1 5 typ host",
            "a=candidate:1 1 udp",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111",
            "c=IN IP4 192.0.2.2",
        ] {
            assert_eq!(candidate(other), None, "{other}");
        }
        assert_eq!(hidden(&format!("v=0\r\n{line}\r\na=mid:0\r\n")), "v=0\r\na=mid:0\r\n");
    }

    #[tokio::test]
    async fn packets_go_both_ways_until_the_way_is_cut() {
        let gateway = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let there = gateway.local_addr().expect("an address");
        let mut relays = Relays::default();
        let sdp = format!("v=0\r\na=candidate:1 1 udp 1 127.0.0.1 {} typ host\r\n", there.port());
        let replaced = relays.replace(&sdp, None).await;
        let here = candidate(replaced.lines().nth(1).expect("a line")).expect("an address");
        assert_ne!(here, there);
        assert_eq!(relays.replace(&sdp, None).await, replaced, "one way for one address");
        let client = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        client.send_to(b"there", here).await.expect("sent");
        let mut packet = [0; 16];
        let (size, from) = gateway.recv_from(&mut packet).await.expect("a packet");
        assert_eq!(&packet[..size], b"there");
        gateway.send_to(b"back", from).await.expect("sent");
        let (size, _) = client.recv_from(&mut packet).await.expect("a packet");
        assert_eq!(&packet[..size], b"back");
        relays.cut();
        client.send_to(b"there", here).await.expect("sent");
        let heard = tokio::time::timeout(Duration::from_millis(300), gateway.recv_from(&mut packet)).await;
        assert!(heard.is_err(), "cut");
    }
}
