//! The extended query protocol: prepared statements and portals (PostgreSQL protocol, section
//! 55.2.3).

use std::collections::HashMap;
use std::sync::Arc;
use std::vec;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{
    BindComplete, CloseComplete, ParseComplete, PortalSuspended,
};
use pgwire::messages::response::EmptyQueryResponse;

use super::answer::{command_complete, row_description, send_rows};
use super::copy;
use super::engine::Engine;
use super::failure::{Failure, error, protocol_violation};
use super::message::{Bind, Target};
use super::types::{self, Format};
use super::wire::Wire;
use crate::sim::sql::{
    Column, CommandTag, Copy, Description, Reply, SqlError, SqlType, Statement, Value,
};

/// The most prepared statements, and the most portals, that one session may hold.
const NAMES_LIMIT: usize = 65_536;

/// What a session has prepared. The empty name is the unnamed one.
#[derive(Default)]
pub(super) struct Prepared {
    statements: HashMap<String, Arc<PreparedStatement>>,
    portals: HashMap<String, Portal>,
}

struct PreparedStatement {
    body: Body,
    parameters: Vec<Parameter>,
    columns: Option<Arc<[Column]>>,
}

/// What a prepared statement is.
enum Body {
    Empty,
    Sql(Statement),
    Copy(Copy),
}

struct Parameter {
    /// The type as the client named it, else as it was inferred.
    oid: u32,
    kind: SqlType,
}

struct Portal {
    prepared: Arc<PreparedStatement>,
    parameters: Vec<Value>,
    formats: Vec<Format>,
    progress: Progress,
}

enum Progress {
    Fresh,
    /// It has run; these rows have not been fetched yet.
    Fetching {
        rows: vec::IntoIter<Vec<Value>>,
        tag: CommandTag,
    },
    Finished,
}

impl Prepared {
    pub(super) fn parse(
        &mut self,
        wire: &mut Wire,
        engine: &mut Engine,
        name: String,
        query: &str,
        types: &[u32],
    ) -> Result<(), SqlError> {
        if !name.is_empty() && self.statements.contains_key(&name) {
            return Err(error(
                "42P05",
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        check_room(self.statements.len())?;
        let body = body(engine, query)?;
        let hints: Vec<SqlType> = types.iter().map(|&oid| types::from_oid(oid)).collect();
        let description = match &body {
            Body::Sql(statement) => engine.describe(statement, &hints)?,
            Body::Empty | Body::Copy(_) => Description {
                parameters: Vec::new(),
                columns: None,
            },
        };
        let parameters = description
            .parameters
            .into_iter()
            .enumerate()
            .map(|(index, kind)| Parameter {
                oid: match types.get(index) {
                    Some(&oid) if oid != 0 => oid,
                    _ => types::oid(kind),
                },
                kind,
            })
            .collect();
        self.statements.insert(
            name,
            Arc::new(PreparedStatement {
                body,
                parameters,
                columns: description.columns,
            }),
        );
        wire.put(&PgWireBackendMessage::ParseComplete(ParseComplete::new()))
    }

    pub(super) fn bind(&mut self, wire: &mut Wire, bind: Bind) -> Result<(), SqlError> {
        let prepared = Arc::clone(self.statement(&bind.statement)?);
        if !bind.portal.is_empty() && self.portals.contains_key(&bind.portal) {
            return Err(error(
                "42P03",
                format!("cursor \"{}\" already exists", bind.portal),
            ));
        }
        check_room(self.portals.len())?;
        check_counts(&bind, &prepared)?;
        let parameters = bind
            .parameters
            .into_iter()
            .zip(&prepared.parameters)
            .enumerate()
            .map(|(index, (bytes, parameter))| match bytes {
                None => Ok(Value::Null),
                Some(bytes) => types::decode(
                    bytes,
                    parameter.kind,
                    parameter.oid,
                    Format::of(&bind.parameter_formats, index),
                    index + 1,
                ),
            })
            .collect::<Result<_, _>>()?;
        self.portals.insert(
            bind.portal,
            Portal {
                prepared,
                parameters,
                formats: bind.result_formats,
                progress: Progress::Fresh,
            },
        );
        wire.put(&PgWireBackendMessage::BindComplete(BindComplete::new()))
    }

    pub(super) fn describe(
        &self,
        wire: &mut Wire,
        engine: &mut Engine,
        target: &Target,
    ) -> Result<(), SqlError> {
        if let Target::Portal(name) = target
            && !self.portals.contains_key(name)
            && let Some(columns) = engine.session().cursor_columns(name)
        {
            return wire.put(&row_description(&columns, &[])?);
        }
        let (columns, formats): (_, &[Format]) = match target {
            Target::Statement(name) => {
                let prepared = self.statement(name)?;
                let types = prepared.parameters.iter().map(|parameter| parameter.oid);
                wire.put(&PgWireBackendMessage::ParameterDescription(
                    ParameterDescription::new(types.collect()),
                ))?;
                (&prepared.columns, &[])
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| no_portal(name))?;
                (&portal.prepared.columns, &portal.formats)
            }
        };
        match columns {
            Some(columns) => wire.put(&row_description(columns, formats)?),
            None => wire.put(&PgWireBackendMessage::NoData(NoData::new())),
        }
    }

    pub(super) async fn execute(
        &mut self,
        wire: &mut Wire,
        engine: &mut Engine,
        name: &str,
        max_rows: usize,
    ) -> Result<(), Failure> {
        let portal = self.portals.get_mut(name).ok_or_else(|| no_portal(name))?;
        let prepared = Arc::clone(&portal.prepared);
        let statement = match &prepared.body {
            Body::Sql(statement) => statement,
            Body::Copy(copy) => {
                let tag = copy::run(wire, engine, copy).await?;
                return Ok(wire.put(&command_complete(tag))?);
            }
            Body::Empty => {
                wire.put(&PgWireBackendMessage::EmptyQueryResponse(
                    EmptyQueryResponse::new(),
                ))?;
                return Ok(());
            }
        };
        if let Progress::Fresh = portal.progress {
            // Whatever comes of it, it does not run a second time.
            portal.progress = Progress::Finished;
            match engine.run(statement, &portal.parameters).await? {
                Reply::Rows { rows, tag, columns } => {
                    check_shape(&prepared, &columns)?;
                    portal.progress = Progress::Fetching {
                        rows: rows.into_iter(),
                        tag,
                    };
                }
                Reply::Done { tag, .. } => {
                    self.forget_discarded(&tag);
                    wire.put(&command_complete(tag))?;
                    return Ok(());
                }
            }
        }
        portal.fetch(wire, name, max_rows).await
    }

    pub(super) fn close(&mut self, wire: &mut Wire, target: &Target) -> Result<(), SqlError> {
        // Closing what is not there is no error.
        match target {
            Target::Statement(name) => {
                self.statements.remove(name);
            }
            Target::Portal(name) => {
                self.portals.remove(name);
            }
        }
        wire.put(&PgWireBackendMessage::CloseComplete(CloseComplete::new()))
    }

    /// A simple query takes the place of what is unnamed.
    pub(super) fn forget_unnamed(&mut self) {
        self.statements.remove("");
        self.portals.remove("");
    }

    /// Portals live no longer than their transaction.
    pub(super) fn forget_portals(&mut self) {
        self.portals.clear();
    }

    /// `DEALLOCATE ALL` and `DISCARD ALL` also reach what was prepared by the protocol.
    pub(super) fn forget_discarded(&mut self, tag: &CommandTag) {
        if matches!(tag.0.as_str(), "DEALLOCATE ALL" | "DISCARD ALL") {
            self.statements.clear();
        }
    }

    fn statement(&self, name: &str) -> Result<&Arc<PreparedStatement>, SqlError> {
        self.statements.get(name).ok_or_else(|| {
            error(
                "26000",
                match name {
                    "" => "unnamed prepared statement does not exist".to_owned(),
                    name => format!("prepared statement \"{name}\" does not exist"),
                },
            )
        })
    }
}

impl Portal {
    /// Sends the next rows, at most `max_rows` of them if that is not 0.
    async fn fetch(&mut self, wire: &mut Wire, name: &str, max_rows: usize) -> Result<(), Failure> {
        let Progress::Fetching { rows, tag } = &mut self.progress else {
            return Err(error("55000", format!("portal \"{name}\" cannot be run")).into());
        };
        let columns = self.prepared.columns.as_deref().unwrap_or(&[]);
        let limit = if max_rows == 0 { usize::MAX } else { max_rows };
        let fetched = rows.len().min(limit);
        send_rows(wire, columns, &self.formats, rows.take(fetched)).await?;
        // A portal stopped by its limit does not look whether there is more.
        if fetched == limit {
            wire.put(&PgWireBackendMessage::PortalSuspended(
                PortalSuspended::new(),
            ))?;
            return Ok(());
        }
        // The tag counts the rows of this fetch alone.
        let tag = if tag.0.starts_with("SELECT ") {
            CommandTag(format!("SELECT {fetched}"))
        } else {
            tag.clone()
        };
        wire.put(&command_complete(tag))?;
        Ok(())
    }
}

fn body(engine: &mut Engine, query: &str) -> Result<Body, SqlError> {
    if let Some(copy) = Copy::parse(query)? {
        return Ok(Body::Copy(copy));
    }
    let mut statements = engine.parse(query)?;
    match (statements.pop(), statements.is_empty()) {
        (None, _) => Ok(Body::Empty),
        (Some(statement), true) => Ok(Body::Sql(statement)),
        (Some(_), false) => Err(error(
            "42601",
            "cannot insert multiple commands into a prepared statement",
        )),
    }
}

fn check_counts(bind: &Bind, prepared: &PreparedStatement) -> Result<(), SqlError> {
    let (given, wanted) = (bind.parameters.len(), prepared.parameters.len());
    let formats = bind.parameter_formats.len();
    if formats > 1 && formats != given {
        return Err(protocol_violation(format!(
            "bind message has {formats} parameter formats but {given} parameters"
        )));
    }
    if given != wanted {
        return Err(protocol_violation(format!(
            "bind message supplies {given} parameters, but prepared statement \"{}\" requires {wanted}",
            bind.statement
        )));
    }
    let formats = bind.result_formats.len();
    let columns = prepared.columns.as_ref().map_or(0, |columns| columns.len());
    if formats > 1 && formats != columns {
        return Err(protocol_violation(format!(
            "bind message has {formats} result formats but query has {columns} columns"
        )));
    }
    Ok(())
}

/// The client reads rows by the description that it was given when it prepared the statement.
fn check_shape(prepared: &PreparedStatement, columns: &[Column]) -> Result<(), SqlError> {
    let described = prepared.columns.as_ref().map_or(0, |columns| columns.len());
    if described == columns.len() {
        Ok(())
    } else {
        Err(error("0A000", "cached plan must not change result type"))
    }
}

fn check_room(count: usize) -> Result<(), SqlError> {
    if count < NAMES_LIMIT {
        Ok(())
    } else {
        Err(error(
            "53400",
            "too many prepared statements or portals in this session",
        ))
    }
}

fn no_portal(name: &str) -> SqlError {
    error("34000", format!("portal \"{name}\" does not exist"))
}
