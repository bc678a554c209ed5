//! `mysql_async`'s query interface for the watched connection.
//!
//! Methods that read all rows are watched to their last row. Those that hand out rows one by one
//! (`query_iter`, `exec_iter` and the streams on them) are watched up to the first; what happens
//! to the rows after that is native.

use std::borrow::Cow;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mysql_async::prelude::{AsQuery, FromRow, Queryable, StatementLike};
use mysql_async::{BinaryProtocol, Error as Native, Params, QueryResult, Statement, TextProtocol};
use tracing::Instrument;

use super::client::{Client, Parts, last_status};
use super::phase::Phase;
use super::statements::Statements;
use crate::engine::residue::{Residue, mysql};

/// A call that runs a text: watched, observed, with the comment that it is to have.
macro_rules! by_text {
    ($client:ident, $query:ident, |$native:ident, $text:ident, $statements:ident| $call:expr) => {{
        let Parts {
            phase,
            native: $native,
            watch,
            statements: $statements,
            ..
        } = $client.for_text(&$query.as_query());
        async move {
            let plain = $query.as_query();
            let span = $statements.begin(Some(&plain));
            let $text = $statements.commented(&plain).map_or(plain, Cow::Owned);
            let call = async { $call };
            let answer = watch.call(phase, call).instrument(span).await;
            $statements.end(&answer);
            if answer.is_ok() {
                watch.succeeded(last_status($native));
            }
            answer
        }
        .boxed()
    }};
}

/// A call that runs a prepared statement, or a text that is prepared first.
macro_rules! prepared {
    ($client:ident, |$native:ident, $residue:ident, $statements:ident| $call:expr) => {{
        let Parts {
            phase,
            native: $native,
            watch,
            residue: $residue,
            statements: $statements,
        } = $client.for_prepared();
        async move {
            let span = $statements.begin_prepared();
            let call = async { $call };
            let answer = watch.call(phase, call).instrument(span).await;
            $statements.end(&answer);
            if answer.is_ok() {
                watch.succeeded(last_status($native));
            }
            answer
        }
        .boxed()
    }};
}

impl Queryable for Client {
    fn ping(&mut self) -> BoxFuture<'_, Result<(), Native>> {
        let Parts { native, watch, .. } = self.for_session();
        watch.call(Phase::Preparing, native.ping()).boxed()
    }

    fn query_iter<'a, Q>(
        &'a mut self,
        query: Q,
    ) -> BoxFuture<'a, Result<QueryResult<'a, 'static, TextProtocol>, Native>>
    where
        Q: AsQuery + 'a,
    {
        let Parts {
            phase,
            native,
            watch,
            statements,
            ..
        } = self.for_text(&query.as_query());
        async move {
            let span = statements.begin(Some(&query.as_query()));
            let commented = statements.commented(&query.as_query());
            let call = match commented {
                None => native.query_iter(query),
                Some(text) => native.query_iter(text),
            };
            let rows = watch.call(phase, call).instrument(span).await;
            watch.leave_rows();
            statements.end(&rows);
            rows
        }
        .boxed()
    }

    fn prep<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Statement, Native>>
    where
        Q: AsQuery + 'a,
    {
        let status = self.status();
        let Parts {
            native,
            watch,
            statements,
            ..
        } = self.for_preparing(&query.as_query());
        async move {
            let text = query.as_query();
            let span = statements.begin(Some(&text));
            let call = native.prep(Cow::Borrowed(&*text));
            let statement = watch.call(Phase::Preparing, call).instrument(span).await;
            statements.end_preparing(&text, &statement);
            let statement = statement?;
            watch.keep(status);
            Ok(statement)
        }
        .boxed()
    }

    fn close(&mut self, statement: Statement) -> BoxFuture<'_, Result<(), Native>> {
        let status = self.status();
        let Parts {
            native,
            watch,
            statements,
            ..
        } = self.for_session();
        async move {
            statements.closed(statement.id());
            let call = native.close(statement);
            watch.call(Phase::Preparing, call).await?;
            watch.keep(status);
            Ok(())
        }
        .boxed()
    }

    fn exec_iter<'a: 's, 's, Q, P>(
        &'a mut self,
        statement: Q,
        params: P,
    ) -> BoxFuture<'s, Result<QueryResult<'a, 'static, BinaryProtocol>, Native>>
    where
        Q: StatementLike + 's,
        P: Into<Params>,
    {
        let params = params.into();
        async move {
            let Parts {
                phase,
                native,
                watch,
                residue,
                statements,
            } = self.for_prepared();
            let span = statements.begin_prepared();
            let call = native.exec_iter(statement, params);
            let rows = watch.call(phase, call).instrument(span).await;
            watch.leave_rows();
            let rows = rows.inspect(|rows| note(residue, statements, rows));
            statements.end(&rows);
            rows
        }
        .boxed()
    }

    fn query<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Vec<T>, Native>>
    where
        Q: AsQuery + 'a,
        T: FromRow + Send + 'static,
    {
        by_text!(self, query, |native, text, statements| {
            let rows: Vec<T> = native.query(text).await?;
            statements.add_rows(rows.len() as u64);
            statements.add_rows(native.affected_rows());
            Ok(rows)
        })
    }

    fn query_first<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Option<T>, Native>>
    where
        Q: AsQuery + 'a,
        T: FromRow + Send + 'static,
    {
        by_text!(self, query, |native, text, statements| {
            let first: Option<T> = native.query_first(text).await?;
            statements.add_rows(u64::from(first.is_some()));
            statements.add_rows(native.affected_rows());
            Ok(first)
        })
    }

    fn query_fold<'a, T, F, Q, U>(
        &'a mut self,
        query: Q,
        init: U,
        f: F,
    ) -> BoxFuture<'a, Result<U, Native>>
    where
        Q: AsQuery + 'a,
        T: FromRow + Send + 'static,
        F: FnMut(U, T) -> U + Send + 'a,
        U: Send + 'a,
    {
        by_text!(self, query, |native, text, statements| {
            let mut f = f;
            let mut count = 0;
            let counted = |sum, row| {
                count += 1;
                f(sum, row)
            };
            let sum = native.query_fold(text, init, counted).await?;
            statements.add_rows(count);
            statements.add_rows(native.affected_rows());
            Ok(sum)
        })
    }

    fn query_drop<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<(), Native>>
    where
        Q: AsQuery + 'a,
    {
        by_text!(self, query, |native, text, statements| {
            native.query_drop(text).await?;
            statements.add_rows(native.affected_rows());
            Ok(())
        })
    }

    fn exec_batch<'a: 'b, 'b, S, P, I>(
        &'a mut self,
        statement: S,
        params: I,
    ) -> BoxFuture<'b, Result<(), Native>>
    where
        S: StatementLike + 'b,
        I: IntoIterator<Item = P> + Send + 'b,
        I::IntoIter: Send,
        P: Into<Params> + Send,
    {
        async move {
            let status = self.status();
            let Parts {
                phase,
                native,
                watch,
                statements,
                ..
            } = self.for_prepared();
            let mut rows = 0_usize;
            let params = params.into_iter().inspect(|_| rows += 1);
            let span = statements.begin_prepared();
            let call = native.exec_batch(statement, params);
            let answer = watch.call(phase, call).instrument(span).await;
            statements.add_rows(rows as u64);
            statements.end(&answer);
            match answer {
                Ok(()) if rows == 0 => {
                    watch.keep(status);
                    Ok(())
                }
                Ok(()) => {
                    watch.succeeded(last_status(native));
                    Ok(())
                }
                // Each row is a statement by itself, and taken up when those before it are done.
                Err(error) if rows > 1 => Err(watch.explain_parts(error)),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn exec<'a: 'b, 'b, T, S, P>(
        &'a mut self,
        statement: S,
        params: P,
    ) -> BoxFuture<'b, Result<Vec<T>, Native>>
    where
        S: StatementLike + 'b,
        P: Into<Params> + Send + 'b,
        T: FromRow + Send + 'static,
    {
        prepared!(self, |native, residue, statements| {
            let rows = native.exec_iter(statement, params).await?;
            note(residue, statements, &rows);
            let rows: Vec<T> = rows.collect_and_drop().await?;
            statements.add_rows(rows.len() as u64);
            Ok(rows)
        })
    }

    fn exec_first<'a: 'b, 'b, T, S, P>(
        &'a mut self,
        statement: S,
        params: P,
    ) -> BoxFuture<'b, Result<Option<T>, Native>>
    where
        S: StatementLike + 'b,
        P: Into<Params> + Send + 'b,
        T: FromRow + Send + 'static,
    {
        prepared!(self, |native, residue, statements| {
            let mut rows = native.exec_iter(statement, params).await?;
            note(residue, statements, &rows);
            let first = if rows.is_empty() {
                None
            } else {
                rows.next().await?
            };
            rows.drop_result().await?;
            statements.add_rows(u64::from(first.is_some()));
            Ok(first.map(mysql_async::from_row))
        })
    }

    fn exec_fold<'a: 'b, 'b, T, S, P, U, F>(
        &'a mut self,
        statement: S,
        params: P,
        init: U,
        f: F,
    ) -> BoxFuture<'b, Result<U, Native>>
    where
        S: StatementLike + 'b,
        P: Into<Params> + Send + 'b,
        T: FromRow + Send + 'static,
        F: FnMut(U, T) -> U + Send + 'a,
        U: Send + 'a,
    {
        prepared!(self, |native, residue, statements| {
            let mut f = f;
            let rows = native.exec_iter(statement, params).await?;
            note(residue, statements, &rows);
            let mut count = 0;
            let counted = |sum, row| {
                count += 1;
                f(sum, row)
            };
            let sum = rows.reduce_and_drop(init, counted).await?;
            statements.add_rows(count);
            Ok(sum)
        })
    }

    fn exec_drop<'a: 'b, 'b, S, P>(
        &'a mut self,
        statement: S,
        params: P,
    ) -> BoxFuture<'b, Result<(), Native>>
    where
        S: StatementLike + 'b,
        P: Into<Params> + Send + 'b,
    {
        prepared!(self, |native, residue, statements| {
            let rows = native.exec_iter(statement, params).await?;
            note(residue, statements, &rows);
            rows.drop_result().await
        })
    }
}

/// Takes note of what a run may have left in the session whose text is not known here, by its
/// answer, and of the rows that it changed.
fn note(
    residue: &mut Residue,
    statements: &mut Statements,
    rows: &QueryResult<'_, 'static, BinaryProtocol>,
) {
    let columns = rows.columns_ref();
    // Beside columns the count is that of the answer before, such as one to a preparation.
    let changed = match columns.is_empty() {
        true => rows.affected_rows(),
        false => 0,
    };
    statements.add_rows(changed);
    let names = columns.iter().map(|column| column.name_ref());
    *residue = (*residue).max(mysql::of_answer(names, changed));
}
