//! Statements by their digests: how often, how long, where.
//!
//! | file | idea |
//! |---|---|
//! | `cell` | what is counted of one digest at one instance: atomics |
//! | `table` | which digests there are; bounded |
//! | `snapshot` | the table at one moment, and the difference of two |
//! | `json` | as JSON |
//!
//! A connection finds the cell of a text that it knows without a lock or an allocation
//! (`observe::lens`), and adds to it. Cells are sharded, so that two connections seldom write to
//! the same line of memory; a snapshot adds the shards up.

mod cell;
mod json;
mod snapshot;
mod table;

use std::sync::Arc;

pub(crate) use cell::Run;
pub use snapshot::{By, Slowest, Snapshot, StatementInsight};
pub(crate) use table::{Entry, Table};

/// What is known of the statements of one cluster handle, by their digests.
///
/// Made by [`Cluster::insights`](crate::Cluster::insights); clones see the same.
///
/// ```
/// # use aurora_driver::sim::SimCluster;
/// use aurora_driver::observe::By;
/// use aurora_driver::{Cluster, EngineKind, Postgres};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let simulated = SimCluster::builder(EngineKind::Postgres).start().await?;
/// let cluster = Cluster::<Postgres>::connect(&simulated.url()).await?;
/// let insights = cluster.insights();
/// let baseline = insights.snapshot();
///
/// let writer = cluster.writer().await?;
/// writer.query_one("SELECT 40 + 2", &[]).await?;
/// writer.query_one("select 1 + $1::int", &[&1]).await?;
///
/// let since = insights.snapshot().diff(&baseline);
/// let busiest = &since.top(1, By::TotalTime)[0];
/// assert!(busiest.text.starts_with("SELECT ? + ?"));
/// println!("{} calls, p99 {:?}", busiest.calls, busiest.latency.quantile(0.99));
/// println!("{}", since.to_json());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Insights {
    table: Arc<Table>,
}

impl Insights {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self { table }
    }

    /// Whether anything is counted at all:
    /// [`Observe::insights`](crate::config::Observe::insights).
    pub fn is_on(&self) -> bool {
        self.table.is_on()
    }

    /// All that was counted since the handle was opened, or since the last reset.
    pub fn snapshot(&self) -> Snapshot {
        self.table.snapshot()
    }

    /// The first `count` statements of the whole cluster in this order; see [`Snapshot::top`].
    pub fn top(&self, count: usize, by: By) -> Vec<StatementInsight> {
        self.snapshot().top(count, by)
    }

    /// Forgets all that was counted. Statements under way count as before it.
    pub fn reset(&self) {
        self.table.reset();
    }
}
