//! Keeps what is exported: every metric with its labels, and the sum or the last value of each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// A metric with its labels, in their order.
pub(crate) type Series = (String, BTreeMap<String, String>);

#[derive(Debug, Default)]
struct State {
    /// Sums of counters, values of gauges, counts of histograms.
    values: BTreeMap<Series, f64>,
    /// Sums of histograms.
    sums: BTreeMap<Series, f64>,
    kinds: BTreeMap<String, &'static str>,
    units: BTreeMap<String, &'static str>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<State>>);

struct Handle {
    kept: Kept,
    series: Series,
}

impl Kept {
    fn register(&self, key: &Key, kind: &'static str) -> Arc<Handle> {
        let labels = key.labels();
        let labels = labels.map(|label| (label.key().to_owned(), label.value().to_owned()));
        let series = (key.name().to_owned(), labels.collect());
        let mut state = self.0.lock().unwrap();
        state.values.entry(series.clone()).or_default();
        let earlier = state.kinds.insert(key.name().to_owned(), kind);
        assert!(earlier.is_none_or(|earlier| earlier == kind), "{key}");
        Arc::new(Handle {
            kept: self.clone(),
            series,
        })
    }

    /// The sum over all series of a metric that have these labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let state = self.0.lock().unwrap();
        let has = |series: &Series| {
            let has =
                |(key, value): &(&str, &str)| series.1.get(*key).is_some_and(|it| it == value);
            series.0 == name && labels.iter().all(has)
        };
        let series = state.values.iter().filter(|(series, _)| has(series));
        series.map(|(_, value)| value).sum()
    }

    /// Of each metric its kind, its unit, and the labels that any of its series has.
    pub(crate) fn exported(&self) -> BTreeMap<String, (String, String, BTreeSet<String>)> {
        let state = self.0.lock().unwrap();
        let mut exported = BTreeMap::new();
        for (name, labels) in state.values.keys() {
            let kind = state.kinds[name].to_owned();
            let unit = state.units.get(name).copied().unwrap_or("none").to_owned();
            let entry = exported.entry(name.clone());
            let (_, _, known) = entry.or_insert((kind, unit, BTreeSet::new()));
            known.extend(labels.keys().cloned());
        }
        exported
    }

    fn describe(&self, name: &KeyName, unit: Option<Unit>) {
        let unit = match unit {
            Some(Unit::Seconds) => "s",
            Some(Unit::Count) => "1",
            _ => "?",
        };
        self.0
            .lock()
            .unwrap()
            .units
            .insert(name.as_str().to_owned(), unit);
    }
}

impl Handle {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        let mut state = self.kept.0.lock().unwrap();
        change(state.values.entry(self.series.clone()).or_default());
    }
}

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        self.change(|sum| *sum += value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|sum| *sum = value as f64);
    }
}

impl GaugeFn for Handle {
    fn increment(&self, value: f64) {
        self.change(|level| *level += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|level| *level -= value);
    }

    fn set(&self, value: f64) {
        self.change(|level| *level = value);
    }
}

impl HistogramFn for Handle {
    fn record(&self, value: f64) {
        assert!(value >= 0.0);
        self.change(|count| *count += 1.0);
        let mut state = self.kept.0.lock().unwrap();
        *state.sums.entry(self.series.clone()).or_default() += value;
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, _: SharedString) {
        self.describe(&name, unit);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.register(key, "counter"))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.register(key, "gauge"))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.register(key, "histogram"))
    }
}
