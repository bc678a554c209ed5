//! The table of times, comparable with what other drivers need on such a cluster.

use std::time::Duration;

use aurora_driver::{Cluster, Postgres};

use crate::cluster::{RealCluster, View};
use crate::failover::{Fault, Times, lose_the_writer};
use crate::ground::{Need, stand_on};

/// How often each fault is struck.
const RUNS: &str = "AURORA_DRIVER_RUNS";

const FAULTS: [(&str, Fault, Duration); 7] = [
    ("crash", Fault::Kill, Duration::ZERO),
    ("crash3s", Fault::Kill, Duration::from_secs(3)),
    ("sigstop", Fault::Stop, Duration::ZERO),
    ("sigstop3s", Fault::Stop, Duration::from_secs(3)),
    ("drop", Fault::Cut, Duration::ZERO),
    ("drop3s", Fault::Cut, Duration::from_secs(3)),
    ("planned", Fault::Shutdown, Duration::ZERO),
];

#[test]
#[ignore = "takes some seconds for each run, and says nothing but times"]
fn failovers_of_a_real_cluster_take_these_times() {
    stand_on(&[Need::Postgres, Need::Cuts], async |ground| {
        let runs = std::env::var(RUNS).map_or(3, |runs| runs.parse().expect("a number"));
        let mut rig = RealCluster::start(ground, View::Replication).await;
        eprintln!(
            "| fault | fault to first write, ms | added, ms | calls in flight ended after, ms | promotion, ms |"
        );
        eprintln!("|---|---|---|---|---|");
        for (name, fault, after) in FAULTS {
            let mut times = Vec::new();
            for _ in 0..runs {
                let cluster = Cluster::<Postgres>::connect(&rig.url())
                    .await
                    .expect("it is there");
                let old = rig.writer();
                times.push(lose_the_writer(&mut rig, &cluster, fault, after).await);
                cluster.close(Duration::from_secs(5)).await;
                rig.rejoin(old).await;
            }
            eprintln!("{}", row(name, &times));
        }
    });
}

fn row(name: &str, times: &[Times]) -> String {
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let column = |value: &dyn Fn(&Times) -> f64| {
        let mut values: Vec<f64> = times.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let (first, last) = (values[0], values[values.len() - 1]);
        format!("{:.1} [{first:.1}..{last:.1}]", values[values.len() / 2])
    };
    format!(
        "| {name} | {} | {} | {} | {} |",
        column(&|times| millis(times.first_write)),
        column(&|times| times.added_millis),
        column(&|times| times.in_flight_ended.map_or(0.0, |(_, last)| millis(last))),
        column(&|times| millis(times.promotion)),
    )
}
