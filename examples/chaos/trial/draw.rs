//! A plan from a seed. Each seed leaves some kinds of faults out altogether, so that others are
//! not always drowned out by them.

use fastrand::Rng;

use super::plan::{
    ClusterPlan, DnsOutage, DriverPlan, Fault, LoadPlan, Pace, Plan, PlannedFault,
    StatementTrouble, Target, View,
};

const FAULTS_MAX: usize = 10;

/// The kinds of faults, and how often each is drawn if the seed has it at all.
const KINDS: [(&str, u32); 20] = [
    ("crash", 6),
    ("crash in place", 2),
    ("failover", 5),
    ("restart", 2),
    ("upgrade", 1),
    ("add reader", 2),
    ("remove", 2),
    ("silence", 5),
    ("refuse", 2),
    ("full", 2),
    ("starting", 2),
    ("draining", 1),
    ("slow", 2),
    ("lag", 2),
    ("pause replication", 1),
    ("view", 5),
    ("dns flip", 1),
    ("dns outage", 2),
    ("statements", 4),
    ("client pause", 2),
];

/// The plan of a seed.
pub(crate) fn plan(seed: u64) -> Plan {
    // Far from the generators that the trial itself makes of the seed.
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
    let mut cluster = cluster(&mut rng);
    let unit = unit_ms(&cluster);
    let driver = driver(&mut rng, unit);
    let load = load(&mut rng);
    let length_ms = unit * rng.u64(3..=6);
    let faults = faults(&mut rng, &cluster, unit, length_ms);
    // Where an engine says that it shuts down or starts (57P03), its next answer is that of another
    // boot. Here that may be said for a while by one that goes on as it was; a fenced writer would
    // then seem to have been started again as the writer.
    cluster.fenced_writer_answers &= !faults.iter().any(|it| ends_a_boot(&it.fault));
    let pause_in_health_ms = [0, 0, 500, 2_000][rng.usize(0..4)];
    let close_under_faults = rng.u32(0..6) == 0;
    Plan {
        about: String::new(),
        seed,
        cluster,
        driver,
        load,
        length_ms,
        faults,
        pause_in_health_ms,
        close_under_faults,
    }
}

fn ends_a_boot(fault: &Fault) -> bool {
    matches!(fault, Fault::Draining { .. } | Fault::Starting { .. })
}

/// About how long a failover takes, in milliseconds.
fn unit_ms(cluster: &ClusterPlan) -> u64 {
    let timeline = cluster.timeline();
    let failover = timeline.detection + timeline.promotion + timeline.promotion_jitter;
    let failover = failover.max(timeline.drain + timeline.promotion);
    u64::try_from(failover.as_millis())
        .unwrap_or(1_000)
        .max(300)
        + 300
}

fn cluster(rng: &mut Rng) -> ClusterPlan {
    let (pace, scale) = match rng.u32(0..10) {
        0..=4 => (Pace::Fast, 1.0),
        5..=6 => (Pace::AuroraPostgres, [0.05, 0.1, 0.2][rng.usize(0..3)]),
        7..=8 => (Pace::AuroraMysql, [0.05, 0.1, 0.2][rng.usize(0..3)]),
        _ => (
            [Pace::AuroraPostgres, Pace::AuroraMysql][rng.usize(0..2)],
            [0.5, 1.0][usize::from(rng.u32(0..4) == 0)],
        ),
    };
    let seldom = |rng: &mut Rng| rng.u32(0..5) == 0;
    ClusterPlan {
        readers: rng.usize(1..=8),
        pace,
        scale,
        login_cost_ms: [0, 0, 1, 5][rng.usize(0..4)],
        login_rate: seldom(rng).then(|| rng.u32(50..=500)),
        no_writer_ms: if seldom(rng) { rng.u64(50..=2_000) } else { 0 },
        propagation_spread_ms: if seldom(rng) { rng.u64(50..=2_000) } else { 0 },
        foreign_rows: seldom(rng),
        garbage_writer_lag: seldom(rng),
        survivable_readers: !seldom(rng),
        fenced_hold_ms: if seldom(rng) { rng.u64(100..=1_000) } else { 0 },
        fenced_writer_answers: rng.bool(),
    }
}

fn driver(rng: &mut Rng, unit: u64) -> DriverPlan {
    let pool_max = rng.usize(1..=12);
    let checkout_timeout_ms = match rng.u32(0..3) {
        0 => rng.u64(50..=1_000),
        1 => unit * rng.u64(1..=3),
        _ => 30_000,
    };
    DriverPlan {
        handles: [1, 1, 1, 2, 3][rng.usize(0..5)],
        share_monitor: rng.bool(),
        pool_max,
        pool_min_idle: [0, 0, rng.usize(0..=pool_max)][rng.usize(0..3)],
        max_connecting: rng.usize(1..=8),
        max_waiting: [0, 2, 16, 1_024][rng.usize(0..4)],
        max_reader_lag_ms: (rng.u32(0..4) == 0).then(|| rng.u64(20..=500)),
        checkout_timeout_ms,
        failover_timeout_ms: checkout_timeout_ms,
        max_lifetime_ms: [1_800_000, 1_800_000, rng.u64(200..=5_000)][rng.usize(0..3)],
        validation_period_ms: [30_000, 30_000, rng.u64(0..=500)][rng.usize(0..3)],
    }
}

fn load(rng: &mut Rng) -> LoadPlan {
    LoadPlan {
        writers: rng.usize(1..=6),
        transactions: rng.usize(0..=3),
        readers: rng.usize(1..=6),
        holders: rng.usize(0..=2),
        closures: [rng.usize(0..=3), rng.usize(8..=16)][usize::from(rng.u32(0..4) == 0)],
        cancellers: rng.usize(0..=4),
        crowd: [0, 0, 0, rng.usize(10..=40)][rng.usize(0..4)],
        rest_ms: [10, 30, 100][rng.usize(0..3)],
    }
}

fn faults(rng: &mut Rng, cluster: &ClusterPlan, unit: u64, length_ms: u64) -> Vec<PlannedFault> {
    let mut kinds: Vec<(&str, u32)> = KINDS.into_iter().filter(|_| rng.u32(0..5) < 2).collect();
    if kinds.is_empty() {
        kinds.push(KINDS[rng.usize(0..KINDS.len())]);
    }
    let mut faults: Vec<PlannedFault> = (0..rng.usize(1..=FAULTS_MAX))
        .map(|_| {
            let at_ms = rng.u64(100..length_ms);
            let kind = weighted(rng.u32(..), &kinds);
            PlannedFault {
                at_ms,
                fault: fault(rng, kind, cluster, unit),
            }
        })
        .collect();
    faults.sort_by_key(|planned| planned.at_ms);
    faults
}

/// One of the kinds, by its weight.
fn weighted<'a>(draw: u32, kinds: &[(&'a str, u32)]) -> &'a str {
    let total: u32 = kinds.iter().map(|(_, weight)| weight).sum();
    let mut left = draw % total;
    for (kind, weight) in kinds {
        match left.checked_sub(*weight) {
            Some(less) => left = less,
            None => return kind,
        }
    }
    unreachable!("the draw is below the sum of the weights")
}

fn fault(rng: &mut Rng, kind: &str, cluster: &ClusterPlan, unit: u64) -> Fault {
    let target = match rng.bool() {
        true => Target::Writer,
        false => Target::Reader(rng.usize(0..cluster.readers)),
    };
    let reader = rng.usize(0..cluster.readers);
    let ms = rng.u64(50..=unit * 2);
    match kind {
        "crash" => Fault::Crash { target },
        "crash in place" => Fault::CrashInPlace { target },
        "failover" => Fault::Failover {
            to: rng.bool().then_some(reader),
        },
        "restart" => Fault::Restart { target },
        "upgrade" => Fault::Upgrade,
        "add reader" => Fault::AddReader,
        "remove" => Fault::Remove { target },
        "silence" => Fault::Silence { target, ms },
        "refuse" => Fault::Refuse { target, ms },
        "full" => Fault::Full { target, ms },
        "starting" => Fault::Starting { target, ms },
        "draining" => Fault::Draining { target, ms },
        "slow" => Fault::Slow {
            target,
            by_ms: rng.u64(5..=400),
            ms,
        },
        "lag" => Fault::Lag {
            reader,
            by_ms: rng.u64(10..=2_000),
            ms,
        },
        "pause replication" => Fault::PauseReplication { reader, ms },
        "view" => Fault::View {
            target,
            view: view(rng, cluster),
            ms,
        },
        "dns flip" => Fault::DnsFlip {
            by_ms: rng.u64(0..=unit * 4),
        },
        "dns outage" => Fault::DnsOutage {
            kind: match rng.u32(0..4) {
                0 => DnsOutage::Silent,
                1 => DnsOutage::SlowMs(rng.u64(5..=1_000)),
                2 => DnsOutage::ServFail,
                _ => DnsOutage::NxDomain,
            },
            ms,
        },
        "statements" => Fault::Statements {
            kind: statement_trouble(rng),
            probability: [0.01, 0.05, 0.3][rng.usize(0..3)],
            ms,
        },
        "client pause" => Fault::ClientPause {
            ms: [200, 1_000, 2_000, 5_000][rng.usize(0..4)],
        },
        other => unreachable!("`{other}` is no kind of fault"),
    }
}

fn view(rng: &mut Rng, cluster: &ClusterPlan) -> View {
    let other = rng.usize(0..=cluster.readers);
    match rng.u32(0..9) {
        0 => View::SecondWriter(other),
        1 => View::NoWriter,
        2 => View::OneRow,
        3 => View::StaleClaim(other),
        4 => View::Lingering,
        5 => View::OwnTimestamp(rng.bool()),
        6 => View::GarbageLag,
        7 => View::ForeignRows,
        _ => View::PropagationMs(rng.u64(0..=5_000)),
    }
}

fn statement_trouble(rng: &mut Rng) -> StatementTrouble {
    match rng.u32(0..14) {
        12.. => StatementTrouble::Conflicts,
        0..=2 => StatementTrouble::Error,
        3..=5 => StatementTrouble::Reset,
        6..=8 => StatementTrouble::LostAnswer,
        9 => StatementTrouble::DelayMs(rng.u64(5..=300)),
        10 => StatementTrouble::Login,
        _ => StatementTrouble::Crash,
    }
}
