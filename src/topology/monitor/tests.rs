//! What the monitor makes of an answer, and of none.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::id::InstanceId;
use crate::topology::Health;
use crate::topology::observation::{Row, Way};

fn instance(name: &str) -> Target {
    Target::Instance(InstanceId::new(name))
}

fn failure(message: &str) -> ProbeFailure {
    ProbeFailure {
        fault: Fault::Refused,
        kind: ErrorKind::Connect,
        message: message.to_owned(),
    }
}

/// The answer of one that says whether it is the writer; its table names `a`.
fn report(from: &str, is_writer: bool, asked_at: Instant) -> Report {
    let row = |id: &str| Row {
        id: InstanceId::new(id),
        is_writer: id == "a",
        updated_micros: Some(1),
        lag_millis: None,
    };
    Report {
        identity: InstanceId::new(from),
        asked_at,
        is_writer,
        server_now_micros: 1,
        way: Way::Standing,
        rows: vec![row("a"), row("b")],
    }
}

fn after(before: &Topology, report: Report, now: Instant) -> Topology {
    apply(before, &Observation::Report(report), now).next
}

#[test]
fn the_last_obstacle_is_kept_until_whom_it_was_met_at_answers() {
    let mut failures = Failures::default();
    failures.add(&instance("a"), failure("a is away"));
    failures.add(&instance("b"), failure("b is away"));
    failures.answered(&instance("a"));
    let (target, last) = failures.last.clone().expect("b has not answered");
    assert_eq!(
        (target, last.message.as_str()),
        (instance("b"), "b is away")
    );
    failures.answered(&instance("b"));
    assert!(failures.last.is_none());
}

#[test]
fn obstacles_at_seeds_are_over_when_anybody_answers() {
    let mut failures = Failures::default();
    failures.add(&Target::Seed(0), failure("one"));
    failures.add(&Target::Seed(1), failure("two"));
    failures.add(&instance("a"), failure("a is away"));
    assert_eq!(failures.seeds.len(), 2);
    failures.add(&Target::Seed(1), failure("again"));
    assert_eq!(failures.seeds[&1].message, "again");
    failures.answered(&instance("b"));
    assert!(failures.seeds.is_empty() && failures.last.is_none());
}

#[test]
fn an_answer_counts_for_whom_it_is_of() {
    let now = time::now();
    let of = |identity| Ok(report(identity, false, now));
    assert_eq!(reply(&instance("a"), &of("a")), Reply::Answered);
    let elsewhere = Reply::Failed(Fault::Other);
    assert_eq!(
        reply(&instance("a"), &of("b")),
        elsewhere,
        "its name led there"
    );
    assert_eq!(reply(&Target::Seed(0), &of("b")), Reply::Answered);
    let refused = Err(failure(""));
    assert_eq!(
        reply(&instance("a"), &refused),
        Reply::Failed(Fault::Refused)
    );
}

#[test]
fn what_a_probe_heard_is_told_in_words() {
    let now = time::now();
    assert_eq!(said(&Ok(report("a", true, now))), Ok(true));
    assert_eq!(said(&Ok(report("a", false, now))), Ok(false));
    let refused = said(&Err(failure("")));
    assert_eq!(refused, Err(Fault::Refused.describe()));
    assert_eq!(Fault::LoginRefused.describe(), "it refused the login");
    assert_eq!(name_of(&instance("a")), "a");
    assert_eq!(name_of(&Target::Seed(1)), "seed 1");
}

#[test]
fn an_answer_that_comes_too_late_or_claims_what_is_not_so_is_not_believed() {
    let now = time::now();
    let later = now + Duration::from_secs(1);
    let known = after(&Topology::empty(), report("a", true, later), later);
    let why = |report: Report| {
        let next = after(&known, report.clone(), later);
        disbelief(&known, &next, &report)
    };
    assert!(why(report("a", true, later)).is_none());
    assert!(why(report("b", false, later)).is_none());
    assert!(matches!(
        why(report("a", true, now)),
        Some(Disbelief::Outdated)
    ));
    // The newest table says that it is another.
    let claim = report("b", true, later);
    let next = known.clone();
    let contested = disbelief(&known, &next, &claim);
    assert!(matches!(contested, Some(Disbelief::ContestedClaim)));
}

/// A cluster whose writer is `a`; the name of `b` leads there.
#[derive(Default)]
struct Led {
    /// How often pools were brought in line.
    carried_out: AtomicUsize,
    /// The connection to the writer is found ended when it is next asked.
    lost: AtomicBool,
}

impl Prober for Led {
    async fn ask(&self, _: &Target, asked_at: Instant) -> Result<Report, ProbeFailure> {
        let mut answer = report("a", true, asked_at);
        if self.lost.swap(false, Ordering::Relaxed) {
            answer.way = Way::AfterLoss;
        }
        Ok(answer)
    }

    fn carry_out(&self, _: &Topology, _: &[Effect]) -> Vec<EventKind> {
        self.carried_out.fetch_add(1, Ordering::Relaxed);
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_heard_of_an_instance_whose_name_leads_to_another_and_only_news_is_published() {
    let cadence = Cadence::new(1, Duration::from_secs(1), crate::rng::Rng::seeded(1));
    let (monitor, _news, published) = Monitor::new(cadence, EventSender::new(None));
    let prober = Arc::new(Led::default());
    let running = monitor.run(Arc::clone(&prober));
    tokio::pin!(running);
    let mut topology = published.topology;
    let minute = Duration::from_secs(60);
    let _ = tokio::time::timeout(minute, &mut running).await;
    assert!(topology.has_changed().unwrap());
    {
        let picture = topology.borrow_and_update();
        let health = |name| picture.instance(&InstanceId::new(name)).unwrap().health();
        assert_eq!(health("a"), Health::Up);
        assert_eq!(health("b"), Health::Unknown);
        assert_eq!(picture.writer().unwrap().id().as_str(), "a");
    }
    let asked_before = prober.carried_out.swap(0, Ordering::Relaxed);
    let _ = tokio::time::timeout(minute, &mut running).await;
    assert!(asked_before > 0 && prober.carried_out.load(Ordering::Relaxed) > 30);
    assert!(!topology.has_changed().unwrap(), "all is as it was");
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_a_new_connection_in_the_place_of_one_that_ended_begins_a_generation() {
    let cadence = Cadence::new(1, Duration::from_secs(1), crate::rng::Rng::seeded(1));
    let (monitor, _news, published) = Monitor::new(cadence, EventSender::new(None));
    let prober = Arc::new(Led::default());
    let running = monitor.run(Arc::clone(&prober));
    tokio::pin!(running);
    let topology = published.topology;
    let generation = || {
        let picture = topology.borrow();
        picture.writer().expect("a writer").generation()
    };
    let minute = Duration::from_secs(60);
    let _ = tokio::time::timeout(minute, &mut running).await;
    let before = generation();
    prober.lost.store(true, Ordering::Relaxed);
    let _ = tokio::time::timeout(minute, &mut running).await;
    assert_eq!(generation(), before.next());
}
