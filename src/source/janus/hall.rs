//! One visit to a room: who is there, which handle hears whom, and what goes into the mix.
//!
//! One handle hears everybody over one connection. A gateway that does not do that (Janus before 1.0, and X's is not known to)
//! is asked by a handle and a connection for each speaker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::Value;
use tokio::task::JoinSet;

use super::client::{JanusError, Message, Session, refusal};
use super::dialogue::{DETACHED, RESUMED, Requests};
use super::ear::{Connection, Ear};
use super::hearing::{Hearing, Refusal};
use super::rests::Rests;
use super::roll::Roll;
use super::videoroom::{self, Videoroom};
use crate::gst::webrtc::{RtcEvent, RtcState, SdpKind};
use crate::source::webrtc::line::Line;
use crate::source::webrtc::room::Room;
use crate::source::{Notice, SourceContext, SourceError, SourceEvent};

/// Connections at most: more than there are speakers on a stage of X, which are thirteen.
const EARS_MAX: usize = 16;

/// A gateway that keeps nobody's connection, and has hung up on the last of them as often in succession, is left and entered
/// again.
const HANGUPS_MAX: u32 = 3;

/// One visit to a room.
pub(super) struct Hall<'a> {
    session: &'a Session,
    context: &'a SourceContext,
    requests: Requests,
    watching: u64,
    videoroom: Videoroom,
    room: Room<'a>,
    ears: Vec<Ear>,
    /// Connections that are being made, and for whom.
    coming: JoinSet<(String, Result<Connection, SourceError>)>,
    rests: Rests,
    /// Those for whom a connection is being made.
    awaited: Vec<String>,
    /// Whether each speaker has a connection of their own.
    apart: bool,
    /// Connections so far.
    made: u32,
    line: Line,
    /// Whether everybody is muted, where somebody knows.
    muted: Option<&'a AtomicBool>,
    /// Whether nobody was to be heard a tick ago.
    was_quiet: bool,
    pictures_told: bool,
    roll: Roll,
}

impl<'a> Hall<'a> {
    /// Enters `room`, and hears everybody by `first`.
    ///
    /// # Errors
    /// When the gateway takes no requests.
    pub(super) fn enter(
        session: &'a Session,
        requests: Requests,
        watching: u64,
        (videoroom, room): (Videoroom, Room<'a>),
        first: Connection,
    ) -> Result<Self, SourceError> {
        let ear = Ear::new(first, Hearing::default(), &room, 0);
        let hall = Self {
            session,
            context: room.context(),
            requests,
            watching,
            videoroom,
            room,
            ears: vec![ear],
            coming: JoinSet::new(),
            rests: Rests::default(),
            awaited: Vec::new(),
            apart: false,
            made: 1,
            line: Line::new("the gateway"),
            muted: None,
            was_quiet: false,
            pictures_told: false,
            roll: Roll::default(),
        };
        hall.say(watching, hall.videoroom.enter("spacebridge"), None)?;
        Ok(hall)
    }

    /// From now on `muted` says whether everybody in the room is.
    pub(super) fn trust(&mut self, muted: &'a AtomicBool) {
        self.muted = Some(muted);
    }

    /// Gives out what was heard to the end, and ends every connection.
    pub(super) async fn leave(self) {
        self.room.end().await;
        for ear in self.ears {
            ear.connection.close().await;
        }
    }

    /// Takes what the gateway says.
    ///
    /// # Errors
    /// When the visit is over.
    pub(super) async fn on_message(&mut self, message: Message) -> Result<(), SourceError> {
        let ear = self.ears.iter().position(|ear| message.sender == Some(ear.connection.handle));
        let is_watching = message.sender == Some(self.watching);
        if let Some(JanusError::Refused { code, reason }) = refusal(&message.data) {
            match ear {
                Some(ear) => self.on_refusal(ear, code, &reason).await?,
                // A word to a handle that was let go meanwhile.
                None if message.sender.is_some() && !is_watching => {}
                // Not every gateway tells who is there.
                None if self.roll.is_refused() => {}
                None => return Err(videoroom::refused(code, &reason)),
            }
        } else if message.kind == "timeout" {
            return Err(SourceError::transient("the gateway gave the session up"));
        } else if message.kind == RESUMED {
            self.roll.begin(Instant::now());
        } else if let (Some(ear), "hangup" | DETACHED) = (ear, message.kind.as_str()) {
            self.on_hangup(ear, SourceError::transient("the gateway hung up"))?;
        } else if is_watching && message.kind == DETACHED {
            return Err(SourceError::transient("the gateway made us leave the room"));
        } else if is_watching {
            self.on_room(&message.data).await?;
        } else if let (Some(ear), "event") = (ear, message.kind.as_str()) {
            self.ears[ear].on_message(message)?;
            if self.ears[ear].hearing.falls_short(&self.videoroom) {
                self.go_apart(ear).await?;
            }
        }
        self.arrange().await
    }

    async fn on_room(&mut self, data: &Value) -> Result<(), SourceError> {
        self.roll.on_room(data, &self.videoroom, Instant::now())?;
        for name in self.videoroom.on_room(data)? {
            self.ears.iter_mut().for_each(|ear| ear.hearing.on_left(&name));
            self.rests.forget(&name);
        }
        if self.pictures_told || !self.videoroom.offers_pictures() {
            return Ok(());
        }
        self.pictures_told = true;
        let notice = Notice::info("source.video", "the room offers pictures too; only its sound is taken");
        self.context.send(SourceEvent::Notice(notice)).await
    }

    async fn on_refusal(&mut self, ear: usize, code: i64, reason: &str) -> Result<(), SourceError> {
        match self.ears[ear].hearing.on_refusal(&mut self.videoroom, code) {
            Refusal::Settled => Ok(()),
            Refusal::Apart => self.tell_apart().await,
            Refusal::Final => self.on_hangup(ear, videoroom::refused(code, reason)),
        }
    }

    /// The gateway does not give `ear` all that it asked for.
    async fn go_apart(&mut self, ear: usize) -> Result<(), SourceError> {
        if self.ears[ear].hearing.go_apart(&self.videoroom) { self.tell_apart().await } else { Ok(()) }
    }

    async fn tell_apart(&mut self) -> Result<(), SourceError> {
        if std::mem::replace(&mut self.apart, true) {
            return Ok(());
        }
        let words = "the gateway gives each speaker a connection of its own; every one of them is heard by one";
        self.context.send(SourceEvent::Notice(Notice::info("source.apart", words))).await
    }

    /// A connection is over, for this reason: mostly since its speaker has left.
    fn on_hangup(&mut self, ear: usize, why: SourceError) -> Result<(), SourceError> {
        if !self.apart {
            return Err(why);
        }
        let names = self.videoroom.names().into_iter().filter(|name| self.ears[ear].hearing.is_for(name));
        let hangups = names.map(|name| self.rests.begin(&name, Instant::now())).max();
        self.let_go(ear);
        self.has_ears_or_hope(hangups.unwrap_or(0), why)
    }

    /// # Errors
    /// With `why`, when nobody is heard, and the last one who was not to be had failed as often in succession or will fail
    /// always.
    fn has_ears_or_hope(&self, hangups: u32, why: SourceError) -> Result<(), SourceError> {
        let is_deaf = self.ears.is_empty() && self.awaited.is_empty();
        if is_deaf && (hangups >= HANGUPS_MAX || why.is_permanent()) { Err(why) } else { Ok(()) }
    }

    /// Every speaker has their seat, and whoever is not heard yet is asked for.
    async fn arrange(&mut self) -> Result<(), SourceError> {
        if self.apart {
            while let Some(idle) = self.ears.iter().position(|ear| ear.hearing.is_idle(&self.videoroom)) {
                self.let_go(idle);
            }
            self.open();
        }
        let mut seats = BTreeMap::new();
        for ear in &mut self.ears {
            if let Some(request) = ear.hearing.next_request(&self.videoroom) {
                ear.asks();
                say(&self.requests, ear.connection.handle, request, None)?;
            }
            let heard = ear.hearing.seats(&self.videoroom);
            seats.extend(heard.into_iter().filter_map(|(track, speaker)| Some((ear.axis.track(track)?, speaker))));
        }
        for track in self.room.tracks() {
            if !seats.contains_key(&track) {
                self.room.leave(track);
            }
        }
        for (track, speaker) in seats {
            self.room.seat(track, speaker);
        }
        Ok(())
    }

    /// Ends a connection; sound that is being heard does not wait for that.
    fn let_go(&mut self, ear: usize) {
        let over = self.ears.swap_remove(ear);
        tokio::spawn(over.connection.let_go(self.session.clone()));
    }

    /// Makes a connection for everybody who has none.
    fn open(&mut self) {
        let now = Instant::now();
        for name in self.videoroom.names() {
            let has_one = self.ears.iter().any(|ear| ear.hearing.is_for(&name)) || self.awaited.contains(&name);
            if has_one || self.rests.has(&name, now) || self.ears.len() + self.awaited.len() >= EARS_MAX {
                continue;
            }
            self.awaited.push(name.clone());
            let (session, context) = (self.session.clone(), self.context.clone());
            self.coming.spawn(async move { (name, Connection::open(session, context).await) });
        }
    }

    fn say(&self, handle: u64, body: Value, answer: Option<String>) -> Result<(), SourceError> {
        say(&self.requests, handle, body, answer)
    }

    /// Makes the mix go on. To be called every 20 ms.
    ///
    /// # Errors
    /// When the visit is over.
    pub(super) async fn on_tick(&mut self) -> Result<(), SourceError> {
        while let Some(Ok((name, connection))) = self.coming.try_join_next() {
            self.awaited.retain(|awaited| *awaited != name);
            match connection {
                Ok(connection) => {
                    self.ears.push(Ear::new(connection, Hearing::of_one(&name), &self.room, self.made));
                    self.made += 1;
                }
                // Those who are heard are not given up for one who is not; a session that is over tells so itself.
                Err(error) => {
                    tracing::info!(%error, "No connection is to be had for a speaker yet.");
                    let hangups = self.rests.begin(&name, Instant::now());
                    self.has_ears_or_hope(hangups, error)?;
                }
            }
            self.arrange().await?;
        }
        // From the last one on, since the one that is over gives its place to the last.
        for index in (0..self.ears.len()).rev() {
            if self.on_media(index).await? {
                self.on_hangup(index, SourceError::transient("a speaker's connection to the gateway broke"))?;
            }
        }
        if let Some(ear) = self.ears.iter().position(Ear::waits_in_vain) {
            self.go_apart(ear).await?;
            if self.ears[ear].hearing.is_waiting() {
                self.on_hangup(ear, SourceError::transient("the gateway did not answer a request"))?;
            }
            self.arrange().await?;
        }
        if self.roll.is_due(Instant::now()) {
            self.say(self.watching, self.videoroom.list(), None)?;
        }
        if self.rests.end(Instant::now()) {
            self.arrange().await?;
        }
        let muted = self.muted.is_some_and(|muted| muted.load(Ordering::Relaxed));
        let quiet = self.videoroom.is_empty() || muted;
        let spoken = std::mem::replace(&mut self.was_quiet, quiet) && !quiet;
        if quiet {
            self.line.expect_none();
        } else if spoken && self.line.is_made() {
            // A line that died meanwhile is found out.
            self.line.expect_packets(Instant::now());
        }
        let is_well = self.line.is_well(Instant::now())?;
        self.room.tick(is_well).await
    }

    /// Takes what came by a connection; whether that is of no use any more, and is not the only one.
    async fn on_media(&mut self, index: usize) -> Result<bool, SourceError> {
        let ear = &mut self.ears[index];
        while let Some(event) = ear.next_event() {
            if ear.is_cut_by(&event) && self.apart {
                return Ok(true);
            }
            // Where each speaker has a connection, one that is lost for now does not stop the others.
            if !self.apart || !matches!(event, RtcEvent::State(RtcState::Disconnected)) {
                self.line.on_event(&event, Instant::now())?;
            }
            match event {
                RtcEvent::Local { kind: SdpKind::Answer, sdp } => {
                    if ear.has_answered()? {
                        say(&self.requests, ear.connection.handle, self.videoroom.start(), Some(sdp))?;
                        self.line.begin(Instant::now());
                    }
                }
                event => self.room.take(ear.axis, event).await?,
            }
        }
        Ok(self.apart && ear.is_dead())
    }
}

fn say(requests: &Requests, handle: u64, body: Value, answer: Option<String>) -> Result<(), SourceError> {
    let said = requests.say(handle, body, answer);
    said.then_some(()).ok_or_else(|| SourceError::transient("the gateway takes no more requests"))
}
