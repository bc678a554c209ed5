//! The monitor's way to the instances: a [`Station`] for each, and the pools that follow.
//!
//! One roster serves all handles to a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::dialer::Dialer;
use super::plain::Answer;
use super::set::PoolSet;
use super::station::Station;
use crate::config::HostPort;
use crate::engine::reporter::{GenerationEnd, Reporter};
use crate::engine::{Backend, Failure};
use crate::error::{Error, ErrorKind};
use crate::event::EventKind;
use crate::id::{Generation, InstanceId};
use crate::routing::Scope;
use crate::time::{self, Instant};
use crate::topology::Topology;
use crate::topology::apply::Effect;
use crate::topology::cadence::Target;
use crate::topology::monitor::{News, ProbeFailure, Prober};
use crate::topology::observation::{Fault, Report, Way};

/// The most connections that the monitor has to one instance, however it is troubled: the one that
/// it keeps, and one by which it makes sure.
const CONNECTIONS_MAX: usize = 2;

/// All instances of one cluster, as its monitor reaches them.
#[derive(Debug)]
pub(crate) struct Roster<E: Backend> {
    dialer: Dialer,
    news: News,
    /// Woken when an instance begins to owe an answer.
    begun: Arc<Notify>,
    stations: RwLock<Stations<E>>,
    followers: Mutex<Followers<E>>,
    /// The monitor has ended; turned while `followers` is locked, so that nothing is added after.
    closed: CancellationToken,
}

/// The pools of the handles, and the picture that they follow.
#[derive(Debug)]
struct Followers<E: Backend> {
    pools: Vec<Weak<PoolSet<E>>>,
    picture: Topology,
}

#[derive(Debug)]
struct Stations<E: Backend> {
    present: BTreeMap<InstanceId, Arc<Station<E>>>,
    /// Instances that no host name can be made for; each is complained of once.
    unreachable: BTreeSet<InstanceId>,
}

impl<E: Backend> Roster<E> {
    pub(crate) fn new(dialer: Dialer, news: News) -> Self {
        Self {
            dialer,
            news,
            begun: Arc::new(Notify::new()),
            stations: RwLock::new(Stations {
                present: BTreeMap::new(),
                unreachable: BTreeSet::new(),
            }),
            followers: Mutex::new(Followers {
                pools: Vec::new(),
                picture: Topology::empty(),
            }),
            closed: CancellationToken::new(),
        }
    }

    pub(crate) fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// Lets a handle's pools follow the topology from now on.
    pub(crate) fn attach(&self, pools: &Arc<PoolSet<E>>) {
        let mut followers = self.followers();
        pools.follow(&self.present());
        pools.route(&followers.picture);
        followers.pools.push(Arc::downgrade(pools));
    }

    /// Confines the reads of a handle to these instances.
    pub(super) fn confine(&self, pools: &PoolSet<E>, scope: Scope) {
        pools.confine(scope, &self.followers().picture);
    }

    /// Closes the monitor's connections and keeps none from now on.
    pub(crate) fn close(&self) {
        let _followers = self.followers();
        self.closed.cancel();
        for station in self.present().values() {
            station.close();
        }
    }

    fn followers(&self) -> MutexGuard<'_, Followers<E>> {
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Stations<E>> {
        self.stations.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn station(&self, id: &InstanceId) -> Option<Arc<Station<E>>> {
        self.read().present.get(id).cloned()
    }

    /// The instances that owe answers.
    pub(super) fn owing(&self) -> Vec<Arc<Station<E>>> {
        let stations = self.read();
        let owing = stations.present.values();
        owing
            .filter(|station| station.pulse().is_awaited())
            .cloned()
            .collect()
    }

    /// The instances whose standing connection nobody has used for so long.
    pub(super) fn idle_for(&self, period: Duration) -> Vec<Arc<Station<E>>> {
        let stations = self.read();
        let idle = stations.present.values();
        idle.filter(|station| station.is_idle_for(period))
            .cloned()
            .collect()
    }

    /// Waits until an instance begins to owe an answer. Cancel-safe.
    pub(super) async fn answers_awaited(&self) {
        self.begun.notified().await;
    }

    /// Asks an instance for a sign of life on a new connection, which is kept if it leads there;
    /// not where it owes an answer over as many as the monitor may have.
    pub(super) async fn call_on(&self, station: &Station<E>) -> Result<(), Failure> {
        let deadline = time::now() + station.probe_timeout();
        match station.may_log_in_at_once() {
            Some(_login) if station.connections() < CONNECTIONS_MAX => {
                self.ask_anew(station, deadline).await.map(drop)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Asks on a new connection, which is kept if it leads there. The caller holds the right to
    /// log in.
    async fn ask_anew(&self, station: &Station<E>, deadline: Instant) -> Result<Answer, Failure> {
        let _asking = station.asks();
        let (generation, end, reporter) = station.reporter();
        let begun_at = time::now();
        let place = station.place();
        let mut client = self.dialer.dial::<E>(place, reporter, deadline).await?;
        match self.ask(&mut client, place, deadline).await {
            Ok(answer) => {
                station.let_in_after(begun_at);
                keep_if_it_leads_there(station, client, (generation, end), &answer);
                Ok(answer)
            }
            Err(failure) => {
                E::kill(client);
                Err(failure)
            }
        }
    }

    /// Asks on the connection that is kept; `None` where there is none, or it is gone.
    async fn ask_kept(
        &self,
        station: &Station<E>,
        deadline: Instant,
    ) -> Result<Option<Answer>, Failure> {
        let generation = station.generation();
        let Some((mut client, end)) = station.take() else {
            return Ok(None);
        };
        let _asking = station.asks();
        let asked = station.asked();
        match self.ask(&mut client, station.place(), deadline).await {
            Ok(answer) => {
                station.answered_after(asked);
                keep_if_it_leads_there(station, client, (generation, end), &answer);
                Ok(Some(answer))
            }
            Err(failure) => {
                E::kill(client);
                match failure.fault {
                    Fault::TimedOut => Err(failure),
                    _ => {
                        station.has_lost_standing();
                        Ok(None)
                    }
                }
            }
        }
    }

    fn present(&self) -> BTreeMap<InstanceId, Arc<Station<E>>> {
        self.read().present.clone()
    }

    /// Makes stations for new instances and closes those of instances that are gone; whether
    /// there was any.
    fn update(&self, topology: &Topology) -> bool {
        let fits = {
            let stations = self.read();
            let known = |id| stations.present.contains_key(id) || stations.unreachable.contains(id);
            stations.present.len() + stations.unreachable.len() == topology.instances().len()
                && topology.instances().all(|instance| known(instance.id()))
        };
        if fits {
            return false;
        }
        let mut stations = self
            .stations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let Stations {
            present,
            unreachable,
        } = &mut *stations;
        unreachable.retain(|id| topology.instance(id).is_some());
        present.retain(|id, station| {
            let stays = topology.instance(id).is_some();
            if !stays {
                station.close();
            }
            stays
        });
        for instance in topology.instances() {
            let id = instance.id();
            if present.contains_key(id) || unreachable.contains(id) {
                continue;
            }
            let made = Station::new(
                id.clone(),
                instance.generation(),
                self.dialer.clone(),
                self.news.clone(),
                Arc::clone(&self.begun),
                self.closed.clone(),
            );
            match made {
                Ok(station) => {
                    present.insert(id.clone(), Arc::new(station));
                }
                Err(error) => {
                    tracing::warn!(instance = %id, %error, "no pool for an instance");
                    unreachable.insert(id.clone());
                }
            }
        }
        true
    }

    async fn ask_seed(&self, seed: usize, deadline: Instant) -> Result<Answer, Failure> {
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
        let answer = self.ask(&mut client, place, deadline).await;
        E::kill(client);
        answer
    }

    /// Asks over the connection kept for it, or over a new one.
    async fn ask_instance(
        &self,
        id: &InstanceId,
        deadline: Instant,
    ) -> Result<(Answer, Way), Failure> {
        let station = self.station(id).ok_or_else(|| Failure {
            fault: Fault::Unresolved,
            error: Error::new(ErrorKind::Config, "no host name can be made for it"),
        })?;
        let (answer, way) = self.ask_there(&station, deadline).await?;
        let way = match station.lost_one() {
            true => Way::AfterLoss,
            false => way,
        };
        Ok((answer, way))
    }

    async fn ask_there(
        &self,
        station: &Station<E>,
        deadline: Instant,
    ) -> Result<(Answer, Way), Failure> {
        if let Some(answer) = self.ask_kept(station, deadline).await? {
            return Ok((answer, Way::Standing));
        }
        let deadline = deadline + station.login_grace();
        let login = tokio::time::timeout_at(deadline, station.may_log_in());
        let _login = login
            .await
            .map_err(|_| Failure::timed_out("it lets nobody in"))?;
        // Whoever logged in meanwhile left one.
        let answer = match self.ask_kept(station, deadline).await? {
            Some(answer) => answer,
            None => {
                let asked = self.ask_anew(station, deadline).await;
                if matches!(&asked, Err(failure) if failure.fault == Fault::TimedOut) {
                    station.login_was_late();
                }
                asked?
            }
        };
        Ok((answer, Way::New))
    }

    /// Asks over a connection that was opened to that place.
    async fn ask(
        &self,
        client: &mut E::Client,
        place: &HostPort,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        match tokio::time::timeout_at(deadline, E::survey(client)).await {
            Ok(survey) => self.dialer.identify(survey?, place),
            Err(_) => Err(Failure::timed_out("no answer to a probe in time")),
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

/// A name may lead to another instance for a while: what was opened then is nobody's.
fn keep_if_it_leads_there<E: Backend>(
    station: &Station<E>,
    client: E::Client,
    (generation, end): (Generation, GenerationEnd),
    answer: &Answer,
) {
    if answer.identity == *station.id() {
        station.keep(client, generation, end);
    } else {
        E::kill(client);
    }
}

impl<E: Backend> Prober for Roster<E> {
    async fn ask(&self, target: &Target, asked_at: Instant) -> Result<Report, ProbeFailure> {
        let timing = &self.dialer.config().timing;
        let answer = match target {
            Target::Instance(id) => self.ask_instance(id, asked_at + timing.probe_timeout).await,
            // A seed's name may have to be resolved and there is nobody else to ask.
            Target::Seed(seed) => self
                .ask_seed(*seed, asked_at + timing.connect_timeout)
                .await
                .map(|answer| (answer, Way::New)),
        };
        match answer {
            Ok((answer, way)) => Ok(Report {
                identity: answer.identity,
                asked_at,
                is_writer: answer.is_writer,
                server_now_micros: answer.server_now_micros,
                way,
                rows: answer.rows,
            }),
            Err(failure) => Err(ProbeFailure {
                fault: failure.fault,
                kind: failure.error.kind(),
                message: format!("{}: {}", self.name_of(target), failure.error),
            }),
        }
    }

    fn carry_out(&self, topology: &Topology, effects: &[Effect]) -> Vec<EventKind> {
        // Held to the end: a handle that attaches meanwhile follows the new picture.
        let mut followers = self.followers();
        if self.closed.is_cancelled() {
            return Vec::new();
        }
        let ended = ended_generations(topology, effects);
        for (instance, generation, cause) in &ended {
            if let Some(station) = self.station(instance) {
                let generation = generation.unwrap_or_else(|| station.generation().next());
                station.begin_generation(generation, *cause);
            }
        }
        let changed = self.update(topology);
        if ended.is_empty() && !changed && topology.routes_like(&followers.picture) {
            return Vec::new();
        }
        followers.picture = topology.clone();
        let present = self.present();
        let mut connections = vec![0; ended.len()];
        followers.pools.retain(|pools| {
            let Some(pools) = pools.upgrade() else {
                return false;
            };
            for ((instance, generation, cause), connections) in ended.iter().zip(&mut connections) {
                *connections += pools.begin_generation(instance, *generation, *cause);
            }
            pools.follow(&present);
            pools.route(topology);
            true
        });
        let told = ended.into_iter().zip(connections);
        told.filter_map(|((instance, _, cause), connections)| {
            Some(EventKind::GenerationEnded {
                instance: instance.clone(),
                cause: cause?,
                connections,
            })
        })
        .collect()
    }
}

/// What the effects say of generations: whose, the one that begins (none for an instance that has
/// left), and why connections in use are ended, if they are.
fn ended_generations<'a>(
    topology: &Topology,
    effects: &'a [Effect],
) -> Vec<(&'a InstanceId, Option<Generation>, Option<&'static str>)> {
    let ended = effects.iter().filter_map(|effect| match effect {
        Effect::EndGeneration { instance, cause } => Some((instance, Some(*cause))),
        Effect::RetireGeneration { instance } => Some((instance, None)),
        Effect::Ask(_) | Effect::Tell(_) => None,
    });
    ended
        .map(|(instance, cause)| {
            let begins = topology.instance(instance).map(|known| known.generation());
            (instance, begins, cause)
        })
        .collect()
}
