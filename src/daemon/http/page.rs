//! The dashboard's page: files that are part of the program. They tell nothing of any show, so that whoever has no token
//! sees where to give one.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::Door;

/// What the page may do: run and look as its own files say, and speak to its own daemon.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    tag: String,
}

macro_rules! files {
    ($($path:expr, $kind:expr, $file:literal;)*) => {
        vec![$(File {
            path: $path,
            kind: $kind,
            bytes: include_bytes!(concat!("../../../web/", $file)),
            tag: tag(include_bytes!(concat!("../../../web/", $file))),
        }),*]
    };
}

macro_rules! modules {
    ($($file:literal),* $(,)?) => {
        files![$(concat!("/web/", $file), "text/javascript; charset=utf-8", $file;)*]
    };
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let mut files = files![
        "/", "text/html; charset=utf-8", "index.html";
        "/web/style.css", "text/css; charset=utf-8", "style.css";
        "/web/icon.svg", "image/svg+xml", "icon.svg";
    ];
    files.extend(modules![
        "app.js",
        "api.js",
        "dom.js",
        "store.js",
        "words.js",
        "ask.js",
        "meter.js",
        "player.js",
        "timeline.js",
        "pages/signin.js",
        "pages/shows.js",
        "pages/sources.js",
        "pages/begins.js",
        "pages/create.js",
        "pages/show.js",
        "pages/outputs.js",
        "pages/desk.js",
        "pages/recordings.js",
        "pages/recording.js",
    ]);
    files
});

fn tag(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let letters: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{letters}\"")
}

fn answer(file: &'static File, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    let facts = [
        (header::ETAG, HeaderValue::from_str(&file.tag).expect("letters and digits")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == file.tag) {
        return (StatusCode::NOT_MODIFIED, facts).into_response();
    }
    (facts, [(header::CONTENT_TYPE, file.kind)], file.bytes).into_response()
}

/// Whether a path is a file of the page.
pub(super) fn is_page(path: &str) -> bool {
    FILES.iter().any(|file| file.path == path)
}

/// The page's files.
pub(super) fn routes() -> Router<Door> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.path, get(async move |headers: HeaderMap| answer(file, &headers)))
    })
}
