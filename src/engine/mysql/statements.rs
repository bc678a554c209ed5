//! What is told of the statements on one connection, for whoever observes them.
//!
//! A statement's text is known where it is given to `query_*` or `prep`. What `exec_*` is given,
//! the trait `Queryable` does not show; the methods of the same names that the connection itself
//! has say it beforehand. Of generic code over the trait all counts as `EXECUTE`.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::{Error as Native, Statement};
use tracing::Span;

use super::explain;
use super::text::StatementText;
use crate::error::ErrorKind;
use crate::observe::lens::{Hashed, Lens, Sight};
use crate::observe::site::{Ended, Site};
use crate::observe::span;
use crate::time::{self, Instant};

/// Beyond so many prepared statements all are forgotten, and looked at anew.
const STATEMENTS_MAX: usize = 4096;

/// What is known of a statement that was given to `exec_*` by generic code.
const UNKNOWN: &[u8] = b"EXECUTE";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Statements {
    lens: Option<Lens>,
    by_id: Hashed<Option<Arc<Sight>>>,
    waited: Duration,
    /// What the next `exec_*` is given.
    expected: Option<Arc<Sight>>,
    running: Option<Running>,
    span: Option<Span>,
}

#[derive(Debug)]
struct Running {
    sight: Option<Arc<Sight>>,
    began: Instant,
    rows: u64,
}

impl Statements {
    pub(super) fn observe(&mut self, site: &Arc<Site>) {
        if self.lens.is_none() {
            self.lens = Some(Lens::new(Arc::clone(site)));
        }
    }

    pub(super) fn waited(&mut self, span: Duration) {
        self.waited = span;
    }

    fn site(&self) -> Option<&Arc<Site>> {
        self.lens.as_ref().map(Lens::site)
    }

    /// The text with the comment that it is to have, if any.
    pub(super) fn commented(&self, text: &[u8]) -> Option<Vec<u8>> {
        let comment = self.site()?.observer().comment()?;
        Some([text, comment.as_bytes()].concat())
    }

    /// A call begins; what it is to run may be told later. The span is the call's.
    pub(super) fn begin(&mut self, text: Option<&[u8]>) -> Span {
        self.cancelled();
        let span = span::operation(self.site().map(Arc::as_ref));
        self.span = (!span.is_disabled()).then(|| span.clone());
        self.running = self.is_watching().then(|| Running {
            sight: None,
            began: time::now(),
            rows: 0,
        });
        if let Some(text) = text {
            let sight = self.find(text);
            self.runs(sight);
        }
        span
    }

    fn is_watching(&self) -> bool {
        let site = self.site();
        site.is_some_and(|site| site.is_watching()) || self.span.is_some()
    }

    fn find(&mut self, text: &[u8]) -> Option<Arc<Sight>> {
        if !self.is_watching() {
            return None;
        }
        self.lens.as_mut()?.find(text, true)
    }

    fn runs(&mut self, sight: Option<Arc<Sight>>) {
        if let (Some(span), Some(sight), Some(site)) = (&self.span, &sight, self.site()) {
            span::is_about(span, sight.digest(), site);
        }
        if let Some(running) = &mut self.running {
            running.sight = sight;
        }
    }

    /// What the next `exec_*` is given, which that itself does not show.
    pub(super) fn expect(&mut self, statement: &impl StatementText) {
        if !self.is_watching() {
            return;
        }
        self.expected = match statement.prepared() {
            Some(id) => self.current(id),
            None => statement.text().and_then(|text| self.find(&text)),
        };
    }

    /// What a prepared statement counts as now.
    fn current(&mut self, id: u32) -> Option<Arc<Sight>> {
        let known = self.by_id.get_mut(&id.into())?.as_mut()?;
        let renewed = self.lens.as_mut()?.renewed(known);
        *known = Arc::clone(&renewed);
        Some(renewed)
    }

    /// A call of `exec_*` begins.
    pub(super) fn begin_prepared(&mut self) -> Span {
        let expected = self.expected.take();
        let span = self.begin(None);
        let sight = expected.or_else(|| self.find(UNKNOWN));
        self.runs(sight);
        span
    }

    /// A statement has been prepared within the call that runs, under this number.
    fn learn(&mut self, id: u64, text: &[u8]) {
        let sight = self.find(text);
        if let (Some(running), Some(sight), Some(site)) = (&self.running, &sight, self.site()) {
            site.prepared(sight, &running.how(Duration::ZERO, None));
        }
        if self.by_id.len() >= STATEMENTS_MAX {
            self.by_id.clear();
        }
        self.by_id.insert(id, sight);
    }

    /// The end of a call that only prepares.
    pub(super) fn end_preparing(&mut self, text: &[u8], answer: &Result<Statement, Native>) {
        self.tell_span(answer.as_ref().err());
        match answer {
            Ok(statement) if self.running.is_some() => {
                let id = u64::from(statement.id());
                if !self.by_id.contains_key(&id) {
                    self.learn(id, text);
                }
            }
            Ok(_) => {}
            Err(error) => {
                let sight = self.find(text);
                let name = error_name(error);
                if let (Some(running), Some(sight), Some(site)) =
                    (&self.running, &sight, self.site())
                {
                    site.prepared(sight, &running.how(Duration::ZERO, Some(&name)));
                }
            }
        }
        self.running = None;
    }

    /// So many rows came or were changed.
    pub(super) fn add_rows(&mut self, rows: u64) {
        if let Some(running) = &mut self.running {
            running.rows = running.rows.saturating_add(rows);
        }
    }

    /// The call has ended.
    pub(super) fn end<T>(&mut self, answer: &Result<T, Native>) {
        self.tell_span(answer.as_ref().err());
        let Some(running) = self.running.take() else {
            return;
        };
        let waited = std::mem::take(&mut self.waited);
        if let (Some(sight), Some(site)) = (&running.sight, self.site()) {
            let name = answer.as_ref().err().map(error_name);
            site.ended(sight, &running.how(waited, name.as_deref()));
        }
    }

    /// A call that was dropped half-way has failed.
    fn cancelled(&mut self) {
        if let (Some(running), Some(site)) = (self.running.take(), self.site())
            && let Some(sight) = &running.sight
        {
            let lost = ErrorKind::ConnectionLost.name();
            site.ended(sight, &running.how(Duration::ZERO, Some(lost)));
        }
    }

    fn tell_span(&mut self, error: Option<&Native>) {
        if let (Some(span), Some(error)) = (self.span.take(), error) {
            let (code, kind) = code_and_kind(error);
            span::failed(&span, code.as_deref(), kind);
        }
    }

    /// A prepared statement is closed.
    pub(super) fn closed(&mut self, id: u32) {
        self.by_id.remove(&u64::from(id));
    }

    /// All of the session's prepared statements are gone, and their numbers are given anew.
    pub(super) fn forget_prepared(&mut self) {
        self.by_id.clear();
    }
}

impl Drop for Statements {
    fn drop(&mut self) {
        self.cancelled();
    }
}

impl Running {
    fn how<'a>(&self, waited: Duration, error: Option<&'a str>) -> Ended<'a> {
        Ended {
            began: self.began,
            now: time::now(),
            waited,
            rows: self.rows,
            error,
        }
    }
}

fn code_and_kind(error: &Native) -> (Option<String>, &'static str) {
    let met = explain::met(error);
    (met.code.map(|code| code.to_string()), met.kind.name())
}

/// The server's number of an error, or what kind it is.
fn error_name(error: &Native) -> String {
    let (code, kind) = code_and_kind(error);
    code.unwrap_or_else(|| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{EngineKind, InstanceId, Role};
    use crate::observe::meters::HandleMeters;
    use crate::observe::settings::Observe;
    use crate::observe::site::Observer;

    fn statements(change: impl FnOnce(&mut Observe)) -> Statements {
        let mut settings = Observe::default();
        change(&mut settings);
        let meters = HandleMeters::new(false, EngineKind::MySql, "demo");
        let application = Some("shop".to_owned());
        let observer = Observer::new(&settings, EngineKind::MySql, application, None, meters);
        let place = ("127.0.0.1".to_owned(), 3306);
        let site = Site::new(Arc::new(observer), InstanceId::new("1"), place);
        site.serves_as(Role::Writer);
        let mut statements = Statements::default();
        statements.observe(&Arc::new(site));
        statements
    }

    /// The texts and the counts of calls and errors.
    fn seen(statements: &Statements) -> Vec<(String, u64, u64)> {
        let insights = statements.site().unwrap().observer().insights();
        let rows = insights.snapshot().by_statement().into_iter();
        rows.map(|row| (row.text, row.calls, row.errors)).collect()
    }

    #[test]
    fn a_text_gets_its_comment_only_where_that_is_wanted() {
        assert_eq!(statements(|_| {}).commented(b"SELECT 1"), None);
        let statements = statements(|settings| settings.sqlcommenter = true);
        assert_eq!(
            statements.commented(b"SELECT 1").unwrap(),
            b"SELECT 1 /*application='shop',db_driver='aurora-driver'*/"
        );
    }

    #[test]
    fn a_call_that_is_dropped_half_way_counts_as_failed() {
        let mut statements = statements(|_| {});
        let _span = statements.begin(Some(b"SELECT SLEEP(60)"));
        assert_eq!(seen(&statements), []);
        let _span = statements.begin(Some(b"SELECT 1"));
        statements.end(&Ok(()));
        let mut seen = seen(&statements);
        seen.sort();
        assert_eq!(
            seen,
            [
                ("SELECT ?".to_owned(), 1, 0),
                ("SELECT SLEEP(?)".to_owned(), 1, 1)
            ]
        );
    }

    #[test]
    fn a_statement_run_by_generic_code_is_counted_without_its_text() {
        let mut statements = statements(|_| {});
        statements.expect(&"SELECT 2");
        for _ in 0..2 {
            let _span = statements.begin_prepared();
            statements.end(&Ok(()));
        }
        let mut seen = seen(&statements);
        seen.sort();
        assert_eq!(
            seen,
            [("EXECUTE".to_owned(), 1, 0), ("SELECT ?".to_owned(), 1, 0)]
        );
    }
}
