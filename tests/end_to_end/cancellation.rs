//! Each operation, dropped at every poll: no place in a pool is lost, no connection comes back
//! with somebody else's answer or transaction, no task is left over.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use aurora_driver::sim::direct::{Direct, DirectCluster, replay};
use aurora_driver::sim::{SimCluster, Timeline};
use aurora_driver::{Cluster, Config, Error};
use futures_util::future::try_join_all;

use crate::database::{Database, PATIENCE, eventually, on_both_engines, start_with};

on_both_engines!(
    a_checkout_may_be_dropped_at_every_poll,
    a_call_may_be_dropped_at_every_poll,
    a_closure_may_be_dropped_at_every_poll,
    a_connection_may_be_dropped_in_a_transaction_at_every_poll,
    a_checkout_in_a_failover_may_be_dropped_at_every_poll,
    waiting_for_the_cluster_or_for_events_may_be_dropped_at_every_poll,
    closing_may_be_dropped_at_every_poll,
);

const POOL_MAX: usize = 3;

/// Far more than any operation takes.
const POLLS_MAX: usize = 1_000;

/// Polls a future whenever it asks for it, at most so often, and drops it.
async fn poll_times<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

struct Bench<E: Database> {
    simulated: SimCluster,
    cluster: Cluster<E>,
}

impl<E: Database> Bench<E> {
    async fn start() -> Self {
        let (simulated, wide) = start_with::<E>(|builder| builder.readers(1)).await;
        let mut writer = wide.writer().await.unwrap();
        for table in ["empty", "marks"] {
            let create = format!("CREATE TABLE {table} (n BIGINT NOT NULL)");
            E::run(&mut writer, &create).await.unwrap();
        }
        drop(writer);
        wide.close(PATIENCE).await;
        let cluster = Self::open(&simulated).await;
        Self { simulated, cluster }
    }

    async fn open(simulated: &SimCluster) -> Cluster<E> {
        let url = format!("{}&pool_max={POOL_MAX}", simulated.url());
        Cluster::connect(&url).await.unwrap()
    }

    /// Drops an operation, which is told its number, after ever more polls, until it ends before;
    /// looks whether all is well each time, and with `counts` how often the number may have been
    /// written then.
    async fn at_every_poll(
        &self,
        what: &str,
        operation: impl AsyncFn(&Cluster<E>, i64) -> Result<(), Error>,
        counts: impl Fn(bool) -> std::ops::RangeInclusive<u64>,
    ) {
        for polls in 0..POLLS_MAX {
            let number = i64::try_from(polls).unwrap();
            let done = poll_times(operation(&self.cluster, number), polls).await;
            self.expect_whole(what, number).await;
            let count = self.count("t", number);
            assert!(
                counts(done.is_some()).contains(&count),
                "{what}, {polls}: {count} times"
            );
            if let Some(answer) = done {
                answer.unwrap_or_else(|error| panic!("{what}: {error}"));
                let clear = "DELETE FROM t";
                let mut writer = self.cluster.writer().await.unwrap();
                E::run(&mut writer, clear).await.unwrap();
                return;
            }
        }
        panic!("{what} took more than {POLLS_MAX} polls");
    }

    fn count(&self, table: &str, number: i64) -> u64 {
        let count = format!("SELECT count(*) FROM {table} WHERE n = {number}");
        self.simulated.query(&count).unwrap()[0][0]
            .as_u64()
            .unwrap()
    }

    /// All connections of both pools can be had, answer their own questions, and commit.
    async fn expect_whole(&self, what: &str, number: i64) {
        let cluster = &self.cluster;
        let all = async {
            let writers = try_join_all((0..POOL_MAX).map(|_| cluster.writer())).await?;
            let readers = try_join_all((0..POOL_MAX).map(|_| cluster.reader())).await?;
            Ok::<_, Error>((writers, readers))
        };
        let all = tokio::time::timeout(PATIENCE, all).await;
        let (mut writers, mut readers) = all
            .unwrap_or_else(|_| panic!("{what}, {number}: a place is lost"))
            .unwrap_or_else(|error| panic!("{what}, {number}: {error}"));
        let both = writers.iter_mut().chain(&mut readers);
        for (own, connection) in (1_000_000 + number * 100..).zip(both) {
            let question = format!("SELECT count(*) + {own} FROM empty");
            let answer = E::number(connection, &question).await;
            let answer = answer.unwrap_or_else(|error| panic!("{what}, {number}: {error}"));
            assert_eq!(answer, own, "{what}, {number}: somebody else's answer");
        }
        let mark = format!("INSERT INTO marks (n) VALUES ({number})");
        for writer in &mut writers {
            E::run(writer, &mark).await.unwrap();
        }
        // They are seen by others at once, so no transaction was open.
        let marks = self.count("marks", number);
        assert_eq!(marks % 3, 0, "{what}, {number}: a transaction was open");
    }

    async fn finish(self) {
        let report = self.cluster.close(PATIENCE).await;
        assert!(report.is_clean(), "{report:?}");
        expect_no_sessions(&self.simulated).await;
    }
}

async fn expect_no_sessions(simulated: &SimCluster) {
    eventually("the end of all sessions", || {
        let instances = simulated.instances();
        let counters = instances.iter().filter_map(|it| simulated.counters(&it.id));
        counters.map(|counters| counters.open_sessions).sum::<u64>() == 0
    })
    .await;
}

async fn a_checkout_may_be_dropped_at_every_poll<E: Database>() {
    let bench = Bench::<E>::start().await;
    let none = |_| 0..=0;
    let writer = async |cluster: &Cluster<E>, _| cluster.writer().await.map(drop);
    bench.at_every_poll("writer", writer, none).await;
    let reader = async |cluster: &Cluster<E>, _| cluster.reader().await.map(drop);
    bench.at_every_poll("reader", reader, none).await;
    // With a connect in it: nothing is idle in a new handle.
    for polls in 0..POLLS_MAX {
        let cluster = Bench::<E>::open(&bench.simulated).await;
        let all = try_join_all((0..POOL_MAX).map(|_| cluster.writer()));
        let done = poll_times(all, polls).await;
        let done = done.map(|all| all.unwrap().len()).is_some();
        let all = try_join_all((0..POOL_MAX).map(|_| cluster.writer())).await;
        drop(all.unwrap());
        assert!(cluster.close(PATIENCE).await.is_clean());
        if done {
            break;
        }
    }
    bench.finish().await;
}

async fn a_call_may_be_dropped_at_every_poll<E: Database>() {
    let bench = Bench::<E>::start().await;
    let query = async |cluster: &Cluster<E>, _| {
        let mut writer = cluster.writer().await?;
        E::number(&mut writer, "SELECT count(*) + 222 FROM empty").await?;
        E::number(&mut writer, "SELECT count(*) + 333 FROM empty")
            .await
            .map(drop)
    };
    bench.at_every_poll("query", query, |_| 0..=0).await;
    let once = |done| if done { 1..=1 } else { 0..=1 };
    let text = async |cluster: &Cluster<E>, number| {
        let mut writer = cluster.writer().await?;
        E::run(&mut writer, &format!("INSERT INTO t (n) VALUES ({number})")).await
    };
    bench.at_every_poll("text", text, once).await;
    let prepared = async |cluster: &Cluster<E>, number| {
        let mut writer = cluster.writer().await?;
        E::insert_prepared(&mut writer, number).await
    };
    bench.at_every_poll("prepared", prepared, once).await;
    bench.finish().await;
}

async fn a_closure_may_be_dropped_at_every_poll<E: Database>() {
    let bench = Bench::<E>::start().await;
    let read = async |cluster: &Cluster<E>, _| {
        let question = "SELECT count(*) + 222 FROM empty";
        let answer = cluster.read(async |reader| E::number(reader, question).await);
        answer.await.map(|answer| assert_eq!(answer, 222))
    };
    bench.at_every_poll("read", read, |_| 0..=0).await;
    let once = |done| if done { 1..=1 } else { 0..=1 };
    let write = async |cluster: &Cluster<E>, number| {
        let write = cluster.write(async |writer| E::insert_prepared(writer, number).await);
        write.await
    };
    bench.at_every_poll("write", write, once).await;
    let transaction = async |cluster: &Cluster<E>, number| {
        let insert = "INSERT INTO t (n) VALUES (?)";
        let transaction = cluster.transaction(async |mut transaction| {
            E::execute_in(&mut transaction, insert, number).await
        });
        transaction.await
    };
    bench.at_every_poll("transaction", transaction, once).await;
    let failing = async |cluster: &Cluster<E>, number| {
        let insert = "INSERT INTO t (n) VALUES (?)";
        let transaction = cluster.transaction(async |mut transaction| {
            E::execute_in(&mut transaction, insert, number).await?;
            Err::<(), _>(anyhow::anyhow!("changed my mind"))
        });
        transaction.await.expect_err("it fails");
        Ok(())
    };
    bench
        .at_every_poll("failing transaction", failing, |_| 0..=0)
        .await;
    bench.finish().await;
}

async fn a_connection_may_be_dropped_in_a_transaction_at_every_poll<E: Database>() {
    let bench = Bench::<E>::start().await;
    let uncommitted = async |cluster: &Cluster<E>, number| {
        let mut writer = cluster.writer().await?;
        E::run(&mut writer, "BEGIN").await?;
        E::insert_prepared(&mut writer, number).await?;
        E::run(&mut writer, &format!("INSERT INTO t (n) VALUES ({number})")).await
    };
    bench
        .at_every_poll("uncommitted", uncommitted, |_| 0..=0)
        .await;
    bench.finish().await;
}

async fn a_checkout_in_a_failover_may_be_dropped_at_every_poll<E: Database>() {
    let bench = Bench::<E>::start().await;
    for polls in 0..POLLS_MAX {
        let number = i64::try_from(polls).unwrap();
        bench.simulated.crash_writer().unwrap();
        let done = poll_times(bench.cluster.writer(), polls).await;
        let done = done.map(|found| found.map(drop));
        bench.simulated.failover_finished().await;
        let back = |state: &aurora_driver::sim::ClusterState| state.readers().count() == 1;
        bench.simulated.wait_for(back).await;
        // On MySQL an idle connection's end is noticed by the next question only.
        eventually("the new picture", || {
            let topology = bench.cluster.topology();
            let writer = topology.writer().map(|writer| writer.id().clone());
            writer == bench.simulated.writer() && topology.readers().count() == 1
        })
        .await;
        bench.expect_whole("failover", number).await;
        if let Some(found) = done {
            found.unwrap();
            break;
        }
    }
    bench.finish().await;
}

async fn waiting_for_the_cluster_or_for_events_may_be_dropped_at_every_poll<E: Database>() {
    let bench = Bench::<E>::start().await;
    for polls in 0..POLLS_MAX {
        let cluster = Cluster::<E>::new(Config::from_url(&bench.simulated.url()).unwrap());
        let cluster = cluster.unwrap();
        let done = poll_times(cluster.ready(PATIENCE), polls).await;
        cluster.ready(PATIENCE).await.unwrap();
        assert!(cluster.close(PATIENCE).await.is_clean());
        if done.is_some() {
            break;
        }
    }
    for polls in 0..POLLS_MAX {
        let connect = Cluster::<E>::connect(&bench.simulated.url()).await;
        drop(connect.unwrap());
        let url = bench.simulated.url();
        let done = poll_times(Cluster::<E>::connect(&url), polls).await;
        if let Some(cluster) = done {
            assert!(cluster.unwrap().close(PATIENCE).await.is_clean());
            break;
        }
    }
    // A listener that is dropped again and again hears of everything all the same.
    let mut events = bench.cluster.events();
    bench.simulated.crash_writer().unwrap();
    let told = async {
        let mut told = Vec::new();
        loop {
            let next = poll_times(events.next(), 1).await;
            match next {
                Some(event) => told.push(event.expect("the handle is open").kind.name()),
                None => tokio::task::yield_now().await,
            }
            if told.last() == Some(&"writer_confirmed") {
                return told;
            }
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert!(told.contains(&"writer_lost"), "{told:?}");
    bench.finish().await;
}

async fn closing_may_be_dropped_at_every_poll<E: Database>() {
    let bench = Bench::<E>::start().await;
    for polls in 0..POLLS_MAX {
        let cluster = Bench::<E>::open(&bench.simulated).await;
        let mut writer = cluster.writer().await.unwrap();
        E::run(&mut writer, "BEGIN").await.unwrap();
        let user = tokio::spawn(async move {
            tokio::task::yield_now().await;
            drop(writer);
        });
        let done = poll_times(cluster.close(PATIENCE), polls).await;
        user.await.unwrap();
        let report = cluster.close(PATIENCE).await;
        assert!(report.is_clean(), "{polls}: {report:?}");
        if let Some(report) = done {
            assert!(report.is_clean(), "{report:?}");
            break;
        }
    }
    bench.finish().await;
}

/// A runtime in which time passes at once.
fn paused() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// In virtual time: each operation from a crash of the writer on, through the failover.
async fn drop_in_a_failover(
    seed: u64,
    polls: usize,
    operation: impl AsyncFn(&Cluster<Direct>, u64) -> Result<(), Error>,
) -> bool {
    let world = DirectCluster::start(seed, 2, Timeline::fast());
    let mut config = world.config().unwrap();
    config.pool.max = POOL_MAX;
    let cluster = Cluster::<Direct>::new(config).unwrap();
    cluster.ready(PATIENCE).await.unwrap();
    drop(cluster.writer().await.unwrap());
    world.crash(&world.writer().unwrap()).unwrap();
    let done = poll_times(operation(&cluster, 7), polls).await;
    let all = try_join_all((0..POOL_MAX).map(|_| cluster.writer()));
    let mut all = tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("no place is lost")
        .unwrap();
    let before = world.ledger().len();
    assert!(before <= 1, "written more than once: {:?}", world.ledger());
    if let Some(Ok(())) = done {
        assert_eq!(
            world.ledger().iter().filter(|write| write.key == 7).count(),
            before
        );
    }
    for (key, writer) in (100..).zip(&mut all) {
        writer.write(key).await.unwrap();
        assert!(writer.read(key).await.unwrap());
    }
    assert_eq!(world.ledger().len(), before + POOL_MAX);
    drop(all);
    let report = cluster.close(Duration::from_secs(10)).await;
    assert!(report.is_clean(), "{report:?}");
    done.is_some()
}

#[test]
fn in_virtual_time_every_operation_may_be_dropped_at_every_poll_of_a_failover() {
    async fn writer(cluster: &Cluster<Direct>, _: u64) -> Result<(), Error> {
        cluster.writer().await.map(drop)
    }
    async fn reader(cluster: &Cluster<Direct>, _: u64) -> Result<(), Error> {
        cluster.reader().await?.read(1).await.map(drop)
    }
    async fn read(cluster: &Cluster<Direct>, _: u64) -> Result<(), Error> {
        let answer = cluster.read(async |reader| reader.read(1).await);
        answer.await.map(drop)
    }
    async fn write(cluster: &Cluster<Direct>, key: u64) -> Result<(), Error> {
        cluster.write(async |writer| writer.write(key).await).await
    }
    async fn transaction(cluster: &Cluster<Direct>, key: u64) -> Result<(), Error> {
        let write = cluster.transaction(async |mut transaction| transaction.write(key).await);
        write.await
    }
    async fn unfinished(cluster: &Cluster<Direct>, key: u64) -> Result<(), Error> {
        let mut writer = cluster.writer().await?;
        writer.begin().await?;
        writer.write(key).await
    }
    for seed in 0..3 {
        every_poll(seed, writer);
        every_poll(seed, reader);
        every_poll(seed, read);
        every_poll(seed, write);
        every_poll(seed, transaction);
        every_poll(seed, unfinished);
    }
}

fn every_poll(seed: u64, operation: impl AsyncFn(&Cluster<Direct>, u64) -> Result<(), Error>) {
    for polls in 0..POLLS_MAX {
        let dropped = drop_in_a_failover(seed, polls, &operation);
        if replay(paused(), seed, dropped) {
            return;
        }
    }
    panic!("it took more than {POLLS_MAX} polls");
}
