//! The cluster, simulated by this same program in a process of its own.
//!
//! The child says its URL on the first line of its output. For each line that it reads it counts
//! once more, and it ends with its input, and so with its parent.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::Context;
use aurora_driver::EngineKind;
use aurora_driver::sim::SimCluster;
use serde::{Deserialize, Serialize};

/// Names the engine to a process that is to be the cluster.
const CLUSTER_OF: &str = "CHECKOUT_BENCH_CLUSTER_OF";

/// What an instance has seen.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) instance: String,
    pub(crate) open_sessions: u64,
    pub(crate) logins: u64,
    pub(crate) statements: u64,
}

/// A cluster in a process of its own, ended with this value.
pub(crate) struct Simulated {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    url: String,
}

impl Simulated {
    pub(crate) fn start(engine: EngineKind) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(CLUSTER_OF, engine.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().context("no pipe to the cluster")?;
        let answers = child.stdout.take().context("no pipe from the cluster")?;
        let mut simulated = Self {
            child,
            orders,
            answers: BufReader::new(answers),
            url: String::new(),
        };
        simulated.url = simulated.line()?;
        Ok(simulated)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What the instances have seen until now, in the order of their names.
    pub(crate) fn counted(&mut self) -> anyhow::Result<Vec<Counted>> {
        writeln!(self.orders, "count")?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let length = self.answers.read_line(&mut line)?;
        anyhow::ensure!(length > 0, "the cluster has ended");
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for Simulated {
    fn drop(&mut self) {
        // It has nothing to save. Neither can fail but for a child that is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whose cluster this process is to be, if it is the child.
pub(crate) fn engine_of_child() -> anyhow::Result<Option<EngineKind>> {
    let named = std::env::var(CLUSTER_OF).ok();
    let engine = named.map(|name| name.parse::<EngineKind>());
    engine.transpose().map_err(anyhow::Error::msg)
}

/// Is the cluster until the input ends.
pub(crate) fn serve(engine: EngineKind) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let cluster = runtime.block_on(SimCluster::builder(engine).readers(2).start())?;
    println!("{}", cluster.url());
    for order in std::io::stdin().lines() {
        order?;
        println!("{}", serde_json::to_string(&count(&cluster))?);
    }
    runtime.block_on(cluster.stop());
    Ok(())
}

fn count(cluster: &SimCluster) -> Vec<Counted> {
    let mut ids: Vec<_> = cluster
        .writer()
        .into_iter()
        .chain(cluster.readers())
        .collect();
    ids.sort();
    let counted = ids.into_iter().filter_map(|id| {
        let counters = cluster.counters(id.clone())?;
        Some(Counted {
            instance: id.to_string(),
            open_sessions: counters.open_sessions,
            logins: counters.logins,
            statements: counters.statements,
        })
    });
    counted.collect()
}
