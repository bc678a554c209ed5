//! Brings the schema up to date at the start, on the writer.

use aurora_driver::Cluster;

use super::{ShopError, Store};

/// Applies the migrations that the database has not seen; how many.
///
/// Several instances of the service may start at once: every statement of a migration may be run
/// twice, and a migration counts by the row that it leaves in `schema_versions`.
pub(crate) async fn migrate<E: Store>(cluster: &Cluster<E>) -> Result<usize, ShopError> {
    let applied = usize::try_from(E::schema_version(cluster).await?).unwrap_or(0);
    let missing = E::migrations().iter().skip(applied);
    let mut count = 0;
    for script in missing {
        E::run_script(cluster, script).await?;
        count += 1;
    }
    Ok(count)
}
