//! `mysql_async`'s query interface for a checked-out connection.

use futures_util::future::BoxFuture;
use mysql_async::prelude::{AsQuery, FromRow, Queryable, StatementLike};
use mysql_async::{BinaryProtocol, Error as Native, Params, QueryResult, Statement, TextProtocol};

use super::lease::Connection;
use crate::engine::mysql::MySql;
use crate::engine::mysql::queryable::forward_queryable;

forward_queryable!(Connection<MySql>, |this| &mut **this);
