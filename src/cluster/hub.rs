//! What all handles of this process to the same cluster share: one monitor, its connections and
//! what it knows. So the cluster is asked as often for ten handles as for one.

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::runtime::{self, Handle};

use crate::config::Config;
use crate::engine::Engine;
use crate::error::Result;
use crate::event::EventSender;
use crate::observe::meters::HubMeters;
use crate::observe::recorder::Recorder;
use crate::pool::dialer::Dialer;
use crate::pool::roster::Roster;
use crate::pool::{upkeep, watch};
use crate::resolve;
use crate::rng::Rng;
use crate::task::TaskSet;
use crate::time::Instant;
use crate::topology::cadence::Cadence;
use crate::topology::monitor::{Monitor, Published};

/// The monitor of one cluster, for as long as a handle uses it.
pub(super) struct Hub<E: Engine> {
    config: Arc<Config>,
    runtime: runtime::Id,
    pub(super) roster: Arc<Roster<E>>,
    pub(super) published: Published,
    pub(super) events: EventSender,
    pub(super) recorder: Arc<Recorder>,
    tasks: TaskSet,
    /// How many handles use it; none may join once it was left by the last.
    users: Mutex<Users>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Users {
    Some(usize),
    Ended,
}

/// All hubs of this process that handles may join.
static HUBS: Mutex<Vec<Weak<dyn Any + Send + Sync>>> = Mutex::new(Vec::new());

impl<E: Engine> Hub<E> {
    /// Joins the hub of that cluster, or starts one.
    pub(super) fn join(config: &Arc<Config>) -> Result<Arc<Self>> {
        if !config.share_monitor {
            return Self::start(config).map(Arc::new);
        }
        let mut hubs = HUBS.lock().unwrap_or_else(PoisonError::into_inner);
        hubs.retain(|hub| hub.strong_count() > 0);
        let running = hubs
            .iter()
            .filter_map(|hub| hub.upgrade()?.downcast::<Self>().ok());
        for hub in running {
            if hub.serves(config) && hub.enter() {
                return Ok(hub);
            }
        }
        let hub = Arc::new(Self::start(config)?);
        let entry: Arc<dyn Any + Send + Sync> = Arc::clone(&hub) as _;
        hubs.push(Arc::downgrade(&entry));
        Ok(hub)
    }

    fn start(config: &Arc<Config>) -> Result<Self> {
        let tasks = TaskSet::new();
        let dialer = Dialer::new(Arc::clone(config), tasks.spawner())?;
        let recorder = Arc::new(Recorder::new(HubMeters::new(
            config.observe.metrics,
            config.engine,
            &resolve::cluster_name(config),
        )));
        let events = EventSender::new(Some(Arc::clone(&recorder) as _));
        let cadence = Cadence::new(
            config.seeds.len(),
            config.timing.probe_interval,
            Rng::from_entropy(),
        );
        let (monitor, news, published) = Monitor::new(cadence, events.clone());
        let roster = Arc::new(Roster::new(dialer, news));
        tasks
            .spawner()
            .spawn("monitor", monitor.run(Arc::clone(&roster)));
        tasks
            .spawner()
            .spawn("watch", watch::run(Arc::clone(&roster)));
        let upkeep = upkeep::run(Arc::clone(&roster), Rng::from_entropy());
        tasks.spawner().spawn("upkeep", upkeep);
        Ok(Self {
            config: Arc::clone(config),
            // A monitor ends with the runtime that runs it.
            runtime: Handle::current().id(),
            roster,
            published,
            events,
            recorder,
            tasks,
            users: Mutex::new(Users::Some(1)),
        })
    }

    fn serves(&self, config: &Config) -> bool {
        self.runtime == Handle::current().id() && self.config.leads_like(config)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one handle more, unless the last has left.
    pub(super) fn enter(&self) -> bool {
        match &mut *self.users() {
            Users::Some(count) => {
                *count += 1;
                true
            }
            Users::Ended => false,
        }
    }

    /// Counts one handle less; with the last the monitor ends. Whether it was the last.
    pub(super) fn leave(&self) -> bool {
        let mut users = self.users();
        *users = match *users {
            Users::Some(count) if count > 1 => Users::Some(count - 1),
            Users::Some(_) | Users::Ended => Users::Ended,
        };
        *users == Users::Ended
    }

    /// Ends the monitor, once the last handle has left; the names of tasks that did not end by
    /// `deadline`.
    pub(super) async fn close(&self, deadline: Instant) -> Vec<&'static str> {
        self.roster.close();
        self.tasks.close(deadline).await
    }
}
