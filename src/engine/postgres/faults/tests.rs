use serde::Deserialize;

use super::fault_of_sqlstate;
use crate::engine::faults::kind_of_answer;
use crate::engine::fixtures::{Meaning, cases};
use crate::engine::postgres::explain::{Phase, outcome_of_answer};
use crate::error::{Error, ServerCode};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    code: String,
    name: String,
    severity: String,
    fault: String,
    condemns: bool,
    kind: String,
    outcome: String,
    is_retryable: bool,
}

#[test]
fn every_sqlstate_means_what_its_fixture_says() {
    for case in cases::<Case>("postgres.json") {
        let fault = fault_of_sqlstate(&case.code);
        let ends_session = match case.severity.as_str() {
            "ERROR" => false,
            "FATAL" | "PANIC" => true,
            other => panic!("{}: no severity: {other}", case.code),
        };
        let (kind, advice) = kind_of_answer(fault);
        let error = Error::new(kind, advice)
            .with_code(ServerCode::sqlstate(&case.code))
            .with_outcome(outcome_of_answer(
                &case.code,
                ends_session,
                Phase::Committing,
            ));
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
fn a_session_that_ends_inside_a_transaction_has_rolled_it_back() {
    for ends_session in [false, true] {
        let outcome = outcome_of_answer("57P01", ends_session, Phase::InTransaction);
        assert_eq!(outcome, crate::Outcome::Rejected);
    }
}
