//! The engine behind function calls: what the driver asks of any database, asked of the world.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::record::Record;
use crate::engine::reporter::Reporter;
use crate::engine::{Backend, Condition, Dial, Engine, Failure, Purpose, Survey};
use crate::error::{Error, ErrorKind, Outcome};
use crate::id::{EngineKind, InstanceId};
use crate::resolve::{Lookup, Resolver};
use crate::sim::fault::{Place, StatementKind};
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};
use crate::topology::observation::{Fault, Row};

use super::answer::Upset;
use super::client::Client;
use super::machine::{Knock, Session};
use super::names;
use super::shell::{Commit, Shared};
use super::traffic::{Attempt, DirectPurpose};
use super::transaction::Transaction;
use super::trip::Statement;

/// The engine of a [`DirectCluster`](super::DirectCluster): `Cluster::<Direct>`.
///
/// To the driver it is Aurora PostgreSQL: that engine's timeline, its 57P03 while it starts, its
/// 57P01 at the end, its 25006 from readers.
#[derive(Debug, Clone, Copy)]
pub struct Direct;

impl Engine for Direct {}

impl Backend for Direct {
    const KIND: EngineKind = EngineKind::Postgres;

    type Client = Client;

    type Transaction<'a> = Transaction<'a>;

    async fn begin(client: &mut Client) -> Result<Transaction<'_>, Error> {
        client.begin().await?;
        Ok(Transaction::new(client))
    }

    async fn commit(client: &mut Client) -> Result<(), Error> {
        client.commit().await
    }

    fn begin_record(client: &mut Client) {
        client.record = Record::default();
    }

    fn record(client: &Client) -> Record {
        client.record()
    }

    // Each look-up is asked anew, as all are here.
    fn resolve_anew(
        _: &Resolver,
        host: &str,
    ) -> impl Future<Output = Result<(Lookup, Duration), Error>> + Send {
        let host = host.to_owned();
        async move {
            let addresses = names::resolve(host).await?;
            let canonical = None;
            let stale = false;
            let lookup = Lookup {
                addresses,
                canonical,
                stale,
            };
            Ok((lookup, Duration::ZERO))
        }
    }

    // A call costs nothing that would have to be remembered.
    fn resolve(
        _: &Resolver,
        host: &str,
    ) -> impl Future<Output = Result<Arc<[IpAddr]>, Error>> + Send {
        names::resolve(host.to_owned())
    }

    async fn connect(dial: Dial) -> Result<Client, Failure> {
        let deadline = dial.deadline;
        let host = Arc::clone(&dial.host);
        let answer = tokio::time::timeout_at(deadline, connect(dial)).await;
        answer.unwrap_or_else(|_| Err(Failure::timed_out(format!("no answer from {host} in time"))))
    }

    async fn survey(client: &mut Client) -> Result<Survey, Failure> {
        let look = |shared: &Shared, session: &Session| {
            let (is_writer, rows) = shared.survey(session).ok_or(Commit::Fenced)?;
            Ok(Survey {
                identity: Some(session.instance.clone()),
                is_writer,
                server_now_micros: shared.now_micros(),
                rows: rows.iter().map(row).collect(),
            })
        };
        let survey = Statement::new("survey", StatementKind::Topology, Outcome::Unknown);
        client.call(survey, look).await
    }

    async fn ping(client: &mut Client) -> Result<(), Failure> {
        let ping = Statement::new("ping", StatementKind::Other, Outcome::Unknown);
        client.call(ping, |_, _| Ok(())).await
    }

    fn condition(client: &Client) -> Condition {
        client.condition()
    }

    async fn clean(client: &mut Client) -> Result<(), Failure> {
        client.transaction = None;
        let rollback = Statement::new("rollback", StatementKind::Rollback, Outcome::Unknown);
        client.call(rollback, |_, _| Ok(())).await
    }

    fn reporter(client: &Client) -> &Reporter {
        &client.reporter
    }

    fn kill(client: Client) {
        drop(client);
    }
}

fn row(row: &StatusRow) -> Row {
    Row {
        id: InstanceId::new(&row.server_id),
        is_writer: row.session_id == MASTER_SESSION_ID,
        updated_micros: row.last_update_micros,
        lag_millis: row.lag_millis,
    }
}

async fn connect(dial: Dial) -> Result<Client, Failure> {
    let Some(shared) = names::find(&dial.host) else {
        return Err(refused(&dial.host));
    };
    let process = dial.config.application_name.as_deref().unwrap_or_default();
    let purpose = match (dial.purpose, dial.reporter.instance()) {
        (Purpose::Pool, _) => DirectPurpose::Pool,
        (Purpose::Monitor, Some(_)) => DirectPurpose::Monitor,
        (Purpose::Monitor, None) => DirectPurpose::Seed,
    };
    let client = (Arc::from(process), purpose);
    let mut last = refused(&dial.host);
    for address in dial.addresses.iter() {
        tokio::time::sleep(shared.latency()).await;
        let (knock, attempt) = shared.knock(*address, &client);
        let instance = attempt.as_ref().map(Attempt::instance);
        let turned = |fault: Fault| match &instance {
            Some(instance) => Upset::from(fault).failure(Outcome::NotSent, instance),
            None => refused(&dial.host),
        };
        last = match (knock, attempt) {
            (Knock::In(session, place), Some(attempt)) => {
                return log_in(shared, (session, place, attempt), &dial).await;
            }
            (Knock::Silent, _attempt) => std::future::pending().await,
            (Knock::Starting, _) => turned(Fault::Starting),
            (Knock::Full, _) => turned(Fault::Full),
            (Knock::Reset, _) => turned(Fault::Lost),
            (Knock::Refused | Knock::In(..), _) => refused(&dial.host),
        };
    }
    Err(last)
}

async fn log_in(
    shared: Arc<Shared>,
    (session, place, attempt): (Session, Place, Attempt),
    dial: &Dial,
) -> Result<Client, Failure> {
    let open = CancellationToken::new();
    let reporter = dial.reporter.clone();
    let mut client = Client {
        _open: open.clone().drop_guard(),
        _place: place,
        attempt,
        shared,
        session,
        reporter: Reporter::silent(),
        transaction: None,
        under_way: false,
        is_broken: false,
        record: Record::default(),
    };
    let micros = u64::try_from(client.shared.now_micros()).unwrap_or_default();
    let gate = Arc::clone(&client.session.gate);
    gate.take_turn(micros).await;
    // The pool hears of a failed login from its error, not as news of a connection.
    client.call(Statement::login(), |_, _| Ok(())).await?;
    client.attempt.logged_in();
    client.reporter = reporter.clone();
    let fate = client.session.fate.clone();
    let tasks = &dial.spawner;
    tasks.spawn("direct-connection", async move {
        tokio::select! {
            biased;
            () = open.cancelled() => {}
            fault = fate.ended() => reporter.trouble(fault),
        }
    });
    Ok(client)
}

fn refused(host: &str) -> Failure {
    Failure {
        fault: Fault::Refused,
        error: Error::new(ErrorKind::Connect, format!("nothing listens at `{host}`")),
    }
}
