//! Two corrections to the RTMP crate in use, made on the bytes of a connection.
//!
//! Incoming: a type 3 chunk that starts a message stands for "the same again, one delta later" (RTMP 1.0, 5.3.1.2.4). scuffle-rtmp
//! 0.2.3 gives it the timestamp of the message before (its issue 650), which a judge of timestamps cannot live with.
//! Here such a chunk becomes the type 2 chunk of the same meaning; every other byte goes through untouched.
//!
//! Outgoing: the crate says `onStatus` on message stream 0. GStreamer's rtmp2sink (1.22) waits for it on the stream that
//! it publishes on, as nginx-rtmp and platforms say it, and never starts otherwise.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// C0, C1 and C2.
const HANDSHAKE_BYTES: usize = 1 + 1536 + 1536;
/// Chunk size until the peer sets another.
const FIRST_CHUNK_SIZE: usize = 128;
/// Chunk streams of one connection; a publisher uses about four.
const STREAMS: usize = 64;
const SET_CHUNK_SIZE: u8 = 1;
const EXTENDED: u32 = 0xFF_FFFF;

/// What a chunk stream remembers from one chunk to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Stream {
    /// The three bytes of the last timestamp field, and the four that extend it.
    field: u32,
    extension: u32,
    length: usize,
    kind: u8,
    /// Bytes of the current message that have not come yet.
    left: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Handshake {
        left: usize,
    },
    Header,
    Payload {
        stream: u32,
        left: usize,
    },
    /// Something that cannot be understood: the session behind will say so.
    GivenUp,
}

/// The rewriting itself, without any socket.
#[derive(Debug)]
struct Rewriter {
    state: State,
    header: Vec<u8>,
    chunk_size: usize,
    control: Vec<u8>,
    streams: HashMap<u32, Stream>,
}

impl Default for Rewriter {
    fn default() -> Self {
        Self {
            state: State::Handshake { left: HANDSHAKE_BYTES },
            header: Vec::new(),
            chunk_size: FIRST_CHUNK_SIZE,
            control: Vec::new(),
            streams: HashMap::new(),
        }
    }
}

impl Rewriter {
    fn push(&mut self, mut input: &[u8], out: &mut Vec<u8>) {
        while let Some(first) = input.first() {
            match self.state {
                State::GivenUp => {
                    out.extend_from_slice(input);
                    return;
                }
                State::Handshake { left } => {
                    let taken = pass(&mut input, left, out);
                    let left = left - taken;
                    self.state = if left == 0 { State::Header } else { State::Handshake { left } };
                }
                State::Header => {
                    self.header.push(*first);
                    input = &input[1..];
                    self.header_byte(out);
                }
                State::Payload { stream, left } => {
                    let before = input;
                    let taken = pass(&mut input, left, out);
                    self.payload(stream, left - taken, &before[..taken]);
                }
            }
        }
    }

    /// Looks whether the header is whole, and if so writes it.
    fn header_byte(&mut self, out: &mut Vec<u8>) {
        let (format, basic) = (self.header[0] >> 6, basic_length(self.header[0]));
        let fields = [11, 7, 3, 0][usize::from(format)];
        if self.header.len() < basic + fields {
            return;
        }
        let id = stream_id(&self.header[..basic]);
        let known = self.streams.get(&id).copied();
        if (known.is_none() && format != 0) || (known.is_none() && self.streams.len() >= STREAMS) {
            return self.give_up(out);
        }
        let mut stream = known.unwrap_or_default();
        let message = &self.header[basic..basic + fields];
        if let [a, b, c, ..] = *message {
            stream.field = u32::from_be_bytes([0, a, b, c]);
        }
        let extension = if stream.field == EXTENDED { 4 } else { 0 };
        if self.header.len() < basic + fields + extension {
            return;
        }
        let starts = stream.left == 0;
        if let (true, [.., a, b, c, d]) = (extension == 4 && format != 3, &self.header[..]) {
            stream.extension = u32::from_be_bytes([*a, *b, *c, *d]);
        }
        if let [_, _, _, a, b, c, kind, ..] = *message {
            stream.length = u32::from_be_bytes([0, a, b, c]) as usize;
            stream.kind = kind;
        }
        if starts {
            stream.left = stream.length;
        }
        if format == 3 && starts {
            spell_out(&self.header[..basic], &stream, out)
        } else {
            out.extend(&self.header)
        }
        self.header.clear();
        let left = stream.left.min(self.chunk_size);
        self.streams.insert(id, stream);
        self.state = State::Payload { stream: id, left };
        // A message without a body is over at once.
        if left == 0 {
            self.state = State::Header;
        }
    }

    fn payload(&mut self, id: u32, left: usize, bytes: &[u8]) {
        self.state = if left == 0 { State::Header } else { State::Payload { stream: id, left } };
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.left -= bytes.len();
        if stream.kind != SET_CHUNK_SIZE {
            return;
        }
        self.control.extend(bytes.iter().take(4 - self.control.len().min(4)));
        if stream.left == 0 {
            if let [a, b, c, d] = self.control[..] {
                self.chunk_size = (u32::from_be_bytes([a, b, c, d]) & 0x7FFF_FFFF).max(1) as usize;
            }
            self.control.clear();
        }
    }

    fn give_up(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.header);
        self.state = State::GivenUp;
    }
}

/// Moves up to `most` bytes from `input` to `out`.
fn pass(input: &mut &[u8], most: usize, out: &mut Vec<u8>) -> usize {
    let (now, later) = input.split_at(input.len().min(most));
    out.extend_from_slice(now);
    *input = later;
    now.len()
}

fn spell_out(basic: &[u8], stream: &Stream, out: &mut Vec<u8>) {
    // Type 2 in the two upper bits; the chunk stream's id stays.
    out.push(basic[0] & 0x3F | 0x80);
    out.extend_from_slice(&basic[1..]);
    out.extend_from_slice(&stream.field.to_be_bytes()[1..]);
    if stream.field == EXTENDED {
        out.extend_from_slice(&stream.extension.to_be_bytes());
    }
}

fn basic_length(first: u8) -> usize {
    match first & 0x3F {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

fn stream_id(basic: &[u8]) -> u32 {
    match *basic {
        [_, low] => u32::from(low) + 64,
        [_, low, high] => u32::from(low) + u32::from(high) * 256 + 64,
        _ => u32::from(basic[0] & 0x3F),
    }
}

/// What the crate writes: an AMF0 command on message stream 0, whose name is `onStatus`.
const STATUS: &[u8] = b"\x14\0\0\0\0\x02\0\x08onStatus";

/// Moves every `onStatus` in whole outgoing messages to message stream 1, the only one that the crate ever creates.
pub(super) fn status_on_stream(bytes: &mut [u8]) {
    let places = bytes.windows(STATUS.len()).enumerate().filter(|(_, window)| *window == STATUS).map(|(at, _)| at);
    for at in places.collect::<Vec<_>>() {
        bytes[at + 1] = 1;
    }
}

/// A connection whose chunks are corrected both ways.
#[derive(Debug)]
pub(super) struct Rechunked<S> {
    inner: S,
    rewriter: Rewriter,
    ready: Vec<u8>,
    taken: usize,
}

impl<S> Rechunked<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, rewriter: Rewriter::default(), ready: Vec::new(), taken: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rechunked<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.taken == this.ready.len() {
            this.ready.clear();
            this.taken = 0;
            let mut bytes = [0_u8; 16 * 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.rewriter.push(buffer.filled(), &mut this.ready);
        }
        let count = out.remaining().min(this.ready.len() - this.taken);
        out.put_slice(&this.ready[this.taken..this.taken + count]);
        this.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rechunked<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // The crate writes whole messages of some hundred bytes, which a socket takes at once.
        let mut bytes = bytes.to_vec();
        status_on_stream(&mut bytes);
        Pin::new(&mut self.get_mut().inner).poll_write(cx, &bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewrite(chunks: &[&[u8]], piece: usize) -> Vec<u8> {
        let mut rewriter = Rewriter { state: State::Header, ..Rewriter::default() };
        let mut out = Vec::new();
        for part in chunks.concat().chunks(piece) {
            rewriter.push(part, &mut out);
        }
        out
    }

    const FIRST: &[u8] = &[0x04, 0, 0, 10, 0, 0, 2, 9, 1, 0, 0, 0, 0xAA, 0xAA];
    const SECOND: &[u8] = &[0x44, 0, 0, 40, 0, 0, 2, 9, 0xBB, 0xBB];

    #[test]
    fn a_type_3_chunk_that_starts_a_message_gets_its_delta() {
        let expected = [FIRST, SECOND, &[0x84, 0, 0, 40, 0xCC, 0xCC], &[0x84, 0, 0, 40, 0xDD, 0xDD]].concat();
        for piece in 1..40 {
            let out = rewrite(&[FIRST, SECOND, &[0xC4, 0xCC, 0xCC], &[0xC4, 0xDD, 0xDD]], piece);
            assert_eq!(out, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_type_3_chunk_that_goes_on_with_a_message_stays() {
        let header: &[u8] = &[0x04, 0, 0, 10, 0, 0, 200, 9, 1, 0, 0, 0];
        let chunks: &[&[u8]] = &[header, &[1; 128], &[0xC4], &[2; 72], &[0xC4], &[3; 128], &[0xC4], &[4; 72]];
        let out = rewrite(chunks, 50);
        let expected = [header, &[1; 128], &[0xC4], &[2; 72], &[0x84, 0, 0, 10], &[3; 128], &[0xC4], &[4; 72]].concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn a_new_chunk_size_is_followed() {
        let set: &[u8] = &[0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0];
        let header: &[u8] = &[0x04, 0, 0, 10, 0, 0, 200, 9, 1, 0, 0, 0];
        let out = rewrite(&[set, header, &[1; 200], &[0xC4], &[2; 200]], 7);
        assert_eq!(out, [set, header, &[1; 200], &[0x84, 0, 0, 10], &[2; 200]].concat());
    }

    #[test]
    fn messages_of_several_streams_may_interleave() {
        let video: &[u8] = &[0x05, 0, 0, 10, 0, 0, 200, 9, 1, 0, 0, 0];
        let chunks: &[&[u8]] = &[video, &[1; 128], FIRST, &[0xC5], &[1; 72], &[0xC4, 7, 7]];
        let expected = [video, &[1; 128], FIRST, &[0xC5], &[1; 72], &[0x84, 0, 0, 10, 7, 7]].concat();
        assert_eq!(rewrite(chunks, 9), expected);
    }

    #[test]
    fn a_status_is_said_on_the_stream_that_publishes() {
        let mut bytes = [&[3, 0, 0, 0, 0, 0, 50][..], STATUS, &[9; 40], &[3, 0, 0, 0, 0, 0, 50], STATUS].concat();
        let untouched = bytes.clone();
        status_on_stream(&mut bytes);
        let changed: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != untouched[*at]).collect();
        assert_eq!(changed, [8, 8 + STATUS.len() + 47]);
        assert_eq!(bytes[8], 1);
    }

    proptest! {
        #[test]
        fn fuzz_any_bytes_come_through_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
            let mut rewriter = Rewriter { state: State::Header, ..Rewriter::default() };
            let mut out = Vec::new();
            for part in bytes.chunks(97) {
                rewriter.push(part, &mut out);
            }
            prop_assert!(out.len() <= bytes.len() * 8 + 16);
        }
    }
}
