//! The example scenarios of `fixtures/timelines`, each with the driver at work all the while.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use aurora_driver::Outcome;
use aurora_driver::sim::Script;

use crate::database::{Database, PATIENCE, eventually, insert, on_both_engines, start_with};

on_both_engines!(every_scenario_ends_as_its_file_says_and_the_driver_is_there);

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/timelines");
    let entries = std::fs::read_dir(folder).expect("the folder of scenarios");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 9, "{files:?}");
    files
}

async fn every_scenario_ends_as_its_file_says_and_the_driver_is_there<E: Database>() {
    // At a time, as they mostly wait.
    let mut playing = tokio::task::JoinSet::new();
    for file in files() {
        let script = Script::load(&file).unwrap_or_else(|error| panic!("{error}"));
        playing.spawn(async move { play::<E>(&script).await });
    }
    while let Some(played) = playing.join_next().await {
        if let Err(error) = played {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

/// Plays a scenario while numbers are written, and holds what became of the cluster against the
/// file, and what is in the table against what was acknowledged.
async fn play<E: Database>(script: &Script) {
    let what = script.description().to_owned();
    let readers = script.readers().expect("the file says how many readers");
    let (simulated, cluster) = start_with::<E>(|builder| builder.readers(readers).seed(5)).await;
    let (next, stop) = (
        Arc::new(AtomicI64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let writing = {
        let (cluster, next, stop) = (cluster.clone(), Arc::clone(&next), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                match insert(&cluster, number).await {
                    Ok(()) => acknowledged.push(number),
                    Err(error) => assert_eq!(error.outcome(), Outcome::Unknown, "{error}"),
                }
                tokio::task::yield_now().await;
            }
            acknowledged
        })
    };
    let mut playback = simulated.play(script);
    tokio::time::timeout(PATIENCE, playback.finished())
        .await
        .unwrap_or_else(|_| panic!("{what} did not end"))
        .unwrap_or_else(|error| panic!("{error}"));
    let unmet = || simulated.unmet(script);
    let shown = format!("the end of: {what}");
    let met = tokio::time::timeout(PATIENCE, eventually(&shown, || unmet().is_empty())).await;
    assert!(met.is_ok(), "{what}: {:?}", unmet());

    let before = next.load(Ordering::Relaxed);
    eventually("writes after the end", || {
        next.load(Ordering::Relaxed) > before + 20
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let acknowledged = writing.await.expect("the writes");
    assert!(!acknowledged.is_empty(), "{what}");
    let mut writer = cluster.writer().await.expect("a writer");
    assert_eq!(
        Some(writer.instance()),
        simulated.writer().as_ref(),
        "{what}"
    );
    let distinct = "SELECT count(DISTINCT n) FROM t";
    let there = E::number(&mut writer, distinct).await.expect("a count");
    let all = E::number(&mut writer, "SELECT count(*) FROM t").await;
    assert_eq!(all.expect("a count"), there, "{what}: nothing is doubled");
    for number in acknowledged {
        let query = format!("SELECT count(*) FROM t WHERE n = {number}");
        let count = E::number(&mut writer, &query).await.expect("a count");
        assert_eq!(count, 1, "{what}: {number} was acknowledged");
    }
}
