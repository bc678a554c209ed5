//! Running a plan.

use std::time::Duration;

use super::super::compile::quote_name;
use super::super::plan::{Action, Change, Definition, GeneratedColumn, Plan, Step};
use super::super::statement::Statement;
use super::super::value::{CommandTag, Done, Reply};
use super::super::{SqlError, Value, convert};
use super::Session;
use super::rows::Fetched;
use crate::sim::volume::{EntryOrigin, append_to_ledger};

impl Session {
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        plan: &Plan,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        match &plan.action {
            Action::Query(sql) => self.run_query(plan, sql, parameters).await,
            Action::Change(change) => {
                if plan.traits.defines {
                    self.commit()?;
                }
                self.run_change(statement, plan, change, parameters).await
            }
            Action::Define(definition) => self.run_definition(statement, plan, definition).await,
            Action::LockTable => {
                self.lock_table(plan).await?;
                Ok(done(plan.verb, Done::default()))
            }
            other => {
                if let Some(reply) = self.run_by_name(plan, parameters).await? {
                    return Ok(reply);
                }
                let tag = match self.act(other, plan.verb)? {
                    "" => plan.verb,
                    instead => instead,
                };
                Ok(done(tag, Done::default()))
            }
        }
    }

    async fn lock_table(&mut self, plan: &Plan) -> Result<(), SqlError> {
        if !self.is_in_transaction() {
            let message = "LOCK TABLE can only be used in transaction blocks";
            return Err(SqlError::new("25P01", 0, message));
        }
        match plan.traits.locks {
            true => self.prepare_to_write(false, plan.traits.no_wait).await,
            false => Ok(()),
        }
    }

    async fn run_query(
        &mut self,
        plan: &Plan,
        sql: &str,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        let traits = plan.traits;
        if traits.reads_tables {
            self.begin_if_manual();
        }
        // Another transaction writes, and each row counts as locked by it.
        let skips = traits.skip_locked && traits.reads_tables && self.would_wait();
        if skips {
            self.prepare_to_read()?;
        } else if traits.locks && traits.reads_tables {
            self.prepare_to_write(false, traits.no_wait).await?;
        } else {
            self.prepare_to_read()?;
        }
        let parameters = self.bind(plan, parameters)?;
        let mut fetched = self.fetch(sql, &parameters, plan)?;
        if skips {
            fetched.rows.clear();
        } else if traits.locks && traits.reads_tables {
            self.commit_if_alone()?;
        }
        self.sleep().await?;
        let found = i64::try_from(fetched.rows.len()).unwrap_or(i64::MAX);
        self.context.state().row_count = -1;
        let tag = match plan.verb {
            "SHOW" => "SHOW".to_owned(),
            verb => format!("{verb} {found}"),
        };
        Ok(fetched.into_reply(plan, CommandTag(tag)))
    }

    async fn run_change(
        &mut self,
        statement: &Statement,
        plan: &Plan,
        change: &Change,
        parameters: &[Value],
    ) -> Result<Reply, SqlError> {
        self.begin_if_manual();
        self.prepare_to_write(plan.traits.only_temporary, false)
            .await?;
        if plan.traits.sleeps {
            self.mark_statement()?;
        }
        let bound = self.bind(plan, parameters)?;
        let (fetched, outcome) = self.apply(plan, change, &bound)?;
        self.enter_in_ledger(statement, plan, &bound, outcome.affected)?;
        self.sleep().await?;
        if plan.traits.sleeps {
            self.unmark_statement()?;
        }
        self.commit_if_alone()?;
        for table in &change.forget_counters {
            self.volume.sequences().forget_table(table);
        }
        {
            let mut state = self.context.state();
            if outcome.last_insert_id != 0 {
                state.last_insert_id = outcome.last_insert_id;
            }
            state.row_count = i64::try_from(outcome.affected).unwrap_or(i64::MAX);
        }
        let tag = match plan.verb {
            "INSERT" | "REPLACE" => format!("INSERT 0 {}", outcome.affected),
            "TRUNCATE TABLE" => "TRUNCATE TABLE".to_owned(),
            verb => format!("{verb} {}", outcome.affected),
        };
        Ok(match plan.columns {
            Some(_) => fetched.into_reply(plan, CommandTag(tag)),
            None => done(&tag, outcome),
        })
    }

    /// Runs a change inside the open transaction.
    fn apply(
        &mut self,
        plan: &Plan,
        change: &Change,
        parameters: &[Value],
    ) -> Result<(Fetched, Done), SqlError> {
        if let Some(generated) = &change.generated {
            self.start_counter(generated)?;
        }
        let changed = match &change.count_changed {
            Some(count) => Some(self.single_number(count, parameters)?),
            None => None,
        };
        let rows_before = match &change.count_rows {
            Some(count) => Some(self.single_number(count, &[])?),
            None => None,
        };
        let watched = change
            .counts_updates
            .then(|| self.watch_updates())
            .transpose()?;
        let result = self.fetch(&change.sql, parameters, plan);
        let inserted_or_updated = self.connection.changes();
        if watched.is_some() {
            self.unwatch_updates();
        }
        let fetched = result?;
        for sql in &change.more {
            self.fetch(sql, &[], plan)?;
        }
        let removed = match (&change.count_rows, rows_before) {
            (Some(count), Some(before)) => {
                (before + inserted_or_updated).saturating_sub(self.single_number(count, &[])?)
            }
            _ => 0,
        };
        let matched = match plan.verb {
            // Neither server says how many rows there were.
            "TRUNCATE TABLE" => 0,
            _ => change.proposed.max(inserted_or_updated + removed),
        };
        let affected = match (changed, watched) {
            (Some(changed), _) => changed,
            (None, Some(())) => inserted_or_updated + self.context.state().updated_rows,
            (None, None) => matched,
        };
        let generated = self.context.state().generated;
        let last_insert_id = generated.and_then(|number| u64::try_from(number).ok());
        Ok((
            fetched,
            Done {
                affected,
                matched,
                last_insert_id: last_insert_id.unwrap_or(0),
            },
        ))
    }

    /// Makes sure that a column's counter is ahead of what the column holds.
    fn start_counter(&mut self, generated: &GeneratedColumn) -> Result<(), SqlError> {
        let sequences = self.volume.sequences();
        // PostgreSQL's counters never look at the column again.
        if self.is_postgres() && sequences.is_known(&generated.key) {
            return Ok(());
        }
        let (column, table) = (quote_name(&generated.column), quote_name(&generated.table));
        let highest = format!("SELECT coalesce(max({column}), 0) FROM {table}");
        let highest = self.single_number(&highest, &[])?;
        let next = i64::try_from(highest).unwrap_or(i64::MAX).saturating_add(1);
        self.volume.sequences().raise(&generated.key, next);
        Ok(())
    }

    fn enter_in_ledger(
        &mut self,
        statement: &Statement,
        plan: &Plan,
        parameters: &[Value],
        affected: u64,
    ) -> Result<(), SqlError> {
        let (Some(transaction), false) = (self.transaction.number(), plan.traits.only_temporary)
        else {
            return Ok(());
        };
        let host = &self.context.host;
        let origin = EntryOrigin {
            elapsed_micros: host.elapsed_micros(),
            instance: host.instance(),
            epoch: host.epoch(),
            session: self.context.session,
            transaction,
        };
        append_to_ledger(
            &self.connection,
            &origin,
            statement.text(),
            parameters,
            affected,
        )
        .map_err(|error| self.translate(error, plan.verb))
    }

    async fn run_definition(
        &mut self,
        statement: &Statement,
        plan: &Plan,
        definition: &Definition,
    ) -> Result<Reply, SqlError> {
        let commits = !self.is_postgres() && !plan.traits.only_temporary;
        if commits {
            self.commit()?;
        }
        let mut affected = 0;
        if !definition.steps.is_empty() {
            self.prepare_to_write(plan.traits.only_temporary, false)
                .await?;
            self.transaction.defined = true;
            self.mark_statement()?;
            for step in &definition.steps {
                self.run_step(step, plan.verb)?;
                affected = self.connection.changes();
            }
            self.unmark_statement()?;
            self.volume.schema_changed();
            for table in &definition.forget_counters {
                self.volume.sequences().forget_table(table);
            }
            self.enter_in_ledger(statement, plan, &[], 0)?;
        }
        match commits {
            true => self.commit()?,
            false => self.commit_if_alone()?,
        }
        let (tag, affected) = match definition.tag_is_count {
            true => (format!("SELECT {affected}"), affected),
            false => (plan.verb.to_owned(), 0),
        };
        let outcome = Done {
            affected,
            matched: affected,
            last_insert_id: 0,
        };
        Ok(done(&tag, outcome))
    }

    fn run_step(&mut self, step: &Step, verb: &str) -> Result<(), SqlError> {
        match step {
            Step::Sql(sql) => {
                let ran = self.connection.execute_batch(sql);
                ran.map_err(|error| self.translate(error, verb))
            }
            Step::Reshape {
                table,
                temporary,
                edits,
            } => self.reshape(table, *temporary, edits),
        }
    }

    /// Waits for as long as the statement's functions asked for.
    ///
    /// Cancel safety: the statement has run, but is not committed.
    async fn sleep(&mut self) -> Result<(), SqlError> {
        let wanted = std::mem::take(&mut self.context.state().sleep);
        if wanted == Duration::ZERO {
            return Ok(());
        }
        match self.statement_timeout() {
            Some(limit) if limit < wanted => {
                tokio::time::sleep(limit).await;
                Err(self.statement_timed_out())
            }
            _ => {
                tokio::time::sleep(wanted).await;
                Ok(())
            }
        }
    }

    /// Parameters in the inner form of their types.
    pub(super) fn bind(&self, plan: &Plan, parameters: &[Value]) -> Result<Vec<Value>, SqlError> {
        if parameters.len() != plan.parameters.len() {
            let (given, wanted) = (parameters.len(), plan.parameters.len());
            let message = match self.is_postgres() {
                true => format!(
                    "bind message supplies {given} parameters, but prepared statement \
                     requires {wanted}"
                ),
                false => "Incorrect arguments to mysqld_stmt_execute".to_owned(),
            };
            return Err(SqlError::of(
                self.engine(),
                "08P01",
                (1210, "HY000"),
                message,
            ));
        }
        let pairs = parameters.iter().zip(&plan.parameters);
        let converted = pairs.map(|(value, of)| {
            let converted = convert::convert(
                self.engine(),
                value.clone(),
                super::super::SqlType::Unknown,
                *of,
            );
            match converted {
                // MySQL compares what does not convert as it is.
                Err(_) if !self.is_postgres() => Ok(value.clone()),
                other => other,
            }
        });
        converted.collect()
    }
}

pub(super) fn done(tag: &str, outcome: Done) -> Reply {
    Reply::Done {
        tag: CommandTag(tag.to_owned()),
        outcome,
    }
}
