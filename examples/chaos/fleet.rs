//! Many processes through one failover: what the promoted instance sees of them.

mod chart;
mod verdict;

use std::pin::Pin;
use std::time::Duration;

use aurora_driver::sim::Timeline;
use aurora_driver::sim::direct::{Direct, DirectCluster, DirectConnect, replay};
use aurora_driver::{Cluster, InstanceId};
use fastrand::Rng;

use crate::trial::crew::Crew;
use crate::trial::run::paused;

/// How many callers each process has: some more than one connection of each kind can serve.
const CALLERS: usize = 4;
/// A caller rests up to twice that long between two calls.
const REST_MS: u64 = 50;
/// What a login costs the instance, so that many at once are felt.
const LOGIN_COST: Duration = Duration::from_millis(1);
const READERS: usize = 3;
/// How long all is well before the writer crashes: no connection is new any more.
const BEFORE: Duration = Duration::from_secs(5);
/// How long the instances are looked at after the promotion: some rounds of all that repeats.
const AFTER: Duration = Duration::from_secs(20);
/// So short that connections which were opened together in the failover also end within the run.
const MAX_LIFETIME: Duration = Duration::from_secs(15);

/// A crash of the writer under many processes.
#[derive(Debug)]
struct Run {
    name: &'static str,
    processes: usize,
    /// The bound of each process on handshakes of its pool.
    max_connecting: usize,
    crashed_at: Duration,
    accepts_at: Duration,
    promoted: InstanceId,
    /// What the promoted instance saw, in order.
    connects: Vec<DirectConnect>,
    writes: usize,
}

/// Runs each timeline once and draws it; whether no bound was broken.
pub(crate) fn run(processes: usize, seed: u64) -> anyhow::Result<bool> {
    let mut is_good = true;
    let mut runs = Vec::new();
    for (name, timeline) in [
        ("fast", Timeline::fast()),
        ("aurora-postgres", Timeline::aurora_postgres()),
    ] {
        let run = replay(paused(), seed, crash(name, timeline, processes, seed));
        println!("{}", chart::in_terminal(&run));
        for judgement in verdict::judge(&run) {
            let verdict = if judgement.is_kept {
                "kept"
            } else {
                "VIOLATION"
            };
            println!("  {verdict}: {}: {}", judgement.bound, judgement.measured);
            is_good &= judgement.is_kept;
        }
        runs.push(run);
    }
    for file in chart::write(&runs)? {
        println!("written: {}", file.display());
    }
    Ok(is_good)
}

async fn crash(name: &'static str, timeline: Timeline, processes: usize, seed: u64) -> Run {
    let world = DirectCluster::builder(seed)
        .readers(READERS)
        .timeline(timeline)
        .login_cost(LOGIN_COST)
        .without_trace()
        .start();
    let clusters: Vec<Cluster<Direct>> = (0..processes)
        .map(|number| {
            let mut config = world.config().expect("a direct cluster's configuration");
            config.share_monitor = false;
            config.application_name = Some(format!("process-{number}"));
            config.timing.max_lifetime = MAX_LIFETIME;
            Cluster::new(config).expect("a configuration that fits together")
        })
        .collect();
    let max_connecting = world.config().map_or(0, |it| it.pool.max_connecting);
    let mut callers: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for (number, cluster) in clusters.iter().enumerate() {
        for caller in 0..CALLERS {
            let rng = Rng::with_seed(seed ^ ((number * CALLERS + caller) as u64) << 20);
            callers.push(Box::pin(call(cluster, caller.is_multiple_of(2), rng)));
        }
    }
    let course = async {
        tokio::time::sleep(BEFORE).await;
        let writer = world.writer().expect("nothing has happened yet");
        world.crash(&writer).expect("it runs");
        let crashed_at = world.now();
        world.promoted().await;
        let accepts_at = world.now();
        tokio::time::sleep(AFTER).await;
        (crashed_at, accepts_at)
    };
    let (crashed_at, accepts_at) = tokio::select! {
        biased;
        course = course => course,
        () = Crew::new(callers) => unreachable!("callers call for ever"),
    };
    let (_, promoted) = world.promotions().pop().expect("one was awaited");
    let mut connects = world.connects();
    connects.retain(|connect| connect.instance == promoted);
    Run {
        name,
        processes,
        max_connecting,
        crashed_at,
        accepts_at,
        promoted,
        connects,
        writes: world.ledger().len(),
    }
}

/// Writes or reads, and rests, for ever. What fails is called again.
async fn call(cluster: &Cluster<Direct>, writes: bool, mut rng: Rng) {
    loop {
        tokio::time::sleep(Duration::from_millis(rng.u64(0..=REST_MS * 2))).await;
        if writes {
            if let Ok(mut writer) = cluster.writer().await {
                // Keys need not differ: nobody looks for them.
                let _ = writer.write(rng.u64(..)).await;
            }
        } else if let Ok(mut reader) = cluster.reader().await {
            let _ = reader.read(0).await;
        }
    }
}
