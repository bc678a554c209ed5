//! The load, the same for all contestants: tasks that write numbered rows, tasks that read, and a
//! note of when each call began, was sent and ended.
//!
//! It runs in a process of the client's own, which talks with the suite over its standard input and
//! output: `ready`, then the load until a line comes in, then the notes, then `end`. The contestants'
//! program includes this file by its path, so it knows nothing of the driver.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Each task's pace: with 8 writers and 4 readers some 1,600 writes and 800 reads per second.
const CALL_INTERVAL: Duration = Duration::from_millis(5);

/// How long the calls under way may go on when the load is told to stop. What then still hangs is
/// noted as such.
const STOP_PERIOD: Duration = Duration::from_millis(500);

/// A client of one database, as an application uses it.
pub(crate) trait Client: Clone + Send + Sync + 'static {
    /// Writes one number; `note` is told when the statement goes out.
    fn write(
        &self,
        number: i64,
        note: &Note,
    ) -> impl Future<Output = std::result::Result<(), Failure>> + Send;

    /// Counts the numbers on a reader.
    fn read(&self, note: &Note) -> impl Future<Output = std::result::Result<(), Failure>> + Send;
}

/// How a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// One word for the report.
    pub(crate) class: &'static str,
    /// It certainly had no effect, so the same number may be sent again.
    pub(crate) again: bool,
}

/// How many tasks there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) writers: usize,
    pub(crate) readers: usize,
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Write(i64),
    Read,
}

struct Entry {
    work: Work,
    began: SystemTime,
    sent: Option<SystemTime>,
    ended: Option<(SystemTime, Option<&'static str>)>,
}

type Book = Arc<Mutex<Vec<Entry>>>;

/// The note of one call.
pub(crate) struct Note {
    book: Book,
    index: usize,
}

impl Note {
    fn begin(book: &Book, work: Work) -> Self {
        let mut entries = lock(book);
        entries.push(Entry {
            work,
            began: SystemTime::now(),
            sent: None,
            ended: None,
        });
        Self {
            book: Arc::clone(book),
            index: entries.len() - 1,
        }
    }

    /// A connection is there, and the statement goes out now.
    pub(crate) fn sent(&self) {
        lock(&self.book)[self.index].sent = Some(SystemTime::now());
    }

    fn end(self, failure: Option<&'static str>) {
        let at = SystemTime::now();
        lock(&self.book)[self.index].ended = Some((at, failure));
    }
}

fn lock(book: &Book) -> std::sync::MutexGuard<'_, Vec<Entry>> {
    book.lock().expect("nobody panics with the book")
}

/// Runs the load until a line, or the end, comes in; then tells what was noted.
pub(crate) async fn run(client: impl Client, size: Size) -> io::Result<()> {
    say("ready")?;
    let book = Book::default();
    let (stop, stopped) = watch::channel(false);
    let numbers = Arc::new(AtomicI64::new(1));
    let mut tasks = JoinSet::new();
    for _ in 0..size.writers {
        let (client, book, numbers) = (client.clone(), book.clone(), Arc::clone(&numbers));
        tasks.spawn(write(client, book, numbers, stopped.clone()));
    }
    for _ in 0..size.readers {
        tasks.spawn(read(client.clone(), book.clone(), stopped.clone()));
    }
    told_to_stop().await;
    // Without receivers there is nobody left to stop.
    let _ = stop.send(true);
    let ended = async { while tasks.join_next().await.is_some() {} };
    // What hangs is noted as under way.
    let _ = tokio::time::timeout(STOP_PERIOD, ended).await;
    tell(&lock(&book))
}

/// The last word; the suite waits for it.
pub(crate) fn end() -> io::Result<()> {
    say("end")
}

fn say(word: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{word}")?;
    out.flush()
}

async fn told_to_stop() {
    // A thread of its own: a read of standard input cannot be given up.
    let heard = tokio::task::spawn_blocking(|| io::stdin().read_line(&mut String::new()));
    // Whether a line or the end: both mean stop.
    let _ = heard.await;
}

async fn write(
    client: impl Client,
    book: Book,
    numbers: Arc<AtomicI64>,
    stopped: watch::Receiver<bool>,
) {
    let mut pace = tokio::time::interval(CALL_INTERVAL);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopped.borrow() {
        pace.tick().await;
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        while !*stopped.borrow() {
            let note = Note::begin(&book, Work::Write(number));
            let result = client.write(number, &note).await;
            note.end(result.as_ref().err().map(|failure| failure.class));
            match result {
                Err(failure) if failure.again => {}
                Ok(()) | Err(_) => break,
            }
        }
    }
}

async fn read(client: impl Client, book: Book, stopped: watch::Receiver<bool>) {
    let mut pace = tokio::time::interval(CALL_INTERVAL);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopped.borrow() {
        pace.tick().await;
        let note = Note::begin(&book, Work::Read);
        let result = client.read(&note).await;
        note.end(result.err().map(|failure| failure.class));
    }
}

/// One line for each call: what, when it began, was sent and ended in microseconds since 1970, and
/// how it ended.
fn tell(entries: &[Entry]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for entry in entries {
        match entry.work {
            Work::Write(number) => write!(out, "w {number}")?,
            Work::Read => write!(out, "r 0")?,
        }
        write!(out, " {}", micros(entry.began))?;
        match entry.sent {
            Some(at) => write!(out, " {}", micros(at))?,
            None => write!(out, " -")?,
        }
        match entry.ended {
            Some((at, failure)) => writeln!(out, " {} {}", micros(at), failure.unwrap_or("ok"))?,
            None => writeln!(out, " - hangs")?,
        }
    }
    out.flush()
}

fn micros(at: SystemTime) -> u128 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_micros()
}
