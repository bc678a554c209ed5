//! What routing a statement by its text costs.
//!
//! ```text
//! cargo bench --bench router               # some seconds
//! cargo bench --bench router -- --quick    # for a glance
//! ```
//!
//! - A known text: told by the cache, without an allocation of the classifier's own.
//! - A text never met before: scanned, and parsed where it may be a read.
//! - A read by a session against the same read over a connection that is taken for it, in turns
//!   within one run, over a simulated cluster in this process.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aurora_driver::router::Session;
use aurora_driver::sim::SimCluster;
use aurora_driver::{Cluster, EngineKind, Postgres};

const QUERY: &str = "SELECT o.id, o.item, c.name, sum(p.amount) AS paid FROM orders AS o \
    JOIN customers AS c ON c.id = o.customer LEFT JOIN payments AS p ON p.order_id = o.id \
    WHERE o.created > $1 AND c.country IN ($2, $3) GROUP BY o.id, o.item, c.name \
    HAVING sum(p.amount) > 10 ORDER BY o.id DESC LIMIT 20";
const SHORT: &str = "SELECT item FROM orders WHERE id = $1";
const INSERT: &str = "INSERT INTO orders (id, item, customer) VALUES ($1, $2, $3)";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    /// Texts over which the time of one is taken.
    texts: u32,
    /// Reads in a turn, and turns of each contestant.
    reads: u32,
    turns: usize,
}

const FULL: Extent = Extent {
    texts: 200_000,
    reads: 500,
    turns: 41,
};

const QUICK: Extent = Extent {
    texts: 20_000,
    reads: 200,
    turns: 9,
};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    // `cargo bench` itself adds `--bench`.
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let extent = if is_quick { QUICK } else { FULL };
    let simulated = SimCluster::builder(EngineKind::Postgres)
        .readers(2)
        .start()
        .await?;
    simulated
        .run_sql("CREATE TABLE orders (id bigint, item text, customer bigint)")
        .await?;
    let cluster = Cluster::<Postgres>::connect(&simulated.url()).await?;
    texts(&cluster, extent);
    reads(&cluster, extent).await
}

fn texts(cluster: &Cluster<Postgres>, extent: Extent) {
    let session = cluster.routed();
    println!("| | known | allocations | never met |");
    println!("|---|---|---|---|");
    for (name, text) in [
        ("short query", SHORT),
        ("query with joins", QUERY),
        ("INSERT", INSERT),
    ] {
        session.explain(text);
        let known = time_of_one(extent.texts, |_| {
            black_box(session.explain(black_box(text)));
        });
        let allocated = allocation_counter::measure(|| {
            black_box(session.explain(black_box(text)));
        });
        let never_met = time_of_one(extent.texts / 10, |number| {
            let text = format!("{text} /* {number} */");
            black_box(session.explain(&text));
        });
        println!(
            "| {name}, {} bytes | {} ns | {} | {:.1} µs |",
            text.len(),
            known.as_nanos(),
            allocated.count_total,
            never_met.as_secs_f64() * 1e6
        );
    }
}

fn time_of_one(times: u32, mut work: impl FnMut(u32)) -> Duration {
    // The median of several rounds, as the machine does other things too.
    let mut rounds: Vec<Duration> = (0..9)
        .map(|round| {
            let began = Instant::now();
            for number in 0..times / 9 {
                work(round * times + number);
            }
            began.elapsed() / (times / 9)
        })
        .collect();
    rounds.sort_unstable();
    rounds[rounds.len() / 2]
}

async fn reads(cluster: &Cluster<Postgres>, extent: Extent) -> anyhow::Result<()> {
    let mut session = cluster.routed();
    let (mut routed, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..extent.turns {
        routed.push(routed_reads(&mut session, extent.reads).await?);
        direct.push(direct_reads(cluster, extent.reads).await?);
    }
    let mut ratios: Vec<f64> = routed
        .iter()
        .zip(&direct)
        .map(|(routed, direct)| routed.as_secs_f64() / direct.as_secs_f64())
        .collect();
    routed.sort_unstable();
    direct.sort_unstable();
    ratios.sort_by(f64::total_cmp);
    let middle = extent.turns / 2;
    println!(
        "\none read: {:?} by a session, {:?} over `reader()`; median of the ratios {:.3} \
         [{:.3}..{:.3} are the middle half]",
        routed[middle],
        direct[middle],
        ratios[middle],
        ratios[extent.turns / 4],
        ratios[extent.turns * 3 / 4]
    );
    Ok(())
}

async fn routed_reads(session: &mut Session<Postgres>, reads: u32) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for number in 0..reads {
        session.query(SHORT, &[&i64::from(number)]).await?;
    }
    Ok(began.elapsed() / reads)
}

async fn direct_reads(cluster: &Cluster<Postgres>, reads: u32) -> anyhow::Result<Duration> {
    let began = Instant::now();
    for number in 0..reads {
        let reader = cluster.reader().await?;
        reader.query(SHORT, &[&i64::from(number)]).await?;
    }
    Ok(began.elapsed() / reads)
}
