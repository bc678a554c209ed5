//! Where writes and reads go by what the picture says, and what pools are told of it.

use std::sync::Arc;
use std::time::Duration;

use crate::id::InstanceId;
use crate::pool::fixtures::Told;
use crate::pool::fixtures::cluster::{ClusterBench, heard, heard_lagging, seen_by, topology};
use crate::pool::gate::FRESH_FAILURE_PERIOD;
use crate::pool::instance::InstancePool;
use crate::pool::routes::Routes;
use crate::routing::explain::Intent;
use crate::routing::{FULL_WEIGHT, Reads, Scope};
use crate::time;
use crate::topology::Topology;

const SECOND: Duration = Duration::from_secs(1);

fn routes(cluster: &ClusterBench) -> Arc<Routes<Told>> {
    Arc::clone(&cluster.pools.routes())
}

fn pool(cluster: &ClusterBench, instance: &str) -> Arc<InstancePool<Told>> {
    let pool = cluster.pools.pool(&InstanceId::new(instance));
    pool.expect("it is known")
}

fn readers(routes: &Routes<Told>) -> Vec<String> {
    let mut readers: Vec<_> = routes
        .readers(0)
        .iter()
        .map(|it| it.id().to_string())
        .collect();
    readers.sort();
    readers
}

/// Fails so often that the delay before the next login grows to seconds, and waits until the last
/// failure is no news.
async fn fill(cluster: &ClusterBench, instance: &str) {
    cluster.server().capacity = 0;
    for _ in 0..10 {
        let _ = cluster.checkout(instance, time::now() + 31 * SECOND).await;
    }
    cluster.server().capacity = usize::MAX;
    tokio::time::sleep(FRESH_FAILURE_PERIOD).await;
}

/// How long a checkout takes.
async fn wait_for(cluster: &ClusterBench, instance: &str) -> Duration {
    let began = time::now();
    let checkout = cluster.checkout(instance, began + 31 * SECOND).await;
    checkout.expect("there is room");
    time::now() - began
}

#[tokio::test(start_paused = true)]
async fn writes_go_to_the_writer_and_reads_to_the_readers() {
    let cluster = ClusterBench::new();
    cluster.follow(&heard(&["7", "8", "9"]));
    let routes = routes(&cluster);
    let [seven, eight, nine] = ["7", "8", "9"].map(|id| pool(&cluster, id));
    assert!(
        routes
            .writer()
            .is_some_and(|writer| Arc::ptr_eq(writer, &nine))
    );
    assert!(routes.writes_to(&nine) && !routes.writes_to(&eight));
    assert!(routes.writer_for_reads().is_none());
    assert_eq!(readers(&routes), ["7", "8"]);
    let reads_from = [&seven, &eight, &nine].map(|pool| routes.reads_from(pool.id()));
    assert_eq!(reads_from, [true, true, false]);
    let leads_to = [&seven, &eight, &nine].map(|pool| routes.leads_to(pool));
    assert_eq!(leads_to, [true, true, true]);
    let first = (0..20).map(|turn| routes.best_reader(turn).unwrap().id().to_string());
    let first: std::collections::BTreeSet<_> = first.collect();
    assert_eq!(first.len(), 2, "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_reader_reads_go_to_the_writer() {
    let cluster = ClusterBench::new();
    let eight = pool(&cluster, "8");
    cluster.follow(&heard(&["9"]));
    let routes = routes(&cluster);
    assert!(routes.writer_for_reads().is_some() && routes.best_reader(0).is_none());
    assert!(routes.reads_from(&InstanceId::new("9")));
    assert!(!routes.leads_to(&eight));
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_which_nothing_is_known_but_its_name_has_a_pool() {
    let cluster = ClusterBench::new();
    cluster.follow(&topology(&["7", "8", "9"]));
    assert_eq!(cluster.pools.all().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_clearly_slower_is_read_from_less() {
    let cluster = ClusterBench::new();
    cluster.follow(&heard(&["7", "8", "9"]));
    for (reader, milliseconds) in [("7", 100), ("8", 2)] {
        let member = cluster.member(reader);
        for _ in 0..20 {
            let took = Duration::from_millis(milliseconds);
            member.site().latency().took(took, false, time::now());
        }
    }
    let routes = routes(&cluster);
    let slow = (0..100).filter(|turn| routes.best_reader(*turn).unwrap().id().as_str() == "7");
    assert!(slow.count() < 25);
    let standings = routes.standings(0);
    let latency = |reader: &str| {
        let mut all = standings.iter();
        let standing = all.find(|it| it.pool.id().as_str() == reader);
        standing.unwrap().latency.unwrap().as_millis()
    };
    assert!((90..110).contains(&latency("7")), "{}", latency("7"));
    assert!((1..3).contains(&latency("8")), "{}", latency("8"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_in_another_zone_is_known_to_be_far() {
    let cluster = ClusterBench::with("zone=a&zone.7=b&zone.8=a");
    cluster.follow(&heard(&["6", "7", "8", "9"]));
    let far = |reader| cluster.member(reader).is_far();
    assert_eq!((far("6"), far("7"), far("8")), (false, true, false));
}

#[tokio::test(start_paused = true)]
async fn the_same_picture_leads_to_the_same_routes() {
    let cluster = ClusterBench::new();
    cluster.follow(&heard(&["7", "8", "9"]));
    tokio::time::sleep(61 * SECOND).await;
    let before = routes(&cluster);
    cluster.pools.route(&heard(&["7", "8", "9"]));
    assert!(Arc::ptr_eq(&before, &routes(&cluster)));
}

#[tokio::test(start_paused = true)]
async fn another_picture_leads_to_other_routes() {
    let cluster = ClusterBench::new();
    let all = heard(&["7", "8", "9"]);
    let nobody = Scope::Nowhere("nobody knows".into());
    cluster.follow(&all);
    let first = routes(&cluster);
    let only = |id: &str| Scope::Members(Arc::new([InstanceId::new(id)].into()));
    let mut before = first;
    for scope in [only("7"), only("8"), nobody, Scope::Everywhere] {
        cluster.pools.confine(scope.clone(), &all);
        let after = routes(&cluster);
        assert!(
            !after.leads_like(&before) && !after.is_like(&before),
            "{scope:?}"
        );
        before = after;
    }
    // Another writer with the same readers.
    cluster.pools.confine(only("7"), &all);
    let before = routes(&cluster);
    cluster.pools.route(&seen_by("8", &["8"]));
    assert!(!routes(&cluster).leads_like(&before));
    assert!(routes(&cluster).writes_to(&pool(&cluster, "8")));
}

#[tokio::test(start_paused = true)]
async fn a_new_reader_begins_with_less_and_one_that_was_away_for_a_moment_does_not() {
    let cluster = ClusterBench::with("slow_start=60s");
    cluster.follow(&heard(&["8", "9"]));
    tokio::time::sleep(120 * SECOND).await;
    cluster.follow(&heard(&["7", "8", "9"]));
    let weight = |id| routes(&cluster).weight_of(&pool(&cluster, id));
    assert!((1..FULL_WEIGHT / 2).contains(&weight("7")));
    assert_eq!(weight("8"), FULL_WEIGHT);
    // It serves for long enough, and routes follow without a new picture.
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!(weight("7"), FULL_WEIGHT);
    // Away for a moment, and for long.
    let lagging = heard_lagging(&["7", "8", "9"], "7", 5_000.0);
    let with_lag = ClusterBench::with("slow_start=60s&max_reader_lag=1s");
    with_lag.follow(&heard(&["7", "8", "9"]));
    tokio::time::sleep(120 * SECOND).await;
    let weight = |id| routes(&with_lag).weight_of(&pool(&with_lag, id));
    for (away, is_full) in [(SECOND, true), (600 * SECOND, false)] {
        with_lag.pools.route(&lagging);
        assert_eq!(readers(&routes(&with_lag)), ["8"]);
        assert_eq!(with_lag.pools.lagging(), ["7"]);
        tokio::time::sleep(away).await;
        with_lag.pools.route(&heard(&["7", "8", "9"]));
        assert_eq!(readers(&routes(&with_lag)), ["7", "8"]);
        assert!(with_lag.pools.lagging().is_empty());
        assert_eq!(weight("7") == FULL_WEIGHT, is_full, "away for {away:?}");
        assert_eq!(weight("8"), FULL_WEIGHT);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_becomes_the_writer_or_a_reader_is_met_at_once_whatever_failed_before() {
    let cluster = ClusterBench::new();
    cluster.follow(&seen_by("8", &["7", "8", "9"]));
    fill(&cluster, "9").await;
    cluster.follow(&topology(&["7", "8", "9"]));
    assert_eq!(wait_for(&cluster, "9").await, Duration::ZERO);
    fill(&cluster, "7").await;
    cluster.follow(&heard(&["7", "8", "9"]));
    assert_eq!(wait_for(&cluster, "7").await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_goes_on_as_before_is_not_hurried_by_what_happens_to_others() {
    let cluster = ClusterBench::new();
    cluster.follow(&heard(&["8", "9"]));
    fill(&cluster, "9").await;
    cluster.follow(&heard(&["7", "8", "9"]));
    assert!(wait_for(&cluster, "9").await > Duration::ZERO);
    fill(&cluster, "8").await;
    cluster.follow(&heard(&["8", "9"]));
    assert!(wait_for(&cluster, "8").await > Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn all_is_explained_whom_a_request_may_go_to_and_why_not_to_others() {
    let cluster = ClusterBench::with("max_reader_lag=1s");
    let picture = heard_lagging(&["6", "7", "8", "9"], "6", 5_000.0);
    cluster.follow(&picture);
    let told = |intent| {
        let explanation = cluster.pools.explain(intent, &picture, 0);
        let mut candidates: Vec<_> = explanation.candidates.iter().collect();
        candidates.sort_by_key(|it| it.instance.clone());
        let names = |id: &InstanceId| id.to_string();
        (
            candidates
                .iter()
                .map(|it| names(&it.instance))
                .collect::<Vec<_>>(),
            explanation
                .left_out
                .iter()
                .map(|(id, _)| names(id))
                .collect::<Vec<_>>(),
        )
    };
    let (candidates, left_out) = told(Intent::Read);
    assert_eq!(
        (candidates.join(" "), left_out.join(" ")),
        ("7 8".into(), "6 9".into())
    );
    let (candidates, left_out) = told(Intent::Write);
    assert_eq!(
        (candidates.join(" "), left_out.join(" ")),
        ("9".into(), "6 7 8".into())
    );
}

#[tokio::test(start_paused = true)]
async fn the_rule_by_which_a_request_goes_or_waits_is_named() {
    let rules = |keys: &str, picture: &Topology| {
        let cluster = ClusterBench::with(keys);
        cluster.follow(picture);
        let rule = |intent| cluster.pools.explain(intent, picture, 0).rule;
        [rule(Intent::Read), rule(Intent::Write)]
    };
    let [read, write] = rules("", &heard(&["7", "8", "9"]));
    assert_eq!(read, Reads::Members.rule());
    assert_eq!(write, "a write goes to the confirmed writer");
    let [read, _] = rules("", &heard(&["9"]));
    assert_eq!(read, Reads::Writer.rule());
    let [read, _] = rules("writer_reads_percent=0", &heard(&["9"]));
    assert_eq!(
        read,
        "a read waits, as no reader may be used, nor the writer"
    );
    let [read, write] = rules("", &Topology::empty());
    assert_eq!(read, Reads::Nobody.rule());
    assert_eq!(write, "a write waits, as no writer is confirmed");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_end_of_a_handle_hears_of_it_and_not_before() {
    let cluster = ClusterBench::new();
    let early = tokio::time::timeout(SECOND, cluster.pools.closed());
    assert!(early.await.is_err());
    cluster.pools.close(time::now()).await;
    cluster.pools.closed().await;
}
