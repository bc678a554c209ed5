//! `mysql_async`'s own pool and sqlx's, on MySQL.

use mysql_async::prelude::Queryable;
use mysql_async::{OptsBuilder, Pool};
use sqlx::mysql::{MySqlConnectOptions, MySqlPool, MySqlPoolOptions, MySqlSslMode};

use crate::Place;
use crate::load::{Client, Failure, Note};
use crate::postgres::{COUNT, failure, of_sqlx};

const INSERT: &str = "INSERT INTO numbers (number) VALUES (?)";

/// `ER_OPTION_PREVENTS_STATEMENT`: the server runs with `--read-only`.
const READ_ONLY: u16 = 1290;

#[derive(Clone)]
pub(crate) struct Async {
    writer: Pool,
    reader: Pool,
}

impl Async {
    pub(crate) fn new(place: &Place) -> Self {
        let pool = |host: &str| {
            let options = OptsBuilder::default()
                .ip_or_hostname(host)
                .tcp_port(place.port)
                .user(Some(&place.user))
                .pass(Some(&place.password))
                .db_name(Some(&place.database))
                // It would ask the server for its Unix socket otherwise.
                .prefer_socket(false);
            Pool::new(options)
        };
        Self {
            writer: pool(&place.writer),
            reader: pool(&place.reader),
        }
    }
}

impl Client for Async {
    async fn write(&self, number: i64, note: &Note) -> Result<(), Failure> {
        let mut connection = self.writer.get_conn().await.map_err(of_async)?;
        note.sent();
        let insert = connection.exec_drop(INSERT, (number,));
        insert.await.map_err(of_async)
    }

    async fn read(&self, note: &Note) -> Result<(), Failure> {
        let mut connection = self.reader.get_conn().await.map_err(of_async)?;
        note.sent();
        let count = connection.exec_drop(COUNT, ());
        count.await.map_err(of_async)
    }
}

fn of_async(error: mysql_async::Error) -> Failure {
    match error {
        mysql_async::Error::Server(error) if error.code == READ_ONLY => failure("read-only"),
        mysql_async::Error::Server(_) => failure("server"),
        _ => failure("connection"),
    }
}

#[derive(Clone)]
pub(crate) struct Sqlx {
    writer: MySqlPool,
    reader: MySqlPool,
}

impl Sqlx {
    pub(crate) fn new(place: &Place) -> Self {
        let pool = |host: &str| {
            let options = MySqlConnectOptions::new()
                .host(host)
                .port(place.port)
                .username(&place.user)
                .password(&place.password)
                .database(&place.database)
                .ssl_mode(MySqlSslMode::Disabled);
            MySqlPoolOptions::new().connect_lazy_with(options)
        };
        Self {
            writer: pool(&place.writer),
            reader: pool(&place.reader),
        }
    }
}

impl Client for Sqlx {
    async fn write(&self, number: i64, note: &Note) -> Result<(), Failure> {
        let mut connection = self.writer.acquire().await.map_err(of_sqlx)?;
        note.sent();
        let insert = sqlx::query(INSERT).bind(number);
        insert.execute(&mut *connection).await.map_err(of_sqlx)?;
        Ok(())
    }

    async fn read(&self, note: &Note) -> Result<(), Failure> {
        let mut connection = self.reader.acquire().await.map_err(of_sqlx)?;
        note.sent();
        let count = sqlx::query(COUNT);
        count.fetch_one(&mut *connection).await.map_err(of_sqlx)?;
        Ok(())
    }
}
