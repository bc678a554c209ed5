//! One line for each run.

use super::Report;
use super::escape;

const HEAD: &str = "engine,fault,contestant,run,added_ms,gap_ms,able_after_ms,calls_ended_ms,\
                    calls_caught,errors,connects,logins,acknowledged,lost,duplicated";

pub(crate) fn csv(report: &Report) -> String {
    let mut text = format!("{HEAD}\r\n");
    for cell in &report.cells {
        for (number, run) in cell.runs.iter().enumerate() {
            let millis =
                |value: Option<f64>| value.map_or_else(String::new, |ms| format!("{ms:.3}"));
            let errors = run
                .errors
                .iter()
                .map(|(class, count)| format!("{class}={count}"));
            let fields = [
                cell.engine.clone(),
                cell.fault.clone(),
                cell.contestant.clone(),
                (number + 1).to_string(),
                millis(run.added),
                millis(run.gap),
                millis(run.able_after),
                millis(run.calls_ended),
                run.caught.to_string(),
                errors.collect::<Vec<_>>().join(" "),
                run.connects.to_string(),
                run.logins.to_string(),
                run.acknowledged.to_string(),
                run.lost.to_string(),
                run.duplicated.to_string(),
            ];
            let fields = fields.map(|field| escape::csv(&field));
            text.push_str(&fields.join(","));
            text.push_str("\r\n");
        }
    }
    text
}
