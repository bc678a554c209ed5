//! How one piece of news turns one picture of the cluster into the next. Pure.
//!
//! What is believed, strongest first:
//!
//! 1. What an instance says of *itself* (`pg_is_in_recovery()`, `@@innodb_read_only`), unless the
//!    question is older than news already applied.
//! 2. The replica-status table of the confirmed writer: who is a member, who lags.
//! 3. Any other table: a hint at whom to ask. No row ever makes a writer.
//!
//! | claim "I am the writer" of | no writer | writer is another | writer is the same |
//! |---|---|---|---|
//! | an instance seen as a reader in this epoch | confirmed | confirmed, the other demoted | - |
//! | an instance not seen as one | confirmed | contested: the writer is asked | confirmed again |
//! | an earlier writer that has not shown that it knows | ignored for [`CLAIM_PATIENCE`] | contested | - |
//!
//! The facts behind the rules: Aurora User Guide, "aurora_replica_status" and
//! "information_schema.replica_host_status"; the AWS JDBC wrapper's "failover2" page (stale
//! reports of a demoted writer, one-row views); ProxySQL issues 2336 (lag 900000), 3484 (rows of
//! renamed instances) and 3962 (rows of a cloned cluster).

use std::sync::Arc;
use std::time::Duration;

use super::observation::{Fault, Observation, Report, Row};
use super::snapshot::{Health, Instance, Listing, Phase, Role, Topology};
use crate::config::timing::{LINGERING_ROW_LAG, REMOVAL_PERIOD, STALE_ROW_PERIOD};
use crate::event::EventKind;
use crate::id::InstanceId;
use crate::time::Instant;

/// How long after a promotion the new writer's table may still lack members: readers reappear
/// within about 30 s (AWS JDBC wrapper, failover2).
const SETTLING_PERIOD: Duration = Duration::from_secs(30);

/// How long a demoted writer that still calls itself the writer is disbelieved while there is no
/// other. Aurora restarts it within about 3.3 s of the promotion; a longer claim is no leftover.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);

/// Aurora MySQL 1.23 and 2.09 wrote numbers such as 18446744949882880 into the lag column.
const GARBAGE_LAG_MILLIS: f64 = 1e9;

/// A single late answer is a busy machine; two in a row are a silent one.
const TIMEOUTS_UNTIL_DOWN: u32 = 2;

/// What follows from one observation.
#[derive(Debug)]
pub(crate) struct Step {
    /// The next picture.
    pub(crate) next: Topology,
    /// What the shell must do, in this order.
    pub(crate) effects: Vec<Effect>,
}

/// Something that the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask that instance at once.
    Ask(InstanceId),
    /// End all connections of the instance's earlier generations, in use or not.
    EndGeneration {
        instance: InstanceId,
        cause: &'static str,
    },
    /// Let no connection of the instance's earlier generations be handed out again; those in use
    /// may go on.
    RetireGeneration { instance: InstanceId },
    /// Tell the listeners.
    Tell(EventKind),
}

/// Applies one observation made or received at `now`.
///
/// Total: any observation in any order gives a valid picture. The epoch never goes back, there is
/// never more than one writer, and the same observation twice changes nothing the second time.
pub(crate) fn apply(current: &Topology, news: &Observation, now: Instant) -> Step {
    let mut change = Change {
        next: current.clone(),
        effects: Vec::new(),
        now,
    };
    match news {
        Observation::Report(report) => change.report(report),
        Observation::Silence {
            instance,
            fault,
            asked_at,
        } => change.silence(instance, *fault, *asked_at),
        Observation::Trouble {
            instance,
            generation,
            fault,
        } => {
            let known = change.next.instance(instance);
            if known.is_some_and(|known| known.generation == *generation) {
                change.trouble(instance, *fault);
            }
        }
        Observation::Tick => {}
    }
    change.forget_the_gone();
    Step {
        next: change.next,
        effects: change.effects,
    }
}

struct Change {
    next: Topology,
    effects: Vec<Effect>,
    now: Instant,
}

impl Change {
    fn report(&mut self, report: &Report) {
        let id = &report.identity;
        if !self.next.instances.contains_key(id) {
            self.tell(EventKind::InstanceAdded {
                instance: id.clone(),
            });
        }
        let instance = self.next.entry(id);
        if instance
            .believed_from
            .is_some_and(|from| report.asked_at < from)
        {
            return;
        }
        instance.believed_from = Some(report.asked_at);
        instance.timeouts = 0;
        let before = std::mem::replace(&mut instance.health, Health::Up);
        if matches!(before, Health::Down | Health::Unknown) {
            self.tell(EventKind::InstanceUp {
                instance: id.clone(),
            });
        }
        if report.standing_connection_lost && before == Health::Up {
            self.retire_generation(id);
        }
        if report.is_writer {
            self.claims_to_be_writer(id, report.asked_at);
        } else {
            self.admits_to_be_reader(id);
        }
        if self.next.writer.as_ref() == Some(id) {
            self.believe_writers_table(report);
        } else {
            self.take_hints(report);
        }
    }

    fn claims_to_be_writer(&mut self, id: &InstanceId, asked_at: Instant) {
        let claimant = self.next.entry(id).clone();
        let unaware = claimant
            .unaware_of_demotion
            .is_some_and(|since| self.now.saturating_duration_since(since) < CLAIM_PATIENCE);
        match self.next.writer.clone() {
            Some(writer) if writer == *id => self.confirm_again(id),
            Some(writer) => {
                let promoted_since = claimant.reader_since_epoch == Some(self.next.epoch);
                if promoted_since && !unaware {
                    self.lose_writer("another instance was promoted");
                    self.end_generation(&writer, "another instance was promoted");
                    self.confirm(id, asked_at);
                } else {
                    self.effects.push(Effect::Ask(writer));
                }
            }
            None if unaware => {}
            None => self.confirm(id, asked_at),
        }
    }

    /// The writer was in doubt and says that it is still the writer.
    fn confirm_again(&mut self, id: &InstanceId) {
        self.next.entry(id).role = Role::Writer;
        if self.next.phase != Phase::Steady {
            self.next.phase = Phase::Steady;
            self.tell_confirmed(id);
        }
    }

    fn confirm(&mut self, id: &InstanceId, asked_at: Instant) {
        self.next.epoch.0 += 1;
        self.next.phase = Phase::Steady;
        self.next.writer = Some(id.clone());
        self.next.confirmed_at = Some(asked_at);
        self.next.sole_row_since = None;
        let now = self.now;
        for (other, instance) in &mut self.next.instances {
            // An earlier writer whose last own word was that it is the writer may go on saying
            // so for a while: Aurora tells it to restart only after the promotion.
            if other != id && instance.role == Role::Writer {
                let instance = Arc::make_mut(instance);
                instance.role = Role::Unknown;
                instance.unaware_of_demotion = Some(now);
            }
        }
        let instance = self.next.entry(id);
        instance.role = Role::Writer;
        instance.lag = None;
        instance.listing = Listing::Listed;
        instance.unaware_of_demotion = None;
        self.tell_confirmed(id);
    }

    fn tell_confirmed(&mut self, id: &InstanceId) {
        let lost_at = self.next.writer_lost_at.take();
        self.tell(EventKind::WriterConfirmed {
            instance: id.clone(),
            epoch: self.next.epoch,
            after: lost_at.map(|lost_at| self.now.saturating_duration_since(lost_at)),
        });
    }

    fn admits_to_be_reader(&mut self, id: &InstanceId) {
        if self.next.writer.as_ref() == Some(id) {
            let cause = "it says that it is a reader now";
            self.lose_writer(cause);
            self.end_generation(id, cause);
        }
        let epoch = self.next.epoch;
        let instance = self.next.entry(id);
        instance.role = Role::Reader;
        instance.unaware_of_demotion = None;
        instance.reader_since_epoch = Some(epoch);
    }

    fn believe_writers_table(&mut self, report: &Report) {
        let mut alone = true;
        for row in &report.rows {
            if row.id == report.identity {
                continue;
            }
            if is_leftover(row, report.server_now_micros) {
                self.mark_lingering(&row.id);
                continue;
            }
            alone = false;
            self.mark_listed(row);
        }
        if alone {
            self.next.sole_row_since.get_or_insert(self.now);
        } else {
            self.next.sole_row_since = None;
            self.mark_missing(report);
        }
    }

    fn mark_listed(&mut self, row: &Row) {
        self.add(&row.id);
        let epoch = self.next.epoch;
        let instance = self.next.entry(&row.id);
        instance.listing = Listing::Listed;
        // Two writer rows are common after a failover: the old writer's is not rewritten yet.
        if !row.is_writer {
            instance.lag = plausible_lag(row.lag_millis);
            instance.reader_since_epoch = Some(epoch);
        }
    }

    fn mark_lingering(&mut self, id: &InstanceId) {
        let now = self.now;
        if self.next.instances.contains_key(id) {
            let instance = self.next.entry(id);
            if !matches!(instance.listing, Listing::Lingering(_)) {
                instance.listing = Listing::Lingering(now);
                instance.lag = None;
            }
        }
    }

    /// After a promotion the table fills up again row by row; until it has settled, a missing
    /// row says nothing.
    fn mark_missing(&mut self, report: &Report) {
        let now = self.now;
        let settling = self.next.epoch.0 > 1
            && self
                .next
                .confirmed_at
                .is_some_and(|at| now.saturating_duration_since(at) < SETTLING_PERIOD);
        if settling {
            return;
        }
        for (id, instance) in &mut self.next.instances {
            let shown = report.rows.iter().any(|row| row.id == *id);
            if !shown && *id != report.identity && instance.listing == Listing::Listed {
                Arc::make_mut(instance).listing = Listing::Missing(now);
            }
        }
    }

    /// A table that is not the writer's: its members are worth asking while there is no writer.
    fn take_hints(&mut self, report: &Report) {
        if self.next.phase == Phase::Steady {
            return;
        }
        for row in &report.rows {
            if !is_leftover(row, report.server_now_micros) {
                self.add(&row.id);
            }
        }
        if let Some(candidate) = newest_writer_row(report)
            && *candidate != report.identity
            && self.next.instances.contains_key(candidate)
        {
            self.effects.push(Effect::Ask(candidate.clone()));
        }
    }

    fn silence(&mut self, id: &InstanceId, fault: Fault, asked_at: Instant) {
        let Some(known) = self.next.instance(id) else {
            return;
        };
        if known.believed_from.is_some_and(|from| asked_at <= from) {
            return;
        }
        self.next.entry(id).believed_from = Some(asked_at);
        match fault {
            Fault::TimedOut => {
                let instance = self.next.entry(id);
                instance.timeouts = instance.timeouts.saturating_add(1);
                if instance.timeouts < TIMEOUTS_UNTIL_DOWN {
                    self.suspect(id, fault);
                } else {
                    self.goes_down(id, fault);
                }
            }
            Fault::Crashed
            | Fault::Lost
            | Fault::Refused
            | Fault::Starting
            | Fault::Terminated
            | Fault::Unresolved => self.goes_down(id, fault),
            // It runs, but cannot be asked; what was known of it still is the best guess.
            Fault::Full | Fault::LoginRefused | Fault::Other | Fault::ReadOnly => {}
        }
    }

    fn trouble(&mut self, id: &InstanceId, fault: Fault) {
        match fault {
            Fault::ReadOnly => {
                if self.next.writer.as_ref() == Some(id) {
                    self.suspect(id, fault);
                }
            }
            Fault::Crashed
            | Fault::Lost
            | Fault::Starting
            | Fault::Terminated
            | Fault::TimedOut => {
                self.suspect(id, fault);
            }
            Fault::Refused => self.goes_down(id, fault),
            Fault::Full | Fault::LoginRefused | Fault::Other | Fault::Unresolved => {}
        }
    }

    /// One connection's misfortune is not the instance's: it is asked before it is condemned.
    /// Meanwhile nothing is sent there.
    fn suspect(&mut self, id: &InstanceId, fault: Fault) {
        let now = self.now;
        let instance = self.next.entry(id);
        if instance.health != Health::Up {
            return;
        }
        instance.health = Health::Suspect;
        instance.believed_from = Some(now);
        self.effects.push(Effect::Ask(id.clone()));
        if self.next.writer.as_ref() == Some(id) && self.next.phase == Phase::Steady {
            self.next.phase = Phase::Reconfiguring;
            self.next.writer_lost_at = Some(now);
            self.tell(EventKind::WriterSuspected {
                instance: id.clone(),
                cause: fault.describe(),
            });
        }
    }

    fn goes_down(&mut self, id: &InstanceId, fault: Fault) {
        let instance = self.next.entry(id);
        if fault.proves_restart() {
            // Whatever it said before, it has stopped being since.
            instance.unaware_of_demotion = None;
            if instance.role == Role::Writer {
                instance.role = Role::Unknown;
            }
        }
        if instance.health == Health::Down {
            return;
        }
        instance.health = Health::Down;
        self.tell(EventKind::InstanceDown {
            instance: id.clone(),
            cause: fault.describe(),
        });
        if self.next.writer.as_ref() == Some(id) {
            self.lose_writer(fault.describe());
        }
        self.end_generation(id, fault.describe());
    }

    fn lose_writer(&mut self, cause: &'static str) {
        let Some(instance) = self.next.writer.take() else {
            return;
        };
        self.next.phase = Phase::Reconfiguring;
        self.next.writer_lost_at.get_or_insert(self.now);
        self.tell(EventKind::WriterLost { instance, cause });
    }

    fn end_generation(&mut self, id: &InstanceId, cause: &'static str) {
        let now = self.now;
        let instance = self.next.entry(id);
        instance.generation = instance.generation.next();
        instance.believed_from = instance.believed_from.max(Some(now));
        self.effects.push(Effect::EndGeneration {
            instance: id.clone(),
            cause,
        });
    }

    fn retire_generation(&mut self, id: &InstanceId) {
        let instance = self.next.entry(id);
        instance.generation = instance.generation.next();
        self.effects.push(Effect::RetireGeneration {
            instance: id.clone(),
        });
    }

    fn add(&mut self, id: &InstanceId) {
        if !self.next.instances.contains_key(id) {
            self.next.entry(id);
            self.tell(EventKind::InstanceAdded {
                instance: id.clone(),
            });
            self.effects.push(Effect::Ask(id.clone()));
        }
    }

    fn forget_the_gone(&mut self) {
        let now = self.now;
        let over = |since: Instant, limit| now.saturating_duration_since(since) >= limit;
        if self.next.phase == Phase::Steady
            && self
                .next
                .sole_row_since
                .is_some_and(|since| over(since, SETTLING_PERIOD))
        {
            let writer = self.next.writer.clone();
            for (id, instance) in &mut self.next.instances {
                if Some(id) != writer.as_ref() && instance.listing == Listing::Listed {
                    Arc::make_mut(instance).listing = Listing::Missing(now);
                }
            }
        }
        let gone: Vec<InstanceId> = self
            .next
            .instances
            .values()
            .filter(|instance| match instance.listing {
                Listing::Listed => false,
                Listing::Lingering(since) | Listing::Missing(since) => over(since, REMOVAL_PERIOD),
            })
            .map(|instance| instance.id.clone())
            .filter(|id| self.next.writer.as_ref() != Some(id))
            .collect();
        for id in gone {
            self.end_generation(&id, "it left the cluster");
            self.next.instances.remove(&id);
            self.tell(EventKind::InstanceRemoved { instance: id });
        }
    }

    fn tell(&mut self, event: EventKind) {
        self.effects.push(Effect::Tell(event));
    }
}

/// Whether a row describes an instance that is no longer there: deleted, renamed, or of the
/// cluster that this one was cloned from.
fn is_leftover(row: &Row, server_now_micros: i64) -> bool {
    let lingers = row
        .lag_millis
        .is_some_and(|lag| !row.is_writer && lag >= lingering_millis() && lag < GARBAGE_LAG_MILLIS);
    let stale = row.updated_micros.is_some_and(|updated| {
        let age = server_now_micros.saturating_sub(updated);
        u128::try_from(age).is_ok_and(|age| age > STALE_ROW_PERIOD.as_micros())
    });
    lingers || stale
}

/// The writer that a table names: of several, the row updated last; no timestamp is "now".
fn newest_writer_row(report: &Report) -> Option<&InstanceId> {
    report
        .rows
        .iter()
        .filter(|row| row.is_writer && !is_leftover(row, report.server_now_micros))
        .max_by_key(|row| row.updated_micros.unwrap_or(i64::MAX))
        .map(|row| &row.id)
}

fn lingering_millis() -> f64 {
    LINGERING_ROW_LAG.as_secs_f64() * 1_000.0
}

fn plausible_lag(millis: Option<f64>) -> Option<Duration> {
    let millis = millis.filter(|lag| (0.0..lingering_millis()).contains(lag))?;
    Some(Duration::from_secs_f64(millis / 1_000.0))
}

impl Instance {
    /// Whether the monitor should keep asking it although nobody waits for a writer.
    pub(super) fn wants_asking(&self) -> bool {
        match self.health {
            Health::Up => false,
            Health::Down | Health::Suspect | Health::Unknown => true,
        }
    }
}
