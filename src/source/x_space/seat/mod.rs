//! A Space heard from a speaker's seat: in the room's own media server, every speaker apart, less than a second behind.
//!
//! [`SpeakerSeat`] finds the Space as the listener does, takes a seat (asking the host where that is needed), and hears
//! the room by the same means as any Janus room. The microphone is never opened: there is no connection that sends, and
//! where the configuration wants one for gateways that demand it, it holds nothing but silence. What is known of X's
//! services comes from a few clients that watched its page; docs/sources.md says what is uncertain. Must not: decide
//! whether to come again (the session does), or hear the playlist (the listener does).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::answer::last_answer;
use self::approval::{Act, Approval, Said};
use self::guest::{Usher, Way};
use self::presence::Presence;
use self::service::Services;
use super::auth::Auth;
use super::chat::{self, ChatFact, StageChange};
use super::error::ApiError;
use super::lookup::{self, Found};
use super::metadata::Metadata;
use super::url::{SpaceAddress, SpaceId};
use super::{Memory, Reporter, XSpaceSource};
use crate::clock::Clock;
use crate::config::XApiConfig;
use crate::source::webrtc::room::WEBRTC_DELAY;
use crate::source::webrtc::zero::Zero;
use crate::source::{Attempt, Notice, Search, Source, SourceContext, SourceEnd, SourceError, SourceEvent};

mod answer;
mod approval;
mod emptiness;
mod guest;
mod looks;
mod people;
mod presence;
mod service;
mod sign_in;
mod silence;
mod visit;
mod words;

pub use approval::Rules;
pub use service::SeatError;

/// How often the way to a seat looks at the time.
const TICK: Duration = Duration::from_millis(500);

/// Leaving takes no longer than this: with the gateway's goodbye or the last answer less than whoever cancels it waits.
const GOODBYE: Duration = Duration::from_millis(1500);

/// A Space, heard from a speaker's seat.
#[derive(Debug)]
pub struct SpeakerSeat {
    /// Knows the Space, and what the platform holds of its past.
    listener: XSpaceSource,
    services: Services,
    rules: Rules,
    /// Requests to speak so far.
    asked: u32,
    /// What people were told already.
    told: BTreeSet<(&'static str, String)>,
    /// Where the stage's media time lies, from one stay to the next.
    zero: Zero,
}

impl SpeakerSeat {
    /// A seat in the Space that somebody pasted as `url`, for the account `auth`.
    ///
    /// # Errors
    /// When `url` is no address of a Space, or there is no account; when the system has no TLS.
    pub fn new(url: &str, config: &XApiConfig, auth: Auth, clock: &Clock, rules: Rules) -> Result<Self, SourceError> {
        if auth == Auth::Guest {
            return Err(SourceError::operator(
                "a speaker's seat needs an account: give auth_token and ct0, or cookies_file, of an account of your own, \
                 or set seat = \"listener\"",
            ));
        }
        Self::beside(XSpaceSource::new(url, config, auth, clock)?, rules)
    }

    /// The seat in the Space that `listener` hears.
    pub(super) fn beside(listener: XSpaceSource, rules: Rules) -> Result<Self, SourceError> {
        if let SpaceAddress::Playlist(_) = &listener.address {
            return Err(SourceError::operator(
                "a playlist has no seats: give the link of the Space, or set seat = \"listener\"",
            ));
        }
        let services = Services::new(&listener.config).map_err(|error| SourceError::operator(error.to_string()))?;
        Ok(Self { listener, services, rules, asked: 0, told: BTreeSet::new(), zero: Zero::default() })
    }

    async fn attempt(&mut self, context: SourceContext) -> Result<SourceEnd, SourceError> {
        let SpaceAddress::Space { id, .. } = self.listener.address.clone() else {
            return Err(SourceError::operator("a playlist has no seats: give the link of the Space"));
        };
        let found = context.token.run_until_cancelled(self.arrive(&context, &id)).await;
        let Some(found) = found.transpose()? else { return Ok(SourceEnd::Cancelled) };
        let Some((metadata, usher)) = found else { return Ok(SourceEnd::SessionEnded) };
        let presence =
            Presence::start(&self.services, &usher.account.cookie, self.listener.api.lifecycle_token()).await;
        let mut stay = Stay { usher, presence, chat: Chat::join(self), held: None, metadata, zero: self.zero.clone() };
        let end = self.sit(&mut stay, &context).await;
        if tokio::time::timeout(GOODBYE, stay.leave()).await.is_err() {
            tracing::debug!("X did not answer to a goodbye.");
        }
        end
    }

    /// Finds the Space and signs in; none where the session is over.
    async fn arrive(
        &mut self,
        context: &SourceContext,
        id: &SpaceId,
    ) -> Result<Option<(Metadata, Usher)>, SourceError> {
        let XSpaceSource { api, config, .. } = &self.listener;
        let session = session_of(id.as_str());
        let resume = context.resume.clone().filter(|resume| resume.session_id == session);
        let mut reporter = Reporter::new(context.clone(), session, resume, Memory::default());
        match lookup::find(api, config, &mut reporter, id).await? {
            Found::Playlist(_) => {}
            Found::Leftovers(_) | Found::Over => return Ok(None),
        }
        let metadata = api.space(id).await?;
        let Some(chat_token) = api.chat_token() else {
            return Err(SourceError::transient("X did not give the token that a speaker's seat is asked for with"));
        };
        let services = self.services.clone();
        match sign_in::sign_in(api, &services).await {
            Ok(account) => Ok(Some((metadata, Usher { services, account, space: id.clone(), chat_token }))),
            Err(error) => Err(self.told(context, words::failed(&error, metadata.is_narrow)).await),
        }
    }

    /// Takes the seat and hears the room from it.
    async fn sit(&mut self, stay: &mut Stay, context: &SourceContext) -> Result<SourceEnd, SourceError> {
        let Some(session) = self.take_seat(stay, context).await? else { return Ok(SourceEnd::Cancelled) };
        let handle = stay.usher.account.handle.clone();
        let way = context.token.run_until_cancelled(stay.usher.negotiate(&session)).await;
        let way = match way {
            None => return Ok(SourceEnd::Cancelled),
            Some(Ok(way)) => way,
            Some(Err(error)) => return Err(self.told(context, words::failed(&error, stay.metadata.is_narrow)).await),
        };
        if !self.may_speak_to(&way.gateway) {
            let host = way.gateway.host_str().unwrap_or_default();
            return Err(self.told(context, words::strange_gateway(host)).await);
        }
        if let Err(error) = stay.usher.mute(&session).await {
            tracing::debug!(%error, "The seat could not be shown as muted; it cannot be heard all the same.");
        }
        // What broke before and breaks again is told again.
        self.told.clear();
        self.tell(context, words::taken(&handle)).await;
        match self.hear(stay, context, &session, way).await {
            visit::Ended::As(end) => Ok(end),
            visit::Ended::Removed => {
                let why = match self.is_suspended().await {
                    true => words::failed(&ApiError::Suspended.into(), false),
                    false => words::removed(&handle),
                };
                Err(self.told(context, why).await)
            }
            visit::Ended::Broken(error) => Err(self.told(context, words::lost(&error)).await),
        }
    }

    /// Whether X says at once that the account is suspended: its seat goes without a word then, as if the host had taken it.
    async fn is_suspended(&self) -> bool {
        let asked = tokio::time::timeout(GOODBYE, self.listener.api.authenticate_periscope()).await;
        matches!(asked, Ok(Err(ApiError::Suspended)))
    }

    /// Hears the room; sends silence meanwhile where the configuration wants that.
    async fn hear(&self, stay: &mut Stay, context: &SourceContext, session: &str, way: Way) -> visit::Ended {
        let (client, api) = (self.services.client(), self.listener.api.clone());
        // When all is over, both leave the gateway at once.
        let quiet = context.token.child_token();
        let silence = self.listener.config.seat_silence.then(|| {
            let usher = stay.usher.clone();
            tokio::spawn(silence::send(way.clone(), client.clone(), usher, session.to_owned(), quiet.clone()))
        });
        let ended = visit::Visit::new(stay, context, session, way, (client, api)).run().await;
        quiet.cancel();
        if let Some(silence) = silence
            && tokio::time::timeout(GOODBYE, silence).await.is_err()
        {
            tracing::debug!("A gateway did not answer to a goodbye.");
        }
        ended
    }

    /// The way to a seat; gives its session, or none if cancelled. What X was asked for and may have granted is known even
    /// then, so that it is given back: a host is left with no request of nobody.
    async fn take_seat(&mut self, stay: &mut Stay, context: &SourceContext) -> Result<Option<String>, SourceError> {
        let (handle, is_narrow) = (stay.usher.account.handle.clone(), stay.metadata.is_narrow);
        let mut approval = Approval::new(self.rules, self.asked);
        let mut tick = tokio::time::interval(TICK);
        let mut act = Act::Join;
        loop {
            let said = match act {
                Act::Join => match last_answer(&context.token, stay.usher.join()).await {
                    Some(joined) => joined.map(Said::Joined),
                    None => return Ok(None),
                },
                Act::Submit => {
                    self.asked += 1;
                    match last_answer(&context.token, stay.usher.submit()).await {
                        None => return Ok(None),
                        Some(Ok(session)) => {
                            stay.held = Some(Held::Request(session.clone()));
                            self.tell(context, words::waiting(&handle, &self.rules, self.asked)).await;
                            Ok(Said::Submitted(session))
                        }
                        Some(Err(SeatError::Refused { status: 403, .. })) => Ok(Said::NoRequestWanted),
                        Some(Err(error)) => Err(error),
                    }
                }
                // A look that fails is no answer: the next one may be.
                Act::Look(session) => tokio::select! {
                    () = context.token.cancelled() => return Ok(None),
                    standing = stay.usher.standing(&session) => standing.map(Said::Standing).or(Ok(Said::Tick)),
                },
                Act::Rest => Ok(tokio::select! {
                    () = context.token.cancelled() => return Ok(None),
                    fact = stay.chat.next() => stay.heard(&fact),
                    _ = tick.tick() => Said::Tick,
                }),
                Act::Sit(session) => {
                    if approval.was_asked() {
                        self.tell(context, words::approved(&handle)).await;
                    }
                    self.asked = 0;
                    stay.held = Some(Held::Seat(session.clone()));
                    return Ok(Some(session));
                }
                Act::GiveUp(why) => {
                    if approval.waiting().is_none() {
                        stay.held = None;
                    }
                    return Err(self.told(context, words::denied(why, &handle, is_narrow)).await);
                }
            };
            let said = match said {
                Ok(said) => said,
                Err(error) => return Err(self.told(context, words::failed(&error, is_narrow)).await),
            };
            act = approval.on(said, Instant::now());
        }
    }

    fn may_speak_to(&self, gateway: &url::Url) -> bool {
        let config = &self.listener.config;
        let host = gateway.host_str().unwrap_or_default();
        let below =
            |own: &String| host == own || host.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.'));
        config.gateway_hosts.iter().any(below) || (config.allow_private_addresses && host == "127.0.0.1")
    }

    /// Tells people, unless they were told the same already.
    async fn tell(&mut self, context: &SourceContext, notice: Notice) {
        if self.told.insert((notice.code, notice.message.clone())) {
            // Nobody listens: the attempt is over by itself.
            drop(context.events.send(SourceEvent::Notice(notice)).await);
        }
    }

    async fn told(&mut self, context: &SourceContext, (notice, error): (Notice, SourceError)) -> SourceError {
        self.tell(context, notice).await;
        error
    }
}

/// The session of a seat in `space`: what is heard from the stage is another recording than the listeners' segments, with
/// a media time of its own.
pub(super) fn session_of(space: &str) -> String {
    format!("{space}-stage")
}

/// What this account holds at X.
#[derive(Debug)]
enum Held {
    /// A request that the host has not answered, by its session.
    Request(String),
    /// A seat, by its session.
    Seat(String),
}

/// One stay in a Space.
#[derive(Debug)]
struct Stay {
    usher: Usher,
    presence: Option<Presence>,
    chat: Chat,
    held: Option<Held>,
    metadata: Metadata,
    zero: Zero,
}

impl Stay {
    /// What a fact of the chat means to somebody who waits.
    fn heard(&self, fact: &ChatFact) -> Said {
        match fact {
            ChatFact::Stage(sign) if self.usher.account.is_among(&sign.ids) => match sign.change {
                StageChange::LetUp => Said::Approved,
                StageChange::Removed => Said::Refused,
                StageChange::Muted | StageChange::Unmuted => Said::Tick,
            },
            _ => Said::Tick,
        }
    }

    /// Gives back what is held, and is not there any more.
    async fn leave(self) {
        let give_back = async {
            let given_back = match &self.held {
                Some(Held::Request(session)) => self.usher.cancel(session).await,
                Some(Held::Seat(session)) => self.usher.leave(session).await,
                None => Ok(()),
            };
            if let Err(error) = given_back {
                tracing::debug!(%error, "A speaker's seat was not given back.");
            }
        };
        let go = async {
            if let Some(presence) = &self.presence {
                presence.stop().await;
            }
        };
        // Neither waits for the other: nobody waits for long.
        tokio::join!(give_back, go);
    }
}

/// The chat, for as long as this lives.
#[derive(Debug)]
struct Chat {
    facts: mpsc::Receiver<ChatFact>,
    _guard: DropGuard,
}

impl Chat {
    fn join(seat: &SpeakerSeat) -> Self {
        let api = &seat.listener.api;
        let (sender, facts) = mpsc::channel(64);
        let token = CancellationToken::new();
        if let Some(chat_token) = api.chat_token() {
            tokio::spawn(chat::listen(api.clone(), chat_token, sender, token.clone()));
        }
        Self { facts, _guard: token.drop_guard() }
    }

    /// The next fact; a chat that is not wanted tells none. Safe to drop while it waits.
    async fn next(&mut self) -> ChatFact {
        match self.facts.recv().await {
            Some(fact) => fact,
            None => std::future::pending().await,
        }
    }
}

impl Source for SpeakerSeat {
    fn describe(&self) -> String {
        format!("a speaker's seat in {}", self.listener.describe())
    }

    fn default_delay(&self) -> Duration {
        WEBRTC_DELAY
    }

    fn is_continuous(&self) -> bool {
        true
    }

    fn session_id(&self) -> Option<String> {
        self.listener.session_id().map(|space| session_of(&space))
    }

    fn successor(&self) -> Option<Box<dyn Search>> {
        Some(Box::new(self.listener.search(Some(self.rules))))
    }

    fn run(&mut self, context: SourceContext) -> Attempt<'_> {
        Box::pin(self.attempt(context))
    }
}
