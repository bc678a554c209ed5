//! `deadpool` with a manager that does nothing: the least that a pool on it can cost.

use deadpool::Runtime;
use deadpool::managed::{Manager, Metrics, Pool, QueueMode, RecycleResult};

/// A pool of numbers, set up as the driver's pools are.
pub(crate) type Bare = Pool<Trivial>;

pub(crate) struct Trivial;

impl Manager for Trivial {
    type Type = u64;
    type Error = std::convert::Infallible;

    async fn create(&self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    async fn recycle(&self, _: &mut u64, _: &Metrics) -> RecycleResult<Self::Error> {
        Ok(())
    }
}

pub(crate) fn pool(size: usize) -> anyhow::Result<Bare> {
    let pool = Pool::builder(Trivial)
        .max_size(size)
        .queue_mode(QueueMode::Lifo)
        .runtime(Runtime::Tokio1)
        .build()?;
    Ok(pool)
}
