//! One pool per instance, following the topology; and the monitor's way to the instances.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::dialer::Dialer;
use super::instance::InstancePool;
use super::lease::Lease;
use crate::engine::reporter::Reporter;
use crate::engine::{Backend, Failure, Survey};
use crate::error::{Error, ErrorKind};
use crate::id::InstanceId;
use crate::time::{self, Instant};
use crate::topology::Topology;
use crate::topology::apply::Effect;
use crate::topology::cadence::Target;
use crate::topology::monitor::{News, ProbeFailure, Prober};
use crate::topology::observation::{Fault, Report};

/// All pools of one cluster handle.
#[derive(Debug)]
pub(crate) struct PoolSet<E: Backend> {
    dialer: Dialer,
    news: News,
    pools: RwLock<BTreeMap<InstanceId, Arc<InstancePool<E>>>>,
    /// Woken whenever a connection comes back.
    returned: Arc<Notify>,
}

impl<E: Backend> PoolSet<E> {
    pub(crate) fn new(dialer: Dialer, news: News) -> Self {
        Self {
            dialer,
            news,
            pools: RwLock::default(),
            returned: Arc::new(Notify::new()),
        }
    }

    /// Checks out a connection to one instance.
    pub(crate) async fn checkout(
        &self,
        instance: &InstanceId,
        deadline: Instant,
    ) -> Result<Lease<E>, Failure> {
        match self.pool(instance) {
            Some(pool) => pool.checkout(deadline).await,
            None => Err(Failure {
                fault: Fault::Unresolved,
                error: Error::new(ErrorKind::Connect, "it has left the cluster")
                    .with_instance(instance),
            }),
        }
    }

    /// How many connections to an instance are checked out.
    pub(crate) fn in_use(&self, instance: &InstanceId) -> usize {
        self.pool(instance).map_or(0, |pool| pool.in_use())
    }

    /// Refuses new checkouts, closes what is idle, and waits until `deadline` for what is in
    /// use; how many connections were still out then.
    pub(crate) async fn close(&self, deadline: Instant) -> usize {
        let pools = self.all();
        for pool in &pools {
            pool.close();
        }
        loop {
            let returned = self.returned.notified();
            let in_use = pools.iter().map(|pool| pool.in_use()).sum();
            if in_use == 0 || time::remaining(deadline) == Duration::ZERO {
                return in_use;
            }
            // The count is taken anew each time, so a missed wake-up costs nothing.
            let _ = tokio::time::timeout_at(deadline, returned).await;
        }
    }

    /// The pools there are now.
    pub(super) fn all(&self) -> Vec<Arc<InstancePool<E>>> {
        self.read().values().cloned().collect()
    }

    fn pool(&self, instance: &InstanceId) -> Option<Arc<InstancePool<E>>> {
        self.read().get(instance).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<InstanceId, Arc<InstancePool<E>>>> {
        self.pools.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes pools for new instances and closes those of instances that are gone.
    fn follow(&self, topology: &Topology) {
        let unchanged = {
            let pools = self.read();
            pools.len() == topology.instances().len()
                && topology
                    .instances()
                    .all(|instance| pools.contains_key(instance.id()))
        };
        if unchanged {
            return;
        }
        let mut pools = self.pools.write().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|id, pool| {
            let stays = topology.instance(id).is_some();
            if !stays {
                pool.close();
            }
            stays
        });
        for instance in topology.instances() {
            if pools.contains_key(instance.id()) {
                continue;
            }
            let id = instance.id().clone();
            let news = self.news.clone();
            let returned = Arc::clone(&self.returned);
            match InstancePool::new(id.clone(), self.dialer.clone(), news, returned) {
                Ok(pool) => {
                    pools.insert(id, Arc::new(pool));
                }
                Err(error) => tracing::warn!(instance = %id, %error, "no pool for an instance"),
            }
        }
    }

    async fn ask_seed(&self, seed: usize, deadline: Instant) -> Result<Survey, Failure> {
        let place = self
            .dialer
            .config()
            .seeds
            .get(seed)
            .ok_or_else(|| Failure {
                fault: Fault::Unresolved,
                error: Error::new(ErrorKind::Config, "no such seed"),
            })?;
        let mut client = self
            .dialer
            .dial::<E>(place, Reporter::silent(), deadline)
            .await?;
        let survey = ask::<E>(&mut client, deadline).await;
        E::kill(client);
        survey
    }

    /// Asks over the connection kept for it, or over a new one; the second value says whether
    /// the kept one turned out to be gone.
    async fn ask_instance(
        &self,
        id: &InstanceId,
        deadline: Instant,
    ) -> Result<(Survey, bool), Failure> {
        let pool = self.pool(id).ok_or_else(|| Failure {
            fault: Fault::Unresolved,
            error: Error::new(ErrorKind::Config, "no host name can be made for it"),
        })?;
        let member = pool.member();
        let (generation, reporter) = member.reporter();
        let mut kept_was_gone = false;
        if let Some(mut client) = member.take_standing() {
            match ask::<E>(&mut client, deadline).await {
                Ok(survey) => {
                    member.keep_standing(client, generation);
                    return Ok((survey, false));
                }
                Err(failure) => {
                    E::kill(client);
                    if failure.fault == Fault::TimedOut {
                        return Err(failure);
                    }
                    kept_was_gone = true;
                }
            }
        }
        let place = member.place();
        let mut client = self.dialer.dial::<E>(place, reporter, deadline).await?;
        match ask::<E>(&mut client, deadline).await {
            Ok(survey) => {
                member.keep_standing(client, generation);
                Ok((survey, kept_was_gone))
            }
            Err(failure) => {
                E::kill(client);
                Err(failure)
            }
        }
    }

    fn name_of(&self, target: &Target) -> String {
        match target {
            Target::Instance(id) => id.to_string(),
            Target::Seed(seed) => match self.dialer.config().seeds.get(*seed) {
                Some(place) => place.to_string(),
                None => format!("seed {seed}"),
            },
        }
    }
}

async fn ask<E: Backend>(client: &mut E::Client, deadline: Instant) -> Result<Survey, Failure> {
    match tokio::time::timeout_at(deadline, E::survey(client)).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::timed_out("no answer to a probe in time")),
    }
}

impl<E: Backend> Prober for PoolSet<E> {
    async fn ask(&self, target: &Target, asked_at: Instant) -> Result<Report, ProbeFailure> {
        let timing = &self.dialer.config().timing;
        let answer = match target {
            Target::Instance(id) => self.ask_instance(id, asked_at + timing.probe_timeout).await,
            // A seed's name may have to be resolved and there is nobody else to ask.
            Target::Seed(seed) => self
                .ask_seed(*seed, asked_at + timing.connect_timeout)
                .await
                .map(|survey| (survey, false)),
        };
        match answer {
            Ok((survey, standing_connection_lost)) => Ok(Report {
                identity: survey.identity,
                asked_at,
                is_writer: survey.is_writer,
                server_now_micros: survey.server_now_micros,
                standing_connection_lost,
                rows: survey.rows,
            }),
            Err(failure) => Err(ProbeFailure {
                fault: failure.fault,
                kind: failure.error.kind(),
                message: format!("{}: {}", self.name_of(target), failure.error),
            }),
        }
    }

    fn carry_out(&self, topology: &Topology, effects: &[Effect]) {
        for effect in effects {
            let (instance, cause) = match effect {
                Effect::EndGeneration { instance, cause } => (instance, Some(*cause)),
                Effect::RetireGeneration { instance } => (instance, None),
                Effect::Ask(_) | Effect::Tell(_) => continue,
            };
            let Some(pool) = self.pool(instance) else {
                continue;
            };
            let generation = topology.instance(instance).map_or_else(
                || pool.member().generation().next(),
                |known| known.generation(),
            );
            pool.begin_generation(generation, cause);
        }
        self.follow(topology);
    }
}
