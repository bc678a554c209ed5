//! A client's process: started, heard, stopped, and its notes read.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aurora_driver::EngineKind;
use aurora_driver::sim::SimCluster;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::hosts::Hosts;
use crate::load::Size;
use crate::measure::Notes;

/// An interpreter that imports AWS's driver, and its host names, take a second on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A client tells its notes within a second; Python's garbage and a long run may take some.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Beside the report.
const LOG: &str = "contestants.log";

/// Who is put under load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    program: Program,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Program {
    /// This very program.
    Ours,
    /// The contestants' program.
    Rust(PathBuf),
    /// The interpreter in which AWS's driver is installed.
    AwsPython {
        interpreter: PathBuf,
        settings: &'static str,
    },
}

impl Contestant {
    pub(crate) const OURS: &'static str = "ours";

    pub(crate) fn ours() -> Self {
        Self {
            name: Self::OURS,
            program: Program::Ours,
        }
    }

    pub(crate) fn rust(name: &'static str, program: PathBuf) -> Self {
        Self {
            name,
            program: Program::Rust(program),
        }
    }

    pub(crate) fn aws_python(name: &'static str, settings: &'static str, python: PathBuf) -> Self {
        Self {
            name,
            program: Program::AwsPython {
                interpreter: python,
                settings,
            },
        }
    }

    pub(crate) fn is_ours(&self) -> bool {
        self.program == Program::Ours
    }

    /// How long it is left alone before the fault, so that pools are full and monitors know all.
    pub(crate) fn warm_up(&self) -> Duration {
        match self.program {
            Program::Ours | Program::Rust(_) => Duration::from_millis(500),
            // It logs in for each thread one after the other, and starts its monitors meanwhile.
            Program::AwsPython { .. } => Duration::from_secs(2),
        }
    }

    /// Starts it, and returns when its load begins.
    pub(crate) async fn start(
        &self,
        cluster: &Arc<SimCluster>,
        engine: EngineKind,
        size: Size,
        work: &Path,
    ) -> anyhow::Result<Client> {
        let (mut command, hosts) = match &self.program {
            Program::Ours => (Command::new(std::env::current_exe()?), None),
            Program::Rust(program) => with_hosts(cluster, work, program)?,
            Program::AwsPython { interpreter, .. } => with_hosts(cluster, work, interpreter)?,
        };
        match &self.program {
            Program::Ours => {
                command.args(["--client-of", &cluster.url()]);
            }
            Program::Rust(_) => {
                command.args(["--contestant", self.name]);
                place(&mut command, cluster);
            }
            Program::AwsPython { settings, .. } => {
                command.arg("benches/contestants/aws_python.py");
                command.args(["--settings", settings]);
                place(&mut command, cluster);
            }
        }
        command.args(["--engine", engine.name()]);
        command.args(["--writers", &size.writers.to_string()]);
        command.args(["--readers", &size.readers.to_string()]);
        if !self.is_ours() {
            command.stderr(errors(work)?);
        }
        Client::start(command, hosts).await
    }
}

/// What contestants say of their own accord would drown the suite's progress.
fn errors(work: &Path) -> anyhow::Result<File> {
    let mut log = OpenOptions::new();
    let log = log.create(true).append(true).open(work.join(LOG));
    log.context("the contestants' log cannot be written")
}

fn with_hosts(
    cluster: &Arc<SimCluster>,
    work: &Path,
    program: &Path,
) -> anyhow::Result<(Command, Option<Hosts>)> {
    let hosts = Hosts::follow(cluster, &work.join("hosts"))?;
    let program = std::path::absolute(program)?;
    Ok((hosts.command(&program), Some(hosts)))
}

fn place(command: &mut Command, cluster: &SimCluster) {
    command
        .args(["--endpoint", &cluster.cluster_endpoint()])
        .args(["--reader-endpoint", &cluster.reader_endpoint()])
        .args(["--port", &cluster.port().to_string()])
        .args(["--user", cluster.user()])
        .args(["--password", cluster.password()])
        .args(["--database", cluster.database()]);
}

/// A client under load.
pub(crate) struct Client {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _hosts: Option<Hosts>,
}

impl Client {
    async fn start(mut command: Command, hosts: Option<Hosts>) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the client does not start")?;
        let out = child.stdout.take().context("its output is a pipe")?;
        let mut client = Self {
            child,
            lines: BufReader::new(out).lines(),
            _hosts: hosts,
        };
        loop {
            let line = timeout(START_LIMIT, client.lines.next_line()).await;
            match line.context("the client does not begin")?? {
                Some(line) if line == "ready" => return Ok(client),
                Some(_) => {}
                None => anyhow::bail!("the client ended before it began"),
            }
        }
    }

    /// Stops the load and returns the notes of all calls.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Notes> {
        let mut input = self.child.stdin.take().context("its input is a pipe")?;
        input.write_all(b"stop\n").await?;
        let mut notes = Notes::default();
        let told = async {
            while let Some(line) = self.lines.next_line().await? {
                if line == "end" {
                    return anyhow::Ok(true);
                }
                notes.read(&line)?;
            }
            Ok(false)
        };
        let whole = timeout(STOP_LIMIT, told).await;
        anyhow::ensure!(
            whole.context("the client does not stop")??,
            "the client ended before it had told all"
        );
        // It has told all; what it still does is no concern of ours.
        let _ = self.child.kill().await;
        Ok(notes)
    }
}
