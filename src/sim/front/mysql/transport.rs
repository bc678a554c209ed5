//! The byte stream under the packets: a TCP socket, later perhaps with TLS round it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{Accept, TlsAcceptor};

/// The stream of one connection.
pub(super) enum Transport {
    Plain(TcpStream),
    /// Inside the TLS handshake. The half-done state stays here and not in a local variable, so
    /// that the socket can still be reset when the future that drives it is dropped.
    Accepting(Box<Accept<Rewound>>),
    Tls(Box<TlsStream<Rewound>>),
    /// The TLS handshake failed and took the socket with it.
    Lost,
}

impl Transport {
    /// Takes up TLS. `ahead` is what has been read past the SSLRequest: a client may send its
    /// ClientHello in the same segment.
    pub(super) async fn start_tls(
        &mut self,
        acceptor: &TlsAcceptor,
        ahead: BytesMut,
    ) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Lost) {
            Self::Plain(socket) => {
                Self::Accepting(Box::new(acceptor.accept(Rewound { ahead, socket })))
            }
            other => other,
        };
        if let Self::Accepting(accept) = self {
            let accepted = accept.as_mut().await;
            *self = match accepted {
                Ok(stream) => Self::Tls(Box::new(stream)),
                Err(error) => {
                    *self = Self::Lost;
                    return Err(error);
                }
            };
        }
        Ok(())
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Reads at least one byte; 0 is the end of the stream. Safe to cancel.
    pub(super) async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read_buf(buffer).await,
            Self::Tls(stream) => stream.read_buf(buffer).await,
            Self::Accepting(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Writes all of `bytes`. Not safe to cancel: the stream is then good for nothing but its end.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes).await,
            Self::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Accepting(_) | Self::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says that nothing more will be written.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Accepting(_) | Self::Lost => Ok(()),
        }
    }

    /// Closes with a TCP reset: the kernel throws away what is still queued and sends RST.
    pub(super) fn reset(self) {
        if let Some(socket) = self.socket() {
            // A failure means that the socket is already dead, which is what was wanted.
            let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }

    fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(socket) => Some(socket),
            Self::Accepting(accept) => accept.get_ref().map(|rewound| &rewound.socket),
            Self::Tls(stream) => Some(&stream.get_ref().0.socket),
            Self::Lost => None,
        }
    }
}

/// A socket whose first bytes have been read already and are read again.
pub(super) struct Rewound {
    ahead: BytesMut,
    socket: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.socket).poll_read(context, buffer);
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}
