//! Lagging readers, statement by statement, with the clock in the test's hand.

use std::sync::Arc;

use tokio::time::advance;

use super::*;
use crate::id::EngineKind;
use crate::sim::host::Host;
use crate::sim::sql::{Reply, Session, SqlError, Value};
use crate::sim::{InstanceState, Timeline};

const WRITER: &str = "demo-instance-1";
const READER: &str = "demo-instance-2";
const OTHER: &str = "demo-instance-3";
const BOTH: [EngineKind; 2] = [EngineKind::MySql, EngineKind::Postgres];

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

async fn start(engine: EngineKind) -> SimCluster {
    let builder = SimCluster::builder(engine).readers(2).seed(5);
    let cluster = builder.start().await.expect("the cluster starts");
    advance(millis(100)).await;
    cluster
}

/// A session at an instance, without the wire between.
struct Client(Session);

impl Client {
    fn at(cluster: &SimCluster, id: &str) -> Self {
        let machines = cluster.shared.machines();
        let running = machines.running(&id.into()).expect("the instance is up");
        let host = Arc::clone(&running.boot) as Arc<dyn Host>;
        let session = Session::open(host, &cluster.shared.volume, "app", "app");
        Self(session.expect("a session"))
    }

    async fn run(&mut self, script: &str) -> Result<Reply, SqlError> {
        let mut reply = None;
        for statement in self.0.parse(script)? {
            reply = Some(self.0.execute(&statement, &[]).await?);
        }
        Ok(reply.expect("a statement"))
    }

    async fn ok(&mut self, script: &str) -> Reply {
        match self.run(script).await {
            Ok(reply) => reply,
            Err(error) => panic!("{script}: {error}"),
        }
    }

    async fn number(&mut self, script: &str) -> i64 {
        match self.ok(script).await {
            Reply::Rows { rows, .. } => match rows.as_slice() {
                [row] => match row.as_slice() {
                    [Value::Integer(number)] => *number,
                    other => panic!("{script}: {other:?}"),
                },
                other => panic!("{script}: {other:?}"),
            },
            other => panic!("{script}: {other:?}"),
        }
    }

    async fn count(&mut self) -> i64 {
        self.number("SELECT count(*) FROM t").await
    }
}

/// The lag that the writer's replica-status table shows for the reader.
fn shown_lag(cluster: &SimCluster) -> f64 {
    let machines = cluster.shared.machines();
    let writer = machines.running(&WRITER.into()).expect("a writer");
    let rows = writer.boot.status_rows();
    let row = rows.iter().find(|row| row.server_id == READER);
    row.and_then(|row| row.lag_millis).expect("a lag")
}

fn lag(cluster: &SimCluster) -> Duration {
    let state = cluster.state();
    state.instance(READER).expect("the reader").lag
}

#[tokio::test(start_paused = true)]
async fn a_reader_sees_commits_and_tables_when_its_lag_has_passed() {
    for engine in BOTH {
        let cluster = start(engine).await;
        let mut writer = Client::at(&cluster, WRITER);
        writer.ok("CREATE TABLE t (id int)").await;
        let (mut reader, mut other) = (Client::at(&cluster, READER), Client::at(&cluster, OTHER));
        assert_eq!(reader.count().await, 0);
        advance(millis(50)).await;
        cluster.set_lag(READER, millis(500)).expect("a lag");
        writer.ok("INSERT INTO t VALUES (1)").await;
        writer.ok("CREATE TABLE u (id int)").await;
        assert_eq!(other.count().await, 1);
        assert_eq!(writer.count().await, 1, "the writer reads what it wrote");
        advance(millis(499)).await;
        assert_eq!(reader.count().await, 0);
        reader.run("SELECT * FROM u").await.expect_err("too new");
        assert_eq!(Client::at(&cluster, READER).count().await, 0);
        advance(millis(12)).await;
        assert_eq!(reader.count().await, 1);
        assert_eq!(reader.number("SELECT count(*) FROM u").await, 0);
        assert_eq!(Client::at(&cluster, READER).count().await, 1);
        cluster.set_lag(READER, Duration::ZERO).expect("no lag");
        writer.ok("INSERT INTO t VALUES (2)").await;
        assert_eq!(reader.count().await, 2);
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_lag_shows_in_the_table_and_in_the_state() {
    for engine in BOTH {
        let cluster = start(engine).await;
        assert_eq!(lag(&cluster), Duration::ZERO);
        cluster.set_lag(READER, millis(700)).expect("a lag");
        assert_eq!((shown_lag(&cluster), lag(&cluster)), (700.0, millis(700)));
        cluster.pause_replication(READER).expect("a pause");
        advance(Duration::from_secs(5)).await;
        assert_eq!(lag(&cluster), millis(5700));
        let shown = shown_lag(&cluster);
        assert!((4700.0..=5700.0).contains(&shown), "{shown}");
        cluster.resume_replication(READER).expect("an end");
        assert_eq!((shown_lag(&cluster), lag(&cluster)), (700.0, millis(700)));
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_sessions_agree_on_a_state_that_the_volume_had_a_lag_ago() {
    for (engine, wanted) in [
        (EngineKind::MySql, millis(200)),
        (EngineKind::Postgres, millis(2000)),
    ] {
        let cluster = start(engine).await;
        let tick = (wanted / 64).max(millis(10));
        let mut random = fastrand::Rng::with_seed(11);
        let mut writer = Client::at(&cluster, WRITER);
        writer.ok("CREATE TABLE t (id int)").await;
        cluster.set_lag(READER, wanted).expect("a lag");
        let mut readers = [Client::at(&cluster, READER), Client::at(&cluster, READER)];
        // When each count of rows was reached.
        let mut history = vec![cluster.now()];
        let (mut last, mut oldest) = (0, Duration::ZERO);
        for _ in 0..1500 {
            match random.u32(..3) {
                0 => {
                    writer.ok("INSERT INTO t VALUES (1)").await;
                    history.push(cluster.now());
                }
                1 => advance(Duration::from_micros(random.u64(..25_000))).await,
                _ => {
                    let now = cluster.now();
                    let shown = readers[0].count().await;
                    assert_eq!(readers[1].count().await, shown);
                    assert!(shown >= last, "never back in time");
                    last = shown;
                    let at = usize::try_from(shown).expect("a count");
                    // It was reached before `lag` ago, and replaced after a tick before that.
                    let reached = history[at];
                    assert!(shown == 0 || reached + wanted <= now, "too new: {shown}");
                    if let Some(replaced) = history.get(at + 1) {
                        assert!(*replaced + wanted + tick >= now, "too old: {shown}");
                        oldest = oldest.max(now - *replaced);
                    }
                }
            }
        }
        assert!(last > 20, "{last}: time went on");
        assert!(oldest > wanted / 2, "the reader was behind");
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_and_temporary_tables_outlast_a_change_of_the_state() {
    let cluster = start(EngineKind::MySql).await;
    let mut writer = Client::at(&cluster, WRITER);
    writer.ok("CREATE TABLE t (id int)").await;
    cluster.set_lag(READER, millis(100)).expect("a lag");
    advance(millis(200)).await;
    let mut reader = Client::at(&cluster, READER);
    reader.ok("CREATE TEMPORARY TABLE mine (id int)").await;
    reader.ok("INSERT INTO mine VALUES (1), (2)").await;
    reader.ok("BEGIN").await;
    assert_eq!(reader.count().await, 0);
    writer.ok("INSERT INTO t VALUES (1)").await;
    advance(millis(300)).await;
    assert_eq!(reader.count().await, 0, "the snapshot stays");
    reader.ok("COMMIT").await;
    assert_eq!(reader.count().await, 1);
    assert_eq!(reader.number("SELECT count(*) FROM mine").await, 2);
    let refused = reader.run("INSERT INTO t VALUES (9)").await;
    assert_eq!(refused.expect_err("a reader").number, 1290);
    cluster.set_lag(READER, Duration::ZERO).expect("no lag");
    assert_eq!(reader.count().await, 1);
    assert_eq!(reader.number("SELECT count(*) FROM mine").await, 2);
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_prepared_statement_follows_the_state() {
    let cluster = start(EngineKind::Postgres).await;
    let mut writer = Client::at(&cluster, WRITER);
    writer.ok("CREATE TABLE t (id int)").await;
    cluster.set_lag(READER, millis(100)).expect("a lag");
    let mut reader = Client::at(&cluster, READER);
    let statements = reader.0.parse("SELECT * FROM t").expect("a statement");
    let described = reader.0.describe(&statements[0], &[]).expect("columns");
    assert_eq!(described.columns.map(|columns| columns.len()), Some(1));
    writer.ok("ALTER TABLE t ADD COLUMN note text").await;
    advance(millis(50)).await;
    let described = reader.0.describe(&statements[0], &[]).expect("columns");
    assert_eq!(described.columns.map(|columns| columns.len()), Some(1));
    advance(millis(70)).await;
    let described = reader.0.describe(&statements[0], &[]).expect("columns");
    assert_eq!(described.columns.map(|columns| columns.len()), Some(2));
    cluster.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_reader_stands_still_and_resyncs() {
    for engine in BOTH {
        let cluster = start(engine).await;
        let mut writer = Client::at(&cluster, WRITER);
        writer.ok("CREATE TABLE t (id int)").await;
        let mut reader = Client::at(&cluster, READER);
        cluster.pause_replication(READER).expect("a pause");
        for _ in 0..10 {
            writer.ok("INSERT INTO t VALUES (1)").await;
            advance(Duration::from_secs(1)).await;
            assert_eq!(reader.count().await, 0);
        }
        assert_eq!(Client::at(&cluster, READER).count().await, 0);
        cluster.resume_replication(READER).expect("an end");
        assert_eq!(reader.count().await, 10);
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_too_far_behind_restarts_and_follows_again() {
    for (engine, restarting) in [
        (EngineKind::MySql, "Restarting MySQL"),
        (EngineKind::Postgres, "Restarting postgres"),
    ] {
        let cluster = start(engine).await;
        let mut writer = Client::at(&cluster, WRITER);
        writer.ok("CREATE TABLE t (id int)").await;
        cluster.pause_replication(READER).expect("a pause");
        writer.ok("INSERT INTO t VALUES (1)").await;
        tokio::time::sleep(Duration::from_secs(59)).await;
        let up = cluster.state();
        let reader = up.instance(READER).expect("the reader");
        assert_eq!(reader.state, InstanceState::Up);
        let down = cluster.wait_for(|state| {
            let reader = state.instance(READER);
            reader.is_some_and(|it| it.state == InstanceState::Refusing)
        });
        down.await;
        let message = format!("Read Replica has fallen behind the master too much. {restarting}");
        let events = cluster.events();
        assert!(events.iter().any(|it| it.message == message), "{events:?}");
        let back = cluster.wait_for(|state| state.readers().count() == 2);
        back.await;
        assert_eq!(lag(&cluster), Duration::ZERO);
        assert_eq!(Client::at(&cluster, READER).count().await, 1);
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_promoted_reader_sees_all_that_was_committed_and_forgets_its_lag() {
    for engine in BOTH {
        let cluster = start(engine).await;
        let mut writer = Client::at(&cluster, WRITER);
        writer.ok("CREATE TABLE t (id int)").await;
        cluster.set_lag(READER, millis(5000)).expect("a lag");
        cluster.pause_replication(READER).expect("a pause");
        writer.ok("INSERT INTO t VALUES (1)").await;
        cluster.failover(Some(&READER.into())).expect("a failover");
        cluster.failover_finished().await;
        assert_eq!(cluster.writer(), Some(READER.into()));
        assert_eq!(Client::at(&cluster, READER).count().await, 1);
        assert_eq!(lag(&cluster), Duration::ZERO);
        cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_lag_is_refused_with_the_reason() {
    let cluster = start(EngineKind::MySql).await;
    let refused = |result: Result<(), SimError>| result.expect_err("refused").to_string();
    assert!(refused(cluster.set_lag(WRITER, millis(1))).contains("is the writer"));
    assert!(refused(cluster.pause_replication(WRITER)).contains("is the writer"));
    assert!(refused(cluster.pause_replication("nobody")).contains("nobody"));
    let limit = Timeline::default().lag_limit;
    let beyond = cluster.set_lag(READER, limit + millis(1));
    assert!(refused(beyond).contains("lag_limit"));
    assert_eq!(lag(&cluster), Duration::ZERO);
    cluster.stop().await;
}
