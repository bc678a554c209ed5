//! Waiting until the cluster is known, and the reasons why it is not.

use std::sync::Arc;
use std::time::Duration;

use super::{Cluster, LONGEST_WAIT, closed};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::time;
use crate::topology::cadence::Target;
use crate::topology::monitor::{Failures, ProbeFailure};
use crate::topology::{Health, Phase, Topology};

/// How long [`Cluster::connect`] waits for the last of the instances to be asked, once the writer
/// is known.
const ACQUAINTANCE_TIMEOUT: Duration = Duration::from_secs(1);

impl<E: Engine> Cluster<E> {
    /// Waits until a writer is confirmed and the other instances have been asked once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoWriter`] with the last obstacle in its message when `within` (at most a
    /// day) runs out; sooner, where it is so at every seed, [`ErrorKind::Authentication`] when
    /// the login is refused, and [`ErrorKind::NotAurora`] when the server is something else.
    ///
    /// # Cancellation
    ///
    /// Safe; the search goes on in the background.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let deadline = time::now() + within.min(LONGEST_WAIT);
        let mut topology = self.inner.published.topology.clone();
        let mut failures = self.inner.published.failures.clone();
        let seeds = self.inner.config.seeds.len();
        let writer_known = async {
            let steady = |topology: &Arc<Topology>| topology.phase() == Phase::Steady;
            topology.wait_for(steady).await.map(drop)
        };
        let hopeless = async {
            let failed = |failures: &Failures| all_hopeless(failures, seeds);
            let failures = failures.wait_for(failed).await;
            failures
                .ok()
                .and_then(|failures| failures.seeds.values().next().cloned())
        };
        tokio::select! {
            biased;
            known = writer_known => known.map_err(|_| closed())?,
            failure = hopeless => {
                return Err(failure.map_or_else(closed, |failure| {
                    Error::new(failure.kind, failure.message)
                }));
            }
            () = time::sleep_until(Some(deadline)) => return Err(self.no_writer(within)),
        }
        let all_asked = topology.wait_for(|topology| {
            topology
                .instances()
                .all(|instance| instance.health() != Health::Unknown)
        });
        let acquainted = deadline.min(time::now() + ACQUAINTANCE_TIMEOUT);
        // An instance that says nothing must not keep the application from starting.
        let _ = tokio::time::timeout_at(acquainted, all_asked).await;
        Ok(())
    }

    /// Why the last question to an instance had no answer, for people: a refused login, a name
    /// without an address, a port that nothing listens on. `None` once that instance, or in place of a
    /// seed any, has answered.
    ///
    /// For a health check that must say why the cluster is away; errors of calls that waited for a
    /// writer in vain hold it already.
    pub fn last_obstacle(&self) -> Option<String> {
        let failures = self.inner.published.failures.borrow();
        let topology = self.topology();
        let is_gone = |id| topology.instance(id).is_none();
        match failures.last.as_ref()? {
            (Target::Instance(id), _) if is_gone(id) => None,
            (_, failure) => Some(failure.message.clone()),
        }
    }

    pub(super) fn no_writer(&self, waited: Duration) -> Error {
        Error::new(
            ErrorKind::NoWriter,
            self.explain_absence("no instance has been confirmed as the writer", waited),
        )
    }

    pub(super) fn explain_absence(&self, what: &str, waited: Duration) -> String {
        let topology = self.topology();
        let obstacle = match self.last_obstacle() {
            Some(message) => format!("; the last obstacle was: {message}"),
            None => String::new(),
        };
        format!("{what} within {waited:?} ({topology}){obstacle}")
    }
}

/// Whether waiting is of no use at any of the seeds.
fn all_hopeless(failures: &Failures, seeds: usize) -> bool {
    failures.seeds.len() == seeds && failures.seeds.values().all(is_hopeless)
}

/// Whether a failed probe means that waiting is of no use: the configuration is wrong.
fn is_hopeless(failure: &ProbeFailure) -> bool {
    matches!(
        failure.kind,
        ErrorKind::Authentication | ErrorKind::Config | ErrorKind::NotAurora
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::observation::Fault;

    fn failed(kinds: &[ErrorKind]) -> Failures {
        let failure = |kind: &ErrorKind| ProbeFailure {
            fault: Fault::Other,
            kind: *kind,
            message: String::new(),
        };
        Failures {
            last: None,
            seeds: kinds.iter().map(failure).enumerate().collect(),
        }
    }

    #[test]
    fn a_search_is_given_up_only_when_every_seed_is_hopeless() {
        let refused = ErrorKind::Authentication;
        assert!(all_hopeless(&failed(&[refused]), 1));
        assert!(all_hopeless(&failed(&[refused, ErrorKind::NotAurora]), 2));
        assert!(!all_hopeless(&failed(&[refused]), 2), "one is not asked");
        assert!(!all_hopeless(&failed(&[refused, ErrorKind::Connect]), 2));
        assert!(!all_hopeless(&failed(&[]), 1));
    }
}
