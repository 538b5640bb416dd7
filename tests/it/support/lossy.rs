//! A bad network in front of a gateway: what it says goes through unharmed, its media loses packets and is held up.
//!
//! The kernel here has no netem, and a device of one's own needs unsafe code. So the gateway is reached through a small
//! proxy that puts our address into its descriptions; behind that address this process forwards each datagram, or
//! drops it, or holds it up, as a seeded generator says. Whoever is held up is overtaken, as on real networks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use tokio::net::UdpSocket;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// How bad it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Badness {
    /// Share of datagrams that are lost, from 0 to 1.
    pub(crate) loss: f64,
    /// Each is held up by something between nothing and this.
    pub(crate) jitter: Duration,
    /// The same number gives the same losses.
    pub(crate) seed: u64,
}

/// The proxy. Dropping it ends everything.
pub(crate) struct Lossy {
    url: Url,
    road: Arc<Road>,
    _work: AbortOnDropHandle<()>,
}

struct Road {
    gateway: Url,
    address: String,
    far: String,
    badness: Badness,
    bad: AtomicBool,
    /// Whether a request for more than one speaker is spoilt on the way.
    one_each: AtomicBool,
    /// Whether the next of the gateway's ports is reached by a road on which nothing arrives, and the roads that are so.
    dead_end: AtomicBool,
    dead_ends: Mutex<Vec<UdpSocket>>,
    passed: AtomicU64,
    lost: AtomicU64,
    chance: Mutex<fastrand::Rng>,
    /// Packets that never came, by their sender and its count (RFC 3550 §5.1).
    gone: Mutex<BTreeSet<(u32, u16)>>,
    /// The gateway's ports, and ours in their place.
    ports: Mutex<BTreeMap<u16, (u16, AbortOnDropHandle<()>)>>,
    http: reqwest::Client,
}

impl Lossy {
    /// In front of `gateway`, at the address `here` of this machine; good until told otherwise.
    pub(crate) async fn before(gateway: &Url, here: &str, badness: Badness) -> Self {
        let listener = tokio::net::TcpListener::bind((here, 0)).await.expect("a port");
        let url = format!("http://{}/janus", listener.local_addr().expect("an address"));
        let road = Arc::new(Road {
            gateway: gateway.clone(),
            address: here.to_owned(),
            far: gateway.host_str().expect("a host").to_owned(),
            badness,
            bad: AtomicBool::new(false),
            one_each: AtomicBool::new(false),
            dead_end: AtomicBool::new(false),
            dead_ends: Mutex::default(),
            passed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            chance: Mutex::new(fastrand::Rng::with_seed(badness.seed)),
            gone: Mutex::default(),
            ports: Mutex::default(),
            http: reqwest::Client::new(),
        });
        let router = axum::Router::new().fallback(pass).with_state(road.clone());
        let serve = async move { axum::serve(listener, router).await.expect("a server") };
        Self { url: url.parse().expect("an address"), road, _work: AbortOnDropHandle::new(tokio::spawn(serve)) }
    }

    /// Where the gateway is reached.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The gateway's ports that are reached through it.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.road.ports.lock().expect("no panic").keys().copied().collect()
    }

    /// From now on the gateway refuses whoever asks for more than one speaker with one handle.
    pub(crate) fn one_each(&self) {
        self.road.one_each.store(true, Ordering::Relaxed);
    }

    /// Nothing arrives at the next of the gateway's ports that is told.
    pub(crate) fn dead_end(&self) {
        self.road.dead_end.store(true, Ordering::Relaxed);
    }

    /// How many ports nothing arrived at.
    pub(crate) fn dead_ends(&self) -> usize {
        self.road.dead_ends.lock().expect("no panic").len()
    }

    /// Makes it bad, or good again.
    pub(crate) fn bad(&self, bad: bool) {
        self.road.bad.store(bad, Ordering::Relaxed);
    }

    /// How many times two packets of one speaker in succession never came, not even when they were asked for.
    pub(crate) fn twice(&self) -> usize {
        let lost = self.road.gone.lock().expect("no panic");
        lost.iter().filter(|(ssrc, number)| lost.contains(&(*ssrc, number.wrapping_add(1)))).count()
    }

    /// How many datagrams were passed on and how many were lost while it was bad.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.road.passed.load(Ordering::Relaxed), self.road.lost.load(Ordering::Relaxed))
    }
}

async fn pass(State(road): State<Arc<Road>>, method: Method, uri: Uri, body: Bytes) -> Result<String, StatusCode> {
    let mut url = road.gateway.clone();
    url.set_path(uri.path());
    url.set_query(uri.query());
    let method = method.as_str().parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    // The gateway is not to find another way than ours: an address for documentation (RFC 5737), routed nowhere.
    let body = String::from_utf8_lossy(&body).replace(&format!(" {} ", road.address), " 198.51.100.9 ");
    let body = if road.one_each.load(Ordering::Relaxed) { spoilt(body) } else { body };
    let answer = road.http.request(method, url).body(body).send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let text = answer.text().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    Ok(road.rewrite(text).await)
}

/// The request, but so that a gateway does not understand it where it is about more than one speaker.
fn spoilt(body: String) -> String {
    let Ok(mut message) = serde_json::from_str::<serde_json::Value>(&body) else { return body };
    let request = &mut message["body"];
    if request["request"] == "update" {
        request["request"] = "more".into();
    } else if request["streams"].as_array().is_some_and(|streams| streams.len() > 1) {
        request["streams"] = "all".into();
    } else {
        return body;
    }
    message.to_string()
}

impl Road {
    /// Candidates of the gateway become ours: `… 192.0.2.2 20123 typ host`.
    async fn rewrite(self: &Arc<Self>, text: String) -> String {
        let mark = format!(" {} ", self.far);
        let ports: BTreeSet<u16> = text
            .match_indices(&mark)
            .filter_map(|(at, _)| text[at + mark.len()..].split(' ').next()?.parse().ok())
            .collect();
        let mut text = text;
        for port in ports {
            let ours = self.port(port).await;
            text = text.replace(&format!("{mark}{port} typ"), &format!(" {} {ours} typ", self.address));
        }
        text
    }

    async fn port(self: &Arc<Self>, port: u16) -> u16 {
        if self.dead_end.swap(false, Ordering::Relaxed) {
            let socket = UdpSocket::bind((self.address.as_str(), 0)).await.expect("a port");
            let ours = socket.local_addr().expect("an address").port();
            self.dead_ends.lock().expect("no panic").push(socket);
            return ours;
        }
        if let Some((ours, _)) = self.ports.lock().expect("no panic").get(&port) {
            return *ours;
        }
        let near = Arc::new(UdpSocket::bind((self.address.as_str(), 0)).await.expect("a port"));
        let far = Arc::new(UdpSocket::bind((self.address.as_str(), 0)).await.expect("a port"));
        far.connect((self.far.as_str(), port)).await.expect("a way");
        let ours = near.local_addr().expect("an address").port();
        let work = AbortOnDropHandle::new(tokio::spawn(forward(self.clone(), near, far)));
        self.ports.lock().expect("no panic").insert(port, (ours, work));
        ours
    }

    /// How long a datagram is held up; none if it is lost.
    fn fate(&self) -> Option<Duration> {
        if !self.bad.load(Ordering::Relaxed) {
            return Some(Duration::ZERO);
        }
        let mut chance = self.chance.lock().expect("no panic");
        let lost = chance.f64() < self.badness.loss;
        let wait = self.badness.jitter.mul_f64(chance.f64());
        let count = if lost { &self.lost } else { &self.passed };
        count.fetch_add(1, Ordering::Relaxed);
        (!lost).then_some(wait)
    }
}

/// Sender and count of a packet of sound; its payload type is the gateway's own for Opus.
fn packet(datagram: &[u8]) -> Option<(u32, u16)> {
    let number = |at: usize| Some(u16::from_be_bytes([*datagram.get(at)?, *datagram.get(at + 1)?]));
    let is_rtp = datagram[0] >> 6 == 2 && datagram.get(1)? & 0x7f == 111;
    is_rtp.then_some((u32::from(number(8)?) << 16 | u32::from(number(10)?), number(2)?))
}

async fn forward(road: Arc<Road>, near: Arc<UdpSocket>, far: Arc<UdpSocket>) {
    let mut client: Option<SocketAddr> = None;
    let (mut up, mut down) = (vec![0; 2048], vec![0; 2048]);
    loop {
        let (came, socket, to) = tokio::select! {
            came = near.recv_from(&mut up) => {
                // A listener tries from each of this machine's addresses; behind this road there is one place for one.
                if came.as_ref().is_ok_and(|(_, from)| from.ip().to_string() != road.address) {
                    continue;
                }
                let came = came.map(|(count, from)| {
                    client = Some(from);
                    up[..count].to_vec()
                });
                (came, far.clone(), None)
            }
            came = far.recv(&mut down) => (came.map(|count| down[..count].to_vec()), near.clone(), client),
        };
        // Nobody listens at the other end yet: that is told on the next call, and no reason to stop.
        let Ok(bytes) = came else { continue };
        let Some(wait) = road.fate() else {
            road.gone.lock().expect("no panic").extend(packet(&bytes));
            continue;
        };
        // What was sent again is not gone.
        if let Some(packet) = packet(&bytes) {
            road.gone.lock().expect("no panic").remove(&packet);
        }
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let sent = match to {
                Some(to) => socket.send_to(&bytes, to).await,
                None => socket.send(&bytes).await,
            };
            drop(sent);
        });
    }
}
