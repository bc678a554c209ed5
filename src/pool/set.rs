//! One pool per instance, following the topology; and the monitor's way to the instances.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use super::instance::InstancePool;
use super::lease::Lease;
use super::member::Member;
use crate::engine::reporter::Reporter;
use crate::engine::{Backend, Failure, Survey};
use crate::error::{Error, ErrorKind};
use crate::id::{Generation, InstanceId};
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
    pools: RwLock<Pools<E>>,
    /// Woken whenever a connection comes back.
    returned: Arc<Notify>,
    /// The handle was closed; turned while `pools` is locked, so that none is added after it.
    closed: CancellationToken,
}

#[derive(Debug)]
struct Pools<E: Backend> {
    present: BTreeMap<InstanceId, Arc<InstancePool<E>>>,
    /// Of instances that have left the cluster while connections to them were in use.
    departed: Vec<Arc<InstancePool<E>>>,
    /// Instances that no host name can be made for; each is complained of once.
    unreachable: BTreeSet<InstanceId>,
}

impl<E: Backend> Pools<E> {
    /// Whether there is nothing to add or to close for this picture.
    fn fit(&self, topology: &Topology) -> bool {
        let known = |id| self.present.contains_key(id) || self.unreachable.contains(id);
        self.present.len() + self.unreachable.len() == topology.instances().len()
            && topology.instances().all(|instance| known(instance.id()))
    }
}

impl<E: Backend> PoolSet<E> {
    pub(crate) fn new(dialer: Dialer, news: News) -> Self {
        Self {
            dialer,
            news,
            pools: RwLock::new(Pools {
                present: BTreeMap::new(),
                departed: Vec::new(),
                unreachable: BTreeSet::new(),
            }),
            returned: Arc::new(Notify::new()),
            closed: CancellationToken::new(),
        }
    }

    /// Checks out a connection to one instance.
    pub(crate) async fn checkout(
        &self,
        instance: &InstanceId,
        deadline: Instant,
    ) -> Result<Lease<E>, Failure> {
        self.member_pool(instance)?.checkout(deadline).await
    }

    /// Checks out a connection to one instance unless all are in use: `None` then.
    pub(crate) async fn checkout_at_once(
        &self,
        instance: &InstanceId,
        deadline: Instant,
    ) -> Result<Option<Lease<E>>, Failure> {
        let pool = self.member_pool(instance)?;
        pool.checkout_at_once(deadline).await
    }

    fn member_pool(&self, instance: &InstanceId) -> Result<Arc<InstancePool<E>>, Failure> {
        self.pool(instance).ok_or_else(|| Failure {
            fault: Fault::Unresolved,
            error: Error::new(ErrorKind::Connect, "it has left the cluster")
                .with_instance(instance),
        })
    }

    /// How many connections to an instance are checked out.
    pub(crate) fn in_use(&self, instance: &InstanceId) -> usize {
        self.pool(instance).map_or(0, |pool| pool.in_use())
    }

    /// Refuses new checkouts, closes what is idle, waits until `deadline` for what is in use,
    /// and ends the rest; how many connections that were.
    pub(crate) async fn close(&self, deadline: Instant) -> usize {
        let pools = self.shut();
        for pool in &pools {
            pool.close();
        }
        let mut returned = std::pin::pin!(self.returned.notified());
        loop {
            // Listening begins before the count, so that no return is missed.
            returned.as_mut().enable();
            let users: usize = pools.iter().map(|pool| pool.users()).sum();
            if users == 0 || time::remaining(deadline) == Duration::ZERO {
                break;
            }
            let _ = tokio::time::timeout_at(deadline, returned.as_mut()).await;
            returned.set(self.returned.notified());
        }
        let in_use = pools.iter().map(|pool| pool.in_use()).sum();
        for pool in &pools {
            pool.end("the handle was closed");
        }
        in_use
    }

    /// Lets no pool be added from now on; all that there are, also of instances that have left.
    fn shut(&self) -> Vec<Arc<InstancePool<E>>> {
        let pools = self.write();
        self.closed.cancel();
        let present = pools.present.values();
        present.chain(&pools.departed).cloned().collect()
    }

    /// The pools there are now.
    pub(super) fn all(&self) -> Vec<Arc<InstancePool<E>>> {
        self.read().present.values().cloned().collect()
    }

    fn pool(&self, instance: &InstanceId) -> Option<Arc<InstancePool<E>>> {
        self.read().present.get(instance).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Pools<E>> {
        self.pools.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Pools<E>> {
        self.pools.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes pools for new instances and closes those of instances that are gone.
    fn follow(&self, topology: &Topology) {
        if self.read().fit(topology) {
            return;
        }
        let mut pools = self.write();
        if self.closed.is_cancelled() {
            return;
        }
        let Pools {
            present,
            departed,
            unreachable,
        } = &mut *pools;
        unreachable.retain(|id| topology.instance(id).is_some());
        departed.retain(|pool| pool.users() > 0);
        present.retain(|id, pool| {
            let stays = topology.instance(id).is_some();
            if !stays {
                pool.close();
                departed.push(Arc::clone(pool));
            }
            stays
        });
        for instance in topology.instances() {
            let id = instance.id();
            if present.contains_key(id) || unreachable.contains(id) {
                continue;
            }
            let made = InstancePool::new(
                id.clone(),
                self.dialer.clone(),
                self.news.clone(),
                Arc::clone(&self.returned),
                self.closed.clone(),
            );
            match made {
                Ok(pool) => {
                    present.insert(id.clone(), Arc::new(pool));
                }
                Err(error) => {
                    tracing::warn!(instance = %id, %error, "no pool for an instance");
                    unreachable.insert(id.clone());
                }
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
                    keep_if_it_leads_there(member, client, generation, &survey);
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
                keep_if_it_leads_there(member, client, generation, &survey);
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

/// A name may lead to another instance for a while: what was opened then is nobody's.
fn keep_if_it_leads_there<E: Backend>(
    member: &Member<E>,
    client: E::Client,
    generation: Generation,
    survey: &Survey,
) {
    if survey.identity == *member.id() {
        member.keep_standing(client, generation);
    } else {
        E::kill(client);
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
