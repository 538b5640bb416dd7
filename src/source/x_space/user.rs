//! Which account a handle names: `UserByScreenName`, as twscrape asks it (`twscrape/api.py`, `user_by_login_raw`).

use serde_json::{Value, json};

use super::api::{FEATURE_ROUNDS, XApi};
use super::error::ApiError;
use super::metadata::{self, GraphqlAnswer};

/// Longest handle; X allows 15 characters, and has some older ones of 20.
const HANDLE_MAX: usize = 20;

/// A handle without its `@`, if `text` can be one.
pub fn handle(text: &str) -> Option<&str> {
    let name = text.trim().trim_start_matches('@');
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    ((1..=HANDLE_MAX).contains(&name.len()) && name.bytes().all(fits)).then_some(name)
}

impl XApi {
    /// The user id behind a handle.
    ///
    /// # Errors
    /// [`ApiError`], with what to do.
    pub async fn user_id(&self, handle: &str) -> Result<String, ApiError> {
        let mut rounds = 0;
        loop {
            let mut url = self.url(&["graphql", &self.config.user_by_screen_name, "UserByScreenName"])?;
            let variables = json!({"screen_name": handle, "withSafetyModeUserFields": true});
            url.query_pairs_mut()
                .append_pair("variables", &variables.to_string())
                .append_pair("features", &self.features().to_string());
            let answer = self.call(url).await?;
            if answer.status == 404 {
                return Err(ApiError::StaleUserQuery);
            }
            match read(&answer.body) {
                Answer::User(id) => return Ok(id),
                Answer::Other(GraphqlAnswer::MissingFeatures(names))
                    if rounds < FEATURE_ROUNDS && self.demand(&names) =>
                {
                    rounds += 1;
                }
                Answer::Other(GraphqlAnswer::Errors(words)) => return Err(ApiError::Refused(words)),
                Answer::Other(GraphqlAnswer::Unreadable) => return Err(ApiError::NotJson(answer.status)),
                Answer::Other(GraphqlAnswer::MissingFeatures(_)) => return Err(ApiError::StaleUserQuery),
                Answer::Other(_) => return Err(ApiError::NoUser),
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Answer {
    User(String),
    Other(GraphqlAnswer),
}

fn read(body: &[u8]) -> Answer {
    let answer = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let id = answer.pointer("/data/user/result/rest_id").and_then(Value::as_str);
    match id.filter(|id| (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())) {
        Some(id) => Answer::User(id.to_owned()),
        None => Answer::Other(metadata::graphql(body)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_number_is_believed_to_be_a_user() {
        let user = |id: &str| format!(r#"{{"data":{{"user":{{"result":{{"rest_id":{id}}}}}}}}}"#);
        assert_eq!(read(user(r#""12345""#).as_bytes()), Answer::User("12345".to_owned()));
        for body in [user(r#""1&x=2""#), user("12"), user(r#""""#), r#"{"data":{}}"#.to_owned(), "[]".to_owned()] {
            assert_eq!(read(body.as_bytes()), Answer::Other(GraphqlAnswer::Empty), "{body}");
        }
        assert_eq!(read(b"<html>"), Answer::Other(GraphqlAnswer::Unreadable));
    }

    #[test]
    fn a_handle_is_read_with_its_sign_and_without_and_nothing_else_is_one() {
        assert_eq!((handle(" @Some_Host1"), handle("host")), (Some("Some_Host1"), Some("host")));
        for text in ["", "@", "a b", "a/b", "ä", "x".repeat(21).as_str()] {
            assert_eq!(handle(text), None, "{text}");
        }
    }
}
