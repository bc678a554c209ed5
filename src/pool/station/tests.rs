//! What the monitor knows of one instance, in virtual time.

use std::sync::Arc;
use std::time::Duration;

use crate::id::InstanceId;
use crate::pool::fixtures::Told;
use crate::pool::fixtures::cluster::{ClusterBench, topology};
use crate::pool::station::Station;
use crate::time;
use crate::topology::cadence::Target;
use crate::topology::monitor::Prober;
use crate::topology::observation::Fault;

const SECOND: Duration = Duration::from_secs(1);

fn station(cluster: &ClusterBench, instance: &str) -> Arc<Station<Told>> {
    let station = cluster.roster.station(&InstanceId::new(instance));
    station.expect("it is known")
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_and_a_login_usually_take_is_learnt_from_probes() {
    let cluster = ClusterBench::new();
    let nine = station(&cluster, "9");
    cluster.server().login_time = Duration::from_millis(50);
    cluster.server().ping_time = Duration::from_millis(20);
    cluster.probe("9").await;
    let after_login = nine.usual();
    assert!(after_login.login.upper() >= Duration::from_millis(70));
    assert_eq!(after_login.round_trip.upper(), Duration::ZERO);
    for _ in 0..50 {
        cluster.probe("9").await;
    }
    let round_trip = nine.usual().round_trip.upper();
    let expected = Duration::from_millis(20)..Duration::from_millis(30);
    assert!(expected.contains(&round_trip), "{round_trip:?}");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_lets_in_slowly_is_given_more_time_until_it_has_let_us_in() {
    let cluster = ClusterBench::with("probe_timeout=500ms&connect_timeout=3s");
    let nine = Target::Instance(InstanceId::new("9"));
    cluster.server().login_time = SECOND * 5 / 2;
    let mut limits = Vec::new();
    let answer = loop {
        let asked_at = time::now();
        match cluster.roster.ask(&nine, asked_at).await {
            Ok(answer) => break answer,
            Err(failure) => assert_eq!(failure.fault, Fault::TimedOut),
        }
        limits.push((time::now() - asked_at).as_millis());
    };
    assert_eq!(answer.identity.as_str(), "9");
    assert_eq!(limits, [500, 500, 500, 500, 1_000, 2_000]);
    // One that is lost is met with the same patience, until a login is as fast as a question.
    cluster.take_standing("9");
    cluster.probe("9").await;
    cluster.take_standing("9");
    cluster.server().login_time = Duration::ZERO;
    cluster.probe("9").await;
    assert_eq!(station(&cluster, "9").login_grace(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_time_in_which_nobody_looked_does_not_count_as_the_instances() {
    let cluster = ClusterBench::new();
    let usual_after = async |looks: u64| {
        let other = ClusterBench::new();
        let nine = station(&other, "9");
        let asked = nine.asked();
        for _ in 0..looks {
            nine.looked_at();
        }
        tokio::time::sleep(SECOND / 2).await;
        nine.answered_after(asked);
        nine.usual().round_trip.upper()
    };
    let (stood_still, watched) = (usual_after(1).await, usual_after(30).await);
    assert!(stood_still < SECOND / 4, "{stood_still:?}");
    assert!(watched >= SECOND / 2, "{watched:?}");
    // What was seen before does not count for the next question.
    let nine = station(&cluster, "9");
    for _ in 0..30 {
        nine.looked_at();
    }
    let asked = nine.asked();
    tokio::time::sleep(SECOND / 2).await;
    nine.answered_after(asked);
    assert!(nine.usual().round_trip.upper() < SECOND / 4);
}

#[tokio::test(start_paused = true)]
async fn the_standing_connection_ends_with_its_generation_and_no_earlier() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    let nine = station(&cluster, "9");
    let generation = nine.generation();
    nine.begin_generation(generation, None);
    assert_eq!(cluster.server().open, 1, "it is of this one");
    nine.begin_generation(generation.next(), None);
    assert_eq!(
        (cluster.server().open, nine.generation()),
        (0, generation.next())
    );
    cluster.probe("9").await;
    let (client, end) = nine.take().expect("it was opened anew");
    nine.begin_generation(generation.next().next(), Some("it was lost"));
    assert_eq!(end.cause(), Some("it was lost"), "wherever it is");
    nine.keep(client, generation.next(), end);
    assert!(nine.take().is_none(), "it came too late");
}

#[tokio::test(start_paused = true)]
async fn only_the_first_checkout_of_a_generation_takes_the_monitors_connection() {
    let cluster = ClusterBench::new();
    let within = || time::now() + SECOND;
    cluster.probe("9").await;
    let held = cluster.lease("9", within()).await.unwrap();
    assert_eq!(cluster.server().attempts.len(), 1, "it is the monitor's");
    cluster.probe("9").await;
    let other = cluster.lease("9", within()).await.unwrap();
    assert_eq!(cluster.server().attempts.len(), 3, "the monitor keeps that");
    drop((held, other));
    let nine = station(&cluster, "9");
    let next = nine.generation().next();
    let member = cluster.member("9");
    assert!(nine.take_for_first_use(next).is_none(), "not begun yet");
    nine.begin_generation(next, None);
    member.begin_generation(next, None);
    cluster.probe("9").await;
    assert!(nine.take_for_first_use(next).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_monitors_connection_used_within_two_intervals_may_be_taken_over() {
    for (milliseconds, is_taken) in [(1_900, true), (2_100, false)] {
        let cluster = ClusterBench::with("probe_interval=1s");
        cluster.probe("9").await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        let taken = cluster.standing_for_first_use("9").is_some();
        assert_eq!(taken, is_taken, "after {milliseconds} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_standing_connection_is_idle_when_nobody_has_used_it_for_so_long() {
    let cluster = ClusterBench::new();
    let nine = station(&cluster, "9");
    assert!(!nine.is_idle_for(Duration::ZERO), "there is none");
    cluster.probe("9").await;
    assert!(nine.is_idle_for(Duration::ZERO) && !nine.is_idle_for(SECOND));
    tokio::time::sleep(SECOND).await;
    assert!(nine.is_idle_for(SECOND));
    assert_eq!(cluster.roster.idle_for(SECOND).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_monitors_connections_end_with_it_and_with_their_instance() {
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    cluster.roster.close();
    assert_eq!(cluster.server().open, 0);
    let cluster = ClusterBench::new();
    cluster.probe("9").await;
    let standing = cluster.take_standing("9").unwrap();
    cluster.keep_standing("8", standing);
    cluster.follow(&topology(&["9"]));
    assert_eq!(cluster.server().open, 0);
}
