//! An alert's webhook: a POST of JSON to the operator's own address, which may be a secret as a whole.

use std::time::Duration;

use jiff::Timestamp;
use url::Url;

use super::carrier::Tried;
use super::payload::Payload;
use super::sign::Signer;
use super::{Undelivered, event_id};
use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::net::{HttpClient, HttpSettings, NetError, Request};
use crate::secret::Secret;

/// Time for one try.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Largest answer that is read; nobody looks at it.
const MAX_ANSWER: usize = 64 << 10;

/// The status of a receiver that wants nothing any more.
const GONE: u16 = 410;

/// Tries of one event.
const TRIES: u32 = 3;

/// Pauses between tries: the server of a chat service that is too busy is well again after seconds.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// One webhook.
#[derive(Debug)]
pub struct Webhook {
    client: HttpClient,
    url: Secret,
    signer: Option<Signer>,
    first_pause: Duration,
}

impl Webhook {
    /// A webhook at the operator's own address, which may be one of this machine.
    pub(super) fn new(url: Url, signer: Option<Signer>) -> Result<Self, Undelivered> {
        let settings = HttpSettings {
            user_agent: concat!("spacebridge/", env!("CARGO_PKG_VERSION")).to_owned(),
            operator_urls: vec![url.clone()],
            ..HttpSettings::default()
        };
        let client = HttpClient::new(settings).map_err(|error| Undelivered(error.to_string()))?;
        Ok(Self { client, url: Secret::new(url), signer, first_pause: FIRST_PAUSE })
    }

    /// Posts the event; tries again where that can help.
    ///
    /// # Errors
    /// [`Undelivered`] when the address did not take it.
    pub(super) async fn post(&self, payload: &Payload<'_>, clock: &Clock) -> Result<(), Undelivered> {
        let id = event_id(payload.show, std::process::id(), payload.event);
        let mut backoff = Backoff::new(self.first_pause, LONGEST_PAUSE);
        loop {
            match self.post_once(payload, &id, clock.wall()).await {
                Tried::Done => return Ok(()),
                Tried::Gone => return Err(Undelivered(answered(GONE))),
                Tried::Never(error) => return Err(Undelivered(error)),
                Tried::Again(error, _) if backoff.attempts() + 1 >= TRIES => return Err(Undelivered(error)),
                Tried::Again(..) => clock.sleep(backoff.next_delay()).await,
            }
        }
    }

    /// Posts the event once; `id` and `at` are what the receiver tells a repeated or an old one by.
    pub(super) async fn post_once(&self, payload: &Payload<'_>, id: &str, at: Timestamp) -> Tried {
        let Ok(url) = Url::parse(self.url.expose()) else {
            return Tried::Never("its address is none".to_owned());
        };
        let (body, second) = (payload.json(), at.as_second());
        let signature = self.signer.as_ref().map(|signer| signer.sign(id, second, &body));
        let request = Request::post_json(url, body.into(), MAX_ANSWER, TIME_LIMIT)
            .header("webhook-id", id)
            .header("webhook-timestamp", second.to_string());
        let request = match signature {
            Some(signature) => request.header("webhook-signature", signature),
            None => request,
        };
        match self.client.send(request).await {
            Ok(answer) => match answer.status {
                200..300 => Tried::Done,
                GONE => Tried::Gone,
                status @ (408 | 425 | 429 | 500..600) => Tried::Again(answered(status), answer.rate.retry_after),
                status => Tried::Never(answered(status)),
            },
            // It took the event and then had more to say than anybody wants to know.
            Err(NetError::TooLarge(_)) => Tried::Done,
            Err(error) => {
                let told = self.url.redact(&error.to_string());
                if error.is_permanent() { Tried::Never(told) } else { Tried::Again(told, None) }
            }
        }
    }
}

fn answered(status: u16) -> String {
    format!("its webhook answered {status}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Bytes;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode};
    use axum::response::{IntoResponse, Response};

    use super::*;
    use crate::alert::{Event, Events};

    type Got = Arc<Mutex<Vec<Bytes>>>;

    fn event() -> Event {
        let events = Events::new(Clock::system());
        events.error("recording.stopped", "recording", "The disk is full.", None);
        events.recent(1).remove(0)
    }

    /// A server that answers with these statuses in turn, the last one for ever.
    async fn server(statuses: &'static [u16]) -> (Url, Got) {
        let got = Got::default();
        let answer = move |State(got): State<Got>, headers: HeaderMap, body: Bytes| async move {
            assert_eq!(headers["content-type"], "application/json");
            assert!(headers.contains_key("webhook-id") && headers.contains_key("webhook-timestamp"));
            let mut got = got.lock().expect("no panic");
            got.push(body);
            let status = statuses[(got.len() - 1).min(statuses.len() - 1)];
            let status = StatusCode::from_u16(status).expect("a status");
            let answer: Response = (status, [("location", "http://127.0.0.1:1/elsewhere")]).into_response();
            answer
        };
        let router = Router::new().fallback(answer).with_state(got.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook/canary?token=canary", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        (Url::parse(&url).expect("a url"), got)
    }

    async fn post(url: Url) -> Result<(), Undelivered> {
        let webhook = Webhook { first_pause: Duration::from_millis(5), ..Webhook::new(url, None).expect("a client") };
        webhook.post(&Payload { show: "night", event: &event(), left_out: 3 }, &Clock::system()).await
    }

    #[tokio::test]
    async fn a_busy_webhook_is_tried_three_times_and_a_refusing_one_once() {
        let table: [(&'static [u16], Option<&str>, usize); 6] = [
            (&[204], None, 1),
            (&[503, 429, 200], None, 3),
            (&[503], Some("its webhook answered 503"), 3),
            (&[404], Some("its webhook answered 404"), 1),
            (&[403], Some("its webhook answered 403"), 1),
            // A redirect could lead anywhere: it is not followed.
            (&[307], Some("its webhook answered 307"), 1),
        ];
        for (statuses, expected, tries) in table {
            let (url, got) = server(statuses).await;
            let answer = post(url).await;
            assert_eq!(answer.err().map(|error| error.to_string()).as_deref(), expected, "{statuses:?}");
            let got = got.lock().expect("no panic").clone();
            assert_eq!(got.len(), tries, "{statuses:?}");
            let value: serde_json::Value = serde_json::from_slice(&got[0]).expect("JSON");
            assert_eq!((&value["code"], &value["left_out"]), (&"recording.stopped".into(), &3.into()));
        }
    }

    #[tokio::test]
    async fn what_is_told_of_a_failing_webhook_holds_nothing_of_its_address() {
        for url in ["http://127.0.0.1:1/hook/canary?token=canary", "http://canary-secret.invalid/canary"] {
            let error = post(Url::parse(url).expect("a url")).await.expect_err("nobody is there").to_string();
            assert!(!error.contains("canary"), "{error}");
        }
        let url = Url::parse("https://hooks.example.com/canary").expect("a url");
        let webhook = Webhook::new(url, None).expect("a client");
        assert!(!format!("{:?}", webhook.url).contains("canary"));
    }
}
