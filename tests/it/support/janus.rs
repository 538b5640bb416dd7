//! A Janus gateway on the other end of a virtual cable, and somebody who publishes in its room.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spacebridge::gst::webrtc::{PublishFormat, RtcEvent, RtcPublisher};
use spacebridge::media::StereoSample;
use spacebridge::net::{HttpClient, HttpSettings};
use spacebridge::secret::Secret;
use spacebridge::source::janus::JanusSource;
use spacebridge::source::janus::client::{Login, POLL_PATIENCE};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::eventually_async;
use super::namespace::Namespace;
use super::process::Process;

/// The room that there is.
pub(crate) const ROOM: &str = "1234";

/// A gateway with one room. Dropping it ends it.
pub(crate) struct Janus {
    url: Url,
    pin: String,
    api_secret: Option<String>,
    _process: Process,
    _folder: tempfile::TempDir,
    far: Namespace,
}

impl Janus {
    /// Starts one. Needs root.
    pub(crate) async fn start() -> Self {
        Self::with_room("secret", None, 60).await
    }

    /// Starts one whose room has this pin, and that speaks to nobody without this secret. Needs root.
    pub(crate) async fn locked(pin: &str, api_secret: &str) -> Self {
        Self::with_room(pin, Some(api_secret), 60).await
    }

    /// Starts one where a session that is not heard of for so many seconds is given up. Needs root.
    pub(crate) async fn start_with(session_timeout: u32) -> Self {
        Self::with_room("secret", None, session_timeout).await
    }

    async fn with_room(pin: &str, api_secret: Option<&str>, session_timeout: u32) -> Self {
        let room = format!(
            "room-{ROOM}: {{\n description = \"Room\"\n publishers = 20\n audiocodec = \"opus\"\n pin = \"{pin}\"\n}}\n"
        );
        Self { pin: pin.to_owned(), ..Self::with_rooms(&room, api_secret, session_timeout).await }
    }

    /// Starts one without a room, where rooms have names. Needs root.
    pub(crate) async fn for_spaces() -> Self {
        Self::with_rooms("general: {\n string_ids = true\n}\n", None, 60).await
    }

    async fn with_rooms(rooms: &str, api_secret: Option<&str>, session_timeout: u32) -> Self {
        let far = Namespace::new();
        let folder = tempfile::tempdir().expect("a folder");
        let secret = api_secret.map(|secret| format!(" api_secret = \"{secret}\"\n")).unwrap_or_default();
        let general = format!(" session_timeout = {session_timeout}\n{secret}");
        configure(folder.path(), far.there(), rooms, &general);
        let path = folder.path().to_str().expect("a path");
        let janus = super::process::find("janus");
        let arguments = ["netns", "exec", far.name(), janus.to_str().expect("a path"), "-F", path];
        let process = Process::start("ip", &arguments, folder.path());
        let url: Url = format!("http://{}:18088/janus", far.there()).parse().expect("an address");
        let (pin, api_secret) = (String::new(), api_secret.map(str::to_owned));
        let janus = Self { url, pin, api_secret, _process: process, _folder: folder, far };
        eventually_async("the gateway answers", Duration::from_secs(40), || async {
            reqwest::get(format!("{}/info", janus.url)).await.ok().filter(|answer| answer.status().is_success())
        })
        .await;
        janus
    }

    /// Our own address on the cable to it.
    pub(crate) fn here(&self) -> &str {
        self.far.here()
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The room as a source, when one comes by `gateway`.
    pub(crate) fn source(gateway: &Url, pin: &str) -> JanusSource {
        let settings = HttpSettings {
            operator_urls: vec![gateway.clone()],
            patience: Some(POLL_PATIENCE),
            ..HttpSettings::default()
        };
        let client = HttpClient::new(settings).expect("a client");
        JanusSource::new(gateway.clone(), ROOM, Some(Secret::new(pin)), Login::default(), client)
    }
}

fn configure(folder: &Path, address: &str, rooms: &str, general: &str) {
    let lib = "/usr/lib/x86_64-linux-gnu/janus";
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text).expect("a file");
    write(
        "janus.jcfg",
        format!(
            "general: {{\n configs_folder = \"{folder}\"\n plugins_folder = \"{lib}/plugins\"\n \
             transports_folder = \"{lib}/transports\"\n events_folder = \"/nonexistent\"\n \
             loggers_folder = \"/nonexistent\"\n debug_level = 4\n interface = \"{address}\"\n{general}}}\n\
             media: {{\n rtp_port_range = \"20000-20400\"\n}}\n\
             nat: {{\n ice_lite = true\n full_trickle = false\n ignore_mdns = true\n}}\n\
             plugins: {{\n disable = \"libjanus_audiobridge.so,libjanus_echotest.so,libjanus_streaming.so,\
             libjanus_recordplay.so,libjanus_sip.so,libjanus_nosip.so,libjanus_textroom.so,libjanus_videocall.so,\
             libjanus_voicemail.so,libjanus_lua.so,libjanus_duktape.so\"\n}}\n\
             transports: {{\n disable = \"libjanus_websockets.so,libjanus_pfunix.so,libjanus_rabbitmq.so,\
             libjanus_mqtt.so,libjanus_nanomsg.so\"\n}}\n",
            folder = folder.display(),
        ),
    );
    write(
        "janus.transport.http.jcfg",
        "general: {\n json = \"plain\"\n base_path = \"/janus\"\n http = true\n port = 18088\n}\n".into(),
    );
    write("janus.plugin.videoroom.jcfg", rooms.to_owned());
}

/// How somebody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Manner {
    /// As one should.
    Speaks,
    /// Stays connected and sends nothing.
    Freezes,
    /// Sends ten times as much, with times that run ten times as fast.
    Floods,
    /// Sends as much as one should, with times that jump by half a minute and more.
    Lies,
}

/// Somebody who speaks in the room. Dropping it hangs up without a word.
pub(crate) struct Publisher {
    http: Http,
    session: String,
    start: Instant,
    manner: Arc<AtomicU8>,
    _work: [AbortOnDropHandle<()>; 2],
}

impl Publisher {
    /// Joins as `name` and says what `sound` gives for every 20 ms, counted from 0.
    pub(crate) async fn join(
        janus: &Janus,
        name: &str,
        sound: impl Fn(u64) -> Vec<StereoSample> + Send + 'static,
    ) -> Self {
        Self::join_with(janus, name, PublishFormat { channels: 2, bitrate: 64_000, dtx: false, camera: false }, sound)
            .await
    }

    /// Joins with one microphone, as people do.
    pub(crate) async fn join_in_mono(
        janus: &Janus,
        name: &str,
        sound: impl Fn(u64) -> Vec<StereoSample> + Send + 'static,
    ) -> Self {
        Self::join_with(janus, name, PublishFormat { channels: 1, bitrate: 32_000, dtx: false, camera: false }, sound)
            .await
    }

    async fn join_with(
        janus: &Janus,
        name: &str,
        format: PublishFormat,
        sound: impl Fn(u64) -> Vec<StereoSample> + Send + 'static,
    ) -> Self {
        let http = Http { client: reqwest::Client::new(), api_secret: janus.api_secret.clone() };
        let made = http.post(janus.url.as_str(), json!({"janus": "create"})).await;
        let session = format!("{}/{}", janus.url, made["data"]["id"]);
        let made = http.post(&session, json!({"janus": "attach", "plugin": "janus.plugin.videoroom"})).await;
        let handle = format!("{session}/{}", made["data"]["id"]);
        let join = json!({"request": "join", "ptype": "publisher", "room": 1234, "pin": janus.pin, "display": name});
        http.post(&handle, json!({"janus": "message", "body": join})).await;
        let (sender, mut events) = mpsc::channel(256);
        let publisher = RtcPublisher::new(format, sender).expect("a publisher");
        publisher.play().await.expect("a start");
        let offer = loop {
            if let RtcEvent::Local { sdp, .. } = events.recv().await.expect("an offer") {
                break sdp;
            }
        };
        let body = json!({"request": "publish"});
        http.post(&handle, json!({"janus": "message", "body": body, "jsep": {"type": "offer", "sdp": offer}})).await;
        let answer = eventually_async("an answer", Duration::from_secs(10), || async {
            let said = http.get(&session).await?;
            said["jsep"]["sdp"].as_str().map(str::to_owned)
        })
        .await;
        publisher.accept(&answer).expect("an answer");
        let start = Instant::now();
        let manner = Arc::new(AtomicU8::new(Manner::Speaks as u8));
        let now = manner.clone();
        let work = async move {
            // Ahead of what it should say, in blocks.
            let mut ahead = 0;
            for block in 0_u64.. {
                tokio::time::sleep_until((start + Duration::from_millis(20 * block)).into()).await;
                let times = match now.load(Ordering::Relaxed) {
                    manner if manner == Manner::Freezes as u8 => 0,
                    manner if manner == Manner::Floods as u8 => 10,
                    manner if manner == Manner::Lies as u8 => {
                        ahead += 1500 * (block % 3);
                        1
                    }
                    _ => 1,
                };
                for more in 0..times {
                    publisher.push(&sound(block), publisher_time(start, block + ahead + more));
                }
                ahead += times.saturating_sub(1);
                while events.try_recv().is_ok() {}
            }
        };
        let (keeper, kept) = (http.clone(), session.clone());
        let keep = async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                keeper.post(&kept, json!({"janus": "keepalive"})).await;
            }
        };
        let _work = [AbortOnDropHandle::new(tokio::spawn(work)), AbortOnDropHandle::new(tokio::spawn(keep))];
        Self { http, session, start, manner, _work }
    }

    /// When it sent its first packet.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// Speaks so from now on.
    pub(crate) fn does(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::Relaxed);
    }

    /// Leaves as one should.
    pub(crate) async fn leave(self) {
        self.http.post(&self.session, json!({"janus": "destroy"})).await;
    }
}

/// Blocks follow each other without a gap, from the moment that the connection stood.
fn publisher_time(_: Instant, block: u64) -> u64 {
    block * 960 + 4800
}

/// Who speaks to a gateway, with the secret that it wants.
#[derive(Clone)]
struct Http {
    client: reqwest::Client,
    api_secret: Option<String>,
}

impl Http {
    async fn post(&self, url: &str, mut body: Value) -> Value {
        body["transaction"] = json!("t");
        if let Some(secret) = &self.api_secret {
            body["apisecret"] = json!(secret);
        }
        self.client.post(url).body(body.to_string()).send().await.expect("an answer").json().await.expect("json")
    }

    async fn get(&self, url: &str) -> Option<Value> {
        let query = self.api_secret.as_ref().map(|secret| format!("?apisecret={secret}")).unwrap_or_default();
        self.client.get(format!("{url}{query}")).send().await.ok()?.json().await.ok()
    }
}

/// What somebody says who says the ruler on one side; the seconds of the other side have other numbers.
pub(crate) fn ruler(side: usize) -> impl Fn(u64) -> Vec<StereoSample> + Send + 'static {
    let seconds: Vec<Vec<f32>> = (0..60).map(|index| spacebridge::ruler::second(index + 100 * side as u32)).collect();
    move |block| {
        let second = &seconds[(block / 50) as usize % seconds.len()];
        let place = (block % 50) as usize * 960;
        let on_side = |value: &f32| {
            let mut sample = [0.0; 2];
            sample[side] = *value;
            sample
        };
        second[place..place + 960].iter().map(on_side).collect()
    }
}
