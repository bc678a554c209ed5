use std::io;

use mysql_async::{DriverError, Error as Native, IoError, ServerError};
use serde::Deserialize;

use super::fault_of_number;
use crate::engine::fixtures::{Meaning, cases};
use crate::engine::mysql::explain::{ends_connection, fault};
use crate::error::{Error, ErrorKind, Outcome, ServerCode};
use crate::topology::observation::Fault;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    code: u16,
    name: String,
    sqlstate: String,
    fault: String,
    condemns: bool,
    kind: String,
    outcome: String,
    is_retryable: bool,
}

#[test]
fn every_error_number_means_what_its_fixture_says() {
    for case in cases::<Case>("mysql.json") {
        let native = Native::Server(ServerError {
            code: case.code,
            message: "in the server's words".to_owned(),
            state: case.sqlstate.clone(),
        });
        let fault = fault(&native);
        assert_eq!(fault, fault_of_number(case.code, &case.sqlstate));
        let error = Error::from(native);
        assert_eq!(error.code(), Some(ServerCode::MySql(case.code)));
        assert!(error.to_string().starts_with("in the server's words"));
        let expected = Meaning {
            fault: case.fault,
            condemns: case.condemns,
            kind: case.kind,
            outcome: case.outcome,
            is_retryable: case.is_retryable,
        };
        let found = Meaning::found(fault, &error);
        assert_eq!(found, expected, "{} {}", case.code, case.name);
    }
}

#[test]
fn an_error_of_the_socket_leaves_a_lone_statement_unknown_and_ends_the_connection() {
    for (kind, expected) in [
        (io::ErrorKind::ConnectionReset, Fault::Lost),
        (io::ErrorKind::BrokenPipe, Fault::Lost),
        (io::ErrorKind::UnexpectedEof, Fault::Lost),
        (io::ErrorKind::ConnectionRefused, Fault::Refused),
    ] {
        let native = Native::Io(IoError::Io(io::Error::from(kind)));
        assert_eq!(fault(&native), expected, "{kind:?}");
        assert!(ends_connection(&native));
        let error = Error::from(native);
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
        assert_eq!(error.outcome(), Outcome::Unknown);
        assert!(error.is_retryable());
    }
}

#[test]
fn a_connection_whose_packets_are_out_of_order_is_lost() {
    let native = Native::Driver(DriverError::PacketOutOfOrder);
    assert_eq!(fault(&native), Fault::Lost);
    assert!(ends_connection(&native));
}

#[test]
fn an_error_that_was_explained_already_stays_as_it_is() {
    let explained = Error::new(ErrorKind::ConnectionLost, "nothing was sent");
    let carried = Native::Other(Box::new(explained));
    assert_eq!(fault(&carried), Fault::Other);
    assert!(!ends_connection(&carried));
    let error = Error::from(carried);
    assert_eq!(error.kind(), ErrorKind::ConnectionLost);
    assert_eq!(error.outcome(), Outcome::NotSent);
}
