//! `aurora-sim`: a simulated Aurora cluster as a program, for any client to connect to.
//!
//! | file | idea |
//! |---|---|
//! | `arguments` | the flags, and the file that may stand for them |
//! | `introduction` | what is printed when it runs |

mod arguments;
mod introduction;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use aurora_driver::sim::control::Control;
use aurora_driver::sim::{SimCluster, SimError};

use arguments::Wish;

/// The exit code for flags that cannot be used, as clap's own.
const WRONG_USE: u8 = 2;

/// Why the program ends before its time.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn wrong_use(message: String) -> Self {
        Self {
            code: WRONG_USE,
            message,
        }
    }

    fn other(message: String) -> Self {
        Self { code: 1, message }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = match arguments::read() {
        Ok(wish) => run(wish).await,
        Err(message) => Err(Failure::wrong_use(message)),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing is left to do when even this cannot be said.
            let _ = writeln!(io::stderr(), "aurora-sim: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

async fn run(wish: Wish) -> Result<(), Failure> {
    let end = ended_by_signal().map_err(|error| {
        Failure::other(format!("the signals to end cannot be awaited: {error}"))
    })?;
    let control = Control::bind(wish.control).await.map_err(|error| {
        Failure::other(format!(
            "the control port {} cannot be listened on: {error}; choose another by --control \
             ADDRESS:PORT, port 0 for a free one",
            wish.control
        ))
    })?;
    let cluster = Arc::new(wish.builder.start().await.map_err(not_started)?);
    for (id, lag) in &wish.lags {
        let set = cluster.set_lag(id, *lag);
        set.map_err(|error| Failure::wrong_use(error.to_string()))?;
    }
    if let Some(sql) = &wish.sql {
        let run = cluster.run_sql(sql).await;
        run.map_err(|error| Failure::wrong_use(format!("the initial SQL: {error}")))?;
    }
    introduce(&cluster, &control, wish.ready_file.as_deref())
        .map_err(|error| Failure::other(format!("it cannot say that it runs: {error}")))?;
    let mut playback = wish.play.as_ref().map(|script| cluster.play(script));
    let played = async {
        if let Some(playback) = &mut playback
            && let Err(error) = playback.finished().await
        {
            // The cluster runs on; nothing is left to do when even this cannot be said.
            let _ = writeln!(io::stderr(), "aurora-sim: {error}");
        }
        std::future::pending().await
    };
    let ended = tokio::select! {
        ended = played => ended,
        () = end => Ok(()),
        served = control.serve(Arc::clone(&cluster)) => served,
    };
    if let Some(file) = &wish.ready_file {
        // It may have been removed by whoever waited for it.
        let _ = std::fs::remove_file(file);
    }
    ended.map_err(|error| Failure::other(format!("the control port broke: {error}")))
}

fn introduce(cluster: &SimCluster, control: &Control, ready: Option<&Path>) -> io::Result<()> {
    let text = introduction::text(cluster, control.address());
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    match ready {
        // Whole at once, so that nobody reads a half of it.
        Some(file) => {
            let half = file.with_extension("unfinished");
            std::fs::write(&half, format!("http://{}\n", control.address()))?;
            std::fs::rename(half, file)
        }
        None => Ok(()),
    }
}

fn not_started(error: SimError) -> Failure {
    match error {
        SimError::Config(message) => {
            Failure::wrong_use(format!("{message}; see aurora-sim --help"))
        }
        SimError::Listen { .. } => Failure::other(format!(
            "{error}; choose another by --port, 0 for a free one, or end what listens there"
        )),
        other => Failure::other(other.to_string()),
    }
}

/// Takes hold of the signals at once, so that none is missed while the cluster starts.
#[cfg(unix)]
fn ended_by_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn ended_by_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without the signal it runs on until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
