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
//! An earlier writer shows that it knows by saying that it is a reader, or by a restart; a table
//! row that calls it a reader may be older than its time as the writer.
//!
//! The facts behind the rules: Aurora User Guide, "aurora_replica_status" and
//! "information_schema.replica_host_status"; the AWS JDBC wrapper's "failover2" page (stale
//! reports of a demoted writer, one-row views); ProxySQL issues 2336 (lag 900000), 3484 (rows of
//! renamed instances) and 3962 (rows of a cloned cluster).

use std::sync::Arc;
use std::time::Duration;

use super::membership::INSTANCES_MAX;
use super::observation::{Fault, Observation, Report, Way};
use super::snapshot::{Health, Listing, Phase, Topology};
use crate::event::EventKind;
use crate::id::{InstanceId, Role};
use crate::time::Instant;

/// How long a demoted writer that still calls itself the writer is disbelieved while there is no
/// other. Aurora restarts it within about 3.3 s of the promotion; a longer claim is no leftover.
/// It counts from the loss of the other: while that was there, the claim was known to be false.
const CLAIM_PATIENCE: Duration = Duration::from_secs(5);

/// For so long a writer that refused a write, and has said since that it is the writer, is asked
/// about further refusals without being doubted.
const DOUBT_INTERVAL: Duration = Duration::from_secs(1);

/// It is asked about them so often at most: whoever provokes them may do so by the thousand.
const ASKING_INTERVAL: Duration = Duration::from_millis(20);

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
        // So that there is another one before it is needed.
        Observation::TakenOver { instance } => {
            if change.next.instance(instance).is_some() {
                change.effects.push(Effect::Ask(instance.clone()));
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

/// A picture in the making; what tables say of membership is applied in [`super::membership`].
pub(super) struct Change {
    pub(super) next: Topology,
    pub(super) effects: Vec<Effect>,
    pub(super) now: Instant,
}

impl Change {
    fn report(&mut self, report: &Report) {
        let id = &report.identity;
        match self.next.instance(id) {
            Some(known) if !known.believes_report(report.asked_at) => return,
            Some(_) => {}
            // While there is a confirmed writer only its table adds anybody: this may be the late
            // answer of an instance that has been removed, or of one in another cluster.
            None if self.next.phase == Phase::Steady => return,
            None if self.next.instances.len() >= INSTANCES_MAX => return,
            None => self.tell(EventKind::InstanceAdded {
                instance: id.clone(),
            }),
        }
        let instance = self.next.entry(id);
        let repeated = instance.last_asked.replace(report.asked_at) == Some(report.asked_at);
        instance.last_answered = Some(report.asked_at);
        instance.timeouts = 0;
        let was_reader = instance.role == Role::Reader;
        let before = std::mem::replace(&mut instance.health, Health::Up);
        if matches!(before, Health::Down | Health::Unknown) {
            self.tell(EventKind::InstanceUp {
                instance: id.clone(),
            });
        }
        // The generation of an instance that was down has ended already.
        let may_hold_dead = matches!(before, Health::Up | Health::Suspect);
        if report.way == Way::AfterLoss && may_hold_dead && !repeated {
            self.retire_generation(id);
        }
        // A promotion may end the connections to the promoted instance (Aurora MySQL), and over a
        // new one nothing says that it did not.
        let promoted = was_reader && report.is_writer;
        if promoted && report.way == Way::New && may_hold_dead {
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
        match self.next.writer.clone() {
            Some(writer) if writer == *id => self.confirm_again(id),
            Some(writer) => {
                let promoted = claimant.reader_since_epoch == Some(self.next.epoch)
                    && claimant.unaware_of_demotion.is_none();
                if promoted {
                    self.lose_writer("another instance was promoted");
                    self.end_generation(&writer, "another instance was promoted");
                    self.confirm(id, asked_at);
                } else {
                    // Whatever it is, it is no reader; it is asked until the claim is settled.
                    self.next.entry(id).role = Role::Unknown;
                    self.effects.push(Effect::Ask(writer));
                }
            }
            None => {
                let alone_since = self.next.writer_lost_at;
                let leftover = claimant.unaware_of_demotion.is_some_and(|demoted| {
                    let since = alone_since.map_or(demoted, |alone| alone.max(demoted));
                    self.now.saturating_duration_since(since) < CLAIM_PATIENCE
                });
                if !leftover {
                    self.confirm(id, asked_at);
                }
            }
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
            // The new writer's table has not been seen yet, and takes its time to fill up.
            if matches!(instance.listing, Listing::Missing(since) if since != now) {
                Arc::make_mut(instance).listing = Listing::Missing(now);
            }
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
        instance.write_refused_at = None;
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

    fn silence(&mut self, id: &InstanceId, fault: Fault, asked_at: Instant) {
        let Some(known) = self.next.instance(id) else {
            return;
        };
        if !known.believes_silence(asked_at) {
            return;
        }
        self.next.entry(id).last_asked = Some(asked_at);
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
            | Fault::Silent
            | Fault::Starting
            | Fault::Terminated
            | Fault::Unresolved => self.goes_down(id, fault),
            // It runs, but cannot be asked; what was known of it still is the best guess.
            Fault::Full | Fault::LoginRefused | Fault::Other | Fault::ReadOnly => {}
        }
    }

    fn trouble(&mut self, id: &InstanceId, fault: Fault) {
        match fault {
            Fault::ReadOnly => self.refuses_write(id),
            Fault::Crashed
            | Fault::Lost
            | Fault::Starting
            | Fault::Terminated
            | Fault::TimedOut => {
                self.suspect(id, fault);
            }
            Fault::Refused | Fault::Silent => self.goes_down(id, fault),
            Fault::Full | Fault::LoginRefused | Fault::Other | Fault::Unresolved => {}
        }
    }

    /// A writer that refuses a write has been demoted, or the session is read-only of its own will,
    /// which an application may go on with for ever: it must not keep all others waiting.
    fn refuses_write(&mut self, id: &InstanceId) {
        let now = self.now;
        if self.next.writer.as_ref() != Some(id) {
            return;
        }
        let instance = self.next.entry(id);
        if instance.health != Health::Up {
            return;
        }
        let is_recent = |then: Option<Instant>, span| {
            then.is_some_and(|then| now.saturating_duration_since(then) < span)
        };
        if !is_recent(instance.write_refused_at, DOUBT_INTERVAL) {
            instance.write_refused_at = Some(now);
            self.suspect(id, Fault::ReadOnly);
        } else if !is_recent(instance.last_asked, ASKING_INTERVAL) {
            self.effects.push(Effect::Ask(id.clone()));
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
        instance.void_before = Some(now);
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

    pub(super) fn end_generation(&mut self, id: &InstanceId, cause: &'static str) {
        let now = self.now;
        let instance = self.next.entry(id);
        instance.generation = instance.generation.next();
        instance.void_before = Some(now);
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

    pub(super) fn tell(&mut self, event: EventKind) {
        self.effects.push(Effect::Tell(event));
    }
}
