//! What the rows of a replica-status table are worth. Pure.

use std::time::Duration;

use super::observation::{Report, Row};
use crate::config::timing::{LINGERING_ROW_LAG, STALE_ROW_PERIOD};
use crate::id::InstanceId;

/// Aurora MySQL 1.23 and 2.09 wrote numbers such as 18446744949882880 into the lag column.
const GARBAGE_LAG_MILLIS: f64 = 1e9;

/// Whether a row describes an instance that is no longer there: deleted, renamed, or of the
/// cluster that this one was cloned from.
pub(super) fn is_leftover(row: &Row, server_now_micros: i64) -> bool {
    let lingers = row
        .lag_millis
        .is_some_and(|lag| !row.is_writer && lag >= lingering_millis() && lag < GARBAGE_LAG_MILLIS);
    let stale = row.updated_micros.is_some_and(|updated| {
        let age = server_now_micros.saturating_sub(updated);
        u128::try_from(age).is_ok_and(|age| age > STALE_ROW_PERIOD.as_micros())
    });
    lingers || stale
}

/// The writer that a table names: of several, the row updated last. The row of the instance that
/// was asked is "now" where it has no timestamp; any other without one is of unknown age.
pub(super) fn newest_writer_row(report: &Report) -> Option<&InstanceId> {
    report
        .rows
        .iter()
        .filter(|row| row.is_writer && !is_leftover(row, report.server_now_micros))
        .max_by_key(|row| match row.updated_micros {
            Some(updated) => updated,
            None if row.id == report.identity => i64::MAX,
            None => i64::MIN,
        })
        .map(|row| &row.id)
}

/// Whether a table has a row of that instance, live or not.
pub(super) fn shows(report: &Report, id: &InstanceId) -> bool {
    report.rows.iter().any(|row| row.id == *id)
}

/// The lag of a row, unless it is garbage.
pub(super) fn plausible_lag(millis: Option<f64>) -> Option<Duration> {
    let millis = millis.filter(|lag| (0.0..lingering_millis()).contains(lag))?;
    Some(Duration::from_secs_f64(millis / 1_000.0))
}

fn lingering_millis() -> f64 {
    LINGERING_ROW_LAG.as_secs_f64() * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::observation::Way;

    /// The writer that the table of `a` names, of rows that all claim to be: a name, and when the
    /// row was updated.
    fn writer_of(rows: &[(&str, Option<i64>)]) -> String {
        let row = |(id, updated_micros): &(&str, Option<i64>)| Row {
            id: InstanceId::new(*id),
            is_writer: true,
            updated_micros: *updated_micros,
            lag_millis: None,
        };
        let report = Report {
            identity: InstanceId::new("a"),
            asked_at: crate::time::now(),
            is_writer: false,
            server_now_micros: 10,
            way: Way::Standing,
            rows: rows.iter().map(row).collect(),
        };
        let newest = newest_writer_row(&report).expect("all of them do");
        newest.to_string()
    }

    #[test]
    fn of_several_writers_the_table_means_the_one_updated_last() {
        assert_eq!(
            writer_of(&[("b", Some(3)), ("c", Some(5)), ("d", Some(4))]),
            "c"
        );
    }

    #[test]
    fn a_row_without_a_time_is_of_now_for_whom_was_asked_and_of_no_known_age_for_others() {
        assert_eq!(writer_of(&[("a", None), ("b", Some(9))]), "a");
        assert_eq!(writer_of(&[("b", None), ("c", Some(1))]), "c");
        assert_eq!(writer_of(&[("c", Some(1)), ("b", None)]), "c");
    }
}
