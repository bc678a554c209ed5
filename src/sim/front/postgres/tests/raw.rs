//! Messages written and read by hand, where a well-behaved client will not do.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use super::{Server, soon};

/// A socket with a session on it.
pub(super) struct Raw(pub(super) TcpStream);

impl Raw {
    /// Logs in and then lets go of the client.
    pub(super) async fn log_in(server: &Server) -> Self {
        let mut socket = server.dial().await;
        let login = server.config().connect_raw(&mut socket, NoTls).await;
        drop(login.expect("a login"));
        Self(socket)
    }

    pub(super) async fn send(&mut self, messages: &[Bytes]) {
        self.0
            .write_all(&messages.concat())
            .await
            .expect("the server takes it");
    }

    /// The next message: its kind and its body. `None` at the end of the stream.
    pub(super) async fn next(&mut self) -> Option<(char, Bytes)> {
        soon("the next message", async {
            let kind = self.0.read_u8().await.ok()?;
            let length = self.0.read_i32().await.expect("a length");
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).await.expect("a whole body");
            Some((char::from(kind), Bytes::from(body)))
        })
        .await
    }

    /// The kinds of the messages up to ReadyForQuery, and with errors their codes.
    pub(super) async fn until_ready(&mut self) -> String {
        let mut kinds = String::new();
        while let Some((kind, body)) = self.next().await {
            kinds.push(kind);
            match kind {
                'E' => kinds.push_str(&format!("({})", field(&body, b'C'))),
                'Z' => {
                    kinds.push(char::from(body[0]));
                    return kinds;
                }
                _ => {}
            }
        }
        panic!("the server hung up after {kinds}");
    }

    /// The code of the fatal error which must come next, before the end of the stream.
    pub(super) async fn fatal_code(&mut self) -> String {
        let (kind, body) = self.next().await.expect("last words");
        assert_eq!((kind, field(&body, b'S').as_str()), ('E', "FATAL"));
        assert!(self.next().await.is_none(), "words after the last ones");
        field(&body, b'C')
    }
}

/// One field of an error.
pub(super) fn field(body: &Bytes, wanted: u8) -> String {
    body.split(|&byte| byte == 0)
        .find_map(|field| match field.split_first() {
            Some((&kind, text)) if kind == wanted => Some(String::from_utf8_lossy(text).into()),
            _ => None,
        })
        .unwrap_or_default()
}

pub(super) fn message(kind: char, body: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    message.put_u8(kind as u8);
    message.put_i32(body.len() as i32 + 4);
    message.put_slice(body);
    message.freeze()
}

pub(super) fn query(sql: &str) -> Bytes {
    message('Q', format!("{sql}\0").as_bytes())
}

pub(super) fn parse(name: &str, sql: &str) -> Bytes {
    message('P', format!("{name}\0{sql}\0\0\0").as_bytes())
}

/// Binds the unnamed portal to a statement without parameters.
pub(super) fn bind(statement: &str) -> Bytes {
    message('B', format!("\0{statement}\0\0\0\0\0\0\0").as_bytes())
}

pub(super) fn execute(max_rows: i32) -> Bytes {
    let mut body = vec![0];
    body.put_i32(max_rows);
    message('E', &body)
}

pub(super) fn describe(target: &str) -> Bytes {
    message('D', format!("{target}\0").as_bytes())
}

pub(super) fn close(target: &str) -> Bytes {
    message('C', format!("{target}\0").as_bytes())
}

pub(super) fn sync() -> Bytes {
    message('S', &[])
}

/// A packet of the time before the login.
pub(super) fn packet(code: u32, body: &[u8]) -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_i32(body.len() as i32 + 8);
    packet.put_u32(code);
    packet.put_slice(body);
    packet.freeze()
}

pub(super) fn startup(version: u32, parameters: &[(&str, &str)]) -> Bytes {
    let mut body = BytesMut::new();
    for (name, value) in parameters {
        body.put_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.put_u8(0);
    packet(version, body.chunk())
}
