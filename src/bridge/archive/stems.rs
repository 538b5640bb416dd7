//! What comes without segments, on its way to the recording: a stream that is captured, who is there, and what each sends.

use std::ops::Range;

use bytes::Bytes;

use super::{Archive, BROKE};
use crate::media::PcmBlock;
use crate::recording::NewStem;
use crate::source::{Speaker, StemPacket};

/// Where the stream of a source that captures lies on media time.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Media time of the first audio since the source began.
    zero: Option<i64>,
    /// Whether anything was captured since then.
    begun: bool,
    /// Whether anything ever was.
    captured: bool,
    /// Media time behind the newest audio.
    pub(super) heard: i64,
}

impl Stream {
    /// Takes notice of audio. Gives what is missing before it, where a stream that was captured broke and goes on here.
    pub(super) fn on_audio(&mut self, block: &PcmBlock) -> Option<Range<i64>> {
        let broke = self.captured && self.zero.is_none() && self.heard < block.media_time;
        let hole = broke.then_some(self.heard..block.media_time);
        self.zero.get_or_insert(block.media_time);
        self.heard = block.media_time.saturating_add(block.samples.len() as i64);
        hole
    }

    /// Something is captured: the media time of its zero, if it is a beginning and that is known.
    pub(super) fn on_capture(&mut self) -> Option<i64> {
        self.captured = true;
        if std::mem::replace(&mut self.begun, true) { None } else { self.zero }
    }

    pub(super) fn on_end(&mut self) {
        (self.zero, self.begun) = (None, false);
    }
}

impl Archive {
    /// Appends a piece of an encoded stream.
    pub(in crate::bridge) fn capture(&self, bytes: Bytes) {
        if let Some(recording) = &self.recording {
            let mut shared = self.shared();
            let zero = shared.stream.on_capture();
            recording.capture(&shared.session.session, bytes, zero);
        }
    }

    /// Measures the session's own audio.
    pub(in crate::bridge) fn audio(&self, block: &PcmBlock) {
        self.measuring.audio(block);
        let hole = self.shared().stream.on_audio(block);
        if let Some(hole) = hole {
            self.gap(hole.start, hole.end, BROKE);
        }
    }

    /// The encoded stream is over for now.
    pub(in crate::bridge) fn end_capture(&self) {
        self.talking(&[]);
        if let Some(recording) = &self.recording {
            let mut shared = self.shared();
            shared.stream.on_end();
            recording.end_capture(&shared.session.session);
        }
    }

    /// Who is in the session now.
    pub(in crate::bridge) fn speakers(&self, speakers: &[Speaker]) {
        let Some(recording) = &self.recording else { return };
        let shared = self.shared();
        let now = speakers.iter().map(|speaker| (speaker.id.clone(), speaker.name.clone())).collect();
        recording.speakers(&shared.session.session, now, shared.stream.heard);
        drop(shared);
        self.talking(speakers);
    }

    /// Keeps a speaker's packet.
    pub(in crate::bridge) fn stem(&self, packet: StemPacket) {
        if let Some(recording) = &self.recording {
            recording.stem(NewStem {
                session: self.shared().session.session.clone(),
                speaker: packet.speaker,
                media_time: packet.media_time,
                samples: packet.samples,
                data: packet.data,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(media_time: i64) -> PcmBlock {
        PcmBlock { media_time, samples: vec![[0.0; 2]; 960] }
    }

    #[test]
    fn a_stream_lies_where_its_first_audio_does_and_only_its_beginning_is_told() {
        let mut stream = Stream::default();
        stream.on_audio(&block(5000));
        stream.on_audio(&block(5960));
        assert_eq!((stream.on_capture(), stream.on_capture(), stream.heard), (Some(5000), None, 6920));
        stream.on_end();
        assert_eq!(stream.on_audio(&block(9000)), Some(6920..9000), "it broke");
        assert_eq!((stream.on_audio(&block(9960)), stream.on_capture()), (None, Some(9000)));
        stream.on_end();
        assert_eq!(stream.on_capture(), None, "captured before anything was decoded: nobody knows");
    }
}
