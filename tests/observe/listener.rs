//! Keeps spans and log lines, with their fields.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Metadata, Subscriber};

pub(crate) type Fields = BTreeMap<String, String>;

#[derive(Debug, Default)]
struct State {
    spans: Vec<Fields>,
    lines: Vec<Fields>,
}

/// While a process has one subscriber only, `tracing` asks the thread that first comes to a call site
/// for its own, which may be none, and keeps the answer for all threads. With these two there are
/// always several.
static OTHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::new())));

/// A subscriber for one target.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    target: &'static str,
    state: Arc<Mutex<State>>,
}

impl Listener {
    pub(crate) fn to(target: &'static str) -> Self {
        LazyLock::force(&OTHERS);
        Self {
            target,
            state: Arc::default(),
        }
    }

    pub(crate) fn spans(&self) -> Vec<Fields> {
        self.state.lock().unwrap().spans.clone()
    }

    pub(crate) fn lines(&self) -> Vec<Fields> {
        self.state.lock().unwrap().lines.clone()
    }
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.target
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::new();
        span.record(&mut Reader(&mut fields));
        let mut state = self.state.lock().unwrap();
        state.spans.push(fields);
        Id::from_u64(state.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut state = self.state.lock().unwrap();
        let place = span.into_u64() as usize - 1;
        values.record(&mut Reader(&mut state.spans[place]));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::new();
        event.record(&mut Reader(&mut fields));
        fields.insert("level".to_owned(), event.metadata().level().to_string());
        self.state.lock().unwrap().lines.push(fields);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Run by itself, as other tests' listeners would do what `OTHERS` is for.
#[test]
fn a_listener_hears_of_what_another_thread_came_to_before() {
    const TARGET: &str = "aurora_driver::test";
    fn tell() {
        tracing::warn!(target: TARGET, "told");
    }
    let listener = Listener::to(TARGET);
    let _guard = tracing::subscriber::set_default(listener.clone());
    std::thread::spawn(tell).join().unwrap();
    tell();
    assert_eq!(listener.lines().len(), 1);
}
