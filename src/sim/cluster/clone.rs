//! A second cluster on a copy of the storage.

use std::sync::Arc;

use super::{SimCluster, SimClusterBuilder, SimError};

impl SimCluster {
    /// Starts another cluster, as described, whose storage begins as a copy of what is committed
    /// in this one now. From then on neither sees the other's changes (Aurora User Guide,
    /// "Cloning a volume for an Aurora DB cluster").
    ///
    /// The copy includes the [`ledger`](Self::ledger) with the entries of this cluster, whose
    /// times are counted from this cluster's start. Users, names and the database's name are the
    /// builder's. The clone's replica-status table does not list the source's instances, as
    /// Aurora's may for a while;
    /// [`foreign_rows`](crate::sim::ViewOptions::foreign_rows) in the builder's timeline adds
    /// rows of another cluster.
    ///
    /// ```
    /// use aurora_driver::EngineKind;
    /// use aurora_driver::sim::SimCluster;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cluster = SimCluster::builder(EngineKind::Postgres).start().await?;
    /// let other = SimCluster::builder(EngineKind::Postgres).cluster_id("clone").seed(2);
    /// let clone = cluster.clone_cluster(other).await?;
    /// assert_eq!(clone.ledger()?, cluster.ledger()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The builder is for another engine, the storage cannot be copied, or the cluster does not
    /// [start](SimClusterBuilder::start).
    pub async fn clone_cluster(&self, builder: SimClusterBuilder) -> Result<SimCluster, SimError> {
        if builder.engine != self.engine() {
            return Err(SimError::Config(format!(
                "a clone of a {} cluster cannot be a {} cluster: name the same engine",
                self.engine().name(),
                builder.engine.name()
            )));
        }
        let origin = self.shared.volume.origin();
        let origin = origin
            .map_err(|error| SimError::Query(format!("the storage cannot be copied: {error}")))?;
        let mut builder = builder;
        builder.origin = Some(Arc::new(origin));
        builder.start().await
    }
}

#[cfg(test)]
mod tests;
