//! The readable page of the document: three small files from the binary, drawn in the browser. It tells nothing of any show.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use super::Door;

/// The page and what it needs: path, type, text.
const FILES: [(&str, &str, &str); 3] = [
    ("/docs", "text/html; charset=utf-8", include_str!("../../../web/reference.html")),
    ("/docs/reference.css", "text/css; charset=utf-8", include_str!("../../../web/reference.css")),
    ("/docs/reference.js", "text/javascript; charset=utf-8", include_str!("../../../web/reference.js")),
];

/// Whether the page or something that it needs is asked for.
pub(super) fn is_part(path: &str) -> bool {
    FILES.iter().any(|(known, ..)| *known == path)
}

/// The page's own routes. They are for people, and in no document.
pub(super) fn routes() -> Router<Door> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, text)| {
        router.route(path, get(async move || ([(header::CONTENT_TYPE, kind)], text).into_response()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_loads_nothing_from_elsewhere_and_writes_no_markup() {
        let all: String = FILES.iter().map(|(_, _, text)| *text).collect();
        assert!(all.len() < 20_000, "{}", all.len());
        for refused in ["http://", "https://", "innerHTML", "insertAdjacentHTML", "document.write", "style=", "onclick"]
        {
            assert!(!all.contains(refused), "{refused}");
        }
    }
}
