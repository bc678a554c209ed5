//! A future run so that its seed decides everything.

use std::future::Future;

use tokio::runtime::{Runtime, RuntimeFlavor};

/// Runs a future to its end in a runtime of its own, with all randomness of this crate seeded.
///
/// The runtime is made by the caller, with `start_paused(true)`, as that needs tokio's feature
/// `test-util`, which belongs among an application's dev-dependencies and not into this crate.
/// Under a paused clock time jumps to the next thing that anybody waits for, so a failover of
/// 30 s takes as long as its computing does; otherwise it takes its 30 s.
///
/// The same seed and the same future give the same course of events, as long as the clock is
/// paused and the future neither reads the machine's clock, opens sockets, starts threads, nor
/// depends on the order of a `HashMap`.
///
/// # Panics
///
/// Where the runtime has more than one thread, as their order is no seed's to choose, and inside
/// another runtime, as tokio's `block_on` does.
pub fn replay<F: Future>(runtime: Runtime, seed: u64, future: F) -> F::Output {
    assert_eq!(
        runtime.handle().runtime_flavor(),
        RuntimeFlavor::CurrentThread,
        "build the runtime with `new_current_thread`"
    );
    // The driver draws its seeds from this thread's generator, and all its tasks run here.
    let _before = ThreadSeed(fastrand::get_seed());
    fastrand::seed(seed);
    runtime.block_on(future)
}

/// Gives the thread's generator its former state back, also after a panic.
struct ThreadSeed(u64);

impl Drop for ThreadSeed {
    fn drop(&mut self) {
        fastrand::seed(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[should_panic(expected = "new_current_thread")]
    fn a_runtime_of_several_threads_is_refused() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        replay(runtime, 1, async {});
    }

    #[test]
    fn an_hour_passes_at_once_and_a_seed_repeats_every_choice() {
        let draw = |seed| {
            replay(super::super::tests::paused(), seed, async {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                (fastrand::Rng::new().u64(..), fastrand::u64(..))
            })
        };
        let started = std::time::Instant::now();
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!(started.elapsed() < Duration::from_secs(60));
    }
}
