//! Watches the instances that owe answers, and asks those from which nothing comes.
//!
//! When to ask and when to condemn is decided in [`topology::silence`](crate::topology::silence).
//! While no answer is awaited from anybody, the task sleeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::roster::Roster;
use super::station::Station;
use crate::engine::reporter::GenerationEnd;
use crate::engine::{Backend, Failure};
use crate::id::InstanceId;
use crate::time;
use crate::topology::observation::Fault;
use crate::topology::silence::{Action, Reading, TICK, Vigil};

/// Runs until dropped.
pub(crate) async fn run<E: Backend>(roster: Arc<Roster<E>>) {
    let mut vigils: BTreeMap<InstanceId, Vigil> = BTreeMap::new();
    let mut questions = FuturesUnordered::new();
    let mut last = time::now();
    loop {
        let owing = roster.owing();
        if owing.is_empty() {
            vigils.clear();
            tokio::select! {
                biased;
                () = roster.answers_awaited() => {}
                Some(()) = questions.next(), if !questions.is_empty() => {}
            }
            last = time::now();
            continue;
        }
        vigils.retain(|id, _| owing.iter().any(|station| station.id() == id));
        let now = time::now();
        let elapsed = now.saturating_duration_since(last);
        last = now;
        for station in owing {
            let reading = Reading {
                is_awaited: true,
                beats: station.pulse().beats(),
            };
            station.looked_at();
            let vigil = vigils.entry(station.id().clone()).or_default();
            match vigil.tick(reading, elapsed, station.usual()) {
                None => {}
                Some(Action::Condemn) => station.trouble(station.generation(), Fault::Silent),
                Some(action) => questions.push(ask(Arc::clone(&roster), station, action)),
            }
        }
        let next = Some(now + TICK);
        let tick = time::sleep_until(next);
        tokio::pin!(tick);
        loop {
            tokio::select! {
                biased;
                Some(()) = questions.next(), if !questions.is_empty() => {}
                () = &mut tick => break,
            }
        }
    }
}

/// Asks for a sign of life; its coming is counted where every answer is.
async fn ask<E: Backend>(roster: Arc<Roster<E>>, station: Arc<Station<E>>, action: Action) {
    let generation = station.generation();
    let asked_at = time::now();
    let asking = async {
        match action {
            Action::Ask => match station.take() {
                Some(standing) => ask_standing(&station, standing).await,
                // It is being asked by a probe, or there is none.
                None => roster.call_on(&station).await,
            },
            Action::Confirm | Action::Condemn => roster.call_on(&station).await,
        }
    };
    let Ok(answer) = tokio::time::timeout_at(asked_at + station.probe_timeout(), asking).await
    else {
        return;
    };
    if let Err(failure) = answer
        && failure.fault != Fault::TimedOut
    {
        station.trouble(generation, failure.fault);
    }
}

/// Asks on the connection that is kept.
pub(super) async fn ask_standing<E: Backend>(
    station: &Station<E>,
    (mut client, end): (E::Client, GenerationEnd),
) -> Result<(), Failure> {
    let generation = station.generation();
    let _asking = station.asks();
    let asked = station.asked();
    match E::ping(&mut client).await {
        Ok(()) => {
            station.answered_after(asked);
            station.keep(client, generation, end);
            Ok(())
        }
        Err(failure) => {
            E::kill(client);
            station.has_lost_standing();
            Err(failure)
        }
    }
}
