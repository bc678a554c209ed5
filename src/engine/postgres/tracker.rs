//! Reads the server's messages as they pass by.
//!
//! `tokio-postgres` tells nobody the transaction status, and errors of calls made on the bare
//! client would go unseen; both are on the wire (PostgreSQL protocol, section 55.7), so they are
//! read there. The bytes themselves pass unchanged.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::link::Link;
use super::sent::Outgoing;
use super::statements::Statements;

/// How much of an error message is kept: severity and code are its first fields.
const ERROR_PREFIX_MAX: usize = 256;

/// How much of a command tag is kept: enough for its words and its count of rows.
const TAG_PREFIX_MAX: usize = 48;

/// How much of a setting is kept: its name, and of one that is on or off the value.
const SETTING_PREFIX_MAX: usize = 48;

/// The length field.
const LENGTH_LEN: usize = 4;

/// Type byte and length.
const HEADER_LEN: usize = 1 + LENGTH_LEN;

/// A stream whose messages are read in both directions.
#[derive(Debug)]
pub(super) struct Tracked<S> {
    stream: S,
    incoming: Frames<Incoming>,
    outgoing: Frames<Outgoing>,
    statements: Statements,
}

impl<S> Tracked<S> {
    pub(super) fn new(stream: S, link: Arc<Link>) -> Self {
        Self {
            stream,
            statements: Statements::new(Arc::clone(&link)),
            incoming: Frames::new(Incoming(Arc::clone(&link)), HEADER_LEN),
            // The startup packet alone has no type byte.
            outgoing: Frames::new(Outgoing::new(link), LENGTH_LEN),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tracked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let Self {
            incoming,
            statements,
            ..
        } = &mut *self;
        incoming.messages.0.heard();
        statements.forget_time();
        incoming.feed_to(&buf.filled()[before..], &mut |kind, body, _| {
            statements.received(kind, body);
        });
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tracked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        let Self {
            outgoing,
            statements,
            ..
        } = &mut *self;
        statements.forget_time();
        outgoing.feed_to(&buf[..written], &mut |kind, body, is_whole| {
            statements.sent(kind, body, is_whole);
        });
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: TlsStream + Unpin> TlsStream for Tracked<S> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

/// Puts a [`Tracked`] round the decrypted side of a TLS stream.
#[derive(Debug)]
pub(super) struct TrackedTls<C> {
    pub(super) connector: C,
    pub(super) link: Arc<Link>,
}

impl<S, C> TlsConnect<S> for TrackedTls<C>
where
    C: TlsConnect<S>,
    C::Future: Send + 'static,
    C::Stream: 'static,
    C::Error: 'static,
{
    type Stream = Tracked<C::Stream>;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        let connecting = self.connector.connect(stream);
        Box::pin(async move { Ok(Tracked::new(connecting.await?, self.link)) })
    }
}

/// What is done with the messages of one direction.
pub(super) trait Messages {
    /// How much of a body of this type is kept.
    fn kept(kind: u8) -> usize;

    /// A message has passed; `body` is its kept beginning, or all of it.
    fn passed(&mut self, kind: u8, body: &[u8], is_whole: bool);
}

/// From the server: transaction status, error codes, command tags.
#[derive(Debug)]
struct Incoming(Arc<Link>);

impl Messages for Incoming {
    fn kept(kind: u8) -> usize {
        match kind {
            b'Z' => 1,
            b'C' => TAG_PREFIX_MAX,
            b'E' => ERROR_PREFIX_MAX,
            b'S' => SETTING_PREFIX_MAX,
            _ => 0,
        }
    }

    fn passed(&mut self, kind: u8, body: &[u8], _: bool) {
        match kind {
            b'Z' => {
                if let Some(status) = body.first() {
                    self.0.ready(*status);
                }
            }
            b'C' => self.0.completed(body),
            b'E' => {
                if let Some(code) = sqlstate_field(body) {
                    self.0.met(code);
                }
            }
            b'G' => self.0.copy_begins(),
            b'S' => {
                let mut parts = body.split(|byte| *byte == 0);
                let (name, value) = (parts.next(), parts.next());
                self.0
                    .setting_is(name.unwrap_or(body), value.unwrap_or_default());
            }
            _ => {}
        }
    }
}

/// Follows the framing of one direction.
#[derive(Debug)]
struct Frames<M> {
    messages: M,
    header: [u8; HEADER_LEN],
    /// The current header's length: without a type byte for the startup packet.
    header_len: usize,
    have: usize,
    /// Bytes of the current message's body still to come.
    remaining: usize,
    /// All of the body so far has been kept.
    is_whole: bool,
    body: Vec<u8>,
    /// The stream is not PostgreSQL's protocol: `tokio-postgres` will say so, we stop reading.
    lost_track: bool,
}

impl<M: Messages> Frames<M> {
    fn new(messages: M, header_len: usize) -> Self {
        Self {
            messages,
            header: [0; HEADER_LEN],
            header_len,
            have: 0,
            remaining: 0,
            is_whole: true,
            body: Vec::new(),
            lost_track: false,
        }
    }

    /// Takes in what passes; `also` hears of each message too.
    fn feed_to(&mut self, mut bytes: &[u8], also: &mut dyn FnMut(u8, &[u8], bool)) {
        while !bytes.is_empty() && !self.lost_track {
            if self.have < self.header_len {
                let (taken, rest) = bytes.split_at(bytes.len().min(self.header_len - self.have));
                self.header[self.have..][..taken.len()].copy_from_slice(taken);
                self.have += taken.len();
                bytes = rest;
                if self.have == self.header_len {
                    self.begin_body();
                }
            } else {
                let (taken, rest) = bytes.split_at(bytes.len().min(self.remaining));
                let limit = M::kept(self.header[0]);
                let room = limit.saturating_sub(self.body.len());
                self.body.extend_from_slice(&taken[..taken.len().min(room)]);
                self.is_whole &= taken.len() <= room;
                self.remaining -= taken.len();
                bytes = rest;
            }
            if self.have == self.header_len && self.remaining == 0 && !self.lost_track {
                self.end_body(also);
            }
        }
    }

    fn begin_body(&mut self) {
        let mut length = [0; LENGTH_LEN];
        length.copy_from_slice(&self.header[self.header_len - LENGTH_LEN..self.header_len]);
        // The length counts itself.
        match usize::try_from(u32::from_be_bytes(length)) {
            Ok(length) if length >= LENGTH_LEN => self.remaining = length - LENGTH_LEN,
            Ok(_) | Err(_) => self.lost_track = true,
        }
    }

    fn end_body(&mut self, also: &mut dyn FnMut(u8, &[u8], bool)) {
        if self.header_len == HEADER_LEN {
            let (kind, is_whole) = (self.header[0], self.is_whole);
            self.messages.passed(kind, &self.body, is_whole);
            also(kind, &self.body, is_whole);
        }
        self.header_len = HEADER_LEN;
        self.body.clear();
        self.is_whole = true;
        self.have = 0;
    }
}

/// The field `C` of an `ErrorResponse` body (PostgreSQL protocol, section 55.8).
fn sqlstate_field(body: &[u8]) -> Option<&str> {
    body.split(|byte| *byte == 0)
        .find_map(|field| field.strip_prefix(b"C"))
        .and_then(|code| std::str::from_utf8(code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::reporter::Reporter;

    impl<M: Messages> Frames<M> {
        fn feed(&mut self, bytes: &[u8]) {
            self.feed_to(bytes, &mut |_, _, _| {});
        }
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        let length = u32::try_from(body.len() + 4).unwrap();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    fn reader() -> (Frames<Incoming>, Arc<Link>) {
        let link = Arc::new(Link::new(Reporter::silent()));
        (Frames::new(Incoming(Arc::clone(&link)), HEADER_LEN), link)
    }

    #[test]
    fn requests_are_counted_until_they_are_answered() {
        let (mut incoming, link) = reader();
        let mut outgoing = Frames::new(Outgoing::new(Arc::clone(&link)), LENGTH_LEN);
        // A startup packet has no type byte; its parameters here look like a query.
        outgoing.feed(&[0, 0, 0, 9, b'Q', b'Q', b'Q', b'Q', 0]);
        assert!(!link.awaits_answers());
        outgoing.feed(&message(b'Q', b"BEGIN\0"));
        outgoing.feed(&message(b'P', b"\0SELECT 1\0\0\0"));
        outgoing.feed(&message(b'S', b""));
        incoming.feed(&message(b'Z', b"T"));
        assert!(link.awaits_answers());
        incoming.feed(&message(b'Z', b"T"));
        assert!(!link.awaits_answers());
    }

    #[test]
    fn a_statement_that_is_closed_behind_its_user_is_not_waited_for() {
        let (mut incoming, link) = reader();
        let mut outgoing = Frames::new(Outgoing::new(Arc::clone(&link)), HEADER_LEN);
        outgoing.feed(&message(b'C', b"Ss1\0"));
        outgoing.feed(&message(b'S', b""));
        assert!(!link.awaits_answers());
        outgoing.feed(&message(b'B', b"\0s2\0"));
        outgoing.feed(&message(b'E', b"\0\0\0\0\0"));
        outgoing.feed(&message(b'S', b""));
        assert!(link.awaits_answers());
        outgoing.feed(&message(b'C', b"Ss2\0"));
        outgoing.feed(&message(b'S', b""));
        incoming.feed(&message(b'Z', b"I"));
        assert!(link.awaits_answers(), "that was for the first statement");
        incoming.feed(&message(b'Z', b"I"));
        assert!(!link.awaits_answers());
        incoming.feed(&message(b'Z', b"I"));
        assert!(!link.awaits_answers());
    }

    #[test]
    fn the_sync_that_a_copy_swallows_is_not_waited_for() {
        let (mut incoming, link) = reader();
        let mut outgoing = Frames::new(Outgoing::new(Arc::clone(&link)), HEADER_LEN);
        outgoing.feed(&message(b'S', b""));
        incoming.feed(&message(b'G', b"\0\0\0"));
        outgoing.feed(&message(b'c', b""));
        outgoing.feed(&message(b'S', b""));
        incoming.feed(&message(b'C', b"COPY 1\0"));
        incoming.feed(&message(b'Z', b"I"));
        assert!(!link.awaits_answers());
    }

    #[test]
    fn a_commit_that_was_a_rollback_is_told_by_its_tag() {
        let (mut incoming, link) = reader();
        incoming.feed(&message(b'C', b"ROLLBACK\0"));
        assert!(link.was_rolled_back());
        incoming.feed(&message(b'C', b"COMMIT\0"));
        assert!(!link.was_rolled_back());
    }

    #[test]
    fn the_transaction_status_is_read_however_the_bytes_are_cut() {
        let mut bytes = message(b'C', b"BEGIN\0");
        bytes.extend(message(b'Z', b"T"));
        for size in 1..=bytes.len() {
            let (mut reader, link) = reader();
            for chunk in bytes.chunks(size) {
                reader.feed(chunk);
            }
            assert!(link.in_transaction(), "chunks of {size}");
        }
    }

    #[test]
    fn an_error_that_tells_of_a_read_only_instance_condemns_the_connection() {
        let (mut reader, link) = reader();
        reader.feed(&message(
            b'E',
            b"SERROR\0VERROR\0C25006\0Mcannot execute INSERT\0\0",
        ));
        assert!(link.is_condemned());
    }

    #[test]
    fn an_ordinary_error_does_not_condemn_the_connection() {
        let (mut reader, link) = reader();
        reader.feed(&message(b'E', b"SERROR\0C23505\0Mduplicate key\0\0"));
        assert!(!link.is_condemned());
    }

    #[test]
    fn a_huge_message_is_passed_without_being_kept() {
        let (mut reader, link) = reader();
        reader.feed(&[b'E', 0x7f, 0xff, 0xff, 0xff]);
        for _ in 0..1_000 {
            reader.feed(&[b'x'; 1_000]);
        }
        assert!(reader.body.capacity() <= 2 * ERROR_PREFIX_MAX);
        assert!(!link.is_condemned());
    }

    #[test]
    fn bytes_that_are_no_messages_are_ignored() {
        let (mut reader, link) = reader();
        reader.feed(&[b'Z', 0, 0, 0, 0, b'T', b'T', b'T']);
        assert!(!link.in_transaction());
    }
}
