//! Starts the compiled program and ends it with the test.

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Generous: a machine under load takes its time.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Program {
    /// Ends the program when it is dropped.
    _child: Child,
    pub(crate) introduction: String,
    pub(crate) control: String,
}

pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aurora-sim"));
    command
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Starts it with a free control port, and waits until it has introduced itself.
pub(crate) async fn start(flags: &[&str]) -> Program {
    let mut child = command(flags)
        .args(["--control", "127.0.0.1:0"])
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut introduction = String::new();
    tokio::time::timeout(LIMIT, async {
        while let Some(line) = lines.next_line().await.expect("readable") {
            introduction.push_str(&line);
            introduction.push('\n');
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
    })
    .await
    .expect("it introduces itself in time");
    let control = introduction
        .split_once("http://")
        .and_then(|(_, rest)| rest.lines().next())
        .unwrap_or_else(|| panic!("no control address in: {introduction}"))
        .to_owned();
    Program {
        _child: child,
        introduction,
        control,
    }
}

/// Runs it to its end, which must come by itself.
pub(crate) async fn refused(flags: &[&str]) -> Output {
    let run = command(flags).output();
    let output = tokio::time::timeout(LIMIT, run).await;
    output.expect("it ends by itself").expect("it runs")
}
