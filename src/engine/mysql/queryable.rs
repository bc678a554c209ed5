//! `mysql_async`'s query interface for the watched connection and for a transaction on it.
//!
//! Methods that read all rows are watched to their last row. Those that hand out rows one by one
//! (`query_iter`, `exec_iter` and the streams on them) are watched up to the first; what happens
//! to the rows after that is native.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mysql_async::prelude::{AsQuery, FromRow, Queryable, StatementLike};
use mysql_async::{BinaryProtocol, Error as Native, Params, QueryResult, Statement, TextProtocol};

use super::client::Client;
use super::phase::Phase;
use super::transaction::Transaction;
use crate::engine::residue::{Residue, mysql};

impl Queryable for Client {
    fn ping(&mut self) -> BoxFuture<'_, Result<(), Native>> {
        let (native, watch) = self.for_session();
        watch.call(Phase::Preparing, native.ping()).boxed()
    }

    fn query_iter<'a, Q>(
        &'a mut self,
        query: Q,
    ) -> BoxFuture<'a, Result<QueryResult<'a, 'static, TextProtocol>, Native>>
    where
        Q: AsQuery + 'a,
    {
        let (phase, native, watch) = self.for_text(&query.as_query());
        async move {
            let rows = watch.call(phase, native.query_iter(query)).await;
            watch.leave_rows();
            rows
        }
        .boxed()
    }

    fn prep<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Statement, Native>>
    where
        Q: AsQuery + 'a,
    {
        let status = self.status();
        let (native, watch) = self.for_preparing(&query.as_query());
        async move {
            let call = native.prep(query);
            let statement = watch.call(Phase::Preparing, call).await?;
            watch.keep(status);
            Ok(statement)
        }
        .boxed()
    }

    fn close(&mut self, statement: Statement) -> BoxFuture<'_, Result<(), Native>> {
        let status = self.status();
        let (native, watch) = self.for_session();
        async move {
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
            let (phase, native, watch, residue) = self.for_prepared();
            let call = native.exec_iter(statement, params);
            let rows = watch.call(phase, call).await;
            watch.leave_rows();
            rows.inspect(|rows| note(residue, rows))
        }
        .boxed()
    }

    fn query<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Vec<T>, Native>>
    where
        Q: AsQuery + 'a,
        T: FromRow + Send + 'static,
    {
        let (phase, native, watch) = self.for_text(&query.as_query());
        watch.call(phase, native.query(query)).boxed()
    }

    fn query_first<'a, T, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<Option<T>, Native>>
    where
        Q: AsQuery + 'a,
        T: FromRow + Send + 'static,
    {
        let (phase, native, watch) = self.for_text(&query.as_query());
        watch.call(phase, native.query_first(query)).boxed()
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
        let (phase, native, watch) = self.for_text(&query.as_query());
        watch.call(phase, native.query_fold(query, init, f)).boxed()
    }

    fn query_drop<'a, Q>(&'a mut self, query: Q) -> BoxFuture<'a, Result<(), Native>>
    where
        Q: AsQuery + 'a,
    {
        let (phase, native, watch) = self.for_text(&query.as_query());
        watch.call(phase, native.query_drop(query)).boxed()
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
            let (phase, native, watch, _) = self.for_prepared();
            let mut rows = 0_usize;
            let params = params.into_iter().inspect(|_| rows += 1);
            let call = native.exec_batch(statement, params);
            let answer = watch.call(phase, call).await;
            match answer {
                Ok(()) => {
                    if rows == 0 {
                        watch.keep(status);
                    }
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
        let (phase, native, watch, residue) = self.for_prepared();
        let call = async move {
            let rows = native.exec_iter(statement, params).await?;
            note(residue, &rows);
            rows.collect_and_drop().await
        };
        watch.call(phase, call).boxed()
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
        let (phase, native, watch, residue) = self.for_prepared();
        let call = async move {
            let mut rows = native.exec_iter(statement, params).await?;
            note(residue, &rows);
            let first = if rows.is_empty() {
                None
            } else {
                rows.next().await?
            };
            rows.drop_result().await?;
            Ok(first.map(mysql_async::from_row))
        };
        watch.call(phase, call).boxed()
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
        let (phase, native, watch, residue) = self.for_prepared();
        let call = async move {
            let rows = native.exec_iter(statement, params).await?;
            note(residue, &rows);
            rows.reduce_and_drop(init, f).await
        };
        watch.call(phase, call).boxed()
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
        let (phase, native, watch, residue) = self.for_prepared();
        let call = async move {
            let rows = native.exec_iter(statement, params).await?;
            note(residue, &rows);
            rows.drop_result().await
        };
        watch.call(phase, call).boxed()
    }
}

/// Takes note of what a run may have left in the session whose text is not known here, by its
/// answer.
fn note(residue: &mut Residue, rows: &QueryResult<'_, 'static, BinaryProtocol>) {
    let columns = rows.columns_ref();
    let names = columns.iter().map(|column| column.name_ref());
    *residue = (*residue).max(mysql::of_answer(names, rows.affected_rows()));
}

/// Forwards the query interface to the watched connection inside.
macro_rules! forward_queryable {
    ($outer:ty, |$this:ident| $inner:expr) => {
        impl mysql_async::prelude::Queryable for $outer {
            fn ping(
                &mut self,
            ) -> futures_util::future::BoxFuture<'_, Result<(), mysql_async::Error>> {
                let $this = self;
                $inner.ping()
            }

            fn query_iter<'a, Q>(
                &'a mut self,
                query: Q,
            ) -> futures_util::future::BoxFuture<
                'a,
                Result<
                    mysql_async::QueryResult<'a, 'static, mysql_async::TextProtocol>,
                    mysql_async::Error,
                >,
            >
            where
                Q: mysql_async::prelude::AsQuery + 'a,
            {
                let $this = self;
                $inner.query_iter(query)
            }

            fn prep<'a, Q>(
                &'a mut self,
                query: Q,
            ) -> futures_util::future::BoxFuture<
                'a,
                Result<mysql_async::Statement, mysql_async::Error>,
            >
            where
                Q: mysql_async::prelude::AsQuery + 'a,
            {
                let $this = self;
                $inner.prep(query)
            }

            fn close(
                &mut self,
                statement: mysql_async::Statement,
            ) -> futures_util::future::BoxFuture<'_, Result<(), mysql_async::Error>> {
                let $this = self;
                mysql_async::prelude::Queryable::close($inner, statement)
            }

            fn exec_iter<'a: 's, 's, Q, P>(
                &'a mut self,
                statement: Q,
                params: P,
            ) -> futures_util::future::BoxFuture<
                's,
                Result<
                    mysql_async::QueryResult<'a, 'static, mysql_async::BinaryProtocol>,
                    mysql_async::Error,
                >,
            >
            where
                Q: mysql_async::prelude::StatementLike + 's,
                P: Into<mysql_async::Params>,
            {
                let $this = self;
                $inner.exec_iter(statement, params)
            }

            fn query<'a, T, Q>(
                &'a mut self,
                query: Q,
            ) -> futures_util::future::BoxFuture<'a, Result<Vec<T>, mysql_async::Error>>
            where
                Q: mysql_async::prelude::AsQuery + 'a,
                T: mysql_async::prelude::FromRow + Send + 'static,
            {
                let $this = self;
                $inner.query(query)
            }

            fn query_first<'a, T, Q>(
                &'a mut self,
                query: Q,
            ) -> futures_util::future::BoxFuture<'a, Result<Option<T>, mysql_async::Error>>
            where
                Q: mysql_async::prelude::AsQuery + 'a,
                T: mysql_async::prelude::FromRow + Send + 'static,
            {
                let $this = self;
                $inner.query_first(query)
            }

            fn query_fold<'a, T, F, Q, U>(
                &'a mut self,
                query: Q,
                init: U,
                f: F,
            ) -> futures_util::future::BoxFuture<'a, Result<U, mysql_async::Error>>
            where
                Q: mysql_async::prelude::AsQuery + 'a,
                T: mysql_async::prelude::FromRow + Send + 'static,
                F: FnMut(U, T) -> U + Send + 'a,
                U: Send + 'a,
            {
                let $this = self;
                $inner.query_fold(query, init, f)
            }

            fn query_drop<'a, Q>(
                &'a mut self,
                query: Q,
            ) -> futures_util::future::BoxFuture<'a, Result<(), mysql_async::Error>>
            where
                Q: mysql_async::prelude::AsQuery + 'a,
            {
                let $this = self;
                $inner.query_drop(query)
            }

            fn exec_batch<'a: 'b, 'b, S, P, I>(
                &'a mut self,
                statement: S,
                params: I,
            ) -> futures_util::future::BoxFuture<'b, Result<(), mysql_async::Error>>
            where
                S: mysql_async::prelude::StatementLike + 'b,
                I: IntoIterator<Item = P> + Send + 'b,
                I::IntoIter: Send,
                P: Into<mysql_async::Params> + Send,
            {
                let $this = self;
                $inner.exec_batch(statement, params)
            }

            fn exec<'a: 'b, 'b, T, S, P>(
                &'a mut self,
                statement: S,
                params: P,
            ) -> futures_util::future::BoxFuture<'b, Result<Vec<T>, mysql_async::Error>>
            where
                S: mysql_async::prelude::StatementLike + 'b,
                P: Into<mysql_async::Params> + Send + 'b,
                T: mysql_async::prelude::FromRow + Send + 'static,
            {
                let $this = self;
                $inner.exec(statement, params)
            }

            fn exec_first<'a: 'b, 'b, T, S, P>(
                &'a mut self,
                statement: S,
                params: P,
            ) -> futures_util::future::BoxFuture<'b, Result<Option<T>, mysql_async::Error>>
            where
                S: mysql_async::prelude::StatementLike + 'b,
                P: Into<mysql_async::Params> + Send + 'b,
                T: mysql_async::prelude::FromRow + Send + 'static,
            {
                let $this = self;
                $inner.exec_first(statement, params)
            }

            fn exec_fold<'a: 'b, 'b, T, S, P, U, F>(
                &'a mut self,
                statement: S,
                params: P,
                init: U,
                f: F,
            ) -> futures_util::future::BoxFuture<'b, Result<U, mysql_async::Error>>
            where
                S: mysql_async::prelude::StatementLike + 'b,
                P: Into<mysql_async::Params> + Send + 'b,
                T: mysql_async::prelude::FromRow + Send + 'static,
                F: FnMut(U, T) -> U + Send + 'a,
                U: Send + 'a,
            {
                let $this = self;
                $inner.exec_fold(statement, params, init, f)
            }

            fn exec_drop<'a: 'b, 'b, S, P>(
                &'a mut self,
                statement: S,
                params: P,
            ) -> futures_util::future::BoxFuture<'b, Result<(), mysql_async::Error>>
            where
                S: mysql_async::prelude::StatementLike + 'b,
                P: Into<mysql_async::Params> + Send + 'b,
            {
                let $this = self;
                $inner.exec_drop(statement, params)
            }
        }
    };
}

forward_queryable!(Transaction<'_>, |this| this.client());
pub(crate) use forward_queryable;
