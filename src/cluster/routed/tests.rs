use super::rules::{Chores, Memory, Place, Refusal, Surroundings, Target};
use super::*;
use crate::engine::Standing;
use crate::routing::statement::classify;
use crate::time::Instant;

const PERIOD: Duration = Duration::from_secs(1);

const IDLE: Standing = Standing {
    is_over: false,
    in_transaction: Some(false),
    may_hold_state: false,
};
const OPEN: Standing = Standing {
    in_transaction: Some(true),
    ..IDLE
};
const UNKNOWN: Standing = Standing {
    in_transaction: None,
    ..IDLE
};
const OVER: Standing = Standing {
    is_over: true,
    ..IDLE
};

fn pg(text: &str) -> Statement {
    classify(EngineKind::Postgres, text)
}

/// A session without sockets: its memory, and its connections as they stand.
struct Rehearsal {
    memory: Memory,
    around: Surroundings,
}

impl Rehearsal {
    fn begin() -> Self {
        Self {
            memory: Memory::default(),
            around: Surroundings {
                home: None,
                visit: None,
                visits_writer: false,
                has_reader: true,
                now: Instant::now(),
                read_your_writes: PERIOD,
            },
        }
    }

    fn set(&mut self, place: Place, standing: Standing) {
        match place {
            Place::Home => self.around.home = Some(standing),
            Place::Visit => self.around.visit = Some(standing),
        }
    }

    /// Where a text goes.
    fn target(&mut self, text: &str) -> Target {
        self.memory.settle(&self.around);
        let statement = pg(text);
        self.memory.decide(&statement, &self.around).target()
    }

    /// Begins a call.
    fn call(&mut self, text: &str) -> Place {
        self.memory.settle(&self.around);
        let statement = pg(text);
        let place = self.memory.decide(&statement, &self.around).place;
        self.memory.begin(place, &statement, false);
        place
    }

    /// A call that ends with its connection standing so.
    fn run(&mut self, text: &str, after: Standing) -> Place {
        let place = self.call(text);
        self.set(place, after);
        self.memory.end(&self.around);
        place
    }

    fn pass(&mut self, span: Duration) {
        self.around.now += span;
    }
}

#[tokio::test]
async fn reads_visit_and_all_else_stays_at_home() {
    let mut session = Rehearsal::begin();
    assert_eq!(session.run("SELECT 1", IDLE), Place::Visit);
    assert!(!session.memory.keeps_visit());
    assert_eq!(session.run("SELECT f()", IDLE), Place::Home);
    assert_eq!(session.run("SELECT lastval()", IDLE), Place::Home);
}

#[tokio::test]
async fn after_a_write_reads_stay_at_home_for_the_period_and_no_longer() {
    let mut session = Rehearsal::begin();
    session.run("INSERT INTO t VALUES (1)", IDLE);
    assert_eq!(session.target("SELECT 1"), Target::Writer);
    assert_eq!(session.target("BEGIN READ ONLY"), Target::Writer);
    session.pass(PERIOD - Duration::from_millis(1));
    assert_eq!(session.target("SELECT 1"), Target::Writer);
    session.pass(Duration::from_millis(1));
    assert_eq!(session.target("SELECT 1"), Target::Reader);
}

#[tokio::test]
async fn transactions_that_only_read_do_not_keep_reads_at_home_any_longer() {
    let mut session = Rehearsal::begin();
    session.run("INSERT INTO t VALUES (1)", IDLE);
    session.pass(PERIOD / 2);
    // They go home as well.
    for end in ["COMMIT", "ROLLBACK"] {
        assert_eq!(session.run("BEGIN READ ONLY", OPEN), Place::Home);
        session.run("SELECT 1", OPEN);
        session.run(end, IDLE);
    }
    let begin = Statement::begin(true);
    session.memory.begin(Place::Home, &begin, true);
    session.memory.settle(&session.around);
    session.run("BEGIN", OPEN);
    session.run("ROLLBACK", IDLE);
    session.pass(PERIOD / 2);
    assert_eq!(session.target("SELECT 1"), Target::Reader);
    for script in [
        &["BEGIN", "COMMIT"][..],
        &["BEGIN READ ONLY", "SET TRANSACTION READ WRITE", "COMMIT"],
    ] {
        let mut session = Rehearsal::begin();
        session.set(Place::Home, IDLE);
        session.around.has_reader = false;
        let (end, rest) = script.split_last().unwrap();
        for text in rest {
            session.run(text, OPEN);
        }
        session.pass(PERIOD * 2);
        session.run(end, IDLE);
        session.around.has_reader = true;
        assert_eq!(session.target("SELECT 1"), Target::Writer, "{script:?}");
    }
}

#[tokio::test]
async fn a_write_counts_as_one_where_the_writer_stands_in_for_a_reader() {
    for (visits_writer, expected) in [(true, Target::Writer), (false, Target::Reader)] {
        for texts in [
            ["INSERT INTO t VALUES (1)", "COMMIT"],
            ["SELECT f()", "ROLLBACK"],
        ] {
            let mut session = Rehearsal::begin();
            session.around.visits_writer = visits_writer;
            assert_eq!(session.run("BEGIN READ ONLY", OPEN), Place::Visit);
            assert_eq!(session.run(texts[0], OPEN), Place::Visit);
            assert_eq!(session.run(texts[1], IDLE), Place::Visit);
            assert_eq!(session.target("SELECT 1"), expected, "{texts:?}");
        }
    }
}

#[tokio::test]
async fn a_transaction_stays_where_it_was_begun_until_its_end() {
    let mut session = Rehearsal::begin();
    assert_eq!(session.run("BEGIN", OPEN), Place::Home);
    assert_eq!(session.run("SELECT 1", OPEN), Place::Home);
    assert_eq!(session.run("COMMIT AND CHAIN", OPEN), Place::Home);
    assert_eq!(session.run("SELECT 1", OPEN), Place::Home);
    assert_eq!(session.run("COMMIT", IDLE), Place::Home);
    session.pass(PERIOD);
    assert_eq!(session.run("BEGIN READ ONLY", OPEN), Place::Visit);
    assert!(session.memory.keeps_visit());
    assert_eq!(session.run("INSERT INTO t VALUES (1)", OPEN), Place::Visit);
    assert_eq!(session.run("ROLLBACK", IDLE), Place::Visit);
    assert!(!session.memory.keeps_visit());
    assert_eq!(session.target("INSERT INTO t VALUES (1)"), Target::Writer);
}

#[tokio::test]
async fn a_script_that_leaves_a_transaction_open_keeps_the_session_there() {
    let mut session = Rehearsal::begin();
    session.run("BEGIN; INSERT INTO t VALUES (1)", OPEN);
    assert_eq!(session.target("SELECT 1"), Target::Writer);
    session.pass(PERIOD * 2);
    assert_eq!(session.target("SELECT 1"), Target::Writer);
}

#[tokio::test]
async fn where_a_script_failed_a_transaction_may_be_open_until_the_server_says_no() {
    for text in ["BEGIN; nonsense", "BEGIN"] {
        let mut session = Rehearsal::begin();
        session.run(text, UNKNOWN);
        session.pass(PERIOD * 2);
        assert_eq!(session.target("SELECT 1"), Target::Writer, "{text}");
        assert_eq!(session.memory.open(), Some(Place::Home));
        let mut failed = session;
        // The answer that was on its way has come.
        failed.set(Place::Home, IDLE);
        assert_eq!(failed.target("SELECT 1"), Target::Reader, "{text}");
        failed.set(Place::Home, OPEN);
        assert_eq!(failed.target("SELECT 1"), Target::Writer, "{text}");
        failed.set(Place::Home, OVER);
        assert_eq!(failed.target("SELECT 1"), Target::Nowhere, "{text}");
    }
    let mut session = Rehearsal::begin();
    session.run("INSERT INTO t VALUES (1)", UNKNOWN);
    session.pass(PERIOD * 2);
    assert_eq!(session.target("SELECT 1"), Target::Reader);
}

#[tokio::test]
async fn state_keeps_a_session_on_its_connection_until_it_is_forgotten() {
    let mut session = Rehearsal::begin();
    session.run("SET search_path TO shop", IDLE);
    session.pass(PERIOD * 2);
    assert_eq!(session.run("SELECT 1", IDLE), Place::Home);
    session.memory.forget();
    assert_eq!(session.target("SELECT 1"), Target::Reader);
}

#[tokio::test]
async fn what_an_unknown_call_may_have_left_counts_by_what_its_connection_shows() {
    let left = Standing {
        may_hold_state: true,
        ..IDLE
    };
    let mut session = Rehearsal::begin();
    session.run("SELECT f()", left);
    session.pass(PERIOD * 2);
    assert_eq!(session.target("SELECT 1"), Target::Writer);
    // Of what is understood it is known that nothing stays.
    let mut session = Rehearsal::begin();
    session.run("UPDATE t SET a = 1", left);
    session.pass(PERIOD * 2);
    assert_eq!(session.target("SELECT 1"), Target::Reader);
}

#[tokio::test]
async fn a_lost_transaction_or_state_refuses_further_calls_until_it_is_given_up() {
    for beginning in ["BEGIN", "BEGIN READ ONLY"] {
        let mut session = Rehearsal::begin();
        let place = session.run(beginning, OPEN);
        session.run("SELECT 1", OVER);
        session.set(place, OVER);
        assert_eq!(session.target("INSERT INTO t VALUES (1)"), Target::Nowhere);
        assert_eq!(session.target("SELECT 1"), Target::Nowhere);
        let rollback = pg("ROLLBACK");
        session.memory.gives_up(&rollback);
        assert_ne!(session.target("SELECT 1"), Target::Nowhere);
    }
    let mut session = Rehearsal::begin();
    session.run("CREATE TEMP TABLE x (a int)", IDLE);
    session.set(Place::Home, OVER);
    assert_eq!(session.target("SELECT 1"), Target::Nowhere);
    // A ROLLBACK brings no table back.
    let rollback = pg("ROLLBACK");
    session.memory.gives_up(&rollback);
    assert_eq!(session.target("SELECT 1"), Target::Nowhere);
    session.memory.forget();
    session.pass(PERIOD);
    assert_eq!(session.target("SELECT 1"), Target::Reader);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_ends_its_transaction_all_the_same() {
    let mut session = Rehearsal::begin();
    session.run("BEGIN", OPEN);
    session.run("COMMIT", OVER);
    assert_eq!(session.target("INSERT INTO t VALUES (1)"), Target::Writer);
    assert!(
        session
            .memory
            .may_move_home(&pg("INSERT INTO t VALUES (2)"))
    );
}

#[tokio::test]
async fn a_connection_that_held_nothing_is_replaced_but_not_for_what_is_its_own() {
    let mut session = Rehearsal::begin();
    session.run("INSERT INTO t VALUES (1)", OVER);
    assert_eq!(session.target("INSERT INTO t VALUES (2)"), Target::Writer);
    assert!(
        session
            .memory
            .may_move_home(&pg("INSERT INTO t VALUES (2)"))
    );
    for own in [
        "SELECT lastval()",
        "INSERT INTO child VALUES (currval('ids'))",
    ] {
        assert!(!session.memory.may_move_home(&pg(own)), "{own}");
    }
    let insert = "INSERT INTO child VALUES (LAST_INSERT_ID())";
    let insert = classify(EngineKind::MySql, insert);
    assert!(!session.memory.may_move_home(&insert));
}

#[tokio::test]
async fn the_id_generated_last_is_not_asked_of_a_connection_that_does_not_know_it() {
    let my = |text| classify(EngineKind::MySql, text);
    let asks = [
        "SELECT LAST_INSERT_ID()",
        "INSERT INTO child VALUES (LAST_INSERT_ID())",
        "SELECT @@identity",
    ];
    let refusal = |session: &mut Rehearsal, expected| {
        session.memory.settle(&session.around);
        for text in asks {
            assert_eq!(session.memory.refuses(&my(text)), expected, "{text}");
        }
        // The server says itself that there is none, or tells of the statement just before.
        for text in ["SELECT lastval()", "SELECT ROW_COUNT()"] {
            let statement = match text.contains("lastval") {
                true => pg(text),
                false => my(text),
            };
            assert_eq!(session.memory.refuses(&statement), None, "{text}");
        }
    };
    let mut session = Rehearsal::begin();
    // A first connection, and one that was lost before anything was generated.
    assert!(!session.memory.leave_home());
    session.set(Place::Home, OVER);
    assert!(!session.memory.leave_home());
    refusal(&mut session, None);
    session.run("INSERT INTO t VALUES (1)", IDLE);
    refusal(&mut session, None);
    session.set(Place::Home, OVER);
    refusal(&mut session, None);
    assert!(session.memory.leave_home());
    refusal(&mut session, Some(Refusal::IdLost));
    session.run("INSERT INTO t VALUES (1)", IDLE);
    refusal(&mut session, Some(Refusal::IdLost));
    assert!(session.memory.doubts_id(&my("SELECT LAST_INSERT_ID()")));
    assert!(!session.memory.doubts_id(&my("SELECT ROW_COUNT()")));
    session.memory.finds_id();
    refusal(&mut session, None);
    session.pass(PERIOD);
    session.run("BEGIN READ ONLY", OPEN);
    refusal(&mut session, Some(Refusal::IdElsewhere));
    session.run("COMMIT", IDLE);
    refusal(&mut session, None);
    assert!(session.memory.leave_home());
    session.memory.forget();
    refusal(&mut session, None);
}

#[tokio::test]
async fn what_a_dropped_call_or_a_transaction_that_is_a_value_may_have_generated_counts() {
    let ask = classify(EngineKind::MySql, "SELECT LAST_INSERT_ID()");
    let mut session = Rehearsal::begin();
    session.call("INSERT INTO t VALUES (1)");
    session.set(Place::Home, OVER);
    session.memory.settle(&session.around);
    assert!(session.memory.leave_home());
    assert_eq!(session.memory.refuses(&ask), Some(Refusal::IdLost));
    let mut session = Rehearsal::begin();
    let begin = Statement::begin(false);
    session.memory.begin(Place::Home, &begin, true);
    session.set(Place::Home, IDLE);
    session.memory.settle(&session.around);
    assert!(session.memory.leave_home());
    assert_eq!(session.memory.refuses(&ask), Some(Refusal::IdLost));
}

#[tokio::test]
async fn a_dropped_call_is_a_loss_only_where_it_may_have_begun_something() {
    for (text, expected) in [
        ("BEGIN", Target::Nowhere),
        ("SET search_path TO shop", Target::Nowhere),
        ("SELECT f()", Target::Nowhere),
        ("INSERT INTO t VALUES (1)", Target::Writer),
        ("SELECT 1", Target::Reader),
    ] {
        let mut session = Rehearsal::begin();
        let place = session.call(text);
        session.set(place, OVER);
        assert_eq!(session.target("SELECT 1"), expected, "{text}");
        // One that was never sent leaves its connection, and the session, as they were.
        let mut session = Rehearsal::begin();
        let place = session.call(text);
        session.set(place, IDLE);
        assert_ne!(session.target("SELECT 1"), Target::Nowhere, "{text}");
    }
}

#[tokio::test]
async fn a_guard_that_left_its_transaction_open_is_rolled_back_before_the_next_statement() {
    let mut session = Rehearsal::begin();
    session
        .memory
        .begin(Place::Home, &Statement::begin(false), true);
    session.set(Place::Home, OPEN);
    let chores = session.memory.settle(&session.around);
    assert!(chores.roll_back_home);
    let mut session = Rehearsal::begin();
    session
        .memory
        .begin(Place::Visit, &Statement::begin(true), true);
    session.set(Place::Visit, OPEN);
    let chores = session.memory.settle(&session.around);
    let expected = Chores {
        roll_back_home: false,
        end_visit: true,
    };
    assert_eq!(chores, expected);
    assert_eq!(session.target("INSERT INTO t VALUES (1)"), Target::Writer);
}

#[tokio::test]
async fn what_a_guard_may_have_left_in_the_session_keeps_it_at_home_or_is_lost() {
    let left = Standing {
        may_hold_state: true,
        ..IDLE
    };
    let begin = Statement::begin(false);
    let mut session = Rehearsal::begin();
    session.memory.begin(Place::Home, &begin, true);
    session.set(Place::Home, left);
    session.pass(PERIOD * 2);
    session.memory.settle(&session.around);
    session.pass(PERIOD * 2);
    assert_eq!(session.target("SELECT 1"), Target::Writer);
    assert!(
        !session
            .memory
            .may_move_home(&pg("INSERT INTO t VALUES (1)"))
    );
    let over = Standing {
        is_over: true,
        ..left
    };
    session.set(Place::Home, over);
    assert_eq!(session.target("SELECT 1"), Target::Nowhere);

    let mut session = Rehearsal::begin();
    session.memory.begin(Place::Home, &begin, true);
    session.set(Place::Home, over);
    assert_eq!(session.target("SELECT 1"), Target::Nowhere);

    // A reader's connection is given back, whatever is left in it.
    let mut session = Rehearsal::begin();
    let begin = Statement::begin(true);
    session.memory.begin(Place::Visit, &begin, true);
    session.set(Place::Visit, left);
    assert!(session.memory.settle(&session.around).end_visit);
    assert_eq!(session.target("INSERT INTO t VALUES (1)"), Target::Writer);
}

#[tokio::test]
async fn without_a_reader_a_session_reads_at_home_if_it_has_one() {
    let mut session = Rehearsal::begin();
    session.around.has_reader = false;
    assert_eq!(session.target("SELECT 1"), Target::Reader);
    session.set(Place::Home, IDLE);
    assert_eq!(session.target("SELECT 1"), Target::Writer);
}

#[tokio::test]
async fn a_period_without_end_keeps_reads_at_home_for_good() {
    let mut session = Rehearsal::begin();
    session.around.read_your_writes = Duration::MAX;
    session.run("INSERT INTO t VALUES (1)", IDLE);
    session.pass(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(session.target("SELECT 1"), Target::Writer);
}
