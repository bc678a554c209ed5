//! An application goes on writing and reading while the writer of its cluster is lost.
//!
//! Starts a simulated Aurora cluster, keeps numbered writes and reads going over the real wire
//! protocol, injects a fault, and shows what the application saw. The verdict comes from the
//! cluster's own ledger, not from the application's memory.
//!
//! ```text
//! cargo run --release --example failover -- --engine mysql --fault failover --seed 7
//! ```

mod engine;
mod load;
mod progress;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use aurora_driver::sim::{SimCluster, Timeline};
use aurora_driver::{Cluster, EngineKind, Event, MySql, Postgres};
use clap::{Parser, ValueEnum};

use engine::Database;
use load::{Load, Tally};
use report::{Evidence, Report};

/// How long the load runs before the fault, and after everything is back.
const CALM: Duration = Duration::from_millis(500);

/// Far beyond any timeline: a run that takes longer has gone wrong.
const RUN_TIMEOUT: Duration = Duration::from_secs(180);

/// Watch an application live through the loss of its writer.
#[derive(Debug, Parser)]
struct Arguments {
    /// The engine, and so the wire protocol: postgres or mysql.
    #[arg(long, default_value = "postgres")]
    engine: EngineKind,
    /// What happens to the writer: it crashes, or a failover is requested.
    #[arg(long, value_enum, default_value_t = Fault::Crash)]
    fault: Fault,
    /// How long the phases of a failover take: some 0.3 s, or the seconds of a real cluster.
    #[arg(long, value_enum, default_value_t = Pace::Fast)]
    timeline: Pace,
    /// How many readers the cluster has, 1 to 15: one of them is promoted.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=15))]
    readers: u8,
    /// Fixes the simulator's random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of the pictures and the result line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fault {
    Crash,
    Failover,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Pace {
    Fast,
    Aurora,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Failover => "failover",
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let run = async {
        match arguments.engine {
            EngineKind::Postgres => run::<Postgres>(&arguments).await,
            EngineKind::MySql => run::<MySql>(&arguments).await,
        }
    };
    let report = tokio::time::timeout(RUN_TIMEOUT, run)
        .await
        .context("the run took too long: please report its seed")??;
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        print!("{report}");
    }
    Ok(if report.is_correct() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn aurora(engine: EngineKind) -> Timeline {
    match engine {
        EngineKind::Postgres => Timeline::aurora_postgres(),
        EngineKind::MySql => Timeline::aurora_mysql(),
    }
}

async fn run<E: Database>(arguments: &Arguments) -> anyhow::Result<Report> {
    let timeline = match arguments.timeline {
        Pace::Fast => Timeline::fast(),
        Pace::Aurora => aurora(arguments.engine),
    };
    let began = Instant::now();
    let simulated = SimCluster::builder(arguments.engine)
        .readers(usize::from(arguments.readers))
        .timeline(timeline)
        .seed(arguments.seed)
        .start()
        .await
        .context("the simulated cluster did not start")?;
    let started_in = began.elapsed();
    let simulated = Arc::new(simulated);
    let cluster = Cluster::<E>::connect(&simulated.url()).await?;
    engine::create_table(&cluster).await?;
    let mut events = cluster.events();

    let tally = Tally::new(&simulated);
    let load = Load::start(&cluster, &tally);
    let progress = progress::show(&tally, arguments.json);
    tokio::time::sleep(CALM).await;

    let fault_wall = SystemTime::now();
    let old_writer = inject(&simulated, arguments.fault)?;
    tally.mark_fault(old_writer.clone());
    simulated.failover_finished().await;
    // The old writer returns as a reader; then the cluster is as large as before.
    let readers = usize::from(arguments.readers);
    simulated
        .wait_for(|state| state.readers().count() == readers)
        .await;
    tokio::time::sleep(CALM).await;

    load.stop().await;
    progress.finish().await;
    let mut story: Vec<Event> = Vec::new();
    cluster.close(Duration::from_secs(5)).await;
    while let Some(event) = events.next().await {
        story.push(event);
    }
    let promotion = simulated
        .last_promotion()
        .context("the simulator promoted nobody")?;
    let ledger = simulated.ledger().context("the ledger cannot be read")?;
    Ok(Report::new(&Evidence {
        engine: arguments.engine.name(),
        fault: arguments.fault.name(),
        started_in,
        fault_wall,
        old_writer,
        tally: &tally,
        promotion: &promotion,
        ledger: &ledger,
        events: &story,
    }))
}

fn inject(simulated: &SimCluster, fault: Fault) -> anyhow::Result<aurora_driver::InstanceId> {
    let writer = simulated.writer().context("the cluster has no writer")?;
    match fault {
        Fault::Crash => simulated.crash(&writer)?,
        Fault::Failover => simulated.failover(None)?,
    }
    Ok(writer)
}
