//! Sessions that send each statement where its text lets it go.

use std::time::Duration;

use aurora_driver::route::Intent;
use aurora_driver::router::{Session, Target};
use aurora_driver::sim::{FaultPoint, SimCluster, StatementFault};
use aurora_driver::{Cluster, Error, ErrorKind, InstanceId, MySql, Outcome, Postgres, Result};
use mysql_async::TxOpts;
use mysql_async::prelude::Queryable;

use crate::database::{Database, PATIENCE, eventually, on_both_engines, start, start_with};

on_both_engines!(
    pure_reads_go_to_readers_and_all_else_to_the_writer,
    a_session_reads_its_own_writes_unless_it_is_told_not_to,
    a_transaction_begun_by_text_stays_on_its_instance,
    a_read_only_transaction_goes_to_a_reader,
    a_transaction_that_is_dropped_leaves_nothing_behind,
    a_script_that_fails_may_leave_a_transaction_open,
    state_keeps_a_session_on_its_connection_until_it_is_reset,
    what_a_transaction_leaves_in_the_session_stays_with_it,
    what_is_the_sessions_own_is_answered_by_the_connection_that_wrote,
    connections_are_given_back_as_soon_as_nothing_holds_them,
    a_session_that_holds_nothing_goes_on_after_a_failover,
    a_transaction_that_is_lost_refuses_what_would_run_by_itself,
    a_dropped_call_leaves_the_session_safe,
    an_answer_that_is_lost_is_told_and_nothing_is_sent_twice,
    without_a_reader_a_session_uses_one_connection,
    while_all_readers_lag_a_session_uses_one_connection,
);

/// The calls of both engines, as far as the tests need them.
trait Calls: Database {
    /// Sets something in the session, and says whether it is so.
    const SET: &'static str;
    const IS_SET: &'static str;
    const LAST_ID: &'static str;

    fn send(session: &mut Session<Self>, text: &str) -> impl Future<Output = Result<()>> + Send;

    fn ask(session: &mut Session<Self>, text: &str) -> impl Future<Output = Result<i64>> + Send;

    /// Inserts a number in a transaction that is a value, and says where that was.
    fn insert_in_transaction(
        session: &mut Session<Self>,
        number: i64,
        commits: bool,
    ) -> impl Future<Output = Result<InstanceId>> + Send;

    /// Sets something in the session within a transaction that is a value, and commits.
    fn set_in_transaction(session: &mut Session<Self>) -> impl Future<Output = ()> + Send;

    /// Where a READ ONLY transaction goes, and how it takes a write.
    fn write_in_read_only_transaction(
        session: &mut Session<Self>,
    ) -> impl Future<Output = (InstanceId, Result<()>)> + Send;
}

impl Calls for Postgres {
    const SET: &'static str = "SET application_name = 'routed'";
    const IS_SET: &'static str = "current_setting('application_name') = 'routed'";
    const LAST_ID: &'static str = "SELECT currval('ids')";

    async fn send(session: &mut Session<Self>, text: &str) -> Result<()> {
        session.batch_execute(text).await
    }

    async fn ask(session: &mut Session<Self>, text: &str) -> Result<i64> {
        Ok(session.query_one(text, &[]).await?.get(0))
    }

    async fn insert_in_transaction(
        session: &mut Session<Self>,
        number: i64,
        commits: bool,
    ) -> Result<InstanceId> {
        let transaction = session.transaction().await?;
        let instance = transaction.instance().clone();
        let insert = "INSERT INTO t (n) VALUES ($1)";
        transaction.execute(insert, &[&number]).await?;
        if commits {
            transaction.commit().await?;
        }
        Ok(instance)
    }

    async fn set_in_transaction(session: &mut Session<Self>) {
        let transaction = session.transaction().await.unwrap();
        transaction.batch_execute(Self::SET).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn write_in_read_only_transaction(
        session: &mut Session<Self>,
    ) -> (InstanceId, Result<()>) {
        let transaction = session.read_only_transaction().await.unwrap();
        let instance = transaction.instance().clone();
        let written = transaction
            .execute("INSERT INTO t (n) VALUES (1)", &[])
            .await;
        (instance, written.map(drop))
    }
}

impl Calls for MySql {
    const SET: &'static str = "SET @x = 71";
    const IS_SET: &'static str = "@x = 71";
    const LAST_ID: &'static str = "SELECT LAST_INSERT_ID()";

    async fn send(session: &mut Session<Self>, text: &str) -> Result<()> {
        session.query_drop(text).await.map_err(Error::from)
    }

    async fn ask(session: &mut Session<Self>, text: &str) -> Result<i64> {
        let number: Option<i64> = session.exec_first(text, ()).await.map_err(Error::from)?;
        Ok(number.expect("the query gives a row"))
    }

    async fn insert_in_transaction(
        session: &mut Session<Self>,
        number: i64,
        commits: bool,
    ) -> Result<InstanceId> {
        let begun = session.start_transaction(TxOpts::default()).await;
        let mut transaction = begun.map_err(Error::from)?;
        let instance = transaction.instance().clone();
        let insert = "INSERT INTO t (n) VALUES (?)";
        transaction.exec_drop(insert, (number,)).await?;
        if commits {
            transaction.commit().await?;
        }
        Ok(instance)
    }

    async fn set_in_transaction(session: &mut Session<Self>) {
        let begun = session.start_transaction(TxOpts::default()).await;
        let mut transaction = begun.unwrap();
        transaction.query_drop(Self::SET).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn write_in_read_only_transaction(
        session: &mut Session<Self>,
    ) -> (InstanceId, Result<()>) {
        let mut options = TxOpts::new();
        options.with_readonly(true);
        let mut transaction = session.start_transaction(options).await.unwrap();
        let instance = transaction.instance().clone();
        let written = transaction
            .exec_drop("INSERT INTO t (n) VALUES (1)", ())
            .await;
        (instance, written.map_err(Error::from))
    }
}

const COUNT: &str = "SELECT count(*) FROM t";

async fn start_session<E: Calls>() -> (SimCluster, Cluster<E>, Session<E>) {
    let (simulated, cluster) = start::<E>().await;
    let session = cluster.routed().read_your_writes(Duration::ZERO);
    (simulated, cluster, session)
}

fn went_to<E: Calls>(session: &Session<E>) -> InstanceId {
    session.last_instance().expect("it was used").clone()
}

#[track_caller]
fn assert_is_reader<E: Calls>(simulated: &SimCluster, session: &Session<E>) {
    let instance = went_to(session);
    assert!(simulated.readers().contains(&instance), "{instance}");
}

#[track_caller]
fn assert_is_writer<E: Calls>(simulated: &SimCluster, session: &Session<E>) {
    assert_eq!(simulated.writer(), Some(went_to(session)));
}

async fn pure_reads_go_to_readers_and_all_else_to_the_writer<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    for number in 0..10 {
        let insert = format!("INSERT INTO t (n) VALUES ({number})");
        E::send(&mut session, &insert).await.unwrap();
        assert_is_writer(&simulated, &session);
        assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), number + 1);
        assert_is_reader(&simulated, &session);
    }
    for text in [
        "SELECT n FROM t WHERE n = 1 FOR UPDATE",
        "SELECT count(*) FROM t; SELECT count(*) FROM t",
        "UPDATE t SET n = n WHERE n = 5",
    ] {
        let decision = session.explain(text);
        assert_eq!(decision.target(), Target::Writer, "{decision}");
        E::send(&mut session, text).await.unwrap();
        assert_is_writer(&simulated, &session);
    }
    let decision = session.explain(COUNT);
    assert_eq!(decision.to_string(), "to a reader: it is a pure read");
    for reader in simulated.readers() {
        assert_eq!(simulated.counters(&reader).unwrap().writes, 0);
    }
}

async fn a_session_reads_its_own_writes_unless_it_is_told_not_to<E: Calls>() {
    let (simulated, cluster) = start::<E>().await;
    let lag = Duration::from_secs(50);
    for reader in simulated.readers() {
        simulated.set_lag(&reader, lag).unwrap();
    }
    let mut session = cluster.routed().read_your_writes(Duration::MAX);
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 0);
    assert_is_reader(&simulated, &session);
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
    assert_is_writer(&simulated, &session);
    let reason = session.explain(COUNT).to_string();
    assert!(reason.contains("reads its own writes"), "{reason}");
    // Neither a transaction of its own nor a reset makes it forget that.
    E::insert_in_transaction(&mut session, 2, true)
        .await
        .unwrap();
    session.reset();
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 2);
    let mut hasty = cluster.routed().read_your_writes(Duration::ZERO);
    E::send(&mut hasty, "INSERT INTO t (n) VALUES (3)")
        .await
        .unwrap();
    assert_eq!(E::ask(&mut hasty, COUNT).await.unwrap(), 0);
    assert_is_reader(&simulated, &hasty);
}

async fn a_transaction_begun_by_text_stays_on_its_instance<E: Calls>() {
    let (simulated, cluster, mut session) = start_session::<E>().await;
    E::send(&mut session, "BEGIN").await.unwrap();
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
    assert_is_writer(&simulated, &session);
    let reason = session.explain(COUNT).to_string();
    assert_eq!(reason, "to the writer: a transaction is open there");
    let mut other = cluster.routed();
    assert_eq!(E::ask(&mut other, COUNT).await.unwrap(), 0);
    E::send(&mut session, "ROLLBACK").await.unwrap();
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 0);
    assert_is_reader(&simulated, &session);

    E::send(&mut session, "START TRANSACTION READ ONLY")
        .await
        .unwrap();
    let reader = went_to(&session);
    assert_is_reader(&simulated, &session);
    for _ in 0..5 {
        E::ask(&mut session, COUNT).await.unwrap();
        assert_eq!(went_to(&session), reader);
    }
    E::send(&mut session, "COMMIT").await.unwrap();
    assert_eq!(went_to(&session), reader);
    E::send(&mut session, "INSERT INTO t (n) VALUES (2)")
        .await
        .unwrap();
    assert_is_writer(&simulated, &session);

    // What the server says counts, not the text.
    E::send(&mut session, "BEGIN; INSERT INTO t (n) VALUES (3); COMMIT")
        .await
        .unwrap();
    E::ask(&mut session, COUNT).await.unwrap();
    assert_is_reader(&simulated, &session);
    E::send(&mut session, "INSERT INTO t (n) VALUES (4); BEGIN")
        .await
        .unwrap();
    E::ask(&mut session, COUNT).await.unwrap();
    assert_is_writer(&simulated, &session);
}

async fn a_read_only_transaction_goes_to_a_reader<E: Calls>() {
    let (simulated, cluster, mut session) = start_session::<E>().await;
    let (instance, written) = E::write_in_read_only_transaction(&mut session).await;
    assert!(simulated.readers().contains(&instance));
    assert_eq!(written.unwrap_err().outcome(), Outcome::Rejected);
    // With no reader to go to it is READ ONLY all the same.
    for reader in simulated.readers() {
        simulated.remove_instance(&reader).unwrap();
    }
    eventually("no reader is left", || {
        cluster.topology().readers().next().is_none()
    })
    .await;
    let (instance, written) = E::write_in_read_only_transaction(&mut session).await;
    assert_eq!(simulated.writer(), Some(instance));
    assert_eq!(written.unwrap_err().outcome(), Outcome::Rejected);
    assert_eq!(simulated.query(COUNT).unwrap()[0][0], 0);
}

async fn a_transaction_that_is_dropped_leaves_nothing_behind<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    let instance = E::insert_in_transaction(&mut session, 1, false)
        .await
        .unwrap();
    assert_eq!(simulated.writer(), Some(instance));
    E::send(&mut session, "INSERT INTO t (n) VALUES (2)")
        .await
        .unwrap();
    assert_eq!(simulated.query("SELECT n FROM t").unwrap()[0][0], 2);
    E::ask(&mut session, COUNT).await.unwrap();
    assert_is_reader(&simulated, &session);
    E::insert_in_transaction(&mut session, 3, true)
        .await
        .unwrap();
    E::ask(&mut session, COUNT).await.unwrap();
    assert_is_reader(&simulated, &session);
    // Databases do not nest them.
    E::send(&mut session, "BEGIN").await.unwrap();
    let refused = E::insert_in_transaction(&mut session, 4, true)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage);
    assert_eq!(refused.outcome(), Outcome::NotSent);
    E::send(&mut session, "COMMIT").await.unwrap();
    assert_eq!(simulated.query(COUNT).unwrap()[0][0], 2);
}

async fn a_script_that_fails_may_leave_a_transaction_open<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    let script = "BEGIN; INSERT INTO t (n) VALUES (1); INSERT INTO nowhere (n) VALUES (2)";
    E::send(&mut session, script).await.unwrap_err();
    assert_eq!(session.explain(COUNT).target(), Target::Writer);
    let refused = E::insert_in_transaction(&mut session, 4, true)
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage, "{refused}");
    E::send(&mut session, "ROLLBACK").await.unwrap();
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 0);
    assert_is_reader(&simulated, &session);
    // One that has begun none is no hindrance.
    let script = "INSERT INTO nowhere (n) VALUES (5); INSERT INTO t (n) VALUES (6)";
    E::send(&mut session, script).await.unwrap_err();
    E::insert_in_transaction(&mut session, 7, true)
        .await
        .unwrap();
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
    assert_is_reader(&simulated, &session);
}

async fn state_keeps_a_session_on_its_connection_until_it_is_reset<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    for text in [E::SET, "CREATE TEMPORARY TABLE temporary_t (n bigint)"] {
        E::send(&mut session, text).await.unwrap();
        for _ in 0..5 {
            E::ask(&mut session, COUNT).await.unwrap();
            assert_is_writer(&simulated, &session);
        }
        let reason = session.explain(COUNT).to_string();
        assert!(reason.contains("holds state"), "{reason}");
        if text == E::SET {
            let holds = format!("{COUNT} WHERE {}", E::IS_SET);
            assert_eq!(E::ask(&mut session, &holds).await.unwrap(), 1);
        } else {
            E::send(&mut session, "INSERT INTO temporary_t VALUES (1)")
                .await
                .unwrap();
            let count = "SELECT count(*) FROM temporary_t";
            assert_eq!(E::ask(&mut session, count).await.unwrap(), 1);
        }
        session.reset();
        E::ask(&mut session, COUNT).await.unwrap();
        assert_is_reader(&simulated, &session);
    }
}

async fn what_a_transaction_leaves_in_the_session_stays_with_it<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    E::set_in_transaction(&mut session).await;
    let holds = format!("{COUNT} WHERE {}", E::IS_SET);
    for _ in 0..5 {
        assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
        assert_is_writer(&simulated, &session);
        assert_eq!(E::ask(&mut session, &holds).await.unwrap(), 1);
    }
    let reason = session.explain(COUNT).to_string();
    assert!(reason.contains("left by a transaction"), "{reason}");
    simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    while session.explain(COUNT).target() != Target::Nowhere {
        E::send(&mut session, COUNT).await.unwrap_err();
    }
    session.reset();
    E::ask(&mut session, COUNT).await.unwrap();
    assert_is_reader(&simulated, &session);
}

#[tokio::test]
async fn the_isolation_level_of_one_transaction_is_nothing_left_in_the_session() {
    let (simulated, _cluster, mut session) = start_session::<MySql>().await;
    let mut options = TxOpts::new();
    options.with_isolation_level(mysql_async::IsolationLevel::Serializable);
    let transaction = session.start_transaction(options).await.unwrap();
    transaction.commit().await.unwrap();
    MySql::ask(&mut session, COUNT).await.unwrap();
    assert_is_reader(&simulated, &session);
}

async fn what_is_the_sessions_own_is_answered_by_the_connection_that_wrote<E: Calls>() {
    let (simulated, cluster, mut session) = start_session::<E>().await;
    let create = match <E as Database>::KIND {
        aurora_driver::EngineKind::Postgres => {
            "CREATE SEQUENCE ids; CREATE TABLE numbered (id bigint DEFAULT nextval('ids'), n int)"
        }
        aurora_driver::EngineKind::MySql => {
            "CREATE TABLE numbered (id bigint AUTO_INCREMENT PRIMARY KEY, n int)"
        }
    };
    E::send(&mut session, create).await.unwrap();
    let child = "CREATE TABLE child (n bigint)";
    E::send(&mut session, child).await.unwrap();
    let mut others: Vec<_> = (0..3).map(|_| cluster.routed()).collect();
    let insert = "INSERT INTO numbered (n) VALUES (7)";
    E::send(&mut session, insert).await.unwrap();
    for other in &mut others {
        E::send(other, insert).await.unwrap();
    }
    E::ask(&mut session, "SELECT count(*) FROM numbered")
        .await
        .unwrap();
    assert_is_reader(&simulated, &session);
    assert_eq!(E::ask(&mut session, E::LAST_ID).await.unwrap(), 1);
    assert_eq!(E::ask(&mut others[1], E::LAST_ID).await.unwrap(), 3);
    // A new connection could only answer wrongly.
    simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    let lost = E::ask(&mut session, E::LAST_ID).await.unwrap_err();
    // MySQL may learn of the crash by this very call.
    assert_eq!(lost.kind(), ErrorKind::ConnectionLost, "{lost}");
    let own = E::LAST_ID.trim_start_matches("SELECT ");
    let child = format!("INSERT INTO child VALUES ({own})");
    let lost = E::send(&mut session, &child).await.unwrap_err();
    assert_eq!(lost.outcome(), Outcome::NotSent, "{lost}");
    // Nor could the one that another statement has been sent over since.
    let other = "UPDATE numbered SET n = 8 WHERE n = 1000";
    E::send(&mut session, other).await.unwrap();
    let unknown = E::ask(&mut session, E::LAST_ID).await.unwrap_err();
    if <E as Database>::KIND == aurora_driver::EngineKind::MySql {
        assert_eq!(unknown.kind(), ErrorKind::ConnectionLost, "{unknown}");
        assert_eq!(unknown.outcome(), Outcome::NotSent, "{unknown}");
        // What sets it asks nothing.
        let set = "UPDATE numbered SET n = LAST_INSERT_ID(71) WHERE id = 1";
        E::send(&mut session, set).await.unwrap();
        assert_eq!(E::ask(&mut session, E::LAST_ID).await.unwrap(), 71);
    } else {
        E::send(&mut session, &child).await.unwrap_err();
    }
    E::send(&mut session, insert).await.unwrap();
    assert!(E::ask(&mut session, E::LAST_ID).await.unwrap() > 4);
}

#[tokio::test]
async fn a_connection_taken_for_a_lost_one_does_not_tell_of_an_earlier_users_id() {
    let (simulated, cluster, mut session) = start_session::<MySql>().await;
    let create = "CREATE TABLE numbered (id bigint AUTO_INCREMENT PRIMARY KEY, n int)";
    MySql::send(&mut session, create).await.unwrap();
    let insert = "INSERT INTO numbered (n) VALUES (7)";
    MySql::send(&mut session, insert).await.unwrap();
    simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    // All that the pool has then was used by somebody who generated ids.
    let mut others: Vec<_> = (0..3).map(|_| cluster.routed()).collect();
    for other in &mut others {
        MySql::send(other, insert).await.unwrap();
    }
    drop(others);
    let other = "UPDATE numbered SET n = 8 WHERE n = 1000";
    while MySql::send(&mut session, other).await.is_err() {}
    let unknown = MySql::ask(&mut session, MySql::LAST_ID).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::ConnectionLost, "{unknown}");
    // Nor does an id that is given make one that is generated.
    let given = "INSERT INTO numbered (id, n) VALUES (1000, 7)";
    MySql::send(&mut session, given).await.unwrap();
    MySql::ask(&mut session, MySql::LAST_ID).await.unwrap_err();
    // In a transaction that is a value it is generated unseen.
    let instance = session.last_instance().cloned();
    let begun = session.start_transaction(TxOpts::default()).await;
    let mut transaction = begun.unwrap();
    transaction.query_drop(insert).await.unwrap();
    let id = transaction.last_insert_id().expect("it was generated");
    transaction.commit().await.unwrap();
    let told = MySql::ask(&mut session, MySql::LAST_ID).await.unwrap();
    assert_eq!(u64::try_from(told).unwrap(), id);
    assert_eq!(session.last_instance().cloned(), instance);
}

async fn connections_are_given_back_as_soon_as_nothing_holds_them<E: Calls>() {
    let (simulated, wide) = start::<E>().await;
    wide.close(PATIENCE).await;
    let url = format!("{}&pool_max=1", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    let mut one = cluster.routed().read_your_writes(Duration::ZERO);
    let mut other = cluster.routed().read_your_writes(Duration::ZERO);
    for _ in 0..10 {
        E::ask(&mut one, COUNT).await.unwrap();
        E::ask(&mut other, COUNT).await.unwrap();
    }
    E::send(&mut one, "START TRANSACTION READ ONLY")
        .await
        .unwrap();
    E::send(&mut one, "COMMIT").await.unwrap();
    E::send(&mut other, "START TRANSACTION READ ONLY")
        .await
        .unwrap();
    E::send(&mut other, "ROLLBACK").await.unwrap();
    E::send(&mut one, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    one.reset();
    E::send(&mut other, "INSERT INTO t (n) VALUES (2)")
        .await
        .unwrap();
    drop(other);
    E::send(&mut one, "INSERT INTO t (n) VALUES (3)")
        .await
        .unwrap();
    assert_eq!(E::ask(&mut one, COUNT).await.unwrap(), 3);
}

async fn a_session_that_holds_nothing_goes_on_after_a_failover<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    let old = went_to(&session);
    simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    // MySQL may learn of the crash by this very call.
    let mut number = 2;
    loop {
        let insert = format!("INSERT INTO t (n) VALUES ({number})");
        match E::send(&mut session, &insert).await {
            Ok(()) => break,
            Err(error) => {
                assert_ne!(error.outcome(), Outcome::Applied, "{error}");
                number += 1;
            }
        }
    }
    assert_ne!(went_to(&session), old);
    assert_is_writer(&simulated, &session);
    let last = format!("SELECT count(*) FROM t WHERE n = {number}");
    assert_eq!(E::ask(&mut session, &last).await.unwrap(), 1);
}

async fn a_transaction_that_is_lost_refuses_what_would_run_by_itself<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    E::send(&mut session, "BEGIN").await.unwrap();
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    for text in ["INSERT INTO t (n) VALUES (2)", COUNT, "COMMIT"] {
        let error = E::send(&mut session, text).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
        assert_ne!(error.outcome(), Outcome::Applied, "{error}");
    }
    // The COMMIT gave it up.
    E::send(&mut session, "INSERT INTO t (n) VALUES (3)")
        .await
        .unwrap();
    assert_eq!(simulated.query("SELECT n FROM t").unwrap()[0][0], 3);
    assert_eq!(simulated.query(COUNT).unwrap()[0][0], 1);

    E::send(&mut session, E::SET).await.unwrap();
    simulated.crash_writer().unwrap();
    simulated.failover_finished().await;
    let mut refused = 0;
    while refused < 3 {
        let error = E::send(&mut session, COUNT).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
        refused += 1;
    }
    assert_eq!(session.explain(COUNT).target(), Target::Nowhere);
    session.reset();
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
}

/// Begins a call and drops it once the server has it.
async fn drop_half_way<E: Calls>(simulated: &SimCluster, session: &mut Session<E>, text: &str) {
    let fault = simulated.fault(StatementFault::delay(PATIENCE).containing(text).first(1));
    let call = E::send(session, text);
    tokio::pin!(call);
    tokio::select! {
        biased;
        answer = &mut call => panic!("it was not held up: {answer:?}"),
        () = eventually("the server has it", || fault.fired() == 1) => {}
    }
}

async fn a_dropped_call_leaves_the_session_safe<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    for text in ["SELECT n FROM t", "INSERT INTO t (n) VALUES (1)"] {
        drop_half_way(&simulated, &mut session, text).await;
        E::ask(&mut session, COUNT).await.unwrap();
    }
    for text in ["BEGIN", E::SET] {
        drop_half_way(&simulated, &mut session, text).await;
        let error = E::send(&mut session, "INSERT INTO t (n) VALUES (2)")
            .await
            .unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
        session.reset();
        E::ask(&mut session, COUNT).await.unwrap();
    }
    E::send(&mut session, "BEGIN").await.unwrap();
    drop_half_way(&simulated, &mut session, "INSERT INTO t (n) VALUES (3)").await;
    let error = E::send(&mut session, "INSERT INTO t (n) VALUES (4)")
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
    assert!(E::send(&mut session, "ROLLBACK").await.is_err());
    E::send(&mut session, "INSERT INTO t (n) VALUES (5)")
        .await
        .unwrap();
    let inside = "SELECT count(*) FROM t WHERE n IN (2, 3, 4)";
    assert_eq!(simulated.query(inside).unwrap()[0][0], 0);
}

async fn an_answer_that_is_lost_is_told_and_nothing_is_sent_twice<E: Calls>() {
    let (simulated, _cluster, mut session) = start_session::<E>().await;
    let lost = StatementFault::reset()
        .at(FaultPoint::Answer)
        .containing("INSERT INTO t");
    let fault = simulated.fault(lost.first(1));
    let error = E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(fault.fired(), 1);
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
    let wrong = E::send(&mut session, "INSERT INTO nowhere (n) VALUES (1)")
        .await
        .unwrap_err();
    assert_eq!(wrong.outcome(), Outcome::Rejected, "{wrong}");
    E::ask(&mut session, COUNT).await.unwrap();
}

async fn without_a_reader_a_session_uses_one_connection<E: Calls>() {
    let (simulated, wide) = start_with::<E>(|builder| builder.readers(0)).await;
    wide.close(PATIENCE).await;
    let url = format!("{}&pool_max=1", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    let mut session = cluster.routed().read_your_writes(Duration::ZERO);
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 0);
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    // Another connection would never become free.
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
    assert_is_writer(&simulated, &session);
}

async fn while_all_readers_lag_a_session_uses_one_connection<E: Calls>() {
    let (simulated, wide) = start::<E>().await;
    wide.close(PATIENCE).await;
    for reader in simulated.readers() {
        simulated.set_lag(&reader, Duration::from_secs(50)).unwrap();
    }
    let url = format!("{}&pool_max=1&max_reader_lag=1s", simulated.url());
    let cluster = Cluster::<E>::connect(&url).await.unwrap();
    let mut session = cluster.routed().read_your_writes(Duration::ZERO);
    eventually("the readers are known to lag", || {
        let explained = cluster.explain(Intent::Read);
        explained.rule.contains("all readers lag")
    })
    .await;
    E::send(&mut session, "INSERT INTO t (n) VALUES (1)")
        .await
        .unwrap();
    // Another connection would never become free.
    assert_eq!(E::ask(&mut session, COUNT).await.unwrap(), 1);
    assert_is_writer(&simulated, &session);
    let reason = session.explain(COUNT).to_string();
    assert!(reason.contains("no reader may be used"), "{reason}");
}

#[tokio::test]
async fn a_session_can_be_used_in_a_task() {
    let (_simulated, cluster, mut session) = start_session::<Postgres>().await;
    let task = tokio::spawn(async move {
        session.execute("INSERT INTO t (n) VALUES (1)", &[]).await?;
        let transaction = session.transaction().await?;
        transaction
            .execute("INSERT INTO t (n) VALUES (2)", &[])
            .await?;
        transaction.commit().await?;
        session.query_opt(COUNT, &[]).await
    });
    let row = task.await.unwrap().unwrap().expect("a row");
    assert_eq!(row.get::<_, i64>(0), 2);
    cluster.close(PATIENCE).await;

    let (_simulated, _cluster, mut session) = start_session::<MySql>().await;
    let task = tokio::spawn(async move {
        session
            .exec_batch("INSERT INTO t (n) VALUES (?)", [(1,), (2,)])
            .await?;
        session.query_map(COUNT, |count: i64| count).await
    });
    assert_eq!(task.await.unwrap().unwrap(), [2]);
}

#[tokio::test]
async fn a_prepared_statement_of_another_connection_is_refused() {
    let (_simulated, cluster, mut session) = start_session::<MySql>().await;
    let mut writer = cluster.writer().await.unwrap();
    let prepared = Queryable::prep(&mut writer, COUNT).await.unwrap();
    let refused = session.exec_first::<i64, _, _>(prepared, ()).await;
    assert_eq!(Error::from(refused.unwrap_err()).kind(), ErrorKind::Usage);
}
