//! Sessions that route by text, on real servers; and what these say of the functions that the
//! router takes for pure.

use std::time::Duration;

use aurora_driver::mysql::mysql_async::TxOpts;
use aurora_driver::router::{Target, pure_functions};
use aurora_driver::{Cluster, EngineKind, MySql, Postgres};

use crate::cluster::{INSTANCES, PASSWORD, PORT, RealCluster, SUPERUSER, View, address};
use crate::failover::eventually;
use crate::ground::{Need, stand_on};
use crate::single::{MariaDb, SinglePostgres, mariadb_url};

const COUNT: &str = "SELECT count(*) FROM notes";

#[test]
fn no_function_that_is_taken_for_pure_is_volatile_and_all_exist() {
    stand_on(&[Need::Postgres], async |ground| {
        let mut single = SinglePostgres::start(&ground).await;
        let names: Vec<&str> = pure_functions(EngineKind::Postgres).collect();
        let query = "SELECT name, count(proname), count(*) FILTER (WHERE provolatile = 'v') \
             FROM unnest($1::text[]) AS name LEFT JOIN pg_proc ON proname = name \
             AND pronamespace = 'pg_catalog'::regnamespace GROUP BY name";
        let rows = single.client.query(query, &[&names]).await.expect("rows");
        assert_eq!(rows.len(), names.len());
        for row in rows {
            let (name, known, volatile): (&str, i64, i64) = (row.get(0), row.get(1), row.get(2));
            assert!(known > 0, "{name} does not exist");
            assert_eq!(volatile, 0, "{name} is volatile");
        }
        single.server.end("INT").await;
    });
}

#[test]
fn a_session_reads_from_a_standby_and_writes_to_the_primary() {
    stand_on(&[Need::Postgres], async |ground| {
        let rig = RealCluster::start(ground, View::Replication).await;
        let hosts = INSTANCES.map(|id| format!("{}:{PORT}", address(id)));
        let url = format!(
            "postgres://{SUPERUSER}:{PASSWORD}@{}/postgres",
            hosts.join(",")
        );
        let cluster = Cluster::<Postgres>::connect(&url).await.expect("it serves");
        eventually("two are read from", || {
            cluster.topology().readers().count() == 2
        })
        .await;
        let primary = format!("{}:{PORT}", address(rig.writer()));
        let mut session = cluster.routed().read_your_writes(Duration::ZERO);
        let create = "CREATE TABLE notes (id BIGSERIAL PRIMARY KEY, note text)";
        session.batch_execute(create).await.expect("it may");
        let insert = "INSERT INTO notes (note) VALUES ($1)";
        session.execute(insert, &[&"tea"]).await.expect("it may");
        assert_eq!(session.last_instance().unwrap().as_str(), primary);
        let row = session.query_one("SELECT lastval()", &[]).await;
        assert_eq!(row.expect("this connection inserted").get::<_, i64>(0), 1);
        session
            .query("SELECT 1 + $1::int", &[&1])
            .await
            .expect("rows");
        assert_ne!(session.last_instance().unwrap().as_str(), primary);

        session
            .batch_execute("BEGIN READ ONLY")
            .await
            .expect("it may");
        let reader = session.last_instance().unwrap().clone();
        assert_ne!(reader.as_str(), primary);
        let recovering = session.query_one("SELECT pg_is_in_recovery()", &[]).await;
        assert!(recovering.expect("an answer").get::<_, bool>(0));
        assert_eq!(session.last_instance(), Some(&reader));
        session.batch_execute("COMMIT").await.expect("it is open");
        let recovering = session.query_one("SELECT pg_is_in_recovery()", &[]).await;
        assert!(!recovering.expect("an answer").get::<_, bool>(0));

        let transaction = session.transaction().await.expect("it may");
        transaction
            .execute(insert, &[&"milk"])
            .await
            .expect("it may");
        transaction.rollback().await.expect("it is open");
        session
            .batch_execute("CREATE TEMP TABLE mine (n int)")
            .await
            .expect("it may");
        let row = session.query_one(COUNT, &[]).await.expect("a row");
        assert_eq!(row.get::<_, i64>(0), 1);
        assert_eq!(session.last_instance().unwrap().as_str(), primary);
        drop(session);
        assert!(cluster.close(Duration::from_secs(30)).await.is_clean());
    });
}

#[test]
fn a_session_follows_the_transactions_of_a_real_mariadb_server() {
    stand_on(&[Need::MariaDb], async |ground| {
        let mut single = MariaDb::start(&ground).await;
        drop(single.connect().await);
        let cluster = Cluster::<MySql>::connect(&mariadb_url())
            .await
            .expect("it serves");
        let mut session = cluster.routed();
        let create = "CREATE TABLE notes (id BIGINT AUTO_INCREMENT PRIMARY KEY, n INT UNIQUE)";
        session.query_drop(create).await.expect("it may");
        let is_open = |session: &aurora_driver::router::Session<MySql>| {
            session.explain(COUNT).reason().contains("transaction")
        };
        for (beginning, ending) in [
            ("START TRANSACTION", "ROLLBACK"),
            ("BEGIN", "ROLLBACK"),
            ("START TRANSACTION READ ONLY", "COMMIT"),
        ] {
            session.query_drop(beginning).await.expect("it may");
            assert!(is_open(&session), "{beginning}");
            let count: Option<i64> = session.exec_first(COUNT, ()).await.expect("a row");
            assert_eq!(count, Some(0));
            assert!(is_open(&session), "{beginning}");
            session.query_drop(ending).await.expect("it may");
            assert!(!is_open(&session), "{ending}");
        }
        session
            .exec_drop("INSERT INTO notes (n) VALUES (?)", (7,))
            .await
            .expect("it may");
        assert_eq!(session.last_insert_id(), Some(1));
        let twice = session
            .exec_drop("INSERT INTO notes (n) VALUES (?)", (7,))
            .await;
        assert!(twice.is_err(), "it is there already");
        assert!(!is_open(&session));
        let id: Option<i64> = session
            .query_first("SELECT LAST_INSERT_ID()")
            .await
            .expect("a row");
        assert_eq!(id, Some(1));
        {
            let mut transaction = session
                .start_transaction(TxOpts::default())
                .await
                .expect("it may");
            transaction
                .exec_drop("INSERT INTO notes (n) VALUES (?)", (8,))
                .await
                .expect("it may");
        }
        let count: Option<i64> = session.query_first(COUNT).await.expect("a row");
        assert_eq!(count, Some(1), "what was dropped is rolled back");
        session
            .query_drop("SELECT GET_LOCK('mine', 1)")
            .await
            .expect("it may");
        let decision = session.explain(COUNT);
        assert_eq!(decision.target(), Target::Writer);
        assert!(decision.reason().contains("holds state"), "{decision}");
        drop(session);
        assert!(cluster.close(Duration::from_secs(30)).await.is_clean());
        single.0.end("TERM").await;
    });
}
