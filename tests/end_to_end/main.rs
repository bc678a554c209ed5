//! The whole driver against a simulated cluster, over the real wire protocols, on both engines.
//!
//! - `database`: the few statements the tests need, for both engines.
//! - `routed`: sessions that send each statement where its text lets it go.
//! - `routing`: who gets writes and reads.
//! - `failover`: the loss of a writer.
//! - `cancellation`: each operation, dropped at every poll.
//! - `closures`: what is run again, and what never.
//! - `connections`: what a connection may be after use, and what its errors say.
//! - `custom_endpoints`: reads that are confined to some instances.
//! - `outcome_matrix`: what errors say, against the storage, by every fault at every point.
//! - `outcomes_postgres`: what PostgreSQL errors say of the statement.
//! - `handle`: opening and closing.
//! - `sessions`: what the next user of a connection finds in its session.
//! - `storm`: thousands of callers who wait through a failover.
//! - `strange_servers`: answers that make no sense.
//! - `timelines`: the example scenarios.
//! - `workloads`: which reader, or whether the writer, takes a read; workloads; and what is said of it.
//! - `outcomes_mysql`: what errors of MySQL calls with several parts say, and what state comes back.

mod cancellation;
mod closures;
mod connections;
mod custom_endpoints;
mod database;
mod failover;
mod handle;
mod outcome_matrix;
mod outcomes_mysql;
mod outcomes_postgres;
mod routed;
mod routing;
mod sessions;
mod sharing;
mod silence;
mod storm;
mod strange_servers;
mod timelines;
mod workloads;
