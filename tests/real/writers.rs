//! The loss of a writer.

use std::time::Duration;

use aurora_driver::{Cluster, Postgres};

use crate::cluster::RealCluster;
use crate::failover::{Fault, eventually, lose_the_writer};
use crate::ground::{Ground, Need, stand_on};

/// Starts a cluster and the driver, loses the writer, and gives both for what follows.
async fn lose(ground: Ground, fault: Fault, after: Duration) -> (RealCluster, Cluster<Postgres>) {
    let mut rig = RealCluster::start(ground).await;
    let cluster = Cluster::<Postgres>::connect(&rig.url()).await.expect("it is there");
    let times = lose_the_writer(&mut rig, &cluster, fault, after).await;
    eprintln!("{fault:?}, promotion after {after:?}: {times}");
    (rig, cluster)
}

#[test]
fn after_a_killed_writer_and_a_promotion_nothing_is_lost_or_doubled() {
    stand_on(&[Need::Postgres], async |ground| {
        lose(ground, Fault::Kill, Duration::ZERO).await;
    });
}
