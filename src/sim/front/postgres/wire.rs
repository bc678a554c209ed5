//! The socket of one client, plain or under TLS, with its two buffers.
//!
//! Every step may be abandoned at any await and leaves the wire whole: what was read stays in the
//! input buffer, what was not yet written stays in the output buffer, at a message boundary. That
//! is what lets the server say goodbye in the middle of anything.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

use super::failure::{Failure, error};
use super::message::Frame;
use crate::sim::sql::SqlError;

/// Output is sent on its way when it has grown to this size, finished or not, so that a large
/// result takes its pace from the client.
const OUTPUT_FULL: usize = 64 * 1024;

/// The least free room in the input buffer before a read.
const INPUT_ROOM: usize = 8 * 1024;

/// How long a closing connection waits for the client to take its last words and to hang up.
///
/// Closing a socket with unread input makes the kernel send a reset, which can overtake the
/// words; a client which does not hang up itself cannot hold the server longer than this.
const LINGER_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) struct Wire {
    stream: Stream,
    input: BytesMut,
    output: BytesMut,
}

enum Stream {
    Plain(TcpStream),
    /// The handshake is kept here rather than in a future of its own, so that the socket is within
    /// reach when the handshake is abandoned.
    Handshake(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
    /// The handshake failed and took the socket with it.
    Lost,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        // A reply is written whole, so waiting for more of it would only cost time. Failing to
        // set the option is not worth a connection.
        let _ = socket.set_nodelay(true);
        Self {
            stream: Stream::Plain(socket),
            input: BytesMut::new(),
            output: BytesMut::new(),
        }
    }

    /// Whether the connection is under TLS.
    pub(super) fn is_secure(&self) -> bool {
        matches!(self.stream, Stream::Secure(_))
    }

    /// What has been read and not yet been taken.
    pub(super) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Reads some bytes; 0 means that the client has hung up.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.input.reserve(INPUT_ROOM);
        match &mut self.stream {
            Stream::Plain(socket) => socket.read_buf(&mut self.input).await,
            Stream::Secure(socket) => socket.read_buf(&mut self.input).await,
            Stream::Handshake(_) | Stream::Lost => Ok(0),
        }
    }

    /// The next message, or `None` when the client has hung up. `limit` gives the greatest length
    /// of a message of a kind, and `None` for a kind that does not exist.
    pub(super) async fn frame(
        &mut self,
        limit: fn(u8) -> Option<usize>,
    ) -> Result<Option<Frame>, Failure> {
        loop {
            if let Some(frame) = Frame::take(&mut self.input, limit)? {
                return Ok(Some(frame));
            }
            if self.fill().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Puts a message into the output buffer.
    pub(super) fn put(&mut self, message: &PgWireBackendMessage) -> Result<(), SqlError> {
        let before = self.output.len();
        message.encode(&mut self.output).map_err(|cause| {
            // The encoder writes the kind of a message before it finds it too long.
            self.output.truncate(before);
            error("54000", format!("the answer cannot be sent: {cause}"))
        })
    }

    /// Puts a single byte, the answer to a request for encryption, into the output buffer.
    pub(super) fn put_byte(&mut self, byte: u8) {
        self.output.extend_from_slice(&[byte]);
    }

    /// Whether so much output has gathered that it should be flushed before more is added.
    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= OUTPUT_FULL
    }

    /// Writes the output buffer to the socket.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => drain(socket, &mut self.output).await,
            Stream::Secure(socket) => drain(socket, &mut self.output).await,
            Stream::Handshake(_) | Stream::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Takes the server's part in a TLS handshake.
    pub(super) async fn secure(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        match std::mem::replace(&mut self.stream, Stream::Lost) {
            Stream::Plain(socket) => {
                self.stream = Stream::Handshake(Box::new(acceptor.accept(socket)));
            }
            other => self.stream = other,
        }
        if let Stream::Handshake(accept) = &mut self.stream {
            let accepted = accept.await;
            self.stream = Stream::Lost;
            self.stream = Stream::Secure(Box::new(accepted?));
        }
        Ok(())
    }

    /// Ends the connection with a TCP reset.
    pub(super) fn reset(self) {
        if let Some(socket) = self.socket() {
            // Zero linger makes the close that follows a reset (socket(7), SO_LINGER). Where it
            // fails the peer is gone already.
            let _ = socket.set_zero_linger();
        }
    }

    /// Writes these bytes, whatever they are, and closes.
    pub(super) async fn close_with(mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
        self.close().await;
    }

    /// Ends this direction of the stream and reads on until the client ends the other.
    pub(super) async fn half_close(&mut self) {
        // However it ends, the socket closes when the wire goes.
        let _: io::Result<()> = match &mut self.stream {
            Stream::Plain(socket) => hang_up(socket).await,
            Stream::Secure(socket) => hang_up(socket.as_mut()).await,
            Stream::Handshake(_) | Stream::Lost => Ok(()),
        };
    }

    /// Writes what is left and closes, so that the client can read the last words.
    pub(super) async fn close(mut self) {
        let farewell = async {
            self.flush().await?;
            match &mut self.stream {
                Stream::Plain(socket) => hang_up(socket).await,
                Stream::Secure(socket) => hang_up(socket.as_mut()).await,
                Stream::Handshake(_) | Stream::Lost => Ok(()),
            }
        };
        // However it ends, the socket closes when `self` goes.
        let _: Result<io::Result<()>, _> = tokio::time::timeout(LINGER_TIMEOUT, farewell).await;
    }

    /// The client's address as text.
    pub(super) fn peer(&self) -> String {
        let address = self.socket().and_then(|socket| socket.peer_addr().ok());
        address.map_or_else(|| "???".to_owned(), |address| address.ip().to_string())
    }

    fn socket(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Plain(socket) => Some(socket),
            Stream::Handshake(accept) => accept.get_ref(),
            Stream::Secure(socket) => Some(socket.get_ref().0),
            Stream::Lost => None,
        }
    }
}

async fn drain<S: AsyncWrite + Unpin>(socket: &mut S, output: &mut BytesMut) -> io::Result<()> {
    while output.has_remaining() {
        if socket.write_buf(output).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    socket.flush().await
}

/// Sends the end of the stream and reads until the client has done so too.
async fn hang_up<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut S) -> io::Result<()> {
    socket.shutdown().await?;
    let mut scrap = [0; 1024];
    while socket.read(&mut scrap).await? > 0 {}
    Ok(())
}
