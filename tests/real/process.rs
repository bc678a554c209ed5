//! A server's processes, and signals to them.

use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::ground::Ground;

/// How long a server may take to end once it was asked to.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server(Child);

/// The processes of a server: its first one, and the children of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes(u32);

impl Processes {
    /// Sends a signal to all of them, to the first one first: it starts the others.
    pub(crate) fn signal_all(self, signal: &str) {
        signal_processes(signal, &[self.0]);
        signal_processes(signal, &children(self.0));
    }
}

impl Server {
    /// Starts it, with its words in `<name>.log`.
    pub(crate) fn start(ground: &Ground, name: &str, mut command: Command) -> Self {
        let path = ground.directory().join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(path);
        let log = log.expect("the directory is writable");
        let errors = log.try_clone().expect("a file can be shared");
        command.stdout(Stdio::from(log)).stderr(Stdio::from(errors));
        Self(
            command
                .spawn()
                .expect("the server's program can be started"),
        )
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }

    pub(crate) fn processes(&self) -> Processes {
        Processes(self.0.id())
    }

    /// Ends all its processes at once, so that none of them does anything about the others' end.
    pub(crate) fn kill(&mut self) {
        // Who is stopped notices nothing.
        self.processes().signal_all("STOP");
        let mut all = vec![self.0.id()];
        all.extend(children(self.0.id()));
        signal_processes("KILL", &all);
        let _ = self.0.wait();
    }

    /// Asks it to end, and waits: how it ended.
    pub(crate) async fn end(&mut self, signal: &str) -> ExitStatus {
        signal_processes(signal, &[self.0.id()]);
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("it is a child of this process") {
                return status;
            }
            assert!(began.elapsed() < END_TIMEOUT, "the server does not end");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.has_ended() {
            self.kill();
        }
    }
}

fn signal_processes(signal: &str, processes: &[u32]) {
    if processes.is_empty() {
        return;
    }
    let mut command = Command::new("kill");
    command.arg(format!("-{signal}"));
    command.args(processes.iter().map(u32::to_string));
    // A process may have ended by itself meanwhile.
    let _ = command.stderr(Stdio::null()).status();
}

fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| parent_of(*id) == Some(parent)).collect()
}

/// proc(5): the second field after the name, which is in parentheses.
fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}
