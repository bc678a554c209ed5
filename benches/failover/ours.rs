//! This crate's driver under the load, in a process of its own like every contestant.

use std::time::{Duration, SystemTime};

use aurora_driver::{Cluster, EngineKind, Error, ErrorKind, Events, MySql, Outcome, Postgres};

use crate::engine::Database;
use crate::load::{self, Client, Failure, Note, Size};

/// Far more than closing takes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the load on the cluster of `url`, and tells the driver's own events after it.
pub(crate) async fn run(engine: EngineKind, url: &str, size: Size) -> anyhow::Result<()> {
    match engine {
        EngineKind::Postgres => load_on::<Postgres>(url, size).await?,
        EngineKind::MySql => load_on::<MySql>(url, size).await?,
    }
    load::end()?;
    Ok(())
}

async fn load_on<E: Database>(url: &str, size: Size) -> anyhow::Result<()> {
    let cluster = Cluster::<E>::connect(url).await?;
    let heard = tokio::spawn(listen(cluster.events()));
    load::run(Ours(cluster.clone()), size).await?;
    cluster.close(CLOSE_TIMEOUT).await;
    for line in heard.await? {
        println!("{line}");
    }
    Ok(())
}

/// Until the cluster is closed.
async fn listen(mut events: Events) -> Vec<String> {
    let mut lines = Vec::new();
    while let Some(event) = events.next().await {
        let at = event.at.duration_since(SystemTime::UNIX_EPOCH);
        let at = at.unwrap_or_default().as_micros();
        lines.push(format!("e {at} {} {}", event.kind.name(), event.kind));
    }
    lines
}

struct Ours<E: Database>(Cluster<E>);

impl<E: Database> Clone for Ours<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Database> Client for Ours<E> {
    async fn write(&self, number: i64, note: &Note) -> Result<(), Failure> {
        let mut writer = self.0.writer().await.map_err(|error| failure(&error))?;
        note.sent();
        let written = E::write(&mut writer, number).await;
        written.map_err(|error| failure(&error))
    }

    async fn read(&self, note: &Note) -> Result<(), Failure> {
        let mut reader = self.0.reader().await.map_err(|error| failure(&error))?;
        note.sent();
        let count = E::count(&mut reader).await;
        count.map(drop).map_err(|error| failure(&error))
    }
}

/// The same number is sent again only where the driver is sure that nothing of it stayed, which the
/// ledger then checks.
fn failure(error: &Error) -> Failure {
    let class = match (error.kind(), error.outcome()) {
        (ErrorKind::Timeout, Outcome::NotSent) => "timeout",
        (_, Outcome::NotSent) => "not-sent",
        (_, Outcome::Rejected) => "rejected",
        (_, Outcome::Applied) => "applied",
        (_, Outcome::Unknown) => "unknown",
    };
    let without_effect = matches!(error.outcome(), Outcome::NotSent | Outcome::Rejected);
    Failure {
        class,
        again: without_effect && error.is_retryable(),
    }
}
