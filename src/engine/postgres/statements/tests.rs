use super::*;
use crate::engine::reporter::Reporter;
use crate::id::{EngineKind, InstanceId, Role};
use crate::observe::StatementInsight;
use crate::observe::meters::HandleMeters;
use crate::observe::settings::Observe;
use crate::observe::site::{Observer, Site};

/// A connection that belongs to a pool, and what was seen on it.
struct Bench {
    statements: Statements,
    site: Arc<Site>,
    link: Arc<Link>,
}

impl Bench {
    fn new() -> Self {
        let meters = HandleMeters::new(false, EngineKind::Postgres, "demo");
        let settings = Observe::default();
        let observer = Observer::new(&settings, EngineKind::Postgres, None, None, meters);
        let place = ("127.0.0.1".to_owned(), 5432);
        let site = Arc::new(Site::new(Arc::new(observer), InstanceId::new("1"), place));
        site.serves_as(Role::Writer);
        let link = Arc::new(Link::new(Reporter::silent()));
        link.observe(&site);
        Self {
            statements: Statements::new(Arc::clone(&link)),
            site,
            link,
        }
    }

    /// Messages from the client in capitals and quotes, those from the server as `<`.
    fn pass(&mut self, messages: &[(&str, &[u8])]) {
        for (kind, body) in messages {
            self.statements.forget_time();
            match kind.as_bytes() {
                [b'<', kind] => self.statements.received(*kind, body),
                [kind] => self.statements.sent(*kind, body, true),
                other => panic!("{other:?}"),
            }
        }
    }

    fn seen(&self) -> Vec<StatementInsight> {
        let mut seen = self.site.observer().insights().snapshot().statements;
        seen.sort_by(|one, other| one.text.cmp(&other.text));
        seen
    }

    /// The text, calls, errors, rows and preparings of each.
    fn counts(&self) -> Vec<(String, [u64; 4])> {
        let count = |row: StatementInsight| {
            let counts = [row.calls, row.errors, row.rows, row.prepared];
            (row.text, counts)
        };
        self.seen().into_iter().map(count).collect()
    }
}

const READY: (&str, &[u8]) = ("<Z", b"I");

#[test]
fn a_prepared_statement_is_counted_at_each_run_and_its_preparing_apart() {
    let mut bench = Bench::new();
    bench.pass(&[
        ("P", b"s1\0SELECT a FROM t WHERE b = $1\0\0\0"),
        ("D", b"Ss1\0"),
        ("S", b""),
        ("<1", b""),
        READY,
    ]);
    for _ in 0..3 {
        bench.pass(&[
            ("B", b"\0s1\0"),
            ("E", b"\0\0\0\0\0"),
            ("S", b""),
            ("<2", b""),
            ("<C", b"SELECT 7\0"),
            READY,
        ]);
    }
    let text = "SELECT a FROM t WHERE b = ?".to_owned();
    assert_eq!(bench.counts(), [(text, [3, 0, 21, 1])]);
    assert_eq!(bench.seen()[0].role, Some(Role::Writer));
}

#[test]
fn pipelined_requests_are_told_apart_and_those_skipped_after_an_error_are_not_counted() {
    let mut bench = Bench::new();
    bench.pass(&[
        ("P", b"\0SELECT 1\0\0\0"),
        ("B", b"\0\0"),
        ("E", b"\0\0\0\0\0"),
        ("P", b"\0SELECT wrong\0\0\0"),
        ("B", b"\0\0"),
        ("E", b"\0\0\0\0\0"),
        ("S", b""),
        ("Q", b"COMMIT\0"),
        ("<1", b""),
        ("<C", b"SELECT 1\0"),
        ("<E", b"SERROR\0C42703\0Mno such column\0\0"),
        READY,
        ("<C", b"COMMIT\0"),
        READY,
    ]);
    assert_eq!(
        bench.counts(),
        [
            ("COMMIT".to_owned(), [1, 0, 0, 0]),
            ("SELECT ?".to_owned(), [1, 0, 1, 1]),
            ("SELECT wrong".to_owned(), [0, 1, 0, 1]),
        ]
    );
}

#[test]
fn a_script_is_one_statement_and_ends_when_the_server_is_ready() {
    let mut bench = Bench::new();
    bench.pass(&[
        (
            "Q",
            b"INSERT INTO t VALUES (1), (2); INSERT INTO u VALUES (3)\0",
        ),
        ("<C", b"INSERT 0 2\0"),
        ("<E", b"SERROR\0C23505\0\0"),
        READY,
    ]);
    let text = "INSERT INTO t VALUES (?); INSERT INTO u VALUES (?)".to_owned();
    assert_eq!(bench.counts(), [(text, [1, 1, 2, 0])]);
}

#[test]
fn a_copy_ends_when_its_data_have_been_taken() {
    let mut bench = Bench::new();
    bench.pass(&[
        ("P", b"\0COPY t FROM STDIN\0\0\0"),
        ("B", b"\0\0"),
        ("E", b"\0\0\0\0\0"),
        ("S", b""),
        ("<1", b""),
        ("<G", b"\0\0\0"),
        ("d", b"1\n"),
        ("c", b""),
        ("S", b""),
        ("<C", b"COPY 1\0"),
        READY,
        ("Q", b"SELECT 2\0"),
        ("<C", b"SELECT 1\0"),
        READY,
    ]);
    assert_eq!(
        bench.counts(),
        [
            ("COPY t FROM STDIN".to_owned(), [1, 0, 1, 1]),
            ("SELECT ?".to_owned(), [1, 0, 1, 0]),
        ]
    );
}

#[test]
fn a_portal_with_a_name_and_a_closed_statement_are_followed() {
    let mut bench = Bench::new();
    bench.pass(&[
        ("P", b"s\0SELECT 1\0\0\0"),
        ("B", b"p\0s\0"),
        ("E", b"p\0\0\0\0\x05"),
        ("E", b"p\0\0\0\0\x05"),
        ("S", b""),
        ("<1", b""),
        ("<s", b""),
        ("<C", b"SELECT 5\0"),
        READY,
        ("C", b"Ss\0"),
        ("B", b"\0s\0"),
        ("E", b"\0\0\0\0\0"),
        ("S", b""),
        ("<3", b""),
        ("<C", b"SELECT 1\0"),
        READY,
    ]);
    assert_eq!(bench.counts(), [("SELECT ?".to_owned(), [2, 0, 5, 1])]);
}

#[test]
fn what_is_under_way_when_the_connection_ends_has_failed() {
    let mut bench = Bench::new();
    bench.pass(&[("Q", b"SELECT pg_sleep(5)\0")]);
    let link = Arc::clone(&bench.link);
    bench.statements = Statements::new(link);
    assert_eq!(
        bench.counts(),
        [("SELECT pg_sleep(?)".to_owned(), [1, 1, 0, 0])]
    );
}

#[tokio::test(start_paused = true)]
async fn time_on_the_server_and_time_in_the_queue_are_counted_apart() {
    let mut bench = Bench::new();
    bench.link.waited(Duration::from_millis(40));
    for _ in 0..2 {
        bench.pass(&[("Q", b"SELECT 1\0")]);
        tokio::time::advance(Duration::from_millis(10)).await;
        bench.pass(&[("<C", b"SELECT 1\0"), READY]);
    }
    let seen = &bench.seen()[0];
    assert_eq!(seen.server_time, Duration::from_millis(20));
    assert_eq!(seen.waiting_time, Duration::from_millis(40));
    let slowest = seen.slowest.as_ref().unwrap();
    assert_eq!(slowest.took, Duration::from_millis(10));
    assert_eq!(slowest.text, "SELECT ?");
}

#[test]
fn answers_that_nobody_asked_for_are_ignored() {
    let mut bench = Bench::new();
    bench.pass(&[
        ("<C", b"SELECT 1\0"),
        READY,
        ("S", b""),
        ("<C", b"SELECT 1\0"),
        ("<1", b""),
        ("<E", b"C1\0"),
        READY,
        READY,
        ("E", b"unknown\0\0\0\0\0"),
        ("<C", b"INSERT 0 99999999999999999999999999\0"),
        ("C", b""),
    ]);
    assert_eq!(bench.counts(), []);
    assert_eq!(code(b"C\xff\xff\xff\xff\xff\0"), *b"XX000");
    assert_eq!(rows_of_tag(b"INSERT 0 12345\0"), 12_345);
    assert_eq!(rows_of_tag(b"CREATE TABLE\0"), 0);
}
