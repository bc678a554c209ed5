//! One server without Aurora's functions: plain PostgreSQL, and MariaDB. The driver takes it for a
//! cluster of one.

use std::time::{Duration, Instant};

use aurora_driver::mysql::mysql_async::prelude::Queryable;
use aurora_driver::mysql::mysql_async::{Conn, Opts, OptsBuilder, TxOpts};
use aurora_driver::postgres::tokio_postgres::Client;
use aurora_driver::{Cluster, ErrorKind, Events, MySql, Postgres};
use futures_util::FutureExt;

use crate::cluster::{
    INSTANCES, PASSWORD, PATIENCE, PORT, RealCluster, SUPERUSER, View, address, ask, initialize,
    launch,
};
use crate::failover::eventually;
use crate::ground::{Ground, Need, postgres_programs, program, stand_on};
use crate::process::Server;

/// Where the one server is: 127.0.0.31.
const SINGLE: &str = "31";

/// Unusual, as without a network of one's own it is the machine's.
const MARIADB_PORT: u16 = 53_306;

/// One statement a line, as the server wants it. It is read at each start.
const MARIADB_SCHEMA: &str = "\
CREATE DATABASE IF NOT EXISTS shop;
CREATE USER IF NOT EXISTS 'app'@'%' IDENTIFIED BY 'rehearsal';
GRANT ALL ON shop.* TO 'app'@'%';
";

/// A PostgreSQL server, and a connection of its superuser.
pub(crate) struct SinglePostgres {
    pub(crate) server: Server,
    pub(crate) client: Client,
}

impl SinglePostgres {
    pub(crate) async fn start(ground: &Ground) -> Self {
        let programs = postgres_programs().expect("the test needs it, so it was looked for");
        initialize(ground, &programs, &ground.directory().join(SINGLE));
        Self::start_again(ground).await
    }

    /// On the files of an earlier one.
    pub(crate) async fn start_again(ground: &Ground) -> Self {
        let programs = postgres_programs().expect("the test needs it, so it was looked for");
        let (server, client) = launch(ground, &programs, SINGLE, &[]).await;
        Self { server, client }
    }
}

/// A MariaDB server with the database `shop` and its user `app`.
pub(crate) struct MariaDb(pub(crate) Server);

impl MariaDb {
    pub(crate) async fn start(ground: &Ground) -> Self {
        let directory = ground.directory();
        let data = format!("--datadir={}", directory.join("mariadb").display());
        ground.write(&directory.join("schema.sql"), MARIADB_SCHEMA);
        let installer = program("mariadb-install-db").expect("it comes with the server");
        ground.run(
            &installer,
            &[
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
                &data,
            ],
        );
        Self::start_again(ground).await
    }

    /// On the files of an earlier one; returns once it takes connections.
    pub(crate) async fn start_again(ground: &Ground) -> Self {
        let directory = ground.directory();
        let data = format!("--datadir={}", directory.join("mariadb").display());
        let schema = directory.join("schema.sql");
        let server = program("mariadbd").expect("the test needs it, so it was looked for");
        let mut command = ground.command(&server);
        command
            .args(["--no-defaults", "--skip-name-resolve", &data])
            .arg("--innodb-flush-log-at-trx-commit=0")
            .arg(format!("--bind-address={}", address(SINGLE)))
            .arg(format!("--port={MARIADB_PORT}"))
            .arg(format!(
                "--socket={}",
                directory.join("mariadb.sock").display()
            ))
            .arg(format!(
                "--pid-file={}",
                directory.join("mariadb.pid").display()
            ))
            .arg(format!("--init-file={}", schema.display()));
        let mut started = Self(Server::start(ground, "mariadb", command));
        drop(started.connect().await);
        started
    }

    fn options() -> Opts {
        let options = OptsBuilder::default()
            .ip_or_hostname(address(SINGLE).to_string())
            .tcp_port(MARIADB_PORT)
            .user(Some("app"))
            .pass(Some("rehearsal"))
            .db_name(Some("shop"))
            .prefer_socket(false);
        options.into()
    }

    /// A connection, as soon as the server takes one.
    pub(crate) async fn connect(&mut self) -> Conn {
        let began = Instant::now();
        loop {
            match Conn::new(Self::options()).await {
                Ok(connection) => return connection,
                Err(error) => {
                    assert!(!self.0.has_ended(), "the server has ended: {error}");
                    assert!(began.elapsed() < PATIENCE, "it does not start: {error}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }
}

/// Longer than any of it takes on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(30);

async fn written(cluster: &Cluster<Postgres>) -> i64 {
    let began = Instant::now();
    loop {
        let inserted = cluster
            .write(async |writer| {
                let insert = "INSERT INTO notes DEFAULT VALUES RETURNING id";
                Ok::<i64, aurora_driver::Error>(writer.query_one(insert, &[]).await?.get(0))
            })
            .await;
        match inserted {
            Ok(id) => return id,
            Err(error) => assert!(began.elapsed() < PATIENCE, "no write: {error}"),
        }
    }
}

#[test]
fn a_single_postgresql_server_is_a_cluster_of_one_and_is_found_again_after_a_restart() {
    stand_on(&[Need::Postgres], async |ground| {
        let mut single = SinglePostgres::start(&ground).await;
        let cluster = Cluster::<Postgres>::connect(&single_url("postgres"))
            .await
            .expect("no pattern is needed");
        let topology = cluster.topology();
        let writer = topology.writer().expect("it is confirmed");
        assert_eq!(writer.id().as_str(), single_place());
        assert_eq!(topology.instances().len(), 1);
        let admin = cluster.writer().await.expect("a connection");
        admin
            .batch_execute("CREATE TABLE notes (id BIGSERIAL PRIMARY KEY)")
            .await
            .expect("the superuser may");
        drop(admin);
        assert_eq!(written(&cluster).await, 1);
        let reader = cluster.reader().await.expect("the writer does for reads");
        let counted = reader.query_one("SELECT count(*) FROM notes", &[]).await;
        assert_eq!(counted.expect("an answer").get::<_, i64>(0), 1);
        drop(reader);

        single.server.end("INT").await;
        single = SinglePostgres::start_again(&ground).await;
        assert!(written(&cluster).await > 1);
        assert_eq!(cluster.topology().instances().len(), 1);

        assert!(cluster.close(READY_WITHIN).await.is_clean());
        drop(single.client);
        single.server.end("INT").await;
    });
}

#[test]
fn a_single_postgresql_server_that_was_meant_to_be_aurora_is_refused_with_the_reason() {
    stand_on(&[Need::Postgres], async |ground| {
        let mut single = SinglePostgres::start(&ground).await;
        let url = format!("{}?instance_pattern=127.0.0.?", single_url("postgres"));
        let error = Cluster::<Postgres>::connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotAurora, "{error}");
        single.server.end("INT").await;
    });
}

/// Aurora's functions are in one database of these servers; in the other they are plain.
#[test]
fn plain_servers_that_replicate_are_a_cluster_of_the_hosts_given() {
    stand_on(&[Need::Postgres], async |ground| {
        let mut rig = RealCluster::start(ground, View::Replication).await;
        let hosts = INSTANCES.map(|id| format!("{}:{PORT}", address(id)));
        let url = format!(
            "postgres://{SUPERUSER}:{PASSWORD}@{}/postgres",
            hosts.join(",")
        );
        let cluster = Cluster::<Postgres>::connect(&url).await.expect("it serves");
        let has = |writer: &str, readers: usize| {
            let topology = cluster.topology();
            let writes = topology.writer().map(|writer| writer.id().to_string());
            writes.as_deref() == Some(&format!("{}:{PORT}", address(writer)))
                && topology.readers().count() == readers
        };
        eventually("one writes and two are read from", || has(rig.writer(), 2)).await;
        let admin = cluster.writer().await.expect("a connection");
        let create = "CREATE TABLE notes (id BIGSERIAL PRIMARY KEY)";
        admin.batch_execute(create).await.expect("it may");
        drop(admin);
        let reader = cluster.reader().await.expect("a connection");
        let recovering = reader.query_one("SELECT pg_is_in_recovery()", &[]).await;
        assert!(recovering.expect("an answer").get::<_, bool>(0));
        drop(reader);

        rig.kill(rig.writer());
        let successor = rig.best_standby().await;
        rig.promote(successor).await;
        assert!(written(&cluster).await > 0);
        eventually("the promoted one writes", || has(successor, 1)).await;
        assert!(cluster.close(READY_WITHIN).await.is_clean());
    });
}

#[test]
fn a_single_mariadb_server_is_a_cluster_of_one() {
    stand_on(&[Need::MariaDb], async |ground| {
        let mut single = MariaDb::start(&ground).await;
        let cluster = Cluster::<MySql>::connect(&mariadb_url())
            .await
            .expect("no pattern is needed");
        assert_eq!(cluster.topology().instances().len(), 1);
        let created = cluster
            .write(async |writer| {
                writer
                    .query_drop("CREATE TABLE notes (id BIGINT AUTO_INCREMENT PRIMARY KEY)")
                    .await?;
                writer.query_drop("INSERT INTO notes VALUES (NULL)").await?;
                Ok::<_, aurora_driver::Error>(())
            })
            .await;
        created.expect("the user may");
        let counted = cluster
            .read(async |reader| {
                let count = reader.query_first("SELECT count(*) FROM notes").await?;
                Ok::<Option<i64>, aurora_driver::Error>(count)
            })
            .await;
        assert_eq!(counted.expect("an answer"), Some(1));
        assert!(cluster.close(READY_WITHIN).await.is_clean());
        single.0.end("TERM").await;
    });
}

/// How often the writer has been doubted for that, by the events told so far.
fn doubts(events: &mut Events) -> usize {
    std::iter::from_fn(|| events.next().now_or_never().flatten())
        .filter(|event| event.kind.cause() == Some("it refused a write as read-only"))
        .count()
}

#[test]
fn a_write_in_a_read_only_transaction_is_its_users_own_matter_on_postgresql() {
    stand_on(&[Need::Postgres], async |ground| {
        let mut single = SinglePostgres::start(&ground).await;
        let cluster = Cluster::<Postgres>::connect(&single_url("postgres"))
            .await
            .expect("it serves");
        let mut events = cluster.events();
        let writer = cluster.writer().await.expect("a connection");
        let create = "CREATE TABLE notes (id BIGSERIAL PRIMARY KEY)";
        let insert = "INSERT INTO notes DEFAULT VALUES";
        writer.batch_execute(create).await.expect("it may");
        for _ in 0..5 {
            writer
                .batch_execute("BEGIN READ ONLY")
                .await
                .expect("it begins");
            let error = writer.execute(insert, &[]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Server, "{error}");
            writer.batch_execute("ROLLBACK").await.expect("it goes on");
        }
        let session = "SET default_transaction_read_only = on";
        writer.batch_execute(session).await.expect("it may");
        let error = writer.execute(insert, &[]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server, "{error}");
        drop(writer);
        assert_eq!(written(&cluster).await, 1);
        assert_eq!(doubts(&mut events), 0);
        assert!(cluster.close(READY_WITHIN).await.is_clean());
        drop(single.client);
        single.server.end("INT").await;
    });
}

#[test]
fn a_write_in_a_read_only_transaction_is_its_users_own_matter_on_mariadb() {
    stand_on(&[Need::MariaDb], async |ground| {
        let mut single = MariaDb::start(&ground).await;
        let cluster = Cluster::<MySql>::connect(&mariadb_url())
            .await
            .expect("it serves");
        let mut events = cluster.events();
        let mut writer = cluster.writer().await.expect("a connection");
        let create = "CREATE TABLE notes (id BIGINT AUTO_INCREMENT PRIMARY KEY)";
        let insert = "INSERT INTO notes VALUES (NULL)";
        writer.query_drop(create).await.expect("it may");
        for _ in 0..5 {
            let mut options = TxOpts::new();
            options.with_readonly(true);
            let transaction = writer.start_transaction(options).await;
            let mut transaction = transaction.expect("it begins");
            for _ in 0..2 {
                let error = transaction.exec_drop(insert, ()).await.unwrap_err();
                let error = aurora_driver::Error::from(error);
                assert_eq!(error.kind(), ErrorKind::Server, "{error}");
            }
            transaction.rollback().await.expect("it goes on");
        }
        writer
            .query_drop(insert)
            .await
            .expect("the writer takes it");
        assert_eq!(doubts(&mut events), 0);
        drop(writer);
        assert!(cluster.close(READY_WITHIN).await.is_clean());
        single.0.end("TERM").await;
    });
}

pub(crate) fn mariadb_url() -> String {
    format!(
        "mysql://app:{PASSWORD}@{}:{MARIADB_PORT}/shop",
        address(SINGLE)
    )
}

fn single_place() -> String {
    format!("{}:{PORT}", address(SINGLE))
}

/// The superuser's way in.
pub(crate) fn single_url(database: &str) -> String {
    format!(
        "postgres://{SUPERUSER}:{PASSWORD}@{}/{database}",
        single_place()
    )
}

#[test]
fn a_single_postgresql_server_answers_its_plain_client() {
    stand_on(&[Need::Postgres], async |ground| {
        let mut single = SinglePostgres::start(&ground).await;
        let recovering = ask(&single.client, "SELECT pg_is_in_recovery()").await;
        assert_eq!(recovering, ["f"]);
        single.server.end("INT").await;
    });
}

#[test]
fn a_single_mariadb_server_answers_its_plain_client() {
    stand_on(&[Need::MariaDb], async |ground| {
        let mut single = MariaDb::start(&ground).await;
        let mut connection = single.connect().await;
        let read_only: Option<u8> = connection
            .query_first("SELECT @@innodb_read_only")
            .await
            .expect("an answer");
        assert_eq!(read_only, Some(0));
        connection
            .query_drop("CREATE TABLE writes (number BIGINT NOT NULL)")
            .await
            .expect("the user may");
        single.0.end("TERM").await;
    });
}
