//! From a name to an open connection: locate, resolve, dial.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::plain::{self, Answer};
use crate::config::{Config, HostPort};
use crate::engine::reporter::Reporter;
use crate::engine::tls::Tls;
use crate::engine::{Backend, Dial, Failure, Purpose, Survey};
use crate::error::Result;
use crate::id::InstanceId;
use crate::observe::meters::HandleMeters;
use crate::observe::site::Observer;
use crate::resolve::{self, InstancePattern, Lookup, Resolver};
use crate::task::Spawner;
use crate::time::Instant;
use crate::topology::observation::Fault;

/// All that opening a connection to any instance of one cluster takes.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    config: Arc<Config>,
    tls: Tls,
    resolver: Resolver,
    /// None where the seeds do not tell it: servers without Aurora's tables need none.
    pattern: Option<InstancePattern>,
    /// The port of instances whose pattern names none: Aurora's tables carry no ports.
    port: u16,
    spawner: Spawner,
    purpose: Purpose,
    /// The handle's eye on its statements.
    observer: Arc<Observer>,
}

impl Dialer {
    pub(crate) fn new(config: Arc<Config>, spawner: Spawner) -> Result<Self> {
        Ok(Self {
            tls: Tls::from_config(&config)?,
            resolver: Resolver::new(&config),
            pattern: resolve::instance_pattern(&config)?,
            port: config
                .seeds
                .first()
                .map_or_else(|| config.engine.default_port(), |seed| seed.port),
            observer: observer(&config),
            config,
            spawner,
            purpose: Purpose::Monitor,
        })
    }

    /// The same way for the pools of a handle, with its own limits and tasks.
    pub(crate) fn for_handle(&self, config: Arc<Config>, spawner: Spawner) -> Self {
        Self {
            observer: observer(&config),
            config,
            spawner,
            purpose: Purpose::Pool,
            ..self.clone()
        }
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }

    pub(crate) fn observer(&self) -> &Arc<Observer> {
        &self.observer
    }

    pub(crate) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// Where an instance is reached.
    pub(crate) fn locate(&self, instance: &InstanceId) -> Result<HostPort> {
        if let Some(place) = plain::place_of(instance, &self.config) {
            return Ok(place.clone());
        }
        match &self.pattern {
            Some(pattern) => pattern.host_for(instance, self.port),
            None => Err(resolve::missing_pattern(&self.config)),
        }
    }

    /// Names whoever answered at that place.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind) where no instance of an Aurora cluster could be
    /// reached by its name; those of [`plain::identify`].
    pub(super) fn identify(&self, survey: Survey, place: &HostPort) -> Result<Answer, Failure> {
        let answer = match (&survey.identity, &self.pattern) {
            (Some(_), None) => Err(resolve::missing_pattern(&self.config)),
            _ => plain::identify(survey, place, &self.config),
        };
        answer.map_err(|error| Failure {
            fault: Fault::Other,
            error,
        })
    }

    /// The instance that a host name is of, if it is made by the pattern.
    pub(super) fn instance_of(&self, host: &str) -> Option<InstanceId> {
        self.pattern.as_ref()?.instance_of(host)
    }

    /// The addresses of an instance.
    pub(super) async fn addresses_of<E: Backend>(
        &self,
        instance: &InstanceId,
    ) -> Result<Arc<[IpAddr]>> {
        let place = self.locate(instance)?;
        E::resolve(&self.resolver, &place.host).await
    }

    /// What a name that leads to one instance after another leads to now, and for how long a cache
    /// may go on saying so.
    pub(super) async fn resolve_anew<E: Backend>(&self, host: &str) -> Result<(Lookup, Duration)> {
        E::resolve_anew(&self.resolver, host).await
    }

    /// Opens a connection. The name stays the name for TLS and credentials; the socket goes to
    /// an address that was resolved just now.
    pub(crate) async fn dial<E: Backend>(
        &self,
        place: &HostPort,
        reporter: Reporter,
        deadline: Instant,
    ) -> Result<E::Client, Failure> {
        let lookup = tokio::time::timeout_at(deadline, E::resolve(&self.resolver, &place.host));
        let addresses = lookup
            .await
            .map_err(|_| Failure::timed_out(format!("`{}` was not resolved in time", place.host)))?
            .map_err(|error| Failure {
                fault: Fault::Unresolved,
                error,
            })?;
        E::connect(Dial {
            config: Arc::clone(&self.config),
            tls: self.tls.clone(),
            host: place.host.as_str().into(),
            port: place.port,
            addresses,
            reporter,
            spawner: self.spawner.clone(),
            purpose: self.purpose,
            deadline,
        })
        .await
    }
}

fn observer(config: &Config) -> Arc<Observer> {
    Arc::new(Observer::new(
        &config.observe,
        config.engine,
        config.application_name.clone(),
        config.database.clone(),
        HandleMeters::new(
            config.observe.metrics,
            config.engine,
            &resolve::cluster_name(config),
        )
        .of_workload(config.workload.as_deref()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::task::TaskSet;
    use crate::time;

    /// Far longer than a task takes to end.
    const LONG: Duration = Duration::from_secs(30);

    fn config(keys: &str) -> Arc<Config> {
        let url = format!("postgres://app:app@127.0.0.1/app?{keys}");
        Arc::new(Config::from_url(&url).unwrap())
    }

    #[tokio::test]
    async fn a_handle_dials_by_its_own_limits_in_its_own_tasks_and_is_told_of_apart() {
        let (monitors, handles) = (TaskSet::new(), TaskSet::new());
        let monitor = Dialer::new(config("pool_max=3"), monitors.spawner()).unwrap();
        let handle = monitor.for_handle(config("pool_max=7"), handles.spawner());
        assert_eq!(handle.config().pool.max, 7);
        assert!(!Arc::ptr_eq(handle.observer(), monitor.observer()));
        assert_eq!(monitor.purpose, Purpose::Monitor);
        assert_eq!(handle.purpose, Purpose::Pool);
        let held = Arc::new(());
        let task = Arc::clone(&held);
        handle.spawner().spawn("a task", async move {
            std::future::pending::<()>().await;
            drop(task);
        });
        monitors.close(time::now() + LONG).await;
        assert_eq!(Arc::strong_count(&held), 2, "it runs on");
        handles.close(time::now() + LONG).await;
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[tokio::test]
    async fn an_aurora_instance_whose_fellows_have_no_names_is_a_mistake_of_the_configuration() {
        let tasks = TaskSet::new();
        let survey = || Survey {
            identity: Some(InstanceId::new("9")),
            is_writer: true,
            server_now_micros: 1,
            rows: Vec::new(),
        };
        let nameless = Dialer::new(config(""), tasks.spawner()).unwrap();
        let place = nameless.config().seeds[0].clone();
        let failure = nameless.identify(survey(), &place).unwrap_err();
        assert_eq!(failure.error.kind(), ErrorKind::Config);
        let named = config("instance_pattern=127.0.0.%3F");
        let named = Dialer::new(named, tasks.spawner()).unwrap();
        let answer = named.identify(survey(), &place).unwrap();
        assert_eq!(answer.identity.as_str(), "9");
        let instance = named.instance_of("127.0.0.9").unwrap();
        assert_eq!(instance.as_str(), "9");
        tasks.close(time::now() + LONG).await;
    }
}
