//! The SQL engine of a simulated instance: sessions over the shared volume.
//!
//! A script is split and parsed (`statement`), each statement is compiled to SQLite's SQL with
//! types (`compile`, which gives a `plan`), and a `session` runs it under the rules of its
//! dialect: transactions, read-only instances, the write lock, the ledger. The topology and the
//! catalogs are relations inside SQL (`relations`), not answers to known texts.
//!
//! Not here: bytes on the wire (`front`), roles and faults (`world`), the file (`volume`).

mod adapt;
pub(crate) mod array;
mod catalog;
mod compile;
mod context;
mod convert;
mod copy;
mod datetime;
mod decimal;
mod do_block;
mod error;
mod functions;
mod injection;
mod native;
mod nesting;
mod own_syntax;
mod pattern;
mod plan;
mod relations;
mod session;
mod shape;
mod statement;
#[cfg(test)]
mod tests;
mod types;
mod value;
mod variables;
mod written_type;

pub(crate) use copy::{Copy, CopyFormat, CopyOptions};
pub(crate) use error::SqlError;
pub(crate) use native::register_collations;
pub(crate) use session::Session;
pub(crate) use statement::Statement;
pub(crate) use value::{
    Column, CommandTag, Description, Done, Reply, SqlType, TransactionState, Value,
};
