//! `mysql_async`'s query interface for a checked-out connection.

use super::lease::Connection;
use crate::engine::mysql::{MySql, forward_queryable};

forward_queryable!(Connection<MySql>, |this| &mut **this);
