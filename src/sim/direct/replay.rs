//! A runtime in which time is virtual and every choice comes from a seed.

use std::future::Future;

/// Runs a future to its end under a paused clock, with all randomness of this crate seeded.
///
/// The clock jumps to the next thing that anybody waits for, so a failover of 30 s takes as long
/// as its computing does. The same seed and the same future give the same course of events, as
/// long as the future neither reads the machine's clock, opens sockets, starts threads, nor
/// depends on the order of a `HashMap`.
///
/// # Panics
///
/// Where a tokio runtime is entered already, as tokio's `block_on` does, and where the operating
/// system refuses a runtime.
pub fn replay<F: Future>(seed: u64, future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets needs nothing that could be lacking");
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
    fn an_hour_passes_at_once_and_a_seed_repeats_every_choice() {
        let draw = |seed| {
            replay(seed, async {
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
