//! What a picture says of itself.

use super::*;
use crate::topology::apply::apply;
use crate::topology::observation::{Fault, Observation};

const SECOND: Duration = Duration::from_secs(1);

/// Makes of a picture another one.
type Change = Box<dyn Fn(&mut Topology)>;

/// A writer, a reader, and one of which nothing is known.
fn picture() -> Topology {
    let mut picture = Topology::empty();
    picture.epoch = Epoch(2);
    picture.phase = Phase::Steady;
    picture.writer = Some(InstanceId::new("a"));
    for (name, role, health) in [
        ("a", Role::Writer, Health::Up),
        ("b", Role::Reader, Health::Up),
        ("c", Role::Unknown, Health::Unknown),
    ] {
        let instance = picture.entry(&InstanceId::new(name));
        instance.role = role;
        instance.health = health;
    }
    picture
}

#[test]
fn pictures_that_lead_elsewhere_are_told_apart() {
    let one = |change: fn(&mut Instance)| {
        move |picture: &mut Topology| change(picture.entry(&InstanceId::new("b")))
    };
    let changes: [(&str, Change); 10] = [
        ("epoch", Box::new(|it| it.epoch = Epoch(3))),
        ("phase", Box::new(|it| it.phase = Phase::Reconfiguring)),
        ("writer", Box::new(|it| it.writer = None)),
        (
            "a member more",
            Box::new(|it| it.entry(&InstanceId::new("d")).timeouts = 0),
        ),
        ("role", Box::new(one(|it| it.role = Role::Writer))),
        ("health", Box::new(one(|it| it.health = Health::Down))),
        ("lag", Box::new(one(|it| it.lag = Some(SECOND)))),
        (
            "generation",
            Box::new(one(|it| it.generation = it.generation.next())),
        ),
        (
            "listing",
            Box::new(one(|it| it.listing = Listing::Missing(crate::time::now()))),
        ),
        ("name", Box::new(one(|it| it.id = InstanceId::new("e")))),
    ];
    for (what, change) in changes {
        let mut other = picture();
        change(&mut other);
        assert!(!picture().routes_like(&other), "{what}");
        assert!(!other.routes_like(&picture()), "{what}");
    }
}

#[test]
fn what_leads_nowhere_else_is_no_news() {
    let mut other = picture();
    let now = crate::time::now();
    for instance in ["a", "b", "c"] {
        other.entry(&InstanceId::new(instance)).last_asked = Some(now);
    }
    assert!(picture().routes_like(&other));
}

#[test]
fn a_picture_is_as_old_as_the_latest_question_that_was_answered() {
    let mut picture = picture();
    let now = crate::time::now();
    assert_eq!(picture.age(now), None);
    for (name, seconds) in [("a", 10), ("b", 12)] {
        let instance = picture.entry(&InstanceId::new(name));
        instance.last_asked = Some(now + SECOND * seconds);
        instance.last_answered = Some(now + SECOND * seconds);
    }
    assert_eq!(picture.age(now + SECOND * 15), Some(SECOND * 3));
    let unanswered = Observation::Silence {
        instance: InstanceId::new("a"),
        fault: Fault::TimedOut,
        asked_at: now + SECOND * 14,
    };
    let silent = apply(&picture, &unanswered, now + SECOND * 15).next;
    assert_eq!(silent.age(now + SECOND * 15), Some(SECOND * 3));
    let writer = picture.instance(&InstanceId::new("a")).unwrap();
    assert_eq!(writer.last_asked(), Some(now + SECOND * 10));
    picture.writer_lost_at = Some(now);
    assert_eq!(picture.without_writer_since(), Some(now));
}

#[test]
fn a_picture_is_described_in_one_line() {
    assert_eq!(
        picture().to_string(),
        "epoch 2, steady: a (writer), b (reader), c (role unknown, not asked)"
    );
    let empty = Topology::empty().to_string();
    assert_eq!(empty, "epoch 0, discovering: no instance is known");
}
