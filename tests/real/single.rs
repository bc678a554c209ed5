//! One server without Aurora's functions: plain PostgreSQL, and MariaDB.

use std::time::{Duration, Instant};

use aurora_driver::mysql::mysql_async::prelude::Queryable;
use aurora_driver::mysql::mysql_async::{Conn, Opts, OptsBuilder};
use aurora_driver::postgres::tokio_postgres::Client;

use crate::cluster::{PATIENCE, address, ask, initialize, launch};
use crate::ground::{Ground, Need, postgres_programs, program, stand_on};
use crate::process::Server;

/// Where the one server is: 127.0.0.31.
const SINGLE: &str = "31";

/// Unusual, as without a network of one's own it is the machine's.
const MARIADB_PORT: u16 = 53_306;

/// One statement a line, as the server wants it.
const MARIADB_SCHEMA: &str = "\
CREATE DATABASE shop;
CREATE USER 'app'@'%' IDENTIFIED BY 'rehearsal';
GRANT ALL ON shop.* TO 'app'@'%';
";

/// A PostgreSQL server, and a connection of its superuser.
struct SinglePostgres {
    server: Server,
    client: Client,
}

impl SinglePostgres {
    async fn start(ground: &Ground) -> Self {
        let programs = postgres_programs().expect("the test needs it, so it was looked for");
        initialize(ground, &programs, &ground.directory().join(SINGLE));
        let (server, client) = launch(ground, &programs, SINGLE, &[]).await;
        Self { server, client }
    }
}

/// A MariaDB server with the database `shop` and its user `app`.
struct MariaDb(Server);

impl MariaDb {
    async fn start(ground: &Ground) -> Self {
        let directory = ground.directory();
        let data = format!("--datadir={}", directory.join("mariadb").display());
        let schema = directory.join("schema.sql");
        ground.write(&schema, MARIADB_SCHEMA);
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
        Self(Server::start(ground, "mariadb", command))
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
    async fn connect(&mut self) -> Conn {
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
