//! The query interface for what holds a watched connection: a transaction, a connection of a pool.

use super::transaction::Transaction;

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
                mysql_async::prelude::Queryable::exec_iter($inner, statement, params)
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
                mysql_async::prelude::Queryable::exec_batch($inner, statement, params)
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
                mysql_async::prelude::Queryable::exec($inner, statement, params)
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
                mysql_async::prelude::Queryable::exec_first($inner, statement, params)
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
                mysql_async::prelude::Queryable::exec_fold($inner, statement, params, init, f)
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
                mysql_async::prelude::Queryable::exec_drop($inner, statement, params)
            }
        }
    };
}

/// The methods `exec_*` of a type's own, which take precedence over those of the trait and let it be
/// known which statement is run: the trait does not show it.
macro_rules! own_exec {
    (|$this:ident| $client:expr) => {
        /// [`Queryable::exec`](mysql_async::prelude::Queryable::exec), observed by its statement.
        pub fn exec<'a: 'b, 'b, T, S, P>(
            &'a mut self,
            statement: S,
            params: P,
        ) -> futures_util::future::BoxFuture<'b, Result<Vec<T>, mysql_async::Error>>
        where
            S: mysql_async::prelude::StatementLike + $crate::engine::mysql::StatementText + 'b,
            P: Into<mysql_async::Params> + Send + 'b,
            T: mysql_async::prelude::FromRow + Send + 'static,
        {
            let $this = &mut *self;
            $client.expect(&statement);
            mysql_async::prelude::Queryable::exec(self, statement, params)
        }

        /// [`Queryable::exec_first`](mysql_async::prelude::Queryable::exec_first), observed by its
        /// statement.
        pub fn exec_first<'a: 'b, 'b, T, S, P>(
            &'a mut self,
            statement: S,
            params: P,
        ) -> futures_util::future::BoxFuture<'b, Result<Option<T>, mysql_async::Error>>
        where
            S: mysql_async::prelude::StatementLike + $crate::engine::mysql::StatementText + 'b,
            P: Into<mysql_async::Params> + Send + 'b,
            T: mysql_async::prelude::FromRow + Send + 'static,
        {
            let $this = &mut *self;
            $client.expect(&statement);
            mysql_async::prelude::Queryable::exec_first(self, statement, params)
        }

        /// [`Queryable::exec_drop`](mysql_async::prelude::Queryable::exec_drop), observed by its
        /// statement.
        pub fn exec_drop<'a: 'b, 'b, S, P>(
            &'a mut self,
            statement: S,
            params: P,
        ) -> futures_util::future::BoxFuture<'b, Result<(), mysql_async::Error>>
        where
            S: mysql_async::prelude::StatementLike + $crate::engine::mysql::StatementText + 'b,
            P: Into<mysql_async::Params> + Send + 'b,
        {
            let $this = &mut *self;
            $client.expect(&statement);
            mysql_async::prelude::Queryable::exec_drop(self, statement, params)
        }

        /// [`Queryable::exec_fold`](mysql_async::prelude::Queryable::exec_fold), observed by its
        /// statement.
        pub fn exec_fold<'a: 'b, 'b, T, S, P, U, F>(
            &'a mut self,
            statement: S,
            params: P,
            init: U,
            f: F,
        ) -> futures_util::future::BoxFuture<'b, Result<U, mysql_async::Error>>
        where
            S: mysql_async::prelude::StatementLike + $crate::engine::mysql::StatementText + 'b,
            P: Into<mysql_async::Params> + Send + 'b,
            T: mysql_async::prelude::FromRow + Send + 'static,
            U: Send + 'a,
            F: FnMut(U, T) -> U + Send + 'a,
        {
            let $this = &mut *self;
            $client.expect(&statement);
            mysql_async::prelude::Queryable::exec_fold(self, statement, params, init, f)
        }

        /// [`Queryable::exec_map`](mysql_async::prelude::Queryable::exec_map), observed by its
        /// statement.
        pub fn exec_map<'a: 'b, 'b, T, S, P, U, F>(
            &'a mut self,
            statement: S,
            params: P,
            f: F,
        ) -> futures_util::future::BoxFuture<'b, Result<Vec<U>, mysql_async::Error>>
        where
            S: mysql_async::prelude::StatementLike + $crate::engine::mysql::StatementText + 'b,
            P: Into<mysql_async::Params> + Send + 'b,
            T: mysql_async::prelude::FromRow + Send + 'static,
            U: Send + 'a,
            F: FnMut(T) -> U + Send + 'a,
        {
            let $this = &mut *self;
            $client.expect(&statement);
            mysql_async::prelude::Queryable::exec_map(self, statement, params, f)
        }

        /// [`Queryable::exec_batch`](mysql_async::prelude::Queryable::exec_batch), observed by its
        /// statement: as one, however many rows there are.
        pub fn exec_batch<'a: 'b, 'b, S, P, I>(
            &'a mut self,
            statement: S,
            params: I,
        ) -> futures_util::future::BoxFuture<'b, Result<(), mysql_async::Error>>
        where
            S: mysql_async::prelude::StatementLike + $crate::engine::mysql::StatementText + 'b,
            I: IntoIterator<Item = P> + Send + 'b,
            I::IntoIter: Send,
            P: Into<mysql_async::Params> + Send,
        {
            let $this = &mut *self;
            $client.expect(&statement);
            mysql_async::prelude::Queryable::exec_batch(self, statement, params)
        }

        /// [`Queryable::exec_iter`](mysql_async::prelude::Queryable::exec_iter), observed by its
        /// statement up to the first row.
        pub fn exec_iter<'a: 's, 's, S, P>(
            &'a mut self,
            statement: S,
            params: P,
        ) -> futures_util::future::BoxFuture<
            's,
            Result<
                mysql_async::QueryResult<'a, 'static, mysql_async::BinaryProtocol>,
                mysql_async::Error,
            >,
        >
        where
            S: mysql_async::prelude::StatementLike + $crate::engine::mysql::StatementText + 's,
            P: Into<mysql_async::Params>,
        {
            let $this = &mut *self;
            $client.expect(&statement);
            mysql_async::prelude::Queryable::exec_iter(self, statement, params)
        }
    };
}

impl super::Client {
    own_exec!(|this| this);
}

impl Transaction<'_> {
    own_exec!(|this| this.client());
}

forward_queryable!(Transaction<'_>, |this| this.client());
pub(crate) use {forward_queryable, own_exec};
