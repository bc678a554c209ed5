//! How long each phase of a failover takes.

use std::time::Duration;

/// The phase lengths of a simulated cluster: what happens after a fault, and how much later.
///
/// All phases are plain values that may be changed one by one:
///
/// ```
/// use std::time::Duration;
/// use aurora_driver::sim::Timeline;
///
/// let mut timeline = Timeline::fast();
/// timeline.dns_flip = Duration::from_secs(2);
/// assert_eq!(timeline.scaled(0.5).dns_flip, Duration::from_secs(1));
/// ```
///
/// The *cut* is the moment at which the old writer stops serving: the fault itself when the
/// writer crashes, the end of [`drain`](Self::drain) in a planned failover.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Timeline {
    /// From a writer's crash until the control plane has noticed and chosen a successor.
    pub detection: Duration,
    /// From the request of a planned failover to the cut. Writes still succeed meanwhile.
    pub drain: Duration,
    /// From the choice of the successor, whose connections drop then, until it accepts logins as
    /// the writer.
    pub promotion: Duration,
    /// Up to this much is added to `promotion`, chosen by the seed.
    pub promotion_jitter: Duration,
    /// The last part of any boot, in which PostgreSQL accepts sockets and answers 57P03. MySQL
    /// refuses to the end.
    pub starting: Duration,
    /// From the cut until the old writer accepts logins as a reader.
    pub rejoin: Duration,
    /// In a planned failover, how long the old writer is *fenced* before its engine stops: the
    /// storage takes no commits from it, and its sockets stay open in silence, new ones too, with
    /// neither FIN nor RST. Then they are reset. Zero, as in [`fast`](Self::fast): its
    /// connections end at the cut, with a goodbye. It ends before the rejoin's `starting` begins.
    pub fenced_hold: Duration,
    /// Whether the other readers keep their connections when the writer stops, as on Aurora
    /// MySQL 2.10, 3 and above and Aurora PostgreSQL 12.14, 13.10, 14.7, 15.2 and above. Without,
    /// they all restart with the writer and are back after it.
    pub survivable_readers: bool,
    /// From a crash or restart until the same instance accepts logins in the same role.
    pub restart: Duration,
    /// From the cut until the cluster and reader endpoints' DNS records follow the promotion.
    /// Never before the new writer accepts.
    pub dns_flip: Duration,
    /// From a reader's coming or going until the reader endpoint's DNS record follows.
    pub dns_health_check: Duration,
    /// From the cut to the event "Completed failover".
    pub completion: Duration,
    /// From the request for a new reader until it accepts logins.
    pub creation: Duration,
    /// How long connections to a deleted instance live on.
    pub removal_grace: Duration,
    /// How often the rows of the replica-status table are renewed.
    pub status_interval: Duration,
    /// The replica lag that a healthy reader reports, give or take a half.
    pub replica_lag: Duration,
    /// How old the data of a reader with paused replication may get before it restarts: 60 s in
    /// all timelines. Aurora's own limit is not published.
    pub lag_limit: Duration,
    /// What the instances' own copies of the replica-status table get wrong, and for how long.
    pub views: ViewOptions,
}

/// What the instances' own copies of the replica-status table get wrong, and for how long.
///
/// A zero length switches an anomaly off.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ViewOptions {
    /// How far a reader's copy is behind the writer's.
    pub propagation: Duration,
    /// Up to this much is added to `propagation`, instance by instance, by the seed.
    pub propagation_spread: Duration,
    /// After the writer stopped serving, the readers list no writer at all for so long.
    pub no_writer: Duration,
    /// After its promotion the new writer lists nobody but itself for so long.
    pub one_row: Duration,
    /// Then it lists the old writer's `MASTER_SESSION_ID` row beside its own for so long, or
    /// until the old writer is back.
    pub two_writers: Duration,
    /// Then other readers go on naming the old writer for up to so long, by the seed.
    pub stale_readers: Duration,
    /// The returning old writer's copy still calls itself the writer for so long.
    pub stale_old_writer: Duration,
    /// How long the row of a deleted instance stays, with a lag of 900000 ms.
    pub lingering: Duration,
    /// PostgreSQL: the row of the instance that is asked has no timestamp, as on versions with
    /// improved read availability (12.14, 13.10, 14.7, 15.2 and above).
    pub own_timestamp_null: bool,
    /// The writer's row shows a lag of 18446744949882880 ms, as on Aurora MySQL before 1.23 and
    /// 2.09.
    pub garbage_writer_lag: bool,
    /// The rows of another cluster are there too, as in a clone or a restored cluster.
    pub foreign_rows: bool,
}

/// Longer than any test runs; sums of such lengths do not overflow.
const LENGTH_MAX: Duration = seconds(100 * 365 * 24 * 3600);

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

impl Timeline {
    /// A timeline for tests: the order of events is Aurora's, the seconds are milliseconds.
    ///
    /// | after the crash | |
    /// |---|---|
    /// | 0 ms | the writer's connections are reset, connects are refused |
    /// | 100 ms | the crash is detected, the successor's connections drop |
    /// | 300 to 330 ms | the new writer accepts (PostgreSQL: 57P03 in the 60 ms before) |
    /// | 600 ms | the DNS records follow |
    /// | 700 ms | the old writer accepts as a reader |
    ///
    /// A planned failover is the same without detection, after a drain of 50 ms.
    pub fn fast() -> Self {
        Self {
            detection: millis(100),
            drain: millis(50),
            promotion: millis(200),
            promotion_jitter: millis(30),
            starting: millis(60),
            rejoin: millis(700),
            fenced_hold: Duration::ZERO,
            survivable_readers: true,
            restart: millis(300),
            dns_flip: millis(600),
            dns_health_check: millis(200),
            completion: millis(800),
            creation: millis(200),
            removal_grace: millis(500),
            status_interval: seconds(1),
            replica_lag: millis(16),
            lag_limit: seconds(60),
            views: ViewOptions {
                propagation: millis(10),
                one_row: millis(100),
                two_writers: millis(150),
                stale_readers: millis(200),
                stale_old_writer: millis(150),
                lingering: seconds(24 * 3600),
                propagation_spread: Duration::ZERO,
                no_writer: Duration::ZERO,
                own_timestamp_null: true,
                garbage_writer_lag: false,
                foreign_rows: false,
            },
        }
    }

    /// Aurora MySQL's seconds, as the event logs of two failovers show them.
    ///
    /// | after the request | |
    /// |---|---|
    /// | 6 s | the old writer is fenced and falls silent; the successor's connections drop |
    /// | 11 to 13 s | the new writer accepts (logs: 10.9 and 11.0 s) |
    /// | 14 s | the old writer is told to restart, its sockets are reset (logs: 14.4 and 14.1 s) |
    /// | 18 s | the DNS records follow (15 to 20 s, AWS JDBC driver's failover guide) |
    /// | 22 s | the old writer accepts as a reader (logs: 23.2 and 21.4 s) |
    /// | 23 s | "Completed failover" (logs: 20.2 and 23.7 s) |
    ///
    /// The logs are of the same control plane with other engines (Aurora PostgreSQL 16 in 2026,
    /// and DocumentDB in the AWS CLI's reference); Aurora MySQL's own are not published. A
    /// deleted instance's connections have three minutes (Aurora User Guide, "Replication with
    /// Aurora").
    pub fn aurora_mysql() -> Self {
        Self {
            promotion: seconds(5),
            fenced_hold: seconds(8),
            rejoin: seconds(16),
            dns_flip: seconds(12),
            completion: seconds(17),
            ..Self::aurora_postgres()
        }
    }

    /// Aurora PostgreSQL's seconds, after a failover observed from outside second by second
    /// (zatoima, "Aurora failover time test", 2020).
    ///
    /// | after the request | |
    /// |---|---|
    /// | 6 s | the old writer's connections end (observed: 5 to 7 s) |
    /// | 8 to 11 s | it answers 57P03 |
    /// | 11 s | the old writer accepts as a reader, before there is a writer |
    /// | 12 to 14 s | the new writer accepts (observed: 7 s after the cut) |
    /// | 16 s | the DNS records follow (observed: 17 s) |
    /// | 24 s | "Completed failover" (observed: 25 s) |
    ///
    /// In another one the old writer was fenced first and restarted after the new one was up; for
    /// that order set [`fenced_hold`](Self::fenced_hold) to 8 s and [`rejoin`](Self::rejoin) to
    /// 17 s.
    pub fn aurora_postgres() -> Self {
        Self {
            detection: seconds(3),
            drain: seconds(6),
            promotion: seconds(6),
            promotion_jitter: seconds(2),
            starting: seconds(3),
            rejoin: seconds(5),
            fenced_hold: Duration::ZERO,
            survivable_readers: true,
            restart: seconds(10),
            dns_flip: seconds(10),
            dns_health_check: seconds(5),
            completion: seconds(18),
            creation: seconds(240),
            removal_grace: seconds(180),
            status_interval: seconds(1),
            replica_lag: millis(16),
            lag_limit: seconds(60),
            views: ViewOptions {
                propagation: seconds(1),
                one_row: seconds(2),
                two_writers: seconds(5),
                stale_readers: seconds(20),
                stale_old_writer: seconds(5),
                lingering: seconds(24 * 3600),
                propagation_spread: Duration::ZERO,
                no_writer: Duration::ZERO,
                own_timestamp_null: true,
                garbage_writer_lag: false,
                foreign_rows: false,
            },
        }
    }

    /// The same timeline with every length multiplied. A factor that is negative or not a number
    /// counts as zero.
    #[must_use]
    pub fn scaled(mut self, factor: f64) -> Self {
        let factor = if factor.is_finite() {
            factor.max(0.0)
        } else {
            0.0
        };
        let views = &mut self.views;
        for length in [
            &mut self.detection,
            &mut self.drain,
            &mut self.promotion,
            &mut self.promotion_jitter,
            &mut self.starting,
            &mut self.rejoin,
            &mut self.fenced_hold,
            &mut self.restart,
            &mut self.dns_flip,
            &mut self.dns_health_check,
            &mut self.completion,
            &mut self.creation,
            &mut self.removal_grace,
            &mut self.status_interval,
            &mut self.replica_lag,
            &mut self.lag_limit,
            &mut views.propagation,
            &mut views.propagation_spread,
            &mut views.no_writer,
            &mut views.one_row,
            &mut views.two_writers,
            &mut views.stale_readers,
            &mut views.stale_old_writer,
            &mut views.lingering,
        ] {
            let scaled = Duration::try_from_secs_f64(length.as_secs_f64() * factor);
            *length = scaled.unwrap_or(LENGTH_MAX).min(LENGTH_MAX);
        }
        self
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::fast()
    }
}
