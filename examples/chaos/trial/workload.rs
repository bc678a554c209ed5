//! The application: callers of many kinds, each with dice of its own.

use std::time::Duration;

use aurora_driver::sim::direct::Direct;
use aurora_driver::{Cluster, Connection, Error, InstanceId};
use fastrand::Rng;

use super::history::{Fate, History, Intent, Phase};
use super::plan::LoadPlan;

/// A statement whose answer is not there by then is given up: nothing in a trial is so slow that
/// works.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a crowd sleeps between two rushes.
const CROWD_REST_MS: u64 = 700;

/// What a caller does all day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trade {
    Write,
    Transact,
    Read,
    Hold,
    Closures,
    Cancel,
    Crowd,
}

/// One caller.
pub(crate) struct Caller<'a> {
    trade: Trade,
    pub(super) handle: usize,
    pub(super) cluster: &'a Cluster<Direct>,
    pub(super) history: &'a History,
    pub(super) rng: Rng,
    rest_ms: u64,
}

/// All callers of a plan, dealt out to the handles in turn.
pub(crate) fn callers<'a>(
    load: &LoadPlan,
    seed: u64,
    clusters: &'a [Cluster<Direct>],
    history: &'a History,
) -> Vec<Caller<'a>> {
    let trades = [
        (Trade::Write, load.writers),
        (Trade::Transact, load.transactions),
        (Trade::Read, load.readers),
        (Trade::Hold, load.holders),
        (Trade::Closures, load.closures),
        (Trade::Cancel, load.cancellers),
        (Trade::Crowd, load.crowd),
    ];
    let trades = trades
        .into_iter()
        .flat_map(|(trade, count)| std::iter::repeat_n(trade, count));
    trades
        .enumerate()
        .map(|(number, trade)| {
            let handle = number % clusters.len();
            let number = u64::try_from(number).expect("callers are few");
            Caller {
                trade,
                handle,
                cluster: &clusters[handle],
                history,
                rng: Rng::with_seed(seed ^ (number << 40)),
                rest_ms: load.rest_ms,
            }
        })
        .collect()
}

impl Caller<'_> {
    /// Calls and rests until the trial is over.
    pub(crate) async fn run(mut self) {
        while self.history.phase() < Phase::Over {
            let rest = match self.trade {
                Trade::Crowd => CROWD_REST_MS,
                _ => self.rng.u64(0..=self.rest_ms * 2),
            };
            tokio::time::sleep(Duration::from_millis(rest)).await;
            // What comes of it is in the history.
            let _ = match self.trade {
                Trade::Write | Trade::Crowd => self.write().await,
                Trade::Transact => self.transact().await,
                Trade::Read => self.read().await,
                Trade::Hold => self.hold().await,
                Trade::Closures => self.closure().await,
                Trade::Cancel => self.cancel().await,
            };
            self.history
                .saw_epoch(self.handle, self.cluster.topology().epoch().0);
        }
    }

    async fn connection(&self, intent: Intent) -> Result<Connection<Direct>, Error> {
        let call = async {
            let lease = match intent {
                Intent::Write => self.cluster.writer().await,
                Intent::Read => self.cluster.reader().await,
            }?;
            self.handed_out(intent, &lease);
            Ok(lease)
        };
        let what = match intent {
            Intent::Write => "writer()",
            Intent::Read => "reader()",
        };
        self.history.call(self.handle, what, None, call).await
    }

    pub(super) fn handed_out(&self, intent: Intent, lease: &Connection<Direct>) {
        self.history
            .handed_out(self.handle, intent, self.cluster, lease);
    }

    /// A statement, for as long as the caller's patience lasts.
    async fn statement<T>(
        &self,
        what: &'static str,
        instance: &InstanceId,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Option<Result<T, Error>> {
        let call = self.history.call(self.handle, what, Some(instance), call);
        tokio::time::timeout(PATIENCE, call).await.ok()
    }

    async fn write(&mut self) -> Result<(), Error> {
        let mut lease = self.connection(Intent::Write).await?;
        self.write_over(&mut lease).await
    }

    async fn write_over(&self, lease: &mut Connection<Direct>) -> Result<(), Error> {
        let key = self.history.new_key();
        self.history.fate(key, Fate::Unknown);
        let instance = lease.instance().clone();
        let Some(answer) = self.statement("write", &instance, lease.write(key)).await else {
            return Ok(());
        };
        self.history.answered(&[key], &answer);
        answer
    }

    /// Some keys in one transaction; some transactions are left open, for the driver to clean up.
    async fn transact(&mut self) -> Result<(), Error> {
        let mut lease = self.connection(Intent::Write).await?;
        let instance = lease.instance().clone();
        let keys: Vec<u64> = (0..self.rng.usize(1..=4))
            .map(|_| self.history.new_key())
            .collect();
        // Nothing is applied before the commit is on its way.
        for key in &keys {
            self.history.fate(*key, Fate::NotSent);
        }
        if let Some(began) = self.statement("begin", &instance, lease.begin()).await {
            began?;
        }
        for key in &keys {
            if let Some(written) = self
                .statement("write in transaction", &instance, lease.write(*key))
                .await
            {
                written?;
            }
        }
        if self.rng.u32(0..6) == 0 {
            return Ok(());
        }
        for key in &keys {
            self.history.fate(*key, Fate::Unknown);
        }
        let Some(answer) = self.statement("commit", &instance, lease.commit()).await else {
            return Ok(());
        };
        self.history.answered(&keys, &answer);
        answer
    }

    async fn read(&mut self) -> Result<(), Error> {
        let mut lease = self.connection(Intent::Read).await?;
        self.count_over(&mut lease).await
    }

    async fn count_over(&self, lease: &mut Connection<Direct>) -> Result<(), Error> {
        let instance = lease.instance().clone();
        match self.statement("count", &instance, lease.count()).await {
            Some(answer) => answer.map(drop),
            None => Ok(()),
        }
    }

    /// Keeps a connection for long, and uses it now and then.
    async fn hold(&mut self) -> Result<(), Error> {
        let intent = match self.rng.bool() {
            true => Intent::Write,
            false => Intent::Read,
        };
        let mut lease = self.connection(intent).await?;
        for _ in 0..self.rng.usize(1..=6) {
            tokio::time::sleep(Duration::from_millis(self.rng.u64(0..=400))).await;
            if self.history.phase() >= Phase::Over {
                break;
            }
            match intent {
                Intent::Write => self.write_over(&mut lease).await?,
                Intent::Read => self.count_over(&mut lease).await?,
            }
        }
        Ok(())
    }

    /// Begins something and gives it up at some moment.
    async fn cancel(&mut self) -> Result<(), Error> {
        let patience = Duration::from_millis(match self.rng.u32(0..3) {
            0 => self.rng.u64(0..=3),
            1 => self.rng.u64(0..=20),
            _ => self.rng.u64(0..=400),
        });
        let history = self.history;
        let work = async {
            match self.rng.u32(0..5) {
                0 => self.write().await,
                1 => self.transact().await,
                2..=3 => self.closure().await,
                _ => self.read().await,
            }
        };
        // Given up first: what has just been meant for the caller must not be lost with it.
        tokio::select! {
            biased;
            () = tokio::time::sleep(patience) => {
                history.cancelled.set(history.cancelled.get() + 1);
                Ok(())
            }
            answer = work => answer,
        }
    }
}

/// How often each handle is tried when all callers are gone.
const LAST_CALLS: usize = 8;

/// One caller alone, to whom nothing must be refused.
pub(crate) async fn alone(handle: usize, cluster: &Cluster<Direct>, history: &History) {
    let mut caller = Caller {
        trade: Trade::Write,
        handle,
        cluster,
        history,
        rng: Rng::with_seed(0),
        rest_ms: 0,
    };
    for _ in 0..LAST_CALLS {
        // What comes of it is in the history.
        let _ = caller.write().await;
        let _ = caller.read().await;
        let _ = caller.closure().await;
    }
}
