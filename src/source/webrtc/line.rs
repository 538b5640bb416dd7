//! Whether a connection lives: what its state says, and whether packets come. Pure.

use std::time::{Duration, Instant};

use crate::gst::webrtc::{RtcEvent, RtcState};
use crate::source::SourceError;

/// The media path is there within this, once both descriptions are.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that is lost for now may come back within this; one that gives no packet for as long is lost.
const LOST: Duration = Duration::from_secs(5);

/// Without a packet for so long it is no silence: a sender that saves packets still sends one every 0.4 s (RFC 7587,
/// 3.1.3), of which one may be lost.
const STALL: Duration = Duration::from_millis(900);

/// One connection.
#[derive(Debug)]
pub struct Line {
    /// Who is at the other end, for people: "the gateway".
    peer: &'static str,
    /// Since when the media path is waited for, until it is there.
    awaited: Option<Instant>,
    /// When it was there first.
    made: Option<Instant>,
    /// Whether nobody was there: what is not heard of whoever comes then was not said yet.
    empty: bool,
    /// Since when it is lost, for now.
    lost: Option<Instant>,
    /// Since when a packet is owed: the last one, if one is owed.
    packet: Option<Instant>,
}

impl Line {
    /// A connection to `peer`, as an error names it.
    pub fn new(peer: &'static str) -> Self {
        Self { peer, awaited: None, made: None, empty: false, lost: None, packet: None }
    }

    /// Both sides have said what they want: the media path is to come now.
    pub fn begin(&mut self, now: Instant) {
        self.awaited = self.awaited.or(Some(now)).filter(|_| self.made.is_none());
    }

    /// Packets are owed from `now` on, whoever is silent; the first that comes makes them so too.
    pub fn expect_packets(&mut self, now: Instant) {
        self.packet = self.packet.or(Some(now));
    }

    /// Nobody is there who could send.
    pub fn expect_none(&mut self) {
        (self.packet, self.empty) = (None, true);
    }

    /// Whether the media path was there once.
    pub fn is_made(&self) -> bool {
        self.made.is_some()
    }

    /// Takes notice of what a listener reports.
    ///
    /// # Errors
    /// When the connection is of no use any more.
    pub fn on_event(&mut self, event: &RtcEvent, now: Instant) -> Result<(), SourceError> {
        let Self { peer, .. } = *self;
        match event {
            RtcEvent::Packet { .. } => self.packet = Some(now),
            RtcEvent::Failed(reason) => return Err(SourceError::transient(reason.clone())),
            RtcEvent::State(RtcState::Failed) => {
                return Err(SourceError::transient(format!(
                    "no media comes from {peer}: its address or its ports cannot be reached by UDP from here"
                )));
            }
            RtcEvent::State(RtcState::Closed) => {
                return Err(SourceError::transient(format!("{peer} closed the connection")));
            }
            RtcEvent::State(RtcState::Disconnected) => self.lost = self.lost.or(Some(now)),
            RtcEvent::State(RtcState::Connected) => {
                self.made = self.made.or(Some(now));
                (self.awaited, self.lost) = (None, None);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether what is not there is silence; otherwise it is a stall, and to be shown as one. Whoever speaks is heard soon
    /// after the connection is made: nothing before that is silence, unless nobody was there.
    ///
    /// # Errors
    /// When the connection is lost, or was not made in time.
    pub fn is_well(&self, now: Instant) -> Result<bool, SourceError> {
        let Self { peer, .. } = *self;
        let over = |since: Option<Instant>, patience| {
            since.is_some_and(|since| now.saturating_duration_since(since) > patience)
        };
        if over(self.awaited, PATIENCE) {
            return Err(SourceError::transient(format!("the media path to {peer} was not there in time")));
        }
        if over(self.lost, LOST) {
            return Err(SourceError::transient(format!("the connection to {peer} was lost")));
        }
        if over(self.packet, LOST) {
            return Err(SourceError::transient(format!("nothing comes from {peer} any more: the connection is dead")));
        }
        let flows = match self.packet {
            Some(_) => !over(self.packet, STALL),
            None => self.empty || over(self.made, STALL),
        };
        Ok(self.lost.is_none() && flows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> RtcEvent {
        RtcEvent::Packet { track: 0, at: 0, came: Instant::now(), data: bytes::Bytes::new() }
    }

    #[test]
    fn a_line_without_packets_is_lost_though_it_says_that_it_is_connected() {
        let start = Instant::now();
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut line = Line::new("the endpoint");
        line.begin(start);
        assert!(line.is_well(at(9.0)).is_ok());
        assert!(line.is_well(at(10.1)).is_err(), "never connected");
        line.on_event(&RtcEvent::State(RtcState::Connected), at(1.0)).expect("a state");
        line.on_event(&packet(), at(2.0)).expect("a packet");
        // Packets that are saved while nobody speaks come at least every half second.
        for (seconds, expected) in [(2.8, Some(true)), (3.0, Some(false)), (6.9, Some(false)), (7.1, None)] {
            assert_eq!(line.is_well(at(seconds)).ok(), expected, "{seconds}");
        }
        line.on_event(&RtcEvent::State(RtcState::Disconnected), at(6.0)).expect("a state");
        line.on_event(&packet(), at(10.9)).expect("a packet");
        assert_eq!(line.is_well(at(10.9)).ok(), Some(false), "what is lost for now is no silence");
        assert!(line.is_well(at(11.1)).is_err());
        line.on_event(&RtcEvent::State(RtcState::Connected), at(11.0)).expect("a state");
        assert_eq!(line.is_well(at(11.1)).ok(), Some(true));
        assert!(line.on_event(&RtcEvent::State(RtcState::Failed), at(12.0)).is_err());
        line.begin(at(12.0));
        line.on_event(&packet(), at(22.5)).expect("a packet");
        assert_eq!(line.is_well(at(22.5)).ok(), Some(true), "another description waits for no other path");
    }

    #[test]
    fn a_line_on_which_nobody_has_spoken_yet_is_well_unless_packets_are_owed() {
        let start = Instant::now();
        let later = start + Duration::from_secs(60);
        let mut line = Line::new("the gateway");
        assert_eq!(line.is_well(later).ok(), Some(false), "nothing is silence before the connection");
        line.on_event(&RtcEvent::State(RtcState::Connected), start).expect("a state");
        assert_eq!(line.is_well(start).ok(), Some(false), "who speaks has not come through yet");
        assert_eq!(line.is_well(later).ok(), Some(true));
        line.on_event(&packet(), start).expect("a packet");
        assert!(line.is_well(later).is_err());
        line.expect_none();
        assert_eq!(line.is_well(later).ok(), Some(true), "everybody left");
        line.expect_packets(start);
        assert!(line.is_well(later).is_err());
        let mut line = Line::new("the gateway");
        line.expect_none();
        line.begin(start);
        assert_eq!(line.is_well(start).ok(), Some(true), "the first comes into an empty room");
    }
}
