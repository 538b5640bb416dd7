//! The OpenAPI document: what the code says of itself, and what holds for every operation alike.

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::COOKIE;

#[derive(OpenApi)]
#[openapi(
    info(title = "spacebridge", description = "Shows of a spacebridge daemon: see, make, start, steer and end them."),
    modifiers(&Doors),
    security(("token" = []), ("session" = [])),
    components(schemas(crate::daemon::hub::ShowEvent, crate::bridge::protocol::OutputAction))
)]
pub(super) struct Document;

/// The two ways in.
struct Doors;

impl utoipa::Modify for Doors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        components.add_security_scheme("token", bearer);
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(COOKIE)));
        components.add_security_scheme("session", cookie);
    }
}

/// What the guard may answer in a handler's place, with whether it may where no token is needed.
const GUARDED: [(&str, &str, bool); 7] = [
    ("400", "The request cannot be understood.", true),
    ("401", "No token or session, or a wrong one.", false),
    ("403", "The role may not, or another page asks.", true),
    ("404", "There is nothing of this name.", true),
    ("408", "The request took too long.", true),
    ("421", "The daemon has another name.", true),
    ("429", "Too many wrong tokens: wait.", false),
];

/// What an operation that takes a body may answer besides.
const BODIES: [(&str, &str); 2] = [("413", "The body is too large."), ("415", "The body has another form.")];

/// The document with what is the same for every operation: names that no other one has, and the answers of the guard.
pub(super) fn finished(document: &utoipa::openapi::OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return document };
    for (path, item) in paths.iter_mut() {
        let methods = item.as_object_mut().into_iter().flatten();
        for (method, operation) in methods.filter(|(method, _)| METHODS.contains(&method.as_str())) {
            let Some(operation) = operation.as_object_mut() else { continue };
            operation.insert("operationId".to_owned(), id_of(method, path).into());
            let open = operation.get("security").is_some_and(|security| *security == json!([{}]));
            let takes = operation.contains_key("requestBody");
            if let Some(answers) = operation.get_mut("responses").and_then(Value::as_object_mut) {
                finish(answers, open, takes);
            }
        }
    }
    document
}

const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

/// Such as `postShowsShowStart`.
fn id_of(method: &str, path: &str) -> String {
    let words = path.trim_start_matches("/api/v1").split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).fold(method.to_owned(), |mut id, word| {
        let (first, rest) = word.split_at(1);
        id.push_str(&first.to_ascii_uppercase());
        id.push_str(rest);
        id
    })
}

fn finish(answers: &mut Map<String, Value>, open: bool, takes: bool) {
    let problem = || json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
    for (status, answer) in answers.iter_mut() {
        // Errors have a type of their own.
        if status.starts_with(['4', '5']) && answer.get("content").is_some() {
            answer["content"] = problem();
        }
    }
    let guarded = GUARDED.iter().filter(|(.., always)| *always || !open).map(|(status, words, _)| (status, words));
    let bodies = BODIES.iter().filter(|_| takes).map(|(status, words)| (status, words));
    for (status, words) in guarded.chain(bodies) {
        answers.entry(*status).or_insert_with(|| json!({"description": words, "content": problem()}));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_route_is_made_past_the_document_but_itself_and_its_page() {
        let mut outside = Vec::new();
        let mut folders = vec![std::path::PathBuf::from("src/daemon")];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let program = text.split("#[cfg(test)]").next().unwrap_or_default();
                let routes = program.matches(".route(").count() + program.matches(".nest(").count();
                outside.extend((0..routes).map(|_| path.file_name().unwrap().to_string_lossy().into_owned()));
            }
        }
        outside.sort();
        // The page of shows, where it is served, is one of its kind.
        outside.retain(|file| file != "page.rs" && !file.ends_with("_tests.rs"));
        assert_eq!(outside, ["mod.rs", "reference.rs"]);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_words_and_the_errors_of_the_door() {
        let document: Value = serde_json::from_str(&super::super::document().unwrap()).unwrap();
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(ids.insert(id), "{method} {path}: its name is another's");
                assert!(operation["summary"].as_str().is_some_and(|words| !words.is_empty()), "{method} {path}");
                // What a query holds is none of the path's, which is what the derived description says if nobody says more.
                let declared = operation["parameters"].as_array().into_iter().flatten();
                let declared =
                    declared.filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap().to_owned());
                let places =
                    path.split('/').filter_map(|part| Some(part.strip_prefix('{')?.strip_suffix('}')?.to_owned()));
                assert_eq!(declared.collect::<BTreeSet<_>>(), places.collect::<BTreeSet<_>>(), "{method} {path}");
                let answers = operation["responses"].as_object().unwrap();
                assert!(answers.contains_key("421") && answers.keys().any(|status| status.starts_with('2')));
                for (status, answer) in answers.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
                    assert!(answer["content"].get("application/problem+json").is_some(), "{method} {path} {status}");
                }
            }
        }
        assert!(ids.contains("postShowsShowStart"), "{ids:?}");
    }
}
