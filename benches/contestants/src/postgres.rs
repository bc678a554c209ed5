//! `deadpool-postgres` and sqlx's pool, on PostgreSQL.

use std::sync::Once;

use deadpool_postgres::{Manager, Pool, PoolError};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use tokio_postgres::NoTls;

use crate::Place;
use crate::load::{Client, Failure, Note};

pub(crate) const INSERT: &str = "INSERT INTO numbers (number) VALUES ($1)";
pub(crate) const COUNT: &str = "SELECT count(*) FROM numbers";

#[derive(Clone)]
pub(crate) struct Deadpool {
    writer: Pool,
    reader: Pool,
}

impl Deadpool {
    pub(crate) fn new(place: &Place) -> anyhow::Result<Self> {
        let pool = |host: &str| {
            let mut config = tokio_postgres::Config::new();
            config
                .host(host)
                .port(place.port)
                .user(&place.user)
                .password(&place.password)
                .dbname(&place.database);
            Pool::builder(Manager::new(config, NoTls)).build()
        };
        Ok(Self {
            writer: pool(&place.writer)?,
            reader: pool(&place.reader)?,
        })
    }
}

impl Client for Deadpool {
    async fn write(&self, number: i64, note: &Note) -> Result<(), Failure> {
        let client = self.writer.get().await.map_err(of_deadpool)?;
        note.sent();
        let insert = client.prepare_cached(INSERT).await.map_err(of_postgres)?;
        client
            .execute(&insert, &[&number])
            .await
            .map_err(of_postgres)?;
        Ok(())
    }

    async fn read(&self, note: &Note) -> Result<(), Failure> {
        let client = self.reader.get().await.map_err(of_deadpool)?;
        note.sent();
        let count = client.prepare_cached(COUNT).await.map_err(of_postgres)?;
        client.query_one(&count, &[]).await.map_err(of_postgres)?;
        Ok(())
    }
}

fn of_deadpool(error: PoolError) -> Failure {
    match error {
        PoolError::Backend(error) => of_postgres(error),
        PoolError::Timeout(_) => failure("timeout"),
        _ => failure("pool"),
    }
}

fn of_postgres(error: tokio_postgres::Error) -> Failure {
    match error.code() {
        Some(code) if *code == tokio_postgres::error::SqlState::READ_ONLY_SQL_TRANSACTION => {
            failure("read-only")
        }
        Some(_) => failure("server"),
        None => failure("connection"),
    }
}

pub(crate) fn failure(class: &'static str) -> Failure {
    Failure {
        class,
        again: false,
    }
}

#[derive(Clone)]
pub(crate) struct Sqlx {
    writer: PgPool,
    reader: PgPool,
}

impl Sqlx {
    pub(crate) fn new(place: &Place) -> Self {
        let pool = |host: &str| {
            let options = PgConnectOptions::new()
                .host(host)
                .port(place.port)
                .username(&place.user)
                .password(&place.password)
                .database(&place.database)
                .ssl_mode(PgSslMode::Disable);
            PgPoolOptions::new().connect_lazy_with(options)
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

pub(crate) fn of_sqlx(error: sqlx::Error) -> Failure {
    // The first goes to the log, for whoever wonders why it does not begin.
    static FIRST: Once = Once::new();
    FIRST.call_once(|| eprintln!("the first failure: {error}"));
    match error {
        sqlx::Error::PoolTimedOut => failure("timeout"),
        // PostgreSQL's SQLSTATE, and MySQL's for `ER_OPTION_PREVENTS_STATEMENT`.
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("25006" | "HY000") => failure("read-only"),
            _ => failure("server"),
        },
        _ => failure("connection"),
    }
}
