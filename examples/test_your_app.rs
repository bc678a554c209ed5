//! "My service survives a failover", as a test: the service under test, and the test of it.
//!
//! ```text
//! cargo test --example test_your_app
//! ```
//!
//! The service takes a URL, as any service does, so the test hands it that of a simulated cluster.
//! `cargo run --example test_your_app` runs the same story and prints what happened.

use std::time::Duration;

use anyhow::Context;
use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, EngineKind, Error, Outcome, Postgres};
use tokio::time::timeout;

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(30);

/// The service under test: it takes orders.
struct OrderDesk {
    cluster: Cluster<Postgres>,
}

impl OrderDesk {
    async fn open(url: &str) -> Result<Self, Error> {
        let cluster = Cluster::connect(url).await?;
        let desk = Self { cluster };
        let table = "CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY, item text NOT NULL)";
        desk.cluster.writer().await?.batch_execute(table).await?;
        Ok(desk)
    }

    /// Takes an order once. It is sent again only while it certainly was not applied; when nobody
    /// knows, the key decides: an order that is there already is left alone.
    async fn take(&self, id: i64, item: &str) -> Result<(), Error> {
        let order = "INSERT INTO orders (id, item) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        loop {
            let writer = self.cluster.writer().await?;
            match writer.execute(order, &[&id, &item]).await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_retryable() || error.outcome() == Outcome::Unknown => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the test looks at when it is over.
#[derive(Debug)]
struct Story {
    old_writer: String,
    new_writer: String,
    orders: Vec<i64>,
}

async fn orders_are_taken_through_a_failover() -> anyhow::Result<Story> {
    let simulated = SimCluster::builder(EngineKind::Postgres)
        .readers(2)
        .start()
        .await?;
    let desk = OrderDesk::open(&simulated.url()).await?;

    desk.take(1, "tea").await?;
    let old_writer = simulated.crash_writer()?;
    // The writer is dead and nobody has been promoted yet: this order waits for its successor.
    timeout(LIMIT, desk.take(2, "cake")).await??;
    let promotion = timeout(LIMIT, simulated.failover_finished())
        .await?
        .context("no reader was promoted")?;
    desk.take(3, "milk").await?;

    // The shared storage itself says what was applied; no answer was taken on trust.
    let rows = simulated.query("SELECT id FROM orders ORDER BY id")?;
    let orders = rows.iter().filter_map(|row| row.first()?.as_i64());
    let story = Story {
        old_writer: old_writer.to_string(),
        new_writer: promotion.instance.to_string(),
        orders: orders.collect(),
    };
    desk.cluster.close(LIMIT).await;
    simulated.stop().await;
    Ok(story)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let story = orders_are_taken_through_a_failover().await?;
    println!(
        "{} crashed, {} took over; orders {:?} are there, each once",
        story.old_writer, story.new_writer, story.orders
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_order_desk_survives_a_failover() -> anyhow::Result<()> {
        let story = super::orders_are_taken_through_a_failover().await?;
        assert_eq!(story.orders, [1, 2, 3], "nothing lost, nothing twice");
        assert_ne!(story.old_writer, story.new_writer);
        Ok(())
    }
}
