//! One line on the terminal that shows the load while it runs.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::load::Tally;

const REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// The line; it ends with [`finish`](Self::finish).
pub(crate) struct Progress(Option<JoinHandle<()>>);

/// Shows the line on standard error, unless that is no terminal or `quiet` is asked for.
pub(crate) fn show(tally: &Tally, quiet: bool) -> Progress {
    if quiet {
        return Progress(None);
    }
    if !std::io::stderr().is_terminal() {
        eprintln!("load is running; the fault comes in half a second");
        return Progress(None);
    }
    let tally = tally.clone();
    Progress(Some(tokio::spawn(async move {
        let mut refresh = tokio::time::interval(REFRESH_INTERVAL);
        loop {
            refresh.tick().await;
            draw(&tally);
        }
    })))
}

impl Progress {
    pub(crate) async fn finish(self) {
        if let Some(task) = self.0 {
            task.abort();
            // It was aborted just now, so its end is no news.
            let _ = task.await;
            eprint!("\r\x1b[2K");
        }
    }
}

fn draw(tally: &Tally) {
    let (acknowledged, lost_writer) = {
        let notes = tally.notes();
        (notes.acknowledged.len(), notes.fault.clone())
    };
    let state = match lost_writer {
        None => "all is well".to_owned(),
        Some(writer) => format!("after the fault on {writer}"),
    };
    let mut line = std::io::stderr().lock();
    // A terminal that cannot be written to is no reason to stop.
    let _ = write!(
        line,
        "\r\x1b[2K{acknowledged} writes acknowledged, {} failed · {} reads, {} failed · {state}",
        tally.writes_failed(),
        tally.reads(),
        tally.reads_failed(),
    );
    let _ = line.flush();
}
