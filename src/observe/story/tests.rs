use super::*;
use crate::id::Epoch;

/// Tells the stories their pieces, at times in milliseconds.
struct Teller {
    stories: Stories,
    began: Instant,
}

impl Teller {
    fn new() -> Self {
        let mut teller = Self {
            stories: Stories::default(),
            began: crate::time::now(),
        };
        teller.tell(0, confirmed("a", 1));
        teller
    }

    fn at(&self, millis: u64) -> Instant {
        self.began + Duration::from_millis(millis)
    }

    fn tell(&mut self, millis: u64, what: EventKind) -> Next {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        self.stories.hear(self.at(millis), at, &what)
    }

    fn probe(&mut self, millis: u64, target: &str, answer: Result<bool, &'static str>) {
        let now = self.at(millis);
        self.stories.probed(now, || target.to_owned(), answer);
    }

    /// A failover from one writer to the next, 100 ms long.
    fn fail_over(&mut self, millis: u64, from: &str, to: &str, epoch: u64) {
        self.tell(millis, suspected(from));
        self.tell(millis + 1, down(from));
        self.tell(millis + 1, lost(from));
        self.tell(millis + 100, confirmed(to, epoch));
        self.tell(millis + 101, resumed(to));
    }
}

fn confirmed(id: &str, epoch: u64) -> EventKind {
    EventKind::WriterConfirmed {
        instance: id.into(),
        epoch: Epoch(epoch),
        after: None,
    }
}

fn suspected(id: &str) -> EventKind {
    EventKind::WriterSuspected {
        instance: id.into(),
        cause: "a connection was lost",
    }
}

fn down(id: &str) -> EventKind {
    EventKind::InstanceDown {
        instance: id.into(),
        cause: "nothing listens on its port",
    }
}

fn lost(id: &str) -> EventKind {
    EventKind::WriterLost {
        instance: id.into(),
        cause: "nothing listens on its port",
    }
}

fn resumed(id: &str) -> EventKind {
    EventKind::WritesResumed {
        instance: id.into(),
        after: Duration::from_millis(101),
    }
}

fn ended(id: &str) -> EventKind {
    EventKind::GenerationEnded {
        instance: id.into(),
        cause: "nothing listens on its port",
        connections: 7,
    }
}

fn up(id: &str) -> EventKind {
    EventKind::InstanceUp {
        instance: id.into(),
    }
}

fn crash() -> Teller {
    let mut teller = Teller::new();
    teller.tell(1_000, suspected("a"));
    teller.probe(1_001, "a", Err("nothing listens on its port"));
    teller.tell(1_001, down("a"));
    teller.tell(1_001, lost("a"));
    teller.tell(1_001, ended("a"));
    teller.probe(1_002, "b", Ok(false));
    teller.probe(1_300, "b", Ok(true));
    let next = teller.tell(1_300, confirmed("b", 2));
    assert_eq!(next, Next::AwaitWrite);
    teller.tell(1_302, resumed("b"));
    teller.tell(1_900, up("a"));
    teller
}

#[test]
fn a_failover_is_one_story_from_the_first_doubt_to_the_first_write() {
    let mut teller = crash();
    teller.probe(2_000, "b", Ok(true));
    let all = teller.stories.all();
    let [record] = &all[..] else {
        panic!("{all:?}");
    };
    let millis = |after: Option<Duration>| after.map(|after| after.as_millis());
    assert_eq!(record.number, 1);
    assert_eq!(record.writer_before, "a".into());
    assert_eq!(record.writer_after, Some("b".into()));
    assert_eq!(record.epoch, Some(Epoch(2)));
    assert_eq!(record.detected_by, "a connection was lost");
    assert_eq!(millis(record.confirmed_after), Some(300));
    assert_eq!(millis(record.resumed_after), Some(302));
    let names: Vec<_> = record.moments.iter().map(|it| it.what.name()).collect();
    let expected = [
        "writer_suspected",
        "instance_down",
        "writer_lost",
        "generation_ended",
        "writer_confirmed",
        "writes_resumed",
        "instance_up",
    ];
    assert_eq!(names, expected);
    let (a, b) = (&record.probes["a"], &record.probes["b"]);
    assert_eq!((a.asked, a.answered, a.says_writer), (1, 0, None));
    assert_eq!((b.asked, b.answered, b.says_writer), (2, 2, Some(true)));
    assert_eq!(millis(b.first_answer_after), Some(2));
}

#[test]
fn a_record_is_drawn_for_people() {
    let drawn = crash().stories.all()[0].to_string();
    let expected = "\
failover 1: a → b (epoch 2)
       0.0 ms ┼ writer a in doubt: a connection was lost
       1.0 ms │ a is down: nothing listens on its port
       1.0 ms ┼ writer a lost: nothing listens on its port
       1.0 ms │ 7 connections to a ended: nothing listens on its port
     300.0 ms ╪ writer confirmed: b (epoch 2)
     302.0 ms ╪ a statement has succeeded on b
     900.0 ms │ a is up
                a was asked 1 times and never answered: nothing listens on its port
                b was asked 2 times, answered from 2.0 ms on, at last as the writer
";
    assert_eq!(drawn, expected);
}

#[test]
fn a_record_is_json_for_programs() {
    let json = crash().stories.all()[0].to_json();
    assert!(!json.contains('\n'));
    let parsed: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed["writer_after"], "b");
    assert_eq!(parsed["began_unix_ms"], 1_000);
    assert_eq!(parsed["confirmed_after_ms"], 300.0);
    assert_eq!(parsed["moments"][3]["connections"], 7);
    assert_eq!(parsed["moments"][4]["epoch"], 2);
    assert_eq!(parsed["probes"][1]["says_writer"], true);
    assert_eq!(parsed["probes"][0].get("says_writer"), None);
}

#[test]
fn a_doubt_that_proves_wrong_is_no_failover() {
    let mut teller = Teller::new();
    teller.tell(10, suspected("a"));
    assert_eq!(teller.tell(12, confirmed("a", 1)), Next::Nothing);
    assert_eq!(teller.stories.all(), []);
}

#[test]
fn the_writers_restart_in_place_is_one() {
    let mut teller = Teller::new();
    teller.tell(10, down("a"));
    teller.tell(10, lost("a"));
    assert_eq!(teller.tell(500, confirmed("a", 2)), Next::AwaitWrite);
    let all = teller.stories.all();
    assert_eq!(all[0].writer_after, Some("a".into()));
    assert_eq!(all[0].detected_by, "nothing listens on its port");
    assert_eq!(all[0].moments.len(), 3);
}

#[test]
fn a_failover_that_still_goes_on_is_told_as_far_as_it_went() {
    let mut teller = Teller::new();
    teller.tell(10, lost("a"));
    let all = teller.stories.all();
    assert_eq!((all.len(), &all[0].writer_after), (1, &None));
    assert!(all[0].to_string().contains("no writer yet"));
}

#[test]
fn the_last_thirty_two_are_kept_and_none_grows_without_bound() {
    let mut teller = Teller::new();
    for number in 1..=40 {
        let (from, to) = if number % 2 == 1 {
            ("a", "b")
        } else {
            ("b", "a")
        };
        teller.fail_over(number * 1_000, from, to, number + 1);
    }
    let all = teller.stories.all();
    let numbers: Vec<u64> = all.iter().map(|record| record.number).collect();
    // The last one is still open for its epilogue.
    assert_eq!(numbers, (9..=40).collect::<Vec<_>>());
    teller.tell(50_000, lost("a"));
    for millis in 50_000..60_000 {
        teller.tell(millis, up("c"));
        teller.probe(millis, &format!("seed {millis}"), Ok(false));
    }
    let all = teller.stories.all();
    let last = all.last().unwrap();
    assert_eq!(last.moments.len(), MOMENTS_MAX);
    assert_eq!(last.moments_left_out, 10_001 - 256);
    assert_eq!(last.probes.len(), TARGETS_MAX);
}

#[test]
fn what_happens_long_after_a_failover_is_no_part_of_it() {
    let mut teller = crash();
    teller.tell(3_600_000, up("c"));
    teller.fail_over(3_700_000, "b", "a", 3);
    let all = teller.stories.all();
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].moments.len(), 7);
}

#[test]
fn a_failover_is_told_until_all_who_fell_in_it_are_back() {
    let mut teller = Teller::new();
    teller.fail_over(0, "a", "b", 2);
    teller.tell(2_000, down("c"));
    teller.tell(20_000, up("c"));
    teller.tell(30_000, up("a"));
    teller.tell(31_000, down("c"));
    let all = teller.stories.all();
    let last = all[0].moments.last().map(|moment| moment.what.clone());
    assert_eq!((all[0].moments.len(), last), (8, Some(up("a"))));
}

#[test]
fn what_happens_when_all_are_back_is_no_part_of_a_failover() {
    let mut teller = crash();
    teller.tell(9_000, down("c"));
    assert_eq!(teller.stories.all()[0].moments.len(), 7);
}
