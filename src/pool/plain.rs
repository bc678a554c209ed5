//! Servers without Aurora's tables: a single PostgreSQL, MySQL or MariaDB, or a primary with its
//! replicas. They have no names and know nothing of each other, so they are called by the hosts
//! that the application gave, and those are the whole cluster. Pure.

use crate::config::{Config, HostPort};
use crate::engine::Survey;
use crate::error::{Error, ErrorKind};
use crate::id::InstanceId;
use crate::resolve::{Endpoint, EndpointKind};
use crate::topology::observation::Row;

/// What an instance said of itself and of the others, with a name for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) identity: InstanceId,
    pub(super) is_writer: bool,
    pub(super) server_now_micros: i64,
    pub(super) rows: Vec<Row>,
}

/// Names whoever answered at that place.
///
/// # Errors
///
/// [`ErrorKind::NotAurora`] for a server without Aurora's tables where the configuration speaks
/// of an Aurora cluster.
pub(super) fn identify(survey: Survey, place: &HostPort, config: &Config) -> Result<Answer, Error> {
    let Survey {
        identity,
        is_writer,
        server_now_micros,
        mut rows,
    } = survey;
    let identity = match identity {
        Some(identity) => identity,
        None => {
            if let Some(reason) = means_aurora(config) {
                return Err(Error::new(
                    ErrorKind::NotAurora,
                    format!(
                        "`{place}` has none of Aurora's tables, but {reason}: it is no Aurora \
                         instance, or older than Aurora MySQL 1 or Aurora PostgreSQL 10.21, \
                         11.16, 12.11 and 13.7"
                    ),
                ));
            }
            let own = name(place);
            let rows_of = |seed| member(seed, is_writer && name(seed) == own);
            rows = config.seeds.iter().map(rows_of).collect();
            own
        }
    };
    Ok(Answer {
        identity,
        is_writer,
        server_now_micros,
        rows,
    })
}

/// Where a server is that was called by its place.
pub(super) fn place_of<'a>(id: &InstanceId, config: &'a Config) -> Option<&'a HostPort> {
    // An Aurora identifier holds no colon, so that this takes none for a place.
    let is_place = id.as_str().contains(':');
    config
        .seeds
        .iter()
        .find(|seed| is_place && name(seed) == *id)
}

fn name(place: &HostPort) -> InstanceId {
    InstanceId::new(place.to_string())
}

/// A member of unknown age, lag and role: only its own word says what it is.
fn member(seed: &HostPort, is_writer: bool) -> Row {
    Row {
        id: name(seed),
        is_writer,
        updated_micros: None,
        lag_millis: None,
    }
}

/// Why the application must have meant an Aurora cluster.
fn means_aurora(config: &Config) -> Option<&'static str> {
    if config.instance_pattern.is_some() {
        return Some("instance_pattern says how its instances are called");
    }
    let is_of_a_cluster = |seed: &HostPort| {
        let kind = Endpoint::parse(&seed.host)
            .ok()
            .map(|endpoint| endpoint.kind());
        matches!(
            kind,
            Some(EndpointKind::Cluster | EndpointKind::Reader | EndpointKind::Custom)
        )
    };
    let any = config.seeds.iter().any(is_of_a_cluster);
    any.then_some("a host is the endpoint of an Aurora cluster")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        Config::from_url(url).expect("a good URL")
    }

    fn plain(is_writer: bool) -> Survey {
        Survey {
            identity: None,
            is_writer,
            server_now_micros: 1,
            rows: Vec::new(),
        }
    }

    #[test]
    fn a_plain_server_is_called_by_its_place_and_the_hosts_given_are_the_cluster() {
        let config = config("mysql://app@db-1.internal,db-2.internal:3307?sslmode=disable");
        let answer = identify(plain(true), &config.seeds[0], &config).expect("it is allowed");
        assert_eq!(answer.identity.as_str(), "db-1.internal:3306");
        let rows: Vec<(&str, bool)> = answer
            .rows
            .iter()
            .map(|row| (row.id.as_str(), row.is_writer))
            .collect();
        assert_eq!(
            rows,
            [("db-1.internal:3306", true), ("db-2.internal:3307", false)]
        );
        let place = place_of(&rows_id(&answer, 1), &config).expect("it is one of them");
        assert_eq!(*place, config.seeds[1]);
    }

    fn rows_id(answer: &Answer, row: usize) -> InstanceId {
        answer.rows[row].id.clone()
    }

    #[test]
    fn a_server_that_names_itself_keeps_its_name_and_its_table() {
        let config = config("postgres://app@localhost?sslmode=disable");
        let survey = Survey {
            identity: Some(InstanceId::new("21")),
            ..plain(true)
        };
        let answer = identify(survey, &config.seeds[0], &config).expect("Aurora always is");
        assert_eq!((answer.identity.as_str(), answer.rows.len()), ("21", 0));
        assert_eq!(place_of(&answer.identity, &config), None);
    }

    #[test]
    fn a_plain_server_where_aurora_was_meant_is_refused_with_the_reason() {
        for (url, reason) in [
            (
                "postgres://app@demo.cluster-abc123.eu-west-1.rds.amazonaws.com?sslmode=disable",
                "endpoint of an Aurora cluster",
            ),
            (
                "postgres://app@127.0.0.1?instance_pattern=127.0.0.?",
                "instance_pattern",
            ),
        ] {
            let config = config(url);
            let error = identify(plain(true), &config.seeds[0], &config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotAurora);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
