//! Brings the schema up to date at the start, on the writer.

use anyhow::Context;
use aurora_driver::{Cluster, ServerCode};

use super::{ShopError, Store};

/// Applies the migrations that the database has not seen; how many.
///
/// Several instances of the service may start at once: every statement of a migration may be run
/// twice, and a migration counts by the row that it leaves in `schema_versions`.
pub(crate) async fn migrate<E: Store>(cluster: &Cluster<E>) -> anyhow::Result<usize> {
    apply(cluster)
        .await
        .map_err(|error| {
            let is_denied = is_denied(&error);
            let error = anyhow::Error::from(error);
            match is_denied {
                true => error.context("the user must be allowed to create, read and change tables"),
                false => error,
            }
        })
        .context("the schema cannot be brought up to date")
}

async fn apply<E: Store>(cluster: &Cluster<E>) -> Result<usize, ShopError> {
    let applied = usize::try_from(E::schema_version(cluster).await?).unwrap_or(0);
    let missing = E::migrations().iter().skip(applied);
    let mut count = 0;
    for script in missing {
        E::run_script(cluster, script).await?;
        count += 1;
    }
    Ok(count)
}

/// insufficient_privilege (PostgreSQL manual, appendix A); ER_DBACCESS_DENIED_ERROR,
/// ER_TABLEACCESS_DENIED_ERROR (MySQL server error reference).
fn is_denied(error: &ShopError) -> bool {
    const DENIED: [ServerCode; 3] = [
        ServerCode::SqlState(*b"42501"),
        ServerCode::MySql(1044),
        ServerCode::MySql(1142),
    ];
    match error {
        ShopError::Database { error, .. } => {
            error.code().is_some_and(|code| DENIED.contains(&code))
        }
        ShopError::Missing(_)
        | ShopError::OtherOrder
        | ShopError::SoldOut
        | ShopError::TooSlow { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aurora_driver::sim::{SimCluster, StatementFault};
    use aurora_driver::{EngineKind, MySql, Postgres};

    use super::*;
    use crate::backend::{Backend, configuration};
    use crate::testing::PATIENCE;

    async fn told<E: Store>(engine: EngineKind, fault: StatementFault) -> String {
        let simulated = SimCluster::builder(engine).readers(0).start().await;
        let simulated = Arc::new(simulated.expect("a cluster"));
        let config = configuration(&simulated.url()).expect("a URL");
        let backend = Backend::<E>::over(config, Some(Arc::clone(&simulated))).await;
        let backend = backend.expect("it serves");
        let _fault = simulated.fault(fault.containing("create table"));
        let error = migrate(backend.shop.cluster()).await.expect_err("a fault");
        backend.close(PATIENCE).await;
        format!("{error:#}")
    }

    #[tokio::test]
    async fn a_schema_that_cannot_be_made_is_told_once_with_the_advice_that_fits() {
        let denied = || StatementFault::error("42501", 1142, "permission denied for schema shop");
        for told in [
            told::<Postgres>(EngineKind::Postgres, denied()).await,
            told::<MySql>(EngineKind::MySql, denied()).await,
        ] {
            assert!(
                told.contains("allowed to create, read and change tables"),
                "{told}"
            );
            assert_eq!(told.matches("permission denied").count(), 1, "{told}");
        }
        let full = StatementFault::error("53100", 1021, "the disk is full");
        let told = told::<MySql>(EngineKind::MySql, full).await;
        assert!(!told.contains("allowed"), "{told}");
        assert_eq!(told.matches("the disk is full").count(), 1, "{told}");
    }
}
