//! The line that tells how the load goes.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::traffic::Traffic;

const INTERVAL: Duration = Duration::from_secs(1);

/// Rewrites one line each second until the end, where somebody watches.
pub(crate) fn show(
    traffic: &Arc<Traffic>,
    is_watched: bool,
    end: CancellationToken,
) -> JoinHandle<()> {
    let traffic = Arc::clone(traffic);
    tokio::spawn(async move {
        if !is_watched {
            return;
        }
        let (mut before, mut looked_at) = (traffic.totals(), Instant::now());
        loop {
            tokio::select! {
                biased;
                () = end.cancelled() => break,
                () = tokio::time::sleep(INTERVAL) => {}
            }
            let (now, span) = (traffic.totals(), looked_at.elapsed().as_secs_f64());
            let rate = |now: u64, before: u64| (now - before) as f64 / span;
            // Whoever closed the terminal wants to hear no more.
            let told = write!(
                std::io::stderr(),
                "\r{:8.0} reads/s {:8.0} writes/s {:4.0} reports/s {:6} errors ",
                rate(now.reads, before.reads),
                rate(now.writes, before.writes),
                rate(now.reports, before.reports),
                now.errors,
            );
            if told.is_err() {
                return;
            }
            (before, looked_at) = (now, Instant::now());
        }
        let _ = writeln!(std::io::stderr());
    })
}

/// What there was in all.
pub(crate) fn sum_up(traffic: &Traffic) {
    let all = traffic.totals();
    let (reads, writes, reports) = (all.reads, all.writes, all.reports);
    // As above: it need not be heard.
    let _ = writeln!(
        std::io::stderr(),
        "{reads} reads, {writes} writes, {reports} reports, {} errors.",
        all.errors
    );
}
