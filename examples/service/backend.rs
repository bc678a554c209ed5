//! Which cluster the shop is over: a given one, or a simulated one that runs inside.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use aurora_driver::config::Workload;
use aurora_driver::sim::{SimCluster, Timeline};
use aurora_driver::{Cluster, Config, EngineKind};

use crate::shop::{REPORTS, Shop, Store};
use crate::{Arguments, Pace};

/// Reports may take this many connections of an instance, whatever customers need.
const REPORT_CONNECTIONS: usize = 2;

/// How long a request waits for a connection, each time that it asks for one: an order does up to
/// three times. The driver's own 30 s are longer than any request here may take: a caller would never
/// hear of its reasons, nor its metrics of the caller.
pub(crate) const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(4);

/// No customer is shown what is older, but for the sales, which are of the past anyhow.
const READER_LAG_MAX: Duration = Duration::from_secs(1);

/// What a URL says, and where it is silent what suits this shop.
pub(crate) fn configuration(url: &str) -> anyhow::Result<Config> {
    let mut config = Config::from_url(url)?;
    // PostgreSQL takes the one that is named like the user.
    if config.engine == EngineKind::MySql && config.database.is_none() {
        anyhow::bail!("it names no database: write it behind the host, mysql://user@host/shop");
    }
    let (_, query) = url.split_once('?').unwrap_or_default();
    let mut keys = query.split('&').filter_map(|pair| pair.split('=').next());
    // The configuration does not tell the default from the same value given.
    if !keys.any(|key| key == "checkout_timeout") {
        config.timing.checkout_timeout = CHECKOUT_TIMEOUT;
    }
    config.max_reader_lag = config.max_reader_lag.or(Some(READER_LAG_MAX));
    Ok(config)
}

/// The shop's cluster.
pub(crate) struct Backend<E: Store> {
    pub(crate) shop: Shop<E>,
    /// Present while the cluster is simulated: then the page has buttons for it.
    pub(crate) simulated: Option<Arc<SimCluster>>,
    /// Without password.
    place: String,
}

impl<E: Store> Backend<E> {
    /// The given cluster, or one that is started for it.
    pub(crate) async fn open(arguments: &Arguments, given: Option<Config>) -> anyhow::Result<Self> {
        match given {
            Some(config) => Self::over(config, None).await,
            None => {
                let simulated = start(arguments).await?;
                let config = configuration(&simulated.url())?;
                Self::over(config, Some(Arc::new(simulated))).await
            }
        }
    }

    /// That cluster, once it serves.
    pub(crate) async fn over(
        mut config: Config,
        simulated: Option<Arc<SimCluster>>,
    ) -> anyhow::Result<Self> {
        let hosts: Vec<String> = config.seeds.iter().map(ToString::to_string).collect();
        let place = match &simulated {
            Some(simulated) => format!(
                "a simulated Aurora {} of {} instances",
                simulated.engine(),
                simulated.instances().len()
            ),
            None => format!("{} at {}", config.engine, hosts.join(", ")),
        };
        // A workload of that name in the URL stays as it is.
        let reports = config.workloads.entry(REPORTS.into());
        reports.or_insert_with(|| Workload::new().pool_max(REPORT_CONNECTIONS));
        let cluster = Cluster::<E>::new(config)?;
        cluster
            .ready(Duration::from_secs(30))
            .await
            .with_context(|| format!("{place} does not serve"))?;
        let reports = cluster.workload(REPORTS)?;
        Ok(Self {
            shop: Shop::new(cluster, reports),
            simulated,
            place,
        })
    }

    pub(crate) fn describe(&self) -> &str {
        &self.place
    }

    pub(crate) async fn close(self, within: Duration) {
        self.shop.close(within).await;
        // Whoever still looks at the page holds it too; it ends with the process then.
        if let Some(Ok(simulated)) = self.simulated.map(Arc::try_unwrap) {
            simulated.stop().await;
        }
    }
}

async fn start(arguments: &Arguments) -> anyhow::Result<SimCluster> {
    let timeline = match (arguments.timeline, arguments.engine) {
        (Pace::Fast, _) => Timeline::fast(),
        (Pace::Aurora, EngineKind::Postgres) => Timeline::aurora_postgres(),
        (Pace::Aurora, EngineKind::MySql) => Timeline::aurora_mysql(),
    };
    SimCluster::builder(arguments.engine)
        .cluster_id("shop")
        .readers(usize::from(arguments.readers))
        .timeline(timeline)
        .seed(arguments.seed)
        .start()
        .await
        .context("the simulated cluster did not start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says_counts_and_the_shop_has_defaults_for_the_rest() {
        let silent = configuration("postgres://app@localhost/shop").expect("a URL");
        assert_eq!(silent.timing.checkout_timeout, CHECKOUT_TIMEOUT);
        assert_eq!(silent.max_reader_lag, Some(READER_LAG_MAX));
        let url = "mysql://app@localhost/shop?max_reader_lag=5s&checkout_timeout=30s";
        let outspoken = configuration(url).expect("a URL");
        let seconds = Duration::from_secs;
        assert_eq!(outspoken.timing.checkout_timeout, seconds(30));
        assert_eq!(outspoken.max_reader_lag, Some(seconds(5)));
    }

    #[test]
    fn a_url_for_mysql_names_a_database_and_one_for_postgresql_need_not() {
        for url in ["mysql://app@localhost", "mysql://app@localhost/?zone=a"] {
            let error = configuration(url).expect_err("no database").to_string();
            assert!(error.contains("mysql://user@host/shop"), "{error}");
        }
        assert!(configuration("postgres://app@localhost").is_ok());
    }
}
