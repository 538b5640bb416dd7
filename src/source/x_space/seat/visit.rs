//! Hears the room from a seat that was taken: the gateway's sound and people, with what the chat knows of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::emptiness::Emptiness;
use super::guest::{Standing, Usher, Way};
use super::looks::Looks;
use super::people::{Known, all_muted, doubt, named, note};
use super::presence::{PING, Presence};
use super::{Stay, words};
use crate::net::HttpClient;
use crate::source::janus::JanusSource;
use crate::source::janus::client::Login;
use crate::source::x_space::api::XApi;
use crate::source::x_space::chat::{ChatFact, StageChange};
use crate::source::{SessionInfo, Source as _, SourceContext, SourceEnd, SourceError, SourceEvent, Speaker};

/// Pause between two looks at whether the seat is still ours.
const LOOK: Duration = Duration::from_secs(30);

/// The first one.
const FIRST_LOOK: Duration = Duration::from_secs(3);

/// Leaving the gateway takes no longer than this.
const GOODBYE: Duration = Duration::from_secs(3);

/// Time for a look whose answer decides what is told.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// Time for X to say, when all broke, that it was the end.
const LAST_QUESTION: Duration = Duration::from_secs(4);

/// How long sound takes at most from a speaker to here, jitter buffer included.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// How a visit ended.
pub(super) enum Ended {
    /// As an attempt should.
    As(SourceEnd),
    /// The host took the seat away.
    Removed,
    /// The gateway or the way to it broke.
    Broken(SourceError),
}

/// Why a room is left that goes on giving.
enum Left {
    /// The Space is over, as X says; that is told behind the last sound.
    Over(SessionInfo),
    As(Ended),
}

/// A question whether the Space is over, on its way; its answer is the session if it is.
type Question = Asked<SessionInfo>;

/// A look whether the seat is still ours, on its way.
type Look = Asked<Standing>;

type Asked<T> = Option<Pin<Box<dyn Future<Output = Option<T>> + Send>>>;

async fn answered<T>(question: &mut Asked<T>) -> Option<T> {
    match question {
        Some(asked) => {
            let answer = asked.await;
            *question = None;
            answer
        }
        None => std::future::pending().await,
    }
}

/// One visit.
pub(super) struct Visit<'a> {
    stay: &'a mut Stay,
    context: &'a SourceContext,
    session: &'a str,
    api: Arc<XApi>,
    room: JanusSource,
    people: BTreeMap<String, Known>,
    /// Who is in the room, as the gateway tells.
    heard: Vec<Speaker>,
    told: Vec<Speaker>,
    empty: Emptiness,
    looks: Looks,
}

impl<'a> Visit<'a> {
    /// A visit by the way that X named.
    pub(super) fn new(
        stay: &'a mut Stay,
        context: &'a SourceContext,
        session: &'a str,
        way: Way,
        (client, api): (HttpClient, Arc<XApi>),
    ) -> Self {
        let login = Login { authorization: Some(way.token), ..Login::default() };
        let space = stay.usher.space.as_str();
        let room = JanusSource::new(way.gateway, space, None, login, client).as_member(
            &super::session_of(space),
            stay.zero.clone(),
            &stay.usher.account.id,
        );
        let known = |person: &crate::source::x_space::metadata::Person| {
            (person.id.clone(), Known { name: person.name.clone(), muted: Some(person.muted), doubted: false })
        };
        let people = stay.metadata.stage.iter().map(known).collect();
        let empty = Emptiness::new(Instant::now());
        Self {
            stay,
            context,
            session,
            api,
            room,
            people,
            heard: Vec::new(),
            told: Vec::new(),
            empty,
            looks: Looks::default(),
        }
    }

    /// Hears the room to the end.
    pub(super) async fn run(mut self) -> Ended {
        let (sender, mut events) = mpsc::channel(64);
        let token = self.context.token.child_token();
        let inner = SourceContext { events: sender, token: token.clone(), ..self.context.clone() };
        let mut room = self.room.clone();
        let mut hearing = AbortOnDropHandle::new(tokio::spawn(async move { room.run(inner).await }));
        let end = self.attend(&mut events).await;
        token.cancel();
        // It gives out what it holds back still, and leaves the gateway as it should.
        let last_words = async {
            while let Some(event) = events.recv().await {
                drop(self.pass_on(event).await);
            }
            (&mut hearing).await
        };
        let heard = tokio::time::timeout(GOODBYE, last_words).await;
        match (end, heard) {
            (Some(Left::Over(info)), _) => self.over(info).await,
            (Some(Left::As(end)), _) => end,
            (None, Ok(Ok(Ok(end)))) => Ended::As(end),
            (None, Ok(Ok(Err(_)))) if self.is_over().await => Ended::As(SourceEnd::SessionEnded),
            (None, Ok(Ok(Err(_)))) if self.is_lost().await => Ended::Removed,
            (None, Ok(Ok(Err(error)))) => Ended::Broken(error),
            (None, _) => Ended::Broken(SourceError::transient("the room's task broke off")),
        }
    }

    /// Passes on what the room gives until it gives nothing more, or the seat is gone.
    async fn attend(&mut self, events: &mut mpsc::Receiver<SourceEvent>) -> Option<Left> {
        let (mut question, mut look): (Question, Look) = (None, None);
        let _pings = AbortOnDropHandle::new(tokio::spawn(keep_alive(self.stay.presence.clone())));
        let mut looks = tokio::time::interval_at(Instant::now() + FIRST_LOOK, LOOK);
        loop {
            let done = tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.pass_on(event).await,
                    None => return None,
                },
                fact = self.stay.chat.next() => {
                    if fact == ChatFact::SpaceEnded {
                        self.ask(&mut question);
                    }
                    self.on_chat(fact, &mut look).await
                }
                standing = answered(&mut look) => {
                    if self.looks.answered(standing) {
                        return Some(Left::As(Ended::Removed));
                    }
                    if self.looks.is_doubted() {
                        self.look(&mut look);
                    }
                    Ok(())
                }
                over = answered(&mut question) => match over {
                    Some(info) => {
                        self.hear_out(events).await;
                        return Some(Left::Over(info));
                    }
                    None => Ok(()),
                },
                _ = looks.tick() => {
                    self.look(&mut look);
                    if self.heard.is_empty() {
                        self.ask(&mut question);
                    }
                    Ok(())
                }
                () = until(self.empty.due()) => {
                    self.empty.told();
                    self.send(SourceEvent::Notice(words::empty())).await
                }
            };
            if let Err(error) = done {
                return Some(Left::As(Ended::Broken(error)));
            }
        }
    }

    /// What was said last is still on its way.
    async fn hear_out(&mut self, events: &mut mpsc::Receiver<SourceEvent>) {
        let until = Instant::now() + ON_ITS_WAY;
        while let Ok(Some(event)) = tokio::time::timeout_at(until, events.recv()).await {
            if self.pass_on(event).await.is_err() {
                return;
            }
        }
    }

    /// Asks X whether the Space is over, unless that is being asked.
    fn ask(&self, question: &mut Question) {
        if question.is_none() {
            let (api, id) = (self.api.clone(), self.stay.usher.space.clone());
            *question = Some(Box::pin(async move {
                let metadata = api.space(&id).await.ok()?;
                metadata.state.is_over().then(|| metadata.session(&super::session_of(id.as_str())))
            }));
        }
    }

    /// Whether X says at once that the Space is over.
    async fn is_over(&self) -> bool {
        let mut question = None;
        self.ask(&mut question);
        match tokio::time::timeout(LAST_QUESTION, answered(&mut question)).await {
            Ok(Some(info)) => matches!(self.over(info).await, Ended::As(_)),
            _ => false,
        }
    }

    async fn over(&self, info: SessionInfo) -> Ended {
        match self.send(SourceEvent::Session(info)).await {
            Ok(()) => Ended::As(SourceEnd::SessionEnded),
            Err(error) => Ended::Broken(error),
        }
    }

    async fn send(&self, event: SourceEvent) -> Result<(), SourceError> {
        self.context.send(event).await
    }

    async fn pass_on(&mut self, event: SourceEvent) -> Result<(), SourceError> {
        match event {
            // What the Space is was told by X itself.
            SourceEvent::Session(_) => Ok(()),
            SourceEvent::Speakers(speakers) => {
                doubt(&mut self.people, &self.heard, &speakers);
                self.heard = speakers;
                self.empty.on_people(self.heard.len(), Instant::now());
                self.tell_speakers().await
            }
            event => self.send(event).await,
        }
    }

    async fn tell_speakers(&mut self) -> Result<(), SourceError> {
        let speakers: Vec<Speaker> = self.heard.iter().map(|speaker| named(speaker, &self.people)).collect();
        self.room.muted().store(all_muted(&speakers, &self.people), Ordering::Relaxed);
        if speakers == self.told {
            return Ok(());
        }
        self.told.clone_from(&speakers);
        self.send(SourceEvent::Speakers(speakers)).await
    }

    async fn on_chat(&mut self, fact: ChatFact, look: &mut Look) -> Result<(), SourceError> {
        let sign = match fact {
            ChatFact::Stage(sign) => sign,
            ChatFact::Caption(caption) => return self.send(SourceEvent::Caption(caption)).await,
            _ => return Ok(()),
        };
        if self.stay.usher.account.is_among(&sign.ids) {
            if sign.change == StageChange::Removed {
                self.looks.doubt();
                self.look(look);
            }
            return Ok(());
        }
        note(&mut self.people, &sign);
        self.tell_speakers().await
    }

    /// Looks whether the seat is still ours, unless that is being done.
    fn look(&mut self, look: &mut Look) {
        if self.looks.begin() {
            *look = Some(Box::pin(standing(self.stay.usher.clone(), self.session.to_owned())));
        }
    }

    /// Whether X knew the seat and does not any more.
    async fn is_lost(&mut self) -> bool {
        let standing = standing(self.stay.usher.clone(), self.session.to_owned()).await;
        self.looks.note(standing);
        standing == Some(Standing::Unknown) && self.looks.was_seen()
    }
}

/// Waits for a time; for ever where there is none.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Where the seat stands; none where X does not say in time.
async fn standing(usher: Usher, session: String) -> Option<Standing> {
    tokio::time::timeout(LOOK_TIME, usher.standing(&session)).await.ok()?.ok()
}

/// Gives signs of life for as long as it is let.
async fn keep_alive(presence: Option<Presence>) {
    let Some(presence) = presence else { return };
    loop {
        tokio::time::sleep(PING).await;
        if tokio::time::timeout(LOOK_TIME, presence.ping()).await.is_err() {
            tracing::debug!("X did not answer to a sign of life.");
        }
    }
}
