//! What people are told of a speaker's seat: each fact once, in a sentence, with what to do.

use std::time::Duration;

use super::approval::{Denied, Rules};
use super::service::SeatError;
use crate::source::{Notice, SourceError, SourceFault};

/// A host who did not answer, or took the seat away, is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_secs(600);

/// What an operator can do where the account has no seat.
const ASK_THE_HOST: &str = "Ask the host to let the account speak (it stays muted), or set seat = \"listener\".";

/// The host's answer is awaited.
pub(super) fn waiting(handle: &str, rules: &Rules, asked: u32) -> Notice {
    let message = format!(
        "the host was asked to let @{handle} speak ({asked} of {}), and has {} min to answer; nobody hears anything from \
         this seat",
        rules.tries,
        rules.timeout.as_secs().div_ceil(60)
    );
    Notice::warning(
        "seat.waiting",
        message,
        Some("Ask the host to approve the account among the requests of the Space."),
    )
}

/// The host said yes.
pub(super) fn approved(handle: &str) -> Notice {
    Notice::info("seat.approved", format!("the host lets @{handle} speak; the microphone stays closed"))
}

/// The seat is taken.
pub(super) fn taken(handle: &str) -> Notice {
    Notice::info("seat.taken", format!("@{handle} has a speaker's seat and hears every speaker directly"))
}

/// A seat in a room where nobody speaks.
pub(super) fn empty() -> Notice {
    let message = "nobody is on stage at the media gateway, not even the host: their connection may be broken";
    Notice::warning("seat.empty", message, Some("Ask the host whether they are connected; the seat is kept meanwhile."))
}

/// Why there is no seat: what is told, and what the attempt ends with.
pub(super) fn denied(why: Denied, handle: &str, is_narrow: bool) -> (Notice, SourceError) {
    let circle = if is_narrow { " (the Space is for a narrower circle, such as subscribers)" } else { "" };
    let (code, message, class) = match why {
        Denied::NotAsked => (
            "seat.refused",
            format!("@{handle} has no permission to speak{circle}, and request_to_speak is off"),
            SourceFault::Operator,
        ),
        Denied::Refused => {
            ("seat.refused", format!("the host did not let @{handle} speak{circle}"), SourceFault::Operator)
        }
        Denied::AskedEnough => (
            "seat.refused",
            format!("the host was asked several times and did not let @{handle} speak"),
            SourceFault::Operator,
        ),
        Denied::TimedOut => (
            "seat.timeout",
            format!("the host did not answer in time; the request to let @{handle} speak was taken back"),
            SourceFault::RateLimited(LEFT_ALONE),
        ),
        Denied::Odd => (
            "seat.refused",
            "X says both that everybody may speak and that this account may not".to_owned(),
            SourceFault::Transient,
        ),
    };
    let error = SourceError { message: format!("no speaker's seat: {message}"), class };
    (Notice::error(code, message, Some(ASK_THE_HOST)), error)
}

/// The host took the seat away.
pub(super) fn removed(handle: &str) -> (Notice, SourceError) {
    let message = format!("the host took @{handle} off the stage");
    let class = SourceFault::RateLimited(LEFT_ALONE);
    let error = SourceError { message: format!("the speaker's seat is gone: {message}"), class };
    (Notice::error("seat.removed", message, Some(ASK_THE_HOST)), error)
}

/// The media broke.
pub(super) fn lost(error: &SourceError) -> (Notice, SourceError) {
    let message = format!("the connection of the speaker's seat broke: {}", error.message);
    // The gateway speaks of logins and rooms that are not the operator's to mend: a new seat has new ones.
    let error = SourceError { message: message.clone(), class: SourceFault::Transient };
    let remedy = "A new seat is asked for by itself; the next source of the list is heard meanwhile, if there is one.";
    (Notice::warning("seat.lost", message, Some(remedy)), error)
}

/// A gateway where no secret may go.
pub(super) fn strange_gateway(host: &str) -> (Notice, SourceError) {
    let host = crate::text::plain(host, 100);
    let message = format!("X names a media gateway at {host}, which is none of x.gateway_hosts");
    let remedy = "Add its domain to gateway_hosts in [x] if it is X's own.";
    (Notice::error("seat.refused", message.clone(), Some(remedy)), SourceError::operator(message))
}

/// What a failed call means.
pub(super) fn failed(error: &SeatError, is_narrow: bool) -> (Notice, SourceError) {
    let (class, remedy) = match error {
        SeatError::Refused { call: "audiospace/join", status: 403, .. } if is_narrow => (
            SourceFault::Operator,
            "Use an account that belongs to that circle, such as one that subscribes to the host.",
        ),
        error => class_of(error),
    };
    let circle = if is_narrow { "; the Space is for a narrower circle, such as subscribers" } else { "" };
    let message = format!("no speaker's seat: {error}{circle}");
    let notice = match class {
        SourceFault::Operator | SourceFault::Gone => Notice::error("seat.refused", message.clone(), Some(remedy)),
        _ => Notice::warning("seat.failed", message.clone(), Some(remedy)),
    };
    (notice, SourceError { message, class })
}

fn class_of(error: &SeatError) -> (SourceFault, &'static str) {
    const AGAIN: &str = "It is tried again by itself; the next source of the list is heard meanwhile.";
    match error {
        SeatError::Api(error) => {
            let class = if error.class() == SourceFault::Gone { SourceFault::Operator } else { error.class() };
            (class, "The message says what to do; until then the next source of the list is heard.")
        }
        SeatError::Net(error) if error.is_permanent() => {
            (SourceFault::Operator, "Check login_base, stage_base and gateway_hosts in [x].")
        }
        SeatError::Refused { call: "audiospace/join", status: 403, .. } => (
            SourceFault::Operator,
            "X gives no seat to the host's own account, nor to one that the host blocked: use another account.",
        ),
        SeatError::Refused { call: "loginTwitterToken", status: 403, .. } => {
            (SourceFault::Operator, "Open x.com with the account in a browser and do what X asks; it may be suspended.")
        }
        SeatError::Refused { status: 429, .. } => (SourceFault::RateLimited(LEFT_ALONE), AGAIN),
        SeatError::Refused { status: 400, .. } => (
            SourceFault::RateLimited(LEFT_ALONE),
            "X may have changed the call: look for a newer version, or set seat = \"listener\".",
        ),
        SeatError::Net(_) | SeatError::Refused { .. } | SeatError::Odd(_) => (SourceFault::Transient, AGAIN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::x_space::ApiError;

    #[test]
    fn what_the_operator_alone_can_mend_is_an_error_and_the_rest_comes_again() {
        let refused = |call, status| SeatError::Refused { call, status, said: String::new() };
        for (error, class, code) in [
            (SeatError::Api(ApiError::Suspended), SourceFault::Operator, "seat.refused"),
            (SeatError::Api(ApiError::StaleAuthenticate), SourceFault::Operator, "seat.refused"),
            (SeatError::Api(ApiError::Server(503)), SourceFault::Transient, "seat.failed"),
            (refused("audiospace/join", 403), SourceFault::Operator, "seat.refused"),
            (refused("audiospace/join", 401), SourceFault::Transient, "seat.failed"),
            (refused("audiospace/join", 429), SourceFault::RateLimited(LEFT_ALONE), "seat.failed"),
            (refused("authorizeToken", 400), SourceFault::RateLimited(LEFT_ALONE), "seat.failed"),
            (SeatError::Odd("audiospace/join"), SourceFault::Transient, "seat.failed"),
        ] {
            let (notice, failed) = failed(&error, false);
            assert_eq!((failed.class, notice.code), (class, code), "{error}");
            assert!(notice.remedy.is_some() && !notice.message.contains('\n'), "{notice:?}");
        }
        let (notice, _) = super::failed(&refused("audiospace/join", 403), true);
        assert!(
            notice.message.contains("narrower circle")
                && notice.remedy.is_some_and(|words| words.contains("subscribes"))
        );
    }

    #[test]
    fn a_host_who_did_not_answer_is_left_alone_and_one_who_refused_is_not_asked_again() {
        for (why, permanent) in [
            (Denied::NotAsked, true),
            (Denied::Refused, true),
            (Denied::AskedEnough, true),
            (Denied::TimedOut, false),
            (Denied::Odd, false),
        ] {
            assert_eq!(denied(why, "name", true).1.is_permanent(), permanent, "{why:?}");
        }
        assert!(denied(Denied::Refused, "name", true).0.message.contains("subscribers"));
    }
}
