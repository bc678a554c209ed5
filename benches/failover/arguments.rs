//! What may be asked of the suite.

use std::path::PathBuf;
use std::time::Duration;

use aurora_driver::EngineKind;
use aurora_driver::sim::Timeline;
use clap::{Parser, ValueEnum};

use crate::load::Size;

/// How long failovers take an application on this driver, and on what others use.
#[derive(Debug, Parser)]
#[command(name = "failover")]
pub(crate) struct Arguments {
    /// A few runs, for CI: under two minutes, with a limit of 10 s.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Runs of this driver for each engine and fault [default: 20, or 2 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: Option<u32>,
    /// Runs of each contestant for each engine and fault [default: 3, or 1 with --quick].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    contestant_runs: Option<u32>,
    /// Only this engine: postgres or mysql.
    #[arg(long)]
    engine: Option<EngineKind>,
    /// Only these faults.
    #[arg(long, value_enum, value_delimiter = ',')]
    fault: Vec<Fault>,
    /// How long the phases of a failover take: some 0.3 s, or the seconds of a real cluster.
    #[arg(long, value_enum, default_value_t = Pace::Fast)]
    pub(crate) timeline: Pace,
    /// Tasks that write.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    writers: u16,
    /// Tasks that read.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(0..=1000))]
    readers: u16,
    /// Only these: ours, deadpool-postgres, sqlx, mysql_async, aws-python, aws-python-aggressive.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Who is not writing again so many seconds after the fault is reported so [default: 60, or 10
    /// with --quick].
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
    /// No faults at all: counts what the driver takes for one in so many seconds of load.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) false_alarms: Option<u64>,
    /// With --false-alarms: keeps every processor busy meanwhile.
    #[arg(long, requires = "false_alarms")]
    pub(crate) busy: bool,
    /// Tell what the driver thought in each run in which it added more than so much.
    #[arg(long, value_name = "MILLISECONDS")]
    pub(crate) explain: Option<f64>,
    /// Fixes the simulator's choices in the first run; each further run has the next one.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Where the report goes.
    #[arg(long, default_value = "target/failover-report")]
    pub(crate) out: PathBuf,
    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the client: put this driver under load.
    #[arg(long, hide = true)]
    pub(crate) client_of: Option<String>,
    /// Be a neighbour that keeps one processor busy until the standard input ends.
    #[arg(long, hide = true)]
    pub(crate) spin: bool,
}

/// What happens to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// The writer crashes.
    Crash,
    /// A failover is requested.
    Planned,
    /// The writer's host falls silent.
    Silent,
    /// The same, and the cluster endpoint's DNS record goes on naming it.
    SilentStaleEndpoint,
    /// A reader crashes.
    ReaderCrash,
    /// The network between the client and every instance is cut for a second.
    NetworkCut,
}

/// The simulator's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Pace {
    Fast,
    Aurora,
}

impl Fault {
    /// As on the command line and in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Planned => "planned",
            Self::Silent => "silent",
            Self::SilentStaleEndpoint => "silent-stale-endpoint",
            Self::ReaderCrash => "reader-crash",
            Self::NetworkCut => "network-cut",
        }
    }

    /// Whether another instance becomes the writer.
    pub(crate) fn promotes(self) -> bool {
        !matches!(self, Self::ReaderCrash | Self::NetworkCut)
    }
}

impl Pace {
    pub(crate) fn timeline(self, engine: EngineKind) -> Timeline {
        match (self, engine) {
            (Self::Fast, _) => Timeline::fast(),
            (Self::Aurora, EngineKind::Postgres) => Timeline::aurora_postgres(),
            (Self::Aurora, EngineKind::MySql) => Timeline::aurora_mysql(),
        }
    }
}

impl Arguments {
    pub(crate) fn engines(&self) -> Vec<EngineKind> {
        let both = || vec![EngineKind::Postgres, EngineKind::MySql];
        self.engine.map_or_else(both, |engine| vec![engine])
    }

    pub(crate) fn faults(&self) -> Vec<Fault> {
        match self.fault.as_slice() {
            [] => Fault::value_variants().to_vec(),
            chosen => chosen.to_vec(),
        }
    }

    pub(crate) fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 2 } else { 20 })
    }

    pub(crate) fn contestant_runs(&self) -> u32 {
        let default = if self.quick { 1 } else { 3 };
        self.contestant_runs.unwrap_or(default)
    }

    pub(crate) fn limit(&self) -> Duration {
        let default = if self.quick { 10 } else { 60 };
        Duration::from_secs(self.limit.unwrap_or(default))
    }

    pub(crate) fn size(&self) -> Size {
        Size {
            writers: self.writers.into(),
            readers: self.readers.into(),
        }
    }
}
