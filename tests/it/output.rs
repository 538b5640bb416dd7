//! Outputs against real servers: whatever happens to one ingest, the others keep time and the fault is told.

use std::time::{Duration, Instant};

use spacebridge::alert::Level;
use spacebridge::gst::tls::trust_also;
use spacebridge::output::OutputGroup;
use spacebridge::status::OutputState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::media::{Tracks, assert_decodes};
use crate::support::nginx::Nginx;
use crate::support::outputs::{SECONDS_OF_BYTES, Show, codes, until, until_live};
use crate::support::process::Process;
use crate::support::tls::{Authority, Tunnel};
use crate::support::{eventually, free_port, turn};

/// Fails unless `part` begins later than `whole`, on the grid, with the same bytes at the same times.
fn assert_same_from(whole: &Tracks, part: &Tracks) {
    let start = part.video[0].at_ms;
    assert!(start >= 2000 && start % 2000 == 0, "it begins at {start} ms");
    part.assert_continuous_from(start);
    for (all, some) in [(&whole.video, &part.video), (&whole.audio, &part.audio)] {
        let offset = all.iter().position(|packet| packet.at_ms == some[0].at_ms).expect("the same time");
        let length = some.len().min(all.len() - offset) - 1;
        assert!(length > 45, "too short to compare: {length} packets");
        assert!(all[offset..offset + length] == some[..length], "other bytes at the same time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn output_killed_others_keep_time() {
    let _turn = turn().await;
    let (mut victim, healthy) = (Nginx::start("live").await, Nginx::start("live").await);
    let show = Show::start();
    let (a, b) = (show.output("a", &victim.url(), None), show.output("b", &healthy.url(), None));
    until_live(&a).await;
    until_live(&b).await;
    victim.grows(2 * SECONDS_OF_BYTES).await;
    victim.kill();
    let status = until(&a, "the death is told", 5, |status| status.failures > 0).await;
    assert!(status.last_error.is_some_and(|error| error.contains("closed the connection")));
    healthy.grows(2 * SECONDS_OF_BYTES).await;
    let step = a.status().borrow().retry_in_seconds.unwrap_or(0) + 1;
    victim.up(None).await;
    let returned = Instant::now();
    until(&a, "it is live again", 20, |status| status.connections == 2 && status.state == OutputState::Live).await;
    let back = returned.elapsed();
    assert!(
        back <= Duration::from_secs(4 + step),
        "back on the air {back:?} after the ingest, with a step of {step} s"
    );
    victim.grows(3 * SECONDS_OF_BYTES).await;
    let told = show.end().await;
    assert_eq!(codes(&told, "output b"), ["output.live"]);
    let [recording] = &healthy.recordings()[..] else { panic!("{:?}", healthy.recordings()) };
    Tracks::of(recording).assert_continuous_from(0);
    assert_decodes(recording);
    let again = victim.recordings();
    assert_eq!(again.len(), 2);
    Tracks::of(&again[1]).assert_continuous_from(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_key_is_told_and_retried_slowly() {
    let _turn = turn().await;
    let judge = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://127.0.0.1:{}/", judge.local_addr().expect("an address").port());
    let refusal = tokio::spawn(async move {
        loop {
            let (mut stream, _) = judge.accept().await.expect("a connection");
            let read = stream.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            if read.is_ok() && stream.write_all(answer).await.is_err() {
                break;
            }
        }
    });
    let (nginx, healthy) = (Nginx::start_asking("live", &url).await, Nginx::start("live").await);
    let show = Show::start();
    let (wrong, right) = (show.output("wrong", &nginx.url(), None), show.output("right", &healthy.url(), None));
    let status = until(&wrong, "the third refusal", 20, |status| status.failures >= 3).await;
    assert_eq!((status.connections, status.state), (0, OutputState::Backoff));
    assert_eq!((status.fault.as_deref(), status.budget.used), (Some("output.rejected"), 0), "a refusal costs nothing");
    assert!(status.retry_in_seconds.is_some_and(|seconds| seconds >= 2), "{:?}", status.retry_in_seconds);
    let error = status.last_error.expect("an error");
    assert!(error.contains("rejected key") && error.contains("key of output wrong"), "{error}");
    until_live(&right).await;
    let told = show.end().await;
    assert_eq!(codes(&told, "output wrong"), ["output.rejected"], "told once, not with every attempt");
    let loud = told.iter().find(|event| event.code == "output.rejected").map(|event| event.level);
    assert_eq!(loud, Some(Level::Error));
    refusal.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_join_starts_with_audio_and_video_at_zero() {
    let _turn = turn().await;
    let (early, late) = (Nginx::start("live").await, Nginx::start("live").await);
    let show = Show::start();
    until_live(&show.output("early", &early.url(), None)).await;
    early.grows(2 * SECONDS_OF_BYTES).await;
    let output = show.output("late", &late.url(), None);
    until_live(&output).await;
    late.grows(3 * SECONDS_OF_BYTES).await;
    until(&output, "its rate is right", 10, |status| (2800..3600).contains(&status.kbps)).await;
    show.end().await;
    for nginx in [&early, &late] {
        let [recording] = &nginx.recordings()[..] else { panic!("{:?}", nginx.recordings()) };
        Tracks::of(recording).assert_continuous_from(0);
        assert_decodes(recording);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn primary_and_backup_carry_identical_bytes() {
    let _turn = turn().await;
    let (primary, backup) = (Nginx::start("live2").await, Nginx::start("live2").await);
    let show = Show::start();
    let group = OutputGroup::new();
    let urls = [
        format!("rtmp://127.0.0.1:{}/live2", primary.port),
        format!("rtmp://127.0.0.1:{}/live2?backup=1", backup.port),
    ];
    let a = show.output("primary", &urls[0], Some(group.clone()));
    let b = show.output("backup", &urls[1], Some(group));
    until_live(&a).await;
    until_live(&b).await;
    backup.grows(3 * SECONDS_OF_BYTES).await;
    assert!(b.restart().await);
    until(&b, "it is back", 10, |status| status.connections == 2 && status.state == OutputState::Live).await;
    backup.grows(3 * SECONDS_OF_BYTES).await;
    show.end().await;
    let whole = Tracks::of(&primary.recordings()[0]);
    whole.assert_continuous_from(0);
    let parts: Vec<_> = backup.recordings().iter().map(|path| Tracks::of(path)).collect();
    assert_eq!(parts.len(), 2);
    for (all, first) in [(&whole.video, &parts[0].video), (&whole.audio, &parts[0].audio)] {
        assert!(first.len() > 60 && all.starts_with(first), "the first connection differs from the primary");
    }
    assert_same_from(&whole, &parts[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_comes_later_keeps_the_primarys_zero() {
    let _turn = turn().await;
    let primary = Nginx::start("live").await;
    let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
    let url = format!("rtmp://127.0.0.1:{port}/live");
    let read = ["-v", "error", "-listen", "1", "-f", "flv", "-i", &url, "-c", "copy", "-copyts", "late.mkv"];
    let mut reader = Process::start("ffmpeg", &read, folder.path());
    let show = Show::start();
    let group = OutputGroup::new();
    until_live(&show.output("primary", &primary.url(), Some(group.clone()))).await;
    primary.grows(2 * SECONDS_OF_BYTES).await;
    let late = show.output("late", &url, Some(group));
    until(&late, "megabytes went out", 20, |status| status.bytes_out > 4 * SECONDS_OF_BYTES).await;
    show.end().await;
    eventually("the reader ends", Duration::from_secs(10), || (!reader.is_running()).then_some(())).await;
    let (whole, part) = (Tracks::of(&primary.recordings()[0]), Tracks::of(&folder.path().join("late.mkv")));
    assert_same_from(&whole, &part);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_down_at_start_is_reached_when_it_comes() {
    let _turn = turn().await;
    let mut nginx = Nginx::down("live");
    let show = Show::start();
    let output = show.output("a", &nginx.url(), None);
    let status = until(&output, "the second refusal", 10, |status| status.failures >= 2).await;
    assert!(status.last_error.is_some_and(|error| error.contains("Nothing listens")));
    nginx.up(None).await;
    until_live(&output).await;
    nginx.grows(2 * SECONDS_OF_BYTES).await;
    let told = show.end().await;
    assert_eq!(codes(&told, "output a"), ["output.refused", "output.live"]);
    Tracks::of(&nginx.recordings()[0]).assert_continuous_from(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_an_address_is_told_by_its_name() {
    let _turn = turn().await;
    let show = Show::start();
    let output = show.output("a", "rtmp://ingest.invalid/live", None);
    let status = until(&output, "the fault is told", 30, |status| status.failures > 0).await;
    assert!(status.last_error.is_some_and(|error| error.contains("ingest.invalid") && error.contains("no address")));
    assert_eq!(codes(&show.end().await, "output a"), ["output.unresolved"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtmps_with_trusted_ca_publishes() {
    let _turn = turn().await;
    let (authority, nginx) = (Authority::new(), Nginx::start("live").await);
    let tunnel = Tunnel::start(&authority, nginx.port).await;
    trust_also(&authority.file()).expect("trust");
    let show = Show::start();
    for host in ["localhost", "127.0.0.1"] {
        let output = show.output(host, &format!("rtmps://{host}:{}/live", tunnel.port), None);
        until_live(&output).await;
        nginx.grows(2 * SECONDS_OF_BYTES).await;
        assert!(output.stop().await);
        until(&output, "it has stopped", 10, |status| status.state == OutputState::Stopped).await;
    }
    show.end().await;
    let recordings = nginx.recordings();
    assert_eq!(recordings.len(), 2);
    for recording in &recordings {
        Tracks::of(recording).assert_continuous_from(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtmps_with_unknown_ca_fails_closed() {
    let _turn = turn().await;
    let (authority, nginx) = (Authority::new(), Nginx::start("live").await);
    let tunnel = Tunnel::start(&authority, nginx.port).await;
    let show = Show::start();
    let unknown = show.output("unknown", &format!("rtmps://localhost:{}/live", tunnel.port), None);
    let plain = show.output("plain", &format!("rtmps://localhost:{}/live", nginx.port), None);
    let status = until(&unknown, "the certificate is told", 20, |status| status.failures > 0).await;
    let error = status.last_error.expect("an error");
    assert!(error.contains("not trusted") && error.contains("SPACEBRIDGE_CA_FILE"), "{error}");
    let status = until(&plain, "a server without TLS is told", 20, |status| status.failures > 0).await;
    assert_eq!(status.connections, 0);
    let told = show.end().await;
    assert_eq!(codes(&told, "output unknown"), ["output.certificate"]);
    assert_eq!(codes(&told, "output plain"), ["output.unreachable"]);
    assert_eq!(nginx.recordings().len(), 0, "nothing may arrive");
}
