//! The engine behind function calls: what the driver asks of any database, asked of the world.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::engine::record::Record;
use crate::engine::reporter::Reporter;
use crate::engine::{Backend, Condition, Dial, Engine, Failure, Survey};
use crate::error::{Error, ErrorKind, Outcome, ServerCode};
use crate::id::{EngineKind, Generation, InstanceId};
use crate::resolve::Resolver;
use crate::sim::host::{MASTER_SESSION_ID, StatusRow};
use crate::topology::observation::{Fault, Row};

use super::client::{Client, ended};
use super::transaction::Transaction;
use super::names;
use super::shell::{Commit, Knock, Session, Shared};

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

    async fn commit(transaction: Self::Transaction<'_>) -> Result<(), Error> {
        transaction.commit().await
    }

    fn begin_record(client: &mut Client) {
        client.record = Record::default();
    }

    fn record(client: &Client) -> Record {
        client.record()
    }

    // Each look-up is asked anew: a call costs nothing that would have to be remembered.
    fn resolve(
        _: &Resolver,
        host: &str,
    ) -> impl Future<Output = Result<Arc<[IpAddr]>, Error>> + Send {
        let found = names::find(host).and_then(|cluster| cluster.resolve(host));
        std::future::ready(match found {
            Some(addresses) => Ok(addresses.into()),
            None => Err(Error::new(
                ErrorKind::Resolve,
                format!(
                    "no direct cluster of this process has the name `{host}`: is it still running?"
                ),
            )),
        })
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
                identity: session.instance.clone(),
                is_writer,
                server_now_micros: shared.now_micros(),
                rows: rows.iter().map(row).collect(),
            })
        };
        client.call("survey", Outcome::Unknown, look).await
    }

    async fn ping(client: &mut Client) -> Result<(), Failure> {
        let ping = client.call("ping", Outcome::Unknown, |_, _| Ok(()));
        ping.await
    }

    fn condition(client: &Client) -> Condition {
        client.condition()
    }

    async fn clean(client: &mut Client) -> Result<(), Failure> {
        client.pending = None;
        let rollback = client.call("rollback", Outcome::Unknown, |_, _| Ok(()));
        rollback.await
    }

    fn belongs_to(client: &Client, instance: &InstanceId, generation: Generation) -> bool {
        client.reporter.belongs_to(instance, generation)
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
    let mut last = refused(&dial.host);
    for address in dial.addresses.iter() {
        tokio::time::sleep(shared.latency()).await;
        let knock = shared.knock(*address);
        shared.note(format_args!("connect to {address}: {}", describe(&knock)));
        match knock {
            Knock::In(session) => return log_in(shared, session, &dial).await,
            Knock::Silent => std::future::pending().await,
            Knock::Starting => {
                last = Failure {
                    fault: Fault::Starting,
                    error: Error::new(ErrorKind::Connect, "the database system is starting up")
                        .with_code(ServerCode::sqlstate("57P03")),
                }
            }
            Knock::Refused => last = refused(&dial.host),
        }
    }
    Err(last)
}

async fn log_in(shared: Arc<Shared>, session: Session, dial: &Dial) -> Result<Client, Failure> {
    let open = CancellationToken::new();
    let reporter = dial.reporter.clone();
    let mut client = Client {
        _open: open.clone().drop_guard(),
        shared,
        session,
        reporter: Reporter::silent(),
        pending: None,
        under_way: false,
        is_broken: false,
        record: Record::default(),
    };
    // The pool hears of a failed login from its error, not as news of a connection.
    let login = client.call("login", Outcome::NotSent, |_, _| Ok(()));
    login.await?;
    client.reporter = reporter.clone();
    let ending = client.session.ending.clone();
    let tasks = &dial.spawner;
    tasks.spawn("direct-connection", async move {
        tokio::select! {
            biased;
            () = open.cancelled() => {}
            fault = ended(ending) => reporter.trouble(fault),
        }
    });
    Ok(client)
}

fn describe(knock: &Knock) -> &'static str {
    match knock {
        Knock::Refused => "refused",
        Knock::Silent => "no answer",
        Knock::Starting => "starting",
        Knock::In(_) => "open",
    }
}

fn refused(host: &str) -> Failure {
    Failure {
        fault: Fault::Refused,
        error: Error::new(ErrorKind::Connect, format!("nothing listens at `{host}`")),
    }
}
