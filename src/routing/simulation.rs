//! Clients that read from readers of changing speed, on a clock of their own: what share each
//! reader gets. Deterministic, as noise is drawn from a seed.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::observe::latency::{Average, Level};
use crate::rng::Rng;

/// In microseconds.
const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000 * MILLI;

/// Closed-loop clients: each sends its next read when the last one is answered.
struct World {
    /// What a statement takes at each reader, in microseconds.
    service: Vec<u64>,
    averages: Vec<Option<Average>>,
    in_flight: Vec<usize>,
    /// Reads under way: when each ends, since when it runs, and where.
    running: Vec<(u64, u64, usize)>,
    now: u64,
    turn: usize,
    rng: Rng,
    /// So many percent of the statements take ten times as long, at any reader.
    long_percent: u32,
}

impl World {
    fn new(readers: usize, service: u64, seed: u64) -> Self {
        Self {
            service: vec![service; readers],
            averages: vec![None; readers],
            in_flight: vec![0; readers],
            running: Vec::new(),
            now: 0,
            turn: 0,
            rng: Rng::seeded(seed),
            long_percent: 0,
        }
    }

    fn millis(&self) -> u32 {
        u32::try_from(self.now / MILLI).unwrap()
    }

    fn send(&mut self) -> usize {
        let levels = self
            .averages
            .iter()
            .flatten()
            .map(|average| average.level());
        let fastest = clearly_fastest(levels);
        let now = self.millis();
        let load = |position: usize| Load {
            in_flight: self.in_flight[position],
            weight: FULL_WEIGHT,
            latency: fastest
                .zip(self.averages[position].filter(|average| average.counts()))
                .map(|(fastest, average)| average.believed(now).max(fastest)),
            is_far: false,
        };
        let chosen = best(self.service.len(), load, self.turn).unwrap();
        self.turn += 1;
        self.in_flight[chosen] += 1;
        let factor = match self.rng.jitter(Duration::from_secs(50), 100).as_secs() {
            drawn if drawn < u64::from(self.long_percent) => 10,
            _ => 1,
        };
        let typical = Duration::from_micros(self.service[chosen] * factor);
        let took = u64::try_from(self.rng.jitter(typical, 30).as_micros()).unwrap();
        self.running
            .push((self.now + took.max(1), self.now, chosen));
        chosen
    }

    /// Runs so many clients until then; how many reads each reader was sent.
    fn run(&mut self, clients: usize, until: u64) -> Vec<usize> {
        let mut sent = vec![0; self.service.len()];
        loop {
            while self.running.len() < clients {
                sent[self.send()] += 1;
            }
            let next = (0..self.running.len()).min_by_key(|place| self.running[*place].0);
            let next = next.unwrap();
            if self.running[next].0 > until {
                self.now = until;
                return sent;
            }
            let (ends, began, reader) = self.running.swap_remove(next);
            self.now = ends;
            self.in_flight[reader] -= 1;
            let took = Duration::from_micros(ends - began);
            let now = self.millis();
            self.averages[reader] = Some(Average::with(self.averages[reader], took, now));
        }
    }
}

/// What a reader got of its fair share, in percent.
fn percent_of_fair(sent: &[usize], reader: usize) -> usize {
    sent[reader] * sent.len() * 100 / sent.iter().sum::<usize>().max(1)
}

/// How many points of a hundred lie between the largest share and the smallest.
fn spread(sent: &[usize]) -> usize {
    let all: usize = sent.iter().sum();
    let (least, most) = (sent.iter().min().unwrap(), sent.iter().max().unwrap());
    (most - least) * 100 / all.max(1)
}

const READERS: [usize; 3] = [2, 3, 15];
const CLIENTS: [usize; 4] = [1, 2, 8, 40];

fn slowed_and_recovered(readers: usize, clients: usize, service: u64, seed: u64) {
    let case = format!("{readers} readers, {clients} clients, {service} us, seed {seed}");
    let mut world = World::new(readers, service, seed);
    let before = world.run(clients, 3 * SECOND);
    assert!(spread(&before) <= 5, "{case}: {before:?}");
    world.service[0] *= 10;
    world.run(clients, 5 * SECOND);
    let slowed = world.run(clients, 11 * SECOND);
    let share = percent_of_fair(&slowed, 0);
    assert!(share <= 20, "{case}: keeps {share} %: {slowed:?}");
    world.service[0] /= 10;
    world.run(clients, 21 * SECOND);
    let recovered = world.run(clients, 24 * SECOND);
    assert!(spread(&recovered) <= 5, "{case}: {recovered:?}");
}

#[test]
fn a_reader_slowed_tenfold_loses_its_share_within_two_seconds_and_has_it_back_ten_after() {
    for readers in READERS {
        for clients in CLIENTS {
            for service in [4 * MILLI, 20 * MILLI] {
                slowed_and_recovered(readers, clients, service, 1);
            }
        }
    }
}

#[test]
fn a_reader_that_stays_slow_is_tried_seldom() {
    let mut world = World::new(2, 5 * MILLI, 3);
    world.service[1] *= 10;
    world.run(1, 5 * SECOND);
    let sent = world.run(1, 65 * SECOND);
    assert!((5..60).contains(&sent[1]), "in a minute: {sent:?}");
}

#[test]
fn a_slow_reader_that_then_answers_nothing_draws_no_crowd() {
    for (clients, service) in [(8, 5 * MILLI), (20, 5 * MILLI), (40, 20 * MILLI)] {
        let mut world = World::new(2, service, 5);
        world.run(clients, 2 * SECOND);
        world.service[1] *= 10;
        world.run(clients, 5 * SECOND);
        world.service[1] = 3_600 * SECOND;
        world.run(clients, 25 * SECOND);
        // What hangs there counts as in flight, so it gets no more than half of the clients.
        let stuck = world.in_flight[1];
        assert!(stuck <= clients / 2 + 1, "{stuck} of {clients} hang");
    }
}

#[test]
fn statements_of_different_lengths_take_no_share_from_anybody() {
    for (clients, long_percent) in [(1, 5), (1, 30), (8, 5), (8, 30), (32, 30)] {
        let mut world = World::new(3, 2 * MILLI, 4);
        world.long_percent = long_percent;
        let sent = world.run(clients, 60 * SECOND);
        assert!(spread(&sent) <= 5, "{clients}, {long_percent} %: {sent:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn whatever_the_load_a_slowed_reader_loses_its_share_and_gets_it_back(
        readers in 2..8_usize, clients in 1..40_usize, service in 4_000..20_000_u64,
        seed in any::<u64>(),
    ) {
        slowed_and_recovered(readers, clients, service, seed);
    }
}

#[test]
fn latencies_that_nobody_has_measured_decide_nothing() {
    let one = Level::of(Duration::from_secs(9));
    assert_eq!(clearly_fastest(std::iter::empty()), None);
    assert_eq!(clearly_fastest(std::iter::once(one)), None);
}
