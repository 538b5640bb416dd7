//! How many requests came, how they were answered and how long that took. By the route's template, never by what a client
//! has written: the number of series is bounded by the program.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, String)>;

/// Bounds of the times, in seconds: 20 ms is what the door promises for 99 of 100.
const BOUNDS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.25, 1.0, 5.0];

fn histogram() -> Histogram {
    Histogram::new(BOUNDS)
}

/// The door's requests since the daemon started.
#[derive(Debug, Clone)]
pub(in crate::daemon::http) struct Traffic {
    /// The templates of all routes, plain ones before those with a name in them.
    templates: Vec<String>,
    requests: Family<Labels, Counter>,
    times: Family<Labels, Histogram, fn() -> Histogram>,
}

impl Traffic {
    /// Counts by the routes that a document names.
    pub(in crate::daemon::http) fn of(document: &serde_json::Value) -> Self {
        let paths = document["paths"].as_object();
        let mut templates: Vec<String> = paths.into_iter().flat_map(|paths| paths.keys().cloned()).collect();
        templates.sort_by_key(|template| template.matches('{').count());
        Self { templates, requests: Family::default(), times: Family::new_with_constructor(histogram) }
    }

    /// The template that a path belongs to, or `other`.
    pub(in crate::daemon::http) fn template_of(&self, path: &str) -> String {
        let found = self.templates.iter().find(|template| fits(template, path));
        found.map_or("other", String::as_str).to_owned()
    }

    /// A request was answered, or a stream begun.
    pub(in crate::daemon::http) fn note(&self, route: &str, method: &Method, code: StatusCode, took: Duration) {
        let route = ("route", route.to_owned());
        let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
        let method = known.iter().find(|one| *one == method).map_or("other", Method::as_str);
        let labels = vec![route.clone(), ("method", method.to_owned()), ("code", code.as_str().to_owned())];
        self.requests.get_or_create(&labels).inc();
        self.times.get_or_create(&vec![route]).observe(took.as_secs_f64());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests, by the route's template", self.requests.clone());
        let help = "Time from a request to its answer, or to the begin of a stream";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, self.times.clone());
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_for_its_template_whatever_a_client_writes() {
        let paths = ["/api/v1/shows/{show}", "/api/v1/shows/levels", "/api/v1/shows/{show}/outputs/{output}"];
        let paths: serde_json::Map<_, _> =
            paths.map(|path| (path.to_owned(), serde_json::json!({}))).into_iter().collect();
        let traffic = Traffic::of(&serde_json::json!({"paths": paths}));
        for (path, route) in [
            ("/api/v1/shows/night", "/api/v1/shows/{show}"),
            ("/api/v1/shows/levels", "/api/v1/shows/levels"),
            ("/api/v1/shows/night/outputs/a", "/api/v1/shows/{show}/outputs/{output}"),
            ("/api/v1/shows/night/outputs", "other"),
            ("/etc/passwd", "other"),
            ("*", "other"),
        ] {
            assert_eq!(traffic.template_of(path), route, "{path}");
        }
    }
}
