//! Error answers, `application/problem+json` of RFC 9457. Every code is documented in docs/api.md.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::bridge::client::ClientError;
use crate::config;
use crate::daemon::Refusal;
use crate::daemon::paths::without_paths;
use crate::daemon::rehearsals::RehearsalRefusal;
use crate::daemon::roster::RosterError;
use crate::daemon::schedules::ScheduleError;
use crate::daemon::watches::WatchError;

/// One fault of a configuration.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(super) struct Fault {
    /// Path of the key, such as `output[1].url`; lists count from 1.
    key: String,
    /// Line in the file, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// What is wrong.
    message: String,
    /// What to write instead.
    remedy: String,
}

impl From<&config::Problem> for Fault {
    fn from(problem: &config::Problem) -> Self {
        let clean = |text: &str| without_paths(text).into_owned();
        Self {
            key: clean(&problem.key),
            line: problem.line,
            message: clean(&problem.message),
            remedy: clean(&problem.remedy),
        }
    }
}

/// An error answer.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(super) struct Problem {
    /// `urn:spacebridge:CODE`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: Box<str>,
    /// A stable name for programs.
    pub(super) code: &'static str,
    /// What is wrong in general.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time, and what to do.
    #[schema(value_type = String)]
    detail: Box<str>,
    /// What is wrong with a configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
    /// Seconds after which trying again makes sense.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// What a handler gives.
pub(super) type Answer<T> = Result<T, Problem>;

/// Every code with its status and its title.
const CODES: &[(&str, StatusCode, &str)] = &[
    ("bad-request", StatusCode::BAD_REQUEST, "The request cannot be understood."),
    ("unauthorized", StatusCode::UNAUTHORIZED, "Say who you are."),
    ("forbidden", StatusCode::FORBIDDEN, "This role may only look."),
    ("foreign-origin", StatusCode::FORBIDDEN, "The request comes from another page."),
    ("wrong-host", StatusCode::MISDIRECTED_REQUEST, "This daemon has another name."),
    ("no-route", StatusCode::NOT_FOUND, "There is nothing here."),
    ("no-show", StatusCode::NOT_FOUND, "There is no show of this name."),
    ("no-schedule", StatusCode::NOT_FOUND, "The show has no schedule."),
    ("no-watch", StatusCode::NOT_FOUND, "There is no watch of this name."),
    ("no-rehearsal", StatusCode::NOT_FOUND, "There is no rehearsal of this id."),
    ("no-output", StatusCode::NOT_FOUND, "The show has no output of this name."),
    ("no-webhook", StatusCode::NOT_FOUND, "There is no webhook of this name."),
    ("no-recording", StatusCode::NOT_FOUND, "There is no such recording."),
    ("no-file", StatusCode::NOT_FOUND, "The recording has no file of this name."),
    ("no-job", StatusCode::NOT_FOUND, "There is no job of this id."),
    ("wrong-method", StatusCode::METHOD_NOT_ALLOWED, "Not by this method."),
    ("timeout", StatusCode::REQUEST_TIMEOUT, "The request took too long."),
    ("show-exists", StatusCode::CONFLICT, "There is a show of this name."),
    ("on-the-air", StatusCode::CONFLICT, "The show is on the air."),
    ("off-the-air", StatusCode::CONFLICT, "The show is not on the air."),
    ("not-ours", StatusCode::CONFLICT, "The show belongs to a file of the operator's."),
    ("refused", StatusCode::CONFLICT, "The show cannot do this now."),
    ("kept", StatusCode::CONFLICT, "The recording is kept."),
    ("being-written", StatusCode::CONFLICT, "The recording is being written."),
    ("no-range", StatusCode::RANGE_NOT_SATISFIABLE, "The file has no such bytes."),
    ("too-large", StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
    ("wrong-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not in this form."),
    ("bad-schedule", StatusCode::UNPROCESSABLE_ENTITY, "The schedule is at fault."),
    ("bad-watch", StatusCode::UNPROCESSABLE_ENTITY, "The watch is at fault."),
    ("bad-configuration", StatusCode::UNPROCESSABLE_ENTITY, "The configuration is at fault."),
    ("key-reused", StatusCode::UNPROCESSABLE_ENTITY, "This Idempotency-Key belongs to another request."),
    ("too-many-failures", StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens."),
    ("internal", StatusCode::INTERNAL_SERVER_ERROR, "The daemon failed."),
    ("bridge-broken", StatusCode::BAD_GATEWAY, "The show's bridge gave no usable answer."),
    ("machine-full", StatusCode::SERVICE_UNAVAILABLE, "The machine does not carry one show more."),
    ("overloaded", StatusCode::SERVICE_UNAVAILABLE, "Too many at one time."),
    ("no-room", StatusCode::INSUFFICIENT_STORAGE, "The disk is full."),
    ("bridge-silent", StatusCode::GATEWAY_TIMEOUT, "The show's bridge does not answer."),
];

impl Problem {
    /// The problem of this code, which is one of [`CODES`].
    pub(super) fn new(code: &'static str, detail: impl Into<String>) -> Self {
        let known = CODES.iter().find(|(known, ..)| *known == code);
        let (status, title) =
            known.map_or((StatusCode::INTERNAL_SERVER_ERROR, "The daemon failed."), |known| (known.1, known.2));
        Self {
            kind: format!("urn:spacebridge:{code}").into(),
            code,
            title,
            status: status.as_u16(),
            detail: without_paths(&detail.into()).into(),
            faults: Vec::new(),
            retry_after: None,
        }
    }

    /// The problem that fits a bare status, for answers of the library.
    pub(super) fn of_status(status: StatusCode, detail: impl Into<String>) -> Self {
        let code = match status {
            StatusCode::NOT_FOUND => "no-route",
            StatusCode::METHOD_NOT_ALLOWED => "wrong-method",
            StatusCode::PAYLOAD_TOO_LARGE => "too-large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "wrong-media-type",
            StatusCode::REQUEST_TIMEOUT => "timeout",
            status if status.is_client_error() => "bad-request",
            _ => "internal",
        };
        Self::new(code, detail)
    }

    /// A configuration's faults.
    pub(super) fn faulty(faults: &[config::Problem]) -> Self {
        let words: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Self { faults: faults.iter().map(Fault::from).collect(), ..Self::new("bad-configuration", words.join(" ")) }
    }

    /// Trying again makes sense after so many seconds.
    pub(super) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut answer = (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self)).into_response();
        if let Some(seconds) = retry_after {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match &refusal {
            Refusal::OnTheAir(_) => Self::new("on-the-air", refusal.to_string()),
            Refusal::OffTheAir => Self::new("off-the-air", "Start it first."),
            Refusal::Faulty(faults) => Self::faulty(faults),
            Refusal::MachineFull(_) => Self::new("machine-full", refusal.to_string()),
            Refusal::Failed(_) => Self::new("refused", refusal.to_string()),
        }
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        let code = match error {
            ScheduleError::Bad(_) => "bad-schedule",
            ScheduleError::Full => "overloaded",
            ScheduleError::Io(_) => "internal",
        };
        Self::new(code, format!("{error}."))
    }
}

impl From<WatchError> for Problem {
    fn from(error: WatchError) -> Self {
        let code = match error {
            WatchError::Bad(_) => "bad-watch",
            WatchError::Full => "overloaded",
            WatchError::Io(_) => "internal",
        };
        Self::new(code, format!("{error}."))
    }
}

impl From<RehearsalRefusal> for Problem {
    fn from(refusal: RehearsalRefusal) -> Self {
        match refusal {
            RehearsalRefusal::Roster(error) => error.into(),
            RehearsalRefusal::Busy(_) => Self::new("refused", format!("{refusal}.")),
            RehearsalRefusal::Unknown => Self::new("bad-request", format!("{refusal}.")),
            RehearsalRefusal::Io(_) => Self::new("internal", format!("{refusal}.")),
        }
    }
}

impl From<RosterError> for Problem {
    fn from(error: RosterError) -> Self {
        let code = match error {
            RosterError::Exists(_) => "show-exists",
            RosterError::Full => "overloaded",
            RosterError::NoRoom => "no-room",
            RosterError::Io(_) => "internal",
        };
        Self::new(code, format!("It was not made: {error}."))
    }
}

impl From<ClientError> for Problem {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::NotOnTheAir { .. } => Self::new("off-the-air", "Start it first."),
            ClientError::Refused(problem) => {
                let code = match problem.kind.strip_prefix("urn:spacebridge:") {
                    Some("no-output") => "no-output",
                    Some("bad-request") => "bad-request",
                    Some("too-large") => "too-large",
                    _ => "refused",
                };
                Self::new(code, problem.detail.clone())
            }
            ClientError::Silent => Self::new("bridge-silent", format!("{error}.")).retry_after(5),
            ClientError::Version { .. } | ClientError::Broken(_) | ClientError::Garbled(_) => {
                Self::new("bridge-broken", format!("{error}."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_in_the_manual_of_the_interface() {
        let manual = std::fs::read_to_string("docs/api.md").expect("the manual");
        for (code, status, _) in CODES {
            let row = format!("| `{code}` | {} |", status.as_u16());
            assert!(manual.contains(&row), "docs/api.md lacks {row}");
        }
    }
}
