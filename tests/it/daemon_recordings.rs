//! Recordings over the daemon's door: read, downloaded in pieces, exported, named, kept, deleted; and nothing else of the
//! machine is to be had that way.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use spacebridge::recording::Archive;

use crate::support::daemon::{Daemon, House};
use crate::support::show::{Space, write_secret};
use crate::support::{eventually_async, turn};

/// Records a window of a space; the daemon and its recording.
async fn recorded(house: &House) -> (Daemon, Value) {
    let space = Space::running_for(13).await;
    house.show("night", &space.config());
    for cookie in ["auth_token", "ct0"] {
        write_secret(&house.path("shows").join(cookie), "0123456789abcdef");
    }
    let daemon = house.serve(&[]).await;
    let has_window = |show: &Value| show["status"]["recording"]["segments"].as_u64() >= Some(4);
    daemon.until("night", "has a window", 40, has_window).await;
    let live = daemon.get("/api/v1/recordings").await;
    let path = format!("/api/v1/recordings/{}", live[0]["id"].as_str().expect("an id"));
    assert_eq!(deleted(&daemon, &path, &daemon.operate).await, (409, "being-written".into()), "it is on the air");
    daemon.order("/api/v1/shows/night/end").await;
    daemon.until("night", "recorded", 60, |show| show["standing"] == "off" && show["state"] == "ended").await;
    let all = daemon.get("/api/v1/recordings").await;
    let [one] = &all.as_array().expect("a list")[..] else { panic!("not one recording: {all}") };
    (daemon, one.clone())
}

/// Tries to delete it; the status and the code of the answer.
async fn deleted(daemon: &Daemon, path: &str, token: &str) -> (u16, Value) {
    let answer = daemon.bare(Method::DELETE, path).bearer_auth(token).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default()["code"].clone())
}

/// Asks for two long jobs and cancels both: the one that runs, and the one that waits.
async fn two_are_cancelled(daemon: &Daemon, path: &str, exports: &Path) {
    let before = fs::read_dir(exports).expect("exports").count();
    let mut jobs = Vec::new();
    for _ in 0..2 {
        jobs.push(daemon.post(&format!("{path}/exports"), &json!({"formats": ["mp4"], "loudness": -16})).await.1);
    }
    let path = |job: &Value| format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id"));
    let runs = || async { (daemon.get(&path(&jobs[0])).await["state"] == "running").then_some(()) };
    eventually_async("the first one runs", Duration::from_secs(20), runs).await;
    for job in jobs.iter().rev() {
        let answer = daemon.ask(Method::DELETE, &path(job)).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
    }
    for job in &jobs {
        assert_eq!(job_over(daemon, job).await["state"], "cancelled");
    }
    assert_eq!(fs::read_dir(exports).expect("exports").count(), before, "something half-made is left");
}

async fn job_over(daemon: &Daemon, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().expect("an id"));
    let look = || async {
        let job = daemon.get(&path).await;
        ["done", "failed", "cancelled"].contains(&job["state"].as_str().unwrap_or_default()).then_some(job)
    };
    eventually_async("the job is over", Duration::from_secs(60), look).await
}

fn folder_of(house: &House) -> std::path::PathBuf {
    let below = fs::read_dir(house.path("recordings")).expect("recordings");
    below.filter_map(Result::ok).map(|entry| entry.path()).find(|path| path.is_dir()).expect("an archive")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_read_exported_and_had_in_pieces_equal_to_the_files_themselves() {
    let _turn = turn().await;
    let house = House::new();
    let (daemon, listed) = recorded(&house).await;
    let path = format!("/api/v1/recordings/{}", listed["id"].as_str().expect("an id"));
    assert_eq!(
        (&listed["show"], &listed["state"], &listed["kept"]),
        (&"night".into(), &"finished".into(), &false.into())
    );
    let root = house.path("").display().to_string();
    let detail = daemon.get(&path).await;
    let drawn = daemon.get(&format!("{path}/timeline")).await;
    assert!(drawn["seconds"].as_f64().is_some_and(|seconds| seconds > 5.0), "{drawn}");
    assert!(
        !format!("{listed}{detail}{drawn}").contains(root.trim_end_matches('/')),
        "a path of the machine: {detail}"
    );

    let order = json!({"formats": ["mp3", "chapters"], "title": "--force"});
    let (status, job) = daemon.post(&format!("{path}/exports"), &order).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let job = job_over(&daemon, &job).await;
    assert_eq!((&job["state"], &job["progress"]), (&"done".into(), &1.0.into()), "{job}");
    let detail = daemon.get(&path).await;
    let files = detail["files"].as_array().expect("files");
    let mp3 = files.iter().find(|file| file["media_type"] == "audio/mpeg").unwrap_or_else(|| panic!("{detail}"));
    let name = mp3["name"].as_str().expect("a name");
    let on_disk = fs::read(folder_of(&house).join("export").join(name)).expect("the export");
    let ask = |range: &'static str| {
        daemon.ask(Method::GET, &format!("{path}/files/{name}")).header(header::RANGE, range).send()
    };
    let whole = daemon.ask(Method::GET, &format!("{path}/files/{name}")).send().await.expect("an answer");
    assert_eq!(whole.headers()[header::ACCEPT_RANGES], "bytes");
    let (tag, length) = (whole.headers()[header::ETAG].clone(), on_disk.len().to_string());
    assert_eq!(whole.bytes().await.expect("bytes"), on_disk);
    let piece = ask("bytes=100-299").await.expect("an answer");
    assert_eq!(piece.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(piece.headers()[header::CONTENT_RANGE], format!("bytes 100-299/{}", on_disk.len()));
    assert_eq!(piece.bytes().await.expect("bytes"), on_disk[100..300]);
    for (tag, status) in [(tag.to_str().expect("a tag"), 206), ("\"another\"", 200)] {
        let ask = daemon.ask(Method::GET, &format!("{path}/files/{name}")).header(header::RANGE, "bytes=0-9");
        let answer = ask.header(header::IF_RANGE, tag).send().await.expect("an answer");
        assert_eq!(answer.status(), status, "a piece of the file of {tag}");
    }
    let head = daemon.ask(Method::HEAD, &format!("{path}/files/{name}")).send().await.expect("an answer");
    assert_eq!(
        (head.status(), &head.headers()[header::CONTENT_LENGTH]),
        (StatusCode::OK, &length.parse().expect("a value"))
    );
    assert!(head.bytes().await.expect("no bytes").is_empty());
    assert_eq!(ask("bytes=99999999-").await.expect("an answer").status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let waveform = daemon.get(&format!("{path}/waveform?points=50")).await;
    let peaks = waveform["peaks"].as_array().expect("peaks");
    assert!(peaks.len() == 50 && peaks.iter().any(|peak| peak.as_f64() > Some(0.01)), "{waveform}");
    two_are_cancelled(&daemon, &path, &folder_of(&house).join("export")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_listed_files_is_had_and_what_is_kept_or_looked_at_is_not_deleted() {
    let _turn = turn().await;
    let house = House::new();
    let (daemon, listed) = recorded(&house).await;
    let path = format!("/api/v1/recordings/{}", listed["id"].as_str().expect("an id"));
    let archive = folder_of(&house);
    std::os::unix::fs::symlink("/etc", archive.join("export")).expect("a link");
    for name in
        ["journal.jsonl", "..", "%2e%2e", "..%2fjournal.jsonl", "export", "a%00b", "segments", "%2Fetc%2Fpasswd"]
    {
        let answer = daemon.ask(Method::GET, &format!("{path}/files/{name}")).send().await.expect("an answer");
        assert!(answer.status().is_client_error(), "{name}: {}", answer.status());
        assert!(!answer.text().await.expect("a text").contains("root:"), "{name}");
    }
    fs::remove_file(archive.join("export")).expect("the link goes");
    for id in ["0000", "..", "%2e%2e", "x".repeat(3000).as_str()] {
        let answer = daemon.ask(Method::GET, &format!("/api/v1/recordings/{id}/timeline")).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::NOT_FOUND, "{id}");
    }
    let delete = async |token: &str| deleted(&daemon, &path, token).await;
    assert_eq!(delete(&daemon.view).await, (403, "forbidden".into()));
    let (status, said) = daemon.post(&format!("{path}/keep"), &json!({"keep": true})).await;
    assert_eq!((status, &said["kept"]), (StatusCode::OK, &true.into()), "{said}");
    let (status, said) = daemon.post(&format!("{path}/marks"), &json!({"title": "Climate", "seconds": 2.5})).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
    assert_eq!(delete(&daemon.operate).await, (409, "kept".into()));
    let read = |folder: &Path| Archive::read(folder).expect("an archive");
    assert_eq!((read(&archive).keep, read(&archive).sessions[0].marks[0].media_time), (true, 120_000));
    daemon.post(&format!("{path}/keep"), &json!({"keep": false})).await;
    assert_eq!(delete(&daemon.operate).await.0, 204);
    assert!(!archive.exists());
    assert_eq!(delete(&daemon.operate).await, (404, "no-recording".into()));
}
