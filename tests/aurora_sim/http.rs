//! As much of HTTP/1.1 as these tests need.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::program::LIMIT;

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

/// Sends a request with these headers, after `Host` and `Connection: close`.
pub(crate) async fn send(
    control: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: Option<&str>,
) -> Answer {
    let mut text = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text.push_str(&format!("Host: {control}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.unwrap_or(""));
    let whole = async {
        let mut stream = TcpStream::connect(control).await.expect("it accepts");
        stream.write_all(text.as_bytes()).await.expect("it reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("it answers");
        answer
    };
    let answer = tokio::time::timeout(LIMIT, whole).await.expect("in time");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    Answer {
        status: head[9..12].parse().expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

pub(crate) async fn ask(control: &str, request: &str) -> Answer {
    send(control, request, &[], None).await
}

pub(crate) async fn ask_with(control: &str, request: &str, body: &str) -> Answer {
    let headers = [("Content-Type", "application/json")];
    send(control, request, &headers, Some(body)).await
}

/// Asks for the cluster until it is as wished.
pub(crate) async fn wait_for(control: &str, wished: impl Fn(&Value) -> bool) -> Value {
    let waiting = async {
        loop {
            let cluster = ask(control, "GET /api/cluster").await.json();
            if wished(&cluster) {
                return cluster;
            }
            tokio::task::yield_now().await;
        }
    };
    let reached = tokio::time::timeout(LIMIT, waiting).await;
    reached.expect("the cluster becomes as wished")
}
