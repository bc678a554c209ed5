//! `mysql_async`'s query interface for a checked-out connection.

use super::lease::Connection;
use crate::engine::mysql::{MySql, forward_queryable, own_exec};

impl Connection<MySql> {
    own_exec!(|this| this);
}

forward_queryable!(Connection<MySql>, |this| &mut **this);
