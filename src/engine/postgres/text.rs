//! The texts of statements, where they are known.

use tokio_postgres::{Statement, ToStatement};

/// What `tokio-postgres` takes for a statement, with its text where it has one: a string, or a
/// prepared statement, which has none.
///
/// It is needed for the comments of
/// [`Observe::sqlcommenter`](crate::config::Observe::sqlcommenter), and cannot be implemented for
/// other types, as [`ToStatement`] cannot.
pub trait StatementText: ToStatement {
    /// The text, unless it has been prepared.
    fn text(&self) -> Option<&str>;
}

impl StatementText for str {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl StatementText for String {
    fn text(&self) -> Option<&str> {
        Some(self)
    }
}

impl StatementText for Statement {
    fn text(&self) -> Option<&str> {
        None
    }
}
