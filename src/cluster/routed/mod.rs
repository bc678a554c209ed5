//! Sessions that send each statement where its text lets it go.
//!
//! What a text is, `routing::statement` says; where it goes then, [`rules`]. Here connections are
//! taken and given back. [`postgres`] and [`mysql`] have the calls of each engine.

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod rules;
#[cfg(test)]
mod tests;

pub use rules::{Decision, Target};

use std::sync::Arc;
use std::time::Duration;

use super::Cluster;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::id::{EngineKind, InstanceId};
use crate::pool::lease::Connection;
use crate::routing::statement::{self, Statement};
use crate::time;
use rules::{Lost, Memory, Place, Refusal, Surroundings};

/// How long reads stay with the writer after a write: ten times what Aurora's replicas lag at most
/// as a rule ("usually much less than 100 milliseconds": Aurora User Guide, "Replication with
/// Amazon Aurora").
const READ_YOUR_WRITES_PERIOD: Duration = Duration::from_secs(1);

/// A session that sends each statement to a reader when it surely only reads, and to the writer
/// otherwise, as its text tells.
///
/// Take one by [`Cluster::routed`] for a piece of work, and use it as a connection: it has the
/// engine's usual methods, for texts. What was prepared, COPY and streams of rows are of one connection:
/// take a [`writer`](Cluster::writer) for them. In effect it is a connection to the writer, taken when one is first
/// needed and kept until the session is dropped or [`reset`](Self::reset), beside which pure reads go to whichever reader has time.
///
/// | statement | goes to |
/// |---|---|
/// | a single query that is surely a pure read | a reader |
/// | one that locks rows, changes data, or calls a function that is not known to be pure; several at once; one that does not parse | the writer |
/// | one whose answer is the session's own (`currval`, `LAST_INSERT_ID()`, `@@x`) | the writer, on the connection that the session has written over |
/// | one that asks for the id that was generated last (`LAST_INSERT_ID()`), when the connection it may have been generated over is gone | nowhere, until an id was generated over the new one, of which a round trip makes sure: the server would say 0, or an id of somebody else |
/// | any other, while a transaction is open | the transaction's instance: a reader where it was begun `READ ONLY`, the writer otherwise |
/// | any, after something was left in the session (`SET`, a temporary table, a lock, a cursor, a user variable), or may have been in a transaction that is a value | that connection, until [`reset`](Self::reset) |
/// | a read within a second after a write of this session | the writer ([`read_your_writes`](Self::read_your_writes)) |
/// | a read while no reader may be used | where [`when_none`](crate::Config::when_none) says: by default the writer, over the connection that the session has to it |
///
/// [`explain`](Self::explain) says of a text where it would go, and why.
///
/// # What it cannot see
///
/// Texts are judged without the database. So a pure read may still call, by a view, a rule, a policy,
/// a cast or an operator of your own, what is not pure; and a function of your own that has the name of a
/// built-in one ([`pure_functions`](crate::router::pure_functions)) is taken for that. A reader refuses
/// to write, so such a call fails there or does something to the reader's session; where that matters,
/// use [`writer`](Cluster::writer). What such a function sets in the session is seen where the server
/// reports it, and not otherwise: reads then go to readers without it. And other sessions' writes are
/// seen as late as by any reader.
///
/// # Errors
///
/// Calls fail as those of [`Connection`](crate::Connection) do, and as
/// [`writer`](Cluster::writer) and [`reader`](Cluster::reader). When a transaction or state was lost
/// with its connection, every further call is refused with
/// [`ConnectionLost`](ErrorKind::ConnectionLost), as it would be on a connection: a statement
/// of the lost transaction must not run by itself elsewhere. [`reset`](Self::reset) makes the session
/// usable again, and after the loss of a transaction alone so does a `ROLLBACK` or `COMMIT`, which is
/// refused too. A session that holds nothing goes on over another connection. No statement is sent
/// twice. A statement that asks for a generated id which may have been lost is refused with
/// [`ConnectionLost`](ErrorKind::ConnectionLost) too, and with [`Usage`](ErrorKind::Usage) while the
/// session is held on a reader; others go on.
///
/// # Cancellation
///
/// Any call may be dropped; its connection is then thrown away. A call that may have begun a
/// transaction or left something leaves the session as after a loss; others leave it as it was.
///
/// ```
/// # use aurora_driver::sim::SimCluster;
/// use aurora_driver::{Cluster, EngineKind, Postgres};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let simulated = SimCluster::builder(EngineKind::Postgres).readers(2).start().await?;
/// # simulated.run_sql("CREATE TABLE orders (id bigint, item text)").await?;
/// # let cluster = Cluster::<Postgres>::connect(&simulated.url()).await?;
/// let mut session = cluster.routed();
/// // To a reader.
/// session.query("SELECT item FROM orders WHERE id = $1", &[&7_i64]).await?;
/// // To the writer.
/// session.execute("INSERT INTO orders VALUES (7, $1)", &[&"tea"]).await?;
/// // To the writer too, for a second: it reads what was just written.
/// let row = session.query_one("SELECT count(*) FROM orders", &[]).await?;
/// assert_eq!(row.get::<_, i64>(0), 1);
///
/// let decision = session.explain("SELECT nextval('ids')");
/// assert_eq!(
///     decision.to_string(),
///     "to the writer: it calls `nextval`, which is not known to be pure"
/// );
/// # Ok(())
/// # }
/// ```
pub struct Session<E: Engine> {
    cluster: Cluster<E>,
    home: Option<Connection<E>>,
    visit: Option<Connection<E>>,
    memory: Memory,
    read_your_writes: Duration,
    last_instance: Option<InstanceId>,
}

impl<E: Engine> Cluster<E> {
    /// A session that sends each statement where its text lets it go. It takes no connection before
    /// its first statement.
    pub fn routed(&self) -> Session<E> {
        Session {
            cluster: self.clone(),
            home: None,
            visit: None,
            memory: Memory::default(),
            read_your_writes: READ_YOUR_WRITES_PERIOD,
            last_instance: None,
        }
    }
}

impl<E: Engine> Session<E> {
    /// For how long after a write of this session its reads go to the writer, so that they see what
    /// it wrote; by default a second, ten times the lag that Aurora's readers have at most as a rule.
    /// Zero lets reads go to readers at once; [`Duration::MAX`] keeps them at the writer for good.
    ///
    /// It counts from the answer to the last statement that may have written, a COMMIT among them.
    #[must_use]
    pub fn read_your_writes(mut self, period: Duration) -> Self {
        self.read_your_writes = period;
        self
    }

    /// Where a text would go now, and why. Nothing is sent.
    ///
    /// It takes some 0.1 µs for a text that the cluster's handle has met before, and 10 to 70 µs for
    /// a query that it has not (`cargo bench --bench router`).
    pub fn explain(&self, text: &str) -> Decision {
        let statement = self.classify(text);
        let around = self.surroundings();
        let mut memory = self.memory.clone();
        memory.settle(&around);
        memory.decide(&statement, &around)
    }

    /// Ends what is open and forgets what is left: gives the session's connections back, whose
    /// transactions are rolled back and whose state is taken away before anybody else gets them.
    ///
    /// Reads still stay with the writer after a write.
    pub fn reset(&mut self) {
        // Sees what a dropped call may have written.
        let around = self.surroundings();
        self.memory.settle(&around);
        self.memory.forget();
        self.home = None;
        self.visit = None;
    }

    /// Where the last statement was sent.
    pub fn last_instance(&self) -> Option<&InstanceId> {
        self.last_instance.as_ref()
    }

    fn classify(&self, text: &str) -> Arc<Statement> {
        self.cluster.inner.statements.classify(text)
    }

    fn surroundings(&self) -> Surroundings {
        let standing = |connection: &Connection<E>| E::standing(connection);
        let routes = self.cluster.inner.pools.routes();
        Surroundings {
            home: self.home.as_ref().map(standing),
            visit: self.visit.as_ref().map(standing),
            visits_writer: self.visit.as_ref().is_some_and(|visit| {
                routes
                    .writer()
                    .is_none_or(|writer| writer.id() == visit.instance())
            }),
            // Only with a connection to the writer there is a choice.
            has_reader: self.home.is_none() || !routes.reads().use_the_writer(),
            now: time::now(),
            read_your_writes: self.read_your_writes,
        }
    }

    /// The connection that a text goes over.
    async fn connection_for(&mut self, text: &str) -> Result<&mut Connection<E>> {
        let statement = self.classify(text);
        self.connection(&statement, false).await
    }

    /// The connection for a transaction that its caller will end.
    async fn connection_to_begin(&mut self, read_only: bool) -> Result<&mut Connection<E>> {
        let begin = Statement::begin(read_only);
        self.connection(&begin, true).await
    }

    async fn connection(
        &mut self,
        statement: &Statement,
        is_guard: bool,
    ) -> Result<&mut Connection<E>> {
        let chores = self.memory.settle(&self.surroundings());
        if chores.end_visit {
            self.visit = None;
        }
        if chores.roll_back_home
            && let Some(home) = &mut self.home
        {
            // Not to go on within the transaction if this is dropped.
            self.memory
                .begin(Place::Home, &Statement::begin(false), true);
            E::roll_back(home).await?;
            self.memory.settle(&self.surroundings());
        }
        if is_guard && self.memory.lost().is_none() && self.has_transaction().await? {
            return Err(Error::new(
                ErrorKind::Usage,
                "a transaction is open already, which was begun by SQL: end it first, or make a \
                 savepoint by SQL",
            ));
        }
        if self.memory.doubts_id(statement)
            && let Some(home) = &mut self.home
            && E::knows_id(home).await?
        {
            self.memory.finds_id();
        }
        let decision = self.memory.decide(statement, &self.surroundings());
        tracing::trace!(target = ?decision.target, reason = %decision.reason, "a statement is routed");
        if let Some(refusal) = self.memory.refuses(statement) {
            self.memory.gives_up(statement);
            return Err(refused(refusal));
        }
        let place = decision.place;
        match place {
            Place::Home => self.go_home(statement).await?,
            Place::Visit if self.visit.is_none() => {
                self.visit = Some(self.cluster.reader().await?);
            }
            Place::Visit => {}
        }
        let connection = match place {
            Place::Home => self.home.as_mut(),
            Place::Visit => self.visit.as_mut(),
        };
        let connection = connection.expect("it has just been taken");
        self.last_instance = Some(connection.instance().clone());
        self.memory.begin(place, statement, is_guard);
        Ok(connection)
    }

    /// Whether a transaction is open that was begun by text: asks the server where its last answer
    /// did not tell.
    async fn has_transaction(&mut self) -> Result<bool> {
        let connection = match self.memory.open() {
            None => return Ok(false),
            Some(Place::Home) => self.home.as_mut(),
            Some(Place::Visit) => self.visit.as_mut(),
        };
        if let Some(connection) = connection
            && E::standing(connection).in_transaction.is_none()
        {
            E::ping(connection).await.map_err(|failure| failure.error)?;
            self.memory.settle(&self.surroundings());
        }
        Ok(self.memory.open().is_some())
    }

    /// Sees to it that there is a connection to the writer.
    async fn go_home(&mut self, statement: &Statement) -> Result<()> {
        let home = self.home.as_ref();
        let is_of_use = home.is_some_and(|home| !E::standing(home).is_over && !home.is_outdated());
        if home.is_none() || !is_of_use && self.memory.may_move_home(statement) {
            self.home = None;
            let forgets_id = self.memory.leave_home();
            let mut home = self.cluster.writer().await?;
            if forgets_id {
                E::forget_id(&mut home).await?;
            }
            self.home = Some(home);
        }
        Ok(())
    }

    /// The call has come to its end.
    fn done(&mut self) {
        let around = self.surroundings();
        self.memory.end(&around);
        if !self.memory.keeps_visit() {
            self.visit = None;
        }
    }
}

fn refused(refusal: Refusal) -> Error {
    let (kind, advice) = match refusal {
        Refusal::Lost(Lost::Transaction) => (
            ErrorKind::ConnectionLost,
            "roll back, or reset the session, and begin anew",
        ),
        Refusal::Lost(Lost::State) => (
            ErrorKind::ConnectionLost,
            "reset the session and begin anew",
        ),
        Refusal::IdLost => (
            ErrorKind::ConnectionLost,
            "ask right after the insert, in one transaction with it, or reset the session",
        ),
        Refusal::IdElsewhere => (
            ErrorKind::Usage,
            "ask before that, or take the id from the answer to the insert",
        ),
    };
    Error::new(kind, format!("{refusal}, and nothing was sent: {advice}"))
}

impl<E: Engine> std::fmt::Debug for Session<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("home", &self.home.as_ref().map(Connection::instance))
            .field("visit", &self.visit.as_ref().map(Connection::instance))
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

/// The names of the built-in functions that the router knows to be pure; a query that calls any
/// other goes to the writer.
pub fn pure_functions(engine: EngineKind) -> impl Iterator<Item = &'static str> {
    statement::pure_functions(engine)
}
