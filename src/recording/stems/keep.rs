//! Every speaker's open file, and the journal's lines about them.

use std::collections::{BTreeMap, HashMap};
use std::io;

use super::NewStem;
use super::facts::{StemEnd, StemStart};
use super::file::{Kept, StemFile};
use super::stage::Stage;
use crate::recording::facts::Fact;
use crate::recording::folder::folder_name;
use crate::recording::store::{Store, lock};

/// Files of one session: a crowd that comes and goes must not fill the folder, nor the list of open files.
const MOST_FILES: usize = 256;

/// Sessions of one show whose people are listed.
const MOST_SESSIONS: usize = 100;

/// Largest packet: 120 ms of the highest rate have 7.6 kB.
const LARGEST: usize = 8 << 10;

/// What is open.
#[derive(Debug, Default)]
pub(in crate::recording) struct Stems {
    /// By session and speaker.
    open: HashMap<(String, String), StemFile>,
    /// Who is in each session: two paths may be heard at once.
    stages: BTreeMap<String, Stage>,
    /// Packets that were not kept, and why, until the journal knows.
    lost: Option<(String, u64, &'static str)>,
    /// When that was written last.
    told: Option<std::time::Instant>,
}

/// Pause between two lines about lost packets.
const TELL_AGAIN: std::time::Duration = std::time::Duration::from_secs(60);

impl Store {
    /// Keeps a packet; the bytes that its file grew by.
    pub(in crate::recording) fn stem(&mut self, stem: &NewStem) -> io::Result<u64> {
        if stem.data.is_empty() || stem.data.len() > LARGEST {
            self.lose_stems(&stem.session, 1, "a packet of no size that there is");
            return Ok(0);
        }
        self.check_room(stem.data.len())?;
        let key = (stem.session.clone(), stem.speaker.clone());
        if !self.stems.open.contains_key(&key) && !self.open_stem(stem)? {
            self.lose_stems(&stem.session, 1, "too many speakers");
            return Ok(0);
        }
        let now = self.clock.now();
        let Some(file) = self.stems.open.get_mut(&key) else { return Ok(0) };
        match file.append(stem.media_time, stem.samples, &stem.data, now)? {
            Kept::Whole(bytes) => return Ok(bytes),
            Kept::Twice => {}
            Kept::Flood => self.lose_stems(&stem.session, 1, "more than a speaker sends"),
        }
        Ok(0)
    }

    /// Makes a file for a speaker. False where there are too many.
    fn open_stem(&mut self, stem: &NewStem) -> io::Result<bool> {
        let (all, own) = {
            let model = lock(&self.model);
            let kept = model.session(&stem.session).map(|session| &session.stems[..]).unwrap_or_default();
            (kept.len(), kept.iter().filter(|kept| kept.start.speaker == stem.speaker).count())
        };
        if all >= MOST_FILES {
            return Ok(false);
        }
        let session = folder_name(&stem.session);
        let folder = self.folder.folder("stems")?.folder(&session)?;
        let speaker = folder_name(&stem.speaker);
        let file = StemFile::create(&folder, &format!("stems/{session}"), &speaker, own, self.clock.now())?;
        let start = StemStart {
            session: stem.session.clone(),
            speaker: stem.speaker.clone(),
            file: file.path().to_owned(),
            media_time: stem.media_time,
        };
        if let Err(error) = self.fact(Fact::StemStarted(start)) {
            self.folder.remove_path(file.path(), crate::recording::folder::Kind::File)?;
            return Err(error);
        }
        self.stems.open.insert((stem.session.clone(), stem.speaker.clone()), file);
        Ok(true)
    }

    /// Who is in the session now, each with a name.
    pub(in crate::recording) fn speakers(
        &mut self,
        session: &str,
        now: &[(String, String)],
        media_time: i64,
    ) -> io::Result<()> {
        if !self.stems.stages.contains_key(session) && self.stems.stages.len() >= MOST_SESSIONS {
            return Ok(());
        }
        let stage = self.stems.stages.entry(session.to_owned()).or_default();
        for news in stage.news(session, now, media_time) {
            self.fact(Fact::Speaker(news.clone()))?;
            if let Some(stage) = self.stems.stages.get_mut(session) {
                stage.told(&news);
            }
        }
        Ok(())
    }

    /// The session's speakers are heard no more; all of them where none is named.
    pub(in crate::recording) fn end_stems(&mut self, session: Option<&str>) -> io::Result<()> {
        let is_meant = |of: &str| session.is_none_or(|session| session == of);
        let ends = self.stems.open.keys().filter(|(of, _)| is_meant(of)).cloned().collect::<Vec<_>>();
        let mut last = 0;
        for key in ends {
            let Some(file) = self.stems.open.get_mut(&key) else { continue };
            file.finish()?;
            last = last.max(file.end());
            let end = StemEnd {
                session: key.0.clone(),
                file: file.path().to_owned(),
                bytes: file.bytes(),
                sha256: file.sha256(),
                packets: file.packets(),
                end: file.end(),
            };
            self.fact(Fact::StemEnded(end))?;
            self.stems.open.remove(&key);
        }
        let on_stage = self.stems.stages.iter().filter(|(of, _)| is_meant(of));
        let on_stage: Vec<(String, i64)> = on_stage.map(|(of, stage)| (of.clone(), stage.last().max(last))).collect();
        for (of, media_time) in on_stage {
            self.speakers(&of, &[], media_time)?;
        }
        self.tell_lost_stems()
    }

    /// Counts packets that are not kept; the journal is told of them once a minute.
    pub(in crate::recording) fn lose_stems(&mut self, session: &str, packets: u64, cause: &'static str) {
        let before = self.stems.lost.take().filter(|(of, ..)| of == session).map_or(0, |(_, packets, _)| packets);
        self.stems.lost = Some((session.to_owned(), before + packets, cause));
        let now = self.clock.now();
        if self.stems.told.is_none_or(|told| now.saturating_duration_since(told) > TELL_AGAIN) {
            self.stems.told = Some(now);
            if let Err(error) = self.tell_lost_stems() {
                tracing::debug!(%error, "The loss of packets is told later.");
            }
        }
    }

    fn tell_lost_stems(&mut self) -> io::Result<()> {
        let Some((session, packets, cause)) = self.stems.lost.clone() else { return Ok(()) };
        self.fact(Fact::StemsLost { session, packets, cause: cause.to_owned() })?;
        self.stems.lost = None;
        Ok(())
    }
}
