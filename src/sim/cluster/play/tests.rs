//! Scripts on a running cluster.

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::id::EngineKind;
use crate::sim::fault::ListenerState;

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

async fn start() -> SimCluster {
    let cluster = SimCluster::builder(EngineKind::MySql).readers(2).seed(3);
    cluster.start().await.expect("the cluster starts")
}

/// Steps of a file, each given as `do` and further keys, 1 ms apart.
fn script(steps: &[&str]) -> Script {
    let mut text = String::new();
    for (at, step) in steps.iter().enumerate() {
        text.push_str(&format!("[[step]]\nat_ms = {at}\ndo = {step}\n"));
    }
    Script::parse("test.toml", &text).expect("a timeline")
}

async fn play(cluster: &SimCluster, steps: &[&str]) -> Result<(), String> {
    let mut playback = cluster.play(&script(steps));
    let end = timeout(LIMIT, playback.finished()).await;
    end.expect("it ends in time")
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_word_does_what_the_cluster_s_method_does() {
    let cluster = start().await;
    let steps = [
        "\"tier\"\ninstance = \"reader-2\"\ntier = 7",
        "\"lag\"\ninstance = \"reader-1\"\nms = 40",
        "\"pause-replication\"\ninstance = \"reader-1\"",
        "\"resume-replication\"\ninstance = \"reader-1\"",
        "\"slow\"\ninstance = \"reader-1\"\nms = 9",
        "\"listener\"\ninstance = \"reader-2\"\nstate = \"full\"",
        "\"refuse\"\ninstance = \"reader-2\"",
        "\"view\"\ninstance = \"reader-1\"\nshows = \"no-writer\"",
        "\"view\"\ninstance = \"reader-1\"\nshows = \"stale-claim\"\nother = \"reader-2\"",
        "\"clear-view\"\ninstance = \"reader-1\"",
        "\"dns-ttl\"\nname = \"reader-endpoint\"\nseconds = 1",
        "\"dns-flip\"\nms = 10",
        "\"custom-endpoint\"\nname = \"some\"\nkind = \"any\"\nmembers = [\"writer\"]",
        "\"custom-endpoint\"\nname = \"gone\"\nkind = \"any\"\nexcept = [\"writer\"]",
        "\"remove-custom-endpoint\"\nname = \"gone\"",
        "\"break-dns\"\nfault = \"wrong\"\nname = \"reader-1\"\naddress = \"writer\"",
        "\"scale-out\"\ncount = 2",
        "\"add-reader\"",
    ];
    play(&cluster, &steps).await.expect("all of it is possible");
    let state = cluster.state();
    let status = |id: &str| state.instance(id).expect("it exists").clone();
    assert_eq!(status("demo-instance-3").tier, 7);
    assert_eq!(status("demo-instance-2").lag, Duration::from_millis(40));
    let slow = ListenerState::Slow(Duration::from_millis(9));
    assert_eq!(status("demo-instance-2").listener, slow);
    assert_eq!(status("demo-instance-3").listener, ListenerState::Refusing);
    assert_eq!(state.instances.len(), 6);
    let answers = cluster.dns_answers();
    let find = |name: &str| answers.iter().find(|it| it.name.starts_with(name));
    let reader = find("demo.cluster-ro-").expect("the reader endpoint");
    assert_eq!(reader.ttl, Duration::from_secs(1));
    let custom = find("some.cluster-custom-").expect("the custom endpoint");
    assert_eq!(custom.address, cluster.address_of("demo-instance-1"));
    assert!(find("gone.").is_none());
    let lie = find("demo-instance-2.").expect("the reader");
    assert_eq!(lie.address, cluster.address_of("demo-instance-1"));
    cluster.stop().await;
}

#[tokio::test]
async fn a_broken_dns_stays_broken_until_it_is_mended() {
    let cluster = start().await;
    let lie =
        "\"break-dns\"\nfault = \"wrong\"\nname = \"cluster-endpoint\"\naddress = \"127.1.2.3\"";
    let right = cluster.dns_answers()[0].address;
    play(&cluster, &[lie]).await.expect("it is possible");
    let wrong = Some(std::net::Ipv4Addr::new(127, 1, 2, 3));
    assert_eq!(cluster.dns_answers()[0].address, wrong);
    play(&cluster, &[lie, "\"mend-dns\""])
        .await
        .expect("it is possible");
    let still = cluster.dns_answers()[0].address;
    assert_eq!(still, wrong, "each script mends its own");
    cluster.stop().await;
    assert_ne!(right, wrong);
}

#[tokio::test]
async fn the_old_writer_is_the_one_before_the_last_promotion() {
    let cluster = start().await;
    let none = play(&cluster, &["\"crash\"\ninstance = \"old-writer\""]).await;
    let error = none.expect_err("nobody was promoted");
    assert!(error.contains("nobody has been promoted"), "{error}");
    let old = cluster.crash_writer().expect("there is a writer");
    timeout(LIMIT, cluster.failover_finished())
        .await
        .expect("in time");
    play(&cluster, &["\"tier\"\ninstance = \"old-writer\"\ntier = 9"])
        .await
        .expect("it is possible");
    let state = cluster.state();
    assert_eq!(state.instance(old).map(|old| old.tier), Some(9));
    cluster.stop().await;
}

#[tokio::test]
async fn a_refused_step_ends_the_script_and_is_named() {
    let cluster = start().await;
    let steps = [
        "\"tier\"\ninstance = \"reader-1\"\ntier = 3",
        "\"restart\"\ninstance = \"reader-9\"",
        "\"tier\"\ninstance = \"reader-1\"\ntier = 4",
    ];
    let error = play(&cluster, &steps).await.expect_err("no such reader");
    assert!(error.starts_with("test.toml, line 6, step 2: "), "{error}");
    assert!(error.contains("2 readers are up"), "{error}");
    let state = cluster.state();
    assert_eq!(state.instance("demo-instance-2").map(|it| it.tier), Some(3));
    cluster.stop().await;
}

#[tokio::test]
async fn steps_are_never_early_and_a_script_ends_with_its_cluster() {
    let cluster = start().await;
    let text = "[[step]]\nat_ms = 120\ndo = \"crash\"\ninstance = \"writer\"\n\
                [[step]]\nat_ms = 3600000\ndo = \"mend-dns\"\n";
    let script = Script::parse("long.toml", text).expect("a timeline");
    let began = cluster.now();
    let mut playback = cluster.play(&script);
    let promotion = timeout(LIMIT, async {
        cluster.wait_for(|state| state.epoch == 1).await;
        cluster.last_promotion()
    });
    let promotion = promotion.await.expect("in time").expect("a promotion");
    assert!(promotion.fault_at >= began + Duration::from_millis(120));
    timeout(LIMIT, cluster.stop())
        .await
        .expect("no task is left");
    let error = playback.finished().await.expect_err("it did not end");
    assert!(error.to_string().contains("step 2"), "{error}");
}
