//! Packets in and out: framing, sequence numbers, size limits, buffers.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use mysql_common::proto::codec::PacketCodec;
use mysql_common::proto::codec::error::PacketCodecError;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::fault::{self, Failure};
use super::transport::Transport;

/// MySQL's default `max_allowed_packet`.
pub(super) const MAX_PACKET_BYTES: usize = 64 * 1024 * 1024;

/// The same before the login: a name, a proof and at most 64 KiB of connection attributes.
const MAX_LOGIN_PACKET_BYTES: usize = 128 * 1024;

/// Queued packets are written out when they exceed this, so that a large result set does not
/// stand in memory a second time.
const FLUSH_BYTES: usize = 64 * 1024;

/// A buffer that a large packet has blown up beyond this is given back.
const KEEP_BYTES: usize = 1024 * 1024;

/// How long a closing connection goes on reading, so that the client sees the last packet and
/// not the reset which unread bytes would cause.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// The packets of one connection.
pub(super) struct Wire {
    transport: Transport,
    codec: PacketCodec,
    /// Bytes received and not yet made into a packet.
    inbound: BytesMut,
    /// The packet in the making, which may come in several chunks.
    payload: Vec<u8>,
    /// Encoded packets not yet written.
    outbound: BytesMut,
}

impl Wire {
    pub(super) fn new(socket: TcpStream) -> Self {
        let mut codec = PacketCodec::default();
        codec.max_allowed_packet = MAX_LOGIN_PACKET_BYTES;
        Self {
            transport: Transport::Plain(socket),
            codec,
            inbound: BytesMut::new(),
            payload: Vec::new(),
            outbound: BytesMut::new(),
        }
    }

    pub(super) fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }

    /// Takes up TLS after the SSLRequest packet.
    pub(super) async fn start_tls(&mut self, acceptor: &TlsAcceptor) -> Result<(), Failure> {
        let ahead = std::mem::take(&mut self.inbound);
        Ok(self.transport.start_tls(acceptor, ahead).await?)
    }

    /// Lets packets of the full size through.
    pub(super) fn end_login(&mut self) {
        self.codec.max_allowed_packet = MAX_PACKET_BYTES;
    }

    /// A command and its answer count their packets from 0.
    pub(super) fn begin_command(&mut self) {
        self.codec.reset_seq_id();
    }

    /// The next packet. Safe to cancel: a half-read packet is kept.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            match self.codec.decode(&mut self.inbound, &mut self.payload) {
                Ok(true) => break,
                Ok(false) => {}
                Err(error) => return Err(self.unreadable(error)),
            }
            self.inbound.reserve(8 * 1024);
            if self.transport.read(&mut self.inbound).await? == 0 {
                return Err(Failure::Gone);
            }
        }
        if self.inbound.is_empty() && self.inbound.capacity() > KEEP_BYTES {
            self.inbound = BytesMut::new();
        }
        Ok(std::mem::take(&mut self.payload))
    }

    /// Queues one packet.
    pub(super) fn queue(&mut self, mut payload: &[u8]) -> Result<(), Failure> {
        self.codec
            .encode(&mut payload, &mut self.outbound)
            .map_err(|error| match error {
                PacketCodecError::PacketTooLarge => Failure::Fatal(fault::packet_too_large()),
                _ => Failure::Gone,
            })
    }

    /// Writes out what is queued if it is much.
    pub(super) async fn flush_much(&mut self) -> Result<(), Failure> {
        if self.outbound.len() > FLUSH_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes out what is queued.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.transport.write(&self.outbound).await?;
        self.outbound.clear();
        if self.outbound.capacity() > KEEP_BYTES {
            self.outbound = BytesMut::new();
        }
        Ok(())
    }

    /// Queues and writes one packet.
    pub(super) async fn send(&mut self, payload: &[u8]) -> Result<(), Failure> {
        self.queue(payload)?;
        self.flush().await
    }

    /// Closes the way TCP does when both sides are well.
    pub(super) async fn close(mut self) {
        let farewell = async {
            self.transport.shutdown().await?;
            loop {
                self.inbound.clear();
                self.inbound.reserve(8 * 1024);
                if self.transport.read(&mut self.inbound).await? == 0 {
                    return io::Result::Ok(());
                }
            }
        };
        // Whatever goes wrong here, the socket is closed on return.
        let _ = tokio::time::timeout(LINGER_TIMEOUT, farewell).await;
    }

    /// Writes these bytes, whatever they are, and closes.
    pub(super) async fn close_with(mut self, bytes: &[u8]) {
        self.outbound.extend_from_slice(bytes);
        if self.flush().await.is_ok() {
            self.close().await;
        }
    }

    /// Ends this direction of the stream and reads on until the client ends the other.
    pub(super) async fn half_close(&mut self) {
        if self.transport.shutdown().await.is_err() {
            return;
        }
        while let Ok(1..) = self.transport.read(&mut self.inbound).await {
            self.inbound.clear();
        }
    }

    /// Closes with a TCP reset.
    pub(super) fn reset(self) {
        self.transport.reset();
    }

    fn unreadable(&mut self, error: PacketCodecError) -> Failure {
        match error {
            PacketCodecError::PacketTooLarge => {
                // The packet's sequence number was not consumed, but the client counts it: a
                // packet that goes nowhere brings the codec's count in step.
                let _ = self.codec.encode(&mut &[][..], &mut BytesMut::new());
                Failure::Fatal(fault::packet_too_large())
            }
            PacketCodecError::PacketsOutOfSync => Failure::Fatal(fault::packets_out_of_order()),
            _ => Failure::Gone,
        }
    }
}
