//! A connection that is checked out, and what becomes of it afterwards.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Object;

use super::manager::Manager;
use super::member::Member;
use crate::engine::{Backend, Condition, Engine};
use crate::id::{Generation, InstanceId};
use crate::observe::recorder::FirstWrite;
use crate::time;

/// How long a rollback on behalf of the next user may take before the connection is thrown away.
const CLEANING_TIMEOUT: Duration = Duration::from_secs(5);

/// A checked-out connection to one instance: the native client's API, and a guard.
///
/// It goes back to its pool when dropped: at once when it is clean, after a rollback in the
/// background when a transaction is open, and never when it is broken, when a call on it was
/// cancelled half-way, or when its instance has been demoted or lost since.
///
/// For PostgreSQL it dereferences to [`postgres::Client`](crate::postgres::Client) and on to
/// `tokio_postgres::Client`; for MySQL it is a `mysql_async::prelude::Queryable`.
#[derive(Debug)]
pub struct Connection<E: Engine> {
    lease: Option<Lease<E>>,
    /// Waits for a statement to succeed on it.
    first_write: Option<FirstWrite>,
}

impl<E: Engine> Connection<E> {
    pub(crate) fn new(lease: Lease<E>) -> Self {
        Self {
            lease: Some(lease),
            first_write: None,
        }
    }

    /// Lets it be known when a statement has succeeded on it.
    pub(crate) fn awaited(mut self, first_write: Option<FirstWrite>) -> Self {
        if first_write.is_some() {
            E::begin_record(&mut self);
        }
        self.first_write = first_write;
        self
    }

    /// The instance that it leads to.
    pub fn instance(&self) -> &InstanceId {
        self.lease().member.id()
    }

    /// The generation it was opened in.
    pub fn generation(&self) -> Generation {
        self.lease().kept().generation
    }

    /// Whether its instance has been demoted, restarted or lost since it was opened.
    ///
    /// After a demotion or a loss its calls fail from then on. After a restart that was only
    /// noticed later it may still be one that was opened since, and its calls go on. Either way
    /// it is thrown away when dropped.
    pub fn is_outdated(&self) -> bool {
        self.lease().is_outdated()
    }

    fn lease(&self) -> &Lease<E> {
        self.lease.as_ref().expect("the lease leaves only in drop")
    }
}

impl<E: Engine> Deref for Connection<E> {
    type Target = E::Client;

    fn deref(&self) -> &E::Client {
        &self.lease().kept().client
    }
}

impl<E: Engine> DerefMut for Connection<E> {
    fn deref_mut(&mut self) -> &mut E::Client {
        let lease = self.lease.as_mut();
        let kept = lease.and_then(|lease| lease.kept.as_mut());
        &mut kept.expect("the lease leaves only in drop").client
    }
}

impl<E: Engine> Drop for Connection<E> {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else {
            return;
        };
        if let Some(first_write) = self.first_write.take() {
            let record = E::record(&lease.kept().client);
            if record.failed.is_none() && record.left_traces {
                first_write.succeeded(lease.instance());
            }
        }
        let unclean = E::condition(&lease.kept().client) == Condition::Unclean;
        if unclean && !lease.is_outdated() {
            let spawner = lease.member.dialer().spawner().clone();
            spawner.spawn("clean-connection", async move {
                // Whatever comes of it, the lease looks at the result when it is dropped.
                if let Some(kept) = &mut lease.kept {
                    let cleaning = E::clean(&mut kept.client);
                    let _ = tokio::time::timeout(CLEANING_TIMEOUT, cleaning).await;
                }
            });
        }
    }
}

/// A connection in its pool's keeping.
type Kept<E> = Object<Manager<E>>;

/// A connection on its way out of or back to its pool: returned when dropped if it is clean and
/// of the present generation, killed otherwise.
#[derive(Debug)]
pub(crate) struct Lease<E: Backend> {
    kept: Option<Kept<E>>,
    member: Arc<Member<E>>,
}

impl<E: Backend> Lease<E> {
    pub(super) fn new(kept: Kept<E>, member: Arc<Member<E>>) -> Self {
        Self {
            kept: Some(kept),
            member,
        }
    }

    fn kept(&self) -> &Kept<E> {
        self.kept
            .as_ref()
            .expect("the connection leaves only in drop")
    }

    pub(crate) fn instance(&self) -> &InstanceId {
        self.member.id()
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.kept().generation != self.member.generation()
    }
}

impl<E: Backend> Drop for Lease<E> {
    fn drop(&mut self) {
        let Some(mut kept) = self.kept.take() else {
            return;
        };
        let generation = self.member.generation();
        // Two connections' clients can be swapped through their mutable references; a stranger's
        // must not stay in this pool.
        let own = E::belongs_to(&kept.client, self.member.id(), generation);
        let clean = E::condition(&kept.client) == Condition::Clean;
        let usable = own && clean && kept.generation == generation;
        if usable {
            kept.used_at = time::now();
            drop(kept);
        } else {
            E::kill(Object::take(kept).client);
        }
        self.member.came_back();
    }
}
