//! The SQL session of one client, with the means to cancel its running statement.

use std::sync::Arc;

use super::failure::error;
use crate::sim::front::SessionHandle;
use crate::sim::sql::{
    Description, Reply, Session, SqlError, SqlType, Statement, TransactionState, Value,
};

pub(super) struct Engine {
    session: Session,
    handle: Arc<SessionHandle>,
}

impl Engine {
    pub(super) fn new(session: Session, handle: Arc<SessionHandle>) -> Self {
        Self { session, handle }
    }

    pub(super) fn parse(&mut self, script: &str) -> Result<Vec<Statement>, SqlError> {
        if starts_with_copy(script) {
            return Err(error("0A000", "COPY is not supported by the simulator"));
        }
        self.session.parse(script)
    }

    /// Runs a statement of the server's own.
    pub(super) async fn command(&mut self, sql: &str) -> Result<(), SqlError> {
        for statement in self.session.parse(sql)? {
            self.session.execute(&statement, &[]).await?;
        }
        Ok(())
    }

    pub(super) fn describe(
        &mut self,
        statement: &Statement,
        hints: &[SqlType],
    ) -> Result<Description, SqlError> {
        self.session.describe(statement, hints)
    }

    /// Runs a statement unless another connection cancels it meanwhile.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        tokio::select! {
            // A statement that is done cannot be cancelled any more.
            biased;
            reply = self.session.execute(statement, parameters) => reply,
            () = self.handle.cancel.notified() => {
                Err(error("57014", "canceling statement due to user request"))
            }
        }
    }

    pub(super) fn transaction(&self) -> TransactionState {
        self.session.transaction()
    }

    pub(super) fn session(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// Whether a script's first word is COPY, which would need a protocol of its own.
fn starts_with_copy(script: &str) -> bool {
    let mut rest = script.trim_start();
    loop {
        let after = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n'),
            (None, Some(comment)) => comment.split_once("*/"),
            (None, None) => break,
        };
        match after {
            Some((_, after)) => rest = after.trim_start(),
            None => return false,
        }
    }
    let end = rest
        .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .unwrap_or(rest.len());
    rest[..end].eq_ignore_ascii_case("copy")
}

#[cfg(test)]
mod tests {
    use super::starts_with_copy;

    #[test]
    fn copy_is_known_by_its_first_word_behind_any_comments() {
        for script in [
            "copy t from stdin",
            " -- why\n/* not */ COPY(select 1) to stdout",
        ] {
            assert!(starts_with_copy(script), "{script}");
        }
        for script in ["", "--copy", "/* copy", "copying", "select 'copy'"] {
            assert!(!starts_with_copy(script), "{script}");
        }
    }
}
