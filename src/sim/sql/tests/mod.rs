//! The SQL engine on a fake instance: cases in text files, and what cases cannot express.

mod cases;
mod fake;
mod injection;
mod ledger;
mod limits;
mod locks;
mod named_locks;
mod transactions;
mod types;

use std::sync::Arc;

use super::*;
use crate::id::EngineKind;
use crate::sim::volume::Volume;
use fake::FakeHost;

/// A cluster of fakes over one volume.
struct Bench {
    volume: Arc<Volume>,
    writer: Arc<FakeHost>,
    reader: Arc<FakeHost>,
}

impl Bench {
    fn new(engine: EngineKind) -> Self {
        Self {
            volume: Arc::new(Volume::create().expect("a volume")),
            writer: Arc::new(FakeHost::new(engine, "instance-1", true)),
            reader: Arc::new(FakeHost::new(engine, "instance-2", false)),
        }
    }

    fn session(&self) -> Client {
        self.open(&self.writer)
    }

    fn reader_session(&self) -> Client {
        self.open(&self.reader)
    }

    fn open(&self, host: &Arc<FakeHost>) -> Client {
        let host = Arc::clone(host);
        let session = Session::open(host, &self.volume, "app_user", "app");
        Client(session.expect("a session"))
    }
}

/// A session with short calls for tests.
struct Client(Session);

impl Client {
    async fn run(&mut self, script: &str) -> Result<Reply, SqlError> {
        self.run_with(script, &[]).await
    }

    /// Runs a script; the answer is the last statement's.
    async fn run_with(&mut self, script: &str, parameters: &[Value]) -> Result<Reply, SqlError> {
        let mut reply = None;
        for statement in self.0.parse(script)? {
            reply = Some(self.0.execute(&statement, parameters).await?);
        }
        Ok(reply.expect("a script of at least one statement"))
    }

    async fn ok(&mut self, script: &str) -> Reply {
        match self.run(script).await {
            Ok(reply) => reply,
            Err(error) => panic!("{script}: {error}"),
        }
    }

    async fn err(&mut self, script: &str) -> SqlError {
        match self.run(script).await {
            Ok(reply) => panic!("{script}: expected an error, got {reply:?}"),
            Err(error) => error,
        }
    }

    async fn rows(&mut self, script: &str) -> Vec<Vec<Value>> {
        match self.ok(script).await {
            Reply::Rows { rows, .. } => rows,
            other => panic!("{script}: expected rows, got {other:?}"),
        }
    }

    /// The one integer that a query answers.
    async fn number(&mut self, script: &str) -> i64 {
        match self.rows(script).await.as_slice() {
            [row] => match row.as_slice() {
                [Value::Integer(number)] => *number,
                other => panic!("{script}: expected an integer, got {other:?}"),
            },
            other => panic!("{script}: expected one row, got {other:?}"),
        }
    }
}
