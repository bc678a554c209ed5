//! The operating system's resolver for the contestants: a hosts file that follows the simulator's DNS.
//!
//! None of the contestants can be told to ask another DNS server, so each runs in a mount namespace of
//! its own in which `/etc/hosts` is this file. The C library reads it anew at each look-up. It is their
//! best case: what the DNS says reaches them within some milliseconds, and no resolver on the way keeps
//! a record for its time to live.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aurora_driver::sim::{DnsAnswer, SimCluster};
use tokio::process::Command;
use tokio::task::JoinHandle;

const REFRESH_INTERVAL: Duration = Duration::from_millis(10);

/// As wide as any address, so that the file is overwritten in place and no reader meets half of it.
const ADDRESS_WIDTH: usize = 15;

/// The file; it follows the DNS as long as this lives.
pub(crate) struct Hosts {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Hosts {
    pub(crate) fn follow(cluster: &Arc<SimCluster>, path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).context("the hosts file cannot be written")?;
        let mut last = content(&cluster.dns_answers());
        file.write_all_at(last.as_bytes(), 0)?;
        let query = UdpSocket::bind("127.0.0.1:0")?;
        query.set_nonblocking(true)?;
        let (cluster, server) = (Arc::clone(cluster), cluster.dns_address());
        let task = tokio::spawn(async move {
            let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
            loop {
                refresh.tick().await;
                take_a_turn(&query, server, &cluster.reader_endpoint());
                let now = content(&cluster.dns_answers());
                if now != last && file.write_all_at(now.as_bytes(), 0).is_ok() {
                    last = now;
                }
            }
        });
        Ok(Self {
            path: path.to_owned(),
            task,
        })
    }

    /// A command that sees the file as its hosts file.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = namespace("mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"");
        command.arg(&self.path).arg(program);
        command
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether this machine gives us a mount namespace.
pub(crate) async fn are_possible() -> bool {
    let mut probe = namespace("true");
    probe.stderr(Stdio::null());
    probe.status().await.is_ok_and(|status| status.success())
}

fn namespace(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command
}

fn content(answers: &[DnsAnswer]) -> String {
    let mut text = format!("{:<ADDRESS_WIDTH$} localhost\n", "127.0.0.1");
    for DnsAnswer { name, address, .. } in answers {
        // A comment where the name leads nowhere.
        let address = address.map_or_else(|| "#".to_owned(), |address| address.to_string());
        text.push_str(&format!("{address:<ADDRESS_WIDTH$} {name}\n"));
    }
    text
}

/// Asks the DNS for a name and throws the answer away, as the readers' name passes its turn on with
/// each question (RFC 1035, section 4.1).
fn take_a_turn(socket: &UdpSocket, server: SocketAddr, name: &str) {
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        // Labels have at most 63 letters.
        query.push(u8::try_from(label.len()).unwrap_or_default());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    // The next turn is taken in ten milliseconds.
    let _ = socket.send_to(&query, server);
    while socket.recv(&mut [0; 512]).is_ok() {}
}
