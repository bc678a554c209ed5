//! An Aurora-like cluster inside the process, for tests.

pub(crate) mod certificates;
pub(crate) mod front;
pub(crate) mod host;
pub(crate) mod sql;
pub(crate) mod volume;
pub(crate) mod world;
