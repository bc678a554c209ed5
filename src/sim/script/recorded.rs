//! From a failover that the driver has recorded to a script that plays it again.

use std::fmt::Write;
use std::time::Duration;

use serde::Deserialize;

use super::{Script, ScriptError};
use crate::sim::world::Timeline;

/// A failover as the driver recorded it, for the simulator to play again: what
/// [`FailoverRecord::to_json`](crate::observe::FailoverRecord::to_json) gives, as a script and the
/// times of a cluster.
///
/// What happened to the writer is told by what showed it: a crash, a planned failover, a host
/// that fell silent, or a restart in place. The same reader takes over, and takes as long. What
/// the other instances did is left to the simulator, whose own failovers have the consequences
/// that Aurora's have; instances that came or went are added or removed.
///
/// ```
/// use aurora_driver::EngineKind;
/// use aurora_driver::sim::{RecordedFailover, SimCluster};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let json = r#"{"writer_before":"orders-2","writer_after":"orders-5",
///     "detected_by":"a connection was lost","confirmed_after_ms":310.0,"moments":[
///     {"after_ms":0.0,"event":"writer_suspected","instance":"orders-2",
///      "cause":"a connection was lost"}]}"#;
/// let recorded = RecordedFailover::from_json(json)?;
/// println!("{}", recorded.toml());
///
/// let cluster = SimCluster::builder(EngineKind::Postgres)
///     .readers(recorded.readers())
///     .timeline(recorded.timeline().clone())
///     .start()
///     .await?;
/// cluster.play(recorded.script()).finished().await?;
/// cluster.failover_finished().await;
/// assert_eq!(cluster.unmet(recorded.script()), Vec::<String>::new());
/// # cluster.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedFailover {
    script: Script,
    timeline: Timeline,
    readers: usize,
    toml: String,
}

/// The parts of a record that count here.
#[derive(Deserialize)]
struct Record {
    writer_before: String,
    writer_after: Option<String>,
    #[serde(default)]
    detected_by: String,
    confirmed_after_ms: Option<f64>,
    #[serde(default)]
    moments: Vec<Moment>,
    #[serde(default)]
    probes: Vec<Probe>,
}

#[derive(Deserialize)]
struct Moment {
    after_ms: f64,
    event: String,
    instance: String,
    cause: Option<String>,
}

#[derive(Deserialize)]
struct Probe {
    target: String,
}

/// What became of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Crash,
    Planned,
    Restart,
    Silence,
}

/// When the fault comes: a driver that is to meet it knows the cluster by then.
const FAULT_AT: Duration = Duration::from_millis(100);

/// How long a driver with calls under way takes to notice a silence, roughly: the record's times
/// count from there.
const SILENCE_NOTICED_AFTER: Duration = Duration::from_millis(250);

/// How long after the confirmation the old writer is back, where the record does not say.
const REJOIN_PERIOD: Duration = Duration::from_millis(400);

/// More would be no failover that anybody waits for.
const LENGTH_MAX: Duration = Duration::from_secs(24 * 3600);

/// Aurora clusters have no more.
const INSTANCES_MAX: usize = 16;

impl RecordedFailover {
    /// Reads a record's JSON.
    ///
    /// # Errors
    ///
    /// It is no record of a failover, or of one that has not ended: no writer was confirmed.
    pub fn from_json(json: &str) -> Result<Self, ScriptError> {
        const NAME: &str = "recorded failover";
        let failed = |message: String| ScriptError {
            file: NAME.into(),
            place: None,
            message,
        };
        let record: Record = serde_json::from_str(json)
            .map_err(|error| failed(format!("it is no record of a failover: {error}")))?;
        let (Some(writer_after), Some(confirmed)) =
            (&record.writer_after, record.confirmed_after_ms)
        else {
            return Err(failed(
                "no writer was confirmed: record it to its end".into(),
            ));
        };
        let confirmed = millis(confirmed);
        let fate = record.fate(writer_after);
        let others = record.others(writer_after);
        let readers = others.len().max(1);
        let toml = record.toml(fate, &others, readers);
        Ok(Self {
            script: Script::parse(NAME, &toml)?,
            timeline: record.timeline(fate, confirmed),
            readers,
            toml,
        })
    }

    /// What is to happen.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// How long each phase takes: for the builder of the cluster that plays it.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// How many readers the cluster has.
    pub fn readers(&self) -> usize {
        self.readers
    }

    /// The script as a timeline file. It does not hold the [`timeline`](Self::timeline).
    pub fn toml(&self) -> &str {
        &self.toml
    }
}

/// Times of a record are from outside: what is no number, or too large, is cut.
fn millis(count: f64) -> Duration {
    let span = Duration::try_from_secs_f64(count / 1e3);
    span.unwrap_or_default().min(LENGTH_MAX)
}

impl Record {
    /// By the words with which the driver says what showed it.
    fn fate(&self, writer_after: &str) -> Fate {
        let of_writer = self
            .moments
            .iter()
            .filter(|it| it.instance == self.writer_before);
        let causes = of_writer.filter_map(|moment| moment.cause.as_deref());
        let causes: Vec<&str> = std::iter::once(&*self.detected_by).chain(causes).collect();
        let any = |words: &[&str]| {
            let mut causes = causes.iter();
            causes.any(|cause| words.iter().any(|words| cause.contains(words)))
        };
        if writer_after == self.writer_before {
            Fate::Restart
        } else if any(&["silent", "did not answer in time"]) {
            Fate::Silence
        } else if any(&["on purpose", "read-only", "a reader now", "was promoted"]) {
            Fate::Planned
        } else {
            Fate::Crash
        }
    }

    /// The other instances that the record names, the new writer first: so they are named in the
    /// simulated cluster, from `demo-instance-2` on.
    fn others<'a>(&'a self, writer_after: &'a str) -> Vec<&'a str> {
        let added = self
            .moments
            .iter()
            .filter(|moment| moment.event == "instance_added");
        let added: Vec<&str> = added.map(|moment| &*moment.instance).collect();
        let mut others = vec![writer_after];
        let moments = self.moments.iter().map(|moment| &*moment.instance);
        // Seeds, which are asked too, are `seed 0` and so on.
        let probes = self.probes.iter().map(|probe| &*probe.target);
        let probes = probes.filter(|target| !target.contains(' '));
        for name in moments.chain(probes) {
            if !others.contains(&name) && !added.contains(&name) && others.len() < INSTANCES_MAX {
                others.push(name);
            }
        }
        others.retain(|name| *name != self.writer_before);
        others
    }

    fn toml(&self, fate: Fate, others: &[&str], readers: usize) -> String {
        let mut toml =
            format!("description = \"A recorded failover.\"\n\n[cluster]\nreaders = {readers}\n");
        let mut step = |at: Duration, what: &str| {
            // Writing to a string cannot fail.
            let _ = write!(toml, "\n[[step]]\nat_ms = {}\n{what}\n", at.as_millis());
        };
        if !others.is_empty() && fate != Fate::Restart {
            step(
                Duration::ZERO,
                "do = \"tier\"\ninstance = \"demo-instance-2\"\ntier = 0",
            );
        }
        step(
            FAULT_AT,
            match fate {
                Fate::Crash => "do = \"crash\"\ninstance = \"demo-instance-1\"",
                Fate::Planned => "do = \"failover\"\ninstance = \"demo-instance-2\"",
                Fate::Restart => "do = \"restart\"\ninstance = \"demo-instance-1\"",
                Fate::Silence => "do = \"silence\"\ninstance = \"demo-instance-1\"",
            },
        );
        for moment in &self.moments {
            let at = FAULT_AT + millis(moment.after_ms);
            let place = others.iter().position(|name| *name == moment.instance);
            match (&*moment.event, place) {
                ("instance_added", _) => step(at, "do = \"add-reader\""),
                // Not the new writer itself.
                ("instance_removed", Some(place)) if place > 0 => {
                    let name = place + 2;
                    step(
                        at,
                        &format!("do = \"remove\"\ninstance = \"demo-instance-{name}\""),
                    );
                }
                _ => {}
            }
        }
        let writer = match fate {
            Fate::Restart => 1,
            Fate::Crash | Fate::Planned | Fate::Silence => 2,
        };
        let _ = write!(toml, "\n[expect]\nwriter = \"demo-instance-{writer}\"\n");
        toml
    }

    fn timeline(&self, fate: Fate, confirmed: Duration) -> Timeline {
        let whole = match fate {
            Fate::Silence => confirmed + SILENCE_NOTICED_AFTER,
            Fate::Crash | Fate::Planned | Fate::Restart => confirmed,
        };
        let mut timeline = Timeline::fast();
        timeline.detection = match fate {
            // The control plane decides nothing in it.
            Fate::Planned => Duration::ZERO,
            Fate::Crash | Fate::Restart | Fate::Silence => timeline.detection.min(whole / 3),
        };
        timeline.promotion = whole.saturating_sub(timeline.detection);
        timeline.promotion_jitter = Duration::ZERO;
        timeline.starting = timeline.starting.min(timeline.promotion / 3);
        timeline.restart = whole;
        let back = self
            .moments
            .iter()
            .rfind(|moment| moment.event == "instance_up" && moment.instance == self.writer_before);
        let back = back.map(|moment| millis(moment.after_ms));
        timeline.rejoin = back.unwrap_or(confirmed + REJOIN_PERIOD).max(whole);
        timeline.dns_flip = timeline.dns_flip.max(whole);
        timeline.completion = timeline.completion.max(timeline.rejoin);
        timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(detected_by: &str, writer_after: &str) -> String {
        format!(
            r#"{{"writer_before":"b","writer_after":"{writer_after}","detected_by":"{detected_by}",
               "confirmed_after_ms":900.5,"resumed_after_ms":910,"moments":[
               {{"after_ms":0,"event":"writer_suspected","instance":"b","cause":"{detected_by}"}},
               {{"after_ms":2000,"event":"instance_removed","instance":"a"}},
               {{"after_ms":3000,"event":"instance_added","instance":"d"}}],
               "probes":[{{"target":"c"}},{{"target":"seed 0"}}]}}"#
        )
    }

    #[test]
    fn what_showed_the_loss_tells_what_became_of_the_writer() {
        for (detected_by, writer_after, step) in [
            ("nothing listens on its port", "c", "do = \"crash\""),
            ("it ended a connection on purpose", "c", "do = \"failover\""),
            ("it fell silent: it owed answers", "c", "do = \"silence\""),
            ("a connection was lost", "b", "do = \"restart\""),
        ] {
            let recorded = RecordedFailover::from_json(&record(detected_by, writer_after));
            let recorded = recorded.unwrap();
            assert!(recorded.toml().contains(step), "{}", recorded.toml());
        }
    }

    #[test]
    fn the_instances_keep_their_parts_under_the_names_of_the_simulated_cluster() {
        let recorded = RecordedFailover::from_json(&record("a connection was lost", "c")).unwrap();
        assert_eq!(recorded.readers(), 2);
        let script = recorded.script();
        assert_eq!(script.readers(), Some(2));
        assert_eq!(script.length(), Duration::from_millis(3_100));
        let toml = recorded.toml();
        assert!(
            toml.contains("do = \"remove\"\ninstance = \"demo-instance-3\""),
            "{toml}"
        );
        assert!(toml.contains("do = \"add-reader\""), "{toml}");
        let timeline = recorded.timeline();
        let taken = timeline.detection + timeline.promotion;
        assert_eq!(taken, Duration::from_micros(900_500));
    }

    #[test]
    fn what_is_no_record_or_has_no_end_is_refused() {
        for (json, words) in [
            ("", "no record"),
            ("[]", "no record"),
            (r#"{"writer_before":"a"}"#, "no writer was confirmed"),
            (r#"{"writer_before":1}"#, "no record"),
        ] {
            let error = RecordedFailover::from_json(json).unwrap_err().to_string();
            assert!(error.contains(words), "{json}: {error}");
        }
        for absurd in ["1e300", "-5", "1e-300"] {
            let json = record("a connection was lost", "c").replace("900.5", absurd);
            let recorded = RecordedFailover::from_json(&json).unwrap();
            assert!(recorded.timeline().promotion <= LENGTH_MAX);
        }
    }
}
