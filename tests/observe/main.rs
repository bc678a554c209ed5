//! What the driver tells of its work, against a simulated cluster.
//!
//! - `dashboard`: the example service's dashboard for Grafana, against the same.
//! - `insights`: statements by their digests, on both engines.
//! - `metrics`: what is exported, against the table in `docs/metrics.md`.
//! - `recorder`: keeps what is exported.
//! - `traces`: spans, the log of slow statements, comments.
//! - `listener`: keeps spans and log lines.

mod dashboard;
mod insights;
mod listener;
mod metrics;
mod recorder;
mod traces;

use std::time::Duration;

use aurora_driver::sim::{SimCluster, SimClusterBuilder};
use aurora_driver::{Cluster, Config, Engine, EngineKind};

/// Far beyond what any condition takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A simulated cluster with a table `t`, and a handle to it with these keys in its URL.
async fn start<E: Engine>(
    engine: EngineKind,
    keys: &str,
    configure: impl FnOnce(SimClusterBuilder) -> SimClusterBuilder,
) -> (SimCluster, Cluster<E>) {
    let builder = configure(SimCluster::builder(engine));
    let simulated = builder.start().await.expect("the simulated cluster starts");
    let sql = "CREATE TABLE t (n BIGINT PRIMARY KEY, word VARCHAR(20))";
    simulated.run_sql(sql).await.expect("the table is made");
    let url = format!("{}&{keys}", simulated.url());
    let config = Config::from_url(&url).expect("a URL");
    let cluster = Cluster::<E>::new(config).expect("a handle");
    cluster
        .ready(PATIENCE)
        .await
        .expect("the driver finds the cluster");
    (simulated, cluster)
}
