//! What a statement costs by itself: the messages of its run, without a server.

use std::time::Instant;

use aurora_driver::config::Observe;
use aurora_driver::postgres::Rehearsal;

use crate::{Extent, median};

const GOAL_NANOSECONDS: f64 = 300.0;

/// A usual statement of some length.
const TEXT: &str = "SELECT o.id, o.placed_at, o.total, c.name FROM orders o JOIN customers c \
                    ON c.id = o.customer_id WHERE o.customer_id = $1 AND o.placed_at > $2 \
                    ORDER BY o.placed_at DESC LIMIT 50\0";

const SHORT: &str = "SELECT 1\0";

/// Statements over which allocations are counted.
const COUNTED: usize = 10_000;

pub(crate) fn measure(extent: Extent) {
    println!("observing one statement (goal {GOAL_NANOSECONDS:.0} ns, no allocation)");
    let mut settings = Observe::default();
    // No recorder is there yet.
    settings.metrics = false;
    let texts: Vec<String> = (0..100)
        .map(|n| format!("SELECT a FROM t WHERE b = {n}\0"))
        .collect();
    let unknown: Vec<String> = (0..COUNTED * 200)
        .step_by(1 + COUNTED * 200 / 50_000)
        .map(|n| format!("SELECT a FROM t WHERE b = {n} AND c = 'some word'\0"))
        .collect();
    let mut turn = 0;
    each(extent, &settings, "prepared statement", |it| {
        it.execute(b"\0s1\0")
    });
    each(extent, &settings, "SELECT 1 as text", |it| {
        it.query(SHORT.as_bytes())
    });
    each(extent, &settings, "214 bytes of text", |it| {
        it.query(TEXT.as_bytes())
    });
    each(extent, &settings, "of 100 texts", |it| {
        turn += 1;
        it.query(texts[turn % texts.len()].as_bytes());
    });
    each(
        extent,
        &settings,
        "a text never seen, of a known digest",
        |it| {
            turn += 1;
            it.query(unknown[turn % unknown.len()].as_bytes());
        },
    );
    settings.insights = false;
    each(extent, &settings, "off: the same messages", |it| {
        it.execute(b"\0s1\0")
    });
}

fn each(extent: Extent, settings: &Observe, what: &str, mut run: impl FnMut(&mut Rehearsal)) {
    let mut rehearsal = Rehearsal::new(settings);
    rehearsal.prepare("s1", "SELECT n FROM t WHERE id = $1");
    for _ in 0..COUNTED {
        run(&mut rehearsal);
    }
    let rounds = 11;
    let count = extent.statements / rounds;
    let times = (0..rounds).map(|_| {
        let began = Instant::now();
        for _ in 0..count {
            run(&mut rehearsal);
        }
        began.elapsed().as_nanos() as f64 / count as f64
    });
    let time = median(times.collect());
    let allocations = allocation_counter::measure(|| {
        for _ in 0..COUNTED {
            run(&mut rehearsal);
        }
    });
    let each = allocations.count_total as f64 / COUNTED as f64;
    println!("  {what:38} {time:6.0} ns, {each:.4} allocations");
    let counted: u64 = rehearsal
        .insights()
        .snapshot()
        .by_statement()
        .iter()
        .map(|it| it.calls)
        .sum();
    assert!(counted > 0 || !settings.insights, "it was not observed");
}
