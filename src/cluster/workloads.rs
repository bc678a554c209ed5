//! Handles for kinds of work, and the answer to where their requests go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::hub::Hub;
use super::{Cluster, closed};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::id::InstanceId;
use crate::resolve::members;
use crate::routing::explain::{Explanation, Intent};
use crate::routing::{Reads, Scope};

/// Opens the handles of a configuration's workloads over the same monitor.
pub(super) fn open<E: Engine>(
    parent: &Config,
    hub: &Arc<Hub<E>>,
) -> Result<BTreeMap<String, Cluster<E>>> {
    let mut opened = BTreeMap::new();
    for (name, workload) in &parent.workloads {
        let (config, known) = parent.for_workload(name, workload);
        let (endpoints, scope) = match known {
            Some(members) => (Vec::new(), Scope::Members(Arc::new(members))),
            None => {
                let endpoints = members::custom_endpoints(&config)?;
                let scope = scope_of(&endpoints);
                (endpoints, scope)
            }
        };
        // The parent has not left it.
        if !hub.enter() {
            return Err(closed());
        }
        let handle = Cluster::open(
            Arc::new(config),
            Arc::clone(hub),
            endpoints,
            scope,
            BTreeMap::new(),
        );
        opened.insert(name.clone(), handle);
    }
    Ok(opened)
}

/// Whom reads are confined to before these custom endpoints have been looked up.
pub(super) fn scope_of(custom_endpoints: &[Arc<str>]) -> Scope {
    match custom_endpoints {
        [] => Scope::Everywhere,
        [_, ..] => Scope::Nowhere("its name has not been looked up yet".into()),
    }
}

impl<E: Engine> Cluster<E> {
    /// The handle of a workload of the configuration
    /// ([`Config::workloads`](crate::Config::workloads)): with pools of its own, and reads that go
    /// where it says. It is the same at each call, shares this handle's monitor, and is closed with
    /// this handle; closing it alone leaves this handle open.
    ///
    /// ```
    /// # use aurora_driver::sim::SimCluster;
    /// use aurora_driver::config::{Workload, WhenNone};
    /// use aurora_driver::{Cluster, Config, EngineKind, Postgres};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let simulated = SimCluster::builder(EngineKind::Postgres).readers(2).start().await?;
    /// # let url = simulated.url();
    /// # let for_reports = simulated.readers().remove(1);
    /// let mut config = Config::from_url(&url)?;
    /// let reports = Workload::new()
    ///     .instances([for_reports.clone()])
    ///     .pool_max(2)
    ///     .when_none(WhenNone::Readers);
    /// config.workloads.insert("reports".into(), reports);
    /// let cluster = Cluster::<Postgres>::new(config)?;
    ///
    /// let reports = cluster.workload("reports")?;
    /// assert_eq!(*reports.reader().await?.instance(), for_reports);
    /// println!("{}", reports.explain(aurora_driver::route::Intent::Read));
    /// assert!(cluster.workload("report").is_err());
    /// # simulated.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for a name that the configuration does not know; the message lists
    /// those that it knows.
    pub fn workload(&self, name: &str) -> Result<Self> {
        if let Some(workload) = self.inner.workloads.get(name) {
            return Ok(workload.clone());
        }
        let known: Vec<&str> = self.inner.workloads.keys().map(String::as_str).collect();
        let known = match &*known {
            [] => "none is configured: add it by `ConfigBuilder::workload`".to_owned(),
            names => format!("known are: {}", names.join(", ")),
        };
        Err(Error::new(
            ErrorKind::Config,
            format!("there is no workload `{}`; {known}", name.escape_debug()),
        ))
    }

    /// Where a request of this handle would go now, and why: for a page, a log or a question at
    /// night, not for each request. It changes nothing and takes nobody's turn.
    ///
    /// Its `Display` is a table: the candidates, the first to be asked first, and for each other
    /// instance why it is left out.
    pub fn explain(&self, intent: Intent) -> Explanation {
        let turn = self.inner.turn.load(Ordering::Relaxed);
        self.inner.pools.explain(intent, &self.topology(), turn)
    }

    /// The error of a read that nobody could take.
    pub(super) fn no_reader(&self, waited: Duration) -> Error {
        let inner = &self.inner;
        let reads = inner.pools.routes().reads();
        let what = match &*inner.pools.scope().borrow() {
            _ if reads.use_the_writer() => self.no_room_at_the_writer(),
            Scope::Everywhere => "no instance takes reads".into(),
            Scope::Nowhere(reason) => {
                format!("no member of the custom endpoint is known ({reason}), so none takes reads")
            }
            Scope::Members(known) => {
                let names: Vec<&str> = known.iter().map(InstanceId::as_str).collect();
                let names = names.join(", ");
                format!(
                    "no member of the {} ({names}) takes reads",
                    inner.members_of
                )
            }
        };
        let lagging = inner.pools.lagging();
        let what = match (&*lagging, inner.config.max_reader_lag) {
            ([_, ..], Some(max)) => {
                format!("{what} ({} lag more than {max:?})", lagging.join(", "))
            }
            _ => what,
        };
        match reads {
            Reads::Refused => Error::new(
                ErrorKind::NoReader,
                format!(
                    "{what}, and it is configured not to wait ({})",
                    self.topology()
                ),
            ),
            _ => Error::new(ErrorKind::NoReader, self.explain_absence(&what, waited)),
        }
    }

    /// Why a read found no place at the writer, where it would have had to go.
    fn no_room_at_the_writer(&self) -> String {
        let inner = &self.inner;
        let is_known = inner.pools.routes().writer_for_reads().is_some();
        match inner.config.writer_reads_max() {
            _ if !is_known => "neither a reader nor the writer takes reads".into(),
            Some(0) => "no reader may be used, and writer_reads_percent is 0, so that the writer \
                        takes none: raise it, or add a reader"
                .into(),
            max => format!(
                "no reader may be used, and reads hold all of the {} connections to the writer \
                 that writer_reads_percent leaves them",
                max.unwrap_or(inner.config.pool.max)
            ),
        }
    }
}
