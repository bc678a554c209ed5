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

/// How much of an error message is kept: severity and code are its first fields.
const ERROR_PREFIX_MAX: usize = 256;

/// Type byte and length.
const HEADER_LEN: usize = 5;

/// A stream whose incoming messages are read by a [`Reader`].
#[derive(Debug)]
pub(super) struct Tracked<S> {
    stream: S,
    reader: Reader,
}

impl<S> Tracked<S> {
    pub(super) fn new(stream: S, link: Arc<Link>) -> Self {
        Self {
            stream,
            reader: Reader::new(link),
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
        self.reader.feed(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tracked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
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

/// Follows the framing of backend messages; keeps the transaction status and error codes.
#[derive(Debug)]
struct Reader {
    link: Arc<Link>,
    header: [u8; HEADER_LEN],
    have: usize,
    /// Bytes of the current message's body still to come.
    remaining: usize,
    body: Vec<u8>,
    /// The stream is not PostgreSQL's protocol: `tokio-postgres` will say so, we stop reading.
    lost_track: bool,
}

impl Reader {
    fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            header: [0; HEADER_LEN],
            have: 0,
            remaining: 0,
            body: Vec::new(),
            lost_track: false,
        }
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.lost_track {
            if self.have < HEADER_LEN {
                let (taken, rest) = bytes.split_at(bytes.len().min(HEADER_LEN - self.have));
                self.header[self.have..][..taken.len()].copy_from_slice(taken);
                self.have += taken.len();
                bytes = rest;
                if self.have == HEADER_LEN {
                    self.begin_body();
                }
            } else {
                let (taken, rest) = bytes.split_at(bytes.len().min(self.remaining));
                self.keep(taken);
                self.remaining -= taken.len();
                bytes = rest;
            }
            if self.have == HEADER_LEN && self.remaining == 0 {
                self.end_body();
            }
        }
    }

    fn begin_body(&mut self) {
        let [_, length @ ..] = self.header;
        // The length counts itself.
        match usize::try_from(u32::from_be_bytes(length)) {
            Ok(length) if length >= 4 => self.remaining = length - 4,
            Ok(_) | Err(_) => self.lost_track = true,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let limit = match self.header[0] {
            b'Z' => 1,
            b'E' => ERROR_PREFIX_MAX,
            _ => 0,
        };
        let room = limit - self.body.len().min(limit);
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_body(&mut self) {
        match self.header[0] {
            b'Z' => {
                if let Some(status) = self.body.first() {
                    self.link.ready(*status);
                }
            }
            b'E' => {
                if let Some(code) = sqlstate_field(&self.body) {
                    self.link.met(code);
                }
            }
            _ => {}
        }
        self.body.clear();
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

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        let length = u32::try_from(body.len() + 4).unwrap();
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    fn reader() -> (Reader, Arc<Link>) {
        let link = Arc::new(Link::new(Reporter::silent()));
        (Reader::new(Arc::clone(&link)), link)
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
