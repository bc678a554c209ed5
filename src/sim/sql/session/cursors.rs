//! What a session keeps by name: open cursors, and statements that were prepared by SQL.

use std::sync::Arc;

use super::super::compile::PreparedBySql;
use super::super::plan::{Action, Distance, Plan};
use super::super::statement;
use super::super::value::{Column, CommandTag, Reply};
use super::super::{SqlError, SqlType, TransactionState, Value};
use super::Session;
use super::run::done;

/// An open cursor. Its rows were read when it was declared.
#[derive(Debug)]
pub(in super::super) struct Cursor {
    pub(in super::super) columns: Arc<[Column]>,
    rows: Vec<Vec<Value>>,
    /// 0 before the first row, the number of rows and 1 after the last.
    place: usize,
    scroll: bool,
    /// It stays when its transaction has been committed.
    hold: bool,
    /// It has outlived its transaction, and no other ends it.
    kept: bool,
}

impl Cursor {
    /// Whether it outlives its transaction, and whether it goes backwards.
    pub(in super::super) fn traits(&self) -> (bool, bool) {
        (self.hold, self.scroll)
    }
}

/// The most cursors, and the most prepared statements, that a session may have.
const MOST_NAMES: usize = 10_000;

impl Session {
    /// Runs an act on something with a name; `None` for other actions.
    pub(super) async fn run_by_name(
        &mut self,
        plan: &Plan,
        parameters: &[Value],
    ) -> Result<Option<Reply>, SqlError> {
        let reply = match &plan.action {
            Action::Declare {
                name,
                sql,
                hold,
                scroll,
            } => {
                self.declare(plan, (name, sql), (*hold, *scroll), parameters)?;
                done(plan.verb, Default::default())
            }
            Action::Fetch { name, distance } => self.fetch_from(plan, name, *distance)?,
            Action::CloseCursor(name) => {
                let tag = self.close_cursor(name.as_deref())?;
                done(tag, Default::default())
            }
            Action::Prepare { name, text, hints } => {
                self.prepare_by_name(name, text, hints)?;
                done(plan.verb, Default::default())
            }
            Action::Deallocate(name) => {
                self.deallocate(name.as_deref())?;
                done(plan.verb, Default::default())
            }
            Action::Execute { name, values } => self.execute_by_name(name, values).await?,
            _ => return Ok(None),
        };
        Ok(Some(reply))
    }

    fn declare(
        &mut self,
        plan: &Plan,
        (name, sql): (&str, &str),
        (hold, scroll): (bool, bool),
        parameters: &[Value],
    ) -> Result<(), SqlError> {
        if !hold && self.transaction() == TransactionState::Idle {
            let message = "DECLARE CURSOR can only be used in transaction blocks";
            return Err(SqlError::new("25P01", 0, message));
        }
        self.check_name_is_free(
            self.context.state().cursors.contains_key(name),
            "cursor",
            name,
        )?;
        self.check_room(self.context.state().cursors.len())?;
        self.prepare_to_read()?;
        let bound = self.bind(plan, parameters)?;
        let fetched = self.fetch(sql, &bound, plan)?;
        let cursor = Cursor {
            columns: plan.columns.clone().unwrap_or_else(|| Arc::from([])),
            rows: fetched.rows,
            place: 0,
            scroll,
            hold,
            kept: false,
        };
        self.context.state().cursors.insert(name.to_owned(), cursor);
        Ok(())
    }

    fn fetch_from(
        &mut self,
        plan: &Plan,
        name: &str,
        distance: Distance,
    ) -> Result<Reply, SqlError> {
        let mut state = self.context.state();
        let cursor = state.cursors.get_mut(name).ok_or_else(|| no_cursor(name))?;
        let rows = cursor.fetch(distance)?;
        let tag = CommandTag(format!("FETCH {}", rows.len()));
        Ok(Reply::Rows {
            columns: plan.columns.clone().unwrap_or_else(|| Arc::from([])),
            rows,
            tag,
        })
    }

    fn close_cursor(&mut self, name: Option<&str>) -> Result<&'static str, SqlError> {
        let cursors = &mut self.context.state().cursors;
        match name {
            None => {
                cursors.clear();
                Ok("CLOSE CURSOR ALL")
            }
            Some(name) if cursors.remove(name).is_some() => Ok("CLOSE CURSOR"),
            Some(name) => Err(no_cursor(name)),
        }
    }

    /// Cursors end with their transaction; those that hold outlive its commit.
    pub(super) fn close_cursors(&mut self, committed: bool) {
        let mut state = self.context.state();
        state.cursors.retain(|_, cursor| {
            cursor.kept |= committed && cursor.hold;
            cursor.kept
        });
    }

    fn prepare_by_name(
        &mut self,
        name: &str,
        text: &str,
        hints: &[SqlType],
    ) -> Result<(), SqlError> {
        let taken = self.context.state().prepared.contains_key(name);
        self.check_name_is_free(taken, "prepared statement", name)?;
        self.check_room(self.context.state().prepared.len())?;
        let mut statements = statement::parse(self.engine(), text)?;
        let Some(statement) = statements.pop() else {
            return Ok(());
        };
        self.compile(&statement, hints)?;
        let prepared = PreparedBySql {
            statement,
            hints: hints.to_vec(),
        };
        self.context
            .state()
            .prepared
            .insert(name.to_owned(), prepared);
        Ok(())
    }

    fn deallocate(&mut self, name: Option<&str>) -> Result<(), SqlError> {
        let prepared = &mut self.context.state().prepared;
        match name {
            None => prepared.clear(),
            Some(name) if prepared.remove(name).is_some() => {}
            Some(name) => {
                let message = format!("prepared statement \"{name}\" does not exist");
                return Err(SqlError::new("26000", 0, message));
            }
        }
        Ok(())
    }

    async fn execute_by_name(&mut self, name: &str, values: &[String]) -> Result<Reply, SqlError> {
        let prepared = self.context.state().prepared.get(name).cloned();
        let Some(PreparedBySql { statement, hints }) = prepared else {
            let message = format!("prepared statement \"{name}\" does not exist");
            return Err(SqlError::new("26000", 0, message));
        };
        let mut parameters = Vec::new();
        for sql in values {
            parameters.push(self.single_value(sql)?);
        }
        let plan = match statement.cached_plan(self.generation(), Some(&hints)) {
            Some(plan) => plan,
            None => self.compile(&statement, &hints)?,
        };
        self.check_writable(&plan)?;
        Box::pin(self.run(&statement, &plan, &parameters)).await
    }

    fn check_name_is_free(&self, taken: bool, what: &str, name: &str) -> Result<(), SqlError> {
        let sqlstate = if what == "cursor" { "42P03" } else { "42P05" };
        match taken {
            true => Err(SqlError::new(
                sqlstate,
                0,
                format!("{what} \"{name}\" already exists"),
            )),
            false => Ok(()),
        }
    }

    fn check_room(&self, names: usize) -> Result<(), SqlError> {
        match names < MOST_NAMES {
            true => Ok(()),
            false => Err(SqlError::new(
                "53400",
                0,
                "too many cursors or prepared statements in this session",
            )),
        }
    }
}

impl Cursor {
    /// Moves, and returns the rows that it passed or, for a single row, came to stand on.
    fn fetch(&mut self, distance: Distance) -> Result<Vec<Vec<Value>>, SqlError> {
        let count = i64::try_from(self.rows.len()).unwrap_or(i64::MAX);
        let place = i64::try_from(self.place).unwrap_or(i64::MAX);
        let (target, passes) = match distance {
            Distance::Rows(rows) => (place.saturating_add(rows), true),
            Distance::Relative(rows) => (place.saturating_add(rows), false),
            Distance::Absolute(row) if row >= 0 => (row, false),
            Distance::Absolute(row) => ((count + 1).saturating_add(row), false),
        };
        // FETCH 0 and FORWARD 0 show the present row again.
        let stays = target == place;
        let target = target.clamp(0, count + 1);
        if target < place && !self.scroll {
            let error = SqlError::new("55000", 0, "cursor can only scan forward");
            return Err(error.with_hint("Declare it with SCROLL option to enable backward scan."));
        }
        self.place = usize::try_from(target).unwrap_or(0);
        let row = |at: i64| {
            usize::try_from(at - 1)
                .ok()
                .and_then(|at| self.rows.get(at))
        };
        let rows: Vec<_> = match (passes && !stays, target >= place) {
            (false, _) => row(target).into_iter().cloned().collect(),
            (true, true) => (place + 1..=target).filter_map(row).cloned().collect(),
            (true, false) => (target..place).rev().filter_map(row).cloned().collect(),
        };
        Ok(rows)
    }
}

fn no_cursor(name: &str) -> SqlError {
    SqlError::new("34000", 0, format!("cursor \"{name}\" does not exist"))
}
