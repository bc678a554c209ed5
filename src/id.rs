//! Names of things: the engine, an instance, an epoch, a pool generation.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Which database engine a cluster runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EngineKind {
    /// Aurora MySQL.
    MySql,
    /// Aurora PostgreSQL.
    Postgres,
}

impl EngineKind {
    /// The lower-case name used in URLs, flags and reports: `mysql` or `postgres`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MySql => "mysql",
            Self::Postgres => "postgres",
        }
    }

    /// The TCP port where none is named.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::MySql => 3306,
            Self::Postgres => 5432,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for EngineKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "mysql" => Ok(Self::MySql),
            "postgres" | "postgresql" => Ok(Self::Postgres),
            other => Err(format!(
                "unknown engine `{other}`: use `postgres` or `mysql`"
            )),
        }
    }
}

/// The identifier of one DB instance, as the cluster's own tables spell it (`SERVER_ID`).
///
/// It is the first label of the instance endpoint. RDS identifiers are lower case and compare
/// so; cloning costs a reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(Arc<str>);

impl InstanceId {
    /// Makes an identifier, in lower case.
    pub fn new(name: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Self(name.to_ascii_lowercase().into())
        } else {
            Self(name.into())
        }
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<String> for InstanceId {
    fn from(id: String) -> Self {
        Self::from(id.as_str())
    }
}

impl From<&str> for InstanceId {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<&InstanceId> for InstanceId {
    fn from(id: &InstanceId) -> Self {
        id.clone()
    }
}

impl Borrow<str> for InstanceId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What an instance is, by its own word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It serves reads.
    Reader,
    /// It has not said.
    Unknown,
    /// It takes writes.
    Writer,
}

impl Role {
    /// The name as programs read it: `writer`, `reader` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Unknown => "unknown",
            Self::Writer => "writer",
        }
    }
}

/// How many promotions this process has confirmed in the cluster. It only ever grows.
///
/// Aurora publishes no such number; the driver counts the writers that it has confirmed, so
/// epochs of two processes cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which life of an instance's connections a connection, or a piece of news, belongs to.
///
/// It grows when the instance is demoted, promoted or lost; whatever carries an older
/// generation is thrown away and not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one.
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
