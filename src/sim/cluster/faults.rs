//! Faults of single statements, by request.

use std::sync::Arc;

use super::SimCluster;
use crate::sim::fault::{ActiveFault, FaultGuard, StatementFault};

impl SimCluster {
    /// Puts a fault of single statements in force until the guard is dropped.
    ///
    /// ```
    /// use aurora_driver::sim::{FaultPoint, SimCluster, StatementFault};
    /// use aurora_driver::{Cluster, EngineKind, Error, Outcome, Postgres};
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let simulated = SimCluster::builder(EngineKind::Postgres).start().await?;
    /// simulated.run_sql("CREATE TABLE orders (id int)").await?;
    /// let cluster = Cluster::<Postgres>::connect(&simulated.url()).await?;
    ///
    /// // The insert is applied, and its answer is lost.
    /// let lost = StatementFault::reset().at(FaultPoint::Answer).containing("insert").first(1);
    /// let fault = simulated.fault(lost);
    /// let writer = cluster.writer().await?;
    /// let failed = writer.execute("INSERT INTO orders VALUES (1)", &[]).await;
    /// let error = Error::from(failed.expect_err("the answer is lost"));
    /// assert_eq!(error.outcome(), Outcome::Unknown);
    /// assert_eq!(fault.fired(), 1);
    /// assert_eq!(simulated.query("SELECT count(*) FROM orders")?[0][0], 1);
    /// # simulated.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fault(&self, fault: StatementFault) -> FaultGuard {
        let faults: &Arc<_> = &self.shared.faults;
        faults.add(fault)
    }

    /// The faults of single statements in force, oldest first.
    pub fn faults(&self) -> Vec<ActiveFault> {
        self.shared.faults.list()
    }

    /// Ends a fault by its number, also one whose guard still lives or was
    /// [kept](FaultGuard::keep). `false` if there is none.
    pub fn end_fault(&self, number: u64) -> bool {
        self.shared.faults.remove(number)
    }
}
