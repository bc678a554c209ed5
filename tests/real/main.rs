//! The driver against real servers, which are killed, stopped and cut off for real.
//!
//! A cluster is one primary and two streaming standbys of PostgreSQL 15, with Aurora's functions
//! as SQL functions over the true state of replication (`aurora.sql`). Needed are PostgreSQL's
//! server programs (Debian: `postgresql-15`; or name their directory in `PG_BIN`), for single
//! servers `mariadb-server` too. Where they are missing a test says so and passes, unless
//! `AURORA_DRIVER_REAL=1` demands them; `AURORA_DRIVER_REAL=0` leaves these tests out.
//!
//! ```text
//! cargo test --test real -- --nocapture                        # the tests; each prints its times
//! AURORA_DRIVER_RUNS=5 cargo test --release --test real measured -- --ignored --nocapture
//! ```
//!
//! - `ground`: where a test stands: programs, user, directory, a network of its own.
//! - `process`: a server's processes, and signals to them.
//! - `network`: dropped packets.
//! - `cluster`: the servers and their control plane.
//! - `load`: writes through the driver, and what became of each.
//! - `failover`: one loss of a writer under load, measured and checked.
//! - `writers`, `readers`: the tests.
//! - `measured`: the table of times.
//! - `routed`: sessions that route by text, and the functions that they take for pure.
//! - `single`: one server without Aurora's functions.
//! - `service`: the example service over such a server.
#![cfg(target_os = "linux")]

mod cluster;
mod failover;
mod ground;
mod load;
mod measured;
mod network;
mod process;
mod readers;
mod routed;
mod service;
mod single;
mod writers;
